"""CPE telemetry over MQTT: stays connected to the broker with a persistent session and reads what routers say.

In: `PREFIX/SERIAL/availability` (last will), `PREFIX/SERIAL/telemetry/...` (JSON, BulkData) with QoS 1, and USP records
where `cpe.usp` is enabled. Out: `LineValues` about once a second, events of lines, and requests to USP agents;
`source_down` / `source_up` with subject `source:mqtt` when the telemetry as a whole is blind, so that a broker's death
is not ten thousand outages. A message is acknowledged once what follows from it is on disk.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence

import aiomqtt

from collectors.base import CollectorContext, Health
from collectors.cpe.connection import AckingClient, tls_context
from collectors.cpe.controller import Controller
from collectors.cpe.frames import Inbound
from collectors.cpe.reader import CpeReader
from collectors.cpe.settings import CpeSettings
from collectors.cpe.topics import subscriptions
from collectors.dns.lookup import resolve_host
from monitor.secret import read_secret

TICK_S = 0.02
# A broker that is back within this time was not away: nobody needs to know.
GRACE_S = 3.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
STABLE_S = 10.0
PARTING_S = 0.5
IDLE_S = 1.0


class CpeCollector:
    """Raises ValueError from the constructor when a setting cannot be used."""

    name = "cpe"

    def __init__(self, settings: CpeSettings, context: CollectorContext) -> None:
        self._settings = settings
        self._context = context
        self._password = read_secret(settings, "password", "cpe")
        if self._password and not settings.username:
            raise ValueError("cpe.username is empty, but a password is given: name the user")
        self._tls = tls_context(settings)
        self._topics = subscriptions(settings)
        self._reader: CpeReader | None = None
        self._client: AckingClient | None = None
        self._arrived = asyncio.Event()
        self._problem = "not connected yet"
        self._told_up: bool | None = None
        self._connects = context.metrics.counter("cpe_connects_total", "connections made to the broker")

    # -- Collector ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._reader = reader = CpeReader(self._settings, self._context, loop.time, self._send)
        pump = asyncio.create_task(self._pump(reader))
        try:
            await self._stay_connected(reader)
        finally:
            if reader.controller is not None:
                await reader.controller.close()
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await self._part(reader)

    @property
    def controller(self) -> Controller | None:
        """The USP controller while we run, if there is one."""
        return self._reader.controller if self._reader is not None else None

    def health(self) -> Health:
        last_ns = self._reader.last_ns if self._reader else None
        if self._problem:
            return Health(self.name, False, f"the broker {self._where()}: {self._problem}", last_ns)
        return Health(self.name, True, "", last_ns)

    def reload(self) -> None:
        """Nothing to do: every message is read with the inventory as it is then."""

    def rebound(self, lines: Sequence[int]) -> None:
        """Nothing to do: a router is known by its serial, not by its address."""

    # -- the connection -------------------------------------------------------------------------------------------

    async def _stay_connected(self, reader: CpeReader) -> None:
        loop = asyncio.get_running_loop()
        away_since_s = loop.time()
        connected_s = loop.time()
        retry_s = FIRST_RETRY_S
        while True:
            client: AckingClient | None = None
            try:
                client = await self._connect(reader)
                connected_s = loop.time()
                await client.lost()
            except (aiomqtt.MqttError, OSError) as error:
                was_connected = self._client is not None
                if was_connected:
                    away_since_s = loop.time()
                    # Not after a short one: two daemons with one client id would throw each other out for ever.
                    if away_since_s - connected_s > STABLE_S:
                        retry_s = FIRST_RETRY_S
                    self._client = None
                    reader.disconnected()
                self._problem = _why(error) if not was_connected else f"the connection was lost ({_why(error)})"
            finally:
                if client is not None and self._client is not client:
                    client.abandon()
            if loop.time() - away_since_s >= GRACE_S or self._told_up is None:
                self._tell(reader, up=False)
            await asyncio.sleep(retry_s * random.uniform(0.8, 1.2))
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _connect(self, reader: CpeReader) -> AckingClient:
        """Raises aiomqtt.MqttError or OSError when it cannot be done now."""
        settings = self._settings
        addresses = await resolve_host(settings.host, settings.timeout_s)
        if self._tls is not None:
            addresses = [settings.host]  # the certificate is checked against the name
        for number, address in enumerate(addresses):
            client = AckingClient(settings, address, self._password, self._tls, reader.connected, self._deliver)
            # Messages come before `open` returns: what the broker queued comes first of all.
            self._client = client
            try:
                await client.open(self._topics)
            except (aiomqtt.MqttError, OSError):
                self._client = None
                reader.disconnected()
                if number == len(addresses) - 1:
                    raise
            except BaseException:
                self._client = None
                raise
            else:
                self._connects.inc()
                self._problem = ""
                self._tell(reader, up=True)
                return client
        raise OSError("no address")

    def _tell(self, reader: CpeReader, *, up: bool) -> None:
        """Say that telemetry sees or is blind, once each way; after a start in any case."""
        now_ns = self._context.clock.now_ns()
        if up:
            self._context.metrics.troubles.end("broker", now_ns)
        else:
            text = f"{self._where()}: {self._problem}; no CPE telemetry until it is back"
            self._context.metrics.troubles.begin("broker", text, now_ns)
        if self._told_up is not up:
            self._told_up = up
            reader.say("source_up" if up else "source_down", "" if up else self._problem)
            self._arrived.set()

    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    # -- messages -------------------------------------------------------------------------------------------------

    def _deliver(self, message: Inbound) -> None:
        assert self._reader is not None
        self._reader.arrived(message)
        self._arrived.set()
        if self._reader.owing >= self._settings.receive_maximum and self._client is not None:
            self._client.pause()

    def _acknowledge(self, mid: int, qos: int) -> None:
        if self._client is not None:
            self._client.acknowledge(mid, qos)

    def _send(self, topic: str, payload: bytes, reply_topic: str) -> None:
        if self._client is not None:
            self._client.send(topic, payload, reply_topic)

    async def _pump(self, reader: CpeReader) -> None:
        """Tick while there is anything to do; sleep while there is nothing."""
        while True:
            # A controller has to look for silent routers even when nobody says anything.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S if reader.controller is not None else None):
                    await self._arrived.wait()
            self._arrived.clear()
            if reader.controller is not None:
                reader.controller.tick()
            while reader.busy:
                try:
                    reader.tick(self._acknowledge)
                    if reader.controller is not None:
                        reader.controller.tick()
                except Exception as error:  # whatever it is, the next tick may fare better
                    text = f"cannot hand over: {type(error).__name__}: {error}; please report this"
                    self._context.metrics.troubles.begin("cpe_tick", text, self._context.clock.now_ns())
                if self._client is not None and reader.owing <= self._settings.receive_maximum // 2:
                    self._client.resume()
                await asyncio.sleep(TICK_S)

    async def _part(self, reader: CpeReader) -> None:
        """Hand over what is held, acknowledge what gets on disk in the next moment, and leave: the rest comes again."""
        reader.finish()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + PARTING_S
        while self._client is not None and reader.owing and loop.time() < end_s:
            reader.tick(self._acknowledge)
            await asyncio.sleep(TICK_S)
        if self._client is not None:
            client, self._client = self._client, None
            await client.leave()
        self._problem = "not connected: stopped"


def _why(error: BaseException) -> str:
    told = getattr(error, "strerror", None) or str(error).strip()
    return told or type(error).__name__
