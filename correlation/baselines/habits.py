"""What each line loses as a matter of course: a posterior mean, with a prior that the network itself teaches.

A line's loss is one of RATES; how common each is among the lines is learned from all of them (empirical Bayes, one EM
step an hour). In a clean network one loss in a hundred rows is chance; in one with many bad lines it is a habit.
`lost` and `rows` count with a memory of MEMORY_ROWS.
"""

import numpy as np
import numpy.typing as npt

from correlation.baselines.steadiness import Steadiness
from monitor.records.rounds import F32, I32

F64 = npt.NDArray[np.float64]
RATES: F64 = np.geomspace(0.001, 0.128, 8)
AT_FIRST: F64 = np.array([0.2, 0.2, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
MEMORY_ROWS = 1000.0
KNOWN_ROWS = 60  # from which a line teaches
LEAST_LINES = 50  # that must teach
DOUBT = 20.0  # lines' worth of belief in AT_FIRST that stays
PART = 65_536
HOUR_NS = 3600 * 1_000_000_000


class Habits:
    """Per line in `steadiness`: `habit_lost`, `habit_rows`. `weights` float64 [8] of RATES, sum 1."""

    def __init__(self, steadiness: Steadiness) -> None:
        self.steadiness = steadiness
        self.weights = AT_FIRST / AT_FIRST.sum()
        self.learned_ns = 0

    def take(self, lines: I32, lost: F32, rows: F32) -> F32:
        """Add `lost` of `rows` to these lines; returns what each usually loses now."""
        steady = self.steadiness
        k, n = steady.habit_lost[lines] + lost, steady.habit_rows[lines] + rows
        fade = np.minimum(MEMORY_ROWS / np.maximum(n, 1), 1).astype(np.float32)
        k, n = k * fade, n * fade
        steady.habit_lost[lines], steady.habit_rows[lines] = k, n
        usual = np.empty(lines.size, np.float32)
        for start in range(0, lines.size, PART):
            part = slice(start, start + PART)
            usual[part] = self._shares(k[part], n[part]) @ RATES
        return usual

    def learn(self, now_ns: int) -> None:
        """At most once an hour: how common each rate is among lines that are known well enough."""
        if now_ns - self.learned_ns < HOUR_NS:
            return
        steady = self.steadiness
        known = np.flatnonzero(steady.habit_rows >= KNOWN_ROWS)
        if known.size < LEAST_LINES:
            return
        self.learned_ns = now_ns
        total = DOUBT * AT_FIRST
        for start in range(0, known.size, PART):
            part = known[start : start + PART]
            total = total + self._shares(steady.habit_lost[part], steady.habit_rows[part]).sum(axis=0)
        self.weights = total / total.sum()

    def _shares(self, lost: F32, rows: F32) -> F64:
        """How likely each rate is for each line, float64 [m, 8]."""
        nats = np.log(self.weights) + lost[:, None] * np.log(RATES) + (rows - lost)[:, None] * np.log1p(-RATES)
        shares: F64 = np.exp(nats - nats.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def clock(self) -> dict[str, float]:
        named = {f"habit_weight_{i}": float(w) for i, w in enumerate(self.weights)}
        return {**named, "habits_learned_ns": self.learned_ns}

    def load(self, clock: dict[str, float]) -> None:
        self.learned_ns = int(clock.get("habits_learned_ns", 0))
        kept = [clock.get(f"habit_weight_{i}", 0.0) for i in range(RATES.size)]
        if sum(kept) > 0:
            self.weights = np.array(kept) / sum(kept)
