"""From a message of the broker to records: who speaks, what it means, and when its acknowledgement is due.

Runs on the event loop, straight from paho's callback, so there is no queue that a crash could lose. Availability
becomes `cpe_online` / `cpe_offline`; telemetry becomes LineValues in columns (about one a second) and events.
A state (online, offline, dying gasp, LOS) whose time is not known carries the value "retained": what the broker kept
for us (retained, or queued while we were away), and last wills in the instant in which the broker itself went down.
It is how things stand, never an onset. Values queued without a time of their own get that of their arrival.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from collectors.base import CollectorContext
from collectors.cpe.inflight import Columns, InFlight, Ticket
from collectors.cpe.routers import Routers
from collectors.cpe.settings import CpeSettings
from collectors.cpe.telemetry import Refused, parse_availability, parse_report
from monitor.bus import IntakeFull
from monitor.clock import NS
from monitor.records import Event, EventKind, ValueKind

SOURCE = "mqtt"
SUBJECT = "source:mqtt"
RETAINED = "retained"
STATES = frozenset({"cpe_online", "cpe_offline", "dying_gasp", "los", "los_cleared"})
# A broker that shuts down sends every router's last will just before it closes our connection; a router that
# reconnects has its old connection's will sent just before its "online". Offline waits so long for either.
HOLD_S = 0.5
# What a broker queued for us comes in one go: a pause this long, or this time, ends it.
BACKLOG_PAUSE_S = 0.5
BACKLOG_MAX_S = 60.0
MAX_WAITING = 20_000
MAX_ROWS = 50_000
IDLE_FLUSH_S = 0.05
FUTURE_NS = 2 * NS


class Message(Protocol):
    """What is used of a paho MQTTMessage."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    mid: int


class _Held(NamedTuple):
    due_s: float
    event: Event
    ticket: Ticket | None


class _Arrival(NamedTuple):
    """Whose message it is and when it came. `retained`: the broker's memory of the topic; `queued`: kept while we were
    away."""

    line: int
    line_id: str
    ticket: Ticket | None
    now_ns: int
    retained: bool
    queued: bool

    @property
    def old(self) -> bool:
        return self.retained or self.queued


