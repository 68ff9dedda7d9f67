"""What is known of each prober: its interval, its reference targets, whether it can see at all.

The interval is learned from the rows of a few of its lines (requested probes do not count). A prober is blind when all
of its reference targets are silent *and* lines are lost across two or more exchanges; from the first silent reference
on, nothing is opened until this is decided. Loss alone never makes a prober blind: that would swallow a real outage.
"""

from collections.abc import Sequence
from statistics import median

import msgspec
import numpy as np

from monitor.records import ProbeRound
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
TRACKED = 32
GAPS = 9


class ReferenceState(msgspec.Struct):
    """One reference target as one prober sees it."""

    probed_ns: int = 0
    replied_ns: int = 0
    miss_ns: int = 0  # first miss of the present streak, 0: it answers
    missed: int = 0  # probes missed in the streak


class SourceState(msgspec.Struct):
    """One prober. `references` by index into the configured reference targets. `blind_ns` 0: it can see."""

    name: str
    index: int
    gaps_s: list[float] = []
    tracked: dict[int, int] = {}  # line -> last regular probe, ns
    references: dict[int, ReferenceState] = {}
    blind_ns: int = 0
    last_ns: int = 0
    said_down_ns: int = 0  # an event said that this source is down
    blind_rows: int = 0
    blind_replies: int = 0

    @property
    def probes(self) -> bool:
        """It sends probes; a source that only reports (telemetry) says nothing about what probing sees."""
        return bool(self.last_ns or self.references)

    def interval_s(self, default_s: float) -> float:
        return median(self.gaps_s) if self.gaps_s else default_s

    def learn_interval(self, line: I32, at_ns: I64) -> None:
        """From a regular part of a round, lines once each."""
        if not line.size:
            return
        self.last_ns = max(self.last_ns, int(at_ns.max()))
        if len(self.tracked) < TRACKED:
            step = max(1, line.size // TRACKED)
            for one, at in zip(line[::step].tolist(), at_ns[::step].tolist(), strict=True):
                if len(self.tracked) < TRACKED:
                    self.tracked.setdefault(one, at)
        ids = np.fromiter(self.tracked, np.int32, len(self.tracked))
        known = np.isin(line, ids)
        gaps = []
        for one, at in zip(line[known].tolist(), at_ns[known].tolist(), strict=True):
            gap = (at - self.tracked[one]) / NS
            if gap > 0:
                self.tracked[one] = at
                if 0.2 < gap < 4 * 3600:
                    gaps.append(gap)
        if gaps:
            self.gaps_s = [*self.gaps_s[-(GAPS - 1) :], float(median(gaps))]

    def hear_references(self, round_: ProbeRound, known: int) -> None:
        """Rows of kind REFERENCE."""
        rows = zip(
            round_.target.tolist(),
            round_.at_ns.tolist(),
            round_.sent.tolist(),
            round_.received.tolist(),
            strict=True,
        )
        for target, at, sent, received in rows:
            if not 0 <= target < known or sent == 0:
                continue
            state = self.references.setdefault(target, ReferenceState())
            state.probed_ns = max(state.probed_ns, at)
            if received:
                if at > state.replied_ns:
                    state.replied_ns, state.miss_ns, state.missed = at, 0, 0
            elif at > state.replied_ns:
                state.miss_ns = state.miss_ns or at
                state.missed += sent

    def fresh_references(self, now_ns: int, default_s: float) -> list[ReferenceState]:
        limit = now_ns - int(3 * self.interval_s(default_s) * NS)
        return [r for r in self.references.values() if r.probed_ns >= limit]

    def silent_ns(self, now_ns: int, default_s: float) -> int:
        """Since when all its references are silent; 0 when one answers, or none is known."""
        fresh = self.fresh_references(now_ns, default_s)
        if not fresh or any(r.miss_ns == 0 for r in fresh):
            return 0
        return min(r.miss_ns for r in fresh)

    def surely_silent(self, now_ns: int, default_s: float) -> bool:
        """Each missed at least twice: one lost packet is nothing."""
        fresh = self.fresh_references(now_ns, default_s)
        return bool(fresh) and all(r.missed >= 2 for r in fresh)

    def answers_again(self, now_ns: int, default_s: float) -> bool:
        fresh = self.fresh_references(now_ns, default_s)
        return any(r.miss_ns == 0 and r.replied_ns > self.blind_ns for r in fresh)

    def vouched(self, since_ns: int) -> bool:
        """A reference answered after `since_ns`: what was lost then was not lost by the prober."""
        return any(r.replied_ns >= since_ns for r in self.references.values())


class Sources:
    """All probers that were ever heard, by name; at most 255."""

    def __init__(self, references: int, default_s: float) -> None:
        self.count = references
        self.default_s = default_s
        self.by_name: dict[str, SourceState] = {}

    def get(self, name: str) -> SourceState:
        found = self.by_name.get(name)
        if found is None:
            found = SourceState(name, min(len(self.by_name), 255))
            self.by_name[name] = found
        return found

    def intervals_ns(self) -> I64:
        """Per source index, int64 [256]."""
        table = np.full(256, int(self.default_s * NS), np.int64)
        for source in self.by_name.values():
            table[source.index] = int(source.interval_s(self.default_s) * NS)
        return table

    def interval_s(self) -> float:
        """The shortest interval of those heard lately."""
        known = [s.interval_s(self.default_s) for s in self.by_name.values() if s.gaps_s]
        return min(known) if known else self.default_s

    def blind(self) -> list[SourceState]:
        return [s for s in self.by_name.values() if s.blind_ns]

    def save(self) -> bytes:
        return msgspec.json.encode(list(self.by_name.values()))

    def load(self, data: bytes) -> None:
        for source in msgspec.json.decode(data, type=list[SourceState]):
            self.by_name[source.name] = source

    def remap(self, to: I32) -> None:
        for source in self.by_name.values():
            source.tracked = {int(to[i]): at for i, at in source.tracked.items() if i < len(to) and to[i] >= 0}


def lost_exchanges(
    exchanges_lo: Sequence[int] | I32, exchanges_hi: Sequence[int] | I32, asked: I64, lost: I64
) -> tuple[int, int]:
    """How many exchanges were asked (3 lines and more) and how many of these lost half of them and more.

    `asked`, `lost`: cumulative counts int64 [n + 1] over the lines.
    """
    low, high = np.asarray(exchanges_lo), np.asarray(exchanges_hi)
    n, k = asked[high] - asked[low], lost[high] - lost[low]
    counted = n >= 3
    return int(np.count_nonzero(counted)), int(np.count_nonzero(counted & (2 * k >= n)))
