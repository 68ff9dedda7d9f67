"""The e-mail receiver against a real SMTP server."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.chain import build_chain, build_writer
from alerts.message import Message
from alerts.receivers.base import Deferred, Refused, Unreachable
from alerts.receivers.email import EmailReceiver
from alerts.settings import AlertSettings, EmailSettings
from alerts.told import Told
from monitor.clock import SystemClock
from monitor.metrics import Metrics
from monitor.records import Alert, Coded, IncidentStatus, Note, Scope, ScopeKind
from tests.alerts.samples import START_NS, ZONE, Desk, incident, until
from tests.alerts.smtp_server import PASSWORD, USER, SmtpServer, make_certificate

NASTY = "x\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script>\x00\u202e\ud800"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    server = SmtpServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def email_settings(port: int, **changes: Any) -> EmailSettings:
    values: dict[str, Any] = {"host": "127.0.0.1", "port": port, "tls": "none", "timeout_s": 2.0, "interval_s": 0.0}
    values |= {"sender": "faultline@isp.example", "recipients": ("noc@isp.example", "desk@isp.example")}
    return EmailSettings(enabled=True, **{**values, **changes})


def receiver(port: int, **changes: Any) -> EmailReceiver:
    return EmailReceiver(email_settings(port, **changes), SystemClock())


def message(told: Told | None = None, what: str = "opened", language: str = "en", **changes: Any) -> Message:
    item = incident(**changes)
    settings = AlertSettings(page_url="https://faultline.example.net", language=language)
    return build_writer(settings, ZONE).write(told or Told(), Alert("a", START_NS, what, item))


async def test_one_thread_per_incident(smtp: SmtpServer) -> None:
    """The first mail has an id that only the incident decides; later ones refer to it and keep its subject."""
    out = receiver(smtp.port)
    first = await out.send(message(), {})
    told = Told(handle=dict(first), revision=1, status="open", scope="north/ex-12/olt-3", lines=500)
    second = await out.send(message(told, "acked", revision=2, acked_by="Kim"), first)
    await out.send(message(told, "resolved", revision=3, status=IncidentStatus.RESOLVED), second)
    a, b, c = smtp.box.mails
    assert a["Message-ID"] == first["message_id"]
    assert a["In-Reply-To"] is None
    assert [b["In-Reply-To"], c["In-Reply-To"]] == [a["Message-ID"], b["Message-ID"]]
    assert c["References"].split() == [a["Message-ID"], b["Message-ID"]]
    assert b["Subject"] == f"Re: {a['Subject']}" == c["Subject"]
    assert len({m["Message-ID"] for m in smtp.box.mails}) == 3
    await out.send(message(), {})  # as after a crash between sent and noted
    assert smtp.box.mails[-1]["Message-ID"] == a["Message-ID"]


async def test_headers_and_parts(smtp: SmtpServer) -> None:
    """A machine's mail says that it is one, names its list, and has a text and an HTML part that say the same."""
    await receiver(smtp.port).send(message(), {})
    (mail,) = smtp.box.mails
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "Faultline alerts <faultline-alerts.isp.example>"
    assert mail["From"] == "faultline@isp.example"
    assert mail["Date"].datetime.timestamp() == START_NS / 1e9
    assert smtp.box.recipients == [["noc@isp.example", "desk@isp.example"]]
    assert mail.get_content_type() == "multipart/alternative"
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    for part in (text, html):
        content = part.get_content()
        assert "north/ex-12/olt-3" in content
        assert "480 down, 500 affected, 512 under it (498 observable)" in content
        assert "https://faultline.example.net/#incident=inc-1" in content


async def test_german(smtp: SmtpServer) -> None:
    """In German the labels, numbers and times are German, umlauts and all."""
    await receiver(smtp.port).send(message(language="de", lines_affected=12_500), {})
    body = smtp.box.mails[0].get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "Anschlüsse:" in text
    assert "12.500 betroffen" in text
    assert "14.11.2023 23:13 CET" in text


async def test_nothing_can_be_injected(smtp: SmtpServer) -> None:
    """Line ends and markup in names add no header, no recipient and no HTML element."""
    out = receiver(smtp.port)
    nasty = message(
        name=NASTY,
        scope=Scope(ScopeKind.GROUP, f"firmware:{NASTY}"),
        explanation=(Coded(NASTY),),
        acked_by=NASTY,
        notes=(Note(START_NS, NASTY, NASTY),),
    )
    handle = await out.send(nasty, {})
    await out.send(nasty, {**handle, "subject": NASTY})
    for mail in smtp.box.mails:
        assert mail["Bcc"] is None
        assert not any("\n" in str(value) for value in mail.values())
        html = mail.get_body(("html",))
        assert html is not None
        assert "<script" not in html.get_content()
        assert "&lt;script&gt;" in html.get_content()
    assert all("victim@example.org" not in one for one in smtp.box.recipients)


