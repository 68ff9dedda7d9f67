"""How much slower an element's lines are at this hour of the week: the shared rhythm, learned per finest element.

A line's own baseline moves over hours; what all lines of an element do every evening is their element's rhythm and no
line's fault. float32 [elements, 168] (a million lines on 31,000 splitters: 21 MB, where a line each would be 672 MB).
"""

from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from correlation.times import NS, WEEK_H, hour_of_week
from monitor.inventory import Inventory
from monitor.records.rounds import F32, I32

EVERY_NS = 300 * NS
CLIP = 0.5  # of the baseline: one line's trouble does not become its element's rhythm
LEAST_LINES = 3
WEIGHT = np.float32(0.03)  # of five minutes; twelve make an hour


class Seasons:
    """`ratio` float32 [m, 168]: by how much of the baseline round trips lie above it."""

    def __init__(self, elements: int, timezone: str = "UTC") -> None:
        self.ratio: F32 = np.zeros((elements, WEEK_H), np.float32)
        self.zone = ZoneInfo(timezone)
        self.learned_ns = 0

    def hour(self, at_ns: int) -> int:
        """Of the local week; 0 is Monday 0:00."""
        return hour_of_week(at_ns, self.zone)

    def now(self, at_ns: int) -> F32:
        """What is usual in this hour, float32 [m]; neighbouring hours run into each other, daylight saving too."""
        hour = self.hour(at_ns)
        around = self.ratio[:, [(hour - 1) % WEEK_H, hour, (hour + 1) % WEEK_H]]
        result: F32 = np.maximum(around.max(axis=1), 0)
        return result

    def learn(self, now_ns: int, inventory: Inventory, above: F32, settled: npt.NDArray[np.bool_]) -> None:
        """`above` float32 [n]: share by which each line's round trip lies above its baseline; `settled` bool [n]:
        lines that are up, known and not flagged. At most once in five minutes."""
        if now_ns - self.learned_ns < EVERY_NS:
            return
        self.learned_ns = now_ns
        count = np.bincount(inventory.leaf[settled], minlength=len(self.ratio))
        clipped = np.clip(above[settled], -CLIP, CLIP)
        total = np.bincount(inventory.leaf[settled], weights=clipped, minlength=len(self.ratio))
        enough = np.flatnonzero(count >= LEAST_LINES)
        mean = (total[enough] / count[enough]).astype(np.float32)
        hour = self.hour(now_ns)
        self.ratio[enough, hour] += WEIGHT * (mean - self.ratio[enough, hour])

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        return {"season_ratio": self.ratio.copy(), "season_clock": np.array([self.learned_ns], np.int64)}

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        saved = arrays.get("season_ratio")
        if saved is not None and saved.shape == self.ratio.shape:
            self.ratio[:] = saved
            self.learned_ns = int(arrays["season_clock"][0])

    def remap(self, to: I32, elements: int) -> "Seasons":
        """Element i is `to[i]` of the new inventory, or -1."""
        fresh = Seasons(elements, self.zone.key)
        kept = np.flatnonzero(to >= 0)
        fresh.ratio[to[kept]] = self.ratio[kept]
        fresh.learned_ns = self.learned_ns
        return fresh
