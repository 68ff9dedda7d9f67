"""The probing loop's body: jobs are sent at their pace, replies and expiries reach the rows they belong to.

`tick` does all that is due and returns; the caller sleeps until `wake_ns`. The engine knows positions in a target
table and nothing of lines. A target whose address changes drops out of the jobs that have begun it, so that no reply
to the old address is ever counted for it. Times are monotonic nanoseconds.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from collectors.icmp.job import TICK_NS, Job, Priority, Results
from collectors.icmp.lane import Lane
from collectors.icmp.siphash import U64
from monitor.records.rounds import I32, U8

CATCH_UP_S = 0.02
JUDGE_NS = 2 * TICK_NS[0]  # replies carry the kernel's stamp: they lose nothing by waiting for each other
SLICE_NS = 1_000_000_000
MISSED_NS = 250_000_000  # with a miss among the rows: whoever decides is to ask again soon
ANSWER_NS = 100_000_000  # results of a request are handed out this often


@dataclass(slots=True)
class Table:
    """m targets: `family` uint8 [m] (4, 6, or 0: not to be probed), `high`, `low` uint64 [m] the address (an IPv4
    address in `low`)."""

    family: U8
    high: U64
    low: U64

    def __len__(self) -> int:
        return len(self.family)

    @classmethod
    def empty(cls) -> "Table":
        return cls(np.zeros(0, np.uint8), np.zeros(0, np.uint64), np.zeros(0, np.uint64))


class Engine:
    def __init__(
        self,
        lanes: Mapping[int, Lane],
        extra_pps: float = 1e9,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`lanes` by family; `extra_pps` is the budget of probes a second for lookups and confirmations together."""
        self.lanes = dict(lanes)
        self.table = Table.empty()
        self.jobs: list[Job] = []
        self.faults: Counter[str] = Counter()
        self.sent = 0  # probes, ever
        self._extra_pps = extra_pps
        self._tokens = 0.0
        self._tokens_ns = now_ns()
        self._now_ns = now_ns
        self._by_number: dict[int, Job] = {}
        self._next_number = 1
        self._handed_ns: dict[int, int] = {}
        self._ticked_ns = self._judged_ns = 0
        self._impatient = any(lane.transport.wakes for lane in self.lanes.values())

    def use_table(self, table: Table) -> None:
        """Replace all targets: every job ends here, what is on its way counts for nobody."""
        self.table = table
        for job in list(self.jobs):
            self.cancel(job)

    def rebind(self, positions: I32, family: U8, high: U64, low: U64) -> None:
        """These targets have another address now (family 0: none)."""
        self.table.family[positions] = family
        self.table.high[positions] = high
        self.table.low[positions] = low
        for job in self.jobs:
            rows = job.rows_at(positions)
            job.drop(rows[rows < job.begun])

    def add(
        self,
        positions: I32,
        *,
        probes: int,
        rate_pps: float,
        spacing_ns: int,
        priority: Priority = Priority.ROUND,
        request_id: int = 0,
        deadline_ns: int | None = None,
    ) -> Job:
        """Begin a job now; arguments as for Job."""
        now = self._now_ns()
        job = Job(
            self._next_number,
            positions,
            probes=probes,
            rate_pps=rate_pps,
            spacing_ns=spacing_ns,
            start_ns=now,
            priority=priority,
            request_id=request_id,
            deadline_ns=deadline_ns,
        )
        self._next_number = (self._next_number + 1) & 0x3FFFFFFF  # an int32 in the sequence table
        self.jobs.append(job)
        self.jobs.sort(key=lambda j: j.priority)
        self._by_number[job.number] = job
        self._handed_ns[job.number] = now
        return job

    def cancel(self, job: Job) -> None:
        self.jobs.remove(job)
        del self._by_number[job.number], self._handed_ns[job.number]

    def rotate(self) -> None:
        """New identifiers: once a round."""
        for lane in self.lanes.values():
            lane.rotate()

    def tick(self) -> None:
        """Read, send what is due, and let go of what has waited its time out."""
        now = self._ticked_ns = self._now_ns()
        judging = now - self._judged_ns >= JUDGE_NS or self._impatient
        if judging:
            self._judged_ns = now
            self._drain()
        ceiling = max(1.0, self._extra_pps * CATCH_UP_S)
        self._tokens = min(ceiling, self._tokens + (now - self._tokens_ns) / 1e9 * self._extra_pps)
        self._tokens_ns = now
        for job in self.jobs:
            extra = job.priority in (Priority.LOOKUP, Priority.CONFIRM)
            limit = int(self._tokens) if extra else 4096
            for probe, low, high in job.due(now, limit):
                if extra:
                    self._tokens -= high - low
                self._send(job, probe, low, high)
        if judging:
            self._expire()

    def _send(self, job: Job, probe: int, low: int, high: int) -> None:
        rows = np.arange(low, high, dtype=np.int32)
        gone = job.dropped(rows)
        if gone.any():
            rows = rows[~gone]
        positions = job.positions[rows]
        family = self.table.family[positions]
        kinds = family[:1].tolist() if (family == family[:1]).all() else np.unique(family).tolist()
        for one in kinds:
            mask = slice(None) if len(kinds) == 1 else family == one
            mine, where = rows[mask], positions[mask]
            lane = self.lanes.get(one)
            if one == 0:
                job.drop(mine)
            elif lane is None:
                self.faults[f"no_socket_ipv{one}"] += len(mine)
                job.is_unknown(mine)
            else:
                at_ns = lane.send(job.number, mine, probe, self.table.high[where], self.table.low[where], self._drain)
                out = at_ns > 0
                self.sent += int(out.sum())
                if out.all():
                    job.was_sent(mine, at_ns)
                else:
                    job.was_sent(mine[out], at_ns[out])
                    job.is_unknown(mine[~out])

    def _drain(self) -> None:
        for lane in self.lanes.values():
            for replies in lane.drain():
                for job, mask in self._split(replies.job):
                    job.was_answered(replies.row[mask], replies.probe[mask], replies.rtt_ms[mask])

    def _expire(self) -> None:
        for lane in self.lanes.values():
            expired = lane.expire()
            if expired is not None:
                for job, mask in self._split(expired.job):
                    uncertain = expired.uncertain[mask]
                    rows = expired.row[mask]
                    job.was_lost(rows[~uncertain])
                    job.is_unknown(rows[uncertain])
            if lane.counts:
                self.faults.update({name: count for name, count in lane.counts.items() if count})
                lane.counts.clear()

    def _split(self, numbers: I32) -> "list[tuple[Job, slice | np.ndarray[tuple[int], np.dtype[np.bool_]]]]":
        """The jobs that these rows belong to; rows of a job that has ended belong to none."""
        if not len(numbers):
            return []
        if (numbers == numbers[0]).all():
            job = self._by_number.get(int(numbers[0]))
            return [(job, slice(None))] if job else []
        found = [(self._by_number.get(n), numbers == n) for n in np.unique(numbers).tolist()]
        return [(job, mask) for job, mask in found if job is not None]

    def results(self) -> list[tuple[Job, Results | None]]:
        """Finished rows of every job that has waited long enough to hand some out; a job that is done comes with its
        last rows (or None) and is forgotten."""
        now = self._now_ns()
        ready: list[tuple[Job, Results | None]] = []
        for job in list(self.jobs):
            wait = _hand_out_ns(job)
            ends = job.deadline_ns is not None and now > job.deadline_ns
            if not ends and now - self._handed_ns[job.number] < wait:
                continue
            self._handed_ns[job.number] = now
            results = job.take()
            if results is not None or job.finished:
                ready.append((job, results))
            if job.finished or ends:
                self.cancel(job)
        return ready

    def wake_ns(self) -> int | None:
        """When there is something to do again; None while there is nothing."""
        due = [at for job in self.jobs if (at := job.next_due_ns()) is not None]
        expiries = [at for lane in self.lanes.values() if (at := lane.expires_ns()) is not None]
        hand_out = [self._handed_ns[job.number] + _hand_out_ns(job) for job in self.jobs]
        soonest = min([*due, *expiries, *hand_out], default=None)
        tick_ns = min((job.tick_ns for job in self.jobs), default=TICK_NS[0])
        return None if soonest is None else max(soonest, self._ticked_ns + tick_ns)

    def close(self) -> None:
        for lane in self.lanes.values():
            lane.close()


def _hand_out_ns(job: Job) -> int:
    """How long finished rows may gather: short for who waits for an answer, after a miss, and at the end of a round."""
    if job.priority is not Priority.ROUND or job.next_due_ns() is None:
        return ANSWER_NS
    return MISSED_NS if job.missed else SLICE_NS
