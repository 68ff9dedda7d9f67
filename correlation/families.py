"""IPv4 and IPv6 of one line are two witnesses: losing one of them is degraded, losing both is down.

Rows of the second address (`ProbeRound.family` 6) are told apart here before they reach the belief. A reply of either
proves the line alive. A miss counts only while the other one does not answer either; else it is that witness's own
streak, which is confirmed once like any first miss, and from LOST_PROBES probes on makes the line degraded (bit LONE
of its flags). A line that is probed over one family alone never comes here.
"""

from dataclasses import dataclass

import numpy as np

from correlation.belief import Rows
from correlation.lines import LineTable
from correlation.slow import LONE, SlowLines
from monitor.inventory import Inventory
from monitor.records import Change, Flag, FlagKind, LineState
from monitor.records.rounds import I32

LOST_PROBES = 3
FRESH_ROUNDS = 3  # a witness not heard for so long is none
TOLD_MAX = 500  # flags of this kind at a time; beyond it only the state says it: then it is no single line's fault
REASONS = ("ipv4_lost", "ipv6_lost")
NO_LINES: I32 = np.zeros(0, np.int32)


@dataclass(slots=True)
class Sifted:
    """`rows` move the belief, `judged` say something about the line's quality, `first` newly missed on one side."""

    rows: Rows
    judged: Rows
    first: I32


class Families:
    """`any`: some line has shown two witnesses; before that nothing here costs anything."""

    def __init__(self, inventory: Inventory, table: LineTable, slow: SlowLines) -> None:
        self.inventory = inventory
        self.table = table
        self.slow = slow
        self.any = bool(table.replied6_ns.any())
        self._touched: list[I32] = []

    def sift(self, part: Rows, second: bool, interval_ns: int) -> Sifted:
        """Each line at most once in `part`. Writes down who answered and who did not."""
        if not (second or self.any):
            return Sifted(part, part, NO_LINES)
        self.any = True
        table, line = self.table, part.line
        mine, others = (2, 1) if second else (1, 2)
        replied, miss, lost = _columns(table, mine)
        other_replied, other_miss, _ = _columns(table, others)
        hit = part.received > 0
        answered = line[hit]
        replied[answered] = np.maximum(replied[answered], part.at_ns[hit])
        miss[answered] = 0
        lost[answered] = 0
        news = ~hit & (part.at_ns > replied[line])
        gone = line[news]
        first = miss[gone] == 0
        miss[gone[first]] = part.at_ns[news][first]
        lost[gone] = np.minimum(lost[gone].astype(np.int32) + part.sent[news], 255).astype(np.uint8)
        known = other_replied[line] > 0
        fine = known & (other_miss[line] == 0) & (other_replied[line] >= part.at_ns - FRESH_ROUNDS * interval_ns)
        alone = ~hit & fine
        both = ~hit & known & ~fine & (table.miss_ns[line] == 0)
        # Both are gone: since the other one's first miss, if this one has not answered after it.
        rows = line[both]
        since = other_miss[rows]
        earlier = (since > 0) & (since > replied[rows])
        table.miss_ns[rows[earlier]] = since[earlier]
        dual = line[known | (replied[line] > 0) if second else known]
        self._touched.append(dual)
        if not second:
            kept = _pick(part, ~alone)
            return Sifted(kept, kept, gone[first & fine[news]])
        # The round-trip time shown, and judged, is that of the first address.
        shown = table.rtt_ms[line]
        part.rtt_ms = np.where(np.isfinite(shown), shown, part.rtt_ms).astype(np.float32)
        return Sifted(_pick(part, ~alone), _pick(part, np.zeros(len(line), np.bool_)), gone[first & fine[news]])

    def review(self, now_ns: int) -> tuple[Change, ...]:
        """Degraded and well again, for the lines heard in this step."""
        if not self._touched:
            return ()
        lines = np.unique(np.concatenate(self._touched)).astype(np.int32)
        self._touched.clear()
        table = self.table
        up = table.is_up(lines)
        lone4 = (table.lost4[lines] >= LOST_PROBES) & (table.replied6_ns[lines] > table.miss4_ns[lines])
        lone6 = (table.lost6[lines] >= LOST_PROBES) & (table.replied4_ns[lines] > table.miss6_ns[lines])
        lone, had = up & (lone4 | lone6), table.flagged[lines] & LONE > 0
        over = had & ~lone & (table.lost4[lines] == 0) & (table.lost6[lines] == 0)
        fresh = lines[lone & ~had]
        table.flagged[fresh] |= LONE
        table.state[fresh] = table.known[fresh] = LineState.DEGRADED
        done = lines[over]
        table.flagged[done] &= ~np.uint16(LONE)
        well = done[(table.flagged[done] == 0) & table.is_up(done)]
        table.state[well] = table.known[well] = LineState.UP
        return self._tell(fresh, done, now_ns)

    def _tell(self, fresh: I32, done: I32, now_ns: int) -> tuple[Change, ...]:
        table, flags, changes = self.table, self.slow.flags, []
        open_ = {f.subject: f for f in flags.values() if f.reason in REASONS} if fresh.size or done.size else {}
        for line in fresh[: max(0, TOLD_MAX - len(open_))].tolist():
            second = bool(table.lost6[line])
            since = int(table.miss6_ns[line] if second else table.miss4_ns[line])
            flag = Flag(self.inventory.line_id(line), FlagKind.UNSTABLE, REASONS[second], 1.0, "ratio", since, now_ns)
            flags[flag.flag_id] = flag
            changes.append(Change(at_ns=now_ns, what="flag_raised", flag=flag))
        for line in done.tolist() if open_ else ():
            if (raised := open_.get(self.inventory.line_id(line))) is not None:
                del flags[raised.flag_id]
                ended = Flag(
                    raised.subject,
                    raised.kind,
                    raised.reason,
                    raised.value,
                    raised.unit,
                    raised.started_ns,
                    raised.detected_ns,
                    now_ns,
                )
                changes.append(Change(at_ns=now_ns, what="flag_ended", flag=ended))
        return tuple(changes)


def _columns(table: LineTable, which: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if which == 1:
        return table.replied4_ns, table.miss4_ns, table.lost4
    return table.replied6_ns, table.miss6_ns, table.lost6


def _pick(part: Rows, keep: np.ndarray) -> Rows:
    if keep.all():
        return part
    return Rows(part.line[keep], part.at_ns[keep], part.sent[keep], part.received[keep], part.rtt_ms[keep])
