"""Slow, unstable and degrading lines: each judged against itself and its siblings, streaming; segments against lines.

A running robust centre and spread of the round-trip time per line, the rhythm of the hour per element; sums of evidence
(CUSUM of clipped steps) that a line has left its centre, loses more, or jitters more than it does; changes of regime
(`baselines.regimes`) settle and date what the sums suspect; telemetry tells of falling power. Nothing is learned from
what is suspicious. What many lines of one element show is one segment flag and a `degraded` incident.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.baselines import siblings
from correlation.baselines import telemetry as tele
from correlation.baselines.losses import LOST_MAX, Losses
from correlation.baselines.regimes import Regimes
from correlation.baselines.seasons import Seasons
from correlation.baselines.steadiness import Steadiness
from correlation.baselines.telemetry import Telemetry
from correlation.belief import PIECE, Rows
from correlation.casebook import CaseBook
from correlation.intake import Heard
from correlation.lines import LineTable
from correlation.planned import Maintenance
from correlation.segments import Segments
from correlation.sets import as_index, distinct_lines
from correlation.settings import CorrelationSettings, SlowSettings
from monitor.inventory import Inventory
from monitor.records import Change, Flag, FlagKind, LineState
from monitor.records.rounds import F32, I32

NS = 1_000_000_000
SLOW = 1  # bits of table.flagged: statistically slow
UNSTABLE = 2  # loses too much
TOLD_SLOW = 4  # with a flag of its own
TOLD_UNSTABLE = 8
LONE = 16  # one of its two addresses does not answer (correlation.families)
JITTER = 32
FLAPS = 64
DEGRADING = 128
TOLD_DEGRADING = 256
UNSTEADY = UNSTABLE | JITTER | FLAPS
FORGET = 0.02  # weight of a new sample in the spread once it is settled
CENTRE_S = 4 * 3600.0  # the centre follows over hours
FLOOR_RATIO = 0.03  # a spread below 3 % of the centre, or below half a millisecond, is measurement
FLOOR_MS = 0.5
SUSPICIOUS = 0.3  # share of the deciding sum from which nothing is learned
JITTER_DECIDE = 24.0
SHIFT_ROWS = 4  # replies of a new, slower regime that settle the matter
MOST_JUDGED = 20_000  # lines a step whose regime is looked at closely


@dataclass(slots=True)
class Told:
    """One way in which a line is not well: its flag's kind, the bits that mean it, and the bit that says it is told."""

    kind: FlagKind
    bits: int
    told: int


KINDS = (
    Told(FlagKind.SLOW, SLOW, TOLD_SLOW),
    Told(FlagKind.UNSTABLE, UNSTEADY, TOLD_UNSTABLE),
    Told(FlagKind.DEGRADING, DEGRADING, TOLD_DEGRADING),
)


