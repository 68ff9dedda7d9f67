"""What follows from a report of one router, whatever the dialect: values, events, and changes of how things stand.

A report says states (light or none, login accepted or not, firmware); an event is told when they change. A state
without a known time that came out of the broker's memory carries the value "retained": how things stand, no onset.
"""

import hashlib
from typing import NamedTuple, cast

from collectors.base import CollectorContext
from collectors.cpe.frames import Inbound
from collectors.cpe.handover import SOURCE, Handover
from collectors.cpe.identity import MAX_NAME, Identities
from collectors.cpe.inflight import Ticket
from collectors.cpe.normal import Report
from collectors.cpe.routers import Routers
from collectors.cpe.settings import CpeSettings
from monitor.clock import NS
from monitor.records import Event, EventKind, ValueKind

RETAINED = "retained"
STATES = frozenset({"cpe_online", "cpe_offline", "dying_gasp", "los", "los_cleared"})
FUTURE_NS = 2 * NS
NAMES = ("model", "firmware")


class Arrival(NamedTuple):
    """Whose message it is and when it came. `retained`: the broker's memory of the topic; `queued`: kept while we were
    away."""

    line: int
    line_id: str
    serial: str
    message: Inbound
    ticket: Ticket | None
    now_ns: int
    retained: bool
    queued: bool

    @classmethod
    def asked(cls, line: int, line_id: str, serial: str, now_ns: int) -> "Arrival":
        """What the router answered to us: fresh, and not the broker's to acknowledge."""
        return cls(line, line_id, serial, Inbound("", b"", 0, False, 0), None, now_ns, False, False)

    @property
    def old(self) -> bool:
        return self.retained or self.queued


