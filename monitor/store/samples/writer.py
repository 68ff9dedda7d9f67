"""The queue and the thread between the core loop, which never waits, and an engine that writes.

Entries come in order and are handed on in order, everything that waits at once, every `flush_s` or when somebody
flushes. What cannot be written stays and is tried again; beyond `max_rows` the oldest go, counted and said: the daemon
does not grow because a disk is full.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from monitor.clock import Clock
from monitor.inventory import Inventory
from monitor.metrics import Metrics
from monitor.records import Change, LineValues, ProbeRound
from monitor.records.rounds import F32, U8
from monitor.store.problems import StoreProblem
from monitor.store.samples.base import Field

log = logging.getLogger("faultline.samples")


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    seq: int
    rounds: Sequence[ProbeRound | LineValues]
    inventory: Inventory

    def __len__(self) -> int:
        return sum(map(len, self.rounds))


@dataclass(frozen=True, slots=True, eq=False)
class Minute:
    """What `rollup` was given; worked out in the writer's thread."""

    at_ns: int
    inventory: Inventory
    state: U8
    rtt_ms: F32

    def __len__(self) -> int:
        return int(self.state.shape[0]) // 4  # weighs less than a row of a round


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    at_ns: int
    name: str
    tags: Mapping[str, str]
    fields: Mapping[str, Field]

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    changes: Sequence[Change]

    def __len__(self) -> int:
        return len(self.changes)


Entry = Rounds | Minute | Point | Changes


class Writer:
    """`write` gets what waits, oldest first, in the writer's thread; it raises StoreProblem or OSError when it cannot,
    and is then given the same again, with what has come since."""

    def __init__(
        self,
        write: Callable[[list[Entry]], None],
        flush_s: float,
        max_rows: int,
        metrics: Metrics,
        clock: Clock,
        ready_rows: int = 500_000,
    ) -> None:
        self._write = write
        self._flush_s = flush_s
        self._max_rows = max_rows
        self._ready_rows = min(ready_rows, max_rows)
        self._clock = clock
        self._troubles = metrics.troubles
        self._dropped = metrics.counter(
            "samples_dropped_rows_total", "samples given up because they could not be written"
        )
        self._waiting = metrics.gauge("samples_waiting_rows", "samples in memory, not yet written")
        self._entries: deque[Entry] = deque()
        self._rows = 0
        self._added = 0  # entries ever
        self._done = 0  # of those, written or given up
        self._failures = 0
        self._wanted = 0  # flush up to this entry
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="samples-writer", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        with self._changed:
            self._entries.append(entry)
            self._added += 1
            self._rows += len(entry)
            while self._rows > self._max_rows and len(self._entries) > 1:
                lost = self._entries.popleft()
                self._done += 1
                self._rows -= len(lost)
                self._dropped.inc(len(lost))
            self._waiting.set(self._rows)
            if self._rows >= self._ready_rows:
                self._changed.notify_all()

    def waiting(self) -> list[Entry]:
        """What is not written yet (a snapshot, for readers)."""
        with self._changed:
            return list(self._entries)

    def flush(self) -> bool:
        """Have everything put so far written; False when it could not be."""
        with self._changed:
            target, failures = self._added, self._failures
            if self._done >= target:
                return True
            self._wanted = max(self._wanted, target)
            self._changed.notify_all()
            while self._done < target and self._failures == failures and self._thread.is_alive():
                self._changed.wait(0.5)
            return self._done >= target

    def close(self) -> None:
        self.flush()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_due, self._flush_s)
                if self._closing:
                    return
                batch = list(self._entries)
            if batch:
                self._attempt(batch)

    def _is_due(self) -> bool:
        return self._closing or self._wanted > self._done or (self._rows >= self._ready_rows and not self._failures)

    def _attempt(self, batch: list[Entry]) -> None:
        try:
            self._write(batch)
        except Exception as error:
            text = str(error) if isinstance(error, StoreProblem | OSError) else f"unexpected error: {error!r}"
            if not isinstance(error, StoreProblem | OSError) and not self._failures:
                log.exception("samples could not be written")
            self._troubles.begin("samples", f"samples are not written: {text}; tried again", self._clock.now_ns())
            with self._changed:
                self._failures += 1
                self._wanted = 0
                self._changed.notify_all()
            return
        with self._changed:
            last = batch[-1]
            while self._entries:  # those that were given up meanwhile are gone already
                entry = self._entries.popleft()
                self._done += 1
                self._rows -= len(entry)
                if entry is last:
                    break
            self._failures = 0
            self._waiting.set(self._rows)
            self._changed.notify_all()
        self._troubles.end("samples", self._clock.now_ns())
