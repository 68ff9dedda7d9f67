"""Trying the receivers, and explaining what the chain did."""

import asyncio
from pathlib import Path
from typing import Any

from alerts import dryrun
from alerts.chain import build_chain
from alerts.dryrun import explain
from alerts.settings import AlertSettings, EmailSettings, SlackSettings
from monitor.clock import SystemClock
from monitor.metrics import Metrics
from monitor.records import IncidentStatus
from tests.alerts.samples import ZONE, Desk, incident, until
from tests.alerts.slack_server import TOKEN, SlackServer


def both(url: str, tmp_path: Path, **settings: Any) -> AlertSettings:
    (tmp_path / "token").write_text(TOKEN)
    slack = SlackSettings(
        enabled=True, token_file=str(tmp_path / "token"), channel="#noc", base_url=url, interval_s=0.0, update_s=0.0
    )
    email = EmailSettings(
        enabled=True, host="127.0.0.1", port=1, tls="none", sender="a@isp.example", recipients=("b@isp.example",)
    )
    return AlertSettings(slack=slack, email=email, poll_s=0.05, **settings)


async def test_every_receiver_is_tried(tmp_path: Path) -> None:
    """One that works says where the message is, one that does not says why; neither stops the other."""
    slack = SlackServer()
    try:
        results = await dryrun.try_receivers(both(slack.url, tmp_path), SystemClock(), ZONE)
    finally:
        slack.close()
    assert [(r.receiver, r.ok) for r in results] == [("slack", True), ("email", False)]
    assert "127.0.0.1:1" in results[1].text
    (body,) = slack.messages.values()
    assert "Nothing has failed" in str(body["blocks"])


async def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    """A token file that is not there is a result, not a crash."""
    settings = both("http://127.0.0.1:1/", tmp_path)
    (tmp_path / "token").unlink()
    results = await dryrun.try_receivers(settings, SystemClock(), ZONE)
    assert "alerts.slack.token_file" in results[0].text


async def test_explain_names_stage_and_reason(tmp_path: Path) -> None:
    """Before it is told every stage passes; after it, what was sent is shown, and what fails with its error."""
    slack, clock = SlackServer(), SystemClock()
    desk = Desk(tmp_path, clock)
    settings = both(slack.url, tmp_path)
    told = incident()
    lines = explain(told, settings, [], clock.now_ns(), ZONE)
    assert [(e.receiver, e.stage, e.outcome) for e in lines if e.receiver == "slack"] == [
        ("slack", "told", "never sent"),
        ("slack", "kinds", "passes"),
        *[("slack", s, "passes") for s in ("route", "inhibit", "silence", "dedup", "group", "pace", "throttle")],
        ("slack", "receiver", "would be sent"),
    ]
    desk.say("opened", told)
    task = asyncio.create_task(build_chain(settings, desk.outbox, Metrics(), clock, ZONE).run())
    await until(lambda: bool(slack.messages) and len(desk.outbox.states("inc-1")) == 2)
    await until(lambda: all(s.sent_revision or s.attempts for s in desk.outbox.states("inc-1")))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    lines = explain(told, settings, desk.outbox.states("inc-1"), clock.now_ns(), ZONE)
    by_stage = {(e.receiver, e.stage): e for e in lines}
    assert by_stage["slack", "told"].outcome == "sent"
    assert by_stage["slack", "dedup"].reason == "already_told"
    assert by_stage["email", "outbox"].outcome == "failing"
    assert "127.0.0.1:1" in by_stage["email", "outbox"].reason
    desk.close()
    slack.close()


def test_explain_a_stopped_incident(tmp_path: Path) -> None:
    """A suspected incident is stopped by the first stage, with its reason."""
    settings = both("http://127.0.0.1:1/", tmp_path)
    lines = explain(incident(status=IncidentStatus.SUSPECTED), settings, [], 0, ZONE)
    assert [(e.stage, e.reason) for e in lines if e.outcome == "stops"] == [("kinds", "suspected")] * 2
