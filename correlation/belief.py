"""Line belief: every sign moves the log-odds that a line is down, and the state follows.

In: probe rows, telemetry and events, as columns. Out: the columns of the LineTable, and which lines fell or came back
(`Moves`). A first miss is remembered, so that a fall is dated back to it. Misses while a line shows other signs of life
lower its learned reply rate instead: such a line is deaf to pings, not down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.lines import LineTable
from correlation.sets import Index, all_distinct, as_index, distinct_lines
from correlation.settings import EvidenceSettings
from monitor.records import LineState, ProbeRound
from monitor.records.rounds import F32, I32, I64, U16

NS = 1_000_000_000
DAY_QUARTER_NS = 6 * 3600 * NS
SHORT_FALL = 5  # rows
PIECE = 16_384  # rows at a time
NO_LINES: I32 = np.zeros(0, np.int32)


@dataclass(slots=True)
class Rows:
    """The usable rows of a round: known lines, something sent, sorted by time, times not in the future."""

    line: I32
    at_ns: I64
    sent: U16
    received: U16
    rtt_ms: F32

    def pieces(self) -> "list[Rows]":
        """The same rows in views of at most PIECE: what a step works on then stays in the processor's cache."""
        if self.line.size <= PIECE:
            return [self]
        spans = [slice(low, low + PIECE) for low in range(0, self.line.size, PIECE)]
        return [Rows(self.line[s], self.at_ns[s], self.sent[s], self.received[s], self.rtt_ms[s]) for s in spans]


@dataclass(slots=True)
class Moves:
    """Lines whose state changed in a step, int32 ascending. `fell`: were up when last known, and are down now."""

    fell: I32
    rose: I32
    returned: I32  # down again after blindness: no new fall

    @classmethod
    def none(cls) -> "Moves":
        return cls(NO_LINES, NO_LINES, NO_LINES)


def usable(round_: ProbeRound, table: LineTable, now_ns: int) -> tuple[Rows, int]:
    """The rows that say something, and how many were refused (unknown index, absurd counts or times)."""
    target = round_.target
    good = (target >= 0) & (target < len(table)) & (round_.at_ns > 0) & (round_.at_ns <= now_ns + 60 * NS)
    chosen = good & (round_.sent > 0)
    refused = int(np.count_nonzero(~good))
    keep: slice | npt.NDArray[np.intp] = slice(None) if chosen.all() else np.flatnonzero(chosen)
    at = np.minimum(round_.at_ns[keep], now_ns)
    if at.size > 1 and (at[1:] < at[:-1]).any():
        order = np.argsort(at, kind="stable")
        keep = order if isinstance(keep, slice) else keep[order]
        at = at[order]
    sent = round_.sent[keep]
    rtt = round_.rtt_ms[keep]
    rtt = np.where(np.isfinite(rtt) & (rtt > 0) & (rtt < 60_000), rtt, np.float32(np.nan)).astype(np.float32)
    return Rows(target[keep].astype(np.int32), at, sent, np.minimum(round_.received[keep], sent), rtt), refused


def passes(rows: Rows, among: int) -> list[Rows]:
    """Split so that no line is twice in one part, keeping the order in time: fancy indexing writes a line once.
    `among`: how many lines there are."""
    parts: list[Rows] = []
    line = rows.line
    if all_distinct(line, among):
        return [rows]
    order = np.argsort(line, kind="stable")
    ordered = line[order]
    start = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    rank = np.empty(line.size, np.int64)
    rank[order] = np.arange(line.size) - np.repeat(start, np.diff(np.append(start, line.size)))
    for i in range(int(rank.max()) + 1):
        pick = np.flatnonzero(rank == i)
        parts.append(Rows(line[pick], rows.at_ns[pick], rows.sent[pick], rows.received[pick], rows.rtt_ms[pick]))
    return parts


def apply_probes(table: LineTable, rows: Rows, source: int, settings: EvidenceSettings) -> tuple[I32, I32]:
    """One part (each line once). Returns the lines that answered and those that newly missed (first miss of a streak).

    A row that is not newer than what is known of its line from the same source is a duplicate or late: a late reply
    still counts as a reply when it is newer than the last one, a late miss does not.
    """
    done = [_apply(table, piece, source, settings) for piece in rows.pieces()]
    if len(done) == 1:
        return done[0]
    return np.concatenate([answered for answered, _ in done]), np.concatenate([first for _, first in done])


