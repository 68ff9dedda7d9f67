"""What every scenario needs: a place and a time that collide with nothing, an element that dies, callers, alarms."""

import numpy as np

from monitor.lab.simulation.booking import Booking, NoRoom
from monitor.lab.simulation.world import MINUTE, NS, World
from monitor.records.rounds import I32, I64

NODES = ("olt", "msan", "cmts")
MIDDLE = ("pon", "slot", "mac-domain", "card", "shelf", "node")
FINEST = ("splitter", "amplifier", "slot", "msan")


class Stage:
    """What a scenario works with: the world, the booking of place and time, and chance."""

    def __init__(self, world: World, booking: Booking, rng: np.random.Generator) -> None:
        self.world = world
        self.network = world.network
        self.booking = booking
        self.rng = rng
        self.sizes = world.network.sizes()
        total = (world.end_ns - world.start_ns) / MINUTE
        self.longest = max(10.0, total / 5)  # minutes; a short run has short faults

    def minutes(self, low: float, high: float) -> int:
        """A duration in ns, log-uniform (or lognormal, cut at the ends): most faults are short."""
        high = min(high, self.longest)
        low = min(low, high)
        if self.network.plan.nature.long_tail:
            middle = np.sqrt(low * high)
            return int(np.clip(middle * self.rng.lognormal(-0.2, 0.6), low, high) * MINUTE)
        return int(np.exp(self.rng.uniform(np.log(low), np.log(high))) * MINUTE)

    def element(self, kinds: tuple[str, ...], low: int, high: int | None = None) -> int:
        """A random element of these kinds with so many lines; raises NoRoom if there is none."""
        high = high if high is not None else len(self.network)
        found = [e for e in self.network.elements_at(kinds) if low <= self.sizes[e] <= high]
        if not found:
            raise NoRoom(f"no {' or '.join(kinds)} with {low} to {high} lines")
        if self.network.plan.nature.by_size:
            weight = np.sqrt([float(self.sizes[e]) for e in found])
            return int(self.rng.choice(found, p=weight / weight.sum()))
        return int(self.rng.choice(found))

    def back(self, count: int, back_s: tuple[float, float]) -> I64:
        """After how many ns each of the lines is back, int64 [count]: evenly within `back_s`, or most of them early."""
        low, high = back_s
        if self.network.plan.nature.settling:
            wait = np.minimum(self.rng.exponential((high - low) / 3, count), 2 * (high - low))
            return ((low + wait) * NS).astype(np.int64)
        return (self.rng.uniform(low, high, count) * NS).astype(np.int64)

    def place(self, lines: I32, duration: int, alone: bool = False) -> int:
        """A start for a fault of these lines that collides with nothing; raises NoRoom."""
        return self.booking.find(self.network.exchange_of(lines), duration, self.rng, alone)

    def calls(self, lines: I32, start: int, end: int, ratio: float = 0.02) -> None:
        """Some of the affected call, most of them early; nobody in the first two minutes."""
        rng = self.rng
        callers = lines[rng.random(len(lines)) < ratio]
        for line, delay in zip(callers.tolist(), rng.exponential(15, len(callers)).tolist(), strict=True):
            at = start + int((2 + delay) * MINUTE)
            if at < end:
                self.world.say(at, self.network.line_ids[line], "call")

    def alarm(self, element: int, start: int, end: int, name: str, ratio: float = 0.5) -> None:
        """The equipment above may notice and say so."""
        if self.rng.random() < ratio:
            subject = f"element:{self.network.paths[element]}"
            self.world.say(start + int(self.rng.uniform(2, 20) * NS), subject, "alarm_raised", name)
            self.world.say(end + int(self.rng.uniform(2, 20) * NS), subject, "alarm_cleared", name)

    def dead(
        self,
        element: int,
        start: int,
        end: int,
        back_s: tuple[float, float],
        *,
        kind: str = "outage",
        cause: str = "element_down",
        alarm: str = "LOS",
    ) -> int:
        """An element fails with everything on it; lines come back one after the other within `back_s` seconds."""
        lines = self.network.lines_of(element)
        scope = ("element", self.network.paths[element])
        fault = self.world.fault(kind, cause, scope, start, end, lines)
        self.world.cut(
            lines,
            start + self.rng.integers(0, 2 * NS, len(lines)),
            end + self.back(len(lines), back_s),
            fault=fault,
        )
        self.world.cut_elements(element, start, end + int(back_s[0] * NS))
        self.alarm(element, start, end, alarm)
        if kind == "outage":
            self.calls(lines, start, end)
        return fault
