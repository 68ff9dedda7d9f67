"""The list of lines most likely to call, over HTTP: JSON and CSV, who may see what of it, and from a terminal."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from monitor.api.client_ranking import ranking
from monitor.clock import NS, rfc3339
from monitor.records import Change, Event, Flag, FlagKind
from tests.api.conftest import Clients, Provider
from tests.api.test_client import run
from tests.correlation.neighbourhood import past
from tests.desk.world import NOW

HOUR_NS = 3600 * NS
URL = "/api/v1/ranking"


def listed(isp: Provider, *hours: tuple[str, float]) -> None:
    """Unstable lines, since so many hours before NOW."""
    begin = {line: NOW - int(h * HOUR_NS) for line, h in hours}
    flags = [Flag(line, FlagKind.UNSTABLE, "loss", 0.08, "ratio", at, at) for line, at in begin.items()]
    isp.state.apply(1, [Change(f.detected_ns, "flag_raised", flag=f) for f in flags])
    isp.ranking.make(NOW)


async def test_list_as_json(isp: Provider, http: Clients) -> None:
    """Most likely first, with why in both languages, since when, and what the order rests on."""
    listed(isp, ("L001", 30), ("L019", 60), ("gone", 90))
    body = (await http["lead"].get(URL)).json()
    assert body["at"] == rfc3339(isp.ranking.moment(NOW))
    assert [(i["rank"], i["line_id"]) for i in body["items"]] == [(2, "L019"), (3, "L001")]
    assert body["listed"] == 2
    first = body["items"][0]
    assert (first["path"], first["chance"], first["open"]) == ("south/ex-2/msan-1", None, True)
    assert first["text"]["en"] == "Noticed on L019: packet loss 8%."
    assert first["started_at"] == rfc3339(NOW - 60 * HOUR_NS)
    assert (body["basis"]["method"], body["basis"]["reason"], body["basis"]["calls_needed"]) == (
        "score",
        "few_calls",
        500,
    )
    assert body["basis"]["text"]["de"] == "Nach der Punktzahl: 0 Anrufe sind erfasst, gelernt wird ab 500."
    assert [i["line_id"] for i in (await http["lead"].get(URL, params={"limit": 1})).json()["items"]] == ["L019"]
    north = (await http["lead"].get(URL, params={"element": "/north/ex-1/"})).json()
    assert ([i["line_id"] for i in north["items"]], north["listed"]) == (["L001"], 1)
    assert (await http["lead"].get(URL, params={"element": "north/ex"})).json()["items"] == []


async def test_before_the_first_list(isp: Provider, http: Clients) -> None:
    """There is none yet, and that is an answer."""
    body = (await http["noc"].get(URL)).json()
    assert body == {"at": None, "listed": 0, "basis": None, "items": []}


async def test_a_model_says_how_good_it_is(isp: Provider, http: Clients) -> None:
    """Chances, and the figures of model and score on the same later days."""
    flags, calls = past(lines=400)
    rows = {f"L{n:05d}": f"L{n:03d}" for n in range(20)}
    isp.state.apply(
        1,
        [
            Change(
                f.detected_ns,
                "flag_raised",
                flag=Flag(
                    rows.get(f.subject, f.subject),
                    f.kind,
                    f.reason,
                    f.value,
                    f.unit,
                    f.started_ns,
                    f.detected_ns,
                    f.ended_ns,
                ),
            )
            for f in flags
        ],
    )
    for n, (line, at_ns) in enumerate(calls):
        isp.state.record_event(Event(at_ns, rows.get(line, line), "call", event_id=f"crm:{n}"))
    await asyncio.to_thread(isp.ranking.make, NOW)
    body = (await http["admin"].get(URL)).json()
    basis = body["basis"]
    assert (basis["method"], basis["reason"]) == ("model", "better")
    assert basis["model"]["average_precision"] > basis["score"]["average_precision"]
    assert basis["tested_days"] >= 7
    assert "tested on" in basis["text"]["en"]
    chances = [i["chance"] for i in body["items"]]
    assert chances == sorted(chances, reverse=True)


async def test_who_may_see_it(isp: Provider, http: Clients) -> None:
    """Leads and administrators with street and name, the NOC with both masked; agents and probes not at all."""
    listed(isp, ("L001", 30))
    for role in ("agent", "probe"):
        assert (await http[role].get(URL)).status_code == 403
    assert (await http[""].get(URL)).status_code == 401
    (open_data,) = (await http["lead"].get(URL)).json()["items"]
    assert (open_data["name"], open_data["street"], open_data["masked"]) == ("Ben Muster", "Lindenweg 1", False)
    (masked,) = (await http["noc"].get(URL)).json()["items"]
    assert (masked["name"], masked["street"], masked["masked"]) == ("B… M…", "Lin…", True)
    assert "Lindenweg" not in (await http["noc"].get(URL, params={"format": "csv"})).text


async def test_regions_are_respected(isp: Provider, http: Clients) -> None:
    """A key of the south sees the south's lines alone, with their places in the whole network."""
    listed(isp, ("L001", 30), ("L019", 20))
    key = isp.state.create_key("south lead", "lead", None, ["south"]).text
    async with httpx.AsyncClient(base_url=isp.url, headers={"Authorization": f"Bearer {key}"}) as south:
        body = (await south.get(URL)).json()
        assert ([(i["rank"], i["line_id"]) for i in body["items"]], body["listed"]) == ([(2, "L019")], 1)
        assert "L001" not in (await south.get(URL, params={"format": "csv"})).text
        assert (await south.get(URL, params={"element": "north"})).json()["items"] == []


