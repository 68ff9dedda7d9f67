"""What is known of every line, as columns: about 150 bytes a line, whatever the number of probes.

One writer (the engine's step). The columns are saved and remapped by name, so a new one is a line here.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from monitor.records import LineState
from monitor.records.rounds import F32, I32, I64, U8, U16

COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "belief": (np.float32, 0.0),  # log-odds of down
    "reply": (np.float32, 0.99),  # learned reply rate of a probe while up
    "state": (np.uint8, 0),
    "known": (np.uint8, 0),  # the last state that was not UNKNOWN
    "since_ns": (np.int64, 0),
    "down_ns": (np.int64, 0),  # when it was last seen to go down (backdated)
    "probed_ns": (np.int64, 0),
    "replied_ns": (np.int64, 0),
    "miss_ns": (np.int64, 0),  # first miss of the present streak, 0: none
    "alive_ns": (np.int64, 0),  # last sign of life that is no ping
    "beat_s": (np.float32, np.nan),  # learned interval between such signs
    "misses": (np.uint8, 0),  # rows missed in the present streak
    "blip_s": (np.uint32, 0),  # when the last streak began that a reply has ended
    "source": (np.uint8, 0),
    "rtt_ms": (np.float32, np.nan),
    "loss": (np.float32, np.nan),
    "slot": (np.int32, -1),  # the unresolved incident that holds the line
    "asked": (np.bool_, 0),  # a confirmation was asked for in this streak
    # slow and unstable lines (correlation.slow)
    "baseline_ms": (np.float32, np.nan),
    "spread_ms": (np.float32, np.nan),
    "recent_ms": (np.float32, np.nan),
    "samples": (np.uint16, 0),
    "slow_sum": (np.float32, 0.0),
    "loss_sum": (np.float32, 0.0),
    "usual_loss": (np.float32, 0.01),
    "well": (np.uint16, 0),
    "flagged": (np.uint16, 0),
    # the two addresses of a line that has IPv4 and IPv6 (correlation.families)
    "replied4_ns": (np.int64, 0),
    "replied6_ns": (np.int64, 0),
    "miss4_ns": (np.int64, 0),  # first miss of the present streak, 0: it answers
    "miss6_ns": (np.int64, 0),
    "lost4": (np.uint8, 0),  # probes missed in it
    "lost6": (np.uint8, 0),
    "slow_since_s": (np.uint32, 0),  # when the sums last left zero: that dates a flag
    "loss_since_s": (np.uint32, 0),
}
FLAP_BUCKETS = 4


class LineTable:
    """Columns of n rows, named in COLUMNS, and `flaps` uint8 [4, n]: falls in each of the last four six-hour spans."""

    belief: F32
    reply: F32
    state: U8
    known: U8
    since_ns: I64
    down_ns: I64
    probed_ns: I64
    replied_ns: I64
    miss_ns: I64
    alive_ns: I64
    beat_s: F32
    misses: U8
    blip_s: npt.NDArray[np.uint32]
    source: U8
    rtt_ms: F32
    loss: F32
    slot: I32
    asked: npt.NDArray[np.bool_]
    baseline_ms: F32
    spread_ms: F32
    recent_ms: F32
    samples: U16
    slow_sum: F32
    loss_sum: F32
    usual_loss: F32
    well: U16
    flagged: U16
    replied4_ns: I64
    replied6_ns: I64
    miss4_ns: I64
    miss6_ns: I64
    lost4: U8
    lost6: U8
    slow_since_s: npt.NDArray[np.uint32]
    loss_since_s: npt.NDArray[np.uint32]

    def __init__(self, lines: int, reply_prior: float = 0.99) -> None:
        for name, (kind, fill) in COLUMNS.items():
            # Zeros take no memory until they are written: second addresses, or signs that nobody sends, never are.
            setattr(self, name, np.zeros(lines, kind) if fill == 0 else np.full(lines, fill, kind))
        self.reply[:] = reply_prior
        self.flaps = np.zeros((FLAP_BUCKETS, lines), np.uint8)
        self.flap_quarter = 0

    def __len__(self) -> int:
        return int(self.state.shape[0])

    def columns(self) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        for name in COLUMNS:
            yield name, getattr(self, name)

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        saved = {f"line_{name}": column.copy() for name, column in self.columns()}
        return {**saved, "line_flaps": self.flaps.copy(), "line_flap_quarter": np.array([self.flap_quarter], np.int64)}

    @classmethod
    def load(cls, arrays: dict[str, npt.NDArray[np.generic]], lines: int) -> "LineTable":
        """Raises ValueError when a saved column has another length. A column that was not saved starts afresh."""
        table = cls(lines)
        for name, column in table.columns():
            saved = arrays.get(f"line_{name}")
            if saved is not None:
                if saved.shape != column.shape:
                    raise ValueError(f"saved column {name} has {saved.shape[0]} lines, the inventory has {lines}")
                column[:] = saved
        if "line_flaps" in arrays:
            table.flaps[:] = arrays["line_flaps"]
            table.flap_quarter = int(arrays["line_flap_quarter"][0])
        return table

    def remap(self, to: I32, lines: int, reply_prior: float) -> "LineTable":
        """The same knowledge in the rows of another inventory: row i goes to `to[i]`, -1 is forgotten."""
        table = LineTable(lines, reply_prior)
        kept = np.flatnonzero(to >= 0)
        for name, column in self.columns():
            getattr(table, name)[to[kept]] = column[kept]
        table.flaps[:, to[kept]] = self.flaps[:, kept]
        table.flap_quarter = self.flap_quarter
        return table

    def is_up(self, rows: npt.NDArray[np.integer] | slice = slice(None)) -> npt.NDArray[np.bool_]:
        state = self.state[rows]
        result: npt.NDArray[np.bool_] = (state == LineState.UP) | (state == LineState.DEGRADED)
        return result

    def seen_ns(self, rows: npt.NDArray[np.integer] | slice = slice(None)) -> I64:
        """The newest sign of life of any kind."""
        result: I64 = np.maximum(self.replied_ns[rows], self.alive_ns[rows])
        return result

    def flaps_24h(self, rows: npt.NDArray[np.integer] | slice = slice(None)) -> U16:
        total: U16 = self.flaps[:, rows].sum(axis=0, dtype=np.uint16)
        return total
