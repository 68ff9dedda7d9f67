"""Collects what an engine decided and writes incidents.jsonl and flags.jsonl."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from correlation.engine import Engine
from monitor.clock import rfc3339
from monitor.inventory import Inventory
from monitor.records import Change, Flag, Incident, IncidentStatus, LineState
from monitor.words import say_all


class Recorder:
    """The newest revision of every incident, the lines it ever had, and when each of them was down.

    What was only suspected is not written: it was shown as forming and paged nobody.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._incidents: dict[str, Incident] = {}
        self._opened: set[str] = set()
        self._lines: dict[str, set[str]] = {}
        self._flags: dict[str, Flag] = {}
        self._names: dict[int, str] = {}  # the engine's slot -> incident id
        self._intervals: dict[str, list[tuple[int, int, int | None]]] = {}  # incident id -> (line, from, to)
        count = len(inventory)
        self._down = np.zeros(count, np.bool_)
        self._slot = np.full(count, -1, np.int32)
        self._since = np.zeros(count, np.int64)

    def take(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            if change.flag is not None:
                self._flags[change.flag.flag_id] = change.flag
            if change.incident is not None:
                name = change.incident.incident_id
                self._incidents[name] = change.incident
                self._lines.setdefault(name, set()).update(change.lines_added)
                # A merged incident was open before; a withdrawn one was never.
                if change.what != "withdrawn" and change.incident.status is not IncidentStatus.SUSPECTED:
                    self._opened.add(name)

    def observe(self, engine: Engine) -> None:
        """Note who is down under which incident after a step. Reads the engine's tables rather than its view, whose
        copies cost more than the step."""
        for slot, case in engine.book.cases.items():
            self._names.setdefault(slot, case.state.incident_id)
        slots, state, since, now = engine.table.slot, engine.table.state, engine.table.since_ns, engine.now_ns
        # A line that cannot be seen for a while has not come back.
        down = (state == LineState.DOWN) | ((state == LineState.UNKNOWN) & self._down)
        down &= slots >= 0
        for line in np.flatnonzero((down != self._down) | (down & (slots != self._slot))).tolist():
            if self._down[line]:
                up = state[line] in (LineState.UP, LineState.DEGRADED)
                end = int(since[line]) if up else now
                begin = int(self._since[line])
                self._note(line, begin, max(begin, end))
            if down[line]:
                self._since[line] = since[line] or now
        self._down, self._slot = down, np.where(down, slots, -1).astype(np.int32)

    def finish(self) -> None:
        """Those still down stay so: their times have no end."""
        for line in np.flatnonzero(self._down).tolist():
            self._note(line, int(self._since[line]), None)

    def _note(self, line: int, start_ns: int, end_ns: int | None) -> None:
        name = self._names[int(self._slot[line])]
        self._intervals.setdefault(name, []).append((line, start_ns, end_ns))

    def write_incidents(self, path: Path) -> int:
        """One JSON object a line, by start; returns how many."""
        known = [i for name, i in self._incidents.items() if name in self._opened]
        known.sort(key=lambda i: (i.started_ns, i.incident_id))
        with path.open("w", encoding="utf-8") as file:
            for incident in known:
                _line(file, self._incident(incident))
        return len(known)

    def _incident(self, incident: Incident) -> dict[str, object]:
        ids = self._inventory.line_ids
        intervals = sorted(self._intervals.get(incident.incident_id, ()), key=lambda i: (i[0], i[1]))
        return {
            "incident_id": incident.incident_id,
            "kind": incident.kind.value,
            "status": incident.status.value,
            "scope": {"kind": incident.scope.kind.value, "name": incident.scope.name},
            "cause": incident.cause,
            "confidence": round(incident.confidence, 4),
            "started_at": rfc3339(incident.started_ns),
            "detected_at": rfc3339(incident.detected_ns),
            "resolved_at": _time(incident.resolved_ns),
            "lines": sorted(self._lines.get(incident.incident_id, ())),
            "lines_at_risk": incident.lines_at_risk,
            "explanation": say_all(incident.explanation, "en"),
            "line_intervals": [[ids[line], rfc3339(start), _time(end)] for line, start, end in intervals],
        }

    def write_flags(self, path: Path) -> int:
        """One JSON object a line, by start; returns how many."""
        flags = sorted(self._flags.values(), key=lambda f: (f.started_ns, f.subject, f.kind))
        with path.open("w", encoding="utf-8") as file:
            for flag in flags:
                row = {
                    "subject": flag.subject,
                    "kind": flag.kind.value,
                    "reason": flag.reason,
                    "value": flag.value,
                    "unit": flag.unit,
                    "started_at": rfc3339(flag.started_ns),
                    "detected_at": rfc3339(flag.detected_ns),
                    "ended_at": _time(flag.ended_ns),
                }
                _line(file, row)
        return len(flags)


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None else rfc3339(at_ns)


def _line(file: IO[str], row: Mapping[str, object]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
