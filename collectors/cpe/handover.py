"""Hands events and values to the engine, and says which messages may be acknowledged.

What the engine has no room for waits here, in order and unacknowledged; values are gathered into columns and handed
over about once a second. A message is acknowledged once everything that followed from it is on disk.
"""

from collections import deque
from collections.abc import Callable

from collectors.base import CollectorContext
from collectors.cpe.inflight import Columns, InFlight, Ticket
from monitor.bus import IntakeFull
from monitor.inventory import Inventory
from monitor.records import Event, ValueKind

SOURCE = "mqtt"
SUBJECT = "source:mqtt"
MAX_WAITING = 20_000
MAX_ROWS = 50_000
IDLE_FLUSH_S = 0.05


class Handover:
    """`now_s`: a monotonic clock in seconds."""

    def __init__(self, context: CollectorContext, batch_s: float, now_s: Callable[[], float]) -> None:
        self._context = context
        self._batch_s = batch_s
        self._now_s = now_s
        self.inflight = InFlight()
        self.inventory: Inventory = context.inventory()  # that of the rows gathered
        self._columns = Columns()
        self._columns_since_s = 0.0
        self._waiting: deque[tuple[Event, Ticket | None]] = deque()
        metrics = context.metrics
        self.dropped = metrics.counter("cpe_dropped_total", "messages or fields not used, by reason", ["reason"])
        self._acknowledged = metrics.counter("cpe_acknowledged_total", "messages acknowledged to the broker")
        self._unacknowledged = metrics.gauge("cpe_unacknowledged", "messages not yet on disk")

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped.labels(reason).inc(count)

    @property
    def busy(self) -> bool:
        return bool(len(self.inflight) or len(self._columns) or self._waiting)

    def event(self, event: Event, ticket: Ticket | None) -> bool:
        """One more thing that follows from this message. False when it had to be dropped."""
        if ticket is not None:
            ticket.pending += 1
        return self.offer(event, ticket)

    def offer(self, event: Event, ticket: Ticket | None) -> bool:
        """As `event`, for what the ticket counts already."""
        if not self._waiting and self._put(event, ticket):
            return True
        if ticket is None and event.subject != SUBJECT and len(self._waiting) >= MAX_WAITING:
            self.drop("engine_behind")  # QoS 0: nobody would send it again
            return False
        self._waiting.append((event, ticket))
        return True

    def values(self, line: int, values: list[tuple[ValueKind, float]], at_ns: int, ticket: Ticket | None) -> None:
        if not len(self._columns):
            self._columns_since_s = self._now_s()
        self._columns.add(line, values, at_ns, ticket)
        if len(self._columns) >= MAX_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand over the values gathered so far, for the inventory as it is now."""
        tickets, self._columns.tickets = self._columns.tickets, []
        if not len(self._columns):
            return
        values = self._columns.take(SOURCE, self._context.inventory(), self.inventory)
        future = self._context.sink.put_round(values) if len(values) else None
        for ticket in tickets:
            ticket.pending -= 1
            if future is not None:
                ticket.waits.append(future)

    def retry(self) -> None:
        """Offer again what the engine had no room for."""
        while self._waiting and self._put(*self._waiting[0]):
            self._waiting.popleft()

    def tick(self, acknowledge: Callable[[int, int], None], message_s: float) -> None:
        """Hand over what is due, and acknowledge what is on disk. `message_s`: when the last message came."""
        now_s = self._now_s()
        if len(self._columns):
            # A broker that waits for our acknowledgements sends nothing more: then there is nothing to wait for.
            stalled = self._columns.tickets and now_s - message_s > IDLE_FLUSH_S
            if stalled or now_s - self._columns_since_s >= self._batch_s:
                self.flush()
        self._acknowledged.inc(self.inflight.settle(acknowledge))
        self._unacknowledged.set(len(self.inflight))

    def _put(self, event: Event, ticket: Ticket | None) -> bool:
        try:
            future = self._context.sink.put_event(event)
        except IntakeFull:
            return False
        if ticket is not None:
            ticket.pending -= 1
            ticket.waits.append(future)
        return True
