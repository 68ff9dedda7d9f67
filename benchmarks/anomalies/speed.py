"""How long a round of a million lines takes on one core, and what a line's state weighs.

    .venv/bin/python -m benchmarks.anomalies.speed [--lines 1000000] [--rounds 60]

Round trips as in the field: gamma noise of 2 % of the level, one spike in a hundred, 0.5 % lost; a line in ten thousand
shifts each round. The rounds after the first forty are timed, by processor time of this process.
"""

import argparse
import time

import numpy as np

from correlation.baselines.regimes import Regimes

WARM = 40


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=60)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    n = given.lines
    level = rng.uniform(4, 60, n).astype(np.float32)
    lines = np.arange(n, dtype=np.int32)
    regimes = Regimes(n)
    spent, changes = [], []
    for number in range(given.rounds):
        moved = rng.random(n, np.float32) < 1e-4
        level[moved] *= rng.uniform(0.5, 2, int(moved.sum())).astype(np.float32)
        x = level * (1 + np.float32(0.02) * rng.standard_gamma(1.0, n, np.float32))
        spikes = np.flatnonzero(rng.random(n, np.float32) < 0.01)
        x[spikes] += rng.exponential(20, spikes.size).astype(np.float32)
        x[rng.random(n, np.float32) < 0.005] = np.nan
        start = time.process_time()
        found = regimes.step(lines, x)
        if number >= WARM:
            spent.append(time.process_time() - start)
            changes.append(len(found))
    ms = 1000 * np.array(spent)
    print(f"{n} lines: median {np.median(ms):.0f} ms a round, worst {ms.max():.0f} ms")
    print(f"changes a round {np.mean(changes):.0f} (made: {n * 1e-4:.0f}); {regimes.bytes_per_line:.0f} bytes a line")


if __name__ == "__main__":
    main()
