"""Alertmanager's v2 API against Debian's Alertmanager itself, and the ways of several at once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from alerts.chain import build_chain
from alerts.receivers.alertmanager import AlertmanagerReceiver
from alerts.receivers.base import Unreachable
from alerts.settings import AlertmanagerSettings, AlertSettings
from monitor.clock import NS, SystemClock
from monitor.metrics import Metrics
from monitor.records import IncidentStatus, Scope, ScopeKind, Severity
from tests.alerts.alertmanager import Alertmanager
from tests.alerts.http_server import HttpServer
from tests.alerts.samples import ZONE, Desk, incident, until


async def test_an_alert_from_beginning_to_end(desk: Desk, tmp_path: Path) -> None:
    """Each incident of a storm is an alert with its labels; what is open is said again before it ends by itself; over,
    it is gone."""
    server = Alertmanager(tmp_path)
    clock = SystemClock()
    part = AlertmanagerSettings(
        enabled=True, urls=(server.url,), labels={"team": "north"}, repeat_s=1.0, update_s=0.0, interval_s=0.0
    )
    settings = AlertSettings(alertmanager=part, poll_s=0.05)
    task = asyncio.create_task(build_chain(settings, desk.outbox, Metrics(), clock, ZONE).run())
    begun = {"started_ns": clock.now_ns() - 60 * NS, "detected_ns": clock.now_ns()}
    try:
        where = [Scope(ScopeKind.ELEMENT, f"r/ex-{n}") for n in range(15)]
        desk.say("opened", *(incident(f"inc-{n}", scope=scope, **begun) for n, scope in enumerate(where)))
        await until(lambda: len(server.seen()) == 15)
        alert = _alert(server, "inc-3")
        assert alert["labels"] == {
            "alertname": "FaultlineOutage", "incident_id": "inc-3", "kind": "outage", "team": "north"
        }  # fmt: skip
        assert alert["annotations"]["scope"] == "element:r/ex-3"
        await until(lambda: _alert(server, "inc-3")["endsAt"] > alert["endsAt"])
        over = incident(
            "inc-3", 2, scope=where[3], status=IncidentStatus.RESOLVED, severity=Severity.CLEARED,
            resolved_ns=clock.now_ns(), **begun,
        )  # fmt: skip
        desk.say("resolved", over)
        await until(lambda: len(server.seen()) == 14)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()


async def test_one_member_of_a_cluster_is_enough() -> None:
    """All members are asked; one that is away does not matter, all away does."""
    server = HttpServer()
    try:
        urls = ("http://127.0.0.1:1", f"http://127.0.0.1:{server.port}")
        await AlertmanagerReceiver(AlertmanagerSettings(True, urls, timeout_s=1.0), SystemClock()).check()
        assert server.taken[0].path == "/api/v2/status"
    finally:
        server.close()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        await AlertmanagerReceiver(AlertmanagerSettings(True, urls[:1], timeout_s=1.0), SystemClock()).check()


def _alert(server: Alertmanager, incident_id: str) -> dict[str, Any]:
    return next(alert for alert in server.seen() if alert["labels"]["incident_id"] == incident_id)
