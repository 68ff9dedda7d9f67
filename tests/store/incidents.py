"""Incidents and changes for the tests of the SQL store."""

from typing import Any

from monitor.clock import NS
from monitor.records import (
    Change,
    Flag,
    FlagKind,
    Incident,
    IncidentKind,
    IncidentStatus,
    Scope,
    ScopeKind,
    Severity,
)


def incident(revision: int, status: str = "open", name: str = "i1", scope: str = "north/ex-1", **more: Any) -> Incident:
    base: dict[str, Any] = {
        "incident_id": name,
        "kind": IncidentKind.OUTAGE,
        "status": IncidentStatus(status),
        "severity": Severity.MAJOR,
        "scope": Scope(ScopeKind.ELEMENT, scope),
        "cause": "element_down",
        "confidence": 0.9,
        "started_ns": NS,
        "detected_ns": 2 * NS,
        "updated_ns": revision * NS,
        "revision": revision,
        "lines_affected": 3,
        "lines_down": 3,
        "lines_at_risk": 4,
        "lines_observable": 4,
        "resolved_ns": revision * NS if status == "resolved" else None,
    }
    return Incident(**(base | more))


def change(what: str, revision: int, status: str = "open", lines: tuple[str, ...] = (), **more: Any) -> Change:
    return Change(revision * NS, what, incident(revision, status, **more), lines_added=lines)


def flag(subject: str = "line-1", started_s: int = 5, ended_s: int | None = None) -> Flag:
    ended = None if ended_s is None else ended_s * NS
    return Flag(subject, FlagKind.SLOW, "rtt_above_baseline", 80.0, "ms", started_s * NS, (started_s + 5) * NS, ended)
