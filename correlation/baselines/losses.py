"""Does a line lose more probes than it always does? A sum of log-likelihood ratios per line, against its own loss.

One alternative: it loses `unstable_loss`, or three times its usual, whichever is more. What a line loses as a matter of
course (`habits`) follows in blocks of sixty rows, so that a line that begins to lose is not excused by those very
losses; added is what everybody loses more than usual now. A streak of six rows is being down, which flaps count: what
it said is taken back.
"""

import numpy as np
import numpy.typing as npt

from correlation.baselines.habits import Habits
from correlation.baselines.steadiness import Steadiness
from correlation.belief import PIECE, Rows
from correlation.lines import LineTable
from correlation.sets import Index, as_index
from correlation.settings import SlowSettings
from monitor.records.rounds import F32, I32

B = npt.NDArray[np.bool_]
NS = 1_000_000_000
LOST_MAX = 2  # rows of a streak that may be loss
DOWN_ROWS = 6  # a streak so long was no loss
BLOCK_FIRST, BLOCK = 6, 60  # rows after which they are learned: at first as many as are known
PRIOR = 0.01
MEMORY_ROWS = 500.0  # of what everybody loses
LEAST, MOST = 0.003, 0.1  # what a line may lose as a matter of course
TIMES = 3.0
YOUNG_ROWS = np.float32(5.0)  # known of a line, a loss says half as much as later
QUICK = np.float32(0.1)  # the loss that is shown follows within some ten rows
SUSPICIOUS = 0.5  # share of the deciding sum from which nothing is learned; one loss is no suspicion
CAP = 1.25  # times the deciding sum: how far it goes on growing
WELL_SUM, WELL_LOSS = 0.5, 0.05  # share of the deciding sum and loss under which a line is well again
FEW_ROWS = 500.0  # rows of everybody, or half a round, that say what everybody loses now


class Losses:
    """`network` is what all lines usually lose on average, `now` what they lose now; columns per line are the table's
    and `steadiness`'s."""

    def __init__(self, table: LineTable, steadiness: Steadiness, settings: SlowSettings) -> None:
        self.table = table
        self.steadiness = steadiness
        self.settings = settings
        self.habits = Habits(steadiness)
        self.network = self.now = PRIOR

    def take(self, part: Rows, unstable: int) -> None:
        """One row of each line of `part`; `unstable`: the bit of `flagged` with which the usual loss must not
        follow. What everybody loses is taken from all rows; then each line is judged by itself, in pieces that stay in
        the processor's cache."""
        where, dead = as_index(part.line), part.received == 0
        counts = (self.table.slot[where] < 0) & (~dead | (self.steadiness.run[where] < LOST_MAX))
        lost = (part.sent - part.received).astype(np.float32)
        lost = np.where(dead, np.minimum(lost, 2), lost)
        more = self._more_than_usual(lost, part.received.astype(np.float32), counts)
        for low in range(0, part.line.size, PIECE):
            span = slice(low, low + PIECE)
            piece = Rows(part.line[span], part.at_ns[span], part.sent[span], part.received[span], part.rtt_ms[span])
            self._take(piece, lost[span], more, unstable)

    def _take(self, part: Rows, lost: F32, more: float, unstable: int) -> None:
        table, steady, decide = self.table, self.steadiness, self.settings.unstable_decide
        who, dead = part.line, part.received == 0
        lines = as_index(who)  # read first, written after: what is read of a slice is no copy
        learns = table.flagged[lines] & unstable == 0
        run, free = steady.run[lines], table.slot[lines] < 0
        counts = free & (~dead | (run < LOST_MAX))
        got = part.received.astype(np.float32)
        ratio = lost / np.maximum(lost + got, 1)
        usual = table.usual_loss[lines]
        base = np.clip(usual + more, LEAST, MOST).astype(np.float32)
        p = np.maximum(self.settings.unstable_loss, TIMES * base)
        sure = steady.habit_rows[lines] / (steady.habit_rows[lines] + YOUNG_ROWS)
        step = sure * lost * np.log(p / base) + got * np.log((1 - p) / (1 - base))
        before = table.loss_sum[lines]
        total = np.clip(before + step, 0, CAP * decide).astype(np.float32)
        began = counts & (before <= 0) & (total > 0)
        table.loss_since_s[who[began]] = part.at_ns[began] // NS
        first = dead & (run == 0)
        steady.before_loss[who[first]] = before[first]
        total = np.where(counts, total, np.where(free, before, 0))
        total = np.where(dead & free & (run == DOWN_ROWS - 1), steady.before_loss[lines], total)
        table.loss_sum[lines] = total
        steady.run[lines] = np.where(dead, np.minimum(run, 254) + 1, 0).astype(np.uint8)
        self._learn(lines, who, np.where(counts, ratio, 0).astype(np.float32), counts, learns, total, sure)
        known = table.loss[lines]
        fresh = np.where(np.isnan(known), ratio, known + QUICK * (ratio - known))
        table.loss[lines] = np.where(counts, fresh, known)

    def _learn(self, lines: Index, who: I32, ratio: F32, counts: B, learns: B, total: F32, sure: F32) -> None:
        """Row by row into the block, and a full block into what the line usually loses. While it is in doubt that
        waits: when the doubt goes those losses were usual ones, when a flag comes of it they were none."""
        steady = self.steadiness
        rows = np.minimum(steady.block_rows[lines] + counts.astype(np.uint8), 250).astype(np.uint8)
        lost = steady.block_loss[lines] + ratio
        calm = total < SUSPICIOUS * self.settings.unstable_decide * np.maximum(sure, 0.5)
        full = learns & calm & (rows >= np.clip(steady.habit_rows[lines], BLOCK_FIRST, BLOCK))
        anew = full | ~learns
        steady.block_rows[lines] = np.where(anew, 0, rows)
        steady.block_loss[lines] = np.where(anew, 0, lost)
        if full.any():
            who = who[full]
            self.table.usual_loss[who] = self.habits.take(who, lost[full], rows[full].astype(np.float32))

    def _more_than_usual(self, lost: F32, got: F32, counts: B) -> float:
        """What everybody loses now above what everybody usually loses: a busy uplink of the prober is nobody's line."""
        gone, all_of = float(lost[counts].sum()), float((lost[counts] + got[counts]).sum())
        if all_of:
            quick_rows = max(FEW_ROWS, len(self.table) / 2)
            self.now += min(all_of / (all_of + quick_rows), 0.9) * (gone / all_of - self.now)
            share = all_of / (all_of + MEMORY_ROWS * len(self.table))
            self.network += share * (min(gone / all_of, MOST) - self.network)
        return max(0.0, self.now - self.network)

    def well(self, lines: Index) -> B:
        """Which of these lose no more than usual again."""
        quiet = self.table.loss_sum[lines] <= WELL_SUM * self.settings.unstable_decide
        result: B = quiet & (self.table.loss[lines] < WELL_LOSS)
        return result
