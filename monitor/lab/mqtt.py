"""Just enough of MQTT 3.1.1 for a simulated router: connect with a last will, publish, ping, and vanish.

A router is one asyncio protocol without tasks or threads, so that one process holds thousands of sessions; a client
library costs a task and some hundred kilobytes each. `vanish` closes the connection without a DISCONNECT, on which the
broker publishes the last will at once.
"""

import asyncio
import struct
from collections.abc import Callable

from monitor.lab.process import LabError

CONNACK, PUBLISH, PINGREQ, DISCONNECT = 0x20, 0x30, 0xC0, 0xE0
MAX_LENGTH = 268_435_455


def encode_length(length: int) -> bytes:
    """The variable-length "remaining length" (MQTT 3.1.1, 2.2.3)."""
    if not 0 <= length <= MAX_LENGTH:
        raise ValueError(f"a packet of {length} bytes is too long for MQTT")
    out = bytearray()
    while True:
        length, byte = divmod(length, 128)
        out.append(byte | 0x80 if length else byte)
        if not length:
            return bytes(out)


def decode_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """(length, offset behind it), or None while bytes are missing. Raises ValueError when it is longer than four."""
    value = 0
    for i in range(4):
        if at + i >= len(data):
            return None
        value |= (data[at + i] & 0x7F) << (7 * i)
        if not data[at + i] & 0x80:
            return value, at + i + 1
    raise ValueError("an MQTT packet's length has more than four bytes")


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + encode_length(len(body)) + body


def connect_packet(client_id: str, keepalive_s: int, will_topic: str, will: bytes) -> bytes:
    """A clean session with a retained last will of QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | 0x20
    head = text("MQTT") + struct.pack(">BBH", 4, flags, keepalive_s)
    return packet(0x10, head + text(client_id) + text(will_topic) + struct.pack(">H", len(will)) + will)


def publish_packet(topic: str, payload: bytes, retain: bool = False, message_id: int = 0) -> bytes:
    """QoS 1 with a `message_id` above 0, else QoS 0."""
    number = struct.pack(">H", message_id) if message_id else b""
    return packet(PUBLISH | (0x02 if message_id else 0) | int(retain), text(topic) + number + payload)


class Session(asyncio.Protocol):
    """One connection. `on_up` is called when the broker has accepted it, `on_lost` when it has ended, whyever."""

    def __init__(
        self,
        client_id: str,
        keepalive_s: int,
        will: tuple[str, bytes],
        on_up: Callable[["Session"], None],
        on_lost: Callable[["Session"], None],
    ) -> None:
        self._hello = connect_packet(client_id, keepalive_s, *will)
        self._on_up = on_up
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._message_id = 0
        self.up = False
        self.refused = 0  # the broker's return code, when it said no

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            try:
                found = decode_length(self._buffer, 1)
            except ValueError:
                self.vanish()
                return
            if found is None or len(self._buffer) < found[0] + found[1]:
                return
            length, at = found
            kind, body = self._buffer[0] & 0xF0, bytes(self._buffer[at : at + length])
            del self._buffer[: at + length]
            if kind == CONNACK:  # acknowledgements and pings need no answer
                self._accepted(body[1] if len(body) > 1 else 255)

    def _accepted(self, code: int) -> None:
        if code:
            self.refused = code
            self.vanish()
            return
        self.up = True
        self._on_up(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.up = False
        self._transport = None
        self._on_lost(self)

    def publish(self, topic: str, payload: bytes, retain: bool = False, sure: bool = False) -> None:
        """`sure`: QoS 1. Nothing happens when the session is not up."""
        if not self.up or self._transport is None:
            return
        if sure:
            self._message_id = self._message_id % 65_535 + 1
        self._transport.write(publish_packet(topic, payload, retain, self._message_id if sure else 0))

    def ping(self) -> None:
        if self._transport is not None:
            self._transport.write(packet(PINGREQ, b""))

    def vanish(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()


async def open_session(session: Session, host: str, port: int) -> None:
    """Raises LabError when nobody listens there."""
    try:
        await asyncio.get_running_loop().create_connection(lambda: session, host, port)
    except OSError as error:
        raise LabError(f"no broker at {host}:{port}: {error}") from None
