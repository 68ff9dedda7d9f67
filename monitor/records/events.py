"""What comes singly: one thing that happened to a line, an element, a group, a source or an incident."""

from typing import Literal, get_args

import msgspec

EventKind = Literal[
    "cpe_online",
    "cpe_offline",
    "cpe_boot",
    "dying_gasp",
    "los",
    "los_cleared",
    "login_accepted",
    "login_rejected",
    "login_timeout",
    "session_start",
    "session_stop",
    "session_count",
    "address_assigned",
    "address_released",
    "rx_power_dbm",
    "snr_db",
    "resolver_up",
    "resolver_down",
    "alarm_raised",
    "alarm_cleared",
    "source_up",
    "source_down",
    "call",
    "maintenance_start",
    "maintenance_end",
    "ack",
    "note",
    "etr",
    "resolve",
    "firmware_changed",
    "group_assigned",
]
EVENT_KINDS: frozenset[str] = frozenset(get_args(EventKind))
SubjectKind = Literal["line", "element", "group", "source", "incident"]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of events.csv.

    `subject` is a line_id, or `element:PATH`, `group:KIND:NAME`, `source:NAME`, `incident:ID`. `value` is text whose
    meaning the kind gives (an address, a reason, a number, an end time). `source` names who says so; `by` the person.
    `event_id` makes a repeated delivery harmless; empty: never repeated.
    """

    at_ns: int
    subject: str
    kind: EventKind
    value: str = ""
    source: str = ""
    by: str = ""
    event_id: str = ""


class Subject(msgspec.Struct, frozen=True):
    """A parsed subject. `group` is set for `group:KIND:NAME` only, where `name` is then NAME."""

    kind: SubjectKind
    name: str
    group: str = ""


def parse_subject(text: str) -> Subject:
    """Split a subject as written in events.csv. A line_id may not start with one of the four prefixes.

    Raises ValueError when a prefix is there but the name behind it is missing.
    """
    prefix, colon, rest = text.partition(":")
    if not colon or prefix not in ("element", "group", "source", "incident"):
        if not text:
            raise ValueError("the subject is empty: give a line_id, element:PATH, group:KIND:NAME or source:NAME")
        return Subject("line", text)
    if prefix == "group":
        kind, colon, name = rest.partition(":")
        if not (kind and colon and name):
            raise ValueError(f"subject {text!r}: a group is written group:KIND:NAME")
        return Subject("group", name, kind)
    if not rest:
        raise ValueError(f"subject {text!r}: the name after {prefix}: is missing")
    if prefix == "element":
        return Subject("element", rest)
    if prefix == "source":
        return Subject("source", rest)
    return Subject("incident", rest)
