"""A made-up past for the ranking: lines that get flags now and then, and people who call for reasons of their own."""

import numpy as np

from monitor.records import Flag, FlagKind

NS = 1_000_000_000
DAY_NS = 86_400 * NS
NOW = 1_795_600_000 * NS
REASONS = {
    FlagKind.UNSTABLE: ("loss", "ratio", 0.05),
    FlagKind.SLOW: ("rtt_above_baseline", "ms", 30.0),
    FlagKind.DEGRADING: ("rx_power_falling", "db", -3.0),
}


def past(
    lines: int = 600,
    days: int = 90,
    seed: int = 1,
    weights: tuple[float, float, float] = (0.04, 0.0, 0.25),
    by_chance: float = 0.002,
) -> tuple[list[Flag], list[tuple[str, int]]]:
    """Flags and calls of `days` before NOW. `weights`: chance a day that a line calls while it is unstable, slow,
    degrading; `by_chance` without any cause. Calls never come before what causes them."""
    rng = np.random.default_rng(seed)
    begin = NOW - days * DAY_NS
    flags, calls = [], []
    for n in range(lines):
        name = f"L{n:05d}"
        called = {int(d) for d in np.flatnonzero(rng.random(days) < by_chance)}
        for kind, weight in zip(REASONS, weights, strict=True):
            for at in np.flatnonzero(rng.random(days) < 0.03):
                length = float(rng.exponential(2.0)) + 0.1
                started = begin + int((at + rng.random()) * DAY_NS)
                ended = started + int(length * DAY_NS)
                reason, unit, middling = REASONS[kind]
                value = round(middling * float(rng.exponential(1.0)), 3)
                known = started + 900 * NS
                flags.append(Flag(name, kind, reason, value, unit, started, known, ended if ended < NOW else None))
                called |= {int(d) for d in range(at + 1, min(days, at + 1 + int(length) + 1)) if rng.random() < weight}
        calls += [(name, begin + d * DAY_NS + int(rng.integers(0, DAY_NS))) for d in sorted(called)]
    return [f for f in flags if f.detected_ns <= NOW], [c for c in calls if c[1] <= NOW]
