"""A key or person with regions sees these and nothing else, on every path: what lies outside does not exist."""

import json

import httpx
import pytest

from monitor.clock import NS, rfc3339
from monitor.records import FlagKind, Scope, ScopeKind
from tests.api.conftest import Clients, Provider
from tests.desk.world import NOW, incident

NORTH, SOUTH = "north/ex-1/olt-1/pon-1", "south/ex-2/msan-1"


@pytest.fixture
def south(isp: Provider) -> dict[str, str]:
    """The headers of a NOC key that sees the south only (it may do the most that a bounded key may)."""
    return {"Authorization": f"Bearer {isp.state.create_key('south noc', 'noc', None, ['south']).text}"}


@pytest.fixture
async def client(isp: Provider, south: dict[str, str]):  # type: ignore[no-untyped-def]
    async with httpx.AsyncClient(base_url=isp.url, headers=south, timeout=20) as made:
        yield made


async def test_lines_outside_do_not_exist(isp: Provider, client: httpx.AsyncClient) -> None:
    """By every kind of key, by id, by history and by probe: the same answer as for a line that is not there."""
    keys = ("L000", "C100", "+49 30 555000", "10.0.0.1", "user0@isp.example", "SN000", "Lindenweg 1")
    nothing = (await client.post("/api/v1/lookup", json={"key": "no such line"})).json()
    for key in keys:
        answer = (await client.post("/api/v1/lookup", json={"key": key})).json()
        assert answer["matches"] == 0
        assert answer["line"] is None
        assert answer["candidates"] == []
        assert {**answer["verdict"], "at": 0} == {**nothing["verdict"], "at": 0}
    for path in ("", "/history"):
        answers = [await client.get(f"/api/v1/lines/{line}{path}") for line in ("none", "L000")]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].json() == answers[1].json()
    assert (await client.post("/api/v1/lines/L000/probe")).status_code == 404
    assert (await client.post("/api/v1/calls", json={"line_id": "L000"})).status_code == 404
    assert (await client.get("/api/v1/lookup?key=L000")).json()["matches"] == 0
    assert (await client.get("/api/v1/lines/L016")).status_code == 200
    assert (await client.post("/api/v1/lookup", json={"key": "L016"})).json()["line"]["line_id"] == "L016"
    assert isp.probed == [[16, 17, 18, 19]]


async def test_candidates_are_of_the_regions(isp: Provider, http: Clients) -> None:
    """A key that matches lines in two regions shows only those that may be seen, and counts only them."""
    north = isp.state.create_key("north agent", "agent", None, ["north"]).text
    everybody = (await http["agent"].post("/api/v1/lookup", json={"key": "Lindenweg 1"})).json()
    bounded = await http[""].post(
        "/api/v1/lookup", json={"key": "Lindenweg 1"}, headers={"Authorization": f"Bearer {north}"}
    )
    assert bounded.json()["candidates"] == everybody["candidates"]


async def test_stream_of_a_lookup_belongs_to_its_key(isp: Provider, http: Clients, client: httpx.AsyncClient) -> None:
    """Two keys with one name do not share look-ups."""
    twin = isp.state.create_key("agent", "agent", None, ["south"]).text
    made = (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).json()
    path = f"/api/v1/lookup/{made['lookup_id']}/stream"
    foreign = await http[""].get(path, headers={"Authorization": f"Bearer {twin}"})
    assert foreign.status_code == 404


async def test_incidents_of_the_regions(isp: Provider, http: Clients, client: httpx.AsyncClient) -> None:
    """List, detail and every action; incidents of groups and areas count where they touch the region."""
    scopes = {
        "a": Scope(ScopeKind.ELEMENT, NORTH),
        "b": Scope(ScopeKind.ELEMENT, SOUTH),
        "c": Scope(ScopeKind.GROUP, "bng:bng-1"),
        "d": Scope(ScopeKind.GROUP, "bng:bng-2"),
        "e": Scope(ScopeKind.AREA, "52.5000,13.4000,0.5"),
        "f": Scope(ScopeKind.AREA, "52.5190,13.4000,0.2"),
        "g": Scope(ScopeKind.SOURCE, "prober1"),
    }
    for name, scope in scopes.items():
        isp.decide(incident(scope, incident_id=name), lines=("L000", "L016") if name == "d" else ())
    listed = {i["incident_id"] for i in (await client.get("/api/v1/incidents")).json()["items"]}
    assert listed == {"b", "d", "f", "g"}
    assert len((await http["agent"].get("/api/v1/incidents")).json()["items"]) == 7
    assert (await client.get("/api/v1/incidents/d")).json()["lines"] == ["L016"]
    for name in ("a", "c", "e"):
        assert (await client.get(f"/api/v1/incidents/{name}")).status_code == 404
        for what, body in (("ack", {}), ("note", {"text": "x"}), ("etr", {"at": rfc3339(NOW)}), ("resolve", {})):
            response = await client.post(f"/api/v1/incidents/{name}/{what}", json=body)
            assert response.status_code == 404, (name, what)
    assert isp.said == []
    found, cursor = set(), ""
    while True:  # paging reaches everything, also over pages that hold nothing visible
        page = (await client.get(f"/api/v1/incidents?limit=1&cursor={cursor}")).json()
        found |= {i["incident_id"] for i in page["items"]}
        if not (cursor := page["cursor"]):
            break
    assert found == listed


