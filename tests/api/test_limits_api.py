"""What is too much: a thousand readers that never read, notes of a megabyte, and injection in every text field."""

import asyncio
import resource
from contextlib import suppress

import pytest

from monitor.api import ApiSettings
from monitor.clock import NS, rfc3339
from monitor.records import Scope, ScopeKind
from tests.api.conftest import Clients, Provider
from tests.desk.world import NOW, incident

PON = "north/ex-1/olt-1/pon-1"
EVIL = ["<script>alert(1)</script>", "=HYPERLINK(1)", "'; DROP TABLE calls; --", "a\r\nINFO forged log line", "\x1b[2J"]


@pytest.fixture
def many_files():  # type: ignore[no-untyped-def]
    """Both ends of a thousand connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4000:
        pytest.skip(f"the system allows this process {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def connect(isp: Provider) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """A stream that has begun, and its status; nothing more will be read from it."""
    host, port = isp.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {isp.keys['agent']}\r\n\r\n"
    writer.write(head.encode())
    status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
    return reader, writer, status


@pytest.mark.parametrize("settings", [ApiSettings(port=0, streams=1000)])
async def test_a_thousand_readers_that_never_read(isp: Provider, http: Clients, many_files: None) -> None:
    """They are served, hold nothing up however much happens, and the next one gets 503; when one goes, one may come."""
    open_: list[asyncio.StreamWriter] = []
    try:
        for _ in range(20):
            for _, writer, status in await asyncio.gather(*(connect(isp) for _ in range(50))):
                open_.append(writer)
                assert status == 200
        refused = await http["agent"].get("/api/v1/stream")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        for n in range(30):
            isp.decide(incident(Scope(ScopeKind.ELEMENT, PON), revision=n + 1, lines_down=n))
        assert (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).status_code == 200
        open_.pop().close()
        for _ in range(100):
            _, writer, status = await connect(isp)
            open_.append(writer)
            if status == 200:
                break
            await asyncio.sleep(0.05)
        assert status == 200
    finally:
        for writer in open_:
            writer.close()
        with suppress(OSError):
            await asyncio.gather(*(writer.wait_closed() for writer in open_), return_exceptions=True)


async def test_a_megabyte_of_words(isp: Provider, http: Clients) -> None:
    """Notes, reasons and customers' words of a megabyte are refused by their field, and nothing of them is kept."""
    isp.decide(incident(Scope(ScopeKind.ELEMENT, PON), incident_id="a"))
    long = "x" * 1_000_000
    for path, body, field in (
        ("/api/v1/incidents/a/note", {"text": long}, "text"),
        ("/api/v1/incidents/a/ack", {"note": long}, "note"),
        ("/api/v1/incidents/a/resolve", {"reason": long}, "reason"),
        ("/api/v1/calls", {"line_id": "L000", "words": long}, "words"),
        ("/api/v1/lookup", {"key": long}, "key"),
    ):
        response = await http["noc"].post(path, json=body)
        assert response.status_code == 422, path
        assert field in response.json()["detail"]
        assert len(response.content) < 2000
    assert isp.said == []
    assert (await http["noc"].get("/api/v1/calls")).json()["items"] == []


@pytest.mark.parametrize(
    "at", ["1600-01-01T00:00:00Z", "2300-01-01T00:00:00Z", "99999999999", "0001-01-01T00:00:00+12:00"]
)
async def test_times_beyond_what_can_be_kept(http: Clients, at: str) -> None:
    """64 bits of ns reach from 1678 to 2262: what lies beyond is a wrong input, not an error of ours."""
    for path in ("calls", "incidents", "flags", "audit"):
        response = await http["admin"].get(f"/api/v1/{path}", params={"since": at})
        assert (response.status_code, "out of range" in response.json()["detail"]) == (422, True), path
    window = {"scope": {"kind": "line", "name": "L000"}, "starts_at": at, "ends_at": at}
    for path in ("maintenance", "silences"):
        response = await http["admin"].post(f"/api/v1/{path}", json=window)
        assert (response.status_code, "out of range" in response.json()["detail"]) == (422, True), path


async def test_no_nul_reaches_the_store(isp: Provider, http: Clients) -> None:
    """PostgreSQL takes none, and an entry of the audit trail that it does not take would hold up all others."""
    for path in ("calls?line_id=%00", "calls?text=a%00", "audit?person=%00", "incidents/%00", "lines/%00"):
        assert (await http["admin"].get(f"/api/v1/{path}")).status_code == 400, path
    for path, body in (("keys", {"name": "a", "role": "agent", "regions": ["a\0"]}),
                       ("silences", {"scope": {"kind": "source", "name": "\0"}, "ends_at": rfc3339(NOW + NS)}),
                       ("events", {"subject": "L000", "kind": "dying_gasp", "event_id": "\0"})):  # fmt: skip
        response = await http["admin"].post(f"/api/v1/{path}", json=body)
        assert (response.status_code, "NUL" in response.json()["detail"]) == (422, True), path
    assert isp.said == []


@pytest.mark.parametrize("text", EVIL)
async def test_injection_in_every_text(
    isp: Provider, http: Clients, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What people write comes back as they wrote it, runs nowhere, and never begins a line of the log."""
    caplog.set_level("INFO")
    isp.decide(incident(Scope(ScopeKind.ELEMENT, PON), incident_id="a"))
    assert (await http["noc"].post("/api/v1/incidents/a/note", json={"text": text})).status_code == 202
    assert isp.said[-1].value == text
    made = await http["lead"].post("/api/v1/calls", json={"line_id": "L000", "words": text})
    assert made.status_code == 201
    assert (await http["lead"].get("/api/v1/calls")).json()["items"][0]["words"] == text
    found = (await http["lead"].get("/api/v1/calls", params={"text": text})).json()["items"]
    assert len(found) == 1
    table = (await http["lead"].get("/api/v1/calls?format=csv")).text
    assert "\n=" not in table.replace("\r", "\n")
    assert ",=" not in table
    for key in (text, f"L000{text}"):
        assert (await http["agent"].post("/api/v1/lookup", json={"key": key})).json()["matches"] == 0
    name = await http["admin"].post("/api/v1/keys", json={"name": text, "role": "agent"})
    assert name.status_code == (201 if text.isprintable() else 422)
    await http["agent"].get(f"/api/v1/lines/{'%0d%0aINFO forged'}")
    assert all("\n" not in r.getMessage() and "\r" not in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize("settings", [ApiSettings(port=0, requests_per_minute=30)])
async def test_a_key_has_its_allowance(isp: Provider, http: Clients) -> None:
    """A minute's worth at once, then 429 with the time to wait, on every path, also by the session of the same key;
    another key goes on, and after that time there is one request more."""
    body = {"key": "L000"}
    answers = [await http["agent"].post("/api/v1/lookup", json=body) for _ in range(31)]
    assert [a.status_code for a in answers] == [200] * 30 + [429]
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert answers[-1].headers["retry-after"] == "2"
    assert (await http["agent"].get("/api/v1/incidents")).status_code == 429
    async with isp.client() as browser:
        await browser.post("/api/v1/session", json={"key": isp.keys["agent"]})
        assert (await browser.get("/api/v1/session")).status_code == 429
    assert (await http["lead"].post("/api/v1/lookup", json=body)).status_code == 200
    assert (await http[""].get("/healthz")).status_code == 200
    await isp.clock.advance(2)
    answers = [await http["agent"].post("/api/v1/lookup", json=body) for _ in range(2)]
    assert [a.status_code for a in answers] == [200, 429]