def _apply(table: LineTable, rows: Rows, source: int, settings: EvidenceSettings) -> tuple[I32, I32]:
    lines = as_index(rows.line)
    late = (rows.at_ns <= table.probed_ns[lines]) & (table.source[lines] == source)
    replied = rows.received > 0
    hit = replied & (rows.at_ns > table.replied_ns[lines])
    miss = ~replied & ~late
    learn = np.float32(settings.reply_learning)
    if hit.any():
        whole = bool(hit.all())
        answered, mine = (lines, slice(None)) if whole else (rows.line[hit].astype(np.intp), hit)
        at = rows.at_ns[mine]
        _learn_reply(table, answered, rows.sent[mine], rows.received[mine], learn, settings)
        belief = table.belief[answered] + np.float32(settings.reply)
        table.belief[answered] = np.maximum(belief, np.float32(-settings.clip_up))
        table.replied_ns[answered] = at
        table.probed_ns[answered] = np.maximum(table.probed_ns[answered], at)
        table.rtt_ms[answered] = rows.rtt_ms[mine]
        back = rows.line[mine][np.flatnonzero(table.misses[answered])]
        table.blip_s[back] = table.miss_ns[back] // NS
        table.miss_ns[answered] = 0
        table.misses[answered] = 0
        table.asked[answered] = False
        table.source[answered] = source
    if not miss.any():
        return rows.line[hit], NO_LINES
    gone, at = rows.line[miss].astype(np.intp), rows.at_ns[miss]
    first = table.miss_ns[gone] == 0
    sent = rows.sent[miss].astype(np.float32)
    rate = np.clip(table.reply[gone], settings.reply_min, settings.reply_max)
    nats = -np.log1p(-rate) * (1 + (sent - 1) * np.float32(settings.repeat_weight))
    table.belief[gone] = np.minimum(table.belief[gone] + nats, np.float32(settings.clip_down))
    table.probed_ns[gone] = np.maximum(table.probed_ns[gone], at)
    table.miss_ns[gone[first]] = at[first]
    table.misses[gone] = np.minimum(table.misses[gone].astype(np.int32) + 1, 255).astype(np.uint8)
    table.source[gone] = source
    return rows.line[hit], rows.line[miss][first]


def _learn_reply(
    table: LineTable,
    lines: Index,
    sent: U16,
    received: U16,
    learn: np.float32,
    settings: EvidenceSettings,
) -> None:
    """A reply after a few misses says those were losses; so does a short fall of a line by itself, which may have been
    one: the line then needs more misses for a while. A long streak, or an incident's, says nothing about loss."""
    lost = (sent - received).astype(np.float32)
    missed = table.misses[lines]
    if missed.any():
        short = (table.state[lines] != LineState.DOWN) | ((missed <= SHORT_FALL) & (table.slot[lines] < 0))
        lost += np.where(short, missed, 0)
    rate = table.reply[lines]
    if lost.any():
        rate = rate * _powers(1 - learn, lost)
    rate = 1 - (1 - rate) * _powers(1 - learn, received.astype(np.float32))
    table.reply[lines] = np.clip(rate, settings.reply_min, settings.reply_max)


def _powers(base: np.float32, exponents: F32) -> F32:
    """base ** exponents (whole numbers): nearly always the same few, which a table knows."""
    most = int(exponents.max(initial=0))
    if most >= exponents.size:
        dear: F32 = base**exponents
        return dear
    table = base ** np.arange(most + 1, dtype=np.float32)
    result: F32 = table[exponents.astype(np.intp)]
    return result


def apply_life(table: LineTable, lines: I32, at_ns: I64, settings: EvidenceSettings, nats: float | None = None) -> None:
    """Signs of life that are no pings (each line once). One from before the line fell silent says nothing new."""
    gap = (at_ns - table.alive_ns[lines]) / NS
    steady = (table.alive_ns[lines] > 0) & (gap > 0.5) & (gap < 86_400)
    known = table.beat_s[lines[steady]]
    fresh = gap[steady].astype(np.float32)
    table.beat_s[lines[steady]] = np.where(np.isnan(known), fresh, known + np.float32(0.2) * (fresh - known))
    table.alive_ns[lines] = np.maximum(table.alive_ns[lines], at_ns)
    silent = table.miss_ns[lines]
    news = at_ns > silent + np.where(silent > 0, int(settings.life_grace_s * NS), 0)
    lines, at_ns = lines[news], at_ns[news]
    if not lines.size:
        return
    missed = table.misses[lines].astype(np.float32)
    # It lives, and did not answer: those pings were lost, whatever the reason. Believed faster than plain loss.
    rate = table.reply[lines] * np.where(missed > 0, np.float32(0.9) ** np.minimum(missed, 10), np.float32(1))
    table.reply[lines] = np.maximum(rate, settings.reply_min)
    step = np.float32(settings.life if nats is None else nats)
    table.belief[lines] = np.maximum(table.belief[lines] + step, np.float32(-settings.clip_up))
    table.miss_ns[lines] = 0
    table.misses[lines] = 0
    table.asked[lines] = False


