"""The CPE collector against a real mosquitto: wills, sessions, outages, refusals, TLS, and being killed."""

import asyncio
import contextlib
import gc
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomqtt
import pytest

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings
from monitor.lab import process
from monitor.lab.servers import Mosquitto
from monitor.records import ValueKind
from tests.collectors.rig import Rig, until

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for the tests that do not stop it."""
    with Mosquitto(tmp_path_factory.mktemp("broker"), settings=("max_queued_messages 0",)) as server:
        yield server


def settings(broker: Mosquitto, name: str, **more: object) -> CpeSettings:
    """`name` is client id and topic prefix, so that tests with one broker do not hear each other."""
    return CpeSettings(host="127.0.0.1", port=broker.port, client_id=name, prefix=name, batch_s=0.1, **more)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(collector: CpeCollector) -> AsyncIterator[None]:
    task = asyncio.create_task(collector.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def publish(broker: Mosquitto, topic: str, payload: object, retain: bool = False) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await client.publish(topic, raw, 1, retain)


async def raw_router(broker: Mosquitto, prefix: str) -> asyncio.StreamWriter:
    """A router with a last will over a bare TCP connection, so that it can die without a word."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    body = text("MQTT") + bytes([4, 0b00101110]) + (60).to_bytes(2, "big")  # clean, will QoS 1, will retained
    body += text(f"router-{prefix}") + text(f"{prefix}/availability") + text("offline")
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(bytes([0x10, len(body)]) + body)
    assert (await reader.readexactly(4))[3] == 0
    return writer


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_router_that_dies_without_a_word_is_offline(broker: Mosquitto, rig: Rig, protocol: str) -> None:
    """The last will of a router whose TCP connection breaks becomes cpe_offline of its line, and its telemetry
    becomes values, on both protocol versions."""
    collector = CpeCollector(settings(broker, f"will-{protocol}", protocol=protocol), rig.context)
    async with running(collector):
        await until(lambda: collector.health().ok, what="the connection")
        router = await raw_router(broker, f"will-{protocol}/S2")
        await publish(broker, f"will-{protocol}/S2/availability", b"online", retain=True)
        await publish(broker, f"will-{protocol}/S2/telemetry/optical", {"rx_power_dbm": -24.75})
        await until(lambda: rig.sink.of_kind("cpe_online") and rig.sink.values, what="online and a value")
        router.transport.abort()
        await until(lambda: rig.sink.of_kind("cpe_offline"), what="the last will")
    assert [(e.subject, e.value) for e in rig.sink.of_kind("cpe_offline")] == [("L2", "")]
    (values,) = rig.sink.values
    assert values.kind.tolist() == [ValueKind.RX_POWER_DBM]
    assert values.value.tolist() == [-24.75]
    assert rig.inventory.line_id(int(values.line[0])) == "L2"


async def test_what_comes_while_we_are_away_is_kept_for_us(broker: Mosquitto, rig: Rig) -> None:
    """Messages to the persistent session arrive after a restart of the collector, in order, each once."""
    one = CpeCollector(settings(broker, "away"), rig.context)
    async with running(one):
        await until(lambda: one.health().ok, what="the connection")
    assert not one.health().ok
    for number in range(30):
        await publish(broker, "away/S1/telemetry/event", {"event": "login_rejected", "reason": f"n{number}"})
    two = CpeCollector(settings(broker, "away"), rig.context)
    async with running(two):
        await until(lambda: len(rig.sink.of_kind("login_rejected")) >= 30, what="the queued messages")
        await asyncio.sleep(0.3)
    assert [e.value for e in rig.sink.of_kind("login_rejected")] == [f"n{number}" for number in range(30)]
    assert len({e.event_id for e in rig.sink.of_kind("login_rejected")}) == 30
    assert rig.count("cpe_acknowledged_total") == 30


