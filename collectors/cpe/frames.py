"""Splits what the broker sends into MQTT packets, and reads PUBLISH packets itself.

Thousands of messages a second come as PUBLISH; a general client spends most of its time on them, reading the socket
byte by byte and unpacking properties nobody asks for. In: bytes as they come. Out: `Inbound` for each PUBLISH, and all
other packets whole, for the client. A packet longer than `limit` is not gathered: its head is kept, its rest passed
over.
Source: MQTT 3.1.1 section 3.3, MQTT 5.0 sections 2.2.2 and 3.3.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PUBLISH = 0x30
HEAD = 70_000  # topic (at most 65,535 bytes), message id and the usual properties
RESPONSE_TOPIC, CONTENT_TYPE = 0x08, 0x03
# Length of each property of a PUBLISH by its identifier: bytes, "s" a string, "p" a pair of strings, "v" a varint.
PROPERTIES: dict[int, int | str] = {
    0x01: 1,
    0x02: 4,
    0x03: "s",
    0x08: "s",
    0x09: "s",
    0x0B: "v",
    0x23: 2,
    0x26: "p",
}


class BrokenStream(ConnectionError):
    """What comes is not MQTT."""


class Inbound(NamedTuple):
    """A message. `size`: bytes of its payload, which is empty when it was too long to be gathered."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    mid: int
    size: int = 0
    response_topic: str = ""


class Frames:
    """`v5`: packets have properties. Feed it; it keeps what is not whole yet."""

    def __init__(self, limit: int, *, v5: bool) -> None:
        self._limit = limit
        self._v5 = v5
        self._buffer = b""
        self._at = 0
        self._passing = 0  # bytes of a too long packet that are still to come

    def feed(self, data: bytes) -> None:
        """More from the broker; `packets` gives what is whole."""
        if self._passing:
            passed = min(self._passing, len(data))
            self._passing -= passed
            data = data[passed:]
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def packets(self) -> "Iterator[Inbound | bytes]":
        """May be left early: the rest comes the next time. Raises BrokenStream."""
        data, end = self._buffer, len(self._buffer)
        while end - self._at >= 2:
            at = self._at
            first, length, body = data[at], data[at + 1], at + 2
            if length & 0x80:
                found = _length(data, at + 1)
                if found is None:
                    return
                length, body = found
            stop = body + length
            if length > self._limit:
                if first & 0xF0 != PUBLISH:
                    raise BrokenStream(f"a packet of {length} bytes that is no message")
                if end - body < HEAD:
                    return
                self._at = min(stop, end)
                self._passing = stop - self._at
                head = self._publish(first, data, body, body + HEAD, whole=False)
                yield head._replace(payload=b"", size=length)
            elif stop > end:
                return
            else:
                self._at = stop
                yield self._publish(first, data, body, stop) if first & 0xF0 == PUBLISH else data[at:stop]

    def _publish(self, first: int, data: bytes, at: int, stop: int, *, whole: bool = True) -> Inbound:
        qos = first >> 1 & 3
        topic_end = at + 2 + (data[at] << 8 | data[at + 1]) if stop - at >= 2 else stop + 1
        mid = 0
        start = topic_end
        if qos:
            start += 2
            if start <= stop:
                mid = data[topic_end] << 8 | data[topic_end + 1]
        if start > stop or qos == 3:
            raise BrokenStream("a message that ends before its content")
        topic = data[at + 2 : topic_end].decode("utf-8", "replace")
        reply = ""
        if self._v5 and whole:
            length = data[start] if start < stop else 0
            start += 1
            if length:
                if length & 0x80:
                    found = _length(data, start - 1)
                    if found is None:
                        raise BrokenStream("a message that ends within its properties")
                    length, start = found
                reply = _reply_topic(data, start, min(start + length, stop))
                start += length
            if start > stop:
                raise BrokenStream("a message that ends within its properties")
        return Inbound(topic, data[start:stop], qos, bool(first & 1), mid, stop - start, reply)


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """(value, offset behind it) of a variable byte integer, None while bytes are missing."""
    value = 0
    for i in range(4):
        if at + i >= len(data):
            return None
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise BrokenStream("a length of more than four bytes")


def _reply_topic(data: bytes, at: int, end: int) -> str:
    """The Response Topic among the properties; "" when there is none or they cannot be read."""
    found = ""
    try:
        while at < end:
            kind = data[at]
            at += 1
            size = PROPERTIES.get(kind)
            if size is None:
                return ""
            if size == "v":
                passed = _length(data, at)
                at = passed[1] if passed else end
            elif isinstance(size, int):
                at += size
            else:
                for _ in range(2 if size == "p" else 1):
                    (length,) = struct.unpack_from(">H", data, at)
                    if kind == RESPONSE_TOPIC:
                        found = data[at + 2 : min(at + 2 + length, end)].decode("utf-8", "replace")
                    at += 2 + length
    except struct.error:
        return ""
    return found
