"""What the engine reports against what a responder really did: round-trip times, and losses to the packet.

    python -m benchmarks.probing.truth [--family 4|6]

The responder sits on a TUN device, dwells 20 ms +/- 2 ms and keeps a log of when it read and wrote each packet. The
error of a round-trip time is what was reported less what the log says. fping is measured beside at the lower rate.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.probing.measure import run, table, worker
from benchmarks.probing.responder import Running

BASE = {4: "10.4.0.0", 6: "fd10::"}
RATES = (6_000, 30_000)
SECONDS = 5
LOSS_PROBES = 200_000


def times(folder: Path, base: str, rate: int) -> list[str]:
    count = rate * SECONDS
    network = Running(base, count, str(folder / "log.npz"))
    cost = run(worker(base, count, rate, "--dump", str(folder / "dump.npz")), network.netns)
    log, ours = network.stop(), np.load(folder / "dump.npz")
    true_ms = (log["write_ns"] - log["read_ns"]) / 1e6
    known = ours["received"] > 0
    error = (ours["rtt_ms"] - true_ms)[known]
    median = np.median(ours["rtt_ms"][known]) - np.median(true_ms[known])
    low, middle, high = np.percentile(error, [1, 50, 99])
    sent_s = cost.json()["send_s"]
    return [
        f"ours, {rate:,}/s",
        f"{count / sent_s:,.0f}",
        f"{median:+.3f} ms",
        f"{low:+.2f}, {middle:+.3f}, {high:+.2f} ms",
        f"{int((~known).sum())} of {count:,}",
    ]


def fping_times(folder: Path, base: str, rate: int) -> list[str]:
    count = min(rate * SECONDS, 65_000)
    first = int.from_bytes(bytes(int(part) for part in base.split(".")), "big")
    targets = [".".join(str(first + i >> shift & 255) for shift in (24, 16, 8, 0)) for i in range(count)]
    (folder / "list").write_text("\n".join(targets) + "\n", encoding="ascii")
    network = Running(base, count, str(folder / "log.npz"))
    command = ["fping", "-e", "-r", "0", "-t", "1000", "-i", f"{1000 / rate:.3f}", "-f", str(folder / "list")]
    cost = run(command, network.netns)
    log = network.stop()
    true_ms = (log["write_ns"] - log["read_ns"]) / 1e6
    reported = np.full(count, np.nan)
    for line in cost.text.splitlines():  # 10.4.0.0 is alive (20.1 ms)
        words = line.split()
        if "alive" in words:
            reported[_index(words[0], first)] = float(words[3].lstrip("("))
    known = ~np.isnan(reported)
    error = (reported - true_ms)[known]
    low, middle, high = np.percentile(error, [1, 50, 99])
    median = np.median(reported[known]) - np.median(true_ms[known])
    return [
        f"fping, {rate:,}/s",
        f"{count / (cost.seconds):,.0f}",
        f"{median:+.3f} ms",
        f"{low:+.2f}, {middle:+.3f}, {high:+.2f} ms",
        f"{int((~known).sum())} of {count:,}",
    ]


def _index(address: str, first: int) -> int:
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big") - first


def losses(folder: Path, base: str) -> str:
    network = Running(base, LOSS_PROBES, str(folder / "log.npz"), "--loss", "0.05")
    answer = run(worker(base, LOSS_PROBES, 20_000, "--dump", str(folder / "dump.npz")), network.netns).json()
    log, ours = network.stop(), np.load(folder / "dump.npz")
    lost = ours["sent"] - ours["received"]
    wrong = int((lost != log["dropped"]).sum())
    return (
        f"Loss of 5 %, {LOSS_PROBES:,} probes: the responder dropped {int(log['dropped'].sum()):,}, reported lost "
        f"{int(lost.sum()):,}; targets judged differently: {wrong}; unknown: {answer['unknown']}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--family", type=int, choices=(4, 6), default=4)
    args = parser.parse_args()
    base = BASE[args.family]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [times(folder, base, rate) for rate in RATES]
        if args.family == 4:
            rows.append(fping_times(folder, base, RATES[0]))
        head = [
            "engine",
            "probes a second",
            "reported median - true median",
            "error: 1st, 50th, 99th percentile",
            "lost",
        ]
        print(table(head, rows))
        print()
        print(losses(folder, base))


if __name__ == "__main__":
    main()
