"""Is it the line, or do its siblings show it too? Siblings: the lines of its finest element.

Asked only of lines about to be flagged: few. With fewer than five known siblings a line stands alone.
"""

import numpy as np
import numpy.typing as npt

from correlation.lines import LineTable
from monitor.inventory import Inventory
from monitor.records.rounds import F32

LEAST_SIBLINGS = 5
OWN_SHARE = 0.5  # of a line's delay that its siblings must not have


def _span(inventory: Inventory, line: int) -> tuple[int, int]:
    leaf = int(inventory.leaf[line])
    return int(inventory.elements.lo[leaf]), int(inventory.elements.hi[leaf])


def _others(table: LineTable, low: int, high: int, line: int) -> npt.NDArray[np.bool_]:
    up = table.is_up(slice(low, high))
    up[line - low] = False
    return up


def alone(table: LineTable, inventory: Inventory, line: int) -> bool:
    """At least half of the line's delay is its own: above the median delay of its siblings."""
    low, high = _span(inventory, line)
    extra = table.recent_ms[low:high] - table.baseline_ms[low:high]
    known = np.isfinite(extra) & _others(table, low, high, line)
    if np.count_nonzero(known) < LEAST_SIBLINGS:
        return True
    own = float(table.recent_ms[line] - table.baseline_ms[line])
    return own - float(np.median(extra[known])) >= OWN_SHARE * own


def mostly(table: LineTable, inventory: Inventory, line: int, total: F32, limit: float) -> bool:
    """Most siblings show half of the evidence too. `total` float32 [n]: sums that decide at `limit`."""
    low, high = _span(inventory, line)
    up = _others(table, low, high, line)
    count = int(np.count_nonzero(up))
    return count >= LEAST_SIBLINGS and 2 * int(np.count_nonzero(total[low:high][up] >= limit / 2)) > count


def flaps_alone(table: LineTable, inventory: Inventory, line: int) -> bool:
    """A port that comes and goes makes all its lines flap: then it is not the line."""
    low, high = _span(inventory, line)
    if high - low <= LEAST_SIBLINGS:
        return True
    flaps = table.flaps[:, low:high].sum(axis=0)
    own = int(flaps[line - low])
    others = np.sort(np.delete(flaps, line - low))
    twice_median = int(others[(others.size - 1) // 2]) + int(others[others.size // 2])
    return twice_median < own
