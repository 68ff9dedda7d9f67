"""Reads truth.jsonl and incidents.jsonl: what was, and what was said, in one shape."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.clock import parse_time
from monitor.inventory import InputProblems

KINDS = ("outage", "degraded", "resolver", "source", "planned")
SCOPES = ("element", "group", "area", "source")
FOREVER = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One truth or one incident. Times in ns UTC; an incident that is not over ends at FOREVER.

    `intervals`: (line_id, down from, to), the whole case for every line where the file has none. `cause` and
    `confidence` (0..1) are what the file says; no figure of the score depends on them.
    """

    name: str
    kind: str
    scope: tuple[str, str]
    start_ns: int
    end_ns: int
    detected_ns: int | None
    lines: frozenset[str]
    intervals: tuple[tuple[str, int, int], ...]
    cause: str = ""
    confidence: float | None = None

    def overlaps(self, other: "Case") -> bool:
        """In time; touching counts."""
        return self.start_ns <= other.end_ns and other.start_ns <= self.end_ns


def read_truths(path: Path) -> list[Case]:
    """Raises InputProblems, naming line and field."""
    return _read(path, "id", "ended_at")


def read_incidents(path: Path) -> list[Case]:
    """Raises InputProblems, naming line and field."""
    return _read(path, "incident_id", "resolved_at")


def _read(path: Path, name_field: str, end_field: str) -> list[Case]:
    cases: list[Case] = []
    seen: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    case = _case(text, name_field, end_field, str(path), number)
                    if case.name in seen:
                        message = f"{case.name!r} is there already in line {seen[case.name]}"
                        raise InputProblems.one(str(path), message, number, name_field)
                    seen[case.name] = number
                    cases.append(case)
    except OSError as error:
        raise InputProblems.one(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputProblems.one(str(path), "is not UTF-8") from None
    return cases


class _Row:
    """One JSON object with complaints that name the field."""

    def __init__(self, row: Mapping[str, Any], file: str, line: int) -> None:
        self.row, self.file, self.line = row, file, line

    def wrong(self, field: str, message: str) -> InputProblems:
        return InputProblems.one(self.file, message, self.line, field)

    def text(self, field: str) -> str:
        value = self.row.get(field)
        if not isinstance(value, str) or not value:
            raise self.wrong(field, "is missing" if value is None else f"{value!r} is not a text")
        return value

    def time(self, field: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong(field, "is missing" if value is None else f"{value!r} is not a time")
        try:
            return parse_time(str(value))
        except ValueError as error:
            raise self.wrong(field, str(error)) from None

    def strings(self, field: str) -> list[str]:
        value = self.row.get(field)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.wrong(field, "is missing" if value is None else "is not a list of line ids")
        return value


def _case(text: str, name_field: str, end_field: str, file: str, line: int) -> Case:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputProblems.one(file, f"is not JSON: {error.msg} at column {error.colno}", line) from None
    if not isinstance(row, dict):
        raise InputProblems.one(file, "is not a JSON object", line)
    read = _Row(row, file, line)
    kind = read.text("kind")
    if kind not in KINDS:
        raise read.wrong("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    start = read.time("started_at", row.get("started_at"))
    open_ended = end_field == "resolved_at" and row.get(end_field) is None
    end = FOREVER if open_ended else read.time(end_field, row.get(end_field))
    if end < start:
        raise read.wrong(end_field, "is before started_at")
    lines = read.strings("lines")
    return Case(
        name=read.text(name_field),
        kind=kind,
        scope=_scope(read),
        start_ns=start,
        end_ns=end,
        detected_ns=None if end_field == "ended_at" else read.time("detected_at", row.get("detected_at")),
        lines=frozenset(lines),
        intervals=_intervals(read, lines, start, end),
        cause=str(row.get("cause") or ""),
        confidence=_confidence(read),
    )


def _confidence(read: _Row) -> float | None:
    value = read.row.get("confidence")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise read.wrong("confidence", f"{value!r} is not a number from 0 to 1")
    return float(value)


def _scope(read: _Row) -> tuple[str, str]:
    scope = read.row.get("scope")
    if not isinstance(scope, dict) or not isinstance(scope.get("name"), str):
        raise read.wrong("scope", 'is not {"kind": ..., "name": ...}')
    if scope.get("kind") not in SCOPES:
        raise read.wrong("scope", f"kind {scope.get('kind')!r} is not one of {', '.join(SCOPES)}")
    return scope["kind"], scope["name"]


def _intervals(read: _Row, lines: list[str], start: int, end: int) -> tuple[tuple[str, int, int], ...]:
    given = read.row.get("line_intervals")
    if given is None:
        return tuple((line, start, end) for line in lines)
    if not isinstance(given, list):
        raise read.wrong("line_intervals", "is not a list of [line_id, from, to]")
    found = []
    for one in given:
        if not isinstance(one, list) or len(one) != 3 or not isinstance(one[0], str):
            raise read.wrong("line_intervals", f"{one!r} is not [line_id, from, to]")
        low = read.time("line_intervals", one[1])
        high = end if one[2] is None else read.time("line_intervals", one[2])
        if high < low:
            raise read.wrong("line_intervals", f"{one!r} ends before it begins")
        found.append((one[0], low, high))
    return tuple(found)
