"""The daemon as a process: outage, kill -9, reload, unreachable servers, two on one store. A real API, real SMTP."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.clock import NS
from monitor.lab.process import free_port
from monitor.records import Change, Flag, FlagKind
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.alerts.smtp_server import SmtpServer
from tests.app.rig import PER_SPLITTER, SPLITTERS, Rig, inventory_text, line_id
from tests.lab.helpers import gone


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    server = SmtpServer()
    yield server
    server.close()


def mail_settings(port: int) -> str:
    return f"""
[alerts]
retry_first_s = 0.5
[alerts.email]
enabled = true
host = "127.0.0.1"
port = {port}
tls = "none"
sender = "faultline@example.net"
recipients = ["noc@example.net"]
interval_s = 0.0
update_s = 0.0
"""


def test_kill_in_an_outage_resumes_it(tmp_path: Path, smtp: SmtpServer) -> None:
    """kill -9 in the middle of an outage, and a start: same incident, same id, no second alert; then it ends."""
    rig = Rig(tmp_path, mail_settings(smtp.port))
    with rig.wire:
        try:
            rig.start()
            rig.learned()
            rig.cut(4)
            (before,) = rig.until(rig.incidents, "the outage is open")
            assert (before["scope"]["kind"], before["scope"]["name"]) == ("element", SPLITTERS[4])
            rig.until(lambda: len(smtp.box.mails) >= 1, "the alert is sent")
            rig.until(lambda: rig.incidents()[0]["lines_affected"] == PER_SPLITTER, "all its lines are counted")

            rig.kill()
            told = len(smtp.box.mails)
            rig.start()
            rig.until(lambda: rig.state_of(4) == "down", "the line is still down after the restart")
            (after,) = rig.incidents()
            assert after["incident_id"] == before["incident_id"]
            assert after["started_at"] == before["started_at"]
            assert after["status"] == "open"
            first_mails = [m for m in smtp.box.mails if not m["In-Reply-To"]]
            assert len(first_mails) == 1
            assert len(smtp.box.mails) - told <= 1  # at most news about growth, never the alert again

            rig.mend(4)
            rig.until(lambda: rig.incidents()[0]["status"] == "resolved", "the incident is over", 120)
            rig.until(lambda: rig.state_of(4) == "up", "the line is up")
            assert len([m for m in smtp.box.mails if not m["In-Reply-To"]]) == 1
        finally:
            rig.stop()


def test_servers_that_are_not_there_are_said_once(tmp_path: Path) -> None:
    """Broker, resolver, InfluxDB and SMTP unreachable at start: the daemon runs on, says each once, finds outages."""
    dead = free_port()
    extra = f"""