class Reports:
    """`follow` gives it the routers of another inventory, whose rows these are."""

    def __init__(self, settings: CpeSettings, context: CollectorContext, handover: Handover, routers: Routers) -> None:
        self._settings = settings
        self._context = context
        self._handover = handover
        self.follow(routers)

    def follow(self, routers: Routers) -> None:
        self.routers = routers
        self._identities = Identities(self._handover.inventory)

    def take(self, arrival: Arrival, report: Report) -> None:
        handover = self._handover
        for reason, count in report.dropped.items():
            handover.drop(reason, count)
        said_ns = self._credible(report.at_ns, arrival)
        dated = said_ns is not None
        at_ns = arrival.now_ns if said_ns is None else said_ns
        if arrival.retained and not dated:
            # Measured, or happened, nobody knows when: only a state can be taken from it.
            known = [(kind, value) for kind, value in report.events if kind in STATES]
            lost = len(report.values) + len(report.events) - len(known)
            if lost:
                handover.drop("undated", lost)
            report.values, report.events, report.states = [], known, {}
        for kind, value in report.events:
            self.say(arrival, kind, value, at_ns, dated=dated)
        for value_kind, number in report.values:
            if value_kind is ValueKind.UPTIME_S and self.routers.booted(arrival.line, number, at_ns):
                booted_ns = max(at_ns - int(number * NS), 0)
                self._tell(arrival, "cpe_boot", "uptime", booted_ns, dated=dated)
        if report.states:
            self._states(arrival, report.states, at_ns, dated=dated)
        if report.values:
            handover.values(arrival.line, report.values, at_ns, arrival.ticket)

    def say(self, arrival: Arrival, kind: EventKind, value: str, at_ns: int, *, dated: bool) -> None:
        """An event that the router told of itself."""
        if kind == "cpe_boot":
            self.routers.said_boot(arrival.line, at_ns)
        elif kind in ("los", "los_cleared"):
            self.routers.changed("los", arrival.line, "yes" if kind == "los" else "no")
        if kind in STATES and arrival.old and not dated:
            value = RETAINED
        self._tell(arrival, kind, value, at_ns, dated=dated)

    def _states(self, arrival: Arrival, states: dict[str, str], at_ns: int, *, dated: bool) -> None:
        named = [n for n in NAMES if n in states and states[n] != self.routers.known(n, arrival.line)]
        if named and not self._believed(arrival, [states[n] for n in named]):
            states = {name: value for name, value in states.items() if name not in NAMES}
            named = []
        for name, value in states.items():
            before = self.routers.changed(name, arrival.line, value)
            if before == value:
                continue
            told: tuple[str, str] | None = None
            if name == "los" and value == "yes":
                # The first we hear of it: it may have begun long ago.
                told = "los", "" if before else RETAINED
            elif name == "los" and before:
                told = "los_cleared", ""
            elif name == "login":
                word, _, reason = value.partition(" ")
                if word != "accepted" or before:
                    told = f"login_{word}", reason
            elif name == "firmware" and before:
                told = "firmware_changed", value
            if told is not None:
                kind = cast(EventKind, told[0])
                undated = kind in STATES and arrival.old and not dated
                self._tell(arrival, kind, RETAINED if undated else told[1], at_ns, dated=dated)
        if named:
            self._join(arrival, at_ns, dated=dated)

    def _believed(self, arrival: Arrival, names: list[str]) -> bool:
        """Whether the router may be called that from now on."""
        if any(len(name) > MAX_NAME for name in names):
            self._handover.drop("implausible")
            return False
        if not self._identities.believed(arrival.line, arrival.now_ns):
            self._handover.drop("too_many_names")
            return False
        return True

    def _join(self, arrival: Arrival, at_ns: int, *, dated: bool) -> None:
        """Tell in which groups the line is by its router's model and version, where that is news."""
        model, version = (self.routers.known(name, arrival.line) for name in NAMES)
        for group in self._identities.groups(arrival.line, model, version):
            if not self._tell(arrival, "group_assigned", group, at_ns, dated=dated):
                for name in NAMES:
                    self.routers.changed(name, arrival.line, "")  # told when it is said again

    def _tell(self, arrival: Arrival, kind: EventKind, value: str, at_ns: int, *, dated: bool) -> bool:
        return self._handover.event(make_event(arrival, kind, value, at_ns, dated=dated), arrival.ticket)

    def _credible(self, said_ns: int | None, arrival: Arrival) -> int | None:
        """The router's own time if it is to be believed, else None. What was kept for us may be as old as the
        session; what is fresh may not differ by more than the skew. A time in the future is now."""
        if said_ns is None:
            return None
        skew_ns = int(self._settings.clock_skew_s * NS)
        back_ns = max(skew_ns, self._settings.session_expiry_s * NS) if arrival.old else skew_ns
        if not arrival.now_ns - back_ns <= said_ns <= arrival.now_ns + skew_ns:
            self._handover.drop("clock")
            return None
        return said_ns if said_ns <= arrival.now_ns + FUTURE_NS else arrival.now_ns


def make_event(arrival: Arrival, kind: EventKind, value: str, at_ns: int, *, dated: bool) -> Event:
    # Of these a message may tell more than one.
    event_id = _event_id(arrival.message, f"{kind} {value if kind in ('cpe_boot', 'group_assigned') else ''}", dated)
    return Event(at_ns, arrival.line_id, kind, value, SOURCE, event_id=event_id)


def _event_id(message: Inbound, what: str, dated: bool) -> str:
    """The same for the same message delivered again, which has the same id and content; "" for QoS 0, which is not, and
    for what a topic retains without a time: it says how things stand each time, and a broker that counts from one again
    gives it the same id each time.

    Where the content has a time of its own, it tells by itself which message it is.
    """
    if not message.qos or (message.retain and not dated):
        return ""
    digest = hashlib.blake2b(message.topic.encode(), digest_size=12)
    digest.update(b"\0" + message.payload + b"\0" + what.encode())
    if not dated:
        digest.update(message.mid.to_bytes(2, "big"))
    return f"mqtt:{digest.hexdigest()}"