async def test_long_texts_fit(smtp: SmtpServer) -> None:
    """Texts of 100 KB are cut, and no line on the wire is longer than SMTP allows."""
    long = "Äöü & <b> " * 10_000
    await receiver(smtp.port).send(
        message(explanation=(Coded(long),), scope=Scope(ScopeKind.ELEMENT, long), acked_by=long), {}
    )
    assert len(smtp.box.raw[0]) < 60_000
    assert max(len(line) for line in smtp.box.raw[0].split(b"\r\n")) <= 998


async def test_starttls_and_login(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """With STARTTLS and a login the mail goes out encrypted; a wrong password or certificate is named."""
    server = SmtpServer(certificate, login=True)
    (tmp_path / "password").write_text(PASSWORD)
    secure = {"tls": "starttls", "username": USER, "password_file": str(tmp_path / "password"), "host": "localhost"}
    try:
        out = receiver(server.port, **secure, ca_file=str(certificate[0]))
        await out.check()
        await out.send(message(), {})
        assert server.box.encrypted == [True]
        with pytest.raises(Unreachable, match=r"not trusted.*ca_file"):
            await receiver(server.port, **secure).send(message(), {})
        (tmp_path / "password").write_text("wrong")
        with pytest.raises(Unreachable, match="refuses the login") as caught:
            await receiver(server.port, **secure, ca_file=str(certificate[0])).check()
        assert "wrong" not in str(caught.value)
    finally:
        server.close()
    assert len(server.box.mails) == 1


async def test_starttls_is_never_skipped(smtp: SmtpServer) -> None:
    """A server that offers no STARTTLS gets no mail when STARTTLS is asked for."""
    with pytest.raises(Unreachable, match="STARTTLS"):
        await receiver(smtp.port, tls="starttls").send(message(), {})
    assert smtp.box.mails == []


async def test_refused_and_deferred(smtp: SmtpServer) -> None:
    """A 5xx to the mail gives it up, a 4xx tries again later."""
    smtp.box.replies = ["554 looks like spam", "451 busy"]
    out = receiver(smtp.port)
    with pytest.raises(Refused, match="looks like spam"):
        await out.send(message(), {})
    with pytest.raises(Deferred, match="busy"):
        await out.send(message(), {})
    await out.send(message(), {})
    assert len(smtp.box.mails) == 1


async def test_one_recipient_deferred(smtp: SmtpServer) -> None:
    """Greylisting of one recipient repeats the mail to that one only."""
    smtp.box.recipient_replies = {"desk@isp.example": ["450 greylisted"]}
    out = receiver(smtp.port)
    with pytest.raises(Deferred, match=r"desk@isp\.example"):
        await out.send(message(), {})
    await out.send(message(), {})
    assert smtp.box.recipients == [["noc@isp.example"], ["desk@isp.example"]]


async def test_one_recipient_refused(smtp: SmtpServer, caplog: pytest.LogCaptureFixture) -> None:
    """A recipient that does not exist is said once and does not keep the others from their mail."""
    smtp.box.recipient_replies = {"desk@isp.example": ["550 no such user"] * 3}
    out = receiver(smtp.port)
    handle = await out.send(message(), {})
    await out.send(message(revision=2), handle)
    assert smtp.box.recipients == [["noc@isp.example"]] * 2
    assert [r.getMessage() for r in caplog.records if "refuses desk@isp.example" in r.getMessage()]
    assert caplog.text.count("refuses desk@isp.example") == 1


async def test_every_recipient_refused(smtp: SmtpServer) -> None:
    """When nobody is left to write to, the receiver counts as not working and says what to check."""
    smtp.box.recipient_replies = {a: ["550 no"] for a in ("noc@isp.example", "desk@isp.example")}
    with pytest.raises(Unreachable, match="check recipients"):
        await receiver(smtp.port).send(message(), {})


async def test_server_that_hangs_or_is_absent() -> None:
    """A port nobody listens on, and one that accepts and says nothing, are both named with host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
            await receiver(port, timeout_s=0.3).send(message(), {})
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
        await receiver(port).check()


async def test_only_news_is_mailed(smtp: SmtpServer, tmp_path: Path) -> None:
    """Through the chain: of twenty revisions only the first, the growth and the end are mailed."""
    clock = SystemClock()
    desk = Desk(tmp_path, clock)
    settings = AlertSettings(email=email_settings(smtp.port, update_s=0.0), poll_s=0.05)
    chain = build_chain(settings, desk.outbox, Metrics(), clock, ZONE)
    task = asyncio.create_task(chain.run())
    for revision in range(1, 21):
        big = {"lines_affected": 5000} if revision >= 10 else {}
        over = {"status": IncidentStatus.RESOLVED, "resolved_ns": START_NS} if revision == 20 else {}
        what = "resolved" if over else "opened" if revision == 1 else "grew"
        desk.say(what, incident(revision=revision, lines_down=400 + revision, **big, **over))
        await until(lambda: not desk.outbox.waiting("email"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    desk.close()
    assert len(smtp.box.mails) == 3
    texts = [mail.get_body(("plain",)).get_content() for mail in smtp.box.mails]  # type: ignore[union-attr]
    assert texts[1].startswith("Grew: 5,000 lines affected (before: 500).")
    assert texts[2].startswith("Resolved at")
