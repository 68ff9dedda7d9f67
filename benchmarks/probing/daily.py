"""The cost of the daemon's regular work: so many lines every so many seconds, in the prober process and around it.

    .venv/bin/python -m benchmarks.probing.daily [--lines N] [--interval S] [--rounds N]

As root on Linux. Real ICMP through the laboratory's namespaces. Prints the CPU of the prober process (the kernel's
answering is charged to it, as both ends share a machine) and of the daemon's side, in percent of one core.
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path

import psutil

from collectors.base import CollectorContext
from collectors.icmp.collector import IcmpCollector
from collectors.icmp.settings import IcmpSettings
from monitor.bus import Intake
from monitor.clock import SystemClock
from monitor.inventory import Bindings, load_inventory
from monitor.lab.network import Network
from monitor.metrics import Metrics


def inventory_file(folder: Path, lines: int) -> Path:
    path = folder / "inventory.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("line_id,address,path\n")
        for i in range(lines):
            place = f"r/ex-{i // 8000}/olt-{i // 1000}/pon-{i // 64}/sp-{i // 8}"
            file.write(f"L{i},10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255},{place}\n")
    return path


async def measure(network: Network, folder: Path, lines: int, interval_s: float, rounds: int) -> str:
    inventory = load_inventory(inventory_file(folder, lines))
    bindings = Bindings(inventory)
    metrics = Metrics()
    intake = Intake(metrics)
    context = CollectorContext(lambda: inventory, lambda: bindings, intake, SystemClock(), metrics)
    settings = IcmpSettings(netns=network.prober_netns, interval_s=interval_s, rate_max_pps=1e6, node_max_pps=1e6)
    collector = IcmpCollector(settings, context)
    task = asyncio.create_task(collector.run())
    sent = received = known = 0

    def take() -> None:
        nonlocal sent, received, known
        for part in intake.take(0).rounds:
            sent += int(part.sent.sum())  # type: ignore[union-attr]
            received += int(part.received.sum())  # type: ignore[union-attr]
            known += len(part)

    while not intake.take(0).rounds:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert collector.pid is not None
    prober, own = psutil.Process(collector.pid), psutil.Process(os.getpid())
    before = [sum(p.cpu_times()[:2]) for p in (prober, own)]
    began = time.monotonic()
    while time.monotonic() - began < rounds * interval_s:
        await asyncio.sleep(0.2)
        take()
    passed = time.monotonic() - began
    used = [sum(p.cpu_times()[:2]) - b for p, b in zip((prober, own), before, strict=True)]
    resident = prober.memory_info().rss / 1e6
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return (
        f"| {lines:,} every {interval_s:g} s | {used[0] / passed:.1%} | {used[1] / passed:.1%} | {resident:.0f} | "
        f"{sent - received} of {sent:,} | {known - sent} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=5000)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Network(Path(name) / "network") as network:
        print("| lines | prober, of one core | daemon's side | prober RSS MB | false loss | unknown |")
        print("|---|---|---|---|---|---|")
        print(asyncio.run(measure(network, Path(name), args.lines, args.interval, args.rounds)))


if __name__ == "__main__":
    main()
