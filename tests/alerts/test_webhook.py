"""Webhooks: signed, going only where they may, and losing nothing against a server that misbehaves."""

import asyncio
import hashlib
import hmac
import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts import guard
from alerts.chain import build_chain, build_writer
from alerts.guard import Forbidden, GuardedHttp, why_refused
from alerts.message import Message
from alerts.receivers.base import Later, Refused, Undelivered, Unreachable
from alerts.receivers.webhook import WebhookReceiver
from alerts.settings import AlertSettings, WebhookSettings
from alerts.told import Told
from monitor.clock import SystemClock
from monitor.metrics import Metrics
from monitor.records import Alert, Coded, Scope, ScopeKind
from monitor.secret import SecretProblem
from tests.alerts.http_server import HttpServer
from tests.alerts.samples import START_NS, ZONE, Desk, incident, until

OURS = ("127.0.0.0/8",)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")


def receiver(url: str, **changes: Any) -> WebhookReceiver:
    values = {"secret_env": "HOOK_SECRET", "allow_networks": OURS, "timeout_s": 1.0, "interval_s": 0.0, **changes}
    return WebhookReceiver(WebhookSettings("x", url, **values), SystemClock(), "webhook:x")


def message(**changes: Any) -> Message:
    return build_writer(AlertSettings(), ZONE).write(Told(), Alert("a", START_NS, "opened", incident(**changes)))


async def test_signed_document(server: HttpServer) -> None:
    """The signature is over the time and the very bytes; a repetition has the same delivery id; times are RFC 3339."""
    out = receiver(server.url)
    for handle in ({}, {}):
        await out.send(message(), handle)
    first, second = server.taken
    at = first.headers["x-faultline-timestamp"]
    wanted = hmac.new(b"s3cret", at.encode() + b"." + first.body, hashlib.sha256).hexdigest()
    assert first.headers["x-faultline-signature"] == f"v1={wanted}"
    assert first.headers["x-faultline-delivery"] == second.headers["x-faultline-delivery"]
    body = first.json()
    assert (body["incident_id"], body["first"], body["severity"], body["lines_down"]) == ("inc-1", True, "major", 480)
    assert body["started_at"] == "2023-11-14T22:12:20.000Z"
    assert body["resolved_at"] is None


