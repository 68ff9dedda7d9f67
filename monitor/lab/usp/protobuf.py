"""Protobuf in the plainest way: a message is a list of numbered values. Shares nothing with the controller's codec, so
that one does not hide the other's mistakes. Written and read by field number, as the specification's tables have them.
"""

import struct
from collections.abc import Iterable, Mapping

Value = int | bytes


def varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def number(field: int, value: int) -> bytes:
    """A varint field; proto3 leaves zero out."""
    return varint(field * 8) + varint(value) if value else b""


def fixed(field: int, value: int) -> bytes:
    return varint(field * 8 + 5) + struct.pack("<I", value) if value else b""


def block(field: int, value: bytes) -> bytes:
    """A sub-message or bytes, also when it is empty."""
    return varint(field * 8 + 2) + varint(len(value)) + value


def text(field: int, value: str) -> bytes:
    return block(field, value.encode()) if value else b""


def texts(field: int, values: Iterable[str]) -> bytes:
    return b"".join(block(field, value.encode()) for value in values)


def mapping(field: int, values: Mapping[str, str]) -> bytes:
    return b"".join(block(field, text(1, key) + text(2, value)) for key, value in values.items())


def fields(data: bytes) -> dict[int, list[Value]]:
    """Every value by field number, in order. Raises ValueError."""
    found: dict[int, list[Value]] = {}
    rest = memoryview(data)

    def take() -> int:
        nonlocal rest
        value = shift = 0
        while True:
            if not rest or shift > 63:
                raise ValueError("a number is cut off")
            byte, rest = rest[0], rest[1:]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while rest:
        key = take()
        value: Value
        if key & 7 == 0:
            value = take()
        else:
            size = {1: 8, 5: 4}.get(key & 7, -1)
            if key & 7 == 2:
                size = take()
            if not 0 <= size <= len(rest):
                raise ValueError(f"field {key >> 3} is cut off or of an unknown kind")
            raw, rest = bytes(rest[:size]), rest[size:]
            value = raw if key & 7 == 2 else int.from_bytes(raw, "little")
        found.setdefault(key >> 3, []).append(value)
    return found


def one(message: dict[int, list[Value]], field: int) -> bytes:
    """The last bytes of a field, b"" if it is absent."""
    value = message.get(field, [b""])[-1]
    return value if isinstance(value, bytes) else b""


def word(message: dict[int, list[Value]], field: int) -> str:
    return one(message, field).decode()


def many(message: dict[int, list[Value]], field: int) -> list[bytes]:
    return [value for value in message.get(field, []) if isinstance(value, bytes)]


def count(message: dict[int, list[Value]], field: int) -> int:
    value = message.get(field, [0])[-1]
    return value if isinstance(value, int) else 0


def pairs(message: dict[int, list[Value]], field: int) -> dict[str, str]:
    entries = [fields(raw) for raw in many(message, field)]
    return {word(entry, 1): word(entry, 2) for entry in entries}
