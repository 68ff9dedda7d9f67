"""What happens in a simulation: which lines are cut off when and why, what is slow, who says so, what is true.

Times are int64 ns UTC. Everything is gathered first and sorted into rounds later, so that the order in which
scenarios are placed changes nothing.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.lab.simulation.network import Network
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
MINUTE = 60 * NS
HOUR = 3600 * NS
BUSINESS_EVERY = 20  # one line in so many is a business


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Lines without service: `lines` int32 [k], `start_ns`, `end_ns` int64 [k]. `power`: the CPE has no power.

    `pings_only`: traffic goes on, only pings are filtered. `fault`: index of the truth it belongs to, or -1.
    """

    lines: I32
    start_ns: I64
    end_ns: I64
    power: bool = False
    pings_only: bool = False
    fault: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Slowdown:
    """Lines with additional loss (ratio) and round-trip time (ms) between two times."""

    lines: I32
    start_ns: int
    end_ns: int
    loss_ratio: float
    rtt_ms: float


@dataclass(frozen=True, slots=True)
class Said:
    """One row of events.csv."""

    at_ns: int
    subject: str
    kind: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was placed, fault or benign, with the time booked for it: for whoever asks why an incident is."""

    scenario: str
    what: str
    start_ns: int
    end_ns: int


@dataclass(slots=True, eq=False)
class Fault:
    """One truth: what really failed, from when to when, and the lines it really hit.

    `intervals` are the times (line, start_ns, end_ns) in which a line was down because of this and nothing else.
    """

    kind: str
    cause: str
    scope: tuple[str, str]
    start_ns: int
    end_ns: int
    lines: I32
    intervals: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class World:
    """One run. `nodes` are the probed elements, `references` the reference targets (an exchange's path, or a name
    outside the network); `cut_nodes`, `cut_references` map them to times without an answer."""

    network: Network
    seed: int
    start_ns: int
    end_ns: int
    interval_ns: int
    nodes: list[int] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    slowdowns: list[Slowdown] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    cut_nodes: list[tuple[int, int, int]] = field(default_factory=list)
    cut_references: list[tuple[str, int, int]] = field(default_factory=list)
    blind: list[tuple[int, int]] = field(default_factory=list)  # the prober sees nothing
    gaps: list[tuple[int, int]] = field(default_factory=list)  # nothing is recorded
    renumbered: list[tuple[int, int]] = field(default_factory=list)  # line, time: a new address
    broker: list[tuple[int, int]] = field(default_factory=list)  # telemetry restarts for everybody

    def rng(self, *purpose: int) -> np.random.Generator:
        """A stream of its own for each purpose, so that one part does not shift the chance of another."""
        return np.random.default_rng([self.seed, *purpose])

    def say(self, at_ns: int, subject: str, kind: str, value: str = "") -> None:
        self.said.append(Said(int(at_ns), subject, kind, value))

    def cut(
        self,
        lines: I32,
        start_ns: int | I64,
        end_ns: int | I64,
        *,
        power: bool = False,
        pings_only: bool = False,
        fault: int = -1,
    ) -> None:
        starts = np.broadcast_to(np.asarray(start_ns, np.int64), lines.shape)
        ends = np.broadcast_to(np.asarray(end_ns, np.int64), lines.shape)
        keep = ends > starts
        self.cuts.append(Cut(lines[keep], starts[keep], ends[keep], power, pings_only, fault))

    def cut_elements(self, element: int, start_ns: int, end_ns: int) -> None:
        """The probed nodes at or under an element, and the references in it, do not answer."""
        path = self.network.paths[element]
        for i, node in enumerate(self.nodes):
            if self.network.paths[node] == path or self.network.paths[node].startswith(path + "/"):
                self.cut_nodes.append((i, start_ns, end_ns))
        for name in self.references:
            if name == path or name.startswith(path + "/"):
                self.cut_references.append((name, start_ns, end_ns))

    def fault(self, kind: str, cause: str, scope: tuple[str, str], start_ns: int, end_ns: int, lines: I32) -> int:
        """Note a truth; returns its index for `cut`."""
        self.faults.append(Fault(kind, cause, scope, int(start_ns), int(end_ns), lines))
        return len(self.faults) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Downtimes:
    """All cuts in one table, sorted by line and start: `line`, `start_ns`, `end_ns`, `power`, `pings_only`, `fault`."""

    line: I32
    start_ns: I64
    end_ns: I64
    power: npt.NDArray[np.bool_]
    pings_only: npt.NDArray[np.bool_]
    fault: I32

    @classmethod
    def of(cls, cuts: list[Cut]) -> "Downtimes":
        none = Cut(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))
        cuts = [none, *cuts]
        line = np.concatenate([c.lines for c in cuts])
        start = np.concatenate([c.start_ns for c in cuts])
        order = np.lexsort((start, line))
        return cls(
            line=line[order].astype(np.int32),
            start_ns=start[order],
            end_ns=np.concatenate([c.end_ns for c in cuts])[order],
            power=np.concatenate([np.full(len(c.lines), c.power) for c in cuts])[order],
            pings_only=np.concatenate([np.full(len(c.lines), c.pings_only) for c in cuts])[order],
            fault=np.concatenate([np.full(len(c.lines), c.fault, np.int32) for c in cuts])[order],
        )

    def merged(self) -> list[tuple[int, int, int, bool]]:
        """Times without service, joined where they overlap: (line, start_ns, end_ns, power lost at the start)."""
        found: list[tuple[int, int, int, bool]] = []
        keep = ~self.pings_only
        rows = zip(
            self.line[keep].tolist(),
            self.start_ns[keep].tolist(),
            self.end_ns[keep].tolist(),
            self.power[keep].tolist(),
            strict=True,
        )
        for line, start, end, power in rows:
            if found and found[-1][0] == line and start <= found[-1][2]:
                before = found[-1]
                found[-1] = (line, before[1], max(before[2], end), before[3])
            else:
                found.append((line, start, end, power))
        return found


def settle_truth(world: World, downtimes: Downtimes) -> None:
    """Fill the faults' `intervals`: their cuts minus the times in which the line was down for another reason anyway.

    A line that was off during the whole fault was not hit by it and leaves the truth's lines. Faults without cuts
    (degraded, resolver, source) keep their lines.
    """
    by_line: dict[int, list[tuple[int, int, int]]] = {}
    cut = {fault for fault in downtimes.fault.tolist() if fault >= 0}
    wanted = set(downtimes.line[downtimes.fault >= 0].tolist())
    rows = zip(
        downtimes.line.tolist(),
        downtimes.start_ns.tolist(),
        downtimes.end_ns.tolist(),
        downtimes.fault.tolist(),
        downtimes.pings_only.tolist(),
        strict=True,
    )
    for line, start, end, fault, pings_only in rows:
        if line in wanted and not pings_only:
            by_line.setdefault(line, []).append((start, end, fault))
    for line, spans in sorted(by_line.items()):
        for start, end, fault in spans:
            if fault >= 0:
                others = [(s, e) for s, e, f in spans if f != fault and (f < 0 or f < fault)]
                for piece in _minus(start, end, others):
                    world.faults[fault].intervals.append((line, *piece))
    for i, fault in enumerate(world.faults):
        if i in cut:
            fault.lines = np.unique(np.array([line for line, _, _ in fault.intervals], np.int32))


def _minus(start: int, end: int, others: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a span without the others (sorted by start)."""
    left = []
    for low, high in others:
        if high <= start or low >= end:
            continue
        if low > start:
            left.append((start, low))
        start = max(start, high)
    if start < end:
        left.append((start, end))
    return left
