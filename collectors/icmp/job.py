"""One job: n targets, k probes each, sent at an even rate, and what became of them.

The k-th probe of a target follows its first by k x `spacing`: each probe number has a cursor of its own that walks
over the targets, so a target is done soon after it was begun, however long the job is. Rows are sent a tick's worth
at a time, 5 ms, or up to 20 ms where that is but a few probes. When the process could not run for a while, at most
`CATCH_UP_NS` or two ticks of it are made up for; the rest moves the job's end, so that there is no burst.
Rows leave through `take`, once, when the fate of all their probes is known. Times are monotonic nanoseconds.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from monitor.records.rounds import F32, I32, I64, U16

TICK_NS = (5_000_000, 20_000_000)  # least, most
TICK_ROWS = 10  # worth waking up for, if the tick need not be longer than the most for it
CATCH_UP_NS = 20_000_000


class Priority(IntEnum):
    """Who is served first when several jobs are due."""

    LOOKUP = 0
    REFERENCE = 1
    CONFIRM = 2
    ROUND = 3


@dataclass(slots=True)
class Results:
    """Finished rows, n of them: `position` into the target table, `at_ns` when the last probe went out, counts as in
    ProbeRound, times in ms (NaN without a reply; the last three None when there is one probe a target)."""

    position: I32
    at_ns: I64
    sent: U16
    received: U16
    rtt_ms: F32
    rtt_min_ms: F32 | None
    rtt_max_ms: F32 | None
    jitter_ms: F32 | None


class Job:
    def __init__(
        self,
        number: int,
        positions: I32,
        *,
        probes: int,
        rate_pps: float,
        spacing_ns: int,
        start_ns: int,
        priority: Priority = Priority.ROUND,
        request_id: int = 0,
        deadline_ns: int | None = None,
    ) -> None:
        """`rate_pps` counts probes; a target is begun every `probes / rate_pps` seconds."""
        count = len(positions)
        self.number = number
        self.positions = positions
        self.probes = probes
        self.spacing_ns = spacing_ns
        self.start_ns = start_ns
        self.begun_ns = start_ns
        self.priority = priority
        self.request_id = request_id
        self.deadline_ns = deadline_ns
        self._per_row_ns = 1e9 * probes / rate_pps
        self.tick_ns = int(min(max(TICK_ROWS * self._per_row_ns, TICK_NS[0]), TICK_NS[1]))
        self._burst = max(1, int(max(CATCH_UP_NS, 2 * self.tick_ns) / self._per_row_ns))
        self._cursor = [0] * probes
        self._first = 0  # rows before this one have left
        self._left = count
        self.missed = False  # a probe was lost since the last `take`
        self._taken: npt.NDArray[np.bool_] = np.zeros(count, np.bool_)
        self._received: U16 = np.zeros(count, np.uint16)
        self._lost: U16 = np.zeros(count, np.uint16)
        self._unknown: U16 = np.zeros(count, np.uint16)
        self._sent_ns: I64 = np.zeros(count, np.int64)
        self._rtt: F32 = np.full((count, probes), np.nan, np.float32)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def finished(self) -> bool:
        return self._left == 0

    @property
    def begun(self) -> int:
        """How many targets have been begun."""
        return self._cursor[0]

    def due(self, now_ns: int, limit: int) -> list[tuple[int, int, int]]:
        """(probe number, first row, end row) to send now, at most `limit` probes; the cursors move."""
        wanted = []
        for probe in reversed(range(self.probes)):  # what was begun is finished first
            cursor = self._cursor[probe]
            ahead = len(self) if probe == 0 else self._cursor[probe - 1]
            behind_ns = now_ns - self.start_ns - probe * self.spacing_ns
            if cursor >= ahead or behind_ns < 0:
                continue
            end = int(behind_ns / self._per_row_ns) + 1
            late = min(end, len(self)) - cursor - self._burst
            if late > 0:
                self.start_ns += int(late * self._per_row_ns)
                end -= late
            end = min(end, ahead, cursor + limit)
            if end > cursor:
                wanted.append((probe, cursor, end))
                self._cursor[probe] = end
                limit -= end - cursor
        return wanted

    def next_due_ns(self) -> int | None:
        """When the next probe is to be sent; None when all are."""
        soonest = None
        for probe, cursor in enumerate(self._cursor):
            if cursor < (len(self) if probe == 0 else self._cursor[probe - 1]):
                at = self.start_ns + probe * self.spacing_ns + math.ceil(cursor * self._per_row_ns)
                soonest = at if soonest is None else min(soonest, at)
        return soonest

    def was_sent(self, rows: I32, at_ns: I64) -> None:
        self._sent_ns[rows] = at_ns

    def was_answered(self, rows: I32, probes: U16, rtt_ms: F32) -> None:
        """Rows may repeat, with different probe numbers."""
        self._rtt[rows, probes] = rtt_ms
        if self.probes == 1:
            self._received[rows] = 1
        else:
            np.add.at(self._received, rows, np.uint16(1))

    def was_lost(self, rows: I32) -> None:
        self.missed |= len(rows) > 0
        np.add.at(self._lost, rows, np.uint16(1))

    def is_unknown(self, rows: I32) -> None:
        """Not sent, or our own socket may have dropped the reply."""
        np.add.at(self._unknown, rows, np.uint16(1))

    def drop(self, rows: I32) -> None:
        """Take rows out: they leave no result, and what is still on its way for them does not count."""
        fresh = rows[~self._taken[rows]]
        self._taken[fresh] = True
        self._left -= len(fresh)

    def dropped(self, rows: I32) -> npt.NDArray[np.bool_]:
        return self._taken[rows]

    def rows_at(self, positions: I32) -> I32:
        """The rows that stand for these table positions."""
        return np.flatnonzero(np.isin(self.positions, positions)).astype(np.int32)

    def take(self) -> Results | None:
        """The rows that were finished since the last call, or None."""
        self.missed = False
        low, high = self._first, self._cursor[0]
        known = self._received[low:high] + self._lost[low:high] + self._unknown[low:high]
        done = (known >= self.probes) & ~self._taken[low:high]
        rows = (np.flatnonzero(done) + low).astype(np.int32)
        self._taken[rows] = True
        self._left -= len(rows)
        open_rows = np.flatnonzero(~self._taken[low:high])
        self._first = low + int(open_rows[0]) if len(open_rows) else high
        return self._results(rows) if len(rows) else None

    def _results(self, rows: I32) -> Results:
        rtt = self._rtt[rows]
        received = self._received[rows]
        plain = self.probes == 1
        ordered = rtt if plain else np.sort(rtt, axis=1)  # NaN comes last
        every = np.arange(len(rows))
        last = np.maximum(received.astype(np.int64) - 1, 0)
        median = (ordered[every, last // 2] + ordered[every, (last + 1) // 2]) / np.float32(2)
        return Results(
            position=self.positions[rows],
            at_ns=self._sent_ns[rows],
            sent=received + self._lost[rows],
            received=received,
            rtt_ms=median,
            rtt_min_ms=None if plain else ordered[:, 0].copy(),
            rtt_max_ms=None if plain else ordered[every, last],
            jitter_ms=None if plain else jitter(rtt),
        )


def jitter(rtt: F32) -> F32:
    """Mean absolute difference of consecutive replies (RFC 3550's D, not smoothed), per row of `rtt` (float32 [n, k],
    NaN where there was no reply): ms, NaN with fewer than two replies."""
    total = np.zeros(len(rtt), np.float32)
    pairs = np.zeros(len(rtt), np.float32)
    before = rtt[:, 0].copy()
    for probe in range(1, rtt.shape[1]):
        now = rtt[:, probe]
        both = ~np.isnan(now) & ~np.isnan(before)
        total[both] += np.abs(now - before)[both]
        pairs += both
        before = np.where(np.isnan(now), before, now)
    return np.where(pairs > 0, total / np.maximum(pairs, 1), np.float32(np.nan)).astype(np.float32)
