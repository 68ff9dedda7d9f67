"""config/mosquitto on a real broker: a router cannot publish as, read from, or command another."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings, UspSettings
from monitor.lab.process import free_port, start, tcp_answers, wait_until
from monitor.lab.servers import require
from tests.collectors.rig import Rig, small_inventory, until

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[3]
MAKE_CA = ROOT / "config/mosquitto/make-ca"


class Secured:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.ca("init")
        for name in ("S1", "S2", "faultline", "faultline-cli", "gone"):
            self.ca("client", name)
        self.ca("revoke", "gone")
        config = (folder / "mosquitto.conf").read_text().replace("listener 8883", f"listener {self.port} 127.0.0.1")
        (folder / "mosquitto.conf").write_text(config)

    def ca(self, *words: str) -> None:
        subprocess.run([MAKE_CA, self.folder, *words], check=True, timeout=60)

    def client(
        self,
        name: str,
        protocol: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5,
        will: aiomqtt.Will | None = None,
    ) -> aiomqtt.Client:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return aiomqtt.Client(
            "127.0.0.1", self.port, tls_context=context, identifier=f"any-{name}", protocol=protocol, will=will
        )

    def settings(self, name: str = "faultline") -> CpeSettings:
        part = {k: str(self.folder / f) for k, f in (("ca_file", "ca.crt"), ("cert_file", f"{name}.crt"))}
        return CpeSettings(
            host="127.0.0.1",
            port=self.port,
            tls=True,
            key_file=str(self.folder / f"{name}.key"),
            usp=UspSettings(enabled=True),
            **part,
        )


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    if not Path("/usr/bin/openssl").exists():
        pytest.skip("openssl is not installed")
    made = Secured(tmp_path_factory.mktemp("secured"))
    child = start("mosquitto", [require("mosquitto", "mosquitto"), "-c", str(made.folder / "mosquitto.conf")])
    try:
        wait_until(lambda: tcp_answers(made.port), child, "it answered")
        yield made
    finally:
        child.stop()


async def test_a_router_cannot_speak_for_another(broker: Secured, tmp_path: Path) -> None:
    """What a router publishes as another, or as the daemon, is refused and reaches nobody; its own does."""
    rig = Rig(small_inventory(tmp_path, 5))
    collector = CpeCollector(broker.settings(), rig.context)
    task = asyncio.create_task(collector.run())
    try:
        await until(lambda: collector.health().ok, what="the connection with a certificate")
        async with broker.client("S1") as router:
            for topic in ("cpe/S2/telemetry/event", "usp/controller/faultline/S2", "usp/agent/S2"):
                await router.publish(topic, b'{"event": "dying_gasp"}', qos=1)
            await router.publish("cpe/S2/availability", b"offline", qos=1)
            await router.publish("cpe/S1/telemetry/event", b'{"event": "los"}', qos=1)
        async with broker.client("S1", aiomqtt.ProtocolVersion.V311) as router:  # refused there in silence
            await router.publish("cpe/S2/telemetry/event", b'{"event": "dying_gasp"}', qos=1)
            await router.publish("cpe/S1/telemetry/event", b'{"event": "los_cleared"}', qos=1)
        await until(lambda: rig.sink.of_kind("los_cleared"), what="its own")
        assert {(e.subject, e.kind) for e in rig.sink.events if e.subject != "source:mqtt"} == {
            ("L1", "los"),
            ("L1", "los_cleared"),
        }
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("protocol", [aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311])
async def test_a_last_will_for_another_reaches_nobody(broker: Secured, protocol: aiomqtt.ProtocolVersion) -> None:
    """A router that dies cannot take another with it, and what it leaves is not retained either."""
    heard: list[str] = []
    async with broker.client("faultline") as daemon:
        await daemon.subscribe("cpe/+/availability", qos=1)

        async def listen() -> None:
            async for message in daemon.messages:
                heard.append(str(message.topic))  # noqa: PERF401 - one by one, as they come

        task = asyncio.create_task(listen())
        for of in ("S2", "S1"):
            will = aiomqtt.Will(f"cpe/{of}/availability", b"offline", qos=1, retain=True)
            with contextlib.suppress(aiomqtt.MqttError):  # refused at the door is as good
                async with broker.client("S1", protocol, will=will) as router:
                    router._client._sock_close()  # dies without a word
        await until(lambda: "cpe/S1/availability" in heard, what="its own last will")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert set(heard) == {"cpe/S1/availability"}


async def test_a_router_cannot_listen_to_another(broker: Secured) -> None:
    """Subscriptions to another's commands, to everybody's, or to what others say are refused or bring nothing."""
    async with broker.client("S2") as spy, broker.client("faultline") as daemon:
        heard: list[str] = []
        for topic in ("usp/agent/S1/#", "usp/agent/+/#", "cpe/+/telemetry/#", "#", "usp/controller/faultline/+/#"):
            await spy.subscribe(topic, qos=1)
        await spy.subscribe("usp/agent/S2/#", qos=1)

        async def listen() -> None:
            async for message in spy.messages:
                heard.append(str(message.topic))  # noqa: PERF401 - one by one, as they come

        task = asyncio.create_task(listen())
        async with broker.client("S1") as router:
            await router.publish("cpe/S1/telemetry/state", b"{}", qos=1)
            await router.publish("usp/controller/faultline/S1", b"x", qos=1)
        await daemon.publish("usp/agent/S1", b"for S1", qos=1)
        await daemon.publish("usp/agent/S2", b"for S2", qos=1)
        await until(lambda: "usp/agent/S2" in heard, what="its own commands")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert set(heard) == {"usp/agent/S2"}


@pytest.mark.parametrize("name", ["faultline", "faultline-cli"])
async def test_the_daemon_and_the_command_line_hear_every_dialect(broker: Secured, name: str) -> None:
    """State, JSON, collectd and USP of a router reach both; what they send reaches the router."""
    topics = ("cpe/S1/availability", "cpe/S1/telemetry/x", "collectd/S1/uptime/uptime", "usp/controller/faultline/S1")
    async with broker.client(name) as ours, broker.client("S1") as router:
        for topic in ("cpe/+/availability", "cpe/+/telemetry/#", "collectd/+/#", "usp/controller/faultline/+/#"):
            await ours.subscribe(topic, qos=1)
        await router.subscribe("usp/agent/S1/#", qos=1)
        for topic in topics:
            await router.publish(topic, b"online", qos=1)
        await ours.publish("usp/agent/S1", b"x", qos=1)
        async with asyncio.timeout(10):
            heard: set[str] = set()
            while heard != set(topics):  # or the time is over
                heard.add(str((await anext(ours.messages)).topic))
            assert str((await anext(router.messages)).topic) == "usp/agent/S1"


async def test_who_has_no_good_certificate_stays_out(broker: Secured) -> None:
    """None, and a revoked one, are refused."""
    context = ssl.create_default_context(cafile=str(broker.folder / "ca.crt"))
    with pytest.raises((aiomqtt.MqttError, OSError)):
        async with aiomqtt.Client("127.0.0.1", broker.port, tls_context=context, timeout=3):
            pass
    with pytest.raises((aiomqtt.MqttError, OSError)):
        async with broker.client("gone"):
            pass


@pytest.mark.parametrize("name", ["+", "#", "a/b", "", "broker", "x y", ".."])
def test_the_ca_refuses_names_that_would_be_wildcards(broker: Secured, name: str) -> None:
    """Such a certificate would read and write for everybody."""
    done = subprocess.run(
        [MAKE_CA, broker.folder, "client", name], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
