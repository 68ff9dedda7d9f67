"""Slow and unstable lines: each judged against itself, streaming, a few floats a line; segments against their lines.

A running robust centre and spread of the round-trip time; sums of evidence (CUSUM of clipped likelihood steps) that it
has left its centre, and that probes are lost more often than this line loses them. Nothing is learned from what is
suspicious. What many lines of one element show at once is one segment flag and a `degraded` incident, not a flag each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.belief import Rows
from correlation.casebook import CaseBook
from correlation.intake import Heard
from correlation.lines import LineTable
from correlation.planned import Maintenance
from correlation.segments import Segments
from correlation.settings import CorrelationSettings, SlowSettings
from monitor.inventory import Inventory
from monitor.records import Change, Flag, FlagKind, LineState
from monitor.records.rounds import F32, I32

NS = 1_000_000_000
SLOW = 1  # bits of table.flagged: statistically slow
UNSTABLE = 2
TOLD_SLOW = 4  # with a flag of its own
TOLD_UNSTABLE = 8
LONE = 16  # one of its two addresses does not answer (correlation.families)
FORGET = 0.02  # weight of a new sample once the centre is settled
FLOOR_RATIO = 0.03  # a spread below 3 % of the centre, or below half a millisecond, is measurement
FLOOR_MS = 0.5
LOST_MAX = 2  # of a streak only so many rows count as loss: the rest is being down
LOSS_FORGET = 0.1
BASE_LOSS = (0.01, 0.1)  # what a line may lose as a matter of course
SUSPICIOUS = 0.3  # share of the deciding sum from which nothing is learned


@dataclass(slots=True)
class Judged:
    """Lines that crossed a line in this step."""

    slow: I32
    unstable: I32
    well: I32


class SlowLines:
    """`flags` by flag_id: those that are open."""

    def __init__(self, inventory: Inventory, table: LineTable, book: CaseBook, settings: CorrelationSettings) -> None:
        self.inventory = inventory
        self.table = table
        self.settings: SlowSettings = settings.slow
        self.flags: dict[str, Flag] = {}
        self.segments = Segments(inventory, table, book, settings)
        self.network_loss = BASE_LOSS[0]

    # --- one step -------------------------------------------------------------------------------------------------

    def review(self, now_ns: int, heard: Heard, maintenance: Maintenance) -> tuple[Change, ...]:
        for part in heard.parts:
            self._round_trips(part)
            self._losses(part)
        if not heard.parts:
            return ()
        touched = np.unique(np.concatenate([p.line for p in heard.parts])).astype(np.int32)
        changes: list[Change] = []
        self._judge(touched, now_ns)
        told = self.segments.review(self._slow_lines(), now_ns, self.flags)
        changes += told
        self._tell(touched, now_ns, changes, maintenance)
        return tuple(changes)

    def _round_trips(self, part: Rows) -> None:
        table, settings = self.table, self.settings
        good = np.isfinite(part.rtt_ms) & (part.received > 0)
        lines, x = part.line[good], part.rtt_ms[good]
        if not lines.size:
            return
        n = table.samples[lines].astype(np.float32)
        centre = np.where(n > 0, table.baseline_ms[lines], x)
        spread = np.where(n > 0, table.spread_ms[lines], FLOOR_RATIO * x + FLOOR_MS).astype(np.float32)
        off = x - centre
        bound = threshold(centre, spread, n, settings)
        judged = n >= settings.warm_samples - 1
        step = np.clip(2 * off / bound - 1, -1, settings.step_max)
        total = np.where(judged, np.maximum(table.slow_sum[lines] + step, 0), 0)
        table.slow_sum[lines] = np.minimum(total, 2 * settings.decide)
        recent = table.recent_ms[lines]
        table.recent_ms[lines] = np.where(np.isnan(recent), x, recent + np.float32(0.3) * (x - recent))
        calm = (total < SUSPICIOUS * settings.decide) & (table.flagged[lines] & SLOW == 0) & (table.slot[lines] < 0)
        weight = np.maximum(1 / (n + 1), FORGET).astype(np.float32)
        pulled = np.clip(off, -3 * spread, 3 * spread) * weight
        table.baseline_ms[lines] = np.where(calm, centre + np.where(n < 3, off * weight, pulled), centre)
        wide = np.minimum(np.abs(off), 4 * spread)
        spread = np.where(calm & (n > 0), spread + weight * (wide - spread), spread)
        table.spread_ms[lines] = np.maximum(spread, FLOOR_RATIO * centre + FLOOR_MS)
        table.samples[lines] = np.minimum(n + 1, 60_000).astype(np.uint16)
        fine = (off < 0.5 * bound) & (table.flagged[lines] & SLOW > 0)
        well = np.where(fine, table.well[lines] + 1, np.maximum(table.well[lines].astype(np.int32) - 2, 0))
        is_slow = table.flagged[lines] & SLOW > 0
        table.well[lines] = np.where(is_slow, well, table.well[lines]).astype(np.uint16)

    def _losses(self, part: Rows) -> None:
        table, settings = self.table, self.settings
        lines = part.line
        dead = part.received == 0
        counts = ~dead | (table.misses[lines] <= LOST_MAX)
        counts &= table.slot[lines] < 0
        lost = (part.sent - part.received).astype(np.float32)
        lost = np.where(dead, np.minimum(lost, 2), lost)
        got = part.received.astype(np.float32)
        base = np.clip(np.maximum(table.usual_loss[lines], self.network_loss), *BASE_LOSS).astype(np.float32)
        p = np.maximum(settings.unstable_loss * 1.5, 2 * base)
        step = lost * np.log(p / base) + got * np.log((1 - p) / (1 - base))
        total = np.clip(table.loss_sum[lines] + step, 0, 2 * settings.unstable_decide)
        table.loss_sum[lines] = np.where(counts, total, table.loss_sum[lines])
        table.loss_sum[lines[table.slot[lines] >= 0]] = 0
        ratio = lost / np.maximum(lost + got, 1)
        if counts.any():
            weight = min(np.count_nonzero(counts) / (10 * len(table)), 0.1)
            self.network_loss += weight * (min(float(ratio[counts].mean()), BASE_LOSS[1]) - self.network_loss)
        calm = counts & (total < SUSPICIOUS * settings.unstable_decide) & (table.flagged[lines] & UNSTABLE == 0)
        usual = table.usual_loss[lines]
        table.usual_loss[lines] = np.where(calm, usual + np.float32(0.01) * (ratio - usual), usual)
        known = table.loss[lines]
        fresh = np.where(np.isnan(known), ratio, known + np.float32(LOSS_FORGET) * (ratio - known))
        table.loss[lines] = np.where(counts, fresh, known)

    # --- deciding -------------------------------------------------------------------------------------------------

    def _judge(self, touched: I32, now_ns: int) -> None:
        table, settings = self.table, self.settings
        flagged = table.flagged[touched]
        alive = table.is_up(touched)
        slow = alive & (table.slow_sum[touched] >= settings.decide)
        shaky = alive & (table.loss_sum[touched] >= settings.unstable_decide)
        slow_well = (flagged & SLOW > 0) & (table.well[touched] >= settings.recover_samples)
        steady = (flagged & UNSTABLE > 0) & (table.loss_sum[touched] <= 0) & (table.loss[touched] < 0.05)
        flagged = np.where(slow & (flagged & SLOW == 0), flagged | SLOW, flagged)
        table.well[touched[slow & (table.flagged[touched] & SLOW == 0)]] = 0
        flagged = np.where(shaky, flagged | UNSTABLE, flagged)
        flagged = np.where(slow_well, flagged & ~np.uint8(SLOW), flagged)
        table.slow_sum[touched[slow_well]] = 0
        flagged = np.where(steady, flagged & ~np.uint8(UNSTABLE), flagged)
        table.flagged[touched] = flagged.astype(np.uint8)
        ill = flagged & (SLOW | UNSTABLE | LONE) > 0
        up = table.is_up(touched)
        table.state[touched[up & ill]] = LineState.DEGRADED
        table.known[touched[up & ill]] = LineState.DEGRADED
        table.state[touched[up & ~ill]] = LineState.UP
        table.known[touched[up & ~ill]] = LineState.UP

    def _slow_lines(self) -> npt.NDArray[np.bool_]:
        """Lines that are slow or half way there, bool [n]."""
        table = self.table
        half = table.slow_sum >= 0.5 * self.settings.decide
        result: npt.NDArray[np.bool_] = (half | (table.flagged & SLOW > 0)) & table.is_up()
        return result

    def _tell(self, touched: I32, now_ns: int, changes: list[Change], maintenance: Maintenance) -> None:
        table = self.table
        flagged = table.flagged[touched]
        fresh_slow = touched[(flagged & SLOW > 0) & (flagged & TOLD_SLOW == 0)]
        fresh_shaky = touched[(flagged & UNSTABLE > 0) & (flagged & TOLD_UNSTABLE == 0)]
        over = touched[
            ((flagged & SLOW == 0) & (flagged & TOLD_SLOW > 0))
            | ((flagged & UNSTABLE == 0) & (flagged & TOLD_UNSTABLE > 0))
        ]
        if not (fresh_slow.size or fresh_shaky.size or over.size):
            return
        if fresh_slow.size or fresh_shaky.size:
            spared = self.segments.covered | maintenance.announced(len(table), self.segments.book, now_ns)
            if self.segments.everywhere:
                spared = np.ones(len(table), np.bool_)
            for line in fresh_slow[~spared[fresh_slow]].tolist():
                extra = float(table.recent_ms[line] - table.baseline_ms[line])
                self._raise(line, FlagKind.SLOW, "rtt_above_baseline", extra, "ms", TOLD_SLOW, now_ns, changes)
            for line in fresh_shaky[~spared[fresh_shaky]].tolist():
                loss = float(table.loss[line])
                self._raise(line, FlagKind.UNSTABLE, "loss", loss, "ratio", TOLD_UNSTABLE, now_ns, changes)
        for line in over.tolist():
            for kind, bit, told in (
                (FlagKind.SLOW, SLOW, TOLD_SLOW),
                (FlagKind.UNSTABLE, UNSTABLE, TOLD_UNSTABLE),
            ):
                if table.flagged[line] & told and not table.flagged[line] & bit:
                    table.flagged[line] &= ~np.uint8(told)
                    self._lower(self.inventory.line_id(line), kind, now_ns, changes)

    def _raise(
        self,
        line: int,
        kind: FlagKind,
        reason: str,
        value: float,
        unit: str,
        told: int,
        now_ns: int,
        changes: list[Change],
    ) -> None:
        self.table.flagged[line] |= told
        samples = self.settings.decide / self.settings.step_max
        began = now_ns - int(samples * self.segments.interval_ns)
        flag = Flag(self.inventory.line_id(line), kind, reason, round(value, 3), unit, began, now_ns)
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
        return {**self.segments.clock(), "network_loss": self.network_loss}

    def load(self, flags: list[Flag], clock: dict[str, float]) -> None:
        self.network_loss = clock.get("network_loss", self.network_loss)
        self.flags = {f.flag_id: f for f in flags}
        self.segments.load(clock)


def threshold(centre: F32, spread: F32, samples: F32, settings: SlowSettings) -> F32:
    """How far above its centre a round trip must be to count fully as slow (ms); wider while little is known."""
    least = np.maximum(settings.slow_min_ms, settings.slow_min_ratio * centre)
    bound: F32 = np.maximum(settings.slow_spreads * spread, least) * (1 + 4 / (samples + 1))
    return bound
