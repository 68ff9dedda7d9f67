"""One journal entry as bytes and back: a msgpack header, then the raw columns, each starting at a multiple of 8.

Columns are named in the header with their type, so a reader of another version skips what it does not know and gives
the default for what is not there. Reading makes no copies: the arrays look into the entry's bytes, read-only.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.records import Event, LineValues, ProbeRound, TargetKind

ALIGN = 8
ROUND_COLUMNS = {
    "target": np.int32,
    "at_ns": np.int64,
    "sent": np.uint16,
    "received": np.uint16,
    "rtt_ms": np.float32,
    "rtt_min_ms": np.float32,
    "rtt_max_ms": np.float32,
    "jitter_ms": np.float32,
}
VALUE_COLUMNS = {"line": np.int32, "kind": np.uint8, "value": np.float32, "at_ns": np.int64}


class _Table(msgspec.Struct, omit_defaults=True):
    """One ProbeRound or LineValues; `columns` name -> (dtype, offset from the end of the header)."""

    type: Literal["round", "values"]
    rows: int
    source: str
    generation: int
    columns: dict[str, tuple[str, int]]
    kind: str = ""
    round_id: int = 0
    request_id: int = 0
    family: int = 0


class _Header(msgspec.Struct, omit_defaults=True):
    now_ns: int
    tables: list[_Table] = []
    events: list[msgspec.Raw] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Header).decode
_decode_event = msgspec.msgpack.Decoder(Event).decode

Entry = tuple[int, list[ProbeRound | LineValues], list[Event]]
Buffer = bytes | memoryview


def encode(now_ns: int, rounds: Sequence[ProbeRound | LineValues], events: Sequence[Event]) -> list[Buffer]:
    """The entry as a list of buffers to be written one after the other (the columns are not copied)."""
    parts: list[Buffer] = []
    at = 0
    tables = []
    for item in rounds:
        names = ROUND_COLUMNS if isinstance(item, ProbeRound) else VALUE_COLUMNS
        columns: dict[str, tuple[str, int]] = {}
        for name, dtype in names.items():
            column = getattr(item, name)
            if column is None:
                continue
            array = np.ascontiguousarray(column, np.dtype(dtype).newbyteorder("<"))
            columns[name] = (array.dtype.str, at)
            raw = array.view(np.uint8).data if array.nbytes else memoryview(b"")
            pad = -raw.nbytes % ALIGN
            parts += [raw, bytes(pad)]
            at += raw.nbytes + pad
        tables.append(_table(item, columns))
    header = _encode(_Header(now_ns, tables, [msgspec.Raw(_encode(e)) for e in events]))
    pad = -(4 + len(header)) % ALIGN
    return [len(header).to_bytes(4, "little"), header, bytes(pad), *parts]


def _table(item: ProbeRound | LineValues, columns: dict[str, tuple[str, int]]) -> _Table:
    if isinstance(item, ProbeRound):
        kind = item.kind.value
        numbers = item.round_id, item.request_id, item.family
        return _Table("round", len(item), item.source, item.generation, columns, kind, *numbers)
    return _Table("values", len(item), item.source, item.generation, columns)


def decode(payload: bytes) -> Entry:
    """`(now_ns, rounds, events)`. Raises ValueError when the bytes are not an entry.

    Events of a kind that this version does not know are left out.
    """
    size = int.from_bytes(payload[:4], "little")
    try:
        header = _decode(memoryview(payload)[4 : 4 + size])
        start = 4 + size + (-(4 + size) % ALIGN)
        rounds = [_read(payload, start, table) for table in header.tables]
    except (msgspec.MsgspecError, TypeError, KeyError) as error:
        raise ValueError(f"not a journal entry: {error}") from None
    events = []
    for raw in header.events:
        try:
            events.append(_decode_event(raw))
        except msgspec.ValidationError:
            continue
    return header.now_ns, rounds, events


def _read(payload: bytes, start: int, table: _Table) -> ProbeRound | LineValues:
    known = ROUND_COLUMNS if table.type == "round" else VALUE_COLUMNS
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, (dtype, offset) in table.columns.items():
        if name in known:
            array = np.frombuffer(payload, np.dtype(dtype), table.rows, start + offset)
            columns[name] = array.astype(known[name], copy=False)
    if table.type == "values":
        return LineValues(source=table.source, generation=table.generation, **columns)
    return ProbeRound(
        source=table.source,
        generation=table.generation,
        kind=TargetKind(table.kind),
        round_id=table.round_id,
        request_id=table.request_id,
        family=table.family,
        **columns,
    )
