"""How often lines fall on their own: learned by hour of week for the network, and by element as a multiple of it.

A rate is per line and hour. Learned from falls that no incident explained, so that an outage does not teach the engine
to expect it. Early, the configured rate stands in; each figure moves away from it as evidence comes in (Gamma-Poisson
shrinkage). The hour of week is that of the clock on the wall, so daylight saving changes nothing; the neighbouring
hours count too.
"""

from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from correlation.times import NS, WEEK_H, hour_of_week
from monitor.inventory import Elements
from monitor.records.rounds import I32

HOUR_NS = 3600 * NS
FORGET = 0.8  # of the last week's weight when its hour comes round again
NETWORK_PRIOR = 3.0  # falls' worth of trust in the configured rate
ELEMENT_PRIOR = 5.0  # falls' worth of trust in the network's rate

MANY = 50  # one line in so many has changed: then all are counted anew

F64 = npt.NDArray[np.float64]


class Background:
    """`falls`, `line_hours` float64 [168]; `element_falls`, `element_expected` float32 [m]."""

    def __init__(self, elements: int, rate_per_line_h: float, timezone: str = "UTC") -> None:
        self.prior = rate_per_line_h
        self.zone = ZoneInfo(timezone)
        self.falls = np.zeros(WEEK_H)
        self.line_hours = np.zeros(WEEK_H)
        self.element_falls = np.zeros(elements, np.float32)
        self.element_expected = np.zeros(elements, np.float32)
        self.last_ns = 0
        self._hour = -1
        self._up = np.zeros(0, np.bool_)  # lines that were up the last time
        self._under = np.zeros(elements, np.int64)

    def hour(self, at_ns: int) -> int:
        """Of the local week; 0 is Monday 0:00."""
        return hour_of_week(at_ns, self.zone)

    def observe(self, now_ns: int, up_lines: npt.NDArray[np.bool_], elements: Elements) -> None:
        """Count the time that lines were up since the last call (call it every few minutes)."""
        elapsed_h = (now_ns - self.last_ns) / HOUR_NS if self.last_ns else 0.0
        self.last_ns = now_ns
        if not 0 < elapsed_h < 1:
            return
        hour = self.hour(now_ns)
        if hour != self._hour:
            if self._hour >= 0:
                self.falls[hour] *= FORGET
                self.line_hours[hour] *= FORGET
            self._hour = hour
        self.line_hours[hour] += np.count_nonzero(up_lines) * elapsed_h
        self.element_expected += (self._up_under(up_lines, elements) * (self.network_rate(now_ns) * elapsed_h)).astype(
            np.float32
        )

    def _up_under(self, up_lines: npt.NDArray[np.bool_], elements: Elements) -> npt.NDArray[np.int64]:
        """Lines that are up under each element, int64 [m]: what it was, and what has changed."""
        changed = np.flatnonzero(up_lines != self._up) if self._up.size == up_lines.size else None
        if changed is None or changed.size > up_lines.size // MANY:
            self._under = elements.sum(up_lines)
        else:
            rose = up_lines[changed]
            for lines, sign in ((changed[rose], 1), (changed[~rose], -1)):
                count = np.searchsorted(lines, elements.hi) - np.searchsorted(lines, elements.lo)
                self._under += sign * count
        self._up = up_lines
        return self._under

    def learn(self, at_ns: npt.NDArray[np.int64], lines: I32, elements: Elements) -> None:
        """Falls that turned out to be their own (`lines` ascending)."""
        if not lines.size:
            return
        # No zone moves its clock but at a full quarter of an hour.
        quarters, counts = np.unique(at_ns // (HOUR_NS // 4), return_counts=True)
        for quarter, count in zip(quarters.tolist(), counts.tolist(), strict=True):
            self.falls[self.hour(quarter * (HOUR_NS // 4))] += count
        count = np.searchsorted(lines, elements.hi) - np.searchsorted(lines, elements.lo)
        self.element_falls += count.astype(np.float32)

    def network_rate(self, at_ns: int) -> float:
        """Per line and hour, the highest of this hour and its neighbours."""
        hour = self.hour(at_ns)
        around = [(hour - 1) % WEEK_H, hour, (hour + 1) % WEEK_H]
        trust = NETWORK_PRIOR / self.prior
        rates = (self.falls[around] + NETWORK_PRIOR) / (self.line_hours[around] + trust)
        return float(rates.max())

    def element_rates(self, at_ns: int, elements: npt.NDArray[np.integer]) -> F64:
        """Per line and hour, float64 like `elements`."""
        own = (self.element_falls[elements] + ELEMENT_PRIOR) / (self.element_expected[elements] + ELEMENT_PRIOR)
        result: F64 = self.network_rate(at_ns) * own.astype(np.float64)
        return result

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        return {
            "background_falls": self.falls.copy(),
            "background_line_hours": self.line_hours.copy(),
            "background_element_falls": self.element_falls.copy(),
            "background_element_expected": self.element_expected.copy(),
            "background_clock": np.array([self.last_ns, self._hour], np.int64),
        }

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        self.falls[:] = arrays["background_falls"]
        self.line_hours[:] = arrays["background_line_hours"]
        self.element_falls[:] = arrays["background_element_falls"]
        self.element_expected[:] = arrays["background_element_expected"]
        self.last_ns, self._hour = (int(x) for x in arrays["background_clock"].tolist())

    def remap(self, to: I32, elements: int) -> "Background":
        """Element i of the old inventory is `to[i]` of the new one, or -1."""
        fresh = Background(elements, self.prior, self.zone.key)
        fresh.falls, fresh.line_hours = self.falls, self.line_hours
        fresh.last_ns, fresh._hour = self.last_ns, self._hour
        kept = np.flatnonzero(to >= 0)
        fresh.element_falls[to[kept]] = self.element_falls[kept]
        fresh.element_expected[to[kept]] = self.element_expected[kept]
        return fresh
