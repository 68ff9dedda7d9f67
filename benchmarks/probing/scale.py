"""What the regular work costs as the network grows: every line once a minute, at 10,000, 100,000 and 1,000,000 lines.

    python -m benchmarks.probing.scale [--lines N,N,...]

The engine's process: CPU of one core while it sends (the kernel's answering is in it, as both ends share a machine)
and the most memory it ever had, Python and numpy included.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.probing.measure import finish, softirq_s, start, table, worker
from monitor.lab.network import Network

BASE = "10.16.0.0"
INTERVAL_S = 60.0
SHORT_S = 20.0  # smaller networks are measured for a part of the minute, at their own rate


def measure(network: Network, lines: int) -> list[str]:
    rate = lines / (INTERVAL_S - 1.25)
    count = lines if lines >= 1_000_000 else int(rate * SHORT_S)
    began, softirq = time.monotonic(), softirq_s()
    child = start(worker(BASE, count, rate), network.prober_netns)
    most = 0
    while not (now := _peak(child.pid)) < 0:
        most = max(most, now)
        time.sleep(0.2)
    cost = finish(child, began, softirq)
    answer = cost.json()
    return [
        f"{lines:,}",
        f"{rate:,.0f}",
        f"{answer['cpu_s'] / answer['send_s']:.1%}",
        f"{answer['cpu_s'] / count * 1e6:.1f}",
        f"{most / 1e6:.0f}",
        f"{answer['sent'] - answer['received']} of {count:,}",
        f"{answer['unknown']}",
    ]


def _peak(pid: int) -> int:
    """The most memory of the process, bytes; -1 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return -1
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 if "VmHWM:" in status else -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", default="10000,100000,1000000")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Network(Path(folder) / "network") as network:
        rows = [measure(network, int(lines)) for lines in args.lines.split(",")]
    head = ["lines a minute", "probes/s", "of one core", "CPU s per 1 M", "RSS MB, peak", "false loss", "unknown"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
