"""The protobuf wire format (proto3), driven by tables: a message class lists its fields, this reads and writes them.

In and out: bytes and `Message` structs. Hand-written because some twenty messages do not pay for generated code.
Whatever the bytes are, the only exception is `Malformed`. Unknown fields are skipped, as proto3 asks; a repeated
singular message is merged, of a oneof the last one counts. Source: protobuf encoding specification; USP 1.4.1.
"""

from enum import Enum
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

MAX_VARINT = 1 << 64
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """Bytes that are no such message, or a message that cannot be written; the text says what and where."""


class Kind(Enum):
    TEXT = "text"
    BYTES = "bytes"
    UINT = "uint"  # uint64 and enums
    BOOL = "bool"
    FIXED = "fixed32"
    MESSAGE = "message"
    MAP = "map"  # map<string, string>


WIRES = {Kind.UINT: VARINT, Kind.BOOL: VARINT, Kind.FIXED: FIXED32}
DEFAULTS: dict[Kind, object] = {Kind.TEXT: "", Kind.BYTES: b"", Kind.UINT: 0, Kind.BOOL: False, Kind.FIXED: 0}


class Field(NamedTuple):
    """`oneof`: name of the group of which at most one is set; such fields are None when absent."""

    number: int
    name: str
    kind: Kind
    of: "type[Message] | None" = None
    many: bool = False
    oneof: str = ""

    @property
    def wire(self) -> int:
        return WIRES.get(self.kind, LENGTH)


class Message(msgspec.Struct):
    """Base of all messages. `FIELDS` is the table; absent oneof members and sub-messages are None."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()


M = TypeVar("M", bound=Message)
_by_tag: dict[type[Message], dict[int, tuple[Field, int, tuple[str, ...]]]] = {}


def _table(cls: type[Message]) -> dict[int, tuple[Field, int, tuple[str, ...]]]:
    """tag -> (field, its wire type, the other members of its oneof)."""
    table = _by_tag.get(cls)
    if table is None:
        table = {}
        for field in cls.FIELDS:
            others = tuple(f.name for f in cls.FIELDS if field.oneof and f.oneof == field.oneof and f is not field)
            table[field.number << 3 | field.wire] = field, field.wire, others
        _by_tag[cls] = table
    return table


# -- reading ----------------------------------------------------------------------------------------------------------


def decode(cls: type[M], data: bytes) -> M:
    """Raises Malformed."""
    message = cls()
    _read(message, data, 0, len(data))
    return message


def _read(message: Message, data: bytes, at: int, end: int) -> None:
    table = _table(type(message))
    while at < end:
        tag, at = _varint(data, at, end)
        known = table.get(tag)
        if known is None:
            at = _skip(tag, data, at, end)
            continue
        field, wire, others = known
        value: Any
        if wire == LENGTH:
            length, at = _varint(data, at, end)
            stop = at + length
            if stop > end:
                raise Malformed(f"field {field.name} at byte {at} is cut off: {length} bytes, {end - at} left")
            value = _lengthy(message, field, data, at, stop)
            at = stop
        elif wire == FIXED32:
            if at + 4 > end:
                raise Malformed(f"field {field.name} at byte {at} is cut off")
            value = int.from_bytes(data[at : at + 4], "little")
            at += 4
        else:
            value, at = _varint(data, at, end)
            if field.kind is Kind.BOOL:
                value = value != 0
        if field.many:
            getattr(message, field.name).append(value)
        elif field.kind is Kind.MAP:
            getattr(message, field.name).update(value)
        else:
            setattr(message, field.name, value)
            for other in others:
                setattr(message, other, None)


def _lengthy(message: Message, field: Field, data: bytes, at: int, stop: int) -> Any:
    kind = field.kind
    if kind is Kind.TEXT:
        return _text(data, at, stop, field.name)
    if kind is Kind.BYTES:
        return data[at:stop]
    if kind is Kind.MAP:
        return _entry(data, at, stop, field.name)
    assert field.of is not None
    inner = None if field.many else getattr(message, field.name)
    inner = field.of() if inner is None else inner
    _read(inner, data, at, stop)
    return inner


def _entry(data: bytes, at: int, end: int, name: str) -> dict[str, str]:
    pair = {1: "", 2: ""}
    while at < end:
        tag, at = _varint(data, at, end)
        if tag not in (1 << 3 | LENGTH, 2 << 3 | LENGTH):
            at = _skip(tag, data, at, end)
            continue
        length, at = _varint(data, at, end)
        if at + length > end:
            raise Malformed(f"an entry of {name} at byte {at} is cut off")
        pair[tag >> 3] = _text(data, at, at + length, name)
        at += length
    return {pair[1]: pair[2]}


def _text(data: bytes, at: int, stop: int, name: str) -> str:
    try:
        return data[at:stop].decode()
    except UnicodeDecodeError:
        raise Malformed(f"field {name} at byte {at} is not UTF-8") from None


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    if at < end and (first := data[at]) < 0x80:
        return first, at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise Malformed(f"a number is cut off at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value % MAX_VARINT, at
    raise Malformed(f"a number at byte {at} has more than ten bytes")


def _skip(tag: int, data: bytes, at: int, end: int) -> int:
    """Behind an unknown field."""
    if not 8 <= tag < 1 << 32:
        raise Malformed(f"no field has the number {tag >> 3} (at byte {at})")
    wire = tag & 7
    if wire == VARINT:
        return _varint(data, at, end)[1]
    if wire == LENGTH:
        length, at = _varint(data, at, end)
        at += length
    elif wire in (FIXED64, FIXED32):
        at += 8 if wire == FIXED64 else 4
    else:
        raise Malformed(f"wire type {wire} at byte {at} is not of proto3")
    if at > end:
        raise Malformed(f"field {tag >> 3} is cut off at byte {end}")
    return at


# -- writing ----------------------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """Fields in the order of the table; what has its default value is left out. Raises Malformed for a value that the
    field cannot hold."""
    out = bytearray()
    for field in type(message).FIELDS:
        value = getattr(message, field.name)
        if field.kind is Kind.MAP:
            for key, text in value.items():
                entry = bytearray()
                _write(entry, 1, Kind.TEXT, key, field.name)
                _write(entry, 2, Kind.TEXT, text, field.name)
                _write(out, field.number, Kind.BYTES, bytes(entry), field.name)
        elif field.many:
            for one in value:
                _write(out, field.number, field.kind, one, field.name)
        elif value is not None and (field.oneof or field.kind is Kind.MESSAGE or value != DEFAULTS[field.kind]):
            _write(out, field.number, field.kind, value, field.name)
    return bytes(out)


def _write(out: bytearray, number: int, kind: Kind, value: Any, name: str) -> None:
    wire = WIRES.get(kind, LENGTH)
    out += _number(number << 3 | wire)
    try:
        if kind is Kind.FIXED:
            out += value.to_bytes(4, "little")
            return
        if wire == VARINT:
            out += _number(int(value))
            return
        if kind is Kind.TEXT:
            value = value.encode()
        elif kind is Kind.MESSAGE:
            value = encode(value)
        out += _number(len(value))
        out += value
    except (OverflowError, UnicodeEncodeError, AttributeError, TypeError) as error:
        raise Malformed(f"field {name} cannot hold {value!r:.60}: {error}") from None


def _number(value: int) -> bytes:
    if not 0 <= value < MAX_VARINT:
        raise OverflowError("not within 64 bits")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
