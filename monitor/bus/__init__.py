"""Floor 2: the one bounded queue between collectors (and people) and the engine.

Columns are bounded by rows; when the engine is behind, the *oldest* rounds go, counted, and their lines are then
simply not known for that round. Single events wait in a bound of their own, and who puts one is told when it could
not be taken. Both puts return a future that is done once the item is on disk; whoever does not care ignores it.
"""

import asyncio
import concurrent.futures
import threading
from collections import deque
from dataclasses import dataclass, field

from monitor.metrics import Metrics
from monitor.records import Event, LineValues, ProbeRound

__all__ = ["Batch", "Intake", "IntakeFull"]


class IntakeFull(RuntimeError):
    """Too many events wait for the engine: try again in a moment."""


@dataclass(slots=True)
class Batch:
    """What one engine step is given. `written` are resolved once the batch is in the journal."""

    rounds: list[ProbeRound | LineValues] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    written: list["concurrent.futures.Future[None]"] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.rounds or self.events)

    def acknowledge(self) -> None:
        for future in self.written:
            if future.set_running_or_notify_cancel():  # from here on nobody can cancel it under our hands
                future.set_result(None)


class Intake:
    """Thread-safe; many producers, one consumer (the engine's thread)."""

    def __init__(self, metrics: Metrics, max_rows: int = 4_000_000, max_events: int = 200_000) -> None:
        self._rounds: deque[tuple[ProbeRound | LineValues, concurrent.futures.Future[None]]] = deque()
        self._events: deque[tuple[Event, concurrent.futures.Future[None] | None]] = deque()
        self._rows = 0
        self._max_rows = max_rows
        self._max_events = max_events
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._closed = False
        self._dropped = metrics.counter("intake_dropped_rows_total", "rows the engine had no time for")
        self._refused = metrics.counter("intake_refused_events_total", "events refused because too many waited")
        self._depth = metrics.gauge("intake_rows", "rows waiting for the engine")

    def put_round(self, item: ProbeRound | LineValues) -> "concurrent.futures.Future[None]":
        """The future is done when the item is in the journal, and cancelled if it had to go for newer ones."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        gone: list[concurrent.futures.Future[None]] = []
        with self._ready:
            self._rounds.append((item, future))
            self._rows += len(item)
            while self._rows > self._max_rows and len(self._rounds) > 1:
                oldest, unwritten = self._rounds.popleft()
                gone.append(unwritten)
                self._rows -= len(oldest)
                self._dropped.inc(len(oldest))
            self._depth.set(self._rows)
            self._ready.notify()
        for unwritten in gone:  # outside the lock: whoever waits is called at once
            unwritten.cancel()
        return future

    def put_event(self, event: Event) -> "concurrent.futures.Future[None]":
        """Raises IntakeFull. The future is done when the event is in the journal; it may be ignored."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._ready:
            if len(self._events) >= self._max_events:
                self._refused.inc()
                raise IntakeFull(f"{len(self._events)} events wait for the engine: try again in a moment")
            self._events.append((event, future))
            self._ready.notify()
        return future

    async def submit(self, event: Event) -> None:
        """Give an event and wait until it is on disk. Raises IntakeFull."""
        await asyncio.wrap_future(self.put_event(event))

    def take(self, wait_s: float) -> Batch:
        """Everything there is, waiting up to `wait_s` for the first item; may be empty."""
        with self._ready:
            if not (self._rounds or self._events or self._closed):
                self._ready.wait(wait_s)
            written = [f for _, f in self._rounds] + [f for _, f in self._events if f]
            batch = Batch([r for r, _ in self._rounds], [e for e, _ in self._events], written)
            self._rounds.clear()
            self._events.clear()
            self._rows = 0
            self._depth.set(0)
            return batch

    def close(self) -> None:
        """Wake the consumer for good."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
