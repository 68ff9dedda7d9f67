"""Who else saw it: telemetry, the broker's sessions, last wills and session counts beside the pings.

Pings alone never make an outage of lines whose devices go on talking: a filter, a policer or a cut link towards the
prober look the same. Where devices hold a session with the broker, their last wills must follow within the usual delay;
where telemetry is due, it must be overdue; where a node counts its sessions, the count must fall.
"""

from bisect import insort

import msgspec
import numpy as np

from correlation.cases import Case, members
from correlation.lines import LineTable
from correlation.settings import CorrelationSettings
from correlation.signs import Signs
from monitor.inventory import Inventory
from monitor.records import LineState, Scope, ScopeKind
from monitor.records.rounds import I32

NS = 1_000_000_000
SPEAKING_SHARE = 0.2
SPEAKING_LINES = 3
OVERDUE = 3
ONLINE_LINES = 3
ONLINE_SHARE = 0.1
WILLS, WILL_SHARE = 2, 0.2  # one device leaves by itself now and then
REPORTS = 12
DROP_SEEN, DROP_MISSING = 0.3, 0.1  # of the lines that are down, in the session count
COUNT_SHARE = 0.1  # a count says nothing about fewer lines than that of it
REPORT_LAG_NS = 150 * NS  # BNGs miss some echoes before they end a session
DELAYS = 64
GASP_NS = 90 * NS  # a device may tell of its end a round before its line misses


class SessionCounts:
    """The newest reports per scope: (at_ns, sessions), ascending."""

    def __init__(self) -> None:
        self.reports: dict[str, list[tuple[int, int]]] = {}

    def hear(self, scope: Scope, at_ns: int, value: str) -> bool:
        """False when the value is no number."""
        if not value.strip().isdigit():
            return False
        found = self.reports.setdefault(f"{scope.kind}:{scope.name}", [])
        insort(found, (at_ns, int(value)))
        del found[:-REPORTS]
        return True

    def change(self, key: str, since_ns: int) -> tuple[int, int] | None:
        """(before, now) around a time; None when it was not counted on both sides of it."""
        found = self.reports.get(key, [])
        before = [c for at, c in found if at < since_ns]
        after = [c for at, c in found if at >= since_ns + REPORT_LAG_NS]
        # The first report after it: later ones may tell of something else.
        return (before[-1], after[0]) if before and after else None


class Witnesses:
    """`will_delays_s`: how long after the first miss the last wills came lately."""

    def __init__(self, inventory: Inventory, table: LineTable, signs: Signs, settings: CorrelationSettings) -> None:
        self.inventory = inventory
        self.table = table
        self.signs = signs
        self.settings = settings
        self.counts = SessionCounts()
        self.will_delays_s: list[float] = []
        self.broker_in_doubt = False

    def hear_will(self, line: int, at_ns: int) -> None:
        """Learn how long last wills take after the pings are lost."""
        silent = int(self.table.miss_ns[line])
        if silent and 0 < at_ns - silent < 600 * NS:
            self.will_delays_s = [*self.will_delays_s[1 - DELAYS :], (at_ns - silent) / NS]

    def will_wait_s(self) -> float:
        causes = self.settings.causes
        if len(self.will_delays_s) < 8:
            return causes.will_wait_s
        usual = 1.2 * float(np.quantile(self.will_delays_s, 0.9)) + 5.0
        return min(usual, causes.will_wait_s)

    def __call__(self, case: Case, now_ns: int) -> str:
        """A named reason why this cannot be called an outage yet, or ""."""
        counted = self._sessions(case.lines, case.state.started_ns)
        if counted > 0 or self._fallen(case.lines, case.state.started_ns):
            return ""
        if counted < 0:
            return "sessions_go_on"
        return self._telemetry(case, now_ns) or self._broker(case, case.lines, now_ns)

    def _fallen(self, down: I32, started_ns: int) -> bool:
        """Did devices of these lines fall off the broker, or die audibly, as well?"""
        get, fell_ns, gone = self.signs.by_line.get, self.table.down_ns, 0
        for line in down.tolist():
            sign = get(line)
            if sign is not None:  # with this fall: a device that left an hour before tells nothing about it
                since = max(started_ns - 30 * NS, int(fell_ns[line]) - GASP_NS)
                gone += (sign.cpe_offline_ns >= since) + (sign.dying_gasp_ns >= since) + (sign.los_ns >= since)
        return gone >= max(WILLS, WILL_SHARE * self._online(down, started_ns))

    def _online(self, lines: I32, started_ns: int) -> int:
        """How many had a session with the broker when it began."""
        get, count = self.signs.by_line.get, 0
        for line in lines.tolist():
            sign = get(line)
            if sign is not None and 0 < sign.cpe_online_ns < started_ns:
                left = sign.cpe_offline_ns
                count += left < sign.cpe_online_ns or left >= started_ns - 30 * NS
        return count

    def _broker(self, case: Case, down: I32, now_ns: int) -> str:
        """Devices that keep their session with the broker long after a last will was due are alive."""
        if self.broker_in_doubt:
            return ""
        online = self._online(down, case.state.started_ns)
        if online < max(ONLINE_LINES, ONLINE_SHARE * down.size):
            return ""
        due_ns = case.state.started_ns + int(self.will_wait_s() * NS)
        return "last_wills_awaited" if now_ns < due_ns else "broker_sessions_go_on"

    def _telemetry(self, case: Case, now_ns: int) -> str:
        """Do the devices under the scope go on reporting while only their pings are lost?"""
        table, started = self.table, case.state.started_ns
        under = members(self.inventory, case.state.scope)
        beat, alive = table.beat_s[under], table.alive_ns[under]
        usual_ns = (np.nan_to_num(beat) * 3 * NS).astype(np.int64)
        talked = (alive > 0) & np.isfinite(beat) & (alive >= started - usual_ns)
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
        if overdue < min(OVERDUE, missing) and now_ns - started < self.settings.causes.witness_wait_s * NS:
            return "telemetry_awaited"
        return ""

    def _sessions(self, down: I32, started_ns: int) -> int:
        """1: nodes above or below count fewer sessions; -1: as many as before; 0: nobody counts."""
        if not self.counts.reports or not down.size:
            return 0
        fell = lines = 0
        for key in self.counts.reports:
            kind, _, name = key.partition(":")
            under = members(self.inventory, Scope(ScopeKind(kind), name))
            both = int(np.isin(down, under, assume_unique=True).sum())
            if both < max(5, COUNT_SHARE * len(under)):
                continue
            change = self.counts.change(key, started_ns)
            if change is not None:
                fell += max(0, change[0] - change[1])
                lines += both
        if not lines:
            return 0
        return 1 if fell >= DROP_SEEN * lines else -1 if fell <= DROP_MISSING * lines else 0

    # --- keeping --------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        return msgspec.json.encode((self.counts.reports, self.will_delays_s))

    def load(self, data: bytes) -> None:
        kind = tuple[dict[str, list[tuple[int, int]]], list[float]]
        self.counts.reports, self.will_delays_s = msgspec.json.decode(data, type=kind)