async def test_the_acknowledgement_waits_for_the_disk(broker: Mosquitto, rig: Rig) -> None:
    """A message whose event is not yet on disk is delivered again to the next connection, marked as the same."""
    rig.sink.written = False
    one = CpeCollector(settings(broker, "disk"), rig.context)
    async with running(one):
        await until(lambda: one.health().ok, what="the connection")
        await publish(broker, "disk/S3/telemetry/event", {"event": "los"})
        await until(lambda: rig.sink.of_kind("los"), what="the event")
    assert rig.count("cpe_acknowledged_total") == 0
    two = CpeCollector(settings(broker, "disk"), rig.context)
    async with running(two):
        await until(lambda: len(rig.sink.of_kind("los")) == 2, what="the second delivery")
        rig.sink.write()
        await until(lambda: rig.count("cpe_acknowledged_total") == 1, what="the acknowledgement")
    assert len({e.event_id for e in rig.sink.of_kind("los")}) == 1
    three = CpeCollector(settings(broker, "disk"), rig.context)
    async with running(three):
        await until(lambda: three.health().ok, what="the connection")
        await asyncio.sleep(0.3)
    assert len(rig.sink.of_kind("los")) == 2


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_killed_under_load_nothing_is_lost(broker: Mosquitto, tmp_path: Path, protocol: str) -> None:
    """The consumer is killed (SIGKILL) twice in the middle of 1,500 messages: every event and every value is
    in its journal in the end, and repeated deliveries carry the same event id."""
    total, journal = 1500, tmp_path / "journal"
    command = [sys.executable, "-m", "tests.collectors.cpe.consumer", str(broker.port), str(tmp_path), protocol]
    with contextlib.suppress(FileNotFoundError):
        journal.unlink()

    def lines() -> list[str]:
        return journal.read_text().splitlines() if journal.exists() else []

    def begin() -> process.Child:
        return process.start("consumer", command, log=tmp_path / "log", cwd=ROOT)

    child = begin()
    try:
        await until(lambda: any(line.startswith("event  ") for line in lines()), what="source_up")

        async def load() -> None:
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                for n in range(total):
                    told = {"event": "login_rejected", "reason": f"n{n}", "crc_errors": n}
                    await client.publish(f"cpe/S{n % 50}/telemetry/event", json.dumps(told), 1)

        loading = asyncio.create_task(load())
        for share in (0.1, 0.5):
            await until(lambda share=share: len(lines()) > share * 2 * total, what="some of the messages")
            child.kill()
            child = begin()
        await loading
        await until(
            lambda: len({line.split()[1] for line in lines() if line.startswith("value")}) >= total,
            timeout_s=40,
            what="every value in the journal",
        )
        await asyncio.sleep(0.3)
    finally:
        child.kill()
    values = [line.split()[1] for line in lines() if line.startswith("value")]
    events = [line.split() for line in lines() if line.startswith("event") and len(line.split()) == 3]
    ids = {words[2] for words in events}
    assert set(values) == {str(n) for n in range(total)}
    assert len(ids) == total  # every message told, each under an id of its own however often it was delivered
    assert len(events) <= total + 2 * (200 + 2)  # what waited for the disk at a kill came twice, no more


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_waits_for_the_disk_is_bounded(rig: Rig, tmp_path: Path, protocol: str) -> None:
    """While nothing gets on disk, no more than the receive maximum is taken from a broker that would send everything;
    then all of it comes."""
    with Mosquitto(tmp_path / "flood", settings=("max_inflight_messages 0", "max_queued_messages 0")) as server:
        told = settings(server, "flood", protocol=protocol, receive_maximum=50, max_messages=10_000)
        rig.sink.written = False
        collector = CpeCollector(told, rig.context)
        async with running(collector):
            await until(lambda: collector.health().ok, what="the connection")
            async with aiomqtt.Client("127.0.0.1", server.port) as client:
                for number in range(400):
                    await client.publish("flood/S1/telemetry/event", b'{"event":"login_rejected"}', 1)
                    if number == 200:
                        await until(lambda: len(rig.sink.of_kind("login_rejected")) >= 45, what="the first of them")
                        await asyncio.sleep(0.3)
                        assert len(rig.sink.of_kind("login_rejected")) <= 52
            rig.sink.write()
            rig.sink.written = True
            await until(lambda: len(rig.sink.of_kind("login_rejected")) == 400, what="all of them")
            await until(lambda: rig.count("cpe_acknowledged_total") == 400, what="the acknowledgements")


