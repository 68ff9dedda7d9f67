"""Two naive ways to find outages, to compare with: a threshold per element, and DBSCAN over the lines that are down.

Both take a line as down after two misses in a row, once it has ever answered, and know nothing of time, chance,
telemetry or maintenance: what is written in an afternoon.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.inventory import Inventory
from monitor.lab.replay.rounds import RoundReader, resolve_targets
from monitor.lab.replay.source import ObservationSource
from monitor.lab.scoring import Case
from monitor.records import TargetKind

NS = 1_000_000_000
Bools = npt.NDArray[np.bool_]


def states(observations: Path, inventory: Inventory, interval_s: float) -> Iterator[tuple[int, Bools, Bools]]:
    """After each round: its end, who is down, who has ever answered. bool [n] each; the same arrays every time."""
    source = ObservationSource(observations)
    interval = int(interval_s * NS)
    misses = np.zeros(len(inventory), np.int32)
    known = np.zeros(len(inventory), np.bool_)
    reader = RoundReader(source, resolve_targets(source, inventory), inventory, interval)
    for end, rounds in reader.slices(interval):
        for part in rounds:
            if part.kind is TargetKind.LINE:
                asked = part.target[part.sent > 0]
                answered = part.target[part.received > 0]
                misses[asked] += 1
                misses[answered] = 0
                known[answered] = True
        yield end, (misses >= 2) & known, known
    source.close()


class _Open:
    """An incident that is going on: `since` maps its lines to when each was first seen down in it."""

    def __init__(self, name: str, scope: tuple[str, str], start: int) -> None:
        self.name, self.scope, self.start = name, scope, start
        self.since: dict[int, int] = {}

    def add(self, lines: list[int], at: int) -> None:
        for line in lines:
            self.since.setdefault(line, at)

    def case(self, end: int, inventory: Inventory) -> Case:
        ids = inventory.line_ids
        spans = tuple((ids[line], at, end) for line, at in self.since.items())
        return Case(self.name, "outage", self.scope, self.start, end, self.start, frozenset(s[0] for s in spans), spans)


def threshold(observations: Path, inventory: Inventory, interval_s: float = 60.0) -> list[Case]:
    """An outage of the coarsest elements of which three and more lines, and half of those known, are down."""
    elements = inventory.elements
    going: dict[int, _Open] = {}
    done: list[Case] = []
    end = 0
    for end, down, known in states(observations, inventory, interval_s):
        count, total = elements.sum(down), elements.sum(known)
        hit = (count >= 3) & (2 * count >= total)
        above = np.where(elements.parent >= 0, hit[elements.parent], False)
        flagged = np.flatnonzero(hit & ~above).tolist()
        over = [element for element in going if element not in flagged]
        done += [going.pop(element).case(end, inventory) for element in over]
        for element in flagged:
            path = elements.paths[element]
            one = going.setdefault(element, _Open(f"{path}@{end}", ("element", path), end))
            low, high = int(elements.lo[element]), int(elements.hi[element])
            one.add((low + np.flatnonzero(down[low:high])).tolist(), end)
    return done + [one.case(end, inventory) for one in going.values()]


def clusters(observations: Path, inventory: Inventory, interval_s: float = 60.0) -> list[Case]:
    """An outage for each cluster of five lines and more that are down within half a kilometre of each other."""
    from sklearn.cluster import DBSCAN

    going: list[_Open] = []
    done: list[Case] = []
    number = end = 0
    for end, down, _ in states(observations, inventory, interval_s):
        lines = np.flatnonzero(down & ~np.isnan(inventory.lat))
        found: list[npt.NDArray[np.intp]] = []
        if len(lines) >= 5:
            place = np.radians(np.stack([inventory.lat[lines], inventory.lon[lines]], 1))
            # Distances on the plane are near enough here, and a tree over them is fast.
            place[:, 1] *= np.cos(place[:, 0].mean())
            labels = DBSCAN(eps=0.5 / 6371, min_samples=5).fit_predict(place)
            found = [lines[labels == label] for label in range(labels.max() + 1)]
        still: list[_Open] = []
        for cluster in found:
            mine = set(cluster.tolist())
            # The incident that has most lines of this cluster goes on in it.
            same = max(going, key=lambda one: len(mine & one.since.keys()), default=None)
            if same is None or 3 * len(mine & same.since.keys()) < len(mine):
                number += 1
                same = _Open(f"cluster-{number}", _disc(inventory, cluster), end)
            else:
                going.remove(same)
            same.add(cluster.tolist(), end)
            still.append(same)
        done += [one.case(end, inventory) for one in going]
        going = still
    return done + [one.case(end, inventory) for one in going]


def _disc(inventory: Inventory, lines: npt.NDArray[np.intp]) -> tuple[str, str]:
    lat, lon = inventory.lat[lines], inventory.lon[lines]
    north, east = (lat - lat.mean()) * 111.2, (lon - lon.mean()) * 111.2 * np.cos(np.radians(lat.mean()))
    return "area", f"{lat.mean():.4f},{lon.mean():.4f},{np.hypot(north, east).max():.2f}"
