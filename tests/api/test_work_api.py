"""The NOC's work over HTTP: incidents, their stream, planned work, events, lines, flags."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from monitor.api import ApiSettings
from monitor.clock import NS, rfc3339
from monitor.records import Change, Coded, Flag, FlagKind, IncidentStatus, LineState, Scope, ScopeKind
from tests.api.conftest import Clients, Provider
from tests.desk.world import NOW, incident, promised

OLT, PON = "north/ex-1/olt-1", "north/ex-1/olt-1/pon-1"


def scoped(name: str = PON, **changes: Any) -> Any:
    return incident(Scope(ScopeKind.ELEMENT, name), **changes)


async def test_incidents_are_listed_filtered_and_paged(isp: Provider, http: Clients) -> None:
    """Unresolved ones at first; by status, element and time; page by page without a gap."""
    for n in range(5):
        isp.decide(scoped(incident_id=f"I{n}", started_ns=NOW - n * 1000 * NS))
    isp.decide(scoped("south/ex-2", incident_id="S", status=IncidentStatus.RESOLVED, resolved_ns=NOW - 3600 * NS))
    first = (await http["agent"].get("/api/v1/incidents", params={"limit": 3})).json()
    assert [i["incident_id"] for i in first["items"]] == ["I0", "I1", "I2"]
    rest = (await http["agent"].get("/api/v1/incidents", params={"limit": 3, "cursor": first["cursor"]})).json()
    assert ([i["incident_id"] for i in rest["items"]], rest["cursor"]) == (["I3", "I4"], "")
    every = (await http["agent"].get("/api/v1/incidents", params={"status": "all"})).json()["items"]
    assert len(every) == 6
    south = (await http["agent"].get("/api/v1/incidents", params={"status": "all", "element": "south"})).json()
    assert [i["incident_id"] for i in south["items"]] == ["S"]
    late = {"status": "all", "since": rfc3339(NOW - 60 * NS)}
    assert len((await http["agent"].get("/api/v1/incidents", params=late)).json()["items"]) == 5


async def test_incident_in_full(isp: Provider, http: Clients) -> None:
    """History, lines, title in both languages, and the promise."""
    made = scoped(etr=promised())
    isp.decide(made, lines=("L000", "L001"))
    body = (await http["agent"].get(f"/api/v1/incidents/{made.incident_id}")).json()
    assert body["lines"] == ["L000", "L001"]
    assert body["history"][0]["what"] == "opened"
    assert body["title"] == {"de": f"Störung: {PON}", "en": f"Outage: {PON}"}
    assert body["etr"]["promised"] is True
    area = incident(Scope(ScopeKind.AREA, "52.5163,13.3777,1.3"), number=9)
    isp.decide(area)
    shown = (await http["agent"].get(f"/api/v1/incidents/{area.incident_id}")).json()
    assert shown["title"]["de"] == "Störung: 1,3 km um 52.516, 13.378"


async def test_explanation_of_another_version_is_shown_by_its_code(isp: Provider, http: Clients) -> None:
    """An incident stored with a sentence that is not known (any more) does not cost the list."""
    isp.decide(scoped(explanation=(Coded("no_such_sentence", {"x": 1}), Coded("say.no_etr"))))
    (shown,) = (await http["agent"].get("/api/v1/incidents")).json()["items"]
    assert [e["en"] for e in shown["explanation"]] == ["no_such_sentence", "I do not have a time for the fix yet."]


@pytest.mark.parametrize(
    ("what", "body", "value"),
    [
        ("ack", {}, ""),
        ("note", {"text": "<b>cable</b> cut\n=1+1"}, "<b>cable</b> cut\n=1+1"),
        ("etr", {"at": "2026-11-26T12:00:00+01:00"}, "2026-11-26T11:00:00.000Z"),
        (
            "etr",
            {"at": "2026-11-26T11:00:00Z", "next_update": "2026-11-26T10:00:00Z"},
            "2026-11-26T11:00:00.000Z;2026-11-26T10:00:00.000Z",
        ),
        ("resolve", {"reason": "spliced"}, "spliced"),
    ],
)
async def test_what_the_noc_does_is_an_event(
    isp: Provider, http: Clients, what: str, body: dict[str, str], value: str
) -> None:
    """Nothing is changed here: the engine is told, the event is remembered, and the trail says who."""
    made = scoped()
    isp.decide(made)
    response = await http["noc"].post(f"/api/v1/incidents/{made.incident_id}/{what}", json=body)
    assert response.status_code == 202
    (event,) = isp.said
    assert (event.kind, event.subject, event.value, event.by) == (what, f"incident:{made.incident_id}", value, "noc")
    assert isp.state.known_event(response.json()["event_id"]) == event
    trail = (await http["admin"].get("/api/v1/audit")).json()["items"]
    assert (trail[0]["action"], trail[0]["subject"]) == (what, made.incident_id)


@pytest.mark.parametrize("at", ["2020-01-01T00:00:00Z", "2126-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("field", ["at", "next_update"])
async def test_no_repair_time_by_a_slip_of_the_hand(isp: Provider, http: Clients, field: str, at: str) -> None:
    """What is past or years ahead is refused by its field: customers and people on call would be told at once."""
    made = scoped()
    isp.decide(made)
    body = {"at": "2026-11-26T11:00:00Z", field: at}
    response = await http["noc"].post(f"/api/v1/incidents/{made.incident_id}/etr", json=body)
    assert (response.status_code, response.json()["detail"].partition(":")[0]) == (422, field)
    assert isp.said == []


async def test_resolved_is_not_resolved_again(isp: Provider, http: Clients) -> None:
    """A conflict says so."""
    made = scoped(status=IncidentStatus.RESOLVED, resolved_ns=NOW)
    isp.decide(made)
    response = await http["noc"].post(f"/api/v1/incidents/{made.incident_id}/resolve", json={})
    assert response.status_code == 409
    assert isp.said == []


async def test_full_intake_is_told(isp: Provider, http: Clients) -> None:
    """When the engine is behind, a person is told to try again; nothing is remembered that was not taken."""
    made = scoped()
    isp.decide(made)
    isp.full = True
    response = await http["noc"].post(f"/api/v1/incidents/{made.incident_id}/note", json={"text": "x"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert isp.state.events() == []


class Stream:
    """Reads server-sent events in the background."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.status = 0
        self.task = asyncio.create_task(self._read(client))

    async def _read(self, client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/api/v1/stream") as response:
            self.status = response.status_code
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.events.put_nowait((name, json.loads(line[6:])))

    async def next(self) -> tuple[str, dict[str, Any]]:
        return await asyncio.wait_for(self.events.get(), 10)


async def test_stream_tells_every_change(isp: Provider, http: Clients) -> None:
    """What the store applies in the engine's thread reaches every reader, in order."""
    readers = [Stream(http["agent"]), Stream(http["noc"])]
    for reader in readers:
        assert (await reader.next())[0] == "hello"
    await asyncio.to_thread(isp.decide, scoped())
    await asyncio.to_thread(isp.decide, scoped(revision=2, lines_down=16), "grew")
    for reader in readers:
        assert [(await reader.next())[1]["lines_down"] for _ in range(2)] == [8, 16]
        reader.task.cancel()


@pytest.mark.parametrize("settings", [ApiSettings(port=0, streams=3)])
async def test_one_reader_too_many_is_refused(isp: Provider, http: Clients) -> None:
    """The next reader gets 503; when one leaves, there is room again."""
    readers = [Stream(http["agent"]) for _ in range(3)]
    for reader in readers:
        await reader.next()
    refused = await http["agent"].get("/api/v1/stream")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    readers[0].task.cancel()
    # The server notices a reader's end when it has something to say.
    for n in range(100):
        await asyncio.to_thread(isp.decide, scoped(revision=n + 1), "grew")
        if isp.app.state.api.feed._streams < 3:
            break
        await asyncio.sleep(0.05)
    again = Stream(http["agent"])
    assert (await again.next())[0] == "hello"
    for reader in (*readers, again):
        reader.task.cancel()


async def test_slow_reader_is_told_to_fetch_again(isp: Provider) -> None:
    """A reader's queue is bounded: beyond it there is one `resync` in place of what was lost."""
    from monitor.api.feed import QUEUE, Reader

    reader = Reader()
    for n in range(QUEUE + 1):
        reader.put(b"%d" % n)
    assert list(reader.queue) == [b"event: resync\ndata: {}\n\n"]
    assert isp.url


async def test_planned_work(isp: Provider, http: Clients) -> None:
    """Announced, listed, ended; the engine hears both."""
    body = {
        "scope": {"kind": "element", "name": OLT},
        "starts_at": rfc3339(NOW - 60 * NS),
        "ends_at": rfc3339(NOW + 7200 * NS),
        "reason": "new uplink",
    }
    made = await http["noc"].post("/api/v1/maintenance", json=body)
    assert made.status_code == 201
    number = made.json()["maintenance_id"]
    assert (isp.said[0].kind, isp.said[0].subject) == ("maintenance_start", f"element:{OLT}")
    assert isp.said[0].value == body["ends_at"]
    (listed,) = (await http["agent"].get("/api/v1/maintenance")).json()["items"]
    assert (listed["maintenance_id"], listed["active"], listed["reason"], listed["by"]) == (
        number,
        True,
        "new uplink",
        "noc",
    )
    assert (await http["noc"].delete(f"/api/v1/maintenance/{number}")).status_code == 204
    assert (await http["noc"].delete(f"/api/v1/maintenance/{number}")).status_code == 204
    assert [e.kind for e in isp.said] == ["maintenance_start", "maintenance_end"]
    assert (await http["agent"].get("/api/v1/maintenance")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"scope": {"kind": "element", "name": "nowhere"}}, 404),
        ({"scope": {"kind": "source", "name": "x"}}, 422),
        ({"ends_at": rfc3339(NOW - 120 * NS)}, 422),
        ({"ends_at": rfc3339(NOW + 20 * 86400 * NS)}, 422),
        ({"starts_at": rfc3339(NOW - 900 * NS), "ends_at": rfc3339(NOW - 60 * NS)}, 422),
        ({"starts_at": "soon"}, 422),
    ],
)
async def test_bad_planned_work(isp: Provider, http: Clients, change: dict[str, object], status: int) -> None:
    """Unknown scopes and impossible windows are refused."""
    body = {
        "scope": {"kind": "group", "name": "bng:bng-1"},
        "starts_at": rfc3339(NOW),
        "ends_at": rfc3339(NOW + 3600 * NS),
    }
    assert (await http["noc"].post("/api/v1/maintenance", json={**body, **change})).status_code == status
    assert isp.said == []


