"""Incidents and flags, a row each, from the SQL state: those that touch the wanted time, oldest first."""

from typing import Any

import numpy as np

from monitor.records import Flag, Incident
from monitor.store.export.sheet import Sheet
from monitor.store.export.wanted import Wanted
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from monitor.words import say

PAGE = 1000


def fill(settings: StoreSettings, wanted: Wanted, sheet: Sheet) -> None:
    state = StateStore.open(settings)
    try:
        if wanted.kind == "flags":
            flags = state.flags(open_only=False, since_ns=wanted.start_ns, limit=10**9)
            sheet.add(_flags([f for f in flags if _wanted(f.subject, f.started_ns, wanted)]))
            return
        touched = {i.incident_id for line in wanted.lines for i in state.incidents_of_line(line, limit=10**6)}
        cursor, first = "", True
        while cursor or first:
            page = state.incidents(since_ns=wanted.start_ns, limit=PAGE, cursor=cursor)
            found = [i for i in page.items if i.started_ns < wanted.end_ns]
            sheet.add(_incidents([i for i in found if not wanted.lines or i.incident_id in touched]))
            cursor, first = page.cursor, False
    finally:
        state.close()


def _wanted(subject: str, started_ns: int, wanted: Wanted) -> bool:
    return started_ns < wanted.end_ns and (not wanted.lines or subject in wanted.lines)


def _times(rows: list[int | None]) -> np.ndarray:
    """Nanoseconds as datetime64[us]; none is NaT."""
    return np.array(
        [np.datetime64("NaT", "us") if v is None else np.datetime64(v // 1000, "us") for v in rows], "M8[us]"
    )


def _texts(rows: list[Any]) -> np.ndarray:
    return np.array([str(v) for v in rows], object)


def _incidents(rows: list[Incident]) -> dict[str, np.ndarray]:
    return {
        "at": np.array([i.started_ns // 1000 for i in rows], np.int64),
        "incident_id": _texts([i.incident_id for i in rows]),
        "kind": _texts([i.kind.value for i in rows]),
        "status": _texts([i.status.value for i in rows]),
        "severity": _texts([i.severity.value for i in rows]),
        "scope_kind": _texts([i.scope.kind.value for i in rows]),
        "scope_name": _texts([i.scope.name for i in rows]),
        "cause": _texts([i.cause for i in rows]),
        "confidence": np.array([i.confidence for i in rows], np.float64),
        "detected_at": _times([i.detected_ns for i in rows]),
        "resolved_at": _times([i.resolved_ns for i in rows]),
        "lines_affected": np.array([i.lines_affected for i in rows], np.int64),
        "lines_down": np.array([i.lines_down for i in rows], np.int64),
        "lines_at_risk": np.array([i.lines_at_risk for i in rows], np.int64),
        "calls": np.array([i.calls for i in rows], np.int64),
        "reopened": np.array([i.reopened for i in rows], np.int64),
        "acked_by": _texts([i.acked_by for i in rows]),
        "explanation": _texts([" ".join(say(one, "en") for one in i.explanation) for i in rows]),
    }


def _flags(rows: list[Flag]) -> dict[str, np.ndarray]:
    return {
        "at": np.array([f.started_ns // 1000 for f in rows], np.int64),
        "subject": _texts([f.subject for f in rows]),
        "kind": _texts([f.kind.value for f in rows]),
        "reason": _texts([f.reason for f in rows]),
        "value": np.array([f.value for f in rows], np.float64),
        "unit": _texts([f.unit for f in rows]),
        "detected_at": _times([f.detected_ns for f in rows]),
        "ended_at": _times([f.ended_ns for f in rows]),
    }