class CpeReader:
    """`now_s` is a monotonic clock in seconds (the event loop's). Call `tick` every few hundredths of a second while
    `busy`."""

    def __init__(self, settings: CpeSettings, context: CollectorContext, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._context = context
        self._now_s = now_s
        self._prefix = settings.prefix + "/"
        self._inventory = context.inventory()
        self._routers = self._fresh_routers()
        self._inflight = InFlight()
        self._columns = Columns()
        self._columns_since_s = 0.0
        self._held: dict[str, _Held] = {}
        self._deferred: dict[str, tuple[Event, Ticket | None]] = {}
        self._waiting: deque[tuple[Event, Ticket | None]] = deque()
        self._window_s = now_s()
        self._backlog_since_s: float | None = None
        self._message_s = 0.0
        self.last_ns: int | None = None
        metrics = context.metrics
        messages = metrics.counter("cpe_messages_total", "messages from routers", ["kind"])
        self._messages = {kind: messages.labels(kind) for kind in ("availability", "telemetry")}
        self._dropped = metrics.counter("cpe_dropped_total", "messages or fields not used, by reason", ["reason"])
        self._acknowledged = metrics.counter("cpe_acknowledged_total", "messages acknowledged to the broker")
        self._unacknowledged = metrics.gauge("cpe_unacknowledged", "messages not yet on disk")

    # -- connection -----------------------------------------------------------------------------------------------

    def connected(self, session_present: bool) -> None:
        self._backlog_since_s = self._now_s() if session_present else None
        self._message_s = self._now_s()

    def disconnected(self) -> None:
        """The broker is gone. Wills that came in the same instant are of its making, not of the routers'."""
        self._inflight.forget()
        held, self._held = self._held, {}
        for one in held.values():
            self._offer(_as_retained(one.event), one.ticket)

    # -- messages -------------------------------------------------------------------------------------------------

    def arrived(self, message: Message) -> None:
        """Take one message. Never raises: what cannot be used is counted and acknowledged, else it would come again
        for ever."""
        ticket = self._inflight.open(message.mid, message.qos) if message.qos else None
        self._end_backlog()
        self._message_s = self._now_s()
        if message.retain and message.qos:
            self._backlog_since_s = None  # the broker sends these after what it had queued
        try:
            self._take(message, ticket)
        except Refused as refused:
            self._dropped.labels(str(refused)).inc()
        except UnicodeDecodeError:
            self._dropped.labels("bad_topic").inc()
        except Exception as error:
            self._dropped.labels("internal_error").inc()
            text = f"a message could not be taken: {type(error).__name__}: {error}; please report this"
            self._context.metrics.troubles.begin("cpe_message", text, self._context.clock.now_ns())

    def _take(self, message: Message, ticket: Ticket | None) -> None:
        topic = message.topic
        if not topic.startswith(self._prefix):
            raise Refused("bad_topic")
        serial, _, rest = topic[len(self._prefix) :].partition("/")
        kind, _, within = rest.partition("/")
        if not serial or kind not in self._messages:
            raise Refused("bad_topic")
        self._messages[kind].inc()
        if len(message.payload) > self._settings.max_payload_bytes:
            raise Refused("too_long")
        self._follow_inventory()
        self._roll_window()
        lines = self._inventory.by_serial(serial)
        if not lines:
            raise Refused("unknown_serial")
        if len(lines) > 1:
            raise Refused("ambiguous_serial")
        now_ns = self._context.clock.now_ns()
        self.last_ns = now_ns
        queued = self._backlog_since_s is not None
        arrival = _Arrival(lines[0], self._inventory.line_id(lines[0]), ticket, now_ns, message.retain, queued)
        if kind == "availability":
            self._availability(message, arrival)
        else:
            self._telemetry(message, arrival, "" if within in ("event", "events") else within)

    def _availability(self, message: Message, arrival: "_Arrival") -> None:
        if not message.payload:
            raise Refused("cleared")  # an empty retained message takes the topic away, and says nothing
        online = parse_availability(message.payload)
        kind: EventKind = "cpe_online" if online else "cpe_offline"
        event = self._event(arrival, kind, RETAINED if arrival.old else "", arrival.now_ns, message, dated=False)
        line_id, ticket = arrival.line_id, arrival.ticket
        if (before := self._held.pop(line_id, None)) is not None:
            if online:  # its old connection's will, then its new connection: it never was away
                self._dropped.labels("takeover").inc()
            _handed(before.ticket)
        if (superseded := self._deferred.pop(line_id, None)) is not None:
            _handed(superseded[1])
        _owe(ticket)
        if not self._allow(arrival):
            # Whatever a router floods us with, its last state counts: it is told when the window is over.
            self._deferred[line_id] = (event, ticket)
        elif online or arrival.old:
            self._offer(event, ticket)
        else:
            self._held[line_id] = _Held(self._now_s() + HOLD_S, event, ticket)

    def _telemetry(self, message: Message, arrival: "_Arrival", within: str) -> None:
        if not self._allow(arrival):
            return
        report = parse_report(message.payload, within)
        for reason, count in report.dropped.items():
            self._dropped.labels(reason).inc(count)
        said_ns = self._credible(report.at_ns, arrival)
        dated = said_ns is not None
        at_ns = arrival.now_ns if said_ns is None else said_ns
        if arrival.retained and not dated:
            # Measured, or happened, nobody knows when: only a state can be taken from it.
            known = [(kind, value) for kind, value in report.events if kind in STATES]
            self._dropped.labels("undated").inc(len(report.values) + len(report.events) - len(known))
            report.values, report.events = [], known
        for kind, value in report.events:
            if kind == "cpe_boot":
                self._routers.said_boot(arrival.line, at_ns)
            if kind in STATES and arrival.old and not dated:
                value = RETAINED
            _owe(arrival.ticket)
            self._offer(self._event(arrival, kind, value, at_ns, message, dated=dated), arrival.ticket)
        for value_kind, number in report.values:
            if value_kind is ValueKind.UPTIME_S and self._routers.booted(arrival.line, number, at_ns):
                booted_ns = max(at_ns - int(number * NS), 0)
                _owe(arrival.ticket)
                event = self._event(arrival, "cpe_boot", "uptime", booted_ns, message, dated=dated)
                self._offer(event, arrival.ticket)
        if report.values:
            if not len(self._columns):
                self._columns_since_s = self._now_s()
            self._columns.add(arrival.line, report.values, at_ns, arrival.ticket)
            if len(self._columns) >= MAX_ROWS:
                self._flush()

    def _event(
        self, arrival: "_Arrival", kind: EventKind, value: str, at_ns: int, message: Message, *, dated: bool
    ) -> Event:
        event_id = _event_id(message, f"{kind} {value if kind == 'cpe_boot' else ''}", dated)
        return Event(at_ns, arrival.line_id, kind, value, SOURCE, event_id=event_id)

    def _allow(self, arrival: "_Arrival") -> bool:
        """Whether this router may say more in this window. What the broker kept for us has a bound of its own."""
        if arrival.old or self._routers.allow(arrival.line):
            return True
        self._dropped.labels("too_many").inc()
        return False

    def _credible(self, said_ns: int | None, arrival: "_Arrival") -> int | None:
        """The router's own time if it is to be believed, else None. What was kept for us may be as old as the
        session; what is fresh may not differ by more than the skew. A time in the future is now."""
        if said_ns is None:
            return None
        skew_ns = int(self._settings.clock_skew_s * NS)
        back_ns = max(skew_ns, self._settings.session_expiry_s * NS) if arrival.old else skew_ns
        if not arrival.now_ns - back_ns <= said_ns <= arrival.now_ns + skew_ns:
            self._dropped.labels("clock").inc()
            return None
        return said_ns if said_ns <= arrival.now_ns + FUTURE_NS else arrival.now_ns

    # -- handing over ---------------------------------------------------------------------------------------------

    @property
    def owing(self) -> int:
        """How many messages are not acknowledged yet."""
        return len(self._inflight)

    @property
    def busy(self) -> bool:
        """Whether `tick` has anything to do soon."""
        return bool(len(self._inflight) or len(self._columns) or self._held or self._waiting or self._deferred) or (
            self._backlog_since_s is not None
        )

    def tick(self, acknowledge: Callable[[int, int], None]) -> None:
        """Hand over what is due, and acknowledge what is on disk."""
        now_s = self._now_s()
        self._end_backlog()
        while self._waiting and self._put(*self._waiting[0]):
            self._waiting.popleft()
        for line_id, held in list(self._held.items()):
            if held.due_s > now_s:
                break  # they were put in order
            del self._held[line_id]
            self._offer(held.event, held.ticket)
        self._roll_window()
        if len(self._columns):
            # A broker that waits for our acknowledgements sends nothing more: then there is nothing to wait for.
            stalled = self._columns.tickets and now_s - self._message_s > IDLE_FLUSH_S
            if stalled or now_s - self._columns_since_s >= self._settings.batch_s:
                self._flush()
        self._acknowledged.inc(self._inflight.settle(acknowledge))
        self._unacknowledged.set(len(self._inflight))

    def say(self, kind: EventKind, value: str = "") -> None:
        """An event about the telemetry itself: source_up, source_down."""
        self._offer(Event(self._context.clock.now_ns(), SUBJECT, kind, value, SOURCE), None)

    def finish(self) -> None:
        """Nothing more will come: hand over what is held, without waiting any longer."""
        held, self._held = self._held, {}
        deferred, self._deferred = self._deferred, {}
        for event, ticket in [(h.event, h.ticket) for h in held.values()] + list(deferred.values()):
            self._offer(event, ticket)
        self._flush()

    # -- within ---------------------------------------------------------------------------------------------------

    def _offer(self, event: Event, ticket: Ticket | None) -> None:
        """Give an event to the engine; what it has no room for now waits here, in order, unacknowledged."""
        if not self._waiting and self._put(event, ticket):
            return
        if ticket is None and event.subject != SUBJECT and len(self._waiting) >= MAX_WAITING:
            self._dropped.labels("engine_behind").inc()  # QoS 0: nobody would send it again
            return
        self._waiting.append((event, ticket))

    def _put(self, event: Event, ticket: Ticket | None) -> bool:
        try:
            future = self._context.sink.put_event(event)
        except IntakeFull:
            return False
        if ticket is not None:
            ticket.pending -= 1
            ticket.waits.append(future)
        return True

    def _flush(self) -> None:
        """Hand over the values gathered so far, for the inventory as it is now."""
        tickets, self._columns.tickets = self._columns.tickets, []
        if not len(self._columns):
            return
        values = self._columns.take(SOURCE, self._context.inventory(), self._inventory)
        future = self._context.sink.put_round(values) if len(values) else None
        for ticket in tickets:
            ticket.pending -= 1
            if future is not None:
                ticket.waits.append(future)

    def _follow_inventory(self) -> None:
        if self._context.inventory() is not self._inventory:
            self._flush()
            self._inventory = self._context.inventory()
            self._routers = self._fresh_routers()

    def _fresh_routers(self) -> Routers:
        return Routers(len(self._inventory), self._settings.max_messages)

    def _end_backlog(self) -> None:
        now_s = self._now_s()
        if self._backlog_since_s is not None and (
            now_s - self._message_s > BACKLOG_PAUSE_S or now_s - self._backlog_since_s > BACKLOG_MAX_S
        ):
            self._backlog_since_s = None

    def _roll_window(self) -> None:
        if self._now_s() - self._window_s < self._settings.window_s:
            return
        self._window_s = self._now_s()
        self._routers.new_window()
        deferred, self._deferred = self._deferred, {}
        for event, ticket in deferred.values():
            self._offer(event, ticket)


def _owe(ticket: Ticket | None) -> None:
    """One more thing follows from this message."""
    if ticket is not None:
        ticket.pending += 1


def _handed(ticket: Ticket | None) -> None:
    """One thing that followed needs not be told any more."""
    if ticket is not None:
        ticket.pending -= 1


def _as_retained(event: Event) -> Event:
    return msgspec.structs.replace(event, value=RETAINED)


def _event_id(message: Message, what: str, dated: bool) -> str:
    """The same for the same message delivered again, which has the same id and content; "" for QoS 0, which is not.

    Where the content has a time of its own, it tells by itself which message it is.
    """
    if not message.qos:
        return ""
    digest = hashlib.blake2b(message.topic.encode(), digest_size=12)
    digest.update(b"\0" + message.payload + b"\0" + what.encode())
    if not dated:
        digest.update(message.mid.to_bytes(2, "big"))
    return f"mqtt:{digest.hexdigest()}"
