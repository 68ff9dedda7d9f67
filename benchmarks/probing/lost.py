"""False loss: a million addresses that all answer, in peace, with a busy core beside, and with the process stopped.

    python -m benchmarks.probing.lost [--count N] [--rate PPS] [--family 4|6]

Every address that is reported lost here is a lie. `unknown` is what the engine itself says it cannot know.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.probing.measure import finish, softirq_s, start, table, worker
from monitor.lab.network import Network

BASE = {4: "10.16.0.0", 6: "fd10::1:0"}
STOP_S = 0.2
CASES = ("in peace", "the other core busy", "stopped for 200 ms, every 3 s")


def case(name: str, network: Network, base: str, count: int, rate: float) -> list[str]:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if name == CASES[1] else None
    began, softirq = time.monotonic(), softirq_s()
    child = start(worker(base, count, rate), network.prober_netns)
    over = threading.Event()
    if name == CASES[2]:
        threading.Thread(target=_stop_and_go, args=(child.pid, over), daemon=True).start()
    try:
        cost = finish(child, began, softirq)
    finally:
        over.set()
        if busy is not None:
            busy.kill()
            busy.wait()
    answer = cost.json()
    lost = answer["sent"] - answer["received"]
    faults = ", ".join(f"{key} {value}" for key, value in answer["faults"].items()) or "-"
    return [name, f"{count:,}", f"{lost}", f"{answer['unknown']}", f"{answer['send_s']:.0f} s", faults]


def _stop_and_go(pid: int, over: threading.Event) -> None:
    while not over.wait(3):
        try:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(STOP_S)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=40_000)
    parser.add_argument("--family", type=int, choices=(4, 6), default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Network(Path(folder) / "network") as network:
        rows = [case(name, network, BASE[args.family], args.count, args.rate) for name in CASES]
    print(table(["", "probes", "false loss", "unknown", "sent in", "counted by the engine"], rows))


if __name__ == "__main__":
    main()
