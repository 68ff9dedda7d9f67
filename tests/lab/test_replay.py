"""Replay: every way to write observations and events, what is refused with which words, and what comes out."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from msgspec.structs import replace

from monitor.clock import parse_time, rfc3339
from monitor.inventory import InputProblems, Inventory, load_inventory
from monitor.lab.replay import replay
from monitor.lab.replay.events import read_events
from monitor.lab.replay.recorder import Recorder
from monitor.lab.replay.rounds import RoundReader, resolve_targets
from monitor.lab.replay.source import ObservationSource
from monitor.lab.scoring import score
from monitor.lab.simulation import simulate
from monitor.records import (
    Change,
    Incident,
    IncidentKind,
    IncidentStatus,
    ProbeRound,
    Scope,
    ScopeKind,
    Severity,
    TargetKind,
)

START = 1_774_630_800
NS = 1_000_000_000
HEAD = "at,line_id,sent,received,rtt_ms"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    path = tmp_path_factory.mktemp("inventory") / "inventory.csv"
    path.write_text("line_id,path\n" + "".join(f"L{i},north/ex-1/olt-{i % 2}\n" for i in range(6)))
    return load_inventory(path)


def rounds_of(
    path: Path, inventory: Inventory, interval_s: int = 60
) -> tuple[list[tuple[int, list[ProbeRound]]], RoundReader]:
    source = ObservationSource(path)
    try:
        reader = RoundReader(source, resolve_targets(source, inventory), inventory, interval_s * NS)
        return list(reader.slices(interval_s * NS)), reader
    finally:
        source.close()


def rows_of(path: Path, inventory: Inventory) -> list[tuple[Any, ...]]:
    """Everything that was read, as plain rows: kind, name, seconds since START, sent, received, rtt, source."""
    found = []
    for _, rounds in rounds_of(path, inventory)[0]:
        for r in rounds:
            for i in range(len(r)):
                index = int(r.target[i])
                name = inventory.line_id(index) if r.kind is TargetKind.LINE else str(index)
                rtt = None if np.isnan(r.rtt_ms[i]) else round(float(r.rtt_ms[i]), 3)
                found.append(
                    (
                        r.kind.value,
                        name,
                        int(r.at_ns[i]) / NS - START,
                        int(r.sent[i]),
                        int(r.received[i]),
                        rtt,
                        r.source,
                    )
                )
    return found


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.name.endswith(".gz") else text.encode())
    return path


EXPECTED = [
    ("line", "L0", 0.0, 1, 1, 3.5, "default"),
    ("line", "L1", 30.5, 1, 0, None, "default"),
    ("line", "L0", 60.0, 1, 1, 4.0, "default"),
]


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz"])
@pytest.mark.parametrize(
    "times",
    [
        (str(START), str(START + 30.5), str(START + 60)),
        (str(START * 1000), str(START * 1000 + 30500), str(START * 1000 + 60000)),
        (str(START * NS), str(START * NS + 30_500_000_000), str((START + 60) * NS)),
        (rfc3339(START * NS), rfc3339(START * NS + 30_500_000_000), "2026-03-27T18:01:00+01:00"),
        (rfc3339(START * NS), str(START + 30.5), str((START + 60) * 1000)),
    ],
)
@pytest.mark.parametrize("separator", [",", ";"])
def test_times_and_spellings(
    tmp_path: Path, inventory: Inventory, name: str, times: tuple[str, ...], separator: str
) -> None:
    """Seconds, milliseconds, nanoseconds and RFC 3339, plain or packed, comma or semicolon: the same rows."""
    rows = [HEAD, f"{times[0]},L0,1,1,3.5", f"{times[1]},L1,1,0,", f"{times[2]},L0,1,1,4"]
    assert rows_of(write(tmp_path / name, "\n".join(rows).replace(",", separator) + "\n"), inventory) == EXPECTED


@pytest.mark.parametrize(
    "kind",
    [
        "t::BIGINT",
        "t::DOUBLE",
        "(t * 1000)::BIGINT",
        "make_timestamp((t * 1000000)::BIGINT)",
        "to_timestamp(t)",
        "t::VARCHAR",
    ],
)
def test_parquet(tmp_path: Path, inventory: Inventory, kind: str) -> None:
    """Parquet with numbers, timestamps or text as times."""
    path = tmp_path / "o.parquet"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        half = 30 if kind == "t::BIGINT" else 30.5
        database.execute(
            f'COPY (SELECT {kind} AS "at", line_id, sent, received, rtt_ms FROM (VALUES '
            f"({START}::DOUBLE, 'L0', 1, 1, 3.5), ({START + half}::DOUBLE, 'L1', 1, 0, NULL), "
            f"({START + 60}::DOUBLE, 'L0', 1, 1, 'nan'::DOUBLE)) v(t, line_id, sent, received, rtt_ms)) "
            f"TO '{path}' (FORMAT parquet)"
        )
    got = rows_of(path, inventory)
    assert [row[:5] for row in got] == [row[:5] if row[1] == "L0" else ("line", "L1", half, 1, 0) for row in EXPECTED]
    assert [row[5] for row in got] == [3.5, None, None]


def test_nodes_references_and_sources(tmp_path: Path, inventory: Inventory) -> None:
    """Nodes and reference targets go into rounds of their own kind, per prober; optional columns travel along."""
    text = (
        "at,line_id,sent,received,rtt_ms,rtt_min_ms,rtt_max_ms,jitter_ms,source,comment\n"
        f"{START},L0,3,3,2,1,4,0.5,p1,x\n{START},L0,3,0,,,,,p2,\n{START},element:north/ex-1,1,1,2,,,,p1,\n"
        f"{START},reference:outside,1,1,2,,,,,\n{START},reference:north/ex-1,1,0,,,,,p1,\n"
    )
    path = write(tmp_path / "o.csv", text)
    rounds = rounds_of(path, inventory)[0][0][1]
    assert {(r.source, r.kind.value, len(r)) for r in rounds} == {
        ("default", "reference", 1),
        ("p1", "line", 1),
        ("p1", "element", 1),
        ("p1", "reference", 1),
        ("p2", "line", 1),
    }
    line = next(r for r in rounds if r.source == "p1" and r.kind is TargetKind.LINE)
    assert line.rtt_min_ms is not None
    assert line.rtt_max_ms is not None
    assert line.jitter_ms is not None
    assert [float(a[0]) for a in (line.rtt_ms, line.rtt_min_ms, line.rtt_max_ms, line.jitter_ms)] == [2, 1, 4, 0.5]
    source = ObservationSource(path)
    references = resolve_targets(source, inventory).references
    source.close()
    assert [(r.name, r.element) for r in references] == [("north/ex-1", "north/ex-1"), ("outside", "")]


def test_nothing_known(tmp_path: Path, inventory: Inventory) -> None:
    """sent = 0 arrives as it is: nothing is known, which is not a miss."""
    got = rows_of(write(tmp_path / "o.csv", f"{HEAD}\n{START},L0,0,0,\n"), inventory)
    assert got == [("line", "L0", 0.0, 0, 0, None, "default")]


def test_no_reply_has_no_time(tmp_path: Path, inventory: Inventory) -> None:
    """A round-trip time beside no reply at all is not believed."""
    got = rows_of(write(tmp_path / "o.csv", f"{HEAD}\n{START},L0,2,0,5\n"), inventory)
    assert got == [("line", "L0", 0.0, 2, 0, None, "default")]


def test_only_what_was_open_is_written(tmp_path: Path, inventory: Inventory) -> None:
    """Incidents that never got beyond "forming" are left out; one that was merged away after it was open is not."""
    recorder = Recorder(inventory)
    suspected = Incident(
        *("i1", IncidentKind.OUTAGE, IncidentStatus.SUSPECTED, Severity.MINOR, Scope(ScopeKind.ELEMENT, "north")),
        *("element_down", 0.5, START * NS, START * NS, START * NS, 1, 3, 3, 6, 6),
    )
    resolved = replace(suspected, status=IncidentStatus.RESOLVED, resolved_ns=(START + 60) * NS)
    recorder.take((Change(START * NS, "suspected", suspected, lines_added=("L0",)), Change(1, "withdrawn", resolved)))
    other = replace(suspected, incident_id="i2", status=IncidentStatus.OPEN)
    recorder.take((Change(1, "opened", other, lines_added=("L1",)), Change(1, "grew", other, lines_added=("L0", "L1"))))
    recorder.take((Change(1, "merged", replace(resolved, incident_id="i2")),))
    assert recorder.write_incidents(tmp_path / "i.jsonl") == 1
    row = json.loads((tmp_path / "i.jsonl").read_text())
    assert (row["incident_id"], row["lines"], row["status"]) == ("i2", ["L0", "L1"], "resolved")
    assert row["resolved_at"] == rfc3339((START + 60) * NS)


def test_out_of_order(tmp_path: Path, inventory: Inventory) -> None:
    """A row late by less than two rounds finds its place; later ones are refused with row and times."""
    rows = [f"{START + 120},L0,1,1,1", f"{START + 1},L1,1,1,1", f"{START + 130},L2,1,1,1"]
    got = rows_of(write(tmp_path / "o.csv", "\n".join([HEAD, *rows])), inventory)
    assert [(row[1], row[2]) for row in got] == [("L1", 1), ("L0", 120), ("L2", 130)]
    rows[1] = f"{START},L1,1,1,1"
    with pytest.raises(InputProblems, match="two rounds or more before a row above it") as caught:
        rows_of(write(tmp_path / "p.csv", "\n".join([HEAD, *rows])), inventory)
    assert (caught.value.problems[0].line, caught.value.problems[0].field) == (3, "at")


def test_order_of_rows_within_two_rounds_does_not_matter(
    tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shuffled within less than two rounds, and read in chunks of any size, the rounds are the same."""
    rng = np.random.default_rng(4)
    rows = [(START + 10 * i + j, f"L{j}") for i in range(60) for j in range(6)]
    moved = sorted(rows, key=lambda row: row[0] + rng.uniform(0, 110))
    one = write(tmp_path / "a.csv", "\n".join([HEAD, *(f"{at},{name},1,1,1" for at, name in rows)]))
    two = write(tmp_path / "b.csv", "\n".join([HEAD, *(f"{at},{name},1,1,1" for at, name in moved)]))
    expected = sorted(rows_of(one, inventory))
    assert sorted(rows_of(two, inventory)) == expected
    monkeypatch.setattr(ObservationSource.chunks, "__defaults__", (7,))
    assert sorted(rows_of(two, inventory)) == expected
    ends = [end for end, _ in rounds_of(two, inventory)[0]]
    assert ends == sorted(set(ends))


