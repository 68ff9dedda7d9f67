"""What holds a suspected incident back: each gate names its reason, "" lets it open.

A weak cause waits for evidence; while a prober may be blind nothing opens; a partial failure waits until modems that
retrain together would be back; and lines whose devices go on talking are not down, whatever the pings say.
"""

import numpy as np
import numpy.typing as npt

from correlation.cases import Case, members
from correlation.lines import LineTable
from correlation.memberships import Memberships
from correlation.sets import distinct
from correlation.settings import CorrelationSettings
from correlation.sources import Sources
from correlation.witnesses import Witnesses
from monitor.inventory import CategoryColumn, Inventory
from monitor.inventory.groups import BOTH
from monitor.records import LineState, ScopeKind

NS = 1_000_000_000
ASKED_SHARE = 0.8
ROUND = 1.2  # intervals within which every line has been asked
MISSING_LINES = 2
MISSING_SHARE = 0.3
CONFIRMED = 4
STILL_DOWN = 0.7
FIRST_BACK = 0.6  # of the time a retrain takes at most: by then the first of several modems is back
SOME_LINES = 8
BACK_SHARE = 0.2
MOMENT_NS = 60 * NS
PASSING_NS = 180 * NS


class Gates:
    def __init__(
        self,
        inventory: Inventory,
        table: LineTable,
        sources: Sources,
        settings: CorrelationSettings,
        witnesses: Witnesses,
        memberships: Memberships,
    ) -> None:
        self.inventory = inventory
        self.table = table
        self.sources = sources
        self.settings = settings
        self.witnesses = witnesses
        self.memberships = memberships

    def __call__(self, case: Case, now_ns: int) -> str:
        state = case.state
        if state.gain < self.settings.causes.open_nats:
            return "weak"
        down = np.count_nonzero(self.table.state[case.lines] == LineState.DOWN)
        if down < max(self.settings.causes.min_lines, STILL_DOWN * len(case.lines)):
            return "recovering"
        fell, back = self._returned(case, now_ns)
        if back > (1 - STILL_DOWN) * fell:
            return "recovering"  # of a forming case those that came back are let go, and the rest looks like all of it
        if CONFIRMED * len(case.lines) < state.counted:
            return "unconfirmed"  # most have missed once: many may be back at the next probe
        return (
            self.blind(case, now_ns)
            or self.scope(case, now_ns)
            or self.surroundings(case, now_ns)
            or self.witnesses(case, now_ns)
            or self.passing(case, now_ns)
            or self.retrain(case, now_ns)
            or self.campaign(case, now_ns)
        )

    def blind(self, case: Case, now_ns: int) -> str:
        """Until a reference has answered after the start, the prober may be what failed."""
        used = np.unique(self.table.source[case.lines]).tolist()
        struck_ns = max(case.state.struck_ns, case.state.started_ns)  # a few may have fallen before
        for source in self.sources.by_name.values():
            if source.index not in used or not source.fresh_references(now_ns, self.sources.default_s):
                continue
            if source.silent_ns(now_ns, self.sources.default_s):
                return "references_silent"
            waited_s = (now_ns - case.state.detected_ns) / NS
            if not source.vouched(struck_ns) and waited_s < source.interval_s(self.sources.default_s) * 1.5:
                return "references_not_asked_yet"
        return ""

    def scope(self, case: Case, now_ns: int) -> str:
        """A partial failure is named once most lines under it were asked after it began."""
        state = case.state
        under = members(self.inventory, state.scope)
        if state.counted >= self.settings.causes.whole_share * state.observable:
            return ""
        up = np.count_nonzero(self.table.is_up(under) | (self.table.state[under] == LineState.DOWN))
        if now_ns - state.started_ns < ROUND * self.sources.interval_s() * NS:
            return "scope_unsettled"  # it may be the part of something that crosses the tree
        if state.observable >= ASKED_SHARE * up:
            return ""
        waited_s = (now_ns - state.detected_ns) / NS
        return "scope_unsettled" if waited_s < 1.2 * self.sources.interval_s() else ""

    def surroundings(self, case: Case, now_ns: int) -> str:
        """While lines beside the scope miss as well, and most of them have yet to be asked, it may be something larger:
        that is known within a round."""
        state, elements = case.state, self.inventory.elements
        if now_ns - state.detected_ns >= ROUND * self.sources.interval_s() * NS:
            return ""
        if state.scope.kind is ScopeKind.ELEMENT:
            element = elements.index_of(state.scope.name)
            around = elements.ancestors(element)[1:] if element is not None else []
        else:
            around = np.unique(self.inventory.leaf[case.lines]).tolist()
        inside = np.zeros(len(self.table), np.bool_)
        inside[members(self.inventory, state.scope)] = True
        if any(self._asked_and_missing(e, inside, state.started_ns) for e in around):
            return "scope_unsettled"
        # Lines filed elsewhere fell too: wrong records, unless the ports they are filed under fall as well.
        beside = distinct(self.inventory.leaf[case.lines[~inside[case.lines]]])
        return "scope_unsettled" if any(not self._mostly_asked(e, state.started_ns) for e in beside.tolist()) else ""

    def _mostly_asked(self, element: int, since_ns: int) -> bool:
        """Is of most lines under an element known how they are since then?"""
        table = self.table
        span = slice(int(self.inventory.elements.lo[element]), int(self.inventory.elements.hi[element]))
        known = table.probed_ns[span] > 0
        fell = (table.state[span] == LineState.DOWN) & (table.down_ns[span] >= since_ns)
        told = known & (fell | (table.probed_ns[span] >= since_ns))
        return int(np.count_nonzero(told)) >= ASKED_SHARE * int(np.count_nonzero(known))

    def _asked_and_missing(self, element: int, inside: npt.NDArray[np.bool_], since_ns: int) -> bool:
        """Of the lines under an element and not `inside`: do many of those asked since miss, and are many not asked?"""
        table = self.table
        span = slice(int(self.inventory.elements.lo[element]), int(self.inventory.elements.hi[element]))
        out = ~inside[span] & (table.probed_ns[span] > 0)
        fallen = (table.state[span] == LineState.DOWN) & (table.down_ns[span] >= since_ns)
        fallen |= (table.misses[span] > 0) & (table.miss_ns[span] >= since_ns)
        asked = out & (fallen | (table.probed_ns[span] >= since_ns))
        missing = int(np.count_nonzero(out & fallen))
        probed, told = int(np.count_nonzero(out)), int(np.count_nonzero(asked))
        return missing >= MISSING_LINES and missing >= MISSING_SHARE * told and told < ASKED_SHARE * probed

    def campaign(self, case: Case, now_ns: int) -> str:
        """Lines of one model or firmware also reboot together, for an upgrade; then each is back within minutes."""
        state, settings = case.state, self.settings.causes
        kinds = {part.partition(":")[0] for part in state.scope.name.split(BOTH)}
        if state.scope.kind is not ScopeKind.GROUP or not kinds & set(settings.campaign_kinds):
            return ""
        fell, back = self._returned(case, now_ns - int(FIRST_BACK * settings.reboot_s * NS))
        if fell >= max(SOME_LINES, 0.1 * len(case.lines)) and back <= BACK_SHARE * fell:
            return ""
        dead = self.table.state[case.lines] == LineState.DOWN
        long = dead & (self.table.down_ns[case.lines] <= now_ns - int(settings.reboot_s * NS))
        enough = max(2 * settings.min_lines, 0.1 * np.count_nonzero(dead))
        return "reboot" if np.count_nonzero(long) < enough or back > BACK_SHARE * fell else ""

    def passing(self, case: Case, now_ns: int) -> str:
        """As many lines under a part-failed scope missed in the same moment and answer again: something passed by, as
        when a BNG hands its sessions over. Who is still down is told once it would be over."""
        state, table, causes = case.state, self.table, self.settings.causes
        if state.window_s > causes.windows_s[0] or state.counted >= causes.whole_share * state.observable:
            return ""  # in a longer window a probe of many a line has been lost by itself
        under = members(self.inventory, state.scope)
        since_s = max((state.started_ns - MOMENT_NS) // NS, 1)
        back = int(np.count_nonzero(table.is_up(under) & (table.blip_s[under] >= since_s)))
        dead = case.lines[table.state[case.lines] == LineState.DOWN]
        if back < dead.size:
            return ""
        return "passing" if now_ns - int(table.down_ns[dead].max(initial=0)) < PASSING_NS else ""

    def retrain(self, case: Case, now_ns: int) -> str:
        """A part of an element's lines may be modems that train anew; the first of them would be back before long."""
        state, settings = case.state, self.settings.causes
        if state.observable and state.counted >= settings.whole_share * state.observable:
            return ""
        technology = self.inventory.texts["technology"]
        assert isinstance(technology, CategoryColumn)
        code = int(np.bincount(technology.codes[case.lines]).argmax())
        hold_s = settings.retrain_s.get(technology.values[code], 0.0)
        if now_ns - state.started_ns >= hold_s * NS:
            return ""
        fell, back = self._returned(case, now_ns - int(FIRST_BACK * hold_s * NS))
        return "" if fell >= SOME_LINES and back == 0 else "retrain"

    def _returned(self, case: Case, before_ns: int) -> tuple[int, int]:
        """Lines under the scope that fell since its start and before that time, and how many of them are back."""
        under = members(self.inventory, case.state.scope)
        if case.state.scope.kind is ScopeKind.GROUP:
            # Who comes back with another firmware is in the group of that one, and back all the same.
            under = np.union1d(under, self.memberships.left(case.state.scope.name)).astype(np.int32)
        down_ns = self.table.down_ns[under]
        fell = (down_ns >= case.state.started_ns) & (down_ns <= before_ns)
        return int(np.count_nonzero(fell)), int(np.count_nonzero(fell & self.table.is_up(under)))
