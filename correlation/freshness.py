"""Lines of which nothing has been heard for too long are not down: they are unknown.

A look at every line twice a round would make a quiet round of a large network as dear as a full one. So it is known
when the first line can grow stale, and nobody is looked at before. That time only moves forward when lines are heard;
what moves it back is written down here: a row that came late, another sign than a probe, a source that has become
quicker.
"""

import numpy as np
import numpy.typing as npt

from correlation.belief import forget
from correlation.lines import LineTable
from correlation.settings import EvidenceSettings
from monitor.records import LineState
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
NEVER = np.iinfo(np.int64).max
PIECE = 65_536  # lines at a time: what is worked out of them stays in the processor's cache


class Freshness:
    """`due_ns`: until then no line grows stale, as long as intervals are those of `limit_ns` int64 per source index."""

    def __init__(self, table: LineTable, settings: EvidenceSettings) -> None:
        self.table = table
        self.settings = settings
        self.due_ns = 0  # nothing is known yet: the first look is at everybody
        self.limit_ns: I64 = np.zeros(256, np.int64)

    def probed(self, at_ns: I64) -> None:
        """Rows of these times were applied."""
        if at_ns.size:
            self.due_ns = min(self.due_ns, int(at_ns.min()) + int(self.limit_ns.min()))

    def told(self, lines: npt.NDArray[np.integer]) -> None:
        """Something else than a probe was applied to these lines, which may make a line known that is not probed."""
        lines = lines[self.table.seen_ns(lines) > 0]
        if lines.size:
            self.due_ns = min(self.due_ns, int(self._until(lines).min()))

    def review(self, now_ns: int, interval_ns: I64) -> I32:
        """Lines that have become UNKNOWN now, ascending. `interval_ns` int64 per source index."""
        limit: I64 = (interval_ns * self.settings.stale_intervals).astype(np.int64)
        sooner = max(int((self.limit_ns - limit).max()), 0)
        if now_ns <= self.due_ns - sooner:
            return np.zeros(0, np.int32)
        self.limit_ns, self.due_ns = limit, NEVER
        table, found = self.table, []
        for low in range(0, len(table), PIECE):
            piece = slice(low, low + PIECE)
            until = np.where(table.state[piece] == LineState.UNKNOWN, NEVER, self._until(piece))
            stale = until < now_ns
            if stale.any():
                found.append(np.flatnonzero(stale) + low)
                until = until[~stale]
            self.due_ns = min(self.due_ns, int(until.min(initial=NEVER)))
        lines = np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int32)
        forget(table, lines, now_ns)
        return lines

    def _until(self, rows: npt.NDArray[np.integer] | slice) -> I64:
        """Until when these lines count as heard: some rounds after the last probe, some beats after another sign of
        life; a line that is known by such signs alone says itself when it goes."""
        table = self.table
        alive, probed, beat_s = table.alive_ns[rows], table.probed_ns[rows], table.beat_s[rows]
        beat = np.where(np.isnan(beat_s), 1200.0, np.maximum(beat_s * 3, 30.0))
        lives = alive > 0
        until: I64 = np.maximum(
            probed + self.limit_ns[table.source[rows]], np.where(lives, alive + (beat * NS).astype(np.int64), 0)
        )
        until[(probed == 0) & lives] = NEVER
        return until
