"""The sequence table: what is on its way, by serial number.

Serial numbers are handed out in the order of sending and every probe has the same timeout, so the table is a queue in
a ring: a probe enters at the end, and leaves at the head once its time is over. A look-up is an index, an expiry moves
the head, and when more is on its way than the ring holds, the ring doubles: it cannot run out. What has left is known
by its serial number alone (it is smaller than the head's). Times are monotonic nanoseconds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.icmp.siphash import U64
from monitor.records.rounds import I32, I64, U8, U16

PENDING, ANSWERED = 0, 1
Bools = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Expired:
    """Probes whose time is over without an answer, n rows. `uncertain`: the reply may have been lost by our socket."""

    job: I32
    row: I32
    probe: U16
    uncertain: Bools


class Window:
    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = 1 << max(capacity - 1, 1).bit_length()
        self.head = 0  # the oldest serial number in the table
        self.next = 0  # the one that the next probe gets
        self._make(self._capacity)

    def _make(self, capacity: int) -> None:
        self._capacity = capacity
        self.state: U8 = np.zeros(capacity, np.uint8)
        self.tainted: Bools = np.zeros(capacity, np.bool_)
        self.job: I32 = np.zeros(capacity, np.int32)
        self.row: I32 = np.zeros(capacity, np.int32)
        self.probe: U16 = np.zeros(capacity, np.uint16)
        self.sent_ns: I64 = np.zeros(capacity, np.int64)
        self.nonce: U64 = np.zeros(capacity, np.uint64)
        self.high: U64 = np.zeros(capacity, np.uint64)
        self.low: U64 = np.zeros(capacity, np.uint64)

    def __len__(self) -> int:
        return self.next - self.head

    @property
    def capacity(self) -> int:
        return self._capacity

    def runs(self, first: int, count: int) -> list[slice]:
        """The places of `count` serial numbers from `first` on: one run of the ring, or two where it wraps."""
        low = first & (self._capacity - 1)
        high = low + count
        if high <= self._capacity:
            return [slice(low, high)]
        return [slice(low, self._capacity), slice(0, high - self._capacity)]

    def push(self, job: int, rows: I32, probe: int, sent_ns: I64, nonce: U64, high: U64, low: U64) -> None:
        """Enter probes that were sent, in the order of their serial numbers (which go on from `next`)."""
        count = len(rows)
        if len(self) + count > self._capacity:
            self._grow(len(self) + count)
        done = 0
        for at in self.runs(self.next, count):
            part = slice(done, done + at.stop - at.start)
            self.state[at] = PENDING
            self.tainted[at] = False
            self.job[at] = job
            self.row[at] = rows[part]
            self.probe[at] = probe
            self.sent_ns[at] = sent_ns[part]
            self.nonce[at] = nonce[part]
            self.high[at] = high[part]
            self.low[at] = low[part]
            done = part.stop
        self.next += count

    def _grow(self, needed: int) -> None:
        old = self.runs(self.head, len(self))
        held = [np.concatenate([column[at] for at in old]) for column in self._columns()]
        self._make(1 << (needed - 1).bit_length())
        done = 0
        for at in self.runs(self.head, len(self)):
            end = done + at.stop - at.start
            for column, values in zip(self._columns(), held, strict=True):
                column[at] = values[done:end]
            done = end

    def _columns(self) -> list[npt.NDArray[np.generic]]:
        ids = (self.state, self.tainted, self.job, self.row, self.probe)
        return [*ids, self.sent_ns, self.nonce, self.high, self.low]

    def find(self, serial: U64) -> tuple[Bools, I64]:
        """Which of these serial numbers are in the table (bool [n]), and their places (int64 [n], 0 where not)."""
        offset = serial - np.uint64(self.head)  # wraps for what is older than the head, and is then too large
        inside = offset < np.uint64(len(self))
        place = (serial & np.uint64(self._capacity - 1)).astype(np.int64)
        return inside, place if inside.all() else np.where(inside, place, 0)

    def taint(self) -> int:
        """Our socket has dropped something: whatever is not answered yet is uncertain. Returns how many."""
        count = 0
        for at in self.runs(self.head, len(self)):
            waiting = self.state[at] == PENDING
            self.tainted[at] |= waiting
            count += int(waiting.sum())
        return count

    def expire(self, before_ns: int) -> Expired | None:
        """Let go of what was sent at or before `before_ns`; the unanswered of these, or None when nothing left."""
        if not len(self) or self.oldest_ns() > before_ns:
            return None
        lost: list[I64] = []
        for at in self.runs(self.head, len(self)):
            count = int(np.searchsorted(self.sent_ns[at], before_ns, "right"))
            lost.append(np.flatnonzero(self.state[at][:count] == PENDING) + at.start)
            self.head += count
            if count < at.stop - at.start:
                break
        where = np.concatenate(lost)
        return Expired(self.job[where], self.row[where], self.probe[where], self.tainted[where])

    def oldest_ns(self) -> int:
        """When the oldest probe in the table was sent; only if it is not empty."""
        return int(self.sent_ns[self.head & (self._capacity - 1)])
