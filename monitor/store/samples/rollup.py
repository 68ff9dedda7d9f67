"""Figures per region, exchange and access node: worked out each minute, condensed to five minutes and hours.

One `Figures` holds a level's m elements as columns: `values` float64 [m, 7] in the order of `FIELDS`; `down_max` is
condensed by its maximum, the others by their mean, `rtt_ms` over the minutes that know one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monitor.clock import NS
from monitor.inventory import Inventory
from monitor.records import LineState
from monitor.records.rounds import F32, U8
from monitor.store.samples.base import F64, LEVELS, STEPS_S
from monitor.store.samples.bins import medians

FIELDS = ("lines", "up", "degraded", "down", "unknown", "down_max", "rtt_ms")
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
    """Collects minutes and gives each longer interval once it is complete. After a restart, the running interval holds
    only the minutes since."""

    def __init__(self) -> None:
        self._open: dict[str, _Interval] = {}

    def add(self, at_ns: int, minute: list[Figures]) -> Iterator[tuple[str, int, Figures]]:
        """`(step, start_ns, figures)` of the intervals that this minute (its start: `at_ns`) shows to be over."""
        for step in ("5m", "1h"):
            start_ns = at_ns // (STEPS_S[step] * NS) * STEPS_S[step] * NS
            known = self._open.get(step)
            if known is not None and known.start_ns != start_ns:
                yield from ((step, known.start_ns, f) for f in known.means())
                known = None
            if known is None:
                known = self._open[step] = _Interval(start_ns)
            for one in minute:
                known.add(one)


class _Interval:
    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self._names: dict[str, dict[str, int]] = {}
        self._sums: dict[str, F64] = {}
        self._counts: dict[str, F64] = {}

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
