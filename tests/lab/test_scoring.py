"""The score, checked against cases small enough to count by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.clock import rfc3339
from monitor.inventory import InputProblems, load_inventory
from monitor.lab.scoring import read_incidents, read_truths, score, score_cases
from monitor.lab.scoring.matching import distance_km, same_area
from monitor.lab.scoring.score import percentile

START = 1_774_630_800
MINUTE = 60


def at(minutes: float) -> str:
    return rfc3339(int((START + minutes * MINUTE) * 1_000_000_000))


def truth(
    name: str,
    lines: list[str],
    begin: float = 0,
    end: float = 60,
    scope: str = "element:a",
    kind: str = "outage",
    **more: Any,
) -> dict[str, Any]:
    scope_kind, _, scope_name = scope.partition(":")
    return {
        "id": name,
        "kind": kind,
        "cause": "x",
        "scope": {"kind": scope_kind, "name": scope_name},
        "started_at": at(begin),
        "ended_at": at(end),
        "lines": lines,
        **more,
    }


def incident(
    name: str,
    lines: list[str],
    begin: float = 0,
    end: float | None = 60,
    scope: str = "element:a",
    kind: str = "outage",
    detected: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    row = truth(name, lines, begin, 60, scope, kind, **more)
    row["incident_id"] = row.pop("id")
    row["resolved_at"] = None if end is None else at(end)
    del row["ended_at"]
    return row | {"detected_at": at(begin + 1 if detected is None else detected)}


def lines(low: int, high: int) -> list[str]:
    return [f"L{i}" for i in range(low, high)]


def judge(tmp_path: Path, truths: list[dict[str, Any]], incidents: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    for name, rows in (("truth.jsonl", truths), ("incidents.jsonl", incidents)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return score(tmp_path / "truth.jsonl", tmp_path / "incidents.jsonl", **more)


def test_perfect(tmp_path: Path) -> None:
    """What is found as it was has full marks, and the delay is from the true start."""
    got = judge(
        tmp_path,
        [truth("t1", lines(0, 10)), truth("t2", lines(10, 20), 5, 30, "group:bng:b1")],
        [incident("i1", lines(0, 10), detected=2), incident("i2", lines(10, 20), 6, 30, "group:bng:b1", detected=9)],
        line_hours=2_000_000.0,
    )
    assert [got[k] for k in ("incident_precision", "incident_recall", "scope_accuracy")] == [1, 1, 1]
    assert [got[k] for k in ("delay_median_s", "delay_p90_s", "delay_p95_s")] == [180, 228, 234]
    assert [got[k] for k in ("false", "splits", "traps", "false_per_million_line_hours")] == [0, 0, 0, 0]
    assert got["line_precision"] == 1
    assert got["line_recall"] == pytest.approx((600 + 240) / (600 + 250))


def test_jaccard_of_a_half(tmp_path: Path) -> None:
    """Half in common is a match, a little less is a split of nothing and not false."""
    assert judge(tmp_path, [truth("t", lines(0, 10))], [incident("i", lines(0, 5))])["incident_recall"] == 1
    got = judge(tmp_path, [truth("t", lines(0, 10))], [incident("i", lines(0, 4))])
    assert (got["incident_recall"], got["false"], got["splits"]) == (0, 0, 0)


def test_times_must_overlap(tmp_path: Path) -> None:
    """The same lines at another time are a false incident; an incident that is still open overlaps all that follows."""
    got = judge(
        tmp_path, [truth("t", lines(0, 10), 10, 20)], [incident("i", lines(0, 10), 21, 30)], line_hours=500_000.0
    )
    assert (got["incident_precision"], got["false"], got["false_per_million_line_hours"]) == (0, 1, 2)
    assert (
        judge(tmp_path, [truth("t", lines(0, 9), 90, 99)], [incident("i", lines(0, 9), 5, None)])["incident_recall"]
        == 1
    )


def test_best_first_one_to_one(tmp_path: Path) -> None:
    """The better of two incidents is the match, the other is a split."""
    got = judge(
        tmp_path,
        [truth("t", lines(0, 10))],
        [incident("half", lines(0, 6)), incident("all", lines(0, 10), scope="element:b")],
    )
    assert (got["incident_precision"], got["incident_recall"], got["splits"], got["false"]) == (0.5, 1, 1, 0)
    assert got["scope_accuracy"] == 0


def test_empty_line_sets(tmp_path: Path) -> None:
    """A blind prober matches by kind and scope; another prober or another kind does not."""
    blind = truth("t", [], scope="source:p1", kind="source")
    for scope, kind, found in (("source:p1", "source", 1), ("source:p2", "source", 0), ("source:p1", "outage", 0)):
        got = judge(tmp_path, [blind], [incident("i", [], scope=scope, kind=kind)])
        assert got["incident_recall"] == found


@pytest.mark.parametrize("kind", ["planned", "resolver", "source"])
def test_traps(tmp_path: Path, kind: str) -> None:
    """An outage opened for what is none is a trap, whether it matches it or not."""
    hit = lines(0, 10) if kind == "planned" else []
    trap = truth("t", hit, 0, 60, "element:a" if hit else "source:p", kind)
    assert judge(tmp_path, [trap], [incident("i", lines(0, 10), 5, 20)])["traps"] == 1
    assert judge(tmp_path, [trap], [incident("i", lines(0, 2), 5, 20)])["traps"] == 1
    assert judge(tmp_path, [trap], [incident("i", hit, 5, 20, trap["scope"]["kind"] + ":x", kind)])["traps"] == 0
    real = truth("r", lines(20, 30), 0, 60, "element:r")
    assert judge(tmp_path, [trap, real], [incident("i", lines(20, 30), 5, 20)])["traps"] == 0
    assert judge(tmp_path, [trap], [incident("i", lines(40, 50), 70, 90)])["traps"] == 0


def test_elements_with_the_same_lines(tmp_path: Path) -> None:
    """An exchange with one OLT may be named by either; with another line beside it, it may not."""
    path = tmp_path / "inventory.csv"
    path.write_text(
        "line_id,path\nL0,north/ex-1/olt-1\nL1,north/ex-1/olt-1\nL2,north/ex-2/olt-1\nL3,north/ex-2/olt-2\n"
    )
    pairs = [("north/ex-1", "north/ex-1/olt-1", 1), ("north/ex-2", "north/ex-2/olt-1", 0), ("north/x", "north/ex-1", 0)]
    for one, other, right in pairs:
        got = judge(
            tmp_path,
            [truth("t", lines(0, 2), scope=f"element:{one}")],
            [incident("i", lines(0, 2), scope=f"element:{other}")],
        )
        assert got["scope_accuracy"] == right


def test_areas() -> None:
    """Areas are the same when the centres lie within the larger radius."""
    assert distance_km(52.0, 13.0, 53.0, 13.0) == pytest.approx(111.2, abs=0.1)
    assert same_area("52.0,13.0,0.3", "52.0045,13.0,0.6")
    assert not same_area("52.0,13.0,0.3", "52.0045,13.0,0.4")
    assert not same_area("52.0,13.0", "52.0,13.0,1")


def test_line_figures_by_time(tmp_path: Path) -> None:
    """Line figures count the time that lines were down: late detection of the end costs precision."""
    was = truth("t", ["L0", "L1"], line_intervals=[["L0", at(0), at(10)], ["L1", at(5), at(10)]])
    said = incident("i", ["L0", "L2"], line_intervals=[["L0", at(5), at(15)], ["L2", at(0), at(10)]])
    got = judge(tmp_path, [was], [said])
    assert got["line_precision"] == pytest.approx(5 / 20)
    assert got["line_recall"] == pytest.approx(5 / 15)
    assert got["line_f1"] == pytest.approx(2 * 0.25 * (1 / 3) / (0.25 + 1 / 3))


def test_kinds_without_down_lines_do_not_count(tmp_path: Path) -> None:
    """Slow lines are not down: degraded incidents do not enter the line figures."""
    got = judge(tmp_path, [truth("t", lines(0, 5), kind="degraded")], [incident("i", lines(0, 5), kind="degraded")])
    assert (got["incident_recall"], got["line_precision"], got["line_recall"]) == (1, None, None)


def test_nothing_at_all(tmp_path: Path) -> None:
    """Empty files give no ratio rather than a wrong one."""
    got = judge(tmp_path, [], [])
    assert {v for k, v in got.items() if k not in ("false", "splits", "traps")} == {None}
    assert (got["false"], got["splits"], got["traps"]) == (0, 0, 0)


def test_size_of_the_run_beside_the_truth(tmp_path: Path) -> None:
    """Line-hours come from simulation.json beside the truth."""
    (tmp_path / "simulation.json").write_text('{"lines": 1000, "hours": 500, "more": 1}')
    got = judge(tmp_path, [], [incident("i", lines(0, 3))])
    assert got["false_per_million_line_hours"] == 2


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"kind": "fire"}, "kind", "is not one of"),
        ({"kind": None}, "kind", "is missing"),
        ({"scope": "a"}, "scope", "is not"),
        ({"scope": {"kind": "room", "name": "a"}}, "scope", "is not one of"),
        ({"started_at": "yesterday"}, "started_at", "is not a time"),
        ({"started_at": "2026-01-01T00:00:00"}, "started_at", "no time zone"),
        ({"started_at": None}, "started_at", "is missing"),
        ({"resolved_at": at(-5)}, "resolved_at", "is before started_at"),
        ({"detected_at": None}, "detected_at", "is missing"),
        ({"lines": "L1"}, "lines", "is not a list"),
        ({"lines": None}, "lines", "is missing"),
        ({"line_intervals": [["L1", at(0)]]}, "line_intervals", "is not [line_id, from, to]"),
        ({"line_intervals": [["L1", at(9), at(1)]]}, "line_intervals", "ends before it begins"),
        ({"incident_id": ""}, "incident_id", "is not a text"),
        ({"incident_id": "first"}, "incident_id", "already in line 1"),
    ],
)
def test_bad_input(tmp_path: Path, change: dict[str, Any], field: str, words: str) -> None:
    """Each wrong field is told with file, line and field."""
    path = tmp_path / "incidents.jsonl"
    rows = [incident("first", ["L1"]), incident("i", ["L1"]) | change]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputProblems) as caught:
        read_incidents(path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.field) == (str(path), 2, field)
    assert words in problem.message


@pytest.mark.parametrize(("text", "words"), [("{", "is not JSON"), ("[]", "is not a JSON object")])
def test_bad_json(tmp_path: Path, text: str, words: str) -> None:
    """A line that is no JSON object is told with its number; a missing file too."""
    (tmp_path / "t.jsonl").write_text("\n" + text + "\n")
    with pytest.raises(InputProblems, match=words) as caught:
        read_truths(tmp_path / "t.jsonl")
    assert caught.value.problems[0].line == 2
    with pytest.raises(InputProblems, match="No such file"):
        read_truths(tmp_path / "none.jsonl")


cases = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 30), st.sets(st.sampled_from(lines(0, 8))), st.sampled_from("ab")),
    max_size=6,
)


@given(cases, cases)
def test_bounds(tmp_path_factory: pytest.TempPathFactory, was: list[Any], said: list[Any]) -> None:
    """Whatever the cases: ratios are ratios, pairs are one to one, and no incident is counted twice."""
    folder = tmp_path_factory.mktemp("score")
    truths = [truth(f"t{i}", sorted(ls), b, b + d, f"element:{s}") for i, (b, d, ls, s) in enumerate(was)]
    told = [incident(f"i{i}", sorted(ls), b, b + d, f"element:{s}") for i, (b, d, ls, s) in enumerate(said)]
    got = judge(folder, truths, told)
    matched = round((got["incident_precision"] or 0) * len(told))
    assert matched == round((got["incident_recall"] or 0) * len(truths))
    assert matched + got["false"] + got["splits"] <= len(told)
    assert all(v is None or 0 <= v <= 1.000001 for k, v in got.items() if k.startswith(("incident", "line", "scope")))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_percentile(values: list[float], share: float) -> None:
    """Percentiles are those of numpy."""
    import numpy as np

    assert percentile(sorted(values), share) == pytest.approx(float(np.percentile(values, share * 100)), abs=1e-6)


def test_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    """The same cases in another order have the same score."""
    was = [truth(f"t{i}", lines(i * 5, i * 5 + 7), i, i + 20, f"element:e{i}") for i in range(6)]
    said = [incident(f"i{i}", lines(i * 4, i * 4 + 6), i, i + 10, f"element:e{i}") for i in range(8)]
    assert judge(tmp_path, was, said) == judge(tmp_path, was[::-1], said[::-1])
    inventory = tmp_path / "x.csv"
    inventory.write_text("line_id,path\nL0,a\n")
    cases = read_truths(tmp_path / "truth.jsonl")
    assert score_cases(cases, [], load_inventory(inventory)).incident_recall == 0
