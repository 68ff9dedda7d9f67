"""The fleet on a real broker: sessions with last will, telemetry, cuts, power cuts and boots."""

import json
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.cpe.telemetry import parse_availability, parse_report
from monitor.lab.fleet import Fleet, Router
from monitor.lab.mqtt import MAX_LENGTH, decode_length, encode_length, publish_packet
from monitor.lab.process import LabError, free_port
from monitor.lab.servers import Mosquitto
from monitor.records import ValueKind
from tests.lab.helpers import gone, kill, run_parent

ROUTERS = [Router(f"AX{i:03d}", "dsl" if i % 4 == 0 else "gpon") for i in range(40)]
SERIALS = [router.serial for router in ROUTERS]


class Listener:
    """Everything said under cpe/#, as (serial, what, payload, retained)."""

    def __init__(self, port: int) -> None:
        self.heard: queue.Queue[tuple[str, str, bytes, bool]] = queue.Queue()
        ready: queue.Queue[bool] = queue.Queue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("cpe/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.put(True)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        ready.get(timeout=10)

    def _on_message(self, client: object, data: object, message: paho.MQTTMessage) -> None:
        _, serial, what = message.topic.split("/", 2)
        self.heard.put((serial, what, message.payload, message.retain))

    def until(self, enough: Callable[[list[tuple[str, str, bytes, bool]]], bool], timeout_s: float = 15.0) -> None:
        """Listen until what was heard is enough."""
        heard: list[tuple[str, str, bytes, bool]] = []
        deadline = time.monotonic() + timeout_s
        while not enough(heard):
            left = deadline - time.monotonic()
            assert left > 0, f"not enough was heard: {heard[-10:]}"
            try:
                heard.append(self.heard.get(timeout=left))
            except queue.Empty:
                continue

    def states(self, serials: list[str], state: bytes) -> None:
        """Listen until each of these has said (or its will has) that it is in this state."""
        self.until(
            lambda heard: set(serials) <= {s for s, what, p, _ in heard if what == "availability" and p == state}
        )

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    listener = Listener(broker.port)
    yield listener
    listener.close()


@pytest.fixture
def fleet(broker: Mosquitto, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, broker.host, broker.port, ROUTERS, period_s=0.5, return_s=0.3) as fleet:
        yield fleet


@given(st.integers(0, MAX_LENGTH), st.binary(max_size=3))
def test_lengths_survive_the_way(length: int, tail: bytes) -> None:
    """Any packet length is read back as it was written, whatever follows, and a cut one waits for more."""
    raw = encode_length(length)
    assert decode_length(raw + tail, 0) == (length, len(raw))
    assert decode_length(raw[:-1], 0) is None


def test_lengths_that_never_end_are_refused() -> None:
    """Rubbish from a broker is an error, not an endless wait."""
    with pytest.raises(ValueError, match="more than four bytes"):
        decode_length(b"\xff" * 5, 0)
    with pytest.raises(ValueError, match="too long"):
        encode_length(MAX_LENGTH + 1)


def test_a_publish_has_the_bytes_of_the_standard() -> None:
    """QoS 0 and QoS 1 as in MQTT 3.1.1, section 3.3."""
    assert publish_packet("a/b", b"hi") == b"\x30\x07\x00\x03a/bhi"
    assert publish_packet("a/b", b"hi", retain=True, message_id=10) == b"\x33\x09\x00\x03a/b\x00\x0ahi"


@pytest.mark.server
def test_every_router_is_online_and_reports(fleet: Fleet, listener: Listener) -> None:
    """A late listener finds every router online, and hears reports that the CPE collector understands."""
    listener.until(
        lambda heard: (
            set(SERIALS) <= {s for s, what, p, kept in heard if what == "availability" and kept and p == b"online"}
        )
    )
    reports: dict[str, bytes] = {}

    def all_reported(heard: list[tuple[str, str, bytes, bool]]) -> bool:
        reports.update({s: p for s, what, p, _ in heard if what == "telemetry/status"})
        return set(SERIALS) <= set(reports)

    listener.until(all_reported)
    for router in ROUTERS:
        report = parse_report(reports[router.serial], "status")
        kinds = {kind for kind, _ in report.values}
        assert not report.dropped
        assert {ValueKind.UPTIME_S, ValueKind.WIFI_RSSI_DBM, ValueKind.CRC_ERRORS} <= kinds
        assert (ValueKind.RX_POWER_DBM in kinds) == (router.technology == "gpon")
        assert (ValueKind.SNR_DB in kinds) == (router.technology == "dsl")
    assert fleet.status()["connected"] == 40


@pytest.mark.server
def test_cut_lines_leave_their_last_will_at_once(fleet: Fleet, listener: Listener) -> None:
    """Cut lines go offline by their will without waiting for the keepalive; restored ones return without a boot."""
    listener.states(SERIALS, b"online")
    fleet.cut([*SERIALS[:10], "not-in-the-fleet"])
    listener.states(SERIALS[:10], b"offline")
    assert fleet.status()["away"] == 10
    fleet.restore(SERIALS[:10])
    uptimes: dict[str, int] = {}
    events: list[str] = []

    def returned(heard: list[tuple[str, str, bytes, bool]]) -> bool:
        events.extend(s for s, what, _, _ in heard if what == "telemetry/event")
        online = False
        for serial, what, payload, _ in heard:
            if what == "availability" and parse_availability(payload):
                online = True
            elif what == "telemetry/status" and online and serial in SERIALS[:10]:
                uptimes[serial] = json.loads(payload)["uptime_s"]
        return set(uptimes) == set(SERIALS[:10])

    listener.until(returned)
    assert min(uptimes.values()) >= 3600
    assert not events
    assert fleet.status() | {"published": 0} == {"routers": 40, "connected": 40, "away": 0, "published": 0}


@pytest.mark.server
def test_routers_without_power_gasp_and_boot(fleet: Fleet, listener: Listener) -> None:
    """A share of the routers says dying_gasp before its will; with power they come back with a boot."""
    listener.states(SERIALS, b"online")
    fleet.power_off(SERIALS[:20], gasp_ratio=0.5)
    order: dict[str, list[str]] = {}

    def all_gone(heard: list[tuple[str, str, bytes, bool]]) -> bool:
        order.clear()
        for serial, what, payload, _ in heard:
            if what == "telemetry/event":
                order.setdefault(serial, []).append(json.loads(payload)["event"])
            elif what == "availability" and payload == b"offline":
                order.setdefault(serial, []).append("offline")
        return sum(said[-1] == "offline" for said in order.values()) == 20

    listener.until(all_gone)
    gasped = [serial for serial, said in order.items() if said == ["dying_gasp", "offline"]]
    assert 2 <= len(gasped) <= 18
    fleet.restore(SERIALS[:20])
    booted: set[str] = set()

    def all_booted(heard: list[tuple[str, str, bytes, bool]]) -> bool:
        booted.update(s for s, what, p, _ in heard if what == "telemetry/event" and json.loads(p)["event"] == "boot")
        return booted == set(SERIALS[:20])

    listener.until(all_booted)
    listener.until(
        lambda heard: any(
            what == "telemetry/status" and s == SERIALS[0] and json.loads(p)["uptime_s"] < 60 for s, what, p, _ in heard
        )
    )


@pytest.mark.server
def test_a_reboot_and_a_disturbed_line(fleet: Fleet, listener: Listener) -> None:
    """A reboot is offline, online and a boot; a disturbed line reports a weaker signal."""
    listener.states(SERIALS, b"online")
    fleet.reboot(SERIALS[:2], off_s=0.2)
    listener.states(SERIALS[:2], b"offline")
    listener.states(SERIALS[:2], b"online")
    levels: list[float] = []

    def level(heard: list[tuple[str, str, bytes, bool]]) -> bool:
        levels[:] = [
            json.loads(p)["rx_power_dbm"] for s, what, p, _ in heard if (s, what) == (SERIALS[5], "telemetry/status")
        ]
        return len(levels) >= 2

    listener.until(level)
    before = levels[0]
    fleet.disturb([SERIALS[5]])
    listener.until(lambda heard: level(heard) and levels[-1] < before - 4)
    fleet.disturb([SERIALS[5]], on=False)
    listener.until(lambda heard: level(heard) and levels[-1] > before - 2)


@pytest.mark.server
def test_the_fleet_outlives_its_broker(tmp_path: Path) -> None:
    """When the broker goes and comes back, every router that is not away connects again."""
    with Mosquitto(tmp_path / "broker") as broker, Fleet(tmp_path, broker.host, broker.port, ROUTERS) as fleet:
        fleet.cut(SERIALS[:5])
        broker.kill()
        deadline = time.monotonic() + 10
        while fleet.status()["connected"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        broker.start()
        fleet.wait_connected(35)
        time.sleep(0.3)
        assert fleet.status()["connected"] == 35


def test_no_broker_is_said(tmp_path: Path) -> None:
    """Without a broker the start fails with the count and the place."""
    port = free_port()
    fleet = Fleet(tmp_path, "127.0.0.1", port, ROUTERS)
    try:
        with pytest.raises(LabError, match=f"0 of 40 routers are connected to 127.0.0.1:{port}"):
            fleet.start(timeout_s=0.5)
    finally:
        fleet.stop()
    with pytest.raises(LabError, match="not running"):
        fleet.cut(SERIALS)


@pytest.mark.server
def test_the_fleet_dies_with_its_parent(broker: Mosquitto, tmp_path: Path) -> None:
    """SIGKILL of the parent ends the fleet."""
    parent = run_parent(f"""
import pathlib, time
from monitor.lab.fleet import Fleet, Router
fleet = Fleet(pathlib.Path({str(tmp_path)!r}), "127.0.0.1", {broker.port}, [Router("X1")])
fleet.start()
print(fleet.pid, flush=True)
time.sleep(60)
""")
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    kill(parent)
    assert gone([pid])