[dns]
enabled = true
interval_s = 1.0
timeout_s = 0.3
confirm_gap_s = 0.0
resolvers = [{{name = "r1", address = "127.0.0.1", port = {dead}}}]
names = [{{name = "www.example.net"}}]
[cpe]
enabled = true
host = "127.0.0.1"
port = {dead}
{mail_settings(dead)}
"""
    rig = Rig(tmp_path, extra)
    config = rig.config.read_text().replace(
        "[store]\n", f'[store]\nengine = "influxdb"\ninfluxdb.url = "http://127.0.0.1:{dead}"\n'
    )
    rig.config.write_text(config)
    with rig.wire:
        try:
            rig.start()
            rig.learned()
            rig.cut(1)
            rig.until(lambda: any(i["kind"] == "outage" for i in rig.incidents()), "the outage is open")
            rig.until(lambda: any(i["kind"] == "resolver" for i in rig.incidents()), "the resolver is down")
            warnings = [line for line in rig.log().splitlines() if " WARNING " in line or " ERROR " in line]
            for what in ("broker", "email", "influxdb"):
                said = [line for line in warnings if what in line.lower()]
                assert len(said) == 1, f"{what} is said {len(said)} times: {said}"
        finally:
            rig.stop()
    assert "Traceback" not in rig.log()


def test_reload_keeps_state_and_refuses_mistakes(tmp_path: Path) -> None:
    """SIGHUP takes over a changed file by line_id with states kept; a file with a mistake is refused and named."""
    rig = Rig(tmp_path)
    with rig.wire:
        try:
            daemon = rig.start()
            rig.learned()
            rig.cut(0)
            rig.until(lambda: rig.state_of(0) == "down", "the line is down")
            before = {i["incident_id"] for i in rig.until(rig.incidents, "the outage is open")}

            (tmp_path / "inventory.csv").write_text("line_id,path\nL1,\n")
            os.kill(daemon.pid, signal.SIGHUP)
            rig.until(lambda: "inventory.csv:2: path: is empty" in rig.log(), "the mistake is named")
            assert rig.get(f"/api/v1/lines/{line_id(0, 0)}")["state"] == "down"

            more = inventory_text(("aaa/ex-0/olt-1/pon-1/split-1", *SPLITTERS[1:])).replace("\nL00", "\nN00")
            kept = "\n".join(row for row in inventory_text().splitlines()[1:] if row.startswith("L00")) + "\n"
            moved = more.replace(",10.0.0.", ",10.9.0.") + kept
            (tmp_path / "inventory.csv").write_text(moved)
            os.kill(daemon.pid, signal.SIGHUP)
            rig.until(lambda: rig.get("/api/v1/elements")["items"][0]["path"] == "aaa", "the new line is known")
            assert rig.state_of(0) == "down"
            assert {i["incident_id"] for i in rig.incidents()} == before
            rig.mend(0)
            rig.until(lambda: rig.state_of(0) == "up", "the line is up again")
        finally:
            rig.stop()


def test_inventory_changed_while_away(tmp_path: Path) -> None:
    """A restart with a changed inventory resumes the old state by line_id: the outage is the same incident."""
    rig = Rig(tmp_path)
    with rig.wire:
        try:
            rig.start()
            rig.learned()
            rig.cut(5)
            (before,) = rig.until(rig.incidents, "the outage is open")
            rig.kill()
            rows = inventory_text().splitlines()
            fresh = [f"A{i},10.1.0.{i + 1},aaa/ex-9/olt-1/pon-1/split-1,,," for i in range(20)]
            (tmp_path / "inventory.csv").write_text("\n".join([rows[0], *fresh, *rows[1:]]) + "\n")
            rig.start()
            rig.until(lambda: rig.state_of(5) == "down", "the line is still down")
            (after,) = rig.incidents()
            assert after["incident_id"] == before["incident_id"]
        finally:
            rig.stop()


def test_second_daemon_is_refused(tmp_path: Path) -> None:
    """Two daemons on one store: the second ends with 1 and names the first; the first goes on."""
    rig = Rig(tmp_path)
    with rig.wire:
        try:
            first = rig.start()
            second = rig.start(ready=False)
            rig.until(lambda: not second.running(), "the second has ended")
            assert second.returncode == 1
            (refusal,) = [line for line in rig.log().splitlines() if "one store serves one daemon" in line]
            assert f"in use by process {first.pid}" in refusal
            rig.daemon = first
            assert rig.answers("/readyz") == 200
        finally:
            rig.stop()


def test_taken_port_stops_the_start(tmp_path: Path) -> None:
    """An address that is taken ends the start with 1 and names the setting."""
    rig = Rig(tmp_path)
    with socket.create_server(("127.0.0.1", rig.port)):
        daemon = rig.start(ready=False)
        rig.until(lambda: not daemon.running(), "the daemon has ended")
    assert daemon.returncode == 1
    assert "api.port" in rig.log().splitlines()[-1]


def test_nothing_is_left_after_a_kill(tmp_path: Path) -> None:
    """The prober process ends with a daemon that is killed -9, and with one that is told to stop."""
    rig = Rig(tmp_path)
    with rig.wire:
        for end in (rig.kill, rig.stop):
            daemon = rig.start()
            children = [int(pid) for pid in Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()]
            assert children
            end()
            assert gone([daemon.pid, *children])


def test_the_days_list_is_made_and_is_the_same_after_a_kill(tmp_path: Path) -> None:
    """A line that was flagged yesterday is on the list soon after the start; after kill -9 it is the very same list."""
    rig = Rig(tmp_path)
    now_ns = time.time_ns()
    began = now_ns - 30 * 3600 * NS
    state = StateStore.open(StoreSettings(folder=str(tmp_path / "data")))
    flag = Flag(line_id(0, 1), FlagKind.UNSTABLE, "loss", 0.1, "ratio", began, began)
    state.apply(0, [Change(began, "flag_raised", flag=flag)])
    state.close()
    with rig.wire:
        try:
            rig.start()
            rig.until(lambda: rig.get("/api/v1/ranking")["at"], "the first list is made")
            before = rig.get("/api/v1/ranking")
            assert [(one["rank"], one["line_id"]) for one in before["items"]] == [(1, line_id(0, 1))]
            rig.kill()
            rig.start()
            rig.until(lambda: rig.get("/api/v1/ranking")["at"], "the list is made again")
            assert rig.get("/api/v1/ranking") == before
        finally:
            rig.stop()


def test_no_look_up_goes_unnoted_by_a_kill(tmp_path: Path) -> None:
    """Look-ups one after the other, and kill -9 right after the last answer: after the next start the audit trail holds
    every one that was answered, once."""
    rig = Rig(tmp_path)
    with rig.wire:
        try:
            rig.start()
            asked = [line_id(splitter, line) for splitter in range(4) for line in range(10)]
            for key in asked:
                assert rig.post("/api/v1/lookup", {"key": key}).status_code == 200
            rig.kill()
            rig.start()
            trail = rig.get("/api/v1/audit", action="lookup", limit=1000)["items"]
            assert [entry["subject"] for entry in reversed(trail)] == asked
        finally:
            rig.stop()