async def test_a_broker_that_is_not_there_at_first(rig: Rig, tmp_path: Path) -> None:
    """The collector runs on without its broker, says so once, and says once when it is there; telemetry is blind in
    between, and that is an event."""
    server = Mosquitto(tmp_path / "late", port=process.free_port())
    collector = CpeCollector(settings(server, "late"), rig.context)
    async with running(collector):
        await until(lambda: rig.troubles() == ["broker"], what="the trouble")
        assert "refused" in collector.health().text
        await asyncio.sleep(1.2)  # further attempts
        assert [(e.subject, e.kind) for e in rig.sink.events] == [("source:mqtt", "source_down")]
        await asyncio.to_thread(server.start)
        await until(lambda: rig.sink.of_kind("source_up"), what="the connection")
        assert rig.troubles() == []
        assert collector.health().ok
    server.stop()
    assert [e.kind for e in rig.sink.events] == ["source_down", "source_up"]


async def test_a_broker_that_restarts_is_no_mass_outage(rig: Rig, tmp_path: Path) -> None:
    """mosquitto sends the wills of all routers when it is stopped: not one of them is told as a fresh onset, neither
    before the connection breaks nor from the queue and the retained messages afterwards."""
    folder = tmp_path / "restart"
    folder.mkdir()
    server = Mosquitto(folder, settings=("persistence true", f"persistence_location {folder}/"))
    server.start()
    collector = CpeCollector(settings(server, "restart"), rig.context)
    try:
        async with running(collector):
            await until(lambda: collector.health().ok, what="the connection")
            routers = [await raw_router(server, f"restart/S{i}") for i in range(5)]
            for i in range(5):
                await publish(server, f"restart/S{i}/availability", b"online", retain=True)
            await until(lambda: len(rig.sink.of_kind("cpe_online")) == 5, what="all online")
            await asyncio.to_thread(server.stop)
            await until(lambda: not collector.health().ok, what="the lost connection")
            for router in routers:
                router.transport.abort()
            await asyncio.to_thread(server.start)
            await until(lambda: len({e.subject for e in rig.sink.of_kind("cpe_offline")}) == 5, what="the wills")
            await asyncio.sleep(1.0)
    finally:
        server.stop()
    offline = rig.sink.of_kind("cpe_offline")
    assert {e.value for e in offline} == {"retained"}


async def test_a_broker_that_hangs_is_noticed(rig: Rig, tmp_path: Path) -> None:
    """A broker that accepts connections and says nothing is a trouble after the time-out, and ends with an answer."""
    with Mosquitto(tmp_path / "hang") as server:
        server.freeze()
        collector = CpeCollector(settings(server, "hang", timeout_s=0.5), rig.context)
        async with running(collector):
            await until(lambda: rig.troubles() == ["broker"], what="the trouble")
            server.thaw()
            await until(lambda: collector.health().ok, what="the connection")


