"""Lists of addresses in, result lines out: the text side of `faultline probe`, a million rows in about a second.

Plain IPv4 rows are read, and all rows are written, by numpy on whole blocks of bytes; a row that is anything else (a
comment, spaces, IPv6, a mistake) is read by itself. Names are never resolved, and an address that may not be probed
refuses the whole list. Result rows are made as a matrix of bytes in which 0 stands for "no character here".
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from collectors.icmp.engine import Table
from collectors.icmp.siphash import U64
from monitor.inventory.address import AddressRules, parse_address
from monitor.records.rounds import F32, I64, U8, U16

BLOCK_BYTES = 1 << 20
ROWS_AT_ONCE = 8192  # of output: the matrices of so many fit in the processor's cache
_NEWLINE, _DOT, _ZERO = 10, 46, 48


class BadList(ValueError):
    """The list cannot be probed; the text names the file, the row and what is wrong."""


def read_targets(name: str, file: IO[bytes], only6: bool = False) -> Table:
    """The addresses in `file`, one a line. Raises BadList for the first that is none, or may not be probed."""
    reader = _Reader(name, only6)
    rest, row = b"", 1
    while block := file.read(BLOCK_BYTES):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            row = reader.read(rest + head + newline, row)
            rest = tail
        else:
            rest += block
        if len(rest) > BLOCK_BYTES:
            raise BadList(f"{name}:{row}: a row of more than {BLOCK_BYTES} bytes is no address")
    if rest:
        reader.read(rest + b"\n", row)
    return reader.table()


class _Reader:
    def __init__(self, name: str, only6: bool) -> None:
        self._name = name
        self._only6 = only6
        self._rules = AddressRules()
        self._family: list[U8] = []
        self._high: list[U64] = []
        self._low: list[U64] = []

    def read(self, data: bytes, first_row: int) -> int:
        """Whole lines; returns the row number of what follows them."""
        text = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(text == _NEWLINE)
        starts = np.concatenate([[0], ends[:-1] + 1])
        plain, value = _plain4(text, starts, ends)
        if self._only6:
            plain[:] = False
        plain[plain] = ~self._rules.refused4(value[plain].astype(np.uint32))
        family = np.where(plain, 4, 0).astype(np.uint8)
        high = np.zeros(len(ends), np.uint64)
        for i in np.flatnonzero(~plain).tolist():
            raw = self._one(data[starts[i] : ends[i]], first_row + i)
            if raw:
                family[i] = 4 if len(raw) == 4 else 6
                both = int.from_bytes(raw, "big")
                high[i], value[i] = both >> 64, both & 0xFFFFFFFFFFFFFFFF
        there = family > 0
        self._family.append(family[there])
        self._high.append(high[there])
        self._low.append(value[there])
        return first_row + len(ends)

    def _one(self, line: bytes, row: int) -> bytes:
        """The address in one line, b"" for none."""
        try:
            text = line.decode().partition("#")[0].strip()
        except UnicodeDecodeError:
            raise BadList(f"{self._name}:{row}: is not UTF-8 text") from None
        if not text:
            return b""
        raw = parse_address(text) or b""
        if not raw or self._rules.refuse_bytes(raw):
            raise BadList(f"{self._name}:{row}: address: {self._rules.refuse(text)}")
        if self._only6 and len(raw) == 4:
            raise BadList(f"{self._name}:{row}: address: {text!r} is IPv4, but --ipv6 was given")
        return raw

    def table(self) -> Table:
        if not sum(map(len, self._family)):
            raise BadList(f"{self._name}: there is no address in it")
        return Table(np.concatenate(self._family), np.concatenate(self._high), np.concatenate(self._low))


def _plain4(text: U8, starts: I64, ends: I64) -> tuple[npt.NDArray[np.bool_], U64]:
    """Which lines are four decimal numbers of one to three digits and no leading zero, up to 255, with dots between
    and nothing else (bool [n]), and their values (uint64 [n])."""
    digit = (text >= _ZERO) & (text <= _ZERO + 9)
    dot = text == _DOT
    other = ~(digit | dot)
    other[ends] = False
    dots = np.add.reduceat(dot, starts, dtype=np.int64)
    plain = (dots == 3) & (np.add.reduceat(other, starts, dtype=np.int64) == 0)
    value = np.zeros(len(starts), np.uint64)
    if not plain.any():
        return plain, value
    dot[ends] = True
    marks = np.flatnonzero(dot)  # three dots and the newline of each plain line, and whatever the others have
    marks = marks[np.repeat(plain, dots + 1)].reshape(-1, 4)
    begins = np.concatenate([starts[plain, None], marks[:, :3] + 1], axis=1)
    length = marks - begins
    last, second, third = (text[np.maximum(marks - back, 0)].astype(np.int64) - _ZERO for back in (1, 2, 3))
    number = last + np.where(length > 1, 10 * second, 0) + np.where(length > 2, 100 * third, 0)
    leading = np.where(length == 2, second, third)
    right = (length > 0) & (length < 4) & (number < 256) & ((length < 2) | (leading > 0))
    value[plain] = (number << np.array([24, 16, 8, 0])).sum(axis=1).astype(np.uint64)
    plain[plain] = right.all(axis=1)
    return plain, value


@dataclass(slots=True)
class Rows:
    """Results, n of them: `sent`, `received` uint16, `rtt_ms` float32 [n, 3]: least, median, most (NaN: none)."""

    table: Table
    sent: U16
    received: U16
    rtt_ms: F32


def write_rows(rows: Rows, as_json: bool) -> Iterator[str]:
    """Result lines, a few thousand a string."""
    layout = _json if as_json else _text
    for low in range(0, len(rows.sent), ROWS_AT_ONCE):
        part = slice(low, low + ROWS_AT_ONCE)
        table = Table(rows.table.family[part], rows.table.high[part], rows.table.low[part])
        pieces = layout(Rows(table, rows.sent[part], rows.received[part], rows.rtt_ms[part]))
        n = len(table)
        wide = [np.broadcast_to(np.frombuffer(p, np.uint8), (n, len(p))) if isinstance(p, bytes) else p for p in pieces]
        matrix = np.concatenate(wide, axis=1)
        yield matrix[matrix != 0].tobytes().decode("ascii")


def _text(rows: Rows) -> list[bytes | U8]:
    nothing = b"-"
    loss = _or(_fixed(_loss(rows) * 1000, 1), rows.sent > 0, nothing)
    times = [_or(_fixed(ms * 1000, 6), rows.received > 0, nothing) for ms in _times(rows)]
    pieces: list[bytes | U8] = [addresses(rows.table)]
    for piece in (_whole(rows.sent), _whole(rows.received), loss, *times):
        pieces += [b" ", piece]
    return [*pieces, b"\n"]


def _json(rows: Rows) -> list[bytes | U8]:
    nothing = b"null"
    loss = _or(_fixed(_loss(rows) * 1000, 1), rows.sent > 0, nothing)
    times = [_or(_fixed(ms * 1000, 6), rows.received > 0, nothing) for ms in _times(rows)]
    pieces: list[bytes | U8] = [b'{"address": "', addresses(rows.table)]
    pieces += [b'", "sent": ', _whole(rows.sent), b', "received": ', _whole(rows.received), b', "loss_ratio": ', loss]
    for name, piece in zip((b"min", b"median", b"max"), times, strict=True):
        pieces += [b', "rtt_' + name + b'_ms": ', piece]
    return [*pieces, b"}\n"]


def _loss(rows: Rows) -> npt.NDArray[np.float64]:
    ratio: npt.NDArray[np.float64] = 1.0 - rows.received / np.maximum(rows.sent, 1)
    return ratio


def _times(rows: Rows) -> list[npt.NDArray[np.float64]]:
    return [np.nan_to_num(rows.rtt_ms[:, i].astype(np.float64)) for i in range(3)]


def _digits(value: I64, width: int, least: int) -> U8:
    """Decimal digits of `value` (int64 [n]), uint8 [n, width]; leading zeros are 0, but `least` digits stay."""
    places = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    shown = value[:, None] >= places
    shown[:, width - least :] = True
    return np.where(shown, value[:, None] // places % 10 + _ZERO, 0).astype(np.uint8)


def _whole(value: U16) -> U8:
    return _digits(value.astype(np.int64), max(1, len(str(int(value.max(initial=0))))), 1)


def _fixed(thousandths: npt.NDArray[np.float64], width: int) -> U8:
    """Numbers with three decimals, at most `width` digits before the point."""
    digits = _digits(np.rint(thousandths).astype(np.int64), width + 3, 4)
    return np.concatenate([digits[:, :width], np.full((len(digits), 1), _DOT, np.uint8), digits[:, width:]], axis=1)


def _or(piece: U8, where: npt.NDArray[np.bool_], instead: bytes) -> U8:
    """`instead` in the rows that are not `where`."""
    if where.all():
        return piece
    width = max(piece.shape[1], len(instead))
    matrix = np.zeros((len(piece), width), np.uint8)
    matrix[:, : piece.shape[1]] = piece
    matrix[~where] = np.frombuffer(instead.ljust(width, b"\0"), np.uint8)
    return matrix


_OCTETS = np.array([list(str(i).encode().ljust(3, b"\0")) for i in range(256)], np.uint8)


def addresses(table: Table) -> U8:
    """Addresses as people write them, uint8 [n, w]."""
    six = np.flatnonzero(table.family == 6)
    low = table.low.astype(np.int64)
    matrix = np.zeros((len(table), 39 if len(six) else 15), np.uint8)
    for i, shift in enumerate((24, 16, 8, 0)):
        matrix[:, 4 * i : 4 * i + 3] = _OCTETS[low >> shift & 255]
        if i:
            matrix[:, 4 * i - 1] = _DOT
    if len(six):
        raw = np.stack([table.high[six], table.low[six]], axis=1).astype(">u8").tobytes()
        texts = [socket.inet_ntop(socket.AF_INET6, raw[i : i + 16]).encode() for i in range(0, len(raw), 16)]
        matrix[six] = np.array(texts, "S39").view(np.uint8).reshape(-1, 39)
    return matrix