async def test_an_sms_gateway(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template is filled in as the gateway wants it, as a form too; what is filled in is no template again."""
    monkeypatch.setenv("GATEWAY", "Bearer abc")
    template = '{"to": "+491", "message": "{title} {nonsense} {", "more": ["{incident_id}", 1]}'
    options = {"template": template, "secret_env": "", "authorization_env": "GATEWAY"}
    nasty = message(name="{title}", scope=Scope(ScopeKind.ELEMENT, "a{url}b"))
    await receiver(server.url, **options).send(nasty, {})
    body = server.taken[0].json()
    assert body == {"to": "+491", "message": "Outage: a{url}b · 480 lines down {nonsense} {", "more": ["{title}", 1]}
    assert server.taken[0].headers["authorization"] == "Bearer abc"
    assert "x-faultline-signature" not in server.taken[0].headers
    form = {**options, "template": '{"to": "+491", "text": "{title}"}', "encoding": "form"}
    await receiver(server.url, **form).send(message(), {})
    assert server.taken[1].body.startswith(b"to=%2B491&text=Outage")


@pytest.mark.parametrize(
    ("planned", "kind"),
    [(500, Unreachable), (401, Unreachable), (422, Refused), (429, Later), (503, Unreachable), ("close", Unreachable)],
)
async def test_failures_are_named(planned: Any, kind: type[Undelivered], server: HttpServer) -> None:
    """Each way to fail has its meaning, and the message names the webhook."""
    server.script.append(planned)
    with pytest.raises(kind, match="webhook x"):
        await receiver(server.url).send(message(), {})
    assert server.taken == []


async def test_redirects_are_not_followed(server: HttpServer) -> None:
    """A redirect, be it to the metadata service of a cloud, is an error that says so."""
    server.headers["Location"] = "http://169.254.169.254/latest/meta-data/"
    server.script.append(307)
    with pytest.raises(Unreachable, match="redirect"):
        await receiver(server.url).send(message(), {})
    assert len(server.refused) == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "2002:7f00:1::", "ff02::1",
    ],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    """No private, local, mapped, translated or multicast address may be reached unless its network is allowed."""
    found = ip_address(address)
    assert why_refused(found, [])
    assert not why_refused(found, [ip_network(f"{address}/{found.max_prefixlen}")])
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(msgspec.ValidationError, match="allow_networks"):
        msgspec.convert({"name": "x", "url": f"http://{literal}/", "secret_env": "X"}, WebhookSettings)


def test_public_addresses() -> None:
    """The others may be."""
    assert not any(why_refused(ip_address(a), []) for a in ("9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9"))


def test_a_private_address_in_a_secret_file(tmp_path: Path) -> None:
    """An address read from a file is judged too, and not repeated in the message."""
    (tmp_path / "url").write_text("http://10.9.8.7/token-abc")
    with pytest.raises(SecretProblem) as caught:
        receiver("", url_file=str(tmp_path / "url"), allow_networks=())
    assert "token-abc" not in str(caught.value)
    assert "not a public address" in str(caught.value)


async def test_names_that_lead_home(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a private address among its answers is refused before a connection is made; one that answers
    differently the second time gains nothing, because it is asked once and the connection goes to that very answer."""
    answers = [["9.9.9.9", "127.0.0.1"]]
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        return [ip_address(a) for a in answers[min(len(asked), len(answers)) - 1]]

    monkeypatch.setattr(guard, "_resolve", resolve)
    with pytest.raises(Forbidden, match=r"hook\.example leads to a private place"):
        await GuardedHttp(1.0).request("POST", f"http://hook.example:{server.port}/", {})
    answers[:] = [["127.0.0.2"], ["10.0.0.1"]]  # rebinding: good at first, bad when asked again
    asked.clear()
    with socket.create_server(("127.0.0.2", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(OSError):  # nobody answers there, but that is where it went
            await GuardedHttp(0.3, [ip_network("127.0.0.2/32")]).request("GET", f"http://hook.example:{port}/", {})
        connection, _ = listening.accept()
        connection.close()
    assert asked == ["hook.example"]


async def test_nothing_lost_and_nothing_stuck(desk: Desk, server: HttpServer) -> None:
    """429, 500, a hang, a closed connection and a refusal one after the other: every incident arrives but the one that
    is refused for good, which is a dead letter; the other receiver never waits."""
    fine = HttpServer()
    server.script.extend([500, "close", 429, "hang", 503, 422])
    server.headers["Retry-After"] = "1"
    hook = {"secret_env": "HOOK_SECRET", "allow_networks": OURS, "timeout_s": 0.3, "interval_s": 0.0}
    hooks = [{"name": n, "url": s.url, **hook} for n, s in (("bad", server), ("fine", fine))]
    settings = msgspec.convert(
        {"webhooks": hooks, "poll_s": 0.05, "retry_first_s": 0.05, "retry_most_s": 0.2}, AlertSettings
    )
    clock = SystemClock()
    task = asyncio.create_task(build_chain(settings, desk.outbox, Metrics(), clock, ZONE).run())
    try:
        desk.say("opened", *(incident(f"inc-{n}", scope=Scope(ScopeKind.ELEMENT, f"r/ex-{n}")) for n in range(4)))
        await until(lambda: len(fine.taken) == 4)
        await until(lambda: len(server.taken) == 3)
        await until(lambda: desk.outbox.waiting("webhook:bad") == 0)
        (dead,) = desk.outbox.dead_letters()
        assert "422" in dead.error
        assert {one.json()["incident_id"] for one in server.taken} | {dead.incident_id} == {
            f"inc-{n}" for n in range(4)
        }
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        fine.close()


async def test_huge_and_hostile_text(server: HttpServer) -> None:
    """Texts of 100 KB, control characters and lone surrogates become a bounded valid document."""
    text = "x\x00\x1b[31m\u202e\ud800<script>" * 10_000
    await receiver(server.url).send(message(explanation=(Coded(text),), acked_by=text, cause=text), {})
    assert len(server.taken[0].body) < 20_000
    assert "\x1b" not in server.taken[0].json()["text"]
