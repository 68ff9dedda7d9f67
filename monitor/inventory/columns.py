"""Compact columns of text, and an index over them.

A million Python strings cost 60 MB and more a column; here a column is one byte blob with offsets (unique values)
or integer codes into a short list (repeated values). An index is a sorted array of 64-bit hashes: 12 bytes a row.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from monitor.records.rounds import I32, I64


class StringColumn:
    """n strings in one UTF-8 blob: row i is `blob[offsets[i]:offsets[i + 1]]`. `offsets` is int64 [n + 1]."""

    __slots__ = ("blob", "offsets")

    def __init__(self, blob: bytes, offsets: I64) -> None:
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

    def many(self, rows: npt.NDArray[np.integer]) -> list[str]:
        blob, starts, ends = self.blob, self.offsets[rows].tolist(), self.offsets[rows + 1].tolist()
        return [blob[a:b].decode() for a, b in zip(starts, ends, strict=True)]

    def lengths(self) -> I64:
        return np.diff(self.offsets)

    def take(self, order: npt.NDArray[np.integer]) -> "StringColumn":
        """The column with its rows in another order."""
        lengths = self.lengths()[order]
        offsets = np.zeros(len(order) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        source = np.frombuffer(self.blob, np.uint8)
        out = np.empty(int(offsets[-1]), np.uint8)
        step = 65536  # bounds the temporary index arrays
        for low in range(0, len(order), step):
            part = order[low : low + step]
            sizes = lengths[low : low + step]
            begin = offsets[low : low + len(part)]
            shift = np.repeat(self.offsets[part] - begin, sizes)
            span = np.arange(begin[0], begin[0] + len(shift)) if len(part) else shift
            out[span] = source[span + shift]
        return StringColumn(out.tobytes(), offsets)

    @property
    def nbytes(self) -> int:
        return len(self.blob) + self.offsets.nbytes


class StringBuilder:
    """Collects strings chunk by chunk without keeping the Python objects."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._lengths: list[npt.NDArray[np.int32]] = []

    def extend(self, values: Sequence[str]) -> None:
        joined = "".join(values)
        blob = joined.encode()
        if len(blob) == len(joined):  # ASCII: lengths in characters are lengths in bytes
            lengths = np.fromiter(map(len, values), np.int32, len(values))
        else:
            lengths = np.fromiter((len(v.encode()) for v in values), np.int32, len(values))
        self._parts.append(blob)
        self._lengths.append(lengths)

    def build(self) -> StringColumn:
        lengths = np.concatenate([np.zeros(1, np.int32), *self._lengths])
        blob = b"".join(self._parts)
        self._parts, self._lengths = [], []
        return StringColumn(blob, np.cumsum(lengths, dtype=np.int64))


class CategoryColumn:
    """n strings with many repeats: `codes` int32 [n] into `values`; code 0 is always the empty string."""

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

    def take(self, order: npt.NDArray[np.integer]) -> "CategoryColumn":
        return CategoryColumn(self.codes[order], self.values)

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + sum(len(v) + 60 for v in self.values)


class CategoryBuilder:
    def __init__(self) -> None:
        self._known: dict[str, int] = {"": 0}
        self._codes: list[I32] = []

    def extend(self, values: Sequence[str]) -> None:
        known = self._known
        for value in set(values):
            known.setdefault(value, len(known))
        self._codes.append(np.fromiter(map(known.__getitem__, values), np.int32, len(values)))

    def build(self) -> CategoryColumn:
        # Codes by sorted value, so that the same lines in another order give the same column.
        names = sorted(self._known)
        rank = np.empty(len(names), np.int32)
        rank[[self._known[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        codes = np.concatenate(self._codes) if self._codes else np.zeros(0, np.int32)
        return CategoryColumn(rank[codes], names)


class KeyIndex:
    """Finds the rows that hold a key: hashes sorted (int64 [m]) and their rows (int32 [m]); empty keys are left out.

    Hashes only narrow the search; the caller's column decides, so a collision cannot give a wrong row.
    """

    __slots__ = ("_hashes", "_rows")

    def __init__(self, keys: Iterable[str], count: int) -> None:
        hashes = np.fromiter((hash(k) if k else 0 for k in keys), np.int64, count)
        rows = np.flatnonzero(hashes).astype(np.int32)
        order = np.argsort(hashes[rows], kind="stable")
        self._rows: I32 = rows[order]
        self._hashes: I64 = hashes[self._rows]

    def candidates(self, key: str) -> list[int]:
        """Rows whose key has this hash, ascending."""
        wanted = hash(key)
        low = np.searchsorted(self._hashes, wanted, "left")
        high = np.searchsorted(self._hashes, wanted, "right")
        return sorted(self._rows[low:high].tolist())

    def repeated(self) -> list[tuple[int, int]]:
        """Pairs of rows (first, again) with equal hashes: duplicates, once the caller has compared the keys."""
        same = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        return [(int(self._rows[i]), int(self._rows[i + 1])) for i in same]

    @property
    def nbytes(self) -> int:
        return self._hashes.nbytes + self._rows.nbytes