async def test_stream_of_incidents_is_bounded(isp: Provider, client: httpx.AsyncClient) -> None:
    """Changes of another region do not pass; one that leaves the region makes the reader fetch again."""
    async with client.stream("GET", "/api/v1/stream") as stream:
        lines = stream.aiter_lines()

        async def event() -> tuple[str, dict[str, object]]:
            name = ""
            async for line in lines:
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    return name, json.loads(line[6:])
            raise AssertionError("the stream has ended")

        assert (await event())[0] == "hello"
        isp.decide(incident(Scope(ScopeKind.ELEMENT, NORTH), incident_id="foreign"))
        isp.decide(incident(Scope(ScopeKind.ELEMENT, SOUTH), incident_id="own"))
        name, data = await event()
        assert (name, data["incident_id"]) == ("incident", "own")
        isp.decide(incident(Scope(ScopeKind.ELEMENT, NORTH), incident_id="own", revision=2))
        assert (await event())[0] == "resync"


async def test_reports_and_their_csv(isp: Provider, http: Clients, client: httpx.AsyncClient) -> None:
    """Reports of other regions are in no list and no export."""
    for line in ("L000", "L016"):
        assert (await http["agent"].post("/api/v1/calls", json={"line_id": line, "words": "dead"})).status_code == 201
    assert [c["line_id"] for c in (await client.get("/api/v1/calls?text=dead")).json()["items"]] == ["L016"]
    assert (await client.get("/api/v1/calls?line_id=L000")).json()["items"] == []
    lead = isp.state.create_key("south lead", "lead", None, ["south"]).text
    table = await http[""].get("/api/v1/calls?format=csv", headers={"Authorization": f"Bearer {lead}"})
    assert "L016" in table.text
    assert "L000" not in table.text


async def test_elements_work_and_flags(isp: Provider, http: Clients, client: httpx.AsyncClient) -> None:
    """The tree begins at one's region; work elsewhere can be neither seen nor planned nor ended."""
    assert [e["path"] for e in (await client.get("/api/v1/elements")).json()["items"]] == ["south"]
    assert (await client.get(f"/api/v1/elements/{NORTH}")).status_code == 404
    window = {"starts_at": rfc3339(NOW), "ends_at": rfc3339(NOW + 3600 * NS)}
    for kind, name in (("element", NORTH), ("line", "L000"), ("group", "bng:bng-1")):
        body = {"scope": {"kind": kind, "name": name}, **window}
        assert (await client.post("/api/v1/maintenance", json=body)).status_code == 404
    made = await http["noc"].post("/api/v1/maintenance", json={"scope": {"kind": "element", "name": NORTH}, **window})
    assert (await client.get("/api/v1/maintenance")).json()["items"] == []
    assert (await client.delete(f"/api/v1/maintenance/{made.json()['maintenance_id']}")).status_code == 404
    own = await client.post("/api/v1/maintenance", json={"scope": {"kind": "group", "name": "bng:bng-2"}, **window})
    assert own.status_code == 201
    isp.scene.flag("L000", FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms")
    assert (await client.get("/api/v1/flags")).json()["items"] == []


async def test_a_probers_key_speaks_for_its_region(isp: Provider, http: Clients) -> None:
    """Events about lines, elements, groups and incidents elsewhere are refused, all of the batch."""
    key = isp.state.create_key("radius south", "probe", None, ["south"]).text
    headers = {"Authorization": f"Bearer {key}"}
    for subject in ("L000", f"element:{NORTH}", "group:bng:bng-1", "none", "source:prober1"):
        rows = [{"subject": "L016", "kind": "cpe_online"}, {"subject": subject, "kind": "cpe_offline"}]
        response = await http[""].post("/api/v1/events", json=rows, headers=headers)
        assert response.status_code in (403, 404, 422), subject
    assert isp.said == []
    good = await http[""].post("/api/v1/events", json={"subject": "L016", "kind": "cpe_online"}, headers=headers)
    assert good.status_code == 202


async def test_region_that_is_not_there_sees_nothing(isp: Provider, http: Clients) -> None:
    """A region that has gone from the inventory opens nothing."""
    key = isp.state.create_key("gone", "agent", None, ["atlantis"]).text
    headers = {"Authorization": f"Bearer {key}"}
    assert (await http[""].get("/api/v1/elements", headers=headers)).json()["items"] == []
    assert (await http[""].get("/api/v1/lines/L000", headers=headers)).status_code == 404


async def test_answers_that_are_polled_have_tags(isp: Provider, http: Clients) -> None:
    """The same answer again costs a 304 without a body; a change gives a new tag."""
    isp.decide(incident(Scope(ScopeKind.ELEMENT, NORTH), incident_id="a"))
    paths = ("/api/v1/incidents", "/api/v1/incidents/a", "/api/v1/elements", "/api/v1/elements/north")
    for path in (*paths, "/api/v1/maintenance", "/api/v1/flags"):
        first = await http["noc"].get(path)
        again = await http["noc"].get(path, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b""), path
    tag = (await http["noc"].get("/api/v1/incidents")).headers["etag"]
    isp.decide(incident(Scope(ScopeKind.ELEMENT, NORTH), incident_id="a", revision=2, lines_down=3))
    assert (await http["noc"].get("/api/v1/incidents", headers={"If-None-Match": tag})).status_code == 200
