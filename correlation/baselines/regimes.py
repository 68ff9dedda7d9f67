"""Regimes of every line's round trips: streaming, vectorised, O(1) a sample; the same code for a million lines and one.

A row is one round: a round-trip time (ms) or NaN (lost). A cheap screen (clipped sums of deviations from a running
centre) passes every row of every line; the few suspicious lines, and those that changed lately, are judged by
`likelihood.change`. A stretch without replies is a regime too. About 200 bytes a line, in arrays that are kept and
remapped by name, so gaps and restarts forget nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.baselines.likelihood import MEMORY, WINDOW, Found, Rule, change
from correlation.sets import as_index
from monitor.records.rounds import F32, I32, I64, U8, U16

COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "head": (np.uint8, 0),  # where the next row goes in `recent`
    "rows": (np.uint16, 0),  # of the present regime
    "stored": (np.uint16, 0),  # rows that left `recent` and belong to the present regime
    "regimes": (np.uint16, 0),  # regimes ended so far
    "silent": (np.bool_, 0),
    "lost": (np.uint8, 0),  # in a row
    "loss": (np.float32, 0.01),  # share of rows, slow
    "centre": (np.float32, np.nan),
    "spread": (np.float32, np.nan),  # mean absolute deviation
    "above": (np.float32, 0.0),  # clipped sums of deviations, in spreads
    "below": (np.float32, 0.0),
    "usual_spread": (np.float32, np.nan),
}
STRIDE = 4  # every so-manieth row is remembered once the memory is full
SUSPICIOUS, CAP = 3.0, 4.5
DRIFT, CLIP = 1.5, 3.0
NEWEST, NEWEST_AWAY, AWAY = 4, 3, 1.5  # so many of the newest rows must lie so many spreads away
UNSETTLED = 48  # rows after a change in which every row is judged
SETTLED = 12  # rows from which a regime tells the line's usual spread
FORGET = 0.02
SILENT_ROWS = 5  # lost in a row; more where the line loses much anyway
SILENT_CHANCE = 1e-5
LOSS_FORGET = np.float32(0.005)
BACK_OF, BACK_ROWS = 4, 3  # replies in the newest rows that end a silence
JUDGED = 512  # at a time: what a judgement works on stays in the cache
ABSURD_MS = 60_000.0
PART = 16_384  # lines at a time: their columns stay in the processor's cache

Index = npt.NDArray[np.intp]
Place = slice | Index


@dataclass(frozen=True)
class Shifts:
    """Changes decided in this row, k of them: `line` int32, `rows` int64 (of the new regime, the newest row
    included), centres in ms (NaN: silence), mean absolute deviations, `nats`."""

    line: I32
    rows: I64
    before_ms: F32
    after_ms: F32
    before_spread: F32
    after_spread: F32
    nats: F32

    def __len__(self) -> int:
        return int(self.line.size)

    @classmethod
    def none(cls) -> "Shifts":
        empty = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int32), np.zeros(0, np.int64), empty, empty, empty, empty, empty)

    @classmethod
    def join(cls, parts: list["Shifts"]) -> "Shifts":
        if not parts:
            return cls.none()
        names = ("line", "rows", "before_ms", "after_ms", "before_spread", "after_spread", "nats")
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


class Regimes:
    """Columns of n lines, `recent` float32 [n, 16] (a ring), `memory` float32 [n, 24]."""

    head: U8
    rows: U16
    stored: U16
    regimes: U16
    silent: npt.NDArray[np.bool_]
    lost: U8
    loss: F32
    centre: F32
    spread: F32
    above: F32
    below: F32
    usual_spread: F32

    def __init__(self, lines: int, rule: Rule | None = None) -> None:
        self.rule = rule or Rule()
        for name, (kind, fill) in COLUMNS.items():
            setattr(self, name, np.zeros(lines, kind) if fill == 0 else np.full(lines, fill, kind))
        self.recent: F32 = np.full((lines, WINDOW), np.nan, np.float32)
        self.memory: F32 = np.full((lines, MEMORY), np.nan, np.float32)

    def __len__(self) -> int:
        return int(self.rows.size)

    @property
    def bytes_per_line(self) -> float:
        arrays = [*(getattr(self, name) for name in COLUMNS), self.recent, self.memory]
        return float(sum(a.nbytes for a in arrays)) / max(len(self), 1)

    # --- one row --------------------------------------------------------------------------------------------------

    def step(self, lines: npt.NDArray[np.integer], rtt_ms: F32, most: int = 1_000_000_000) -> Shifts:
        """One row of each of `lines` (no line twice); NaN, not above zero or absurd: lost. When more than `most` lines
        are to be judged, they take turns: a change may wait some of its fifteen rows."""
        found: list[Shifts] = []
        doubtful: list[Index] = []
        index: Index = lines.astype(np.intp)  # as numpy wants it, converted once
        for start in range(0, len(lines), PART):
            part = slice(start, start + PART)
            doubtful.append(self._part(index[part], rtt_ms[part], found))
        judged = np.concatenate(doubtful) if doubtful else np.zeros(0, np.intp)
        turns = -(-len(judged) // most)
        if turns > 1:
            judged = judged[(judged + self.rows[judged]) % turns == 0]
        for start in range(0, len(judged), JUDGED):
            self._judge(judged[start : start + JUDGED], found)
        return Shifts.join(found)

    def _part(self, lines: Index, rtt_ms: F32, found: list[Shifts]) -> Index:
        """The cheap part, for every line. Returns the lines to be judged."""
        with np.errstate(invalid="ignore"):
            good = (rtt_ms > 0) & (rtt_ms < ABSURD_MS)
        x = np.where(good, rtt_ms, np.float32(np.nan))
        at = as_index(lines)
        self._store(lines, at, x)
        watched = self._screen(lines, at, x, good)
        self._silence(lines, at, good, found)
        watched &= ~self.silent[at]
        judged: Index = lines[watched]
        return judged

    def _store(self, lines: Index, at: Place, x: F32) -> None:
        """The oldest row leaves the ring, into the memory when its turn has come."""
        head = self.head[at]
        rows = self.rows[at]
        stored = self.stored[at]
        going = np.flatnonzero((rows >= WINDOW) & ((stored < MEMORY) | (stored % STRIDE == 0)))
        if going.size:
            leaving = self.recent[lines[going], head[going]]
            kept = ~np.isnan(leaving)
            going = going[kept]
            slot = np.where(stored[going] < MEMORY, stored[going], (stored[going] // STRIDE) % MEMORY)
            self.memory[lines[going], slot] = leaving[kept]
        more = (rows >= WINDOW).astype(np.uint16)
        self.stored[at] = np.where(stored >= 60_000, stored - 36_000, stored) + more
        self.recent[lines, head] = x
        self.head[at] = (head + 1) % WINDOW
        self.rows[at] = np.minimum(rows, 60_000) + np.uint16(1)

    def _screen(self, lines: Index, at: Place, x: F32, good: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which lines are worth judging; keeps centre and spread, and learns nothing while a line is suspicious."""
        centre, spread, rows = self.centre[at], self.spread[at], self.rows[at]
        fresh = np.isnan(centre) & good
        centre = np.where(fresh, x, centre)
        floor = self.rule.floor_ms + self.rule.floor_ratio * centre
        spread = np.where(fresh, floor + 0.02 * centre, spread)
        off = np.where(good, x - centre, 0)
        z = np.clip(off / np.maximum(spread, floor), -CLIP, CLIP)
        above = np.where(good, np.maximum(self.above[at] + z - DRIFT, 0), self.above[at])
        below = np.where(good, np.maximum(self.below[at] - z - DRIFT, 0), self.below[at])
        suspicious = (above >= SUSPICIOUS) | (below >= SUSPICIOUS)
        weight = np.where(suspicious, FORGET / 4, np.maximum(1 / (rows.astype(np.float32) + 1), FORGET))
        reach = 3 * spread
        self.centre[at] = centre + np.clip(off, -reach, reach) * weight
        size = np.minimum(np.abs(off), 4 * spread)
        self.spread[at] = np.where(good, np.maximum(spread + weight * (size - spread), floor), spread)
        self.above[at] = np.minimum(above, CAP)
        self.below[at] = np.minimum(below, CAP)
        unsettled = (rows < UNSETTLED) & (self.regimes[at] > 0)
        unsettled &= (rows <= WINDOW) | (rows % 2 == 0)
        watched = (suspicious | unsettled) & good
        doubtful = np.flatnonzero(watched & ~unsettled)
        if doubtful.size:
            newest = self._ordered(lines[doubtful])[:, -NEWEST:]
            off = np.abs(newest - self.centre[lines[doubtful]][:, None]) >= AWAY * spread[doubtful][:, None]
            watched[doubtful] = off.sum(axis=1) >= NEWEST_AWAY
        return watched

    def _silence(self, lines: Index, at: Place, good: npt.NDArray[np.bool_], found: list[Shifts]) -> None:
        lost = np.where(good, 0, np.minimum(self.lost[at], 254) + 1).astype(np.uint8)
        self.lost[at] = lost
        silent = self.silent[at]
        loss = self.loss[at].copy()
        learns = ~silent & (lost < SILENT_ROWS)  # a silence says nothing about single losses
        self.loss[at] = np.where(learns, loss + LOSS_FORGET * (~good - loss), loss)
        begins = ~silent & (lost >= SILENT_ROWS) & (lost < WINDOW) & (self.rows[at] > lost)
        here = np.flatnonzero(begins)
        if here.size:
            usual = np.clip(loss[here], 0.01, 0.9)
            here = here[lost[here] >= np.log(SILENT_CHANCE) / np.log(usual)]
        ends = np.flatnonzero(silent & good)
        if here.size:
            who, rows = lines[here], lost[here].astype(np.int64)
            found.append(self._said(who, rows, self.centre[who], np.full(who.size, np.nan, np.float32)))
            self._begin(who, rows)
            self.silent[who] = True
        if ends.size:
            who = lines[ends]
            newest = self._ordered(who)[:, -BACK_OF:]
            back = ~np.isnan(newest)
            enough = back.sum(axis=1) >= BACK_ROWS
            if enough.any():
                who, back, newest = who[enough], back[enough], newest[enough]
                rows = (BACK_OF - np.argmax(back, axis=1)).astype(np.int64)
                after = np.nanmedian(newest, axis=1).astype(np.float32)
                found.append(self._said(who, rows, np.full(who.size, np.nan, np.float32), after))
                self._begin(who, rows)
                self.silent[who] = False
                self.centre[who] = after

    def _said(self, who: Index, rows: I64, before: F32, after: F32) -> Shifts:
        nan = np.full(who.size, np.nan, np.float32)
        sure = np.full(who.size, -np.log(SILENT_CHANCE), np.float32)
        return Shifts(who.astype(np.int32), rows, before, after, nan, nan, sure)

    # --- the suspicious -------------------------------------------------------------------------------------------

    def _ordered(self, lines: Index) -> F32:
        """`recent` of these lines, oldest row first."""
        order = (self.head[lines][:, None].astype(np.int64) + np.arange(WINDOW)) % WINDOW
        result: F32 = np.take_along_axis(self.recent[lines], order, axis=1)
        return result

    def _judge(self, lines: Index, result: list[Shifts]) -> None:
        rows = self.rows[lines].astype(np.int64)
        found = change(self._ordered(lines), self.memory[lines], rows, self.usual_spread[lines], self.rule)
        hit = found.nats > self.rule.nats
        if not hit.any():
            return
        who = lines[hit]
        cut = Found(*(getattr(found, name)[hit] for name in Found.__dataclass_fields__))
        settled = rows[hit] - cut.rows >= SETTLED
        usual = self.usual_spread[who]
        learned = np.where(np.isnan(usual), cut.short_spread, (usual + cut.short_spread) / 2)
        self.usual_spread[who] = np.where(settled, learned, usual)
        self._begin(who, cut.rows)
        self.centre[who] = cut.after_ms
        self.spread[who] = cut.after_spread
        levels = (cut.before_ms, cut.after_ms, cut.before_spread, cut.after_spread)
        result.append(Shifts(who.astype(np.int32), cut.rows, *levels, cut.nats))

    def _begin(self, who: Index, rows: I64) -> None:
        """A new regime, of which `rows` rows are known."""
        self.rows[who] = rows
        self.stored[who] = 0
        self.memory[who] = np.nan
        self.above[who] = self.below[who] = 0
        self.regimes[who] = np.minimum(self.regimes[who], 60_000) + 1

    # --- keeping --------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        columns = {f"regime_{name}": getattr(self, name).copy() for name in COLUMNS}
        return {**columns, "regime_recent": self.recent.copy(), "regime_memory": self.memory.copy()}

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """What was not saved stays as it is. Raises ValueError when a column is of another number of lines."""
        for name in (*COLUMNS, "recent", "memory"):
            saved = arrays.get(f"regime_{name}")
            if saved is None:
                continue
            own = getattr(self, name)
            if saved.shape != own.shape:
                raise ValueError(f"saved column regime_{name} has shape {saved.shape}, expected {own.shape}")
            own[:] = saved

    def remap(self, to: I32, lines: int) -> "Regimes":
        """Row i goes to `to[i]` of `lines` rows; -1 is forgotten."""
        fresh = Regimes(lines, self.rule)
        kept = np.flatnonzero(to >= 0)
        for name in (*COLUMNS, "recent", "memory"):
            getattr(fresh, name)[to[kept]] = getattr(self, name)[kept]
        return fresh