async def test_events_of_outside_systems(isp: Provider, http: Clients) -> None:
    """One or many rows; a repetition is harmless; all or none."""
    one = {"subject": "L000", "kind": "login_rejected", "value": "blocked", "event_id": "e1"}
    response = await http["probe"].post("/api/v1/events", json=one)
    assert response.json() == {"accepted": 1, "repeated": 0}
    assert (await http["probe"].post("/api/v1/events", json=[one])).json() == {"accepted": 0, "repeated": 1}
    rows = [{"subject": "element:north", "kind": "alarm_raised", "value": "LOS", "at": NOW // NS}, {"subject": "x"}]
    assert (await http["probe"].post("/api/v1/events", json=rows)).status_code == 422
    rows[1] = {"subject": "group:resolver:", "kind": "resolver_down"}
    refused = await http["probe"].post("/api/v1/events", json=rows)
    assert refused.json()["errors"][0]["field"] == "1.subject"
    strange = [{"subject": "L000", "kind": "call"}, {"subject": "L999", "kind": "call"}]
    strange += [{"subject": "element:nowhere", "kind": "alarm_raised"}, {"subject": "group:bng:none", "kind": "call"}]
    refused = await http["probe"].post("/api/v1/events", json=strange)
    assert refused.status_code == 422
    assert [e["field"] for e in refused.json()["errors"]] == ["1.subject", "2.subject", "3.subject"]
    assert "no such line" in refused.json()["detail"]
    assert [e.kind for e in isp.said] == ["login_rejected"]
    assert isp.said[0].source == "probe"
    for subject, value, says in (
        ("L001", "bng:bng-2", ""),
        ("L001", "duct:d-4", "changes while running"),
        ("L001", "bng", "changes while running"),
        ("element:north", "bng:bng-2", "a line is assigned"),
    ):
        answer = await http["probe"].post(
            "/api/v1/events", json={"subject": subject, "kind": "group_assigned", "value": value}
        )
        assert answer.status_code == (422 if says else 202), answer.text
        assert says in answer.text


@pytest.mark.parametrize(
    "event",
    [
        {"subject": "L000", "kind": "nonsense"},
        {"subject": "incident:X", "kind": "resolve"},
        {"subject": "L000", "kind": "call", "at": "2036-01-01T00:00:00Z"},
        {"subject": "L000", "kind": "call", "at": 1e300},
        {"subject": "L000", "kind": "call", "at": 5},
        {"subject": "", "kind": "call"},
    ],
)
async def test_bad_events(isp: Provider, http: Clients, event: dict[str, object]) -> None:
    """What is no event, or may not be said by a machine, is refused by name."""
    assert (await http["probe"].post("/api/v1/events", json=event)).status_code == 422
    assert isp.said == []


async def test_line_in_full_and_its_history(isp: Provider, http: Clients) -> None:
    """State, evidence and figures of a line; its last day as columns; more than a day for the NOC only."""
    isp.scene.state[0] = LineState.DEGRADED
    isp.scene.baseline[0] = float("nan")
    isp.publish()
    isp.decide(scoped(), lines=("L000",))
    body = (await http["agent"].get("/api/v1/lines/L000")).json()
    assert (body["state"], body["observability"], body["baseline_ms"]) == ("degraded", "observable", None)
    assert "resolver:r1" in body["groups"]
    assert len(body["recent_incidents"]) == 1
    history = (await http["agent"].get("/api/v1/lines/L000/history")).json()
    columns = [history[name] for name in ("at", "sent", "received", "rtt_ms", "rtt_min_ms", "rtt_max_ms")]
    assert {len(column) for column in columns} == {288}
    assert None in history["rtt_ms"]
    assert (await http["agent"].get("/api/v1/lines/L000/history?hours=48")).status_code == 403
    assert (await http["noc"].get("/api/v1/lines/L000/history?hours=48")).status_code == 200
    isp.services.samples = None
    assert (await http["noc"].get("/api/v1/lines/L000/history")).status_code == 503


async def test_elements_have_a_past(isp: Provider, http: Clients) -> None:
    """The last day of a region, exchange or access node as columns; 404 for what is finer and for what is not there."""
    for path in ("north", "north/ex-1", "north/ex-1/olt-1"):
        body = (await http["agent"].get(f"/api/v1/elements/{path}/history")).json()
        assert (body["path"], body["step_s"]) == (path, 60)
        assert {len(body[name]) for name in ("at", "lines", "down", "down_max", "rtt_ms")} == {60}
        assert body["down_max"][-1] == 5.0
    for path in ("north/ex-1/olt-1/pon-1", "nowhere"):
        assert (await http["agent"].get(f"/api/v1/elements/{path}/history")).status_code == 404
    isp.services.samples = None
    assert (await http["agent"].get("/api/v1/elements/north/history")).status_code == 503


async def test_elements_show_coverage(isp: Provider, http: Clients) -> None:
    """States under an element and its children; lines that are not known are no coverage."""
    isp.scene.down(0, 1)
    isp.scene.state[2:6] = LineState.UNKNOWN
    isp.scene.incident(f"element:{PON}", 0, 1)
    isp.publish()
    body = (await http["agent"].get(f"/api/v1/elements/{OLT}")).json()
    assert (body["lines"], body["down"], body["unknown"], body["up"]) == (16, 2, 4, 10)
    assert body["coverage_ratio"] == 0.75
    assert [c["path"] for c in body["children"]] == [PON, f"{OLT}/pon-2"]
    assert len(body["incidents"]) == 1
    tops = (await http["agent"].get("/api/v1/elements")).json()["items"]
    assert [t["path"] for t in tops] == ["north", "south"]


async def test_flags(isp: Provider, http: Clients) -> None:
    """Open flags, newest first; ended ones when asked for."""
    flag = Flag("L000", FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms", NOW - NS, NOW)
    ended = Flag("L001", FlagKind.UNSTABLE, "loss", 0.2, "", NOW - 9 * NS, NOW, NOW)
    isp.state.apply(1, [Change(NOW, "flag_raised", flag=flag), Change(NOW, "flag_ended", flag=ended)])
    assert [f["subject"] for f in (await http["noc"].get("/api/v1/flags")).json()["items"]] == ["L000"]
    since = {"since": rfc3339(NOW - NS)}
    assert len((await http["noc"].get("/api/v1/flags", params=since)).json()["items"]) == 2


async def test_health_says_what_is_wrong(isp: Provider, http: Clients) -> None:
    """Each part's own word, and the troubles that last."""
    isp.metrics.troubles.begin("smtp", "mail.example does not answer", NOW)
    body = (await http["noc"].get("/api/v1/health")).json()
    assert [p["ok"] for p in body["parts"]] == [True, False]
    assert body["troubles"][0]["name"] == "smtp"


async def test_shutdown_ends_streams_at_once(isp: Provider, http: Clients) -> None:
    """Open event streams do not hold the daemon up."""
    reader = Stream(http["agent"])
    await reader.next()
    isp.app.state.api.feed.stop()
    await asyncio.wait_for(reader.task, 5)
