"""Compact columns of text, and an index over them.

A million Python strings cost 60 MB and more a column; here a column is one byte blob with offsets (unique values)
or integer codes into a short list (repeated values). An index is a sorted array of hashes: 8 bytes a row.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from monitor.records.rounds import I32

U32 = npt.NDArray[np.uint32]
STEP = 65536  # rows handled at a time: bounds every temporary
_Scalar = TypeVar("_Scalar", bound=np.generic)


class GrowingArray(Generic[_Scalar]):
    """An array that grows at its end in place: a list of parts would have to be held twice when it is joined."""

    def __init__(self, dtype: type[_Scalar]) -> None:
        self._dtype = dtype
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes) // np.dtype(self._dtype).itemsize

    def extend(self, values: npt.NDArray[_Scalar]) -> None:
        self._bytes += np.ascontiguousarray(values, self._dtype).tobytes()

    def take(self) -> npt.NDArray[_Scalar]:
        """All of it; nothing stays here."""
        whole, self._bytes = self._bytes, bytearray()
        return np.frombuffer(whole, self._dtype)


class StringColumn:
    """n strings in one UTF-8 blob (below 4 GiB); row i is `blob[offsets[i]:offsets[i + 1]]`, offsets uint32 [n + 1]."""

    __slots__ = ("blob", "offsets")

    def __init__(self, blob: bytes | bytearray, offsets: U32) -> None:
        self.blob = blob
        self.offsets = offsets

    @classmethod
    def of(cls, values: Iterable[str]) -> "StringColumn":
        builder = StringBuilder()
        builder.extend(list(values))
        return builder.build()

    def __len__(self) -> int:
        return int(self.offsets.shape[0]) - 1

    def __getitem__(self, row: int) -> str:
        return self.blob[self.offsets[row] : self.offsets[row + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        for low in range(0, len(self), STEP):
            yield from self.span(low, min(low + STEP, len(self)))

    def span(self, low: int, high: int) -> list[str]:
        """Rows low:high."""
        if high <= low:
            return []
        at = self.offsets[low : high + 1].tolist()
        base = at[0]
        part = self.blob[base : at[-1]]
        if part.isascii():
            text = part.decode()
            return [text[a - base : b - base] for a, b in pairwise(at)]
        return [part[a - base : b - base].decode() for a, b in pairwise(at)]

    def many(self, rows: npt.NDArray[np.integer]) -> list[str]:
        blob, starts, ends = self.blob, self.offsets[rows].tolist(), self.offsets[rows + 1].tolist()
        return [blob[a:b].decode() for a, b in zip(starts, ends, strict=True)]

    def take(self, order: npt.NDArray[np.integer]) -> "StringColumn":
        """The column with its rows in another order."""
        lengths = np.diff(self.offsets)[order]
        offsets = np.zeros(len(order) + 1, np.uint32)
        np.cumsum(lengths, out=offsets[1:])
        source = np.frombuffer(self.blob, np.uint8)
        blob = bytearray(int(offsets[-1]))
        out = np.frombuffer(blob, np.uint8)
        step = STEP // 4  # the index arrays below have a row per byte
        for low in range(0, len(order), step):
            part = order[low : low + step]
            begin, end = int(offsets[low]), int(offsets[low + len(part)])
            shift = np.repeat(
                self.offsets[part].astype(np.int64) - offsets[low : low + len(part)], lengths[low : low + step]
            )
            shift += np.arange(begin, end)
            out[begin:end] = source[shift]
        return StringColumn(blob, offsets)

    @property
    def nbytes(self) -> int:
        return len(self.blob) + self.offsets.nbytes


class StringBuilder:
    """Collects strings chunk by chunk without keeping the Python objects."""

    def __init__(self) -> None:
        self._blob = bytearray()
        self._lengths = GrowingArray(np.uint32)

    def __len__(self) -> int:
        return len(self._lengths)

    def extend(self, values: Sequence[str]) -> None:
        joined = "".join(values)
        blob = joined.encode()
        if len(blob) == len(joined):  # ASCII: lengths in characters are lengths in bytes
            lengths = np.fromiter(map(len, values), np.uint32, len(values))
        else:
            lengths = np.fromiter((len(v.encode()) for v in values), np.uint32, len(values))
        self._blob += blob
        self._lengths.extend(lengths)

    def build(self) -> StringColumn:
        """The column; the builder is empty afterwards."""
        blob, self._blob = self._blob, bytearray()
        if len(blob) >= 1 << 32:
            raise ValueError("a text column has more than 4 GiB")
        offsets = np.zeros(len(self._lengths) + 1, np.uint32)
        np.cumsum(self._lengths.take(), out=offsets[1:])
        return StringColumn(blob, offsets)


class CategoryColumn:
    """n strings with many repeats: `codes` int32 [n] into `values`, which are sorted and begin with ""."""

    __slots__ = ("codes", "values")

    def __init__(self, codes: I32, values: Sequence[str]) -> None:
        self.codes = codes
        self.values = tuple(values)

    @classmethod
    def of(cls, values: Iterable[str]) -> "CategoryColumn":
        builder = CategoryBuilder()
        builder.extend(list(values))
        return builder.build()

    def __len__(self) -> int:
        return int(self.codes.shape[0])

    def __getitem__(self, row: int) -> str:
        return self.values[int(self.codes[row])]

    def __iter__(self) -> Iterator[str]:
        for low in range(0, len(self), STEP):
            yield from self.span(low, low + STEP)

    def span(self, low: int, high: int) -> list[str]:
        """Rows low:high."""
        return [self.values[c] for c in self.codes[low:high].tolist()]

    def take(self, order: npt.NDArray[np.integer]) -> "CategoryColumn":
        return CategoryColumn(self.codes[order], self.values)

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + sum(len(v) + 60 for v in self.values)


class CategoryBuilder:
    """Collects repeated strings as codes."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {"": 0}
        self._codes = GrowingArray(np.int32)

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def distinct(self) -> int:
        return len(self._known)

    def extend(self, values: Sequence[str]) -> list[str]:
        """Append; returns the values that were not there before."""
        known = self._known
        new = [value for value in set(values) if value not in known]
        for value in new:
            known[value] = len(known)
        self._codes.extend(np.fromiter(map(known.__getitem__, values), np.int32, len(values)))
        return new

    def build(self) -> CategoryColumn:
        """The column, with codes by sorted value, so that the order of the rows does not matter."""
        names = sorted(self._known)
        rank = np.empty(len(names), np.int32)
        rank[[self._known[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        self._known = {"": 0}
        return CategoryColumn(rank[self._codes.take()], names)

    def texts(self) -> StringBuilder:
        """The same rows as a StringBuilder: for a column that turned out to have few repeats."""
        values = list(self._known)
        into = StringBuilder()
        codes = self._codes.take()
        for low in range(0, len(codes), STEP):
            into.extend([values[c] for c in codes[low : low + STEP].tolist()])
        return into


class MixedBuilder:
    """A column of which nothing is known beforehand: repeated values as long as they do repeat, else plain text."""

    FEW = 50_000

    def __init__(self) -> None:
        self._into: CategoryBuilder | StringBuilder = CategoryBuilder()

    def extend(self, values: Sequence[str]) -> None:
        self._into.extend(values)
        if isinstance(self._into, CategoryBuilder) and self._into.distinct > self.FEW:
            self._into = self._into.texts()

    def build(self) -> CategoryColumn | StringColumn:
        return self._into.build()


class KeyIndex:
    """Finds the rows that hold a key: 32-bit hashes, sorted (uint32 [m]), and their rows (int32 [m]); empty keys are
    left out.

    Hashes only narrow the search; the caller's column decides, so a collision cannot give a wrong row.
    """

    __slots__ = ("_hashes", "_rows")

    def __init__(self, keys: Iterable[str], count: int) -> None:
        hashes = np.fromiter(map(hash, keys), np.int64, count)  # the hash of "" is 0
        rows = np.flatnonzero(hashes).astype(np.int32)
        short = _short(hashes[rows])
        del hashes
        order = np.argsort(short, kind="stable").astype(np.int32)
        self._rows: I32 = rows[order]
        self._hashes: U32 = short[order]

    def candidates(self, key: str) -> list[int]:
        """Rows whose key has this hash, ascending."""
        wanted = _short(np.array([hash(key)], np.int64))[0]
        low = int(self._hashes.searchsorted(wanted))
        if low == len(self._hashes) or self._hashes[low] != wanted:
            return []
        return self.rows(low, int(self._hashes.searchsorted(wanted, "right")))

    def ranges(self, keys: Sequence[str]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """For each key the range (low, high) of positions with its hash; see `rows`."""
        wanted = _short(np.fromiter(map(hash, keys), np.int64, len(keys)))
        return np.searchsorted(self._hashes, wanted, "left"), np.searchsorted(self._hashes, wanted, "right")

    def first(self, low: npt.NDArray[np.intp]) -> I32:
        """The first row at each of these positions (any row where the position is past the end; 0 without rows)."""
        if not len(self._rows):
            return np.zeros(len(low), np.int32)
        return self._rows[np.minimum(low, len(self._rows) - 1)]

    def rows(self, low: int, high: int) -> list[int]:
        """The rows at positions low:high, ascending."""
        rows: list[int] = self._rows[low:high].tolist()
        return rows

    def repeated(self) -> Iterator[list[int]]:
        """Groups of two and more rows with equal hashes: duplicates, once the caller has compared the keys."""
        same = self._hashes[1:] == self._hashes[:-1]
        edges = np.diff(np.concatenate([[0], same.astype(np.int8), [0]]))
        for begin, end in zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True):
            yield self.rows(begin, end + 1)

    @property
    def nbytes(self) -> int:
        return self._hashes.nbytes + self._rows.nbytes


def _short(hashes: npt.NDArray[np.int64]) -> U32:
    """32 of the 64 bits of Python's hash (SipHash mixes all of them)."""
    return hashes.view(np.uint64).astype(np.uint32)
