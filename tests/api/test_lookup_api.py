"""The look-up over HTTP: verdicts, candidates, masking, the live check and its stream."""

import asyncio
import json
import logging
from typing import Any

import pytest

from monitor.api import ApiSettings
from monitor.clock import NS
from monitor.records import LineState
from tests.api.conftest import Clients, Provider
from tests.desk.world import NOW

PON = "north/ex-1/olt-1/pon-1"


async def test_lookup_answers_with_a_verdict(isp: Provider, http: Clients) -> None:
    """One key in, one verdict out: sentences in both languages, evidence with age and source, three steps at most."""
    isp.scene.down(*range(8))
    isp.scene.incident(f"element:{PON}", *range(8))
    isp.publish()
    response = await http["agent"].post("/api/v1/lookup", json={"key": "C100"})
    assert response.status_code == 200
    body = response.json()
    verdict = body["verdict"]
    assert (verdict["code"], verdict["tone"], verdict["confidence"]) == ("KNOWN_OUTAGE", "bad", "sure")
    assert body["incident"]["lines_down"] == 8
    assert body["matched_by"] == "customer_id"
    assert verdict["scope"] == {"kind": "element", "name": PON, "text": {"de": PON, "en": PON}}
    assert verdict["say"]["de"].startswith("In Ihrem Bereich gibt es seit ")
    assert "confirmed outage" in verdict["say"]["en"]
    assert 1 <= len(verdict["steps"]) <= 3
    assert all(e["source"] and e["age_s"] >= 0 for e in verdict["evidence"])


async def test_sentences_use_the_zone_of_the_people(isp: Provider, http: Clients) -> None:
    """Times in sentences are local, times in fields are UTC."""
    isp.scene.down(*range(8))
    made = isp.scene.incident(f"element:{PON}", *range(8))
    isp.publish()
    body = (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).json()
    utc_hour = int(body["verdict"]["since"][11:13])
    assert f"{(utc_hour + 1) % 24:02d}:{body['verdict']['since'][14:16]} Uhr" in body["verdict"]["say"]["de"]
    assert made.started_ns == NOW - 600 * NS


async def test_several_matches_give_candidates_without_data(isp: Provider, http: Clients) -> None:
    """An ambiguous key shows hints only, and picking one by its id gives the verdict."""
    response = await http["lead"].post("/api/v1/lookup", json={"key": "Lindenweg 2"})
    body = response.json()
    assert body["verdict"]["code"] == "IDENTITY_UNCLEAR"
    assert body["line"] is None
    assert len(body["candidates"]) == body["matches"] == 2
    for secret in ("Muster", "Lindenweg", "555002", "C102"):
        assert secret not in response.text
    picked = await http["lead"].post("/api/v1/lookup", json={"key": body["candidates"][0]["line_id"]})
    assert picked.json()["line"]["name"].endswith("Muster")


@pytest.mark.parametrize(("role", "open_"), [("agent", False), ("noc", False), ("lead", True), ("admin", True)])
async def test_personal_data_is_masked_by_role(isp: Provider, http: Clients, role: str, open_: bool) -> None:
    """Agents and the NOC see hints; who has verified the caller sees the data, and the trail says how."""
    body = (await http[role].post("/api/v1/lookup", json={"key": "L000"})).json()
    assert body["line"]["masked"] is not open_
    assert (body["line"]["name"] == "Ada Muster") is open_
    assert (body["line"]["phone"] == "+49 30 555000") is open_
    verified = await http["agent"].post("/api/v1/lookup", json={"key": "L000", "verified_by": "callback"})
    assert verified.json()["line"]["name"] == "Ada Muster"
    trail = (await http["admin"].get("/api/v1/audit", params={"subject": "L000"})).json()["items"]
    assert "callback" in trail[0]["detail"]


