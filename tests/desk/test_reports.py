"""Customers' reports: documented once, found again, harmless in a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.clock import NS, ManualClock
from monitor.desk import Reports, as_csv
from monitor.records import Confidence, Verdict, VerdictCode
from monitor.store.state import StateStore
from tests.desk.world import NOW


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = StateStore(tmp_path / "state.sqlite", ManualClock(NOW))
    yield store
    store.close()


def verdict(line_id: str = "L000", incident: str = "") -> Verdict:
    return Verdict(
        VerdictCode.KNOWN_OUTAGE,
        Confidence.SURE,
        NOW,
        line_id,
        incident_id=incident,
        disposition="resolved_info_outage",
    )


def test_report_keeps_the_verdict_as_it_stood(state: StateStore) -> None:
    """What was said is there again, with the frozen verdict, its case number and the event for the engine."""
    reports = Reports(state)
    made, new = reports.add(verdict(incident="INC-1"), NOW, "anna", "no_internet", "alles weg", NOW - 60 * NS)
    assert new
    assert made == reports.get(made.call_id)
    assert made.verdict == verdict(incident="INC-1")
    assert made.case_id == f"R-{made.call_id:06d}"
    event = made.event()
    assert (event.subject, event.kind, event.event_id) == ("L000", "call", f"call:{made.call_id}")
    assert "alles weg" not in event.value


def test_second_click_is_the_same_report(state: StateStore) -> None:
    """The same request twice documents one contact."""
    reports = Reports(state)
    first, _ = reports.add(verdict(), NOW, "anna", "no_internet", request_id="abc")
    again, new = reports.add(verdict(), NOW + NS, "anna", "no_internet", request_id="abc")
    assert (again, new) == (first, False)
    assert len(reports.search().items) == 1


def test_search_and_pages(state: StateStore) -> None:
    """Reports are found by line, incident, person and words, newest first, page by page."""
    reports = Reports(state)
    for n in range(5):
        reports.add(verdict(f"L{n % 2}", f"INC-{n}"), NOW + n * NS, "anna" if n else "ben", "slow", f"100% lahm {n}")
    page = reports.search(limit=2)
    assert [r.incident_id for r in page.items] == ["INC-4", "INC-3"]
    rest = reports.search(limit=10, cursor=page.cursor)
    assert [r.incident_id for r in rest.items] == ["INC-2", "INC-1", "INC-0"]
    assert rest.cursor == ""
    assert len(reports.search(line_id="L1").items) == 2
    assert len(reports.search(by="ben").items) == 1
    assert len(reports.search(text="LAHM 3").items) == 1
    assert len(reports.search(text="0% l").items) == 5
    assert reports.search(text="%_").items == []
    assert len(reports.search(since_ns=NOW + 3 * NS).items) == 2


@pytest.mark.parametrize("cursor", ["x", "-1", "1; DROP TABLE calls", "9" * 30])
def test_strange_cursor_is_refused(state: StateStore, cursor: str) -> None:
    """A cursor that no page gave is an error of the caller, never of the database."""
    with pytest.raises(ValueError, match="cursor"):
        Reports(state).search(cursor=cursor)


@pytest.mark.parametrize(
    "words", ["=1+1", "@SUM(A1)", "+49", "-2", "\t=1", " =1", 'a"b,c\nd', "'; DROP TABLE calls;--"]
)
def test_words_do_no_harm(state: StateStore, words: str) -> None:
    """Formulas are defused in the CSV, everything else comes back as it was said."""
    reports = Reports(state)
    made, _ = reports.add(verdict(), NOW, "anna", "other", words)
    assert made.words == words
    row = list(csv.reader(io.StringIO(as_csv([made]))))[1]
    assert row[4].lstrip("'") == words.lstrip("'")
    assert row[4].lstrip(" ")[0] not in "=+-@\t"


def test_reports_expire(state: StateStore) -> None:
    """What is older than it is kept goes; the rest stays."""
    reports = Reports(state)
    found = Verdict(VerdictCode.NO_FAULT_FOUND, Confidence.SURE, 1, "L000")
    for at_ns in (1, 2, 3):
        reports.add(found, at_ns, "anna", "slow")
    assert reports.expire(3) == 2
    assert [r.at_ns for r in reports.search().items] == [3]
