"""What the engine costs: quiet rounds of 1,000,000 lines, 100,000 lines that fail within one round, memory.

    .venv/bin/python -m benchmarks.correlation_speed.speed [--lines 1000000] [--failing 100000] [--markdown FILE]

Processor milliseconds of one core; the median of ten rounds. The inventory is made and loaded first, which is not
counted.
"""

import argparse
import csv
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from correlation.belief import settle
from correlation.engine import Engine
from monitor.inventory import Inventory, load_inventory
from monitor.records import ProbeRound, TargetKind

NS = 1_000_000_000
ROUND_NS = 60 * NS
START_NS = 1_774_630_800 * NS


def write(path: Path, lines: int) -> None:
    """GPON, 32 lines a splitter, 64 a port, 1,024 an OLT, 4,096 an exchange, 40,960 a region; BNGs and models."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("line_id", "path", "groups", "lat", "lon", "cpe_model", "cpe_firmware"))
        for i in range(lines):
            splitter = i // 32
            where = f"r{i // 40_960}/ex-{i // 4096}/olt-{i // 1024}/pon-{i // 64}/split-{splitter}"
            place = (f"{48 + splitter // 300 / 100:.4f}", f"{8 + splitter % 300 / 100:.4f}")
            writer.writerow((f"L{i:07d}", where, f"bng:bng-{i // 20_000}", *place, f"AX{i % 3}", f"7.{i % 4}"))


def round_of(
    inventory: Inventory, number: int, target: npt.NDArray[np.int32], dead: npt.NDArray[np.bool_] | None = None
) -> ProbeRound:
    """One probe to each of `target`, spread over the round; `dead` bool over all lines do not answer."""
    count = len(target)
    at = START_NS + number * ROUND_NS + np.arange(count, dtype=np.int64) * ROUND_NS // count
    rng = np.random.default_rng(number)
    received = np.ones(count, np.uint16)
    if dead is not None:
        received[dead[target]] = 0
    rtt = (5 + rng.random(count, np.float32)).astype(np.float32)
    rtt[received == 0] = np.nan
    return ProbeRound(
        source="default",
        generation=inventory.generation,
        target=target,
        at_ns=at,
        sent=np.ones(count, np.uint16),
        received=received,
        rtt_ms=rtt,
        kind=TargetKind.LINE,
        round_id=number,
    )


def resident_mb() -> float:
    """Memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


class Run:
    """Steps an engine round by round and takes the time of each step."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.engine = Engine(inventory)
        self.number = 0

    def parts(self, target: npt.NDArray[np.int32]) -> float:
        """Processor ms of belief and roll-up alone: the round's rows into the log-odds of its lines, states from these,
        and how many lines are up under every element. The engine is not stepped: it goes on with the next round."""
        engine, part = self.engine, round_of(self.inventory, self.number, target)
        self.number += 1
        now = START_NS + self.number * ROUND_NS
        begin = time.process_time()
        heard = engine.intake.take(now, [part], [])
        settle(engine.table, heard.touched, now, engine.settings.evidence)
        self.inventory.elements.sum(engine.table.is_up())
        return (time.process_time() - begin) * 1000

    def step(self, target: npt.NDArray[np.int32], dead: npt.NDArray[np.bool_] | None = None) -> tuple[float, bool]:
        """Processor ms of the step, and whether it opened an outage."""
        part = round_of(self.inventory, self.number, target, dead)
        self.number += 1
        begin = time.process_time()
        result = self.engine.step(START_NS + self.number * ROUND_NS, [part], [])
        spent = (time.process_time() - begin) * 1000
        opened = any(c.incident is not None and c.incident.kind.value == "outage" for c in result.changes)
        return spent, opened


def measure(lines: int, failing: int) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "inventory.csv"
        write(path, lines)
        inventory = load_inventory(path)
    before = resident_mb()
    run = Run(inventory)
    everyone = np.arange(lines, dtype=np.int32)
    for _ in range(5):
        run.step(everyone)
    spent = statistics.median(run.parts(everyone) for _ in range(10))
    found = [("all lines answer, a round: belief and roll-up", f"{spent:.1f} ms")]
    spent = statistics.median(run.step(everyone)[0] for _ in range(10))
    found.append(("the whole step, with the regimes of every line", f"{spent:.0f} ms"))
    for part in (100_000, 10_000, 1_000):
        some = everyone[:: max(1, lines // part)]
        spent = statistics.median(run.step(some)[0] for _ in range(10))
        found.append((f"{len(some):,} of them asked, a round", f"{spent:.1f} ms"))
        for _ in range(2):
            run.step(everyone)
    rng = np.random.default_rng(1)
    noise = []
    for _ in range(10):
        dead = np.zeros(lines, np.bool_)
        dead[rng.integers(0, lines, lines // 30_000 + 1)] = True  # 1.8 falls per 1,000 line-hours
        noise.append(run.step(everyone, dead)[0])
    found.append(("with single failures as in the field, a round", f"{statistics.median(noise):.0f} ms"))
    dead = np.zeros(lines, np.bool_)
    dead[:failing] = True
    total, rounds, opened = 0.0, 0, False
    while not opened and rounds < 10:
        spent, opened = run.step(everyone, dead)
        total, rounds = total + spent, rounds + 1
    named = f"{total:.0f} ms in {rounds} round{'s' if rounds > 1 else ''}" if opened else "not named in 10 rounds"
    found.append((f"{failing:,} lines fail at once, until the outage is named", named))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found += [
        ("memory with the inventory loaded, MB", f"{before:.0f}"),
        ("with the engine after these rounds, MB", f"{resident_mb():.0f}"),
        ("peak, loading the inventory included, MB", f"{peak:.0f}"),
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--failing", type=int, default=100_000)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    rows = measure(options.lines, options.failing)
    text = f"| {options.lines:,} lines | |\n|---|---|\n" + "".join(f"| {what} | {value} |\n" for what, value in rows)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
