"""kill -9 between "sent" and "noted": at most one duplicate, never none."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from monitor.clock import SystemClock
from monitor.records import Scope, ScopeKind
from tests.alerts.samples import Desk, incident
from tests.alerts.slack_server import TOKEN, SlackServer


def _sender(folder: Path, slack: SlackServer, mode: str) -> "subprocess.Popen[str]":
    arguments = [str(folder), slack.url, str(folder / "token"), mode]
    command = [sys.executable, "-m", "tests.alerts.crashing_sender", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def _stop(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(30)
    assert process.stdout is not None
    process.stdout.close()


def test_killed_between_sent_and_noted(tmp_path: Path) -> None:
    """The message of a daemon killed before it could note it is sent once more by the next one, and from then on only
    updated; an update whose note was lost changes the same message again."""
    (tmp_path / "token").write_text(TOKEN)
    slack = SlackServer()
    desk = Desk(tmp_path, SystemClock())
    try:
        desk.say("opened", incident())
        dying = _sender(tmp_path, slack, "die")
        assert dying.wait(30) == -signal.SIGKILL
        _stop(dying)
        assert len(slack.messages) == 1  # out, but not noted

        living = _sender(tmp_path, slack, "live")
        assert living.stdout is not None
        assert living.stdout.readline() == "told\n"
        _stop(living)
        assert len(slack.messages) == 2

        desk.say("shrank", incident(revision=2, lines_down=7))
        dying = _sender(tmp_path, slack, "die")
        assert dying.wait(30) == -signal.SIGKILL
        _stop(dying)
        living = _sender(tmp_path, slack, "live")
        assert living.stdout is not None
        assert living.stdout.readline() == "told\n"
        _stop(living)
        assert len(slack.messages) == 2
        assert sum("7 lines down" in body["text"] for body in slack.messages.values()) == 1
        assert desk.outbox.waiting("slack") == 0
    finally:
        desk.close()
        slack.close()


def test_killed_in_a_storm(tmp_path: Path) -> None:
    """The same for a storm's summary: one duplicate at most, every incident named, none told twice by itself."""
    (tmp_path / "token").write_text(TOKEN)
    slack = SlackServer()
    desk = Desk(tmp_path, SystemClock())
    where = [Scope(ScopeKind.ELEMENT, f"r/ex-{n}/olt-1") for n in range(14)]
    try:
        desk.say("opened", *(incident(f"inc-{n}", scope=scope) for n, scope in enumerate(where)))
        dying = _sender(tmp_path, slack, "die")
        assert dying.wait(30) == -signal.SIGKILL
        _stop(dying)
        assert len(slack.messages) == 1
        living = _sender(tmp_path, slack, "live")
        assert living.stdout is not None
        assert living.stdout.readline() == "told\n"
        _stop(living)
        assert len(slack.messages) == 2
        assert all(scope.name in json.dumps(body) for body in slack.messages.values() for scope in where)
        assert desk.outbox.waiting("slack") == 0
    finally:
        desk.close()
        slack.close()
