"""The connection to the broker: aiomqtt, but a message is acknowledged when *we* say so.

aiomqtt acknowledges a message as it enters its queue, so a killed process loses the queue. Its client is kept for
what it does well (paho on asyncio, connecting, TLS, subscribing, publishing). Taken over is what comes by the thousand:
we read the socket, PUBLISH packets are ours (`frames`), all others go to paho as if it had read them; and many
acknowledgements leave in one write (docs/adr/0004-mqtt-client.md).
"""

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collectors.cpe.frames import Frames, Inbound
from collectors.cpe.settings import CpeSettings

MIN_PACKET_LIMIT = 1 << 20
READ_BYTES = 1 << 18
ENDPOINT_PROPERTY = "usp-endpoint-id"
USP_CONTENT = "usp.msg"
MAX_OUTGOING = 1000  # requests on their way to the broker
T = TypeVar("T")


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
        deliver: Callable[[Inbound], None],
        *,
        clean: bool = False,
    ) -> None:
        """`clean`: no session is resumed, and none is left behind."""
        v5 = settings.protocol == "5"
        super().__init__(
            address,
            settings.port,
            identifier=settings.client_id,
            username=settings.username or None,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
            clean_start=clean if v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            clean_session=None if v5 else clean,
            properties=_connect_properties(settings) if v5 else None,
            keepalive=settings.keepalive_s,
            timeout=settings.timeout_s,
            tls_context=tls_context,
        )
        self._session = session
        self._deliver = deliver
        self._client.max_inflight_messages_set(MAX_OUTGOING)
        self._client.connect_timeout = settings.timeout_s
        self._v5 = v5
        self._endpoint = settings.usp.endpoint_id if settings.usp.enabled else ""
        self._frames = Frames(_packet_limit(settings), v5=v5)
        self._handed = bytearray()  # packets for paho
        self._gone: OSError | None = None  # why nothing more can be read
        self._ended = False
        self._client._sock_recv = self._serve  # type: ignore[method-assign,assignment]
        self._acks = bytearray()
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
            granted = await self.subscribe(
                [(topic, 1) for topic in topics],
                properties=_endpoint_property(PacketTypes.SUBSCRIBE, self._endpoint) if self._v5 else None,
                timeout=patience_s,
            )
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

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109
        """As aiomqtt's, but being cancelled in the very turn in which the answer comes is not lost: asyncio.wait_for of
        Python 3.11 returns the answer, and the collector would go on for ever."""
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def acknowledge(self, mid: int, qos: int) -> None:
        """Written with the others of this turn of the loop."""
        if self._open and qos:
            if not self._acks:
                self._loop.call_soon(self._write_acks)
            self._acks += b"\x40\x02" + mid.to_bytes(2, "big")

    def _write_acks(self) -> None:
        acks, self._acks = self._acks, bytearray()
        if self._open and self._client.socket() is not None:
            self._client._packet_queue(paho.PUBACK, acks, 0, 0)

    def send(self, topic: str, payload: bytes, reply_topic: str) -> None:
        """Publish one USP record with QoS 1. What cannot be sent now is lost: who waits for an answer asks again."""
        if not self._open:
            return
        properties = None
        if self._v5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ContentType = USP_CONTENT
            properties.ResponseTopic = reply_topic
        self._client.publish(topic, payload, 1, properties=properties)

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

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """Called in paho's connecting thread: from here on we read."""
        super()._on_socket_open(client, userdata, sock)
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            while not self._paused and (sock := self._client.socket()) is not None:
                self._read(sock)
                if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                    return
        except Exception as error:  # as aiomqtt does it: whatever reading raises, the connection is of no more use
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _read(self, sock: Any) -> None:
        try:
            if self._split():  # what a pause has left
                return
            data = sock.recv(READ_BYTES)
            self._ended = not data
            self._frames.feed(data)
            self._split()
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            self._gone = error
        if self._ended or self._gone is not None:
            self._client.loop_read()

    def _split(self) -> bool:
        """Hand out whole packets; True when we were paused meanwhile."""
        for packet in self._frames.packets():
            if isinstance(packet, Inbound):
                self._deliver(packet)
            else:
                self._handed += packet
                self._client.loop_read()
            if self._paused:
                return True
        return False

    def _serve(self, size: int) -> bytes:
        """What paho gets when it reads: the packets that are not ours, then the end of the connection."""
        if self._handed:
            served = bytes(self._handed[:size])
            del self._handed[:size]
            return served
        if self._gone is not None:
            raise self._gone
        if self._ended:
            return b""
        raise BlockingIOError

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


def _endpoint_property(packet: int, endpoint: str) -> Properties:
    """How a USP endpoint names itself to the broker (R-MQTT); nothing when we are none."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    if endpoint:
        properties.UserProperty = (ENDPOINT_PROPERTY, endpoint)
    return properties


def _packet_limit(settings: CpeSettings) -> int:
    """What is too long is counted by us; what would fill the memory is not even sent (MQTT 5), or not gathered."""
    return max(MIN_PACKET_LIMIT, settings.max_payload_bytes + 4096)


def _connect_properties(settings: CpeSettings) -> Properties:
    properties = _endpoint_property(PacketTypes.CONNECT, settings.usp.endpoint_id if settings.usp.enabled else "")
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.ReceiveMaximum = settings.receive_maximum
    properties.MaximumPacketSize = _packet_limit(settings)
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
