"""What a principal may see of the network: all of it, or the lines and incidents of its regions.

A region is the first element of a path. What lies outside answers as if it did not exist (404, no match), so that no
answer tells whether a foreign line, incident or report is there.
"""

from dataclasses import dataclass

import numpy as np

from monitor.api.auth import Principal
from monitor.inventory import Inventory
from monitor.records import Incident, Scope, ScopeKind, parse_subject

KM_PER_DEGREE = 111.0


@dataclass(frozen=True, slots=True)
class Reach:
    """`spans` are the rows of the regions (low, high), None for everything; they belong to one `inventory`."""

    inventory: Inventory
    regions: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] | None

    @classmethod
    def of(cls, who: Principal, inventory: Inventory) -> "Reach":
        return cls.over(who.regions, inventory)

    @classmethod
    def over(cls, regions: tuple[str, ...], inventory: Inventory) -> "Reach":
        if not regions:
            return cls(inventory, (), None)
        elements = inventory.elements
        found = [e for region in regions if (e := elements.index_of(region)) is not None]
        return cls(inventory, regions, tuple((int(elements.lo[e]), int(elements.hi[e])) for e in found))

    @property
    def everything(self) -> bool:
        return self.spans is None

    def row(self, row: int) -> bool:
        return self.spans is None or any(low <= row < high for low, high in self.spans)

    def path(self, path: str) -> bool:
        """An element's path."""
        return self.spans is None or path.partition("/")[0] in self.regions

    def scope(self, scope: Scope) -> bool:
        """It touches a region. A blind prober is everybody's: it explains why nothing can be said."""
        if self.spans is None or scope.kind is ScopeKind.SOURCE:
            return True
        if scope.kind is ScopeKind.ELEMENT:
            return self.path(scope.name)
        if scope.kind is ScopeKind.GROUP:
            return self._group(scope.name, whole=False)
        return self._area(scope.name)

    def incident(self, incident: Incident) -> bool:
        return self.spans is None or self.scope(incident.scope)

    def subject(self, text: str) -> bool:
        """Whether something may be said about it: a subject of events.csv, wholly within the regions."""
        if self.spans is None:
            return True
        try:
            subject = parse_subject(text)
        except ValueError:
            return False
        if subject.kind == "line":
            row = self.inventory.index_of(subject.name)
            return row is not None and self.row(row)
        if subject.kind == "element":
            return self.path(subject.name)
        return subject.kind == "group" and self._group(f"{subject.group}:{subject.name}", whole=True)

    def touches(self, text: str) -> bool:
        """The same, for what lies only partly within: it is shown on both sides."""
        if self.spans is None or self.subject(text):
            return True
        kind, _, name = text.partition(":")
        return kind == "group" and self._group(name, whole=False)

    def _group(self, name: str, whole: bool) -> bool:
        if (lines := self.inventory.groups.lines_under(name)) is None or self.spans is None:
            return False
        inside = sum(int(np.searchsorted(lines, high) - np.searchsorted(lines, low)) for low, high in self.spans)
        return inside == len(lines) if whole else inside > 0

    def _area(self, name: str) -> bool:
        """By the square around the circle: an incident at the border is shown on both sides of it."""
        lat, lon, radius = (float(part) for part in name.split(","))
        high = radius / KM_PER_DEGREE
        wide = high / max(0.05, float(np.cos(np.radians(lat))))
        for low, end in self.spans or ():
            north, east = self.inventory.lat[low:end], self.inventory.lon[low:end]
            if bool(np.any((np.abs(north - lat) <= high) & (np.abs(east - lon) <= wide))):
                return True
        return False
