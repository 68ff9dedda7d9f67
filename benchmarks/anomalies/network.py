"""Flags in a simulated network: of lines made slow or unstable, how many are flagged within 30 minutes, and how many
flags are right; and whether a congested OLT is one flag on the element.

    .venv/bin/python -m benchmarks.anomalies.network [--lines 4000] [--hours 6] [--seed 5] [--interval 60]

Round trips: gamma noise of 2 % of each line's level, one spike in a hundred, evening rhythm, 0.5 % loss, some lines at
5 % loss as a matter of course, modems off and on. One line in a hundred becomes slow (+15 to +120 ms, at least 40 %),
one in a hundred loses 20 to 50 %; one OLT is congested for an hour. The engine is the daemon's own.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from correlation.engine import Engine
from monitor.inventory import Inventory, load_inventory
from monitor.records import Flag, FlagKind, ProbeRound, Reference, TargetKind

NS = 1_000_000_000
START = 1_766_000_000 * NS
WITHIN_S = 1800
SLICES = 4


def inventory(folder: Path, lines: int) -> Inventory:
    rows = ["line_id,path"]
    rows += [f"L{i:06d},north/ex-{i // 2048}/olt-{i // 512}/pon-{i // 64}/split-{i // 32}" for i in range(lines)]
    file = folder / "inventory.csv"
    file.write_text("\n".join(rows) + "\n")
    return load_inventory(file)


class Field:
    """The lines' true state and what a prober sees of them."""

    def __init__(self, lines: int, rounds: int, interval_s: int, rng: np.random.Generator) -> None:
        self.rng, self.rounds, self.interval_s = rng, rounds, interval_s
        self.level = rng.uniform(4, 60, lines)
        self.loss = np.where(rng.random(lines) < 0.03, 0.05, 0.005)
        order = rng.permutation(lines)
        share = max(4, lines // 100)
        self.slow, self.shaky = np.sort(order[:share]), np.sort(order[share : 2 * share])
        quarter = rounds // 4
        self.begin = np.full(lines, rounds + 1)
        self.begin[order[: 2 * share]] = rng.integers(quarter, 2 * quarter, 2 * share)
        self.extra = np.zeros(lines)
        self.extra[self.slow] = np.maximum(rng.uniform(15, 120, share), 0.4 * self.level[self.slow])
        self.more_loss = np.zeros(lines)
        self.more_loss[self.shaky] = rng.uniform(0.2, 0.5, share)
        self.congested = slice(512, 1024)
        self.congestion = (int(2.6 * quarter), int(2.6 * quarter) + 3600 // interval_s)
        self.off_until = np.zeros(lines, np.int64)

    def round(self, number: int, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng, n = self.rng, lines.size
        evening = 1 + 0.05 * np.sin(2 * np.pi * number * self.interval_s / 86_400)
        x = self.level[lines] * evening * (1 + 0.02 * rng.standard_gamma(1.0, n))
        spikes = rng.random(n) < 0.01
        x[spikes] += rng.exponential(20, int(spikes.sum()))
        ill = number >= self.begin[lines]
        x += np.where(ill, self.extra[lines], 0)
        loss = self.loss[lines] + np.where(ill, self.more_loss[lines], 0)
        first, last = self.congestion
        if first <= number < last:
            inside = (lines >= self.congested.start) & (lines < self.congested.stop)
            x += np.where(inside, 40 * rng.gamma(4.0, 0.25, n), 0)
            loss = loss + 0.04 * inside
        off = rng.random(n) < 2e-3 * self.interval_s / 3600
        self.off_until[lines[off]] = number + rng.integers(3, 90, int(off.sum()))
        dead = (self.off_until[lines] > number) | (rng.random(n) < loss)
        return np.where(dead, 0, 1).astype(np.uint16), np.where(dead, np.nan, x).astype(np.float32)


def run(lines: int, hours: float, seed: int, interval_s: int) -> None:
    rng = np.random.default_rng(seed)
    rounds = int(hours * 3600 / interval_s)
    with tempfile.TemporaryDirectory() as folder:
        known = inventory(Path(folder), lines)
    field = Field(lines, rounds, interval_s, rng)
    engine = Engine(known, None, (Reference("ref", "192.0.2.1"),))
    order = rng.permutation(lines).astype(np.int32)
    flags: dict[str, Flag] = {}
    spent = time.process_time()
    for number in range(rounds):
        for part in range(SLICES):
            target = order[part::SLICES]
            now = START + (number * interval_s + part * interval_s // SLICES) * NS
            received, rtt = field.round(number, target)
            done = engine.step(now, [_reference(known, now), _round(known, now, target, received, rtt)])
            for change in done.changes:
                if change.flag is not None and change.what == "flag_raised":
                    flags[change.flag.flag_id] = change.flag
    report(field, known, list(flags.values()), interval_s, time.process_time() - spent)


def _round(known: Inventory, now: int, target: np.ndarray, received: np.ndarray, rtt: np.ndarray) -> ProbeRound:
    at, sent = np.full(target.size, now, np.int64), np.ones(target.size, np.uint16)
    return ProbeRound("default", known.generation, target.astype(np.int32), at, sent, received, rtt)


def _reference(known: Inventory, now: int) -> ProbeRound:
    one = np.ones(1, np.uint16)
    where, at, rtt = np.zeros(1, np.int32), np.array([now], np.int64), np.array([5.0], np.float32)
    return ProbeRound("default", known.generation, where, at, one, one, rtt, kind=TargetKind.REFERENCE)


def report(field: Field, known: Inventory, flags: list[Flag], interval_s: int, spent_s: float) -> None:
    print("| lines made | of them flagged within 30 min | flags of the kind | of them right | median delay s |")
    print("|---|---|---|---|---|")
    for kind, made in ((FlagKind.SLOW, field.slow), (FlagKind.UNSTABLE, field.shaky)):
        right, delays = 0, {}
        said = [f for f in flags if f.kind is kind]
        for flag in said:
            line = known.index_of(flag.subject)
            if line is None or line not in made:
                continue
            began = START + int(field.begin[line]) * interval_s * NS
            if flag.detected_ns >= began:
                right += 1
                delays[line] = min(delays.get(line, 1e9), (flag.detected_ns - began) / NS)
        hit = sum(delay <= WITHIN_S for delay in delays.values())
        median = np.median(list(delays.values())) if delays else float("nan")
        print(
            f"| {made.size} {kind.value} | {hit / made.size:.3f} | {len(said)} | "
            f"{right / max(len(said), 1):.3f} | {median:.0f} |"
        )
    segments = [f.subject for f in flags if f.kind is FlagKind.SEGMENT_SLOW]
    first, last = (START + n * interval_s * NS for n in field.congestion)
    inside = [
        f
        for f in flags
        if f.kind is not FlagKind.SEGMENT_SLOW and first <= f.detected_ns < last and _congested(field, known, f.subject)
    ]
    print(f"congested OLT (512 lines): segment flags {segments}; flags of its lines meanwhile: {len(inside)}")
    print(f"processor {spent_s:.0f} s for {field.rounds} rounds of {field.level.size} lines")


def _congested(field: Field, known: Inventory, subject: str) -> bool:
    line = known.index_of(subject)
    return (
        line is not None and field.congested.start <= line < field.congested.stop and field.begin[line] > field.rounds
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=4000)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--interval", type=int, default=60)
    given = parser.parse_args()
    run(given.lines, given.hours, given.seed, given.interval)