async def test_a_refused_password_is_said(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not accept our password: the trouble says so; the right one works."""
    passwords = tmp_path / "passwords"
    await asyncio.to_thread(
        subprocess.run, ["mosquitto_passwd", "-b", "-c", str(passwords), "faultline", "right"], check=True
    )
    with Mosquitto(tmp_path / "auth", settings=("allow_anonymous false", f"password_file {passwords}")) as server:
        for password, works in (("wrong", False), ("right", True)):
            monkeypatch.setenv("MQTT_PASSWORD", password)
            told = settings(server, "auth", username="faultline", password_env="MQTT_PASSWORD")
            collector = CpeCollector(told, rig.context)
            async with running(collector):
                if works:
                    await until(lambda c=collector: c.health().ok, what="the connection")
                else:
                    await until(lambda: rig.troubles() == ["broker"], what="the trouble")
                    assert "ot authori" in collector.health().text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_topic_we_may_not_read_is_said(rig: Rig, protocol: str) -> None:
    """A broker that refuses a subscription (mosquitto takes all of them and filters on delivery; others do not) is told
    with its topic, not silently deaf."""
    v5 = protocol == "5"

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def body() -> bytes:
            _, length = await reader.readexactly(2)
            if length & 0x80:
                length = length & 0x7F | (await reader.readexactly(1))[0] << 7
            return await reader.readexactly(length)

        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await body()
            writer.write(b"\x20\x03\0\0\0" if v5 else b"\x20\x02\0\0")
            number = (await body())[:2]
            answer = number + (b"\0\x01\x87" if v5 else b"\x01\x80")  # the first is granted, the second refused
            writer.write(b"\x90" + bytes([len(answer)]) + answer)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    told = CpeSettings(host="127.0.0.1", port=port, protocol="5" if v5 else "3.1.1")
    collector = CpeCollector(told, rig.context)
    async with server, running(collector):
        await until(lambda: rig.troubles() == ["broker"], what="the trouble")
        assert "does not let us read cpe/+/telemetry/#: check its access rules" in collector.health().text


def make_certificates(folder: Path) -> None:
    """A CA, a certificate for the broker (localhost) and one for a client."""

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    run(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=ca",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    )
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("broker", "client"):
        run(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        run(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", f"{name}.crt",
        )  # fmt: skip


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls_with_client_certificates(rig: Rig, tmp_path: Path) -> None:
    """Over TLS: with our certificate we are let in, without it not, and a broker that another CA vouches for is not
    believed."""
    make_certificates(tmp_path)
    (tmp_path / "other").mkdir()
    make_certificates(tmp_path / "other")
    port = process.free_port()
    tls = [f"listener {port} 127.0.0.1", f"cafile {tmp_path}/ca.crt", f"certfile {tmp_path}/broker.crt"]
    tls += [f"keyfile {tmp_path}/broker.key", "require_certificate true", "use_identity_as_username true"]

    def with_(**more: str) -> CpeSettings:
        return CpeSettings(host="localhost", port=port, client_id="tls", tls=True, timeout_s=2.0, **more)  # type: ignore[arg-type]

    own = {"cert_file": f"{tmp_path}/client.crt", "key_file": f"{tmp_path}/client.key"}
    with Mosquitto(tmp_path / "tls", settings=["allow_anonymous true", *tls]):
        for told, works in (
            (with_(ca_file=f"{tmp_path}/ca.crt", **own), True),
            (with_(ca_file=f"{tmp_path}/ca.crt"), False),
            (with_(ca_file=f"{tmp_path}/other/ca.crt", **own), False),
        ):
            collector = CpeCollector(told, rig.context)
            async with running(collector):
                if works:
                    await until(lambda c=collector: c.health().ok, what="the connection")
                else:
                    await until(lambda: rig.troubles() == ["broker"], what="the trouble")
                    rig.metrics.troubles.end("broker", 0)
        gc.collect()  # paho leaves the socket of a failed handshake to the garbage collector, with a warning


def test_settings_that_cannot_be_used_are_refused(rig: Rig, tmp_path: Path) -> None:
    """Missing secrets and certificates are refused at once, by name."""
    for wrong, said in (
        ({"password_env": "NO_SUCH_VARIABLE"}, r"cpe\.password_env"),
        ({"password_file": str(tmp_path / "none")}, r"cpe\.password_file"),
        ({"tls": True, "ca_file": str(tmp_path / "none")}, r"cpe\.ca_file"),
        ({"tls": True, "cert_file": str(tmp_path / "none")}, r"cpe\.cert_file"),
    ):
        with pytest.raises(ValueError, match=said):
            CpeCollector(CpeSettings(**wrong), rig.context)  # type: ignore[arg-type]
