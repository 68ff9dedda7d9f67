"""The demonstration itself: every fault found with its scope, nothing else blamed, and nothing left behind."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.lab.helpers import gone

FAULTS = {
    "splitter cut",
    "OLT down",
    "power cut in a quarter",
    "resolver r2 silent",
    "slow line",
    "unstable line",
    "single dead line",
    "blind prober",
}


def demo(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "monitor.app", "demo", "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def family(parent: "subprocess.Popen[str]") -> list[int]:
    return [parent.pid, *(child.pid for child in psutil.Process(parent.pid).children(recursive=True))]


@pytest.mark.server
@pytest.mark.timeout(420)
def test_every_fault_is_found_and_nothing_else_is_blamed(tmp_path: Path) -> None:
    """The demo, with real ICMP where this machine allows it, ends with 0, every fault found and its scope right."""
    table = tmp_path / "table.json"
    running = demo("--lines", "1500", "--minutes", "4", "--json", str(table))
    said, _ = running.communicate(timeout=400)
    rows = json.loads(table.read_text())
    assert {row["fault"] for row in rows} == FAULTS, said
    assert all(row["found"] and row["scope_right"] for row in rows), said
    assert running.returncode == 0, said


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(number: signal.Signals) -> None:
    """After Ctrl-C and after SIGKILL of the demo, every process it had started is gone, and its folder too."""
    before = set(Path(tempfile.gettempdir()).glob("faultline-demo-*"))
    running = demo("--lines", "800")
    assert running.stdout is not None
    for line in running.stdout:
        if "key" in line:
            break
    started = family(running)
    (folder,) = (f for f in set(Path(tempfile.gettempdir()).glob("faultline-demo-*")) - before if _uses(started, f))
    assert len(started) >= 6  # daemon, prober, broker, two resolvers, fleet, network
    time.sleep(1)
    running.send_signal(number)
    with running.stdout:
        running.stdout.read()
    running.wait(30)
    assert gone(started)
    assert not folder.exists()


def _uses(pids: list[int], folder: Path) -> bool:
    return any(str(folder) in word for pid in pids for word in psutil.Process(pid).cmdline())
