"""When what is probed by schedule: the round of all lines and nodes, and the references between.

A round begins every interval and is spread evenly over it, less the time in which its last replies may come. It never
overlaps the next: one that does not fit delays it, and its note says that it overran. Monotonic nanoseconds.
"""

import time
from collections import Counter

import numpy as np

from collectors.icmp.engine import Engine
from collectors.icmp.job import Job, Priority, Results
from collectors.icmp.messages import Start
from monitor.records.rounds import RoundNote

MARGIN_S = 0.25  # for handing over the last rows
ALIGN_SHARE = 0.5  # at least this share of the interval is sent in, whatever the timeout


class Rounds:
    def __init__(self, engine: Engine, start: Start) -> None:
        self._engine = engine
        self._start = start
        self._interval_ns = int(start.interval_s * 1e9)
        self._reference_ns = int(start.reference_interval_s * 1e9)
        self._rows = self._all = 0
        self._stretch_s = 0.0
        self._round: Job | None = None
        self._reference: Job | None = None
        self._next_round_ns: int | None = None
        self._next_reference_ns: int | None = None
        self._round_id = start.round_id - 1
        self._totals: Counter[str] = Counter()
        self._notes: list[RoundNote] = []
        self._skip = 0

    def use(self, round_rows: int, all_rows: int, stretch_s: float) -> None:
        """The targets were replaced. A round that was under way goes on from where it was, in the new order, so that
        nobody waits for two intervals."""
        now = time.monotonic_ns()
        done = self._round.begun / max(len(self._round), 1) if self._round else 0.0
        self._skip = int(done * round_rows) % max(round_rows, 1)
        self._round = self._reference = None
        self._rows, self._all, self._stretch_s = round_rows, all_rows, stretch_s
        self._next_round_ns = now if round_rows else None
        self._next_reference_ns = now if all_rows > round_rows else None

    def begin_due(self) -> None:
        now = time.monotonic_ns()
        if self._next_round_ns is not None and self._round is None and now >= self._next_round_ns:
            self._begin_round(now)
        if self._next_reference_ns is not None and self._reference is None and now >= self._next_reference_ns:
            self._next_reference_ns = max(self._next_reference_ns + self._reference_ns, now)
            positions = np.arange(self._rows, self._all, dtype=np.int32)
            self._reference = self._engine.add(
                positions,
                probes=self._start.reference_probes,
                rate_pps=max(1000.0, 10.0 * len(positions)),
                spacing_ns=int(self._start.extra_spacing_s * 1e9),
                priority=Priority.REFERENCE,
            )

    def _begin_round(self, now: int) -> None:
        start = self._start
        positions = np.arange(self._skip, self._rows, dtype=np.int32)
        share = len(positions) / self._rows
        tail_s = start.timeout_s + (start.probes - 1) * start.spacing_s + MARGIN_S
        window_s = max(start.interval_s - tail_s, ALIGN_SHARE * start.interval_s, self._stretch_s)
        self._engine.rotate()
        self._round = self._engine.add(
            positions,
            probes=start.probes,
            rate_pps=min(len(positions) * start.probes / (window_s * share), start.rate_pps),
            spacing_ns=int(start.spacing_s * 1e9),
        )
        self._round_id += 1
        self._totals.clear()
        # A part of a round (after a reload) takes a part of the interval.
        slot = now if self._skip or self._next_round_ns is None else self._next_round_ns
        self._next_round_ns = max(slot + int(self._interval_ns * share), now)
        self._skip = 0

    def note(self, job: Job, results: Results | None) -> int:
        """Take results into the round's totals; returns the number of the round they belong to."""
        if job is self._reference and job.finished:
            self._reference = None
        if job is not self._round:
            return self._round_id if job.priority is Priority.REFERENCE else 0
        if results is not None:
            self._totals["targets"] += len(results.position)
            self._totals["sent"] += int(results.sent.sum())
            self._totals["received"] += int(results.received.sum())
            self._totals["uncertain"] += int((results.sent < self._start.probes).sum())
        if job.finished:
            self._end_round(job)
        return self._round_id

    def _end_round(self, job: Job) -> None:
        now = time.monotonic_ns()
        took_ns = now - job.begun_ns
        overran = took_ns > self._interval_ns
        if overran:
            self._next_round_ns = now
        self._round = None
        self._notes.append(
            RoundNote(
                source=self._start.source,
                round_id=self._round_id,
                targets=self._totals["targets"],
                sent=self._totals["sent"],
                received=self._totals["received"],
                uncertain=self._totals["uncertain"],
                duration_s=took_ns / 1e9,
                overran=overran,
                faults=dict(self._engine.faults),
            )
        )
        self._engine.faults.clear()

    def finished(self) -> list[RoundNote]:
        """The notes of rounds that ended since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def next_ns(self) -> int | None:
        """When the next round or probe of the references begins."""
        times = [
            at
            for at, job in ((self._next_round_ns, self._round), (self._next_reference_ns, self._reference))
            if at is not None and job is None
        ]
        return min(times, default=None)
