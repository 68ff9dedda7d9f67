"""How steady a line is: jitter against its own, and how often it loses several probes in a row.

Jitter is the mean absolute difference of consecutive round trips (RFC 3550's D). Evidence that it has grown is summed
as for slowness; nothing is learned meanwhile. Streaks of losses are counted for `losses`. 34 bytes a line.
"""

import numpy as np

from correlation.sets import Index
from monitor.records.rounds import F32, I32, U8

COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "last_ms": (np.float32, 0.0),  # 0: no reply yet
    "jitter_ms": (np.float32, 0.0),
    "usual_ms": (np.float32, 0.0),
    "jitter_sum": (np.float32, 0.0),
    "before_loss": (np.float32, 0.0),  # evidence of loss before the present streak
    "run": (np.uint8, 0),  # lost in a row
    "block_rows": (np.uint8, 0),
    "block_loss": (np.float32, 0.0),  # summed up in the present block
    "habit_lost": (np.float32, 0.0),  # see `habits`
    "habit_rows": (np.float32, 0.0),
}
QUICK, SLOWLY = np.float32(0.15), np.float32(0.01)
TIMES = 6.0  # jitter is conspicuous from so many times the usual,
LEAST_MS, LEAST_RATIO = 15.0, 0.3  # and so many ms, and such a share of the round trip
STEP_MAX = 3.0


class Steadiness:
    """Columns of n lines, named in COLUMNS."""

    last_ms: F32
    jitter_ms: F32
    usual_ms: F32
    jitter_sum: F32
    before_loss: F32
    run: U8
    block_rows: U8
    block_loss: F32
    habit_lost: F32
    habit_rows: F32

    def __init__(self, lines: int) -> None:
        for name, (kind, _) in COLUMNS.items():
            setattr(self, name, np.zeros(lines, kind))

    def replies(self, lines: Index, rtt_ms: F32, limit: float) -> None:
        """One reply of each line. `limit`: where the sum of evidence decides."""
        last = self.last_ms[lines]
        known = last > 0
        difference = np.where(known, np.abs(rtt_ms - last), 0).astype(np.float32)
        usual = np.where(self.usual_ms[lines] > 0, self.usual_ms[lines], 0.02 * rtt_ms + 0.5).astype(np.float32)
        bound = np.maximum(np.maximum(TIMES * usual, LEAST_MS), LEAST_RATIO * rtt_ms)
        step = np.clip(2 * difference / bound - 1, -1, STEP_MAX)
        total = np.clip(self.jitter_sum[lines] + np.where(known, step, 0), 0, 2 * limit).astype(np.float32)
        self.jitter_sum[lines] = total
        self.jitter_ms[lines] += QUICK * (difference - self.jitter_ms[lines])
        calm = known & (total < 0.3 * limit)
        clipped = np.minimum(difference, 4 * usual)
        self.usual_ms[lines] = np.where(calm, usual + SLOWLY * (clipped - usual), usual)
        self.last_ms[lines] = rtt_ms

    def save(self) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
        return {f"steady_{name}": getattr(self, name).copy() for name in COLUMNS}

    def load(self, arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]) -> None:
        for name in COLUMNS:
            saved = arrays.get(f"steady_{name}")
            if saved is not None and saved.shape == getattr(self, name).shape:
                getattr(self, name)[:] = saved

    def remap(self, to: I32, lines: int) -> "Steadiness":
        fresh = Steadiness(lines)
        kept = np.flatnonzero(to >= 0)
        for name in COLUMNS:
            getattr(fresh, name)[to[kept]] = getattr(self, name)[kept]
        return fresh
