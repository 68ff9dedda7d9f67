"""The committed dashboards: as the code builds them, and as the SDK reads them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.grafana.front_end import panels

GRAFANA = Path(__file__).parents[2] / "grafana"
RULES = GRAFANA / "provisioning" / "alerting" / "faultline.json"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return board


def test_committed_is_what_the_code_builds(tmp_path: Path) -> None:
    """A fresh build gives exactly the committed files, and there are no others."""
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import build;"
        "build.FOLDER = pathlib.Path(sys.argv[2]); build.RULES = build.FOLDER / 'rules' / 'faultline.json';"
        "build.main()"
    )
    subprocess.run([sys.executable, "-c", code, str(GRAFANA), str(tmp_path)], check=True, capture_output=True)
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.json")}
    assert fresh == {path.name: path.read_text(encoding="utf-8") for path in FILES}
    assert fresh
    assert (tmp_path / "rules" / "faultline.json").read_text(encoding="utf-8") == RULES.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_through_the_sdk_and_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads the JSON into its models and writes the same JSON again: nothing in it is unknown to Grafana."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import dashboard

    monkeypatch.syspath_prepend(str(GRAFANA))
    monkeypatch.setattr(dashboard, "AnnotationTarget", dashboard.AnnotationTarget)  # put back what register changes
    register_default_plugins()
    from boards.influxql import register

    register()
    committed = load(path)
    again = json.loads(json.dumps(dashboard.Dashboard.from_json(committed), cls=JSONEncoder))
    assert again == committed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_is_fit_for_the_wall(path: Path) -> None:
    """Panels have a title and a help text, read our data source, never a line's samples by all lines, and lie in the
    grid without overlapping; the titles are all different."""
    board = load(path)
    cells: set[tuple[int, int]] = set()
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"]
        assert panel["targets"]
        assert panel["links"], f"{panel['title']} leads nowhere"
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "influxdb", "uid": "${datasource}"}
            assert "$timeFilter" in target["query"]
            if '"probe"' in target["query"]:
                assert "\"line_id\" = '${line}'" in target["query"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        cells |= own


def test_links_between_dashboards_lead_somewhere() -> None:
    """Every link to another dashboard names one that exists, and sets only variables that it has."""
    boards = {board["uid"]: board for board in map(load, FILES)}
    known = {uid: {v["name"] for v in board["templating"]["list"]} for uid, board in boards.items()}
    links = set(re.findall(r"/d/([\w-]+)\?([^\"]*)", "".join(path.read_text(encoding="utf-8") for path in FILES)))
    assert len(links) >= 5
    for uid, query in links:
        given = set(re.findall(r"\$\{(\w+):queryparam\}|var-(\w+)=", query))
        assert {a or b for a, b in given} <= known[uid], (uid, query)


def test_rules_are_whole() -> None:
    """Each rule has its own uid and title, a text for people, one query of our data source, and a threshold on its
    newest value."""
    (group,) = load(RULES)["groups"]
    rules = group["rules"]
    assert len({rule["uid"] for rule in rules}) == len({rule["title"] for rule in rules}) == len(rules) >= 5
    for rule in rules:
        assert len(rule["uid"]) <= 40
        query, newest, threshold = rule["data"]
        assert (query["refId"], newest["model"]["expression"], threshold["model"]["expression"]) == ("A", "A", "B")
        assert rule["condition"] == threshold["refId"]
        assert query["datasourceUid"] == "faultline"
        assert "$timeFilter" in query["model"]["query"]
        assert rule["annotations"]["summary"]


def test_provisioning_names_what_is_there() -> None:
    """The provisioning files are version 1, hold no secret, and the documentation explains every variable they use."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((GRAFANA / "provisioning").rglob("*.yaml")))
    assert text.count("apiVersion: 1") == 2
    guide = (GRAFANA.parent / "docs" / "grafana.md").read_text(encoding="utf-8")
    names = set(re.findall(r"\$\{(\w+)\}", text))
    assert names
    assert all(name in guide for name in names)