async def test_csv_is_harmless_and_audited(tmp_path: Path, isp: Provider, http: Clients) -> None:
    """A table with the same lines; what a spreadsheet would run is text; the trail says who took how many."""
    texts = isp.inventory.texts["street"]
    listed(isp, ("L001", 30), ("L019", 60))
    response = await http["lead"].get(URL, params={"format": "csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "ranking.csv" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(r["rank"], r["line_id"], r["chance"], r["street"]) for r in rows] == [
        ("1", "L019", "", texts[19]),
        ("2", "L001", "", texts[1]),
    ]
    trail = (await http["admin"].get("/api/v1/audit")).json()["items"]
    assert (trail[0]["who"], trail[0]["action"], trail[0]["detail"]) == ("lead", "ranking", "2 as csv")
    from monitor.api.routes.ranking import CSV_COLUMNS, _as_csv

    wicked = dict.fromkeys(CSV_COLUMNS, "=1+1") | {"rank": 1, "value": -3.5, "chance": None}
    (row,) = csv.DictReader(io.StringIO(_as_csv([wicked])))
    assert (row["street"], row["value"], row["chance"]) == ("'=1+1", "-3.5", "")


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 5001}, {"format": "xml"}, {"element": "x" * 501}])
async def test_what_cannot_be_asked(http: Clients, wrong: dict[str, str | int]) -> None:
    """422 that names the field."""
    response = await http["lead"].get(URL, params=wrong)
    assert response.status_code == 422
    assert next(iter(wrong)) in response.text


async def test_calls_of_other_systems_are_remembered(isp: Provider, http: Clients) -> None:
    """A `call` without an id of its own is kept too, and the same one again is no second call."""
    row = {"subject": "L001", "kind": "call", "at": rfc3339(NOW - HOUR_NS)}
    for _ in range(2):
        assert (await http["probe"].post("/api/v1/events", json=row)).status_code == 202
    assert [(e.subject, e.kind) for e in isp.state.events()] == [("L001", "call")]


async def test_terminal_shows_the_list(isp: Provider) -> None:
    """A table, JSON lines or CSV; what it rests on goes to stderr; an agent's key is told why not."""
    code, out, err = await run(ranking, isp.url, isp.keys["noc"])
    assert (code, out, err) == (0, "", "The first list is being made\n")
    listed(isp, ("L001", 30), ("L019", 60))
    code, out, err = await run(ranking, isp.url, isp.keys["noc"])
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["1", "L019"], ["2", "L001"]]
    assert "By the score: 0 calls are recorded" in err
    _, out, _ = await run(ranking, isp.url, isp.keys["noc"], how="json", limit=1)
    assert [json.loads(line)["line_id"] for line in out.splitlines()] == ["L019"]
    _, out, _ = await run(ranking, isp.url, isp.keys["noc"], how="csv", element="north")
    assert [r["line_id"] for r in csv.DictReader(io.StringIO(out))] == ["L001"]
    code, _, err = await run(ranking, isp.url, isp.keys["agent"], how="csv")
    assert (code, err) == (1, "the role agent may not do this\n")


async def test_the_command(isp: Provider) -> None:
    """`faultline ranking` as a process; --json and --csv together are refused."""
    listed(isp, ("L001", 30))
    command = [str(Path(sys.executable).parent / "faultline"), "ranking", "--url", isp.url]
    environment = {"FAULTLINE_KEY": isp.keys["lead"], "LC_ALL": "C.UTF-8"}

    def called(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)

    done = await asyncio.to_thread(called, "--json")
    assert (done.returncode, json.loads(done.stdout)["line_id"]) == (0, "L001")
    done = await asyncio.to_thread(called, "--json", "--csv")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