def apply_sign(table: LineTable, line: int, at_ns: int, nats: float, settings: EvidenceSettings) -> None:
    """One sign that speaks for down (a last will, a dying gasp). Older than the last sign of life: no news."""
    if at_ns < max(int(table.replied_ns[line]), int(table.alive_ns[line])):
        return
    table.belief[line] = min(float(table.belief[line]) + nats, settings.clip_down)
    if table.miss_ns[line] == 0:
        table.miss_ns[line] = at_ns


def apply_call(table: LineTable, line: int, at_ns: int, settings: EvidenceSettings) -> None:
    """A customer calls. Beside misses it speaks for down; without any it never makes a line down."""
    room = min(settings.call, 0.5 * settings.down_at) - float(table.belief[line])
    nats = settings.call if table.misses[line] else min(settings.call, room)
    if nats > 0:
        apply_sign(table, line, at_ns, nats, settings)


def settle(table: LineTable, touched: Sequence[I32], now_ns: int, settings: EvidenceSettings) -> Moves:
    """Turn beliefs into states for the lines touched in this step."""
    parts = [t for t in touched if t.size]
    if not parts:
        return Moves.none()
    lines = parts[0] if len(parts) == 1 and _ascending(parts[0]) else distinct_lines(parts, len(table))
    # Ascending, each once: as many as there are lines are all of them, which needs no index.
    where = slice(None) if lines.size == len(table) else lines.astype(np.intp)
    belief, state, known = table.belief[where], table.state[where], table.known[where]
    seen = table.seen_ns(where)
    is_down = (belief >= settings.down_at) & (seen > 0)
    is_up = (belief <= settings.up_at) & (seen > 0)
    fell_now = is_down & (state != LineState.DOWN)
    rose_now = is_up & ((state == LineState.DOWN) | (state == LineState.UNKNOWN))
    returned = fell_now & (known == LineState.DOWN)
    fell = fell_now & ~returned
    _turn_quarter(table, now_ns)
    if fell_now.any():
        rows = lines[fell]
        start = np.where(table.miss_ns[rows] > 0, table.miss_ns[rows], now_ns)
        table.down_ns[rows] = start
        table.since_ns[rows] = start
        bucket = table.flaps[table.flap_quarter % len(table.flaps)]
        bucket[rows] = np.minimum(bucket[rows].astype(np.int32) + 1, 255).astype(np.uint8)
        table.since_ns[lines[returned]] = table.down_ns[lines[returned]]
        both = lines[fell_now]
        table.state[both] = table.known[both] = LineState.DOWN
    if rose_now.any():
        rows = lines[rose_now]
        table.since_ns[rows] = seen[rose_now]
        up = np.where(table.flagged[rows] > 0, LineState.DEGRADED, LineState.UP).astype(np.uint8)
        table.state[rows] = table.known[rows] = up
    return Moves(lines[fell], lines[rose_now], lines[returned])


def forget(table: LineTable, lines: npt.NDArray[np.integer], since_ns: int) -> None:
    """These lines cannot be seen: unknown since then, and whatever was missed meanwhile says nothing."""
    table.state[lines] = LineState.UNKNOWN
    table.since_ns[lines] = since_ns
    table.belief[lines] = 0
    table.miss_ns[lines] = 0
    table.misses[lines] = 0
    table.asked[lines] = False
    table.miss4_ns[lines] = table.miss6_ns[lines] = 0
    table.lost4[lines] = table.lost6[lines] = 0


def _turn_quarter(table: LineTable, now_ns: int) -> None:
    quarter = now_ns // DAY_QUARTER_NS
    while table.flap_quarter < quarter:
        table.flap_quarter = max(table.flap_quarter + 1, quarter - len(table.flaps))
        table.flaps[table.flap_quarter % len(table.flaps)] = 0


def _ascending(lines: I32) -> bool:
    return bool(np.all(lines[1:] > lines[:-1]))
