"""How soon a dead line is known to be down: the real prober, its confirmation, and the engine that decides.

    python -m benchmarks.probing.detection [--lines N] [--interval S] [--failures N]

Lines are cut one by one at random moments by nftables in the provider's namespace. Two spans are taken for each: from
the cut, which the round interval is part of, and from the first probe that got no answer. The goal: in 95 of 100
cases within the interval and three seconds.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import random
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.probing.daily import inventory_file
from benchmarks.probing.measure import table
from collectors.base import CollectorContext
from collectors.icmp.collector import IcmpCollector
from collectors.icmp.settings import IcmpSettings
from correlation.engine import Engine
from monitor.bus import Intake
from monitor.clock import SystemClock
from monitor.inventory import Bindings, load_inventory
from monitor.lab.network import Network
from monitor.metrics import Metrics
from monitor.records import LineState, ProbeRound, Reference, TargetKind

STEP_S = 0.2
LEARN_ROUNDS = 3
REFERENCES = (Reference(name="inside", address="10.255.0.1"), Reference(name="outside", address="10.255.0.2"))


class Watch:
    """What is known of each line that was cut; times are UTC ns."""

    def __init__(self) -> None:
        self.cut: dict[int, int] = {}
        self.missed: dict[int, int] = {}
        self.down: dict[int, int] = {}

    def look(self, rounds: list[ProbeRound]) -> None:
        for part in rounds:
            if part.kind != TargetKind.LINE:
                continue
            for i in np.flatnonzero((part.received == 0) & (part.sent > 0)).tolist():
                line = int(part.target[i])
                if line in self.cut and part.at_ns[i] >= self.cut[line]:
                    self.missed.setdefault(line, int(part.at_ns[i]))


async def detect(network: Network, folder: Path, lines: int, interval_s: float, failures: int) -> tuple[Watch, int]:
    inventory = load_inventory(inventory_file(folder, lines))
    bindings = Bindings(inventory)
    metrics = Metrics()
    intake = Intake(metrics)
    clock = SystemClock()
    context = CollectorContext(lambda: inventory, lambda: bindings, intake, clock, metrics)
    settings = IcmpSettings(netns=network.prober_netns, interval_s=interval_s, references=REFERENCES)
    collector = IcmpCollector(settings, context)
    engine = Engine(inventory, references=REFERENCES)
    watch, wrong = Watch(), 0
    task = asyncio.create_task(collector.run())
    rng = random.Random(1)
    chosen = rng.sample(range(lines), failures)
    begin = time.monotonic() + LEARN_ROUNDS * interval_s
    moments = sorted(begin + rng.random() * 4 * interval_s for _ in chosen)
    over = threading.Event()

    def cut() -> None:
        for line, moment in zip(chosen, moments, strict=True):
            if over.wait(max(0.0, moment - time.monotonic())):
                return
            network.fail([str(ipaddress.IPv4Address(int(inventory.address4[line])))])
            watch.cut[line] = clock.now_ns()

    cutting = threading.Thread(target=cut, daemon=True)
    cutting.start()
    end = moments[-1] + 2 * interval_s + 5
    while time.monotonic() < end and len(watch.down) < failures:
        await asyncio.sleep(STEP_S)
        batch = intake.take(0)
        watch.look([part for part in batch.rounds if isinstance(part, ProbeRound)])
        now = clock.now_ns()
        result = engine.step(now, batch.rounds, batch.events)
        for request in result.requests:
            collector.request(request)
        for line in np.flatnonzero(engine.view().state == LineState.DOWN).tolist():
            if line in watch.cut:
                watch.down.setdefault(line, clock.now_ns())
            else:
                wrong += 1
    over.set()
    cutting.join()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return watch, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=5000)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--failures", type=int, default=80)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Network(Path(name) / "network") as network:
        watch, wrong = asyncio.run(detect(network, Path(name), args.lines, args.interval, args.failures))
    known = [line for line in watch.cut if line in watch.down and line in watch.missed]
    rows = []
    for what, since in (("the cut", watch.cut), ("the first probe without an answer", watch.missed)):
        span = np.array([(watch.down[line] - since[line]) / 1e9 for line in known])
        rows.append([what, *(f"{value:.2f} s" for value in np.percentile(span, [50, 95, 100]))])
    print(table(["line down after", "median", "95th percentile", "worst"], rows))
    print(
        f"\n{args.lines:,} lines every {args.interval:g} s, {len(watch.cut)} cut, {len(known)} found, {wrong} others "
        f"said to be down; goal for the 95th percentile: {args.interval + 3:g} s"
    )


if __name__ == "__main__":
    main()
