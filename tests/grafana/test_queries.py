"""Every query of every dashboard, executed on a real InfluxDB: no error, and never an empty panel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.lab.servers import InfluxDB
from tests.grafana import filled
from tests.grafana.front_end import Values, interpolate, panels, seconds
from tests.grafana.test_boards import FILES, RULES, load

END_MS = filled.END_S * 1000
CHOICES: dict[str, Values] = {
    "all": {},
    "one": {
        "region": ["north"],
        "exchange": ["north/ex-12"],
        "access_node": ["north/ex-12/olt (4)"],
        "resolver": ["r1"],
    },
    "several": {
        "region": ["north", "süd, west"],
        "exchange": ["north/ex.13", "süd, west/ex=1"],
        "access_node": ["north/ex.13/msan+1", "süd, west/ex=1/olt 1"],
        "resolver": ["r1", "r2"],
    },
}
GROWING = {  # the filled counters grow by one each minute
    "Samples are given up",
    "The database refuses points",
    "An alert could not be sent",
}
TEXTS = {"line": filled.LINE, "incident": "inc-a"}  # text boxes


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    server = filled.start(tmp_path_factory.mktemp("influx"))
    yield server
    server.stop()


def chosen(board: dict[str, Any], choice: str) -> Values:
    """What stands in the board's variables: the choice, All for a drop-down without one, the text of a text box."""
    values: dict[str, list[str]] = {}
    for variable in board["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "query":
            values[name] = list(CHOICES[choice].get(name, []))
        elif variable["type"] == "textbox" and name in TEXTS:
            values[name] = [TEXTS[name]]
    return values


@pytest.mark.server
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_shows_something(path: Path, choice: str, influx: InfluxDB) -> None:
    """With All, one and several values chosen, each target of each panel gives at least one value."""
    board = load(path)
    values = chosen(board, choice)
    count = 0
    for panel in panels(board):
        span_s = seconds(panel.get("timeFrom") or board["time"]["from"])
        for target in panel["targets"]:
            query = interpolate(target["query"], values, END_MS - span_s * 1000, END_MS)
            series = filled.ask(influx, query)
            found = [v for one in series for row in one["values"] for v in row[1:] if v is not None]
            assert found, f"{panel['title']}: nothing from {query}"
            for tag in target.get("alias", "").split():
                if tag.startswith("$tag_"):
                    assert all(tag.removeprefix("$tag_") in one["tags"] for one in series), panel["title"]
            count += 1
    assert count >= 5


@pytest.mark.server
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_variable_offers_values(path: Path, influx: InfluxDB) -> None:
    """Each drop-down is filled; a chained one offers only what lies in the chosen place."""
    board = load(path)
    for choice in CHOICES:
        values = chosen(board, choice)
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            assert variable["allValue"] == ".*"
            series = filled.ask(influx, interpolate(variable["query"], values, 0, END_MS))
            offered = {row[1] for one in series for row in one["values"]}
            assert offered, variable["name"]
            if choice == "one" and variable["name"] == "exchange":
                assert offered == {"north/ex-12", "north/ex.13"}
            if choice == "one" and variable["name"] == "access_node":
                assert offered == set(filled.PLACES["north"]["north/ex-12"])


@pytest.mark.server
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_annotation_has_its_columns(path: Path, influx: InfluxDB) -> None:
    """Annotation queries give events, with the columns that are to be shown."""
    board = load(path)
    values = chosen(board, "all")
    for annotation in board["annotations"]["list"]:
        target = annotation["target"]
        series = filled.ask(influx, interpolate(target["query"], values, END_MS - 3_600_000, END_MS))
        assert series, annotation["name"]
        assert {target["textColumn"], target["tagsColumn"]} <= set(series[0]["columns"])


@pytest.mark.server
def test_every_rule_reads_something_and_is_quiet(influx: InfluxDB) -> None:
    """Each alert rule's query gives a newest value per series from a healthy daemon's figures."""
    (group,) = load(RULES)["groups"]
    for rule in group["rules"]:
        query, _, threshold = rule["data"]
        span_ms = query["relativeTimeRange"]["from"] * 1000
        series = filled.ask(influx, interpolate(query["model"]["query"], {}, END_MS - span_ms, END_MS))
        newest = [one["values"][-1][1] for one in series]
        assert newest, rule["title"]
        evaluator = threshold["model"]["conditions"][0]["evaluator"]
        (limit,) = evaluator["params"]
        fires = [value > limit if evaluator["type"] == "gt" else value < limit for value in newest]
        if rule["title"] not in GROWING:
            assert not any(fires), rule["title"]
        else:
            assert all(fires), rule["title"]
