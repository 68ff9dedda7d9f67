"""The few types that flow between the parts of Faultline.

Columns (numpy) for what comes by the million: `ProbeRound`, `LineValues`. One frozen struct for what comes
singly: `Event`, `ProbeRequest`, `Incident`, `Flag`, `Alert`, `Verdict`. Units are in the names. Nothing here does work.
"""

from monitor.records.events import EVENT_KINDS, Event, EventKind, Subject, parse_subject
from monitor.records.incidents import (
    Alert,
    Change,
    Coded,
    Etr,
    Flag,
    FlagKind,
    Incident,
    IncidentKind,
    IncidentStatus,
    Note,
    Scope,
    ScopeKind,
    Severity,
)
from monitor.records.rounds import (
    LineState,
    LineValues,
    ProbeRequest,
    ProbeRound,
    Reference,
    RequestReason,
    RoundNote,
    TargetKind,
    ValueKind,
)
from monitor.records.verdicts import Confidence, Evidence, Verdict, VerdictCode

__all__ = [
    "EVENT_KINDS",
    "Alert",
    "Change",
    "Coded",
    "Confidence",
    "Etr",
    "Event",
    "EventKind",
    "Evidence",
    "Flag",
    "FlagKind",
    "Incident",
    "IncidentKind",
    "IncidentStatus",
    "LineState",
    "LineValues",
    "Note",
    "ProbeRequest",
    "ProbeRound",
    "Reference",
    "RequestReason",
    "RoundNote",
    "Scope",
    "ScopeKind",
    "Severity",
    "Subject",
    "TargetKind",
    "ValueKind",
    "Verdict",
    "VerdictCode",
    "parse_subject",
]
