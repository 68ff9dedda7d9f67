"""What every measurement here shares: commands in the laboratory's namespace and what they cost.

CPU is user and system time of the command, the kernel's answering included: both ends share a machine, and the
provider's kernel answers in the context of whoever sends. What the kernel does in ksoftirqd instead is charged to
nobody; it is counted beside, for every engine alike.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # as the daemon starts its prober


@dataclass
class Cost:
    """A command's `cpu_s`, `seconds` from start to end and `softirq_s` of the machine meanwhile."""

    text: str
    cpu_s: float
    seconds: float
    softirq_s: float

    def json(self) -> Any:
        return json.loads(self.text)

    def add(self, other: "Cost") -> None:
        self.cpu_s += other.cpu_s
        self.seconds += other.seconds
        self.softirq_s += other.softirq_s


def softirq_s() -> float:
    """CPU seconds of all ksoftirqd threads, ever."""
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(encoding="ascii", errors="replace")
            except OSError:
                continue
            if "(ksoftirqd/" in stat:
                user, system = stat.rpartition(")")[2].split()[11:13]
                total += int(user) + int(system)
    return total / TICKS


def start(command: Sequence[str], netns: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["nsenter", f"--net={netns}", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | QUIET,
    )


def finish(child: "subprocess.Popen[str]", began: float, softirq: float) -> Cost:
    """Wait for it. Raises RuntimeError when it failed."""
    assert child.stdout is not None
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):  # fping ends with 1 when somebody did not answer
        raise RuntimeError(f"{child.args}: status {child.returncode}")
    seconds = time.monotonic() - began
    cpu_s = usage.ru_utime + usage.ru_stime
    return Cost(text, cpu_s, seconds, softirq_s() - softirq)


def run(command: Sequence[str], netns: str) -> Cost:
    softirq, began = softirq_s(), time.monotonic()
    return finish(start(command, netns), began, softirq)


def worker(base: str, count: int, rate_pps: float, *options: str) -> list[str]:
    """The command that runs the engine by itself."""
    return [sys.executable, "-m", "benchmarks.probing.worker", base, str(count), str(rate_pps), *options]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def link_address(netns: str, link: str) -> str:
    """The Ethernet address of an interface in a namespace."""
    text = run(["ip", "-json", "link", "show", link], netns).text
    return str(json.loads(text)[0]["address"])
