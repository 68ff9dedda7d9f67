"""Figures per region, exchange and access node: worked out each minute, condensed to five minutes and hours.

One `Figures` holds a level's m elements as columns: `values` float64 [m, 7] in the order of `FIELDS`; `down_max` is
condensed by its maximum, the others by their mean, `rtt_ms` over the minutes that know one. What the running five
minutes and the running hour hold so far stands in a small file, so that a restart does not shorten them.
"""

import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from monitor.clock import NS
from monitor.inventory import Inventory
from monitor.records import LineState
from monitor.records.rounds import F32, U8
from monitor.store.files import written_aside
from monitor.store.samples.base import F64, LEVELS, STEPS_S
from monitor.store.samples.bins import medians

FIELDS = ("lines", "up", "degraded", "down", "unknown", "down_max", "rtt_ms")
log = logging.getLogger("faultline.samples")
DOWN_MAX, RTT = FIELDS.index("down_max"), FIELDS.index("rtt_ms")


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """`names`: whole paths ("" for the network), in depth-first order."""

    level: str
    names: tuple[str, ...]
    values: F64


def figures(inventory: Inventory, state: U8, rtt_ms: F32) -> list[Figures]:
    """One entry per level that has elements. `state`, `rtt_ms` as in EngineView, of this inventory's lines."""
    elements = inventory.elements
    out = []
    whole = np.array([0]), np.array([len(inventory)])
    for depth, level in enumerate(LEVELS):
        if level == "network":
            names: tuple[str, ...] = ("",)
            lo, hi = whole
        else:
            at = np.flatnonzero(elements.depth == depth - 1)
            at = at[elements.hi[at] > elements.lo[at]]
            names = tuple(elements.paths[i] for i in at)
            lo, hi = elements.lo[at].astype(np.int64), elements.hi[at].astype(np.int64)
        if not names or not len(inventory):
            continue
        values = np.empty((len(names), len(FIELDS)))
        values[:, 0] = hi - lo
        for column, wanted in ((1, LineState.UP), (2, LineState.DEGRADED), (3, LineState.DOWN)):
            total = np.concatenate([[0], np.cumsum(state == wanted)])
            values[:, column] = total[hi] - total[lo]
        values[:, 4] = values[:, 0] - values[:, 1:4].sum(axis=1)
        values[:, DOWN_MAX] = values[:, 3]
        values[:, RTT] = _medians(rtt_ms, lo, hi)
        out.append(Figures(level, names, values))
    return out


def _medians(rtt_ms: F32, lo: np.ndarray, hi: np.ndarray) -> F64:
    # The slices of one level are disjoint and ascending, with gaps where paths are shorter.
    sizes = hi - lo
    first = np.cumsum(sizes) - sizes
    rows = np.repeat(lo - first, sizes) + np.arange(int(sizes.sum()))
    return medians(rtt_ms[rows].astype(np.float64), first)


class Condenser:
    """Collects minutes and gives each longer interval once it is complete. `file`: where it goes on after a restart; a
    damaged one is said and forgotten. Raises OSError when the file cannot be written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: dict[str, _Interval] = {}
        self._over: list[tuple[str, int, Figures]] = []
        self._last_ns = 0
        try:
            self._restore(file.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read (%s): the running hour's roll-up begins anew", file, error)
            self._open, self._last_ns = {}, 0

    def add(self, at_ns: int, minute: list[Figures]) -> list[tuple[str, int, Figures]]:
        """`(step, start_ns, figures)` of the intervals that are over and were not written down (`keep`) yet. A minute
        (its start: `at_ns`) that was added before is not added again."""
        if at_ns > self._last_ns:
            for step in ("5m", "1h"):
                start_ns = at_ns // (STEPS_S[step] * NS) * STEPS_S[step] * NS
                known = self._open.get(step)
                if known is not None and known.start_ns != start_ns:
                    self._over += [(step, known.start_ns, f) for f in known.means()]
                    known = None
                if known is None:
                    known = self._open[step] = _Interval(start_ns)
                for one in minute:
                    known.add(one)
            self._last_ns = at_ns
        return self._over

    def keep(self) -> None:
        """The minute, and the intervals it ended, are stored: write down where to go on after a restart."""
        steps = {step: interval.kept() for step, interval in self._open.items()}
        with written_aside(self._file) as file:
            body = msgspec.msgpack.encode(_Kept(self._last_ns, steps))
            file.write(zlib.crc32(body).to_bytes(4, "little") + body)
        self._over = []

    def _restore(self, data: bytes) -> None:
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            raise ValueError("wrong checksum")
        kept = msgspec.msgpack.decode(data[4:], type=_Kept)
        self._last_ns = kept.last_ns
        self._open = {step: _Interval.of(one) for step, one in kept.steps.items()}


class _KeptLevel(msgspec.Struct, array_like=True):
    names: list[str]
    sums: bytes  # float64 [m, 7]
    counts: bytes


class _KeptInterval(msgspec.Struct, array_like=True):
    start_ns: int
    levels: dict[str, _KeptLevel]


class _Kept(msgspec.Struct, array_like=True):
    last_ns: int
    steps: dict[str, _KeptInterval]


class _Interval:
    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self._names: dict[str, dict[str, int]] = {}
        self._sums: dict[str, F64] = {}
        self._counts: dict[str, F64] = {}

    def kept(self) -> _KeptInterval:
        levels = {
            level: _KeptLevel(list(index), self._sums[level].tobytes(), self._counts[level].tobytes())
            for level, index in self._names.items()
        }
        return _KeptInterval(self.start_ns, levels)

    @classmethod
    def of(cls, kept: _KeptInterval) -> "_Interval":
        made = cls(kept.start_ns)
        for level, one in kept.levels.items():
            shape = (len(one.names), len(FIELDS))
            made._names[level] = {name: i for i, name in enumerate(one.names)}
            made._sums[level] = np.frombuffer(one.sums).reshape(shape).copy()
            made._counts[level] = np.frombuffer(one.counts).reshape(shape).copy()
        return made

    def add(self, one: Figures) -> None:
        index = self._names.setdefault(one.level, {})
        for name in one.names:
            index.setdefault(name, len(index))
        shape = (len(index), len(FIELDS))
        sums, counts = self._sums.get(one.level), self._counts.get(one.level)
        if sums is None or counts is None or sums.shape != shape:
            sums, counts = _grown(sums, shape), _grown(counts, shape)
            self._sums[one.level], self._counts[one.level] = sums, counts
        rows = np.fromiter((index[n] for n in one.names), np.int64, len(one.names))
        known = ~np.isnan(one.values)
        add = np.where(known, one.values, 0.0)
        highest = np.maximum(sums[rows, DOWN_MAX], one.values[:, DOWN_MAX])
        sums[rows] += add
        sums[rows, DOWN_MAX] = highest
        counts[rows] += known

    def means(self) -> Iterator[Figures]:
        for level, index in self._names.items():
            counts = self._counts[level].copy()
            counts[:, DOWN_MAX] = 1
            values = np.full(counts.shape, np.nan)
            np.divide(self._sums[level], counts, out=values, where=counts > 0)
            yield Figures(level, tuple(index), values)


def _grown(array: F64 | None, shape: tuple[int, int]) -> F64:
    out = np.zeros(shape)
    if array is not None:
        out[: len(array)] = array
    return out
