"""The Slack receiver against a real HTTP server that enforces what Slack documents."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.chain import build_chain, build_writer
from alerts.message import Message
from alerts.receivers.base import Deferred, Later, Refused, Undelivered, Unreachable
from alerts.receivers.slack import SlackReceiver
from alerts.settings import AlertSettings, SlackSettings
from alerts.told import Told
from monitor.clock import ManualClock, SystemClock
from monitor.metrics import Metrics
from monitor.records import Alert, Coded, IncidentStatus, Note, Scope, ScopeKind
from tests.alerts.samples import START_NS, ZONE, Desk, incident, until
from tests.alerts.slack_server import CHANNEL, TOKEN, SlackServer

NASTY = "<!channel> <@U123> <https://evil.example|click> & *bold* _it_ `code` :fire:\x00\x1b[31m\u202egnp.exe\ud800"


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    server = SlackServer()
    yield server
    server.close()


def slack_settings(slack: SlackServer, tmp_path: Path, **changes: Any) -> SlackSettings:
    (tmp_path / "token").write_text(TOKEN + "\n")
    values = {"channel": "#noc", "base_url": slack.url, "interval_s": 0.0, "timeout_s": 1.0, **changes}
    return SlackSettings(enabled=True, token_file=str(tmp_path / "token"), **values)


def receiver(slack: SlackServer, tmp_path: Path, **changes: Any) -> SlackReceiver:
    return SlackReceiver(slack_settings(slack, tmp_path, **changes), SystemClock())


def message(told: Told | None = None, what: str = "opened", **changes: Any) -> Message:
    item = incident(**changes)
    alert = Alert(f"{item.incident_id}#{item.revision}", START_NS, what, item)
    settings = AlertSettings(page_url="https://faultline.example.net/")
    return build_writer(settings, ZONE).write(told or Told(), alert)


async def test_posts_then_updates_the_same_message(slack: SlackServer, tmp_path: Path) -> None:
    """The first telling posts; the next changes that message by the channel id and ts Slack gave, and what matters is
    also said in the thread."""
    out = receiver(slack, tmp_path)
    handle = await out.send(message(), {})
    assert handle["channel"] == CHANNEL
    told = Told(handle=dict(handle), revision=1, status="open", scope="north/ex-12/olt-3", lines=500)
    over = message(told, "resolved", revision=2, status=IncidentStatus.RESOLVED, resolved_ns=START_NS)
    assert await out.send(over, handle) == handle
    assert list(slack.messages) == [handle["ts"]]
    assert "resolved" in json.dumps(slack.messages[handle["ts"]])
    (said,) = slack.threads[handle["ts"]]
    assert said["text"].startswith("Resolved at 2023-11-14 23:13 CET")


async def test_nothing_can_be_injected(slack: SlackServer, tmp_path: Path) -> None:
    """Text from outside stands in plain_text only; mentions, links, control characters and direction marks are gone
    from everything Slack parses."""
    out = receiver(slack, tmp_path)
    nasty = message(
        name=f"inc-{NASTY}",
        scope=Scope(ScopeKind.GROUP, f"firmware:{NASTY}"),
        explanation=(Coded(NASTY),),
        acked_by=NASTY,
        notes=(Note(START_NS, NASTY, NASTY * 50),),
        parent_id=NASTY,
    )
    handle = await out.send(nasty, {})
    body = slack.messages[handle["ts"]]
    parsed = [body["text"], *(t["text"] for t in _texts(body["blocks"]) if t["type"] == "mrkdwn")]
    link = "<https://faultline.example.net/#incident=inc-%3C%21channel%3E"
    assert all("<" not in text or text.startswith(link) for text in parsed)
    shown = json.dumps(body, ensure_ascii=False)
    assert not any(bad in shown for bad in ("\x00", "\x1b", "\u202e", "\ud800", "\\u0000", "\\u001b"))
    assert body["parse"] == "none"
    assert body["link_names"] is False


async def test_long_texts_fit(slack: SlackServer, tmp_path: Path) -> None:
    """Texts of 100 KB everywhere make a message within Slack's limits."""
    long = "ÄÖ& <" * 20_000
    out = receiver(slack, tmp_path)
    huge = message(
        scope=Scope(ScopeKind.ELEMENT, long),
        explanation=(Coded(long), Coded(long)),
        acked_by=long,
        notes=tuple(Note(START_NS, long, long) for _ in range(50)),
        parent_id=long,
        runner_up=Scope(ScopeKind.ELEMENT, long),
        runner_up_confidence=0.4,
    )
    handle = await out.send(huge, {})
    assert slack.calls[-1][2] == "ok"
    assert len(slack.calls) == 1
    assert slack.messages[handle["ts"]]["blocks"]


async def test_deleted_message_is_posted_anew(slack: SlackServer, tmp_path: Path) -> None:
    """When somebody has deleted the message, the next change posts a new one and keeps to that."""
    out = receiver(slack, tmp_path)
    handle = await out.send(message(), {})
    slack.messages.clear()
    again = await out.send(message(revision=2, lines_down=3), handle)
    assert again["ts"] != handle["ts"]
    assert list(slack.messages) == [again["ts"]]


