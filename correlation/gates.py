"""What holds a suspected incident back: each gate names its reason, "" lets it open.

A weak cause waits for evidence; while a prober may be blind nothing opens; a partial failure waits until modems that
retrain together would be back; and lines whose devices go on talking are not down, whatever the pings say.
"""

import numpy as np

from correlation.cases import Case, members
from correlation.lines import LineTable
from correlation.settings import CorrelationSettings
from correlation.sources import Sources
from monitor.inventory import CategoryColumn, Inventory
from monitor.records import LineState, ScopeKind

NS = 1_000_000_000
SPEAKING_SHARE = 0.2
SPEAKING_LINES = 3
ENOUGH_SIGNS = 3
ASKED_SHARE = 0.8


class Gates:
    def __init__(self, inventory: Inventory, table: LineTable, sources: Sources, settings: CorrelationSettings) -> None:
        self.inventory = inventory
        self.table = table
        self.sources = sources
        self.settings = settings

    def __call__(self, case: Case, now_ns: int) -> str:
        state = case.state
        if state.gain < self.settings.causes.open_nats:
            return "weak"
        lines = case.lines[self.table.state[case.lines] == LineState.DOWN]
        if lines.size < self.settings.causes.min_lines:
            return "weak"
        return (
            self.blind(case, now_ns)
            or self.scope(case, now_ns)
            or self.telemetry(case, now_ns)
            or self.retrain(case, now_ns)
            or self.campaign(case, now_ns)
        )

    def blind(self, case: Case, now_ns: int) -> str:
        """Until a reference has answered after the start, the prober may be what failed."""
        used = np.unique(self.table.source[case.lines]).tolist()
        for source in self.sources.by_name.values():
            if source.index not in used or not source.fresh_references(now_ns, self.sources.default_s):
                continue
            if source.silent_ns(now_ns, self.sources.default_s):
                return "references_silent"
            waited_s = (now_ns - case.state.detected_ns) / NS
            if not source.vouched(case.state.started_ns) and waited_s < source.interval_s(self.sources.default_s) * 1.5:
                return "references_not_asked_yet"
        return ""

    def telemetry(self, case: Case, now_ns: int) -> str:
        """Do the devices under the scope go on talking while only their pings are lost?"""
        table, started = self.table, case.state.started_ns
        under = members(self.inventory, case.state.scope)
        beat = table.beat_s[under]
        alive = table.alive_ns[under]
        talked = (alive > 0) & np.isfinite(beat) & (alive >= started - (np.nan_to_num(beat) * 3 * NS).astype(np.int64))
        if not talked.any():
            return ""
        grace = int(self.settings.evidence.life_grace_s * NS)
        speaking = int(np.count_nonzero(talked & (alive > started + grace) & (table.replied_ns[under] < started)))
        silent = talked & (table.state[under] == LineState.DOWN)
        missing = speaking + int(np.count_nonzero(silent))
        if speaking >= SPEAKING_LINES and speaking >= SPEAKING_SHARE * missing:
            return "telemetry_goes_on"
        if 4 * missing < np.count_nonzero(table.state[under] == LineState.DOWN):
            return ""  # too few talk at all to wait for them
        due = alive[silent] + ((1.1 * beat[silent] + 2) * NS).astype(np.int64)
        overdue = int(np.count_nonzero(due < now_ns))
        if overdue < min(ENOUGH_SIGNS, missing) and now_ns - started < self.settings.causes.witness_wait_s * NS:
            return "telemetry_awaited"
        return ""

    def scope(self, case: Case, now_ns: int) -> str:
        """A partial failure is named once most lines under it were asked after it began."""
        state = case.state
        if len(case.lines) >= self.settings.causes.whole_share * state.observable:
            return ""
        under = members(self.inventory, state.scope)
        up = np.count_nonzero(self.table.is_up(under) | (self.table.state[under] == LineState.DOWN))
        if state.observable >= ASKED_SHARE * up:
            return ""
        waited_s = (now_ns - state.detected_ns) / NS
        return "scope_unsettled" if waited_s < 1.2 * self.sources.interval_s() else ""

    def campaign(self, case: Case, now_ns: int) -> str:
        """Lines of one model or firmware also reboot together, for an upgrade; then each is back within minutes."""
        state, settings = case.state, self.settings.causes
        if state.scope.kind is not ScopeKind.GROUP or state.scope.name.partition(":")[0] not in settings.campaign_kinds:
            return ""
        dead = self.table.state[case.lines] == LineState.DOWN
        long = dead & (self.table.down_ns[case.lines] <= now_ns - int(settings.reboot_s * NS))
        enough = max(settings.min_lines, 0.5 * np.count_nonzero(dead))
        return "reboot" if np.count_nonzero(long) < enough else ""

    def retrain(self, case: Case, now_ns: int) -> str:
        state, settings = case.state, self.settings.causes
        if state.observable and len(case.lines) >= settings.whole_share * state.observable:
            return ""
        technology = self.inventory.texts["technology"]
        assert isinstance(technology, CategoryColumn)
        code = int(np.bincount(technology.codes[case.lines]).argmax())
        hold_s = settings.retrain_s.get(technology.values[code], 0.0)
        return "retrain" if now_ns - state.started_ns < hold_s * NS else ""
