"""Lines that failed with an element though their record puts them elsewhere.

Records are wrong for a line in a hundred, in some exchanges for one in ten. When an element fails as a whole, its
misfiled lines fall in the same moment among its other lines, while the port they are filed under goes on. They are no
second cause (an area, a group that happens to hold them): they are told with the element, and listed as suspects.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from correlation.areas import EARTH_KM
from correlation.evidence import NS, Cause, cause_span
from correlation.sets import contained
from monitor.inventory import Inventory
from monitor.records import Scope
from monitor.records.rounds import I32, I64

WHOLE = 0.8  # share of an element's lines that must have fallen before a line beside it is taken for its own
MOMENT_NS = 30 * NS
MOST_SHARE = 0.25  # of the element's fallen lines: more of them are another failure
FEW = 2
LEVELS = 2  # how far up the neighbourhood reaches where no place is known
LEAST_KM = 0.1
SAMPLE = 400  # lines of the element by which the usual distance is measured
NONE: I32 = np.zeros(0, np.int32)
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Falls:
    """`lines` ascending fell `at_ns`; `seen_ns` int64 [n]: last sign of life of every line that did not, else 0."""

    lines: I32
    at_ns: I64
    seen_ns: I64
    inventory: Inventory


def strays_of(causes: list[Cause], falls: Falls) -> list[I32]:
    """For each of these causes the fallen lines, told by none of them, that fell with it; ascending, disjoint."""
    told = np.sort(np.concatenate([NONE, *(c.told for c in causes)]))
    free: Flags = ~contained(falls.lines, told)
    found = [NONE] * len(causes)
    for i in sorted(range(len(causes)), key=lambda i: (-causes[i].missing, causes[i].scope.name)):
        if not free.any():
            break
        if any(_together(causes[i], other, falls.inventory) for other in causes if other is not causes[i]):
            continue
        mine = _strays(causes[i], falls, free)
        if mine.size:
            found[i] = falls.lines[mine]
            free[mine] = False
    return found


def strays_of_work(scope: Scope, dead: I32, falls: Falls) -> I32:
    """The same for announced work on an element: `dead` of its lines fell, `falls` holds them and what fell beside."""
    element = falls.inventory.elements.index_of(scope.name)
    if element is None or dead.size < 2:
        return NONE
    elements = falls.inventory.elements
    start_ns, spread_s, middle_ns = cause_span(falls.at_ns[np.searchsorted(falls.lines, dead)])
    spared = np.count_nonzero(falls.seen_ns[int(elements.lo[element]) : int(elements.hi[element])] >= middle_ns)
    cause = Cause(scope, dead, dead.size + int(spared), 0.0, 0.0, 0.0, start_ns, spread_s, element=element, told=dead)
    return strays_of([cause], falls)[0]


def _together(cause: Cause, other: Cause, inventory: Inventory) -> bool:
    """Did another failure of some size strike in the same moment among its lines? Then something larger may be behind
    both, and what fell beside them too."""
    if other.missing <= max(FEW, MOST_SHARE * cause.missing):
        return False
    if other.start_ns > cause.start_ns + int(cause.spread_s * NS) + MOMENT_NS:
        return False
    if cause.start_ns > other.start_ns + int(other.spread_s * NS) + MOMENT_NS:
        return False
    return bool(_among(cause, other.told, inventory).any())


def _strays(cause: Cause, falls: Falls, free: Flags) -> Places:
    """Where they stand in `falls`."""
    none = np.zeros(0, np.int64)
    if cause.element < 0 or cause.share < WHOLE or cause.told.size < 2:
        return none
    end = cause.start_ns + int(cause.spread_s * NS) + MOMENT_NS
    at = np.flatnonzero(free & (falls.at_ns >= cause.start_ns - MOMENT_NS) & (falls.at_ns <= end))
    if not at.size:
        return none
    at = at[_among(cause, falls.lines[at], falls.inventory)]
    if not at.size:
        return none
    at = at[_odd(falls, falls.lines[at], cause.start_ns)]
    return at if at.size <= max(FEW, MOST_SHARE * cause.missing) else none


def _among(cause: Cause, lines: I32, inventory: Inventory) -> Flags:
    """Which of `lines` lie among the cause's: as near to one of them as those are to each other."""
    elements = inventory.elements
    around = cause.element
    for _ in range(LEVELS):
        if elements.parent[around] >= 0 and elements.depth[around] > 1:
            around = int(elements.parent[around])
    near: Flags = (lines >= elements.lo[around]) & (lines < elements.hi[around])
    own = cause.told[np.isfinite(inventory.lat[cause.told]) & np.isfinite(inventory.lon[cause.told])]
    placed = np.isfinite(inventory.lat[lines]) & np.isfinite(inventory.lon[lines])
    if own.size < 2 or not placed.any():
        return near
    flat = _flat(inventory, float(inventory.lat[own].mean()))
    tree = cKDTree(flat(own))
    between: F64 = np.asarray(tree.query(flat(own[:: max(1, own.size // SAMPLE)]), k=2)[0])[:, 1]
    reach = max(LEAST_KM, 2 * float(np.quantile(between, 0.9)))
    inside = np.zeros(lines.size, np.bool_)
    inside[placed] = tree.query(flat(lines[placed]))[0] <= reach
    result: Flags = np.where(placed, inside, near)
    return result


def _flat(inventory: Inventory, lat0: float) -> Callable[[I32], F64]:
    """Kilometres north and east, float64 [k, 2]: flat enough within a neighbourhood."""
    north, east = math.radians(1) * EARTH_KM, math.radians(1) * EARTH_KM * math.cos(math.radians(lat0))
    return lambda lines: np.stack([inventory.lat[lines] * north, inventory.lon[lines] * east], axis=1)


def _odd(falls: Falls, lines: I32, since_ns: int) -> Flags:
    """Which of `lines` fell while most of the lines filed with them went on?"""
    elements = falls.inventory.elements
    leaf = falls.inventory.leaf[lines]
    low, high = elements.lo[leaf], elements.hi[leaf]
    fell = np.searchsorted(falls.lines, high) - np.searchsorted(falls.lines, low)
    went_on = np.array(
        [np.count_nonzero(falls.seen_ns[a:b] >= since_ns) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    )
    result: Flags = fell <= np.maximum(went_on, 1)
    return result
