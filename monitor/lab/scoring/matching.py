"""Which incident is which truth: one to one, best first; and whether its scope is the right one."""

from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

from monitor.inventory import Inventory
from monitor.lab.scoring.cases import Case

AT_LEAST = 0.5  # Jaccard index of the line sets
EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    truth: Case
    incident: Case
    jaccard: float
    scope_right: bool


class Scopes:
    """Compares scopes; elements with the same lines are the same, which only the inventory can tell."""

    def __init__(self, inventory: Inventory | None = None) -> None:
        self._inventory = inventory

    def same(self, one: tuple[str, str], other: tuple[str, str]) -> bool:
        """Raises nothing: a scope that cannot be read is simply another one."""
        if one == other:
            return True
        if one[0] != other[0]:
            return False
        if one[0] == "area":
            return same_area(one[1], other[1])
        return one[0] == "element" and self._same_lines(one[1], other[1])

    def _same_lines(self, one: str, other: str) -> bool:
        if self._inventory is None:
            return False
        elements = self._inventory.elements
        a, b = elements.index_of(one), elements.index_of(other)
        if a is None or b is None or elements.lo[a] == elements.hi[a]:
            return False
        return bool(elements.lo[a] == elements.lo[b] and elements.hi[a] == elements.hi[b])


def same_area(one: str, other: str) -> bool:
    """Areas "lat,lon,radius_km" whose centres lie within the larger radius."""
    a, b = _numbers(one), _numbers(other)
    if a is None or b is None:
        return False
    return distance_km(a[0], a[1], b[0], b[1]) <= max(a[2], b[2])


def _numbers(area: str) -> tuple[float, float, float] | None:
    try:
        lat, lon, radius = (float(part) for part in area.split(","))
    except ValueError:
        return None
    return lat, lon, radius


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance (haversine)."""
    p1, p2 = radians(lat1), radians(lat2)
    half = sin((p2 - p1) / 2) ** 2 + cos(p1) * cos(p2) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(min(1.0, half)))


def match(truths: list[Case], incidents: list[Case], scopes: Scopes) -> list[Pair]:
    """Pairs that overlap in time with a Jaccard index of at least 0.5 (two empty line sets: equal kind and scope).

    One to one, best first: by Jaccard index, then equal kind, right scope, longest common time, order in the files.
    """
    found = []
    for i, incident in enumerate(incidents):
        for t, truth in enumerate(truths):
            if not incident.overlaps(truth):
                continue
            right = scopes.same(truth.scope, incident.scope)
            alike = _alike(truth, incident, right)
            if alike >= AT_LEAST:
                common = min(truth.end_ns, incident.end_ns) - max(truth.start_ns, incident.start_ns)
                found.append((-alike, truth.kind != incident.kind, not right, -common, t, i))
    pairs: list[Pair] = []
    taken_truths: set[int] = set()
    taken_incidents: set[int] = set()
    for alike, _, wrong, _, t, i in sorted(found):
        if t not in taken_truths and i not in taken_incidents:
            taken_truths.add(t)
            taken_incidents.add(i)
            pairs.append(Pair(truths[t], incidents[i], -alike, not wrong))
    return pairs


def _alike(truth: Case, incident: Case, right: bool) -> float:
    if not truth.lines and not incident.lines:
        return 1.0 if right and truth.kind == incident.kind else 0.0
    common = len(truth.lines & incident.lines)
    return common / (len(truth.lines) + len(incident.lines) - common)
