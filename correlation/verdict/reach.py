"""Does a scope reach a line?"""

import math

from monitor.inventory import Inventory
from monitor.records import Scope, ScopeKind

EARTH_KM = 6371.0088  # mean radius, IUGG


def covers(inventory: Inventory, scope: Scope, line: int) -> bool:
    """True when row `line` lies under the element, in the group or in the circle of `scope`.

    A scope that the inventory does not know (any more), or of kind source, covers nothing.
    """
    if scope.kind is ScopeKind.ELEMENT:
        element = inventory.elements.index_of(scope.name)
        return element is not None and bool(
            inventory.elements.lo[element] <= line < inventory.elements.hi[element],
        )
    if scope.kind is ScopeKind.GROUP:
        parts = inventory.groups.parts(scope.name)
        return parts is not None and set(parts) <= set(inventory.groups.groups_of(line).tolist())
    if scope.kind is ScopeKind.AREA:
        lat, lon, radius_km = (float(part) for part in scope.name.split(","))
        return distance_km(lat, lon, float(inventory.lat[line]), float(inventory.lon[line])) <= radius_km
    return False


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance by the haversine formula, km; NaN (never <= anything) when a position is not known."""
    a, b = math.radians(lat1), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half)) if half == half else math.nan
