"""The connection to the broker: aiomqtt, but a message is acknowledged when *we* say so.

aiomqtt acknowledges a message as it enters its queue, so a killed process loses the queue. Its client is kept for
what it does well (paho on asyncio, connecting, subscribing); the two callbacks that matter are taken over: messages
come straight from paho, and manual acknowledgement is switched on (docs/adr/0004-mqtt-client.md).
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collectors.cpe.settings import CpeSettings

MIN_PACKET_LIMIT = 1 << 20


class Refusal(aiomqtt.MqttError):
    """The broker is there and does not want us; the text says why."""


class AckingClient(aiomqtt.Client):
    """One connection to the broker, used once. `session` is told, before any message, whether the broker has kept one
    for us; `deliver` gets every message, in order, on the event loop, and must not raise. Each message with QoS 1 is
    owed `acknowledge`."""

    def __init__(
        self,
        settings: CpeSettings,
        address: str,
        password: str | None,
        tls_context: ssl.SSLContext | None,
        session: Callable[[bool], None],
        deliver: Callable[[paho.MQTTMessage], None],
    ) -> None:
        v5 = settings.protocol == "5"
        super().__init__(
            address,
            settings.port,
            identifier=settings.client_id,
            username=settings.username or None,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
            clean_start=False if v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            clean_session=None if v5 else False,
            properties=_connect_properties(settings) if v5 else None,
            keepalive=settings.keepalive_s,
            timeout=settings.timeout_s,
            tls_context=tls_context,
        )
        self._session = session
        self._deliver = deliver
        self._client.manual_ack_set(True)
        self._client.connect_timeout = settings.timeout_s
        self._open = False
        self._paused = False
        self._resumed = False

    async def open(self, topics: list[str]) -> None:
        """Connect and subscribe with QoS 1. Raises aiomqtt.MqttError or OSError, and then nothing is left open."""
        entering = asyncio.ensure_future(self.__aenter__())
        try:
            # paho connects in a thread that cannot be stopped: even when cancelled, wait until it has ended.
            await asyncio.shield(entering)
            # The answer comes behind everything that the broker has queued for us.
            patience_s = max(self.timeout, 2.0 * self._client.keepalive) if self._resumed else self.timeout
            granted = await self.subscribe([(topic, 1) for topic in topics], timeout=patience_s)
        except BaseException:
            await asyncio.wait([entering])
            if not entering.cancelled():
                entering.exception()
            self.abandon()
            raise
        refused = [topic for topic, code in zip(topics, granted, strict=False) if _failed(code)]
        if refused:
            self.abandon()
            raise Refusal(f"the broker does not let us read {', '.join(refused)}: check its access rules")

    async def lost(self) -> None:
        """Returns, by raising aiomqtt.MqttError, when the connection is gone."""
        async for _ in self.messages:  # nothing ever enters this queue
            pass

    async def leave(self) -> None:
        """Say goodbye; the broker keeps the session. Never raises."""
        try:
            await self.__aexit__(None, None, None)
        except (aiomqtt.MqttError, OSError):
            pass
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close what is open, at once."""
        self._open = False
        if self._misc_task is not None:
            self._misc_task.cancel()
        self._client._sock_close()
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: asyncio need not warn of it

    def acknowledge(self, mid: int, qos: int) -> None:
        if self._open:
            self._client.ack(mid, qos)

    def pause(self) -> None:
        """Read nothing more from the broker for now (mosquitto 2.0.11 sends its whole queue, whatever it was told)."""
        socket = self._client.socket()
        if socket is not None and not self._paused:
            self._loop.remove_reader(socket.fileno())
            self._paused = True

    def resume(self) -> None:
        socket = self._client.socket()
        if self._paused and socket is not None:
            self._loop.add_reader(socket.fileno(), self._readable)
            self._paused = False
            self._readable()  # TLS may hold decoded bytes that the selector does not see

    def _readable(self) -> None:
        try:
            while not self._paused:
                self._client.loop_read()
                socket = self._client.socket()
                if not isinstance(socket, ssl.SSLSocket) or not socket.pending():
                    return
        except Exception as error:  # as aiomqtt does it: whatever reading raises, the connection is of no more use
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: Any,
        properties: Properties | None = None,
    ) -> None:
        if reason_code == paho.CONNACK_ACCEPTED and not self._open:
            self._open = True
            self._resumed = bool(flags.session_present)
            self._session(self._resumed)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: Any,
        properties: Properties | None = None,
    ) -> None:
        self._open = False
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._deliver(message)


def _connect_properties(settings: CpeSettings) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.ReceiveMaximum = settings.receive_maximum
    # What is too long is counted by us; what would fill the memory is not even sent.
    properties.MaximumPacketSize = max(MIN_PACKET_LIMIT, settings.max_payload_bytes + 4096)
    return properties


def _failed(code: Any) -> bool:
    return (code if isinstance(code, int) else int(code.value)) >= 0x80


def tls_context(settings: CpeSettings) -> ssl.SSLContext | None:
    """Raises ValueError that names the file that cannot be used."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"cpe.ca_file: {settings.ca_file} cannot be used ({error})") from None
    if settings.cert_file:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"cpe.cert_file, cpe.key_file: {settings.cert_file} cannot be used ({error})") from None
    return context
