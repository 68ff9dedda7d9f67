"""Slack's incoming webhook: instead of the Web API when that does not take messages, or alone; and the button."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.chain import build_writer
from alerts.message import Message
from alerts.receivers.base import Unreachable
from alerts.receivers.slack import SlackReceiver
from alerts.settings import AlertSettings, SlackSettings
from alerts.told import Told
from monitor.clock import SystemClock
from monitor.records import Alert, IncidentStatus
from tests.alerts.http_server import HttpServer
from tests.alerts.samples import START_NS, ZONE, incident
from tests.alerts.slack_server import TOKEN, SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    server = SlackServer()
    yield server
    server.close()


@pytest.fixture
def hook() -> Iterator[HttpServer]:
    server = HttpServer()
    yield server
    server.close()


def receiver(slack: SlackServer | None, hook: HttpServer, folder: Path, **changes: Any) -> SlackReceiver:
    (folder / "token").write_text(TOKEN)
    (folder / "hook").write_text(hook.url)
    values: dict[str, Any] = {"webhook_file": str(folder / "hook"), "interval_s": 0.0, "timeout_s": 1.0}
    if slack is not None:
        values |= {"token_file": str(folder / "token"), "channel": "#noc", "base_url": slack.url}
    return SlackReceiver(SlackSettings(enabled=True, **{**values, **changes}), SystemClock())


def message(told: Told | None = None, what: str = "opened", **changes: Any) -> Message:
    writer = build_writer(AlertSettings(page_url="https://f.example"), ZONE)
    return writer.write(told or Told(), Alert("a", START_NS, what, incident(**changes)))


async def test_only_while_the_api_does_not_work(slack: SlackServer, hook: HttpServer, tmp_path: Path) -> None:
    """Working, the Web API alone is used; with a revoked token the webhook posts, and from then on it posts that
    incident's news, each once; an incident that has a real message keeps it."""
    out = receiver(slack, hook, tmp_path)
    own = await out.send(message(), {})
    assert (len(slack.messages), len(hook.taken)) == (1, 0)
    slack.script.append("token_revoked")
    handle = await out.send(message(), {})
    assert handle == {"webhook": "sent"}
    told = Told(handle=dict(handle), revision=1, status="open", scope="north/ex-12/olt-3", lines=500)
    assert await out.send(message(told, revision=2, lines_down=3), handle) == handle
    assert len(hook.taken) == 1  # a change without news cannot be shown
    await out.send(message(told, "resolved", revision=3, status=IncidentStatus.RESOLVED, resolved_ns=START_NS), handle)
    assert "Resolved at" in hook.taken[1].json()["text"]
    slack.script.append("token_revoked")
    with pytest.raises(Unreachable, match="revoked"):
        await out.send(message(told), own)


async def test_what_may_be_out_is_not_sent_again(slack: SlackServer, hook: HttpServer, tmp_path: Path) -> None:
    """After silence or a server error the message may have been taken: no second one through the webhook. Refused
    connections are certain."""
    out = receiver(slack, hook, tmp_path)
    for planned in (500, "close", "hang"):
        slack.script.append(planned)
        with pytest.raises(Unreachable):
            await out.send(message(), {})
    assert hook.taken == []
    absent = receiver(slack, hook, tmp_path, base_url="http://127.0.0.1:1/api/")
    assert await absent.send(message(), {}) == {"webhook": "sent"}


async def test_alone_and_failing(hook: HttpServer, tmp_path: Path) -> None:
    """Without a token it is all there is; what it says about a failure never shows its address."""
    out = receiver(None, hook, tmp_path)
    await out.check()
    assert hook.taken == []
    assert await out.send(message(), {}) == {"webhook": "sent"}
    hook.script.append(404)
    with pytest.raises(Unreachable) as caught:
        await out.send(message(), {})
    assert "/in" not in str(caught.value)


async def test_the_button(slack: SlackServer, hook: HttpServer, tmp_path: Path) -> None:
    """With a signing secret an open incident can be acknowledged from its message; taken or over, no longer."""
    (tmp_path / "signing").write_text("s")
    out = receiver(slack, hook, tmp_path, signing_secret_file=str(tmp_path / "signing"))
    for changes, expected in (({}, 2), ({"acked_by": "Kim"}, 0), ({"status": IncidentStatus.RESOLVED}, 0)):
        handle = await out.send(message(**changes), {})  # type: ignore[arg-type]
        buttons = [e for b in slack.messages[handle["ts"]]["blocks"] if b["type"] == "actions" for e in b["elements"]]
        assert len(buttons) == expected
    plain = await receiver(slack, hook, tmp_path).send(message(), {})
    assert all(block["type"] != "actions" for block in slack.messages[plain["ts"]]["blocks"])
