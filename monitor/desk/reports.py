"""Customers' reports: each contact documented at once, with the verdict and its evidence as they stood.

A report is a row in SQL (it survives a restart) and, as an event of kind `call`, evidence for the engine. The row comes
first: what was promised to a customer must not depend on the engine. Times are ns UTC.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, or_, select

from monitor.clock import rfc3339
from monitor.records import Event, Verdict
from monitor.store import tables as t
from monitor.store.state import StateStore

MAX_PAGE = 1000
_verdict = msgspec.json.Decoder(Verdict)


class Report(msgspec.Struct, frozen=True):
    """One documented contact. `words` are the customer's own; `case_id` is what the customer is told."""

    call_id: int
    at_ns: int
    line_id: str
    symptom: str
    words: str
    started_ns: int | None
    by: str
    verdict_code: str
    incident_id: str
    disposition: str
    verdict: Verdict

    @property
    def case_id(self) -> str:
        return f"R-{self.call_id:06d}"

    def event(self) -> Event:
        """What the engine is told: a customer called about this line. No word of the customer goes with it."""
        return Event(
            self.at_ns, self.line_id, "call", value=self.symptom, source="desk", event_id=f"call:{self.call_id}"
        )


class ReportPage(msgspec.Struct, frozen=True):
    """Newest first; `cursor` gives the next page, "" at the end."""

    items: list[Report]
    cursor: str


class Reports:
    """The reports in a state store. Blocks on the database: call from a worker thread."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def add(
        self,
        verdict: Verdict,
        at_ns: int,
        by: str,
        symptom: str,
        words: str = "",
        started_ns: int | None = None,
        disposition: str = "",
        request_id: str = "",
        region: str = "",
    ) -> tuple[Report, bool]:
        """Document a report of `verdict.line_id`. A `request_id` used before gives that report again, and False."""
        calls = t.calls
        row = {
            "at_ns": at_ns,
            "line_id": verdict.line_id,
            "symptom": symptom,
            "words": words,
            "started_ns": started_ns,
            "by": by,
            "verdict_code": verdict.code.value,
            "incident_id": verdict.incident_id,
            "disposition": disposition or verdict.disposition,
            "request_id": request_id or None,
            "body": msgspec.json.encode(verdict),
            "region": region,
        }
        with self._state.write() as connection:
            if request_id:
                known = connection.execute(select(calls).where(calls.c.request_id == request_id)).first()
                if known is not None:
                    return _report(known), False
            found = connection.execute(insert(calls).values(row).returning(calls)).one()
        return _report(found), True

    def get(self, call_id: int) -> Report | None:
        with self._state.read() as connection:
            row = connection.execute(select(t.calls).where(t.calls.c.call_id == call_id)).first()
        return _report(row) if row is not None else None

    def count(self, line_ids: Sequence[str]) -> int:
        """How many reports these lines have."""
        with self._state.read() as connection:
            found: int = connection.scalar(select(func.count()).where(t.calls.c.line_id.in_(list(line_ids)))) or 0
        return found

    def erase(self, line_ids: Sequence[str]) -> int:
        """Remove every report of these lines; returns how many there were."""
        with self._state.write() as connection:
            return connection.execute(delete(t.calls).where(t.calls.c.line_id.in_(list(line_ids)))).rowcount

    def expire(self, before_ns: int) -> int:
        """Remove reports older than that; returns how many there were."""
        with self._state.write() as connection:
            return connection.execute(delete(t.calls).where(t.calls.c.at_ns < before_ns)).rowcount

    def search(
        self,
        line_id: str = "",
        incident_id: str = "",
        by: str = "",
        text: str = "",
        since_ns: int | None = None,
        limit: int = 50,
        cursor: str = "",
        regions: Sequence[str] = (),
    ) -> ReportPage:
        """Newest first. `regions`: only of lines that lay there when they were reported (empty: all). `text`: part of
        symptom or words, letter case ignored. `limit` is held between 1 and 1000.

        Raises ValueError for a cursor that no page gave.
        """
        row = t.calls.c
        limit = max(1, min(limit, MAX_PAGE))
        exact = ((row.line_id, line_id), (row.incident_id, incident_id), (row.by, by))
        where: list[ColumnElement[bool]] = [column == value for column, value in exact if value]
        if text:
            where.append(or_(row.words.icontains(text, autoescape=True), row.symptom.icontains(text, autoescape=True)))
        if regions:
            where.append(row.region.in_(list(regions)))
        if since_ns is not None:
            where.append(row.at_ns >= since_ns)
        if cursor:
            if not cursor.isdigit() or len(cursor) > 18:
                raise ValueError(f"cursor {cursor!r} is not one that a page of reports gave")
            where.append(row.call_id < int(cursor))
        query = select(t.calls).where(*where).order_by(row.call_id.desc()).limit(limit + 1)
        with self._state.read() as connection:
            found = [_report(one) for one in connection.execute(query)]
        more = len(found) > limit
        found = found[:limit]
        return ReportPage(found, str(found[-1].call_id) if more else "")


CSV_COLUMNS = (
    "case_id",
    "at",
    "line_id",
    "symptom",
    "words",
    "started_at",
    "by",
    "verdict",
    "incident_id",
    "disposition",
)


def as_csv(reports: Iterable[Report], head: bool = True) -> str:
    """A table for a spreadsheet: no cell of it is run as a formula. `head` False: the rows alone."""
    out = io.StringIO()
    writer = csv.writer(out)
    if head:
        writer.writerow(CSV_COLUMNS)
    for r in reports:
        started = rfc3339(r.started_ns) if r.started_ns is not None else ""
        cells = (
            r.case_id,
            rfc3339(r.at_ns),
            r.line_id,
            r.symptom,
            r.words,
            started,
            r.by,
            r.verdict_code,
            r.incident_id,
            r.disposition,
        )
        writer.writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def harmless(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula gets an apostrophe in front."""
    return "'" + cell if cell.lstrip(" ")[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and cell.strip() else cell


def _report(row: Any) -> Report:
    return Report(
        call_id=row.call_id,
        at_ns=row.at_ns,
        line_id=row.line_id,
        symptom=row.symptom,
        words=row.words,
        started_ns=row.started_ns,
        by=row.by,
        verdict_code=row.verdict_code,
        incident_id=row.incident_id,
        disposition=row.disposition,
        verdict=_verdict.decode(row.body),
    )
