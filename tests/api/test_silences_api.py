"""Silences over HTTP, and the buttons in Slack with their signature."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from monitor.api import ApiSettings, create_app
from monitor.api.services import SlackButtons
from monitor.clock import NS, rfc3339
from monitor.inventory import Inventory
from monitor.records import IncidentStatus, Scope, ScopeKind
from tests.api.conftest import Clients, Provider, running
from tests.desk.world import NOW, incident

OLT = "north/ex-1/olt-1"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


async def test_a_silence_is_made_listed_and_ended(isp: Provider, http: Clients) -> None:
    """Who made it and until when stands in it; ended it is gone from the list and remembered among the past."""
    body = {"scope": {"kind": "element", "name": OLT}, "ends_at": rfc3339(NOW + 3600 * NS), "reason": "known"}
    made = await http["noc"].post("/api/v1/silences", json=body)
    assert made.status_code == 201
    (listed,) = (await http["agent"].get("/api/v1/silences")).json()["items"]
    assert listed == made.json()
    assert (listed["by"], listed["active"], listed["reason"]) == ("noc", True, "known")
    url = f"/api/v1/silences/{listed['silence_id']}"
    assert (await http["agent"].delete(url)).status_code == 403
    assert (await http["noc"].delete(url)).status_code == 204
    assert (await http["noc"].delete(url)).status_code == 404
    assert (await http["agent"].get("/api/v1/silences")).json()["items"] == []
    (past,) = (await http["agent"].get("/api/v1/silences", params={"past": True})).json()["items"]
    assert past["ended_by"] == "noc"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"scope": {"kind": "element", "name": "nowhere"}}, 404),
        ({"scope": {"kind": "incident", "name": "none"}}, 404),
        ({"scope": {"kind": "rain", "name": "x"}}, 422),
        ({"scope": {"kind": "all"}, "ends_at": rfc3339(NOW - NS)}, 422),
        ({"ends_at": "soon"}, 422),
        ({"ends_at": rfc3339(NOW + 400 * 86400 * NS)}, 422),
    ],
)
async def test_what_is_refused(change: dict[str, object], status: int, isp: Provider, http: Clients) -> None:
    """A scope that does not exist, no real end, or an end too far away."""
    body = {"scope": {"kind": "element", "name": OLT}, "ends_at": rfc3339(NOW + 3600 * NS)}
    assert (await http["noc"].post("/api/v1/silences", json={**body, **change})).status_code == status
    assert (await http["noc"].get("/api/v1/silences")).json()["items"] == []


@pytest.fixture
async def slack(
    tmp_path: Path, new_store: tuple[Path, dict[str, str]], inventory: Inventory, settings: ApiSettings
) -> AsyncIterator[Provider]:
    """A server whose Slack app may acknowledge for U1."""
    path, keys = new_store
    store = tmp_path / "state.sqlite"
    store.write_bytes(path.read_bytes())
    provider = Provider(store, keys, inventory, settings)
    provider.services.slack = SlackButtons(SECRET, frozenset({"U1"}))
    provider.app = create_app(provider.services)
    async with running(provider) as up:
        yield up


def pressed(incident_id: str, user: str = "U1", **changes: object) -> bytes:
    action = {"action_id": "faultline_ack", "value": incident_id, "action_ts": "1.0"}
    payload = {"type": "block_actions", "user": {"id": user, "username": "kim"}, "actions": [action], **changes}
    return urlencode({"payload": json.dumps(payload)}).encode()


async def press(isp: Provider, body: bytes, secret: str = SECRET, age_s: int = 0) -> httpx.Response:
    at = str(NOW // NS - age_s)
    signed = "v0=" + hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signed}
    async with httpx.AsyncClient(base_url=isp.url) as client:
        return await client.post("/hooks/slack", content=body, headers=headers)


async def test_a_button_acknowledges_once(slack: Provider) -> None:
    """A signed press is an event for the engine with the person's name; delivered again it is the same event."""
    made = incident(Scope(ScopeKind.ELEMENT, OLT))
    slack.decide(made)
    for _ in range(2):
        assert (await press(slack, pressed(made.incident_id))).status_code == 200
    (event,) = slack.said
    assert (event.kind, event.subject, event.by) == ("ack", f"incident:{made.incident_id}", "slack:kim")


async def test_only_slack_is_believed(slack: Provider) -> None:
    """A wrong secret, an old or missing signature, a changed body: refused before anything is read."""
    body = pressed("x")
    assert (await press(slack, body, "another")).status_code == 401
    assert (await press(slack, body, age_s=301)).status_code == 401
    assert (await press(slack, body, age_s=-301)).status_code == 401
    async with httpx.AsyncClient(base_url=slack.url) as client:
        assert (await client.post("/hooks/slack", content=body)).status_code == 401
        wrong = {"X-Slack-Request-Timestamp": "²", "X-Slack-Signature": "v0=x"}
        headers = [(k.encode(), v.encode()) for k, v in wrong.items()]
        assert (await client.post("/hooks/slack", content=body, headers=headers)).status_code == 401
    assert slack.said == []


async def test_what_a_press_cannot_do(slack: Provider) -> None:
    """Nonsense is refused; who may not, and what is over or unknown, is told so and changes nothing."""
    for nonsense in (b"", b"payload=", b"payload=[1]", b"payload={", b"\xff=1", b"payload=" + b"[" * 5000):
        assert (await press(slack, nonsense)).status_code == 422
    made = incident(Scope(ScopeKind.ELEMENT, OLT), status=IncidentStatus.RESOLVED, resolved_ns=NOW)
    slack.decide(made)
    assert "may not acknowledge" in (await press(slack, pressed(made.incident_id, "U2"))).json()["text"]
    assert "is over" in (await press(slack, pressed(made.incident_id))).json()["text"]
    assert "is over" in (await press(slack, pressed("unknown"))).json()["text"]
    opened = await press(slack, pressed("x", actions=[{"action_id": "faultline_open"}, 7]))
    assert (opened.status_code, opened.content) == (200, b"")
    assert slack.said == []


async def test_without_a_secret_there_is_no_hook(isp: Provider) -> None:
    """Where no signing secret is configured the address does not exist."""
    assert (await press(isp, pressed("x"))).status_code == 404