def test_doubled_rows(tmp_path: Path, inventory: Inventory) -> None:
    """A row written twice counts once; two rows of a line within a round are two rounds."""
    rows = [f"{START},L0,1,1,1", f"{START},L0,1,1,1", f"{START + 20},L0,1,0,", f"{START + 20},L1,1,1,1"]
    slices, reader = rounds_of(write(tmp_path / "o.csv", "\n".join([HEAD, *rows])), inventory)
    assert reader.doubled_rows == 1
    assert sorted(len(r) for r in slices[0][1]) == [1, 2]
    assert all(len(np.unique(r.target)) == len(r) for r in slices[0][1])


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ("yesterday,L1,1,1,1", "at", "'yesterday' is not a time"),
        ("2026-03-27T17:00:00,L1,1,1,1", "at", "no time zone"),
        (",L1,1,1,1", "at", "is empty"),
        ("-5,L1,1,1,1", "at", "before 1970"),
        (f"{START},,1,1,1", "line_id", "is empty"),
        (f"{START},L1,x,1,1", "sent", "'x' is not a whole number"),
        (f"{START},L1,1.5,1,1", "sent", "is not a whole number"),
        (f"{START},L1,,1,1", "sent", "is empty"),
        (f"{START},L1,-1,0,1", "sent", "is not a whole number"),
        (f"{START},L1,70000,0,1", "sent", "0 to 65535"),
        (f"{START},L1,1,2,1", "received", "is more than was sent"),
        (f"{START},L1,1,,1", "received", "is empty"),
        (f"{START},L1,1,1,fast", "rtt_ms", "'fast' is not a number"),
        (f"{START},L1,1,1,-2", "rtt_ms", "is not a number"),
        (f"{START},L1,1,1,inf", "rtt_ms", "is not a number"),
        (f"{START + 86400 * 400},L1,1,1,1", "at", "more than 30 days after"),
    ],
)
def test_bad_rows(tmp_path: Path, inventory: Inventory, row: str, field: str, words: str) -> None:
    """Each wrong cell is told with file, line and field."""
    path = write(tmp_path / "o.csv", f"{HEAD}\n{START},L0,1,1,nan\n{row}\n{START},L2,1,1,1\n")
    with pytest.raises(InputProblems) as caught:
        rows_of(path, inventory)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.field) == (str(path), 3, field)
    assert words in problem.message


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("o.csv", "", "the file is empty"),
        ("o.csv", "at,line_id,sent\n1,L0,1\n", "received: the column is missing"),
        ("o.parquet", "this is no parquet", "cannot be read"),
        ("o.txt", "x", "must end in"),
        ("o.csv.gz", None, "no such file"),
        ("o.csv", f"{HEAD}\n{START},L0,1,1,1,extra\n", "cannot be read"),
    ],
)
def test_bad_files(tmp_path: Path, inventory: Inventory, name: str, text: str | None, words: str) -> None:
    """What is wrong with the file itself is told in one line."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputProblems, match=words) as caught:
        rows_of(path, inventory)
    assert "\n" not in str(caught.value)


def test_unknown_lines(tmp_path: Path, inventory: Inventory) -> None:
    """Lines that the inventory does not know are left out and counted; if it knows none, the file is refused."""
    path = write(tmp_path / "o.csv", f"{HEAD}\n{START},L0,1,1,1\n{START},X,1,1,1\n{START},element:x,1,1,1\n")
    done = replay(inventory, path, None, tmp_path / "i.jsonl")
    assert (done.rows, done.unknown_rows, done.unknown) == (3, 2, ("X", "element:x"))
    path = write(tmp_path / "o.csv", f"{HEAD}\n{START},X,1,1,1\n")
    with pytest.raises(InputProblems, match="holds no line of the inventory"):
        replay(inventory, path, None, tmp_path / "i.jsonl")


def test_events(tmp_path: Path) -> None:
    """Events are read in the order of time, with whatever columns there are."""
    path = tmp_path / "e.csv"
    path.write_text(f"kind;at;subject;value;by\ncall;{START + 5};L1;;anna\nresolver_down;{START};group:resolver:r1;;\n")
    events = read_events(path)
    assert [(e.kind, e.subject, e.by) for e in events] == [
        ("resolver_down", "group:resolver:r1", ""),
        ("call", "L1", "anna"),
    ]
    assert events[0].at_ns == START * NS


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ("x,L1,call,", "at", "is not a time"),
        (f"{START},L1,party,", "kind", "'party' is not known"),
        (f"{START},,call,", "subject", "is empty"),
        (f"{START},group:bng,call,", "subject", "group:KIND:NAME"),
        (f"{START},L1,call", "", "has 3 fields"),
    ],
)
def test_bad_events(tmp_path: Path, row: str, field: str, words: str) -> None:
    """Each wrong event is told with file, line and field."""
    path = tmp_path / "e.csv"
    path.write_text(f"at,subject,kind,value\n{START},L1,call,\n{row}\n")
    with pytest.raises(InputProblems) as caught:
        read_events(path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.field) == (str(path), 3, field)
    assert words in problem.message


def test_empty_recording(tmp_path: Path, inventory: Inventory) -> None:
    """A file with a header and no rows is no mistake: nothing happened."""
    done = replay(inventory, write(tmp_path / "o.csv", HEAD + "\n"), None, tmp_path / "i.jsonl", tmp_path / "f.jsonl")
    assert (done.rows, done.steps, done.incidents, done.flags) == (0, 0, 0, 0)
    assert (tmp_path / "i.jsonl").read_text() == ""


def test_events_alone_go_on_after_the_last_row(tmp_path: Path, inventory: Inventory) -> None:
    """Events after the last observation are still given to the engine."""
    events = tmp_path / "e.csv"
    events.write_text(f"at,subject,kind,value\n{START + 600},group:resolver:r1,resolver_down,\n")
    path = write(tmp_path / "o.csv", f"{HEAD}\n{START},L0,1,1,1\n")
    done = replay(inventory, path, events, tmp_path / "i.jsonl")
    assert done.events == 1
    assert done.steps >= 2


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outage")
    simulate("splitter", 400, 1.5, 3, folder)
    return folder


def run(folder: Path, out: str, **more: Any) -> list[dict[str, Any]]:
    done = replay(
        folder / "inventory.csv",
        folder / "observations.parquet",
        folder / "events.csv",
        folder / out,
        folder / ("flags-" + out),
        **more,
    )
    rows = [json.loads(text) for text in (folder / out).read_text().splitlines()]
    assert len(rows) == done.incidents
    assert done.refused == {}
    return rows


def test_an_outage_end_to_end(outage: Path) -> None:
    """A simulated outage is found, with its scope, in the promised fields."""
    incidents = run(outage, "incidents.jsonl")
    figures = score(outage / "truth.jsonl", outage / "incidents.jsonl")
    assert (figures["incident_recall"], figures["false"]) == (1, 0)
    for incident in incidents:
        assert set(incident) == {
            *("incident_id", "kind", "status", "scope", "cause", "confidence", "started_at", "detected_at"),
            *("resolved_at", "lines", "lines_at_risk", "explanation", "line_intervals"),
        }
        assert incident["status"] != "suspected"
        assert incident["lines"] == sorted(set(incident["lines"]))
        assert parse_time(incident["started_at"]) <= parse_time(incident["detected_at"])
        assert incident["explanation"].endswith(".")
        for line, begin, end in incident["line_intervals"]:
            assert line in incident["lines"]
            assert end is None or parse_time(begin) <= parse_time(end)


def test_same_file_same_bytes(outage: Path) -> None:
    """The same recording gives the same bytes again."""
    run(outage, "one.jsonl")
    run(outage, "two.jsonl")
    for prefix in ("", "flags-"):
        assert (outage / f"{prefix}one.jsonl").read_bytes() == (outage / f"{prefix}two.jsonl").read_bytes()


def test_wrong_interval(tmp_path: Path, inventory: Inventory) -> None:
    """An interval below a second is refused."""
    with pytest.raises(ValueError, match="must be 1 or more"):
        replay(inventory, tmp_path / "o.csv", None, tmp_path / "i.jsonl", interval_s=0)
