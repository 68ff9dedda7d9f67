"""From a message of the broker to records: who speaks, in which dialect, and when its acknowledgement is due.

Runs on the event loop, straight from the socket, so there is no queue that a crash could lose. Availability becomes
`cpe_online` / `cpe_offline`; telemetry (plain JSON, TR-181 BulkData, collectd) goes to `reports`, USP records to the
controller. A state (online, offline, dying gasp, LOS) whose time is not known carries the value "retained": what the
broker kept for us (retained, or queued while we were away), and last wills in the instant in which the broker itself
went down. Values queued without a time of their own get that of their arrival.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from collectors.base import CollectorContext
from collectors.cpe import collectd
from collectors.cpe.bulkdata import is_bulk, read_bulk
from collectors.cpe.controller import Controller
from collectors.cpe.frames import Inbound
from collectors.cpe.handover import SOURCE, SUBJECT, Handover
from collectors.cpe.inflight import Ticket
from collectors.cpe.normal import Refused, decode_json
from collectors.cpe.reports import RETAINED, Arrival, Reports, make_event
from collectors.cpe.routers import Routers
from collectors.cpe.settings import CpeSettings
from collectors.cpe.telemetry import parse_availability, read_report
from monitor.records import Event, EventKind

# A broker that shuts down sends every router's last will just before it closes our connection; a router that
# reconnects has its old connection's will sent just before its "online". Offline waits so long for either.
HOLD_S = 0.5
# What a broker queued for us comes in one go: a pause this long, or this time, ends it.
BACKLOG_PAUSE_S = 0.5
BACKLOG_MAX_S = 60.0
MAX_SERIALS = 1 << 17  # remembered serial numbers


class _Held(NamedTuple):
    due_s: float
    event: Event
    ticket: Ticket | None


class CpeReader:
    """`now_s` is a monotonic clock in seconds (the event loop's). Call `tick` every few hundredths of a second while
    `busy`."""

    def __init__(
        self,
        settings: CpeSettings,
        context: CollectorContext,
        now_s: Callable[[], float],
        send: Callable[[str, bytes, str], None] = lambda *_: None,
    ) -> None:
        self._settings = settings
        self._context = context
        self._now_s = now_s
        self._prefix = settings.prefix + "/"
        self._collectd_prefix = settings.collectd_prefix + "/" if settings.collectd_prefix else ""
        self._usp_prefix = settings.usp.controller_topic + "/"
        self._handover = Handover(context, settings.batch_s, now_s)
        self._routers = self._fresh_routers()
        self._reports = Reports(settings, context, self._handover, self._routers)
        self._controller: Controller | None = None
        if settings.usp.enabled:
            self._controller = Controller(settings, context, self._handover, self._reports, now_s, send)
        self._lines: dict[str, tuple[int, str]] = {}
        self._held: dict[str, _Held] = {}
        self._deferred: dict[str, tuple[Event, Ticket | None]] = {}
        self._window_s = now_s()
        self._backlog_since_s: float | None = None
        self._message_s = 0.0
        self.last_ns: int | None = None
        messages = context.metrics.counter("cpe_messages_total", "messages from routers", ["kind"])
        self._messages = {kind: messages.labels(kind) for kind in ("availability", "telemetry", "collectd", "usp")}

    @property
    def controller(self) -> Controller | None:
        return self._controller

    # -- connection -----------------------------------------------------------------------------------------------

    def connected(self, session_present: bool) -> None:
        self._backlog_since_s = self._now_s() if session_present else None
        self._message_s = self._now_s()
        if self._controller is not None:
            self._controller.connected(session_present)

    def disconnected(self) -> None:
        """The broker is gone. Wills that came in the same instant are of its making, not of the routers'."""
        self._handover.inflight.forget()
        if self._controller is not None:
            self._controller.disconnected()
        held, self._held = self._held, {}
        for one in held.values():
            self._handover.offer(_as_retained(one.event), one.ticket)

    # -- messages -------------------------------------------------------------------------------------------------

    def arrived(self, message: Inbound) -> None:
        """Take one message. Never raises: what cannot be used is counted and acknowledged, else it would come again
        for ever."""
        ticket = self._handover.inflight.open(message.mid, message.qos) if message.qos else None
        self._end_backlog()
        self._message_s = self._now_s()
        if message.retain and message.qos:
            self._backlog_since_s = None  # the broker sends these after what it had queued
        try:
            self._take(message, ticket)
        except Refused as refused:
            self._handover.drop(str(refused))
        except Exception as error:
            self._handover.drop("internal_error")
            text = f"a message could not be taken: {type(error).__name__}: {error}; please report this"
            self._context.metrics.troubles.begin("cpe_message", text, self._context.clock.now_ns())

    def _take(self, message: Inbound, ticket: Ticket | None) -> None:
        topic = message.topic
        if topic.startswith(self._prefix):
            serial, _, rest = topic[len(self._prefix) :].partition("/")
            kind, _, within = rest.partition("/")
            if kind not in ("availability", "telemetry"):
                raise Refused("bad_topic")
        elif self._controller is not None and topic.startswith(self._usp_prefix):
            serial, _, within = topic[len(self._usp_prefix) :].partition("/")
            kind = "usp"
        elif self._collectd_prefix and topic.startswith(self._collectd_prefix):
            serial, _, within = topic[len(self._collectd_prefix) :].partition("/")
            kind = "collectd"
        else:
            raise Refused("bad_topic")
        if not serial:
            raise Refused("bad_topic")
        self._messages[kind].inc()
        if message.size > self._settings.max_payload_bytes:
            raise Refused("too_long")
        self._follow_inventory()
        self._roll_window()
        line, line_id = self._lines.get(serial) or self._look_up(serial)
        now_ns = self._context.clock.now_ns()
        self.last_ns = now_ns
        queued = self._backlog_since_s is not None
        arrival = Arrival(line, line_id, serial, message, ticket, now_ns, message.retain, queued)
        if kind == "telemetry":
            self._telemetry(arrival, "" if within in ("event", "events") else within)
        elif kind == "availability":
            self._availability(arrival)
        elif kind == "collectd":
            if (what := collectd.known(within)) is not None and self._allow(arrival):
                self._reports.take(arrival, collectd.read_values(what, message.payload))
        else:
            assert self._controller is not None
            self._controller.arrived(arrival, within, allow=lambda: self._allow(arrival))

    def _look_up(self, serial: str) -> tuple[int, str]:
        """Line and line_id of a serial, remembered. Raises Refused."""
        inventory = self._handover.inventory
        lines = inventory.by_serial(serial)
        if not lines:
            raise Refused("unknown_serial")
        if len(lines) > 1:
            raise Refused("ambiguous_serial")
        if len(self._lines) >= MAX_SERIALS:
            self._lines.clear()
        found = self._lines[serial] = lines[0], inventory.line_id(lines[0])
        return found

    def _availability(self, arrival: Arrival) -> None:
        if not arrival.message.payload:
            raise Refused("cleared")  # an empty retained message takes the topic away, and says nothing
        online = parse_availability(arrival.message.payload)
        kind: EventKind = "cpe_online" if online else "cpe_offline"
        event = make_event(arrival, kind, RETAINED if arrival.old else "", arrival.now_ns, dated=False)
        line_id, ticket = arrival.line_id, arrival.ticket
        if (before := self._held.pop(line_id, None)) is not None:
            if online:  # its old connection's will, then its new connection: it never was away
                self._handover.drop("takeover")
            _handed(before.ticket)
        if (superseded := self._deferred.pop(line_id, None)) is not None:
            _handed(superseded[1])
        _owe(ticket)
        if not self._allow(arrival):
            # Whatever a router floods us with, its last state counts: it is told when the window is over.
            self._deferred[line_id] = (event, ticket)
        elif online or arrival.old:
            self._handover.offer(event, ticket)
        else:
            self._held[line_id] = _Held(self._now_s() + HOLD_S, event, ticket)

    def _telemetry(self, arrival: Arrival, within: str) -> None:
        if not self._allow(arrival):
            return
        content = decode_json(arrival.message.payload)
        if is_bulk(content):
            for report in read_bulk(content):
                self._reports.take(arrival, report)
        else:
            self._reports.take(arrival, read_report(content, within))

    def _allow(self, arrival: Arrival) -> bool:
        """Whether this router may say more in this window. What the broker kept for us has a bound of its own."""
        if arrival.old or self._routers.allow(arrival.line):
            return True
        self._handover.drop("too_many")
        return False

    # -- handing over ---------------------------------------------------------------------------------------------

    @property
    def owing(self) -> int:
        """How many messages are not acknowledged yet."""
        return len(self._handover.inflight)

    @property
    def busy(self) -> bool:
        """Whether `tick` has anything to do soon."""
        asking = self._controller is not None and self._controller.busy
        return bool(asking or self._handover.busy or self._held or self._deferred or self._backlog_since_s is not None)

    def tick(self, acknowledge: Callable[[int, int], None]) -> None:
        """Hand over what is due, and acknowledge what is on disk."""
        now_s = self._now_s()
        self._end_backlog()
        self._handover.retry()
        for line_id, held in list(self._held.items()):
            if held.due_s > now_s:
                break  # they were put in order
            del self._held[line_id]
            self._handover.offer(held.event, held.ticket)
        self._roll_window()
        self._handover.tick(acknowledge, self._message_s)

    def say(self, kind: EventKind, value: str = "") -> None:
        """An event about the telemetry itself: source_up, source_down."""
        self._handover.offer(Event(self._context.clock.now_ns(), SUBJECT, kind, value, SOURCE), None)

    def finish(self) -> None:
        """Nothing more will come: hand over what is held, without waiting any longer."""
        held, self._held = self._held, {}
        deferred, self._deferred = self._deferred, {}
        for event, ticket in [(h.event, h.ticket) for h in held.values()] + list(deferred.values()):
            self._handover.offer(event, ticket)
        self._handover.flush()

    # -- within ---------------------------------------------------------------------------------------------------

    def _follow_inventory(self) -> None:
        if self._context.inventory() is not self._handover.inventory:
            self._handover.flush()
            self._handover.inventory = self._context.inventory()
            self._lines.clear()
            self._routers = self._fresh_routers()
            self._reports.follow(self._routers)
            if self._controller is not None:
                self._controller.new_inventory()

    def _fresh_routers(self) -> Routers:
        return Routers(len(self._handover.inventory), self._settings.max_messages)

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
            self._handover.offer(event, ticket)


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
