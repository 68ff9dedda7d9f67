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
from monitor.records import LineState

NS = 1_000_000_000
SPEAKING_SHARE = 0.2
SPEAKING_LINES = 3
ENOUGH_SIGNS = 3.0


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
        return self.blind(case, now_ns) or self.telemetry(case, now_ns) or self.retrain(case, now_ns)

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
        waited_s = (now_ns - started) / NS
        expected = float(np.sum(np.minimum(waited_s / np.maximum(beat[silent], 1.0), 1.0)))
        if expected < ENOUGH_SIGNS and waited_s < self.settings.causes.witness_wait_s:
            return "telemetry_awaited"
        return ""

    def retrain(self, case: Case, now_ns: int) -> str:
        state, settings = case.state, self.settings.causes
        if state.observable and len(case.lines) >= settings.whole_share * state.observable:
            return ""
        technology = self.inventory.texts["technology"]
        assert isinstance(technology, CategoryColumn)
        code = int(np.bincount(technology.codes[case.lines]).argmax())
        hold_s = settings.retrain_s.get(technology.values[code], 0.0)
        return "retrain" if now_ns - state.started_ns < hold_s * NS else ""
