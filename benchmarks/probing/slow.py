"""The ping libraries of Python beside the others: icmplib and aioping, with a share of the list as they are slow."""

import resource
import subprocess
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.probing.compare import Laboratory, Outcome

PEERS = Path(__file__).with_name("peers.py")
SHARE = {("icmplib", 100): 1 / 16, ("aioping", 50): 1 / 64, ("aioping", 500): 1 / 64}


def add(lab: "Laboratory") -> None:
    """Let the laboratory measure them, too. They are fetched from the package index into a throw-away environment."""
    from benchmarks.probing.compare import Outcome

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one takes a socket per ping
    python = lab.folder / "environment" / "bin" / "python"
    if not python.exists():
        venv.create(lab.folder / "environment", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "aioping", "icmplib"], check=True)

    for (library, tasks), share in SHARE.items():

        def engine(targets: list[str], library: str = library, tasks: int = tasks) -> "Outcome":
            cost = lab.run([str(python), str(PEERS), library, str(tasks), lab.file("list", targets)])
            return Outcome(cost, set(cost.text.split()), waits_s=1.0)

        lab.engines[f"{library}, {tasks} tasks"] = engine
        lab.share[f"{library}, {tasks} tasks"] = share
