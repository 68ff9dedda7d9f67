"""Reads events.csv."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from monitor.clock import parse_time
from monitor.inventory.csvfile import CsvRows, Problems, open_csv
from monitor.records import EVENT_KINDS, Event, EventKind, parse_subject

REQUIRED = ("at", "subject", "kind")


def read_events(path: Path) -> list[Event]:
    """The events by time (those of one time in the order of the file). Columns beside the four known ones are ignored.

    Raises InputProblems, naming line and field.
    """
    problems = Problems(str(path))
    with open_csv(path, problems) as rows:
        rows.check_header(REQUIRED)
        events = list(_events(rows, problems))
    problems.raise_any()
    events.sort(key=lambda event: event.at_ns)
    return events


def _events(rows: CsvRows, problems: Problems) -> Iterator[Event]:
    place = {name: i for i, name in enumerate(rows.header)}
    at_place, subject_place, kind_place = (place[name] for name in REQUIRED)
    for lines, chunk in rows.chunks(4096):
        for line, cells in zip(lines, chunk, strict=True):
            kind = cells[kind_place].strip()
            subject = cells[subject_place].strip()
            try:
                at_ns = parse_time(cells[at_place])
            except ValueError as error:
                problems.add(line, "at", str(error))
                continue
            if kind not in EVENT_KINDS:
                problems.add(line, "kind", f"{kind!r} is not known")
                continue
            try:
                parse_subject(subject)
            except ValueError as error:
                problems.add(line, "subject", str(error))
                continue
            text = {n: cells[place[n]].strip() for n in ("value", "source", "by") if n in place}
            yield Event(at_ns, subject, cast(EventKind, kind), **text)
