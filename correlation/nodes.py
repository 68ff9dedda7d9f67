"""Probes of network nodes themselves (their management addresses): direct evidence beside that of the lines."""

import numpy as np
import numpy.typing as npt

from monitor.records import ProbeRound
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
MARGIN_NS = 120 * NS  # a node may be found silent before its lines are


class Nodes:
    """`replied_ns`, `miss_ns` int64 [m] and `missed` uint16 [m] by element; `miss_ns` 0: answers or is not probed."""

    def __init__(self, elements: int) -> None:
        self.replied_ns: I64 = np.zeros(elements, np.int64)
        self.miss_ns: I64 = np.zeros(elements, np.int64)
        self.missed: npt.NDArray[np.uint16] = np.zeros(elements, np.uint16)
        self.alarm_ns: I64 = np.zeros(elements, np.int64)  # equipment raised an alarm that is not cleared

    def alarm(self, element: int, raised: bool, at_ns: int) -> None:
        self.alarm_ns[element] = at_ns if raised else 0

    def hear(self, round_: ProbeRound) -> int:
        """Rows of kind ELEMENT; returns how many were of no element."""
        refused = 0
        count = len(self.replied_ns)
        rows = zip(
            round_.target.tolist(), round_.at_ns.tolist(), round_.sent.tolist(), round_.received.tolist(), strict=True
        )
        for target, at, sent, received in rows:
            if not 0 <= target < count:
                refused += 1
            elif sent and received and at >= self.replied_ns[target]:
                self.replied_ns[target], self.miss_ns[target], self.missed[target] = at, 0, 0
            elif sent and not received and at > self.replied_ns[target]:
                self.miss_ns[target] = self.miss_ns[target] or at
                self.missed[target] = min(int(self.missed[target]) + sent, 65_535)
        return refused

    def sign(self, element: int, since_ns: int) -> int:
        """1: answered after `since_ns`; -1: silent (it answered before, and missed twice); 0: nothing known."""
        if element < 0:
            return 0
        if self.miss_ns[element] and self.replied_ns[element] and self.missed[element] >= 2:
            return -1
        return 1 if self.replied_ns[element] > since_ns else 0

    def bonus(self, now_ns: int, dead: float, alive: float, alarm: float, window_s: float) -> dict[int, float]:
        """Extra nats by element that went silent or raised an alarm within the window, or answers."""
        since = now_ns - int(window_s * NS)
        found: dict[int, float] = dict.fromkeys(np.flatnonzero(self.alarm_ns >= max(since, 1)).tolist(), alarm)
        for e in np.flatnonzero(self.replied_ns | self.miss_ns).tolist():
            if self.sign(e, since) < 0 and self.miss_ns[e] >= since - MARGIN_NS:
                found[e] = found.get(e, 0.0) + dead
            elif self.miss_ns[e] == 0 and self.replied_ns[e] > now_ns - 60 * NS:
                found[e] = found.get(e, 0.0) + alive
        return found

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        return {
            "node_replied": self.replied_ns.copy(),
            "node_miss": self.miss_ns.copy(),
            "node_missed": self.missed.copy(),
            "node_alarm": self.alarm_ns.copy(),
        }

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        self.replied_ns[:] = arrays["node_replied"]
        self.miss_ns[:] = arrays["node_miss"]
        self.missed[:] = arrays["node_missed"]
        self.alarm_ns[:] = arrays["node_alarm"]

    def remap(self, to: I32, elements: int) -> "Nodes":
        fresh = Nodes(elements)
        kept = np.flatnonzero(to >= 0)
        fresh.replied_ns[to[kept]] = self.replied_ns[kept]
        fresh.miss_ns[to[kept]] = self.miss_ns[kept]
        fresh.missed[to[kept]] = self.missed[kept]
        fresh.alarm_ns[to[kept]] = self.alarm_ns[kept]
        return fresh
