"""The broker that lost everybody: most last wills at once, in several exchanges, while the lines go on answering.

A last will is weak evidence while a line is pinged, so nothing falls by it alone; lines that are only known through the
broker become unknown, and the NOC is told once.
"""

from dataclasses import dataclass, field

import numpy as np

from correlation.belief import forget
from correlation.casebook import CaseBook
from correlation.lines import LineTable
from correlation.signs import Signs
from monitor.records import Coded, IncidentKind, Scope, ScopeKind
from monitor.records.rounds import I32

NS = 1_000_000_000
WITHIN_NS = 180 * NS
AT_LEAST = 20
SHARE = 0.5
ALIVE_SHARE = 0.5
PATIENCE_NS = 300 * NS


@dataclass(slots=True)
class BrokerGuard:
    """`wills`: (at_ns, line) of the last minutes. `online`: lines that said they are online and did not leave."""

    book: CaseBook
    table: LineTable
    signs: Signs
    source: str = "mqtt"
    wills: list[tuple[int, int]] = field(default_factory=list)
    online: set[int] = field(default_factory=set)
    trouble_ns: int = 0
    said: bool = False
    gone: int = 0
    spread_s: int = 0

    def hear(self, kind: str, line: int, at_ns: int, source: str) -> None:
        if kind == "cpe_offline":
            self.source = source or self.source
            self.wills.append((at_ns, line))
        else:
            self.online.add(line)

    def review(self, now_ns: int) -> bool:
        """True when trouble began just now."""
        fresh = [w for w in self.wills if w[0] > now_ns - WITHIN_NS]
        for at, line in self.wills:
            if at <= now_ns - WITHIN_NS and self.signs.by_line[line].cpe_online_ns < at:
                self.online.discard(line)
        self.wills = fresh
        gone = np.unique(np.array([line for _, line in fresh], np.int32))
        if self.trouble_ns:
            self._maybe_end(now_ns)
            if self.trouble_ns and not self.said and now_ns - self.trouble_ns > PATIENCE_NS:
                self._say(now_ns)
            return False
        if gone.size < max(AT_LEAST, SHARE * len(self.online)) or not self._scattered(gone):
            return False
        since = sorted(at for at, _ in fresh)[len(fresh) // 10]  # some left by themselves before
        pinged = gone[self.table.replied_ns[gone] > 0]
        alive = int(np.count_nonzero(self.table.misses[pinged] == 0))
        if pinged.size and alive < ALIVE_SHARE * pinged.size:
            return False  # they fell with their lines
        if pinged.size and np.count_nonzero(self.table.replied_ns[pinged] >= since) < ALIVE_SHARE * pinged.size:
            return False  # not asked yet
        self._begin(gone, since, now_ns)
        return True

    def _scattered(self, lines: I32) -> bool:
        elements = self.book.inventory.elements
        top = elements.depth == min(1, int(elements.depth.max(initial=0)))
        low, high = elements.lo[top], elements.hi[top]
        hit = np.searchsorted(lines, high) > np.searchsorted(lines, low)
        return int(np.count_nonzero(hit)) >= min(2, int(top.sum()))

    def _begin(self, gone: I32, since_ns: int, now_ns: int) -> None:
        self.trouble_ns = since_ns
        unpinged = gone[self.table.probed_ns[gone] == 0]
        fallen = unpinged[self.table.slot[unpinged] < 0]
        forget(self.table, fallen, now_ns)
        self.said = False
        self.gone = int(gone.size)
        self.spread_s = int(max(1, (max(a for a, _ in self.wills) - since_ns) // NS))

    def _say(self, now_ns: int) -> None:
        """A broker that restarts is back within minutes; one that is not is worth telling."""
        self.said = True
        since_ns = self.trouble_ns
        case = self.book.create(
            IncidentKind.SOURCE,
            Scope(ScopeKind.SOURCE, self.source),
            "broker_silent",
            since_ns,
            now_ns,
            np.zeros(0, np.int32),
        )
        case.state.confidence = 0.95
        case.state.explanation = (
            Coded(
                "broker_silent",
                {
                    "wills": self.gone,
                    "online": max(len(self.online), self.gone),
                    "spread_s": self.spread_s,
                    "source": self.source,
                },
            ),
        )
        self.book.open(case, now_ns)

    def _maybe_end(self, now_ns: int) -> None:
        back = [s.cpe_online_ns for s in self.signs.by_line.values() if s.cpe_online_ns > self.trouble_ns]
        if len(back) < SHARE * max(len(self.online), AT_LEAST):
            return
        self.trouble_ns = 0
        self.wills.clear()
        for case in self.book.living(IncidentKind.SOURCE):
            if case.state.scope.name == self.source and case.state.cause == "broker_silent":
                self.book.resolve(case, now_ns, min(back))
