"""Just enough of MQTT 3.1.1 and 5 for a simulated router: connect, subscribe, publish, ping, and vanish.

A router is one asyncio protocol without tasks or threads, so that one process holds thousands of sessions; a client
library costs a task and some hundred kilobytes each. `vanish` closes the connection without a DISCONNECT, on which the
broker publishes the last will at once.
"""

import asyncio
import struct
from collections.abc import Callable

from monitor.lab.process import LabError

CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 0x20, 0x30, 0x40, 0x82, 0x90, 0xC0, 0xE0
USP_CONTENT = "usp.msg"
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


def pair(key: str, value: str) -> bytes:
    """A User Property of MQTT 5 (2.2.2.2)."""
    return b"\x26" + text(key) + text(value)


def connect_packet(
    client_id: str, keepalive_s: int, will: tuple[str, bytes] | None, v5: bool = False, endpoint: str = ""
) -> bytes:
    """A clean session, with a retained last will of QoS 1 if one is given. `endpoint`: a USP endpoint's id (MQTT 5)."""
    flags = 0x02 | (0x04 | 0x08 | 0x20 if will else 0)
    own = pair("usp-endpoint-id", endpoint) if endpoint else b""
    properties = encode_length(len(own)) + own if v5 else b""
    head = text("MQTT") + struct.pack(">BBH", 5 if v5 else 4, flags, keepalive_s) + properties
    last = b""
    if will:
        last = (b"\0" if v5 else b"") + text(will[0]) + struct.pack(">H", len(will[1])) + will[1]
    return packet(0x10, head + text(client_id) + last)


def subscribe_packet(topic: str, message_id: int, v5: bool = False, endpoint: str = "") -> bytes:
    """One filter with QoS 1."""
    own = pair("usp-endpoint-id", endpoint) if endpoint else b""
    properties = encode_length(len(own)) + own if v5 else b""
    return packet(SUBSCRIBE, struct.pack(">H", message_id) + properties + text(topic) + b"\x01")


def publish_packet(
    topic: str, payload: bytes, retain: bool = False, message_id: int = 0, v5: bool = False, reply_topic: str = ""
) -> bytes:
    """QoS 1 with a `message_id` above 0, else QoS 0. `reply_topic`: of a USP record, where its answer goes (MQTT 5)."""
    number = struct.pack(">H", message_id) if message_id else b""
    own = b"\x03" + text(USP_CONTENT) + b"\x08" + text(reply_topic) if reply_topic else b""
    properties = encode_length(len(own)) + own if v5 else b""
    return packet(PUBLISH | (0x02 if message_id else 0) | int(retain), text(topic) + number + properties + payload)


def read_publish(first: int, body: bytes, v5: bool) -> tuple[str, bytes, int, str]:
    """(topic, payload, message id or 0, response topic) of a PUBLISH. Raises ValueError, struct.error."""
    (length,) = struct.unpack_from(">H", body)
    topic, at = body[2 : 2 + length].decode(), 2 + length
    message_id = 0
    if first & 0x06:
        (message_id,) = struct.unpack_from(">H", body, at)
        at += 2
    reply = ""
    if v5:
        found = decode_length(body, at)
        if found is None:
            raise ValueError("a PUBLISH that ends in its properties")
        end = found[1] + found[0]
        at = found[1]
        while at < end:
            kind = body[at]
            at += 1
            if kind in (0x03, 0x08, 0x09, 0x26):
                for _ in range(2 if kind == 0x26 else 1):
                    (length,) = struct.unpack_from(">H", body, at)
                    if kind == 0x08:
                        reply = body[at + 2 : at + 2 + length].decode()
                    at += 2 + length
            else:
                at += {0x01: 1, 0x02: 4, 0x23: 2}.get(kind, end)
        at = end
    return topic, body[at:], message_id, reply


class Session(asyncio.Protocol):
    """One connection. `on_up` is called when the broker has accepted it, `on_lost` when it has ended, whyever."""

    def __init__(
        self,
        client_id: str,
        keepalive_s: int,
        will: tuple[str, bytes] | None,
        on_up: Callable[["Session"], None],
        on_lost: Callable[["Session"], None],
        v5: bool = False,
        endpoint: str = "",
        subscribe: str = "",
        on_message: Callable[[str, bytes, str], None] | None = None,
    ) -> None:
        """`subscribe`: a filter to read, before `on_up`; `on_message(topic, payload, response topic)`."""
        self._hello = connect_packet(client_id, keepalive_s, will, v5, endpoint)
        self._on_up = on_up
        self._on_lost = on_lost
        self.v5 = v5
        self._endpoint = endpoint
        self._subscribe = subscribe
        self._on_message = on_message
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
            first, body = self._buffer[0], bytes(self._buffer[at : at + length])
            del self._buffer[: at + length]
            if first & 0xF0 == CONNACK:  # acknowledgements and pings need no answer
                self._accepted(body[1] if len(body) > 1 else 255)
            elif first & 0xF0 == SUBACK:
                self._ready(body[-1] if body else 255)
            elif first & 0xF0 == PUBLISH:
                self._published(first, body)

    def _accepted(self, code: int) -> None:
        if code:
            self.refused = code
            self.vanish()
        elif self._subscribe and self._transport is not None:
            self._transport.write(subscribe_packet(self._subscribe, 65_535, self.v5, self._endpoint))
        else:
            self._ready(0)

    def _ready(self, code: int) -> None:
        if code >= 0x80:
            self.refused = code
            self.vanish()
            return
        self.up = True
        self._on_up(self)

    def _published(self, first: int, body: bytes) -> None:
        try:
            topic, payload, message_id, reply = read_publish(first, body, self.v5)
        except (ValueError, struct.error):
            self.vanish()
            return
        if message_id and self._transport is not None:
            self._transport.write(packet(PUBACK, struct.pack(">H", message_id)))
        if self._on_message is not None:
            self._on_message(topic, payload, reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.up = False
        self._transport = None
        self._on_lost(self)

    def publish(
        self, topic: str, payload: bytes, retain: bool = False, sure: bool = False, reply_topic: str = ""
    ) -> None:
        """`sure`: QoS 1. Nothing happens when the session is not up."""
        if not self.up or self._transport is None:
            return
        if sure:
            self._message_id = self._message_id % 65_534 + 1
        number = self._message_id if sure else 0
        self._transport.write(publish_packet(topic, payload, retain, number, self.v5, reply_topic))

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