async def test_ids_by_get_and_nothing_else(isp: Provider, http: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """GET takes ids; a phone number finds nothing there; no query string is ever logged."""
    caplog.set_level(logging.INFO)
    found = await http["agent"].get("/api/v1/lookup", params={"key": "C103"})
    assert found.json()["verdict"]["code"] == "NO_FAULT_FOUND"
    none = await http["agent"].get("/api/v1/lookup", params={"key": "+49 30 555003"})
    assert none.json()["matches"] == 0
    ours = [r for r in caplog.records if r.name != "httpx"]
    lines = [r.getMessage() for r in ours if r.name == "faultline.access"]
    assert len(lines) == 2
    assert not any("C103" in r.getMessage() or "555003" in r.getMessage() for r in ours)


async def test_lookup_is_audited(isp: Provider, http: Clients) -> None:
    """Who looked at whom, by what kind of key and with which verdict stands in the trail; the key itself does not."""
    await http["agent"].post("/api/v1/lookup", json={"key": "+49 30 555003", "reason": "check"})
    trail = (await http["admin"].get("/api/v1/audit")).json()["items"]
    entry = next(e for e in trail if e["action"] == "lookup")
    assert (entry["who"], entry["subject"], entry["address"]) == ("agent", "L003", "127.0.0.1")
    assert entry["detail"] == "NO_FAULT_FOUND phone check"


async def test_lookup_probes_the_line_and_neighbours_once(isp: Provider, http: Clients) -> None:
    """Two agents within seconds cause one live probe; the line comes first, its neighbours after it."""
    await http["agent"].post("/api/v1/lookup", json={"key": "L000"})
    await http["noc"].post("/api/v1/lookup", json={"key": "L000"})
    assert len(isp.probed) == 1
    assert isp.probed[0][0] == 0
    assert set(isp.probed[0]) <= set(range(8))
    await isp.clock.advance(6)
    await http["noc"].post("/api/v1/lookup", json={"key": "L000"})
    assert len(isp.probed) == 2


async def test_line_without_address_is_not_probed(isp: Provider, http: Clients) -> None:
    """What cannot be measured is not asked, and the verdict says so."""
    isp.bindings.address4[3] = 0
    body = (await http["agent"].post("/api/v1/lookup", json={"key": "L003"})).json()
    assert body["verdict"]["code"] == "NOT_OBSERVABLE"
    assert isp.probed == []
    assert body["live"]["asked_at"] is None
    refused = await http["agent"].post("/api/v1/lines/L003/probe")
    assert refused.status_code == 409


async def test_answer_improves_by_the_live_check(isp: Provider, http: Clients) -> None:
    """A line held for down answers the live probe: the stream says so without another click."""
    isp.scene.down(0)
    isp.publish()
    body = (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).json()
    assert body["verdict"]["code"] == "LINE_DOWN_ONLY_HERE"
    assert body["live"]["answered"] is None
    events: list[tuple[str, dict[str, Any]]] = []
    first_came = asyncio.Event()

    async def follow() -> None:
        async with http["agent"].stream("GET", f"/api/v1/lookup/{body['lookup_id']}/stream") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    events.append((name, json.loads(line[6:])))
                    first_came.set()
                    if len(events) == 2:
                        return

    task = asyncio.create_task(follow())
    await asyncio.wait_for(first_came.wait(), 10)
    await isp.clock.advance(1)
    isp.scene.state[0] = LineState.UP
    isp.scene.probed[0] = isp.scene.replied[0] = NOW + NS
    isp.scene.rtt[0] = 7.5
    isp.publish()
    await asyncio.wait_for(task, 10)
    (_, first), (name, second) = events
    assert name == "verdict"
    assert first["verdict"]["code"] == "LINE_DOWN_ONLY_HERE"
    assert second["verdict"]["code"] == "NO_FAULT_FOUND"
    assert second["live"] == {"asked_at": body["live"]["asked_at"], "answered": True, "rtt_ms": 7.5}


async def test_stream_of_somebody_else_is_not_given(isp: Provider, http: Clients) -> None:
    """A look-up's stream is for who asked."""
    body = (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).json()
    other = await http["noc"].get(f"/api/v1/lookup/{body['lookup_id']}/stream")
    assert other.status_code == 404


async def test_lookup_marked_as_call_is_evidence(isp: Provider, http: Clients) -> None:
    """The engine hears that a customer called, once per line in ten minutes."""
    await http["agent"].post("/api/v1/lookup", json={"key": "L000", "reason": "call"})
    await asyncio.sleep(0.05)
    assert [(e.kind, e.subject) for e in isp.said] == [("call", "L000")]
    isp.scene.sign(0, call_ns=5)
    isp.publish()
    await http["agent"].post("/api/v1/lookup", json={"key": "L000", "reason": "call"})
    await asyncio.sleep(0.05)
    assert len(isp.said) == 1


@pytest.mark.parametrize("settings", [ApiSettings(port=0, lookups_alarm_per_hour=5)])
async def test_reading_many_lines_is_noticed(isp: Provider, http: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks up far more lines than a desk can serve is named in the log, once."""
    limit = isp.services.settings.lookups_alarm_per_hour
    for n in range(limit + 2):
        await http["agent"].get("/api/v1/lookup", params={"key": f"L{n % 20:03d}"})
    warnings = [r for r in caplog.records if "has looked up more than" in r.getMessage()]
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"key": ""},
        {"key": "   "},
        {"key": 5},
        {"key": "x", "extra": 1},
        {"key": "x" * 201},
        {"key": "x", "reason": "y"},
    ],
)
async def test_bad_input_is_named(isp: Provider, http: Clients, body: dict[str, object]) -> None:
    """Wrong bodies are a problem document that names the field, and never repeats the input."""
    response = await http["agent"].post("/api/v1/lookup", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["errors"][0]["field"].startswith("body.")
    assert "xxx" not in response.text
