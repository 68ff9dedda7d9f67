"""Slow segments: many slow lines under one element are that element's trouble, told once.

The same smallest explanation as for outages, on lines that became slow instead of lines that fell. A segment is a flag
`segment_slow` on the element and an incident of kind `degraded`; its lines get no flags of their own.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from correlation.casebook import CaseBook
from correlation.cases import Case
from correlation.explain import Cause, Evidence, Explainer
from correlation.lines import LineTable
from correlation.settings import CorrelationSettings
from monitor.inventory import Inventory
from monitor.records import Change, Coded, Flag, FlagKind, IncidentKind, LineState
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
RATE_PER_H = 0.002  # lines that become slow by themselves
WINDOW_S = 3600.0
EVERYWHERE = 0.5
END_SHARE = 0.5  # of the share needed to begin


class Segments:
    """`covered` bool [n]: lines whose slowness a segment explains. `everywhere`: so many are slow that it is the
    prober, or its own uplink."""

    def __init__(self, inventory: Inventory, table: LineTable, book: CaseBook, settings: CorrelationSettings) -> None:
        self.inventory = inventory
        self.table = table
        self.book = book
        self.settings = settings.slow
        causes = settings.causes
        self.explainer = Explainer(inventory, causes)
        self.open_nats = causes.open_nats
        self.covered = np.zeros(len(table), np.bool_)
        self.everywhere = False
        self.looked_ns = 0
        self.slow_before = 0
        self.interval_ns = 10 * NS
        self.below: dict[str, int] = {}

    def review(self, slow: npt.NDArray[np.bool_], now_ns: int, flags: dict[str, Flag]) -> list[Change]:
        """`slow` bool [n]. Called whenever rows came in; looks at most twice an interval."""
        count = int(np.count_nonzero(slow))
        living = list(self.book.living(IncidentKind.DEGRADED))
        told = {_element(f): f for f in flags.values() if f.kind is FlagKind.SEGMENT_SLOW}
        if count == 0 and not living and not told:
            self.covered[:] = False
            self.everywhere = False
            return []
        if count == self.slow_before and now_ns - self.looked_ns < 5 * NS:
            return []
        self.looked_ns, self.slow_before = now_ns, count
        warm = int(np.count_nonzero(self.table.samples >= self.settings.warm_samples))
        self.everywhere = len(self.inventory.elements) > 1 and warm >= 20 and count > EVERYWHERE * warm
        changes: list[Change] = []
        causes = [] if self.everywhere else self._causes(slow, now_ns)
        self.covered[:] = False
        for cause in causes:
            low, high = self.inventory.elements.lo[cause.element], self.inventory.elements.hi[cause.element]
            self.covered[low:high] = True
            self._follow(cause, living, told, now_ns, flags, changes)
        self._end(slow, now_ns, flags, changes)
        return changes

    def _causes(self, slow: npt.NDArray[np.bool_], now_ns: int) -> list[Cause]:
        lines = np.flatnonzero(slow & self.table.is_up() & (self.table.slot < 0)).astype(np.int32)
        if lines.size < self.settings.segment_lines:
            return []
        # Who was fine and then fell was not slow: an outage leaves no segment of its few slow lines.
        fine = (self.table.state != LineState.UNKNOWN) & ~slow & (self.table.samples >= self.settings.warm_samples)
        seen: I64 = np.where(fine, self.table.replied_ns, 0)
        if not self._may_be(lines, seen > 0):
            return []
        evidence = Evidence(
            lines=lines,
            at_ns=np.full(lines.size, 1, np.int64),
            seen_ns=seen,
            window_s=WINDOW_S,
            now_ns=now_ns,
            network_rate=RATE_PER_H,
            element_rate=lambda elements: np.full(elements.size, RATE_PER_H),
            use_groups=False,
            use_areas=False,
        )
        return [
            c
            for c in self.explainer.explain(evidence)
            if c.element >= 0
            and c.gain >= self.open_nats
            and c.share >= self.settings.segment_share
            and len(c.lines) >= self.settings.segment_lines
        ]

    def _may_be(self, lines: I32, spared: npt.NDArray[np.bool_]) -> bool:
        """Is there an element with enough slow lines, and enough of its lines? Else no explanation is asked for: its
        answer could be no segment. `lines` that are slow, ascending; `spared` bool [n]: those that are fine."""
        elements, settings = self.inventory.elements, self.settings
        count = np.searchsorted(lines, elements.hi) - np.searchsorted(lines, elements.lo)
        many = np.flatnonzero(count >= settings.segment_lines)
        if not many.size:
            return False
        before = np.zeros(spared.size + 1, np.int64)
        np.cumsum(spared, out=before[1:])
        observable = count[many] + before[elements.hi[many]] - before[elements.lo[many]]
        return bool((count[many] / np.maximum(observable, 1) >= settings.segment_share).any())

    def _follow(
        self,
        cause: Cause,
        living: list[Case],
        told: dict[str, Flag],
        now_ns: int,
        flags: dict[str, Flag],
        changes: list[Change],
    ) -> None:
        decided = int(np.count_nonzero(self.table.slow_sum[cause.lines] >= self.settings.decide))
        extra = float(np.median(self.table.recent_ms[cause.lines] - self.table.baseline_ms[cause.lines]))
        case = next((c for c in living if self._same(c, cause)), None)
        if case is not None:
            self.book.take(case, cause.lines)
            if case.joined and len(case.lines) >= 1.25 * case.state.told_lines:
                self.book.tell(case, now_ns, "grew")
            return
        if any(f"{cause.scope.name}/".startswith(f"{name}/") for name in told):
            return  # resolved by a person: that holds until the element is well
        if 2 * decided < len(cause.lines):
            return  # half of them are sure: then it is the segment
        began = now_ns - int(self.settings.decide / self.settings.step_max * self.interval_ns)
        case = self.book.create(IncidentKind.DEGRADED, cause.scope, "segment_slow", began, now_ns, cause.lines)
        case.state.confidence = cause.confidence
        case.state.observable = cause.observable
        case.state.explanation = (
            Coded(
                "segment_slow",
                {
                    "slow": len(cause.lines),
                    "observable": cause.observable,
                    "scope": cause.scope.name,
                    "extra": round(extra, 1),
                },
            ),
        )
        self.book.open(case, now_ns)
        flag = Flag(
            f"element:{cause.scope.name}",
            FlagKind.SEGMENT_SLOW,
            "rtt_above_baseline",
            round(extra, 1),
            "ms",
            began,
            now_ns,
        )
        flags[flag.flag_id] = flag
        changes.append(Change(at_ns=now_ns, what="flag_raised", flag=flag))

    def _same(self, case: Case, cause: Cause) -> bool:
        return case.state.scope == cause.scope or (
            np.intersect1d(case.lines, cause.lines, assume_unique=True).size
            >= 0.5 * min(len(case.lines), len(cause.lines))
        )

    def _end(self, slow: npt.NDArray[np.bool_], now_ns: int, flags: dict[str, Flag], changes: list[Change]) -> None:
        """Incident and flag of an element end when it is well; where a person resolved the incident, the flag alone."""
        cases = {c.state.scope.name: c for c in self.book.living(IncidentKind.DEGRADED)}
        told = {_element(f): f for f in flags.values() if f.kind is FlagKind.SEGMENT_SLOW}
        elements = self.inventory.elements
        for name in {**cases, **told}:
            element = elements.index_of(name)
            if element is None:
                continue
            low, high = int(elements.lo[element]), int(elements.hi[element])
            self.covered[low:high] = True
            up = int(np.count_nonzero(self.table.is_up(slice(low, high))))
            still = int(np.count_nonzero(slow[low:high] & (self.table.state[low:high] != LineState.DOWN)))
            if still > END_SHARE * self.settings.segment_share * max(up, 1):
                self.below.pop(name, None)
                continue
            since = self.below.setdefault(name, now_ns)
            if now_ns - since < 60 * NS:
                continue
            del self.below[name]
            if name in cases:
                self.book.resolve(cases[name], now_ns, since)
            if name in told:
                ended = msgspec.structs.replace(told[name], ended_ns=since)
                del flags[ended.flag_id]
                changes.append(Change(at_ns=now_ns, what="flag_ended", flag=ended))

    def clock(self) -> dict[str, float]:
        clock: dict[str, float] = {f"below:{name}": since for name, since in self.below.items()}
        return {
            **clock,
            "looked_ns": self.looked_ns,
            "slow_before": self.slow_before,
            "interval_ns": self.interval_ns,
        }

    def load(self, clock: dict[str, float]) -> None:
        self.looked_ns = int(clock.get("looked_ns", 0))
        self.slow_before = int(clock.get("slow_before", 0))
        self.interval_ns = int(clock.get("interval_ns", self.interval_ns))
        self.below = {k.removeprefix("below:"): int(v) for k, v in clock.items() if k.startswith("below:")}


def _element(flag: Flag) -> str:
    return flag.subject.removeprefix("element:")
