"""Side by side: our ICMP engine, fping, icmplib and aioping over the same laboratory network.

    .venv/bin/python -m benchmarks.probing.compare [--rounds N] [--targets N] [--json FILE]

As root on Linux, with fping, iproute2 and nftables. A namespace answers for all targets but a few dead ones. The
engines take turns, so that what else the machine does meets all of them. fping does a list in runs of 65,000, as it
has no more sequence numbers. CPU is user and system time, the kernel's answering included (both ends share a machine)
and the start of the interpreter left out: compare, do not add up.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path

from monitor.lab.network import Network

HERE = Path(__file__).parent
DEAD_EVERY = 64  # one target in so many is dead
FPING_MAX = 65_000
SHARE = {
    "ours": 1.0,
    "ours, columns": 1.0,
    "fping": 1.0,
    "icmplib-100": 1 / 16,
    "aioping-50": 1 / 64,
    "aioping-500": 1 / 64,
}


@dataclass
class Runs:
    """What one engine did, a value a run."""

    probes: int = 0
    cpu_s: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    false_loss: int = 0  # answering targets reported down
    false_up: int = 0  # dead targets reported up
    dead: int = 0


def environment(folder: Path) -> Path:
    """A throw-away environment with the two libraries."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "aioping", "icmplib"], check=True)
    return python


def run(command: list[str], netns: str) -> tuple[str, float, float]:
    """Standard output, CPU seconds and seconds of a command in the namespace."""
    began = time.monotonic()
    with subprocess.Popen(
        ["nsenter", f"--net={netns}", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return text, usage.ru_utime + usage.ru_stime, time.monotonic() - began


def one(engine: str, targets: list[str], dead: set[str], python: Path, network: Network, runs: Runs) -> None:
    alive: set[str] = set()
    cpu_s = seconds = 0.0
    step = FPING_MAX if engine == "fping" else len(targets)
    for low in range(0, len(targets), step):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(targets[low : low + step]))
            file.flush()
            if engine == "fping":
                command = ["fping", "-a", "-q", "-r", "0", "-t", "1000", "-i", "0", "-f", file.name]
                text, cpu, took = run(command, network.prober_netns)
                alive |= set(text.split())
            else:
                interpreter = sys.executable if engine.startswith("ours") else str(python)
                command = [interpreter, str(HERE / "peers.py"), engine, file.name]
                text, _, _ = run(command, network.prober_netns)
                answer = json.loads(text)
                alive, cpu, took = set(answer["alive"]), answer["cpu_s"], answer["seconds"]
                runs.rss_mb = max(runs.rss_mb, answer["rss_mb"])
        cpu_s, seconds = cpu_s + cpu, seconds + took
    mine = dead & set(targets)
    runs.probes += len(targets)
    runs.cpu_s.append(cpu_s / len(targets) * 1e6)
    runs.seconds.append(seconds)
    runs.false_loss += len(set(targets) - alive - mine)
    runs.false_up += len(alive & mine)
    runs.dead += len(mine)


def table(found: dict[str, Runs]) -> str:
    rows = [
        "| engine | probes | CPU s per 1 M (median, best) | RSS MB | false loss | dead reported up |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        living = runs.probes - runs.dead
        rss = f"{runs.rss_mb:.0f}" if runs.rss_mb else "-"
        rows.append(
            f"| {name} | {runs.probes:,} | {statistics.median(runs.cpu_s):.1f}, {min(runs.cpu_s):.1f} | "
            f"{rss} | {runs.false_loss} of {living:,} ({runs.false_loss / living:.3%}) | "
            f"{runs.false_up} of {runs.dead:,} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--targets", type=int, default=260_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # some take a socket per ping
    targets = [f"10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(1, args.targets + 1)]
    dead = set(targets[DEAD_EVERY // 2 :: DEAD_EVERY])
    found = {name: Runs() for name in SHARE}
    with tempfile.TemporaryDirectory() as folder, Network(Path(folder) / "network") as network:
        python = environment(Path(folder) / "environment")
        network.fail(sorted(dead))
        for turn in range(args.rounds):
            for name, share in SHARE.items():
                one(name, targets[: int(len(targets) * share)], dead, python, network, found[name])
                print(f"round {turn + 1}: {name} done", file=sys.stderr)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps({name: vars(runs) for name, runs in found.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
