"""Sets of line and element numbers as sorted arrays: what numpy's own set functions do, without what they spend.

`numpy.unique` builds a hash table before it sorts, and `numpy.isin` a table of the whole range of numbers; for the
short arrays of a step, and for arrays that are sorted anyway, both cost many times the work itself.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.records.rounds import I32

MANY = 50  # a table of so many numbers is read in about the time in which one is sorted
Index = slice | npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


def distinct(values: I32) -> I32:
    """Each number once, ascending."""
    if values.size < 2:
        return values.copy()
    ordered = np.sort(values)
    keep = np.empty(ordered.size, np.bool_)
    keep[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]


def distinct_lines(parts: Sequence[I32], among: int) -> I32:
    """The numbers of all parts, each once, ascending; all below `among`. Many are marked in a table, few are sorted."""
    count = sum(part.size for part in parts)
    if MANY * count < among:
        return distinct(np.concatenate(parts)) if parts else np.zeros(0, np.int32)
    mark = np.zeros(among, np.bool_)
    for part in parts:
        mark[part.astype(np.intp)] = True
    return np.flatnonzero(mark).astype(np.int32)


def as_index(lines: npt.NDArray[np.integer]) -> Index:
    """What columns are read and written by: neighbouring lines as a slice, so that a round of everybody reads its
    columns where they lie; others as numpy's own kind of index, converted once and not by every column."""
    if lines.size and lines[-1] - lines[0] == lines.size - 1 and bool((lines[1:] > lines[:-1]).all()):
        return slice(int(lines[0]), int(lines[-1]) + 1)
    return lines.astype(np.intp)


def all_distinct(lines: I32, among: int) -> bool:
    """Is no number there twice? All below `among`."""
    if lines.size < 2 or bool((lines[1:] > lines[:-1]).all()):
        return True
    if MANY * lines.size < among:
        return distinct(lines).size == lines.size
    mark = np.zeros(among, np.bool_)
    mark[lines.astype(np.intp)] = True
    return int(np.count_nonzero(mark)) == lines.size


def contained(values: npt.NDArray[np.integer], ascending: npt.NDArray[np.integer]) -> Flags:
    """Which of `values` are in `ascending` (sorted)? bool like `values`."""
    if not ascending.size:
        return np.zeros(values.shape, np.bool_)
    place = np.searchsorted(ascending, values)
    np.minimum(place, ascending.size - 1, out=place)
    found: Flags = ascending[place] == values
    return found
