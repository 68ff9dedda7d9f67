"""What every receiver must do, run against each with its real server: a new one is a fixture and a name here."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from alerts.chain import build_writer
from alerts.message import Message
from alerts.receivers import KINDS
from alerts.receivers.alertmanager import AlertmanagerReceiver
from alerts.receivers.apprise import AppriseReceiver
from alerts.receivers.base import Receiver, Unreachable
from alerts.receivers.email import EmailReceiver
from alerts.receivers.slack import SlackReceiver
from alerts.receivers.webhook import WebhookReceiver
from alerts.settings import (
    AlertmanagerSettings,
    AlertSettings,
    AppriseSettings,
    EmailSettings,
    SlackSettings,
    WebhookSettings,
)
from alerts.told import Told
from monitor.clock import SystemClock
from monitor.records import Alert, Coded, IncidentStatus, Note, Scope, ScopeKind
from tests.alerts.alertmanager import Alertmanager
from tests.alerts.http_server import HttpServer
from tests.alerts.samples import START_NS, ZONE, incident
from tests.alerts.slack_server import TOKEN, SlackServer
from tests.alerts.smtp_server import SmtpServer


class Case(NamedTuple):
    """A receiver with its server, how many messages (not changes of them) the server holds, and one at another port."""

    receiver: Receiver
    new_messages: Callable[[], int]
    at_port: Callable[[int], Receiver]
    place: Callable[[int], str] = str  # how its messages name that port, where it says it
    can_check: bool = True  # whether trying without telling finds out that nobody is there


def _slack(folder: Path) -> Iterator[Case]:
    server = SlackServer()
    (folder / "token").write_text(TOKEN)

    def made(url: str) -> Receiver:
        settings = {"channel": "#noc", "base_url": url, "interval_s": 0.0, "timeout_s": 1.0}
        return SlackReceiver(SlackSettings(enabled=True, token_file=str(folder / "token"), **settings), SystemClock())

    yield Case(made(server.url), lambda: len(server.messages), lambda port: made(f"http://127.0.0.1:{port}/"))
    server.close()


def _email(folder: Path) -> Iterator[Case]:
    server = SmtpServer()

    def made(port: int) -> Receiver:
        settings = {"tls": "none", "sender": "a@isp.example", "recipients": ("b@isp.example",), "timeout_s": 1.0}
        return EmailReceiver(EmailSettings(enabled=True, host="127.0.0.1", port=port, **settings), SystemClock())

    def threads() -> int:
        return sum(mail["In-Reply-To"] is None for mail in server.box.mails)

    yield Case(made(server.port), threads, made)
    server.close()


def _webhook(folder: Path) -> Iterator[Case]:
    server = HttpServer()
    (folder / "secret").write_text("s3cret")

    def made(port: int) -> Receiver:
        settings = {"secret_file": str(folder / "secret"), "allow_networks": ("127.0.0.0/8",), "timeout_s": 1.0}
        return WebhookReceiver(
            WebhookSettings("x", f"http://127.0.0.1:{port}/in", **settings), SystemClock(), "webhook:x"
        )

    yield Case(made(server.port), lambda: sum(one.json()["first"] for one in server.taken), made, lambda _: "webhook x")
    server.close()


def _alertmanager(folder: Path) -> Iterator[Case]:
    server = Alertmanager(folder)

    def made(port: int) -> Receiver:
        settings = AlertmanagerSettings(enabled=True, urls=(f"http://127.0.0.1:{port}",), timeout_s=2.0)
        return AlertmanagerReceiver(settings, SystemClock())

    yield Case(made(server.port), lambda: len(server.ever()), made)
    server.close()


def _apprise(folder: Path) -> Iterator[Case]:
    server = HttpServer()

    def made(port: int) -> Receiver:
        (folder / "url").write_text(f"json://127.0.0.1:{port}/?rto=1&cto=1")
        return AppriseReceiver(AppriseSettings("x", str(folder / "url"), timeout_s=3.0), SystemClock(), "apprise:x")

    yield Case(made(server.port), lambda: 1 if server.taken else 0, made, lambda _: "x .json", False)
    server.close()


CASES = {"slack": _slack, "email": _email, "webhook": _webhook, "alertmanager": _alertmanager, "apprise": _apprise}


@pytest.fixture(params=sorted(KINDS))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from CASES[request.param](tmp_path)


def message(told: Told, revision: int = 1, **changes: object) -> Message:
    alert = Alert("a", START_NS, "opened", incident(revision=revision, **changes))
    return build_writer(AlertSettings(page_url="https://f.example"), ZONE).write(told, alert)


async def test_one_new_message_then_changes(case: Case) -> None:
    """The handle of the first message makes all later ones belong to it; it is text that survives a store."""
    handle = dict(await case.receiver.send(message(Told()), {}))
    assert handle
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in handle.items())
    for revision in (2, 3):
        told = Told(handle=handle, revision=revision - 1, status="open", scope="north/ex-12/olt-3")
        status = IncidentStatus.RECOVERING if revision == 2 else IncidentStatus.RESOLVED
        handle = dict(await case.receiver.send(message(told, revision, status=status), handle))
    assert case.new_messages() == 1


async def test_check_tells_nobody(case: Case) -> None:
    """Asking whether it works sends nothing."""
    await case.receiver.check()
    assert case.new_messages() == 0


async def test_anything_can_be_said(case: Case) -> None:
    """Huge texts, control characters, markup and empty names are taken."""
    for text in ("x" * 100_000, "\x00\x1b\r\nBcc: a@b\r\n\u202e<!channel>\ud800", ""):
        item = message(
            Told(),
            name=f"i{text}",
            scope=Scope(ScopeKind.GROUP, text),
            explanation=(Coded(text),),
            acked_by=text,
            notes=(Note(START_NS, text, text),),
        )
        assert await case.receiver.send(item, {})


async def test_absent_and_silent_servers(case: Case) -> None:
    """Nobody listening, and somebody who never answers, both are Unreachable within the timeout, naming the place."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with asyncio.timeout(20):
            with pytest.raises(Unreachable, match=case.place(port)):
                await case.at_port(port).send(message(Told()), {})
    if case.can_check:
        with pytest.raises(Unreachable, match=case.place(port)):
            await case.at_port(port).check()


async def test_a_foreign_handle_does_no_harm(case: Case) -> None:
    """A handle that is not this receiver's starts anew instead of failing."""
    assert await case.receiver.send(message(Told(handle={"other": "x"})), {"other": "x"})
    assert case.new_messages() == 1