@pytest.mark.parametrize(
    ("planned", "kind", "says"),
    [
        (429, Later, "rate limit"),
        (500, Unreachable, "500"),
        (503, Unreachable, "503"),
        ("hang", Unreachable, "cannot be reached"),
        ("close", Unreachable, "cannot be reached"),
        ("garbage", Unreachable, "base_url"),
        ("invalid_auth", Unreachable, "token"),
        ("not_in_channel", Unreachable, "invite"),
        ("something_new", Deferred, "something_new"),
    ],
)
async def test_failures_are_named(
    planned: Any, kind: type[Undelivered], says: str, slack: SlackServer, tmp_path: Path
) -> None:
    """Each way in which Slack can fail is told apart, and says what to do; the token is never in the text."""
    out = receiver(slack, tmp_path, timeout_s=0.6)
    slack.script.append(planned)
    with pytest.raises(kind) as caught:
        await out.send(message(), {})
    assert isinstance(caught.value, kind)
    assert says in str(caught.value)
    assert TOKEN not in str(caught.value)
    if isinstance(caught.value, Later):
        assert caught.value.retry_after_s == 2
    handle = await out.send(message(), {})
    assert handle["ts"] in slack.messages


async def test_layout_refused_is_sent_bare(slack: SlackServer, tmp_path: Path) -> None:
    """If Slack refuses the blocks, the bare text goes out; if it refuses that too, the message is given up."""
    out = receiver(slack, tmp_path)
    slack.script.append("invalid_blocks")
    handle = await out.send(message(), {})
    assert slack.messages[handle["ts"]]["blocks"] == []
    slack.script.extend(["invalid_blocks", "msg_too_long"])
    with pytest.raises(Refused):
        await out.send(message(), {})


async def test_no_server(tmp_path: Path) -> None:
    """Nothing listens: it is said where; the check says it too."""
    server = SlackServer()
    server.close()
    out = receiver(server, tmp_path)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        await out.send(message(), {})
    with pytest.raises(Unreachable):
        await out.check()


async def test_check(slack: SlackServer, tmp_path: Path) -> None:
    """The check passes with the right token and names a wrong one, and posts nothing."""
    await receiver(slack, tmp_path).check()
    settings = slack_settings(slack, tmp_path)
    (tmp_path / "token").write_text("xoxb-other")
    with pytest.raises(Unreachable, match="token"):
        await SlackReceiver(settings, SystemClock()).check()
    assert slack.posts == 0


async def test_hanging_calls_are_bounded(slack: SlackServer, tmp_path: Path) -> None:
    """Calls that hang for ever do not pile up threads: beyond four the receiver says so at once."""
    out = receiver(slack, tmp_path, timeout_s=0.1)
    out._client.timeout = 30  # as if the server trickled bytes
    slack.script.extend(["hang"] * 5)
    for _ in range(5):
        with pytest.raises(Unreachable) as caught:
            await out.send(message(), {})
    assert "still hang" in str(caught.value)
    assert len(slack.script) == 1


async def test_whole_way_with_a_bad_day(slack: SlackServer, tmp_path: Path) -> None:
    """Through the chain in real time: 429, 500, a hang, a closed connection; in the end every incident has exactly one
    message in its last state."""
    clock = SystemClock()
    desk = Desk(tmp_path, clock)
    slack.retry_after = "1"
    slack.script.extend([429, 500, "close", "internal_error", "something_new"])
    settings = AlertSettings(
        slack=slack_settings(slack, tmp_path, update_s=0.05), poll_s=0.05, retry_first_s=0.05, retry_most_s=0.2
    )
    chain = build_chain(settings, desk.outbox, Metrics(), clock, ZONE)
    task = asyncio.create_task(chain.run())
    for revision in range(1, 6):
        what = "grew" if revision > 1 else "opened"
        desk.say(what, *(incident(f"inc-{n}", revision, lines_down=revision) for n in range(4)))
        await asyncio.sleep(0.05)
    await until(lambda: not desk.outbox.waiting("slack"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    desk.close()
    assert len(slack.messages) == 4
    assert all("5 lines down" in json.dumps(body) for body in slack.messages.values())


async def test_rate_on_the_wire(slack: SlackServer, tmp_path: Path) -> None:
    """Post, update and thread line are each a call of their own and never closer than the interval."""
    clock = ManualClock(START_NS)
    out = SlackReceiver(slack_settings(slack, tmp_path, interval_s=1.0), clock)
    handle = await out.send(message(), {})
    told = Told(handle=dict(handle), revision=1, status="open", scope="north/ex-12/olt-3", lines=500)
    update = message(told, "recovering", revision=2, status=IncidentStatus.RECOVERING)
    task = asyncio.create_task(out.send(update, handle))
    for calls in (1, 2):
        await asyncio.sleep(0.05)
        assert len(slack.calls) == calls
        await clock.advance(1.0)
    await task
    assert len(slack.calls) == 3


def _texts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