class SlowLines:
    """`flags` by flag_id: those that are open."""

    def __init__(self, inventory: Inventory, table: LineTable, book: CaseBook, settings: CorrelationSettings) -> None:
        self.inventory = inventory
        self.table = table
        self.settings: SlowSettings = settings.slow
        self.flags: dict[str, Flag] = {}
        self.segments = Segments(inventory, table, book, settings)
        self.regimes = Regimes(len(table))
        self.steadiness = Steadiness(len(table))
        self.losses = Losses(table, self.steadiness, self.settings)
        self.telemetry = Telemetry(len(table))
        self.seasons = Seasons(len(inventory.elements), settings.timezone)
        self.rhythm: F32 = np.zeros(len(inventory.elements), np.float32)
        self.half: I32 | None = None  # lines that are slow or half way there, up or not; None: not looked yet

    # --- one step -------------------------------------------------------------------------------------------------

    def review(self, now_ns: int, heard: Heard, maintenance: Maintenance) -> tuple[Change, ...]:
        take = self.telemetry.take
        seen = [take(values.line, values.kind, values.value, values.at_ns) for values in heard.values]
        for part in heard.parts:
            for piece in part.pieces():
                self._round_trips(piece)
            self.losses.take(part, UNSTABLE)
            self._regimes(part, now_ns)
            seen.append(part.line)
        if not seen:
            return ()
        touched = distinct_lines(seen, len(self.table))
        changes: list[Change] = []
        for low in range(0, touched.size, PIECE):
            self._judge(touched[low : low + PIECE])
        covered = self.segments.covered.copy()
        changes += self.segments.review(self._slow_lines(touched), now_ns, self.flags)
        self._release(covered & ~self.segments.covered)
        self._tell(touched, now_ns, changes, maintenance)
        self._learn_rhythm(now_ns)
        self.losses.habits.learn(now_ns)
        return tuple(changes)

    def _learn_rhythm(self, now_ns: int) -> None:
        table = self.table
        if now_ns - self.seasons.learned_ns < 300 * NS:
            return
        settled = table.is_up() & (table.samples >= 60) & (table.flagged & (SLOW | UNSTABLE) == 0) & (table.slot < 0)
        settled &= ~self.segments.covered & (table.slow_sum < SUSPICIOUS * self.settings.decide)
        above = ((table.recent_ms - table.baseline_ms) / np.maximum(table.baseline_ms, 1)).astype(np.float32)
        self.seasons.learn(now_ns, self.inventory, above, settled & np.isfinite(above))
        self.rhythm = self.seasons.now(now_ns)

    def usual_ms(self, lines: npt.NDArray[np.integer]) -> F32:
        """What is usual for these lines now: their own centre, and their element's rhythm of the hour."""
        result: F32 = self.table.baseline_ms[lines] * (1 + self.rhythm[self.inventory.leaf[lines]])
        return result

    def _round_trips(self, part: Rows) -> None:
        table, settings = self.table, self.settings
        good = np.isfinite(part.rtt_ms) & (part.received > 0)
        who, x = part.line[good], part.rtt_ms[good]
        if not who.size:
            return
        lines = as_index(who)  # read first, written after: what is read of a slice is no copy
        n = table.samples[lines].astype(np.float32)
        centre = np.where(n > 0, table.baseline_ms[lines], x)
        spread = np.where(n > 0, table.spread_ms[lines], FLOOR_RATIO * x + FLOOR_MS).astype(np.float32)
        off = x - centre
        beyond = off - centre * self.rhythm[self.inventory.leaf[lines]]
        bound = threshold(centre, spread, n, settings)
        judged = n >= settings.warm_samples - 1
        step = np.clip(2 * beyond / bound - 1, -1, settings.step_max)
        before = table.slow_sum[lines]
        total = np.where(judged, np.maximum(before + step, 0), 0)
        began = (before <= 0) & (total > 0)
        table.slow_since_s[who[began]] = part.at_ns[good][began] // NS
        table.slow_sum[lines] = np.minimum(total, 2 * settings.decide)
        recent = table.recent_ms[lines]
        table.recent_ms[lines] = np.where(np.isnan(recent), x, recent + np.float32(0.3) * (x - recent))
        calm = (total < SUSPICIOUS * settings.decide) & (table.flagged[lines] & SLOW == 0) & (table.slot[lines] < 0)
        calm &= ~self.segments.covered[lines]
        settled = min(FORGET, self.segments.interval_ns / NS / CENTRE_S)
        pulled = np.clip(off, -3 * spread, 3 * spread) * np.maximum(1 / (n + 1), settled).astype(np.float32)
        table.baseline_ms[lines] = np.where(calm, centre + np.where(n < 3, off / (n + 1), pulled), centre)
        wide = np.minimum(np.abs(off), 4 * spread)
        weight = np.maximum(1 / (n + 1), FORGET).astype(np.float32)
        spread = np.where(calm & (n > 0), spread + weight * (wide - spread), spread)
        table.spread_ms[lines] = np.maximum(spread, FLOOR_RATIO * centre + FLOOR_MS)
        table.samples[lines] = np.minimum(n + 1, 60_000).astype(np.uint16)
        fine = (beyond < 0.5 * bound) & (table.flagged[lines] & SLOW > 0)
        well = np.where(fine, table.well[lines] + 1, np.maximum(table.well[lines].astype(np.int32) - 2, 0))
        is_slow = table.flagged[lines] & SLOW > 0
        table.well[lines] = np.where(is_slow, well, table.well[lines]).astype(np.uint16)
        self.steadiness.replies(lines, x, JITTER_DECIDE)

    def _regimes(self, part: Rows, now_ns: int) -> None:
        """A slower regime of its own settles what the sum suspects, and dates it. A dead line is no regime: only the
        first misses count."""
        table = self.table
        replied = (part.received > 0) & np.isfinite(part.rtt_ms)
        row = replied | ((part.received == 0) & (table.misses[part.line] <= LOST_MAX))
        rtt = np.where(replied, part.rtt_ms, np.float32(np.nan))[row]
        shifts = self.regimes.step(part.line[row], rtt, MOST_JUDGED)
        slower = np.flatnonzero((shifts.after_ms > shifts.before_ms) & (shifts.rows >= SHIFT_ROWS))
        if not slower.size:
            return
        lines = shifts.line[slower]
        n = table.samples[lines].astype(np.float32)
        bound = threshold(table.baseline_ms[lines], table.spread_ms[lines], n, self.settings)
        clear = (shifts.after_ms[slower] - self.usual_ms(lines) >= bound) & (n >= self.settings.warm_samples)
        lines, rows = lines[clear], shifts.rows[slower][clear]
        table.slow_sum[lines] = np.maximum(table.slow_sum[lines], self.settings.decide)
        table.slow_since_s[lines] = (now_ns - (rows - 1) * self.segments.interval_ns) // NS

    # --- deciding -------------------------------------------------------------------------------------------------

    def _judge(self, touched: I32) -> None:
        table, settings, steady = self.table, self.settings, self.steadiness
        where = as_index(touched)
        flagged = table.flagged[where]
        alive = table.is_up(where)
        slow = alive & (table.slow_sum[where] >= settings.decide)
        slow_well = (flagged & SLOW > 0) & (table.well[where] >= settings.recover_samples)
        table.well[touched[slow & (flagged & SLOW == 0)]] = 0
        table.slow_sum[touched[slow_well]] = 0
        flaps = table.flaps_24h(where)
        jitter = steady.jitter_sum[where]
        for bit, begins, ends in (
            (SLOW, slow, slow_well),
            (
                UNSTABLE,
                alive & (table.loss_sum[where] >= settings.unstable_decide),
                self.losses.well(where),
            ),
            (JITTER, alive & (jitter >= JITTER_DECIDE), jitter <= 0),
            (FLAPS, alive & (flaps >= settings.unstable_flaps), flaps < settings.unstable_flaps // 2),
            (
                DEGRADING,
                self.telemetry.signs[where] & tele.FALLING > 0,
                self.telemetry.signs[where] & tele.FALLING == 0,
            ),
        ):
            flagged = np.where(begins, flagged | bit, np.where(ends, flagged & ~np.uint16(bit), flagged))
        table.loss_sum[touched[(table.flagged[where] & UNSTABLE > 0) & (flagged & UNSTABLE == 0)]] = 0
        table.flagged[where] = flagged.astype(np.uint16)
        ill = flagged & (SLOW | UNSTABLE | JITTER | LONE) > 0
        up = table.is_up(where)
        table.state[touched[up & ill]] = LineState.DEGRADED
        table.known[touched[up & ill]] = LineState.DEGRADED
        table.state[touched[up & ~ill]] = LineState.UP
        table.known[touched[up & ~ill]] = LineState.UP

    def _release(self, lines: npt.NDArray[np.bool_]) -> None:
        """Their segment is well again: what was summed up meanwhile was its doing. Evidence starts anew."""
        if not lines.any():
            return
        table = self.table
        table.slow_sum[lines] = table.loss_sum[lines] = self.steadiness.jitter_sum[lines] = 0
        table.flagged[lines] &= ~np.uint16(SLOW | UNSTABLE | JITTER)

    def _slow_lines(self, touched: I32) -> npt.NDArray[np.bool_]:
        """Lines that are slow or half way there, bool [n]: some of those that were, and of those heard since."""
        table = self.table
        if self.half is None:
            pool = np.arange(len(table), dtype=np.int32)
        else:
            pool = distinct_lines([self.half, touched], len(table)) if self.half.size else touched
        half = table.slow_sum[pool] >= 0.5 * self.settings.decide
        self.half = pool[half | (table.flagged[pool] & SLOW > 0)]
        result = np.zeros(len(table), np.bool_)
        result[self.half] = table.is_up(self.half)
        return result

    # --- telling --------------------------------------------------------------------------------------------------

    def _tell(self, touched: I32, now_ns: int, changes: list[Change], maintenance: Maintenance) -> None:
        table = self.table
        where = as_index(touched)
        spared: npt.NDArray[np.bool_] | None = None
        for way in KINDS:
            flagged = table.flagged[where]
            is_ill = flagged & way.bits > 0
            if way.kind is FlagKind.UNSTABLE:
                is_ill |= self.telemetry.signs[where] & tele.UNSTEADY > 0
            told = flagged & way.told > 0
            for line in touched[told & ~is_ill].tolist():
                table.flagged[line] &= ~np.uint16(way.told)
                self._lower(self.inventory.line_id(line), way.kind, now_ns, changes)
            fresh = touched[is_ill & ~told]
            if not fresh.size:
                continue
            if spared is None:
                spared = self.segments.covered | maintenance.announced(len(table), self.segments.book, now_ns)
                if self.segments.everywhere:
                    spared = np.ones(len(table), np.bool_)
            for line in fresh[~spared[fresh]].tolist():
                said = self._say(way.kind, line)
                if said is not None:
                    table.flagged[line] |= way.told
                    self._raise(line, way.kind, *said, now_ns, changes)

    def _say(self, kind: FlagKind, line: int) -> tuple[str, float, str, int] | None:
        """Reason, value, unit and since (ns) of a fresh flag; None while it is not this line's own."""
        table, steady = self.table, self.steadiness
        bits, signs = int(table.flagged[line]), int(self.telemetry.signs[line])
        if kind is FlagKind.SLOW:
            if not siblings.alone(table, self.inventory, line):
                return None
            extra = float(table.recent_ms[line] - table.baseline_ms[line])
            return "rtt_above_baseline", extra, "ms", int(table.slow_since_s[line]) * NS
        if kind is FlagKind.UNSTABLE:
            limit = self.settings.unstable_decide
            if bits & UNSTABLE and not siblings.mostly(table, self.inventory, line, table.loss_sum, limit):
                return "loss", float(table.loss[line]), "ratio", int(table.loss_since_s[line]) * NS
            if bits & JITTER and not siblings.mostly(table, self.inventory, line, steady.jitter_sum, JITTER_DECIDE):
                return "jitter", float(steady.jitter_ms[line]), "ms", 0
            if bits & FLAPS:
                count = float(table.flaps[:, line].sum())
                alone = siblings.flaps_alone(table, self.inventory, line)
                return ("flaps", count, "per_day", int(table.down_ns[line])) if alone else None
        wanted = tele.FALLING if kind is FlagKind.DEGRADING else tele.UNSTEADY
        bit = next((b for b in tele.WORDS if signs & wanted & b), 0)
        if not bit:
            return None
        reason, unit = tele.WORDS[bit]
        return reason, self.telemetry.figure(line, bit), unit, int(self.telemetry.since_s[line]) * NS

    def _raise(
        self,
        line: int,
        kind: FlagKind,
        reason: str,
        value: float,
        unit: str,
        since_ns: int,
        now_ns: int,
        changes: list[Change],
    ) -> None:
        samples = self.settings.decide / self.settings.step_max
        began = since_ns or now_ns - int(samples * self.segments.interval_ns)
        flag = Flag(self.inventory.line_id(line), kind, reason, round(value, 3), unit, min(began, now_ns), now_ns)
        self.flags[flag.flag_id] = flag
        changes.append(Change(at_ns=now_ns, what="flag_raised", flag=flag))

    def _lower(self, subject: str, kind: FlagKind, now_ns: int, changes: list[Change]) -> None:
        for flag_id, flag in list(self.flags.items()):
            if flag.subject == subject and flag.kind is kind:
                ended = Flag(
                    flag.subject, kind, flag.reason, flag.value, flag.unit, flag.started_ns, flag.detected_ns, now_ns
                )
                del self.flags[flag_id]
                changes.append(Change(at_ns=now_ns, what="flag_ended", flag=ended))

    # --- keeping --------------------------------------------------------------------------------------------------

    def clock(self) -> dict[str, float]:
        return {
            **self.segments.clock(),
            **self.losses.habits.clock(),
            "network_loss": self.losses.network,
            "loss_now": self.losses.now,
        }

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        """The baselines' columns; flags and clock are kept by whoever keeps the engine."""
        parts = (self.regimes, self.steadiness, self.telemetry, self.seasons)
        return {name: array for part in parts for name, array in part.save().items()}

    def load(
        self, flags: list[Flag], clock: dict[str, float], arrays: dict[str, npt.NDArray[np.generic]] | None = None
    ) -> None:
        """What an older snapshot lacks is learned anew."""
        self.losses.network = clock.get("network_loss", self.losses.network)
        self.losses.now = clock.get("loss_now", self.losses.now)
        self.losses.habits.load(clock)
        self.flags = {f.flag_id: f for f in flags}
        self.segments.load(clock)
        if arrays is not None:
            for part in (self.regimes, self.steadiness, self.telemetry, self.seasons):
                part.load(arrays)
            self.rhythm = self.seasons.now(self.seasons.learned_ns)

    def inherit(self, older: "SlowLines", to: I32, elements: I32) -> None:
        """Take over what `older` knows: line i is `to[i]` of this inventory, element i `elements[i]`, -1: gone."""
        self.regimes = older.regimes.remap(to, len(self.table))
        self.steadiness = older.steadiness.remap(to, len(self.table))
        self.losses = Losses(self.table, self.steadiness, self.settings)
        self.losses.network, self.losses.now = older.losses.network, older.losses.now
        self.losses.habits.load(older.losses.habits.clock())
        self.telemetry = older.telemetry.remap(to, len(self.table))
        self.seasons = older.seasons.remap(elements, len(self.inventory.elements))
        self.rhythm = self.seasons.now(self.seasons.learned_ns)


def threshold(centre: F32, spread: F32, samples: F32, settings: SlowSettings) -> F32:
    """How far above its centre a round trip must be to count fully as slow (ms); wider while little is known."""
    least = np.maximum(settings.slow_min_ms, settings.slow_min_ratio * centre)
    bound: F32 = np.maximum(settings.slow_spreads * spread, least) * (1 + 4 / (samples + 1))
    return bound
