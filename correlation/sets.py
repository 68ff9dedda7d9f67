"""Sets of line and element numbers as sorted arrays: what numpy's own set functions do, without what they spend.

`numpy.unique` builds a hash table before it sorts, and `numpy.isin` a table of the whole range of numbers; for the
short arrays of a step, and for arrays that are sorted anyway, both cost many times the work itself.
"""

import numpy as np
import numpy.typing as npt

from monitor.records.rounds import I32

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


def contained(values: npt.NDArray[np.integer], ascending: npt.NDArray[np.integer]) -> Flags:
    """Which of `values` are in `ascending` (sorted)? bool like `values`."""
    if not ascending.size:
        return np.zeros(values.shape, np.bool_)
    place = np.searchsorted(ascending, values)
    np.minimum(place, ascending.size - 1, out=place)
    found: Flags = ascending[place] == values
    return found
