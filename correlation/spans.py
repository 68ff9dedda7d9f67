"""What every element's slice of lines shows, for all elements at once: when its lines fell, who was heard since.

An explanation asks it of every element above a fallen line, and most of these are small: one by one, the calls would
cost many times the counting. Large slices are counted each by itself, without copies.
"""

import numpy as np
import numpy.typing as npt

from correlation.evidence import Evidence, Ints, struck
from correlation.settings import CauseSettings
from monitor.records.rounds import I64

SMALL = 512  # lines of a slice that is taken together with others


def struck_each(at_ns: I64, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """`evidence.struck` of each `at_ns[low:high]` (none of them empty): the middle, and the first tenth. At least 1."""
    middle, early = np.empty(low.size, np.int64), np.empty(low.size, np.int64)
    size = high - low
    for i in np.flatnonzero(size > SMALL).tolist():
        middle[i], early[i] = struck(at_ns[low[i] : high[i]])
    small = np.flatnonzero(size <= SMALL)
    if small.size:
        order = np.argsort(at_ns, kind="stable")
        rank = np.empty(order.size, np.int64)
        rank[order] = np.arange(order.size)
        place, start = _places(low[small], size[small])
        # Sorted by slice, and within it by time: the rank among all stands for the time.
        key = np.repeat(np.arange(small.size) * order.size, size[small]) + rank[place]
        key.sort()
        base = np.arange(small.size) * order.size
        middle[small] = np.maximum(at_ns[order[key[start + size[small] // 2] - base]], 1)
        early[small] = np.maximum(at_ns[order[key[start + size[small] // 10] - base]], 1)
    return middle, early


def heard_each(
    evidence: Evidence,
    low: npt.NDArray[np.integer],
    high: npt.NDArray[np.integer],
    middle: Ints,
    early: Ints,
    settings: CauseSettings,
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Of the lines low:high of each element: how many were spared since `middle`, and `Evidence.covered`."""
    first: Ints = low.astype(np.int64)
    size: Ints = (high - low).astype(np.int64)
    spared, covered = np.zeros(first.size, np.int64), np.ones(first.size, np.bool_)
    for i in np.flatnonzero(size > SMALL).tolist():
        span = slice(int(first[i]), int(high[i]))
        spared[i] = np.count_nonzero(evidence.seen_ns[span] >= middle[i])
        covered[i] = evidence.covered(span, int(middle[i]), int(early[i]), settings.min_coverage)
    small = np.flatnonzero(size <= SMALL)
    if not small.size:
        return spared, covered
    size = size[small]
    place, start = _places(first[small], size)
    since = np.repeat(middle[small], size)
    spared[small] = np.add.reduceat(evidence.seen_ns[place] >= since, start, dtype=np.int64)
    if evidence.asked_ns is not None:
        asked = evidence.asked_ns[place]
        known = np.add.reduceat(asked != 0, start, dtype=np.int64)
        soon = np.add.reduceat(asked >= np.repeat(early[small], size), start, dtype=np.int64)
        later = np.add.reduceat(asked >= since, start, dtype=np.int64)
        least = settings.min_coverage
        covered[small] = (soon >= least * known) & (later >= least / 2 * known)
    return spared, covered


def _places(low: Ints, size: Ints) -> tuple[Ints, Ints]:
    """All numbers of the slices, one slice after the other, and where each begins among them."""
    start = np.cumsum(size) - size
    return np.repeat(low - start, size) + np.arange(int(size.sum())), start
