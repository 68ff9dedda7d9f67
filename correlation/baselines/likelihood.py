"""Did the last rows of a line come from another distribution than the rows before? One line per row of the arrays.

Reference: a kernel density over remembered samples of the present regime, so skew, several paths taken in turn, and
a rounding clock are part of it. Alternative from row k on: a Laplace density with fitted centre and shrunk scale. Both
are mixed with a broad outlier part, which bounds what a single spike can say. The decision is the generalised
likelihood ratio, maximised over k (that dates the change), for changes that are large: in ms, against the spread, and
in rank order (probability that a new sample lies beyond an old one).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

WINDOW = 16  # newest rows kept in order: a change is decided within 15 rows or not at all
MEMORY = 24  # samples remembered of the regime before them
YOUNG = 8
QUARTILE = 0.4506  # lower quartile of |difference of two standard normal numbers|

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
B = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """What counts as a change. Nats: 2.3 is ten times likelier. None of these is fitted to a network."""

    nats: float = 11.0  # log-likelihood ratio that decides; stands for prior, fitted parameters and many looks
    least_rows: int = 3  # replies a new regime must show
    least_before: int = 3  # and the old one
    least_ms: float = 0.3
    least_ratio: float = 0.002  # of the centre
    spreads: float = 3.0  # of the smaller mean absolute deviation of the two regimes
    rank: float = 0.9  # 2 |P(new > old) - 1/2|
    spike: float = 1.5  # gaps from its own centre: such a sample is a spike, and has no say in the rank order
    step_spreads: float = 4.5  # the same from the rows just before
    wider: float = 3.0  # or: so many times the spread, from `wider_rows` replies on
    wider_rows: int = 6
    outlier: float = 0.03  # share of samples that may be anything
    bandwidth: float = 0.9  # of the short-term spread
    shrink: float = 1.5  # rows' worth of trust in the known spread
    broad: float = 2.0  # samples' worth of trust in a density `broad_width` times as wide
    broad_width: float = 4.0
    floor_ms: float = 0.05  # clocks and rounding
    floor_ratio: float = 0.0005


@dataclass(frozen=True)
class Found:
    """Per line: `nats` (-inf: no change), `rows` of the new regime, centres (ms) and mean absolute deviations."""

    nats: F32
    rows: I64
    before_ms: F32
    after_ms: F32
    before_spread: F32
    after_spread: F32
    short_spread: F32


def change(recent: F32, memory: F32, rows: I64, usual_spread: F32, rule: Rule) -> Found:
    """`recent` [m, 16] oldest first, NaN lost; of these the last `rows` [m] are of the present regime. `memory` [m, 24]
    its older samples, NaN empty. `usual_spread` [m]: short-term spread the line had in settled regimes, NaN unknown."""
    count = len(recent)
    present = np.arange(WINDOW) >= WINDOW - np.minimum(rows, WINDOW)[:, None]
    x = np.where(present, recent, np.float32(np.nan))
    good = ~np.isnan(x)
    value = np.where(good, x, np.float32(0))
    known = np.sum(~np.isnan(memory), axis=1)
    everything = np.concatenate([memory, x], axis=1)
    middle = _zero(median(everything))
    floor = (rule.floor_ms + rule.floor_ratio * middle).astype(np.float32)
    short = short_spread(everything, middle, usual_spread)
    width = np.maximum(rule.bandwidth * short, floor)
    narrow = np.where(
        np.isnan(usual_spread), width, np.minimum(width, np.maximum(rule.bandwidth * usual_spread, floor))
    )
    rare = (rule.outlier / np.maximum(0.5 * middle, 20.0)).astype(np.float32)[:, None]
    inverse = (1 / width)[:, None, None]
    near = np.exp(-np.abs(value[:, :, None] - np.where(np.isnan(memory), np.inf, memory)[:, None, :]) * inverse)
    from_memory = near.sum(axis=2)
    near = np.exp(-np.abs(value[:, :, None] - np.where(good, x, np.inf)[:, None, :]) * inverse)
    from_rows = np.cumsum(near, axis=2)
    before = known[:, None] + np.cumsum(good, axis=1)

    best = np.full(count, -np.inf, np.float32)
    place = np.zeros(count, np.int64)
    figures: F32 = np.zeros((4, count), np.float32)
    here = _pairs(rule.least_rows)
    n = before[:, here.starts - 1]
    m = before[:, -1:] - n
    may = (rows[:, None] >= WINDOW - here.starts + 1) & (n >= rule.least_before) & (m >= rule.least_rows)
    if may.any():
        c1 = _zero(median(np.where(here.after, x[:, None, :], np.float32(np.nan))))
        centre = np.repeat(_zero(median(everything[:, : MEMORY + 4]))[:, None], here.starts.size, axis=1)
        young = np.flatnonzero(known < YOUNG)  # too little is remembered: every row before k counts
        if young.size:
            old = np.where(here.until, everything[young, None, :], np.float32(np.nan))
            centre[young] = _zero(median(old))
        nats, s1 = _ratios(value, good, from_memory, from_rows, width, narrow, rare, centre, c1, n, m, rule, here)
        hopeful = may & (nats > rule.nats)
        for i in np.flatnonzero(hopeful.any(axis=0)).tolist():
            k = int(here.starts[i])
            ask = np.flatnonzero(hopeful[:, i] & (nats[:, i] > best))
            if not ask.size:
                continue
            old = everything[ask, : MEMORY + k]
            large, c0, s0 = _large(old, x[ask, k:], c1[ask, i], s1[ask, i], width[ask], floor[ask], rule)
            sure = ask[large]
            best[sure] = nats[sure, i]
            place[sure] = WINDOW - k
            figures[:, sure] = np.array([c0[large], c1[sure, i], s0[large], s1[sure, i]])
    before_ms, after_ms, before_spread, after_spread = figures
    return Found(best, place, before_ms, after_ms, before_spread, after_spread, short)


@dataclass(frozen=True)
class _Pairs:
    """Every row that may be the first of a new regime (`starts`, K of them) with every row from there on: P pairs, one
    start after the other. `start` [P] numbers the starts, `row` [P]; `spans` the pairs of each start; `after` [K, 16]
    rows of the new regime, `until` [K, 40] what is remembered before it. One array operation for all starts: for a few
    lines, calls cost more than what they count."""

    starts: I64
    start: I64
    row: I64
    spans: tuple[slice, ...]
    after: B
    until: B


@cache
def _pairs(least_rows: int) -> _Pairs:
    starts = np.arange(1, WINDOW - least_rows + 1)
    size = WINDOW - starts
    end = np.cumsum(size)
    return _Pairs(
        starts=starts,
        start=np.repeat(np.arange(starts.size), size),
        row=np.concatenate([np.arange(k, WINDOW) for k in starts.tolist()]),
        spans=tuple(slice(int(e - s), int(e)) for s, e in zip(size, end, strict=True)),
        after=np.arange(WINDOW) >= starts[:, None],
        until=np.arange(MEMORY + WINDOW) < MEMORY + starts[:, None],
    )


def _ratios(
    value: F32,
    good: B,
    from_memory: F32,
    from_rows: F32,
    width: F32,
    narrow: F32,
    rare: F32,
    centre: F32,
    c1: F32,
    n: I64,
    m: I64,
    rule: Rule,
    here: _Pairs,
) -> tuple[F64, F64]:
    """Log-likelihood ratio and new mean absolute deviation, both [m, K], if the new regime began with each start."""
    typical = np.float32(1 - rule.outlier)
    row, start = here.row, here.start
    # `take` keeps the rows of the arrays in one piece, which indexing would not: sums stay in the order of the rows.
    new, is_good = value.take(row, axis=1), good.take(row, axis=1)
    near = from_memory.take(row, axis=1) + from_rows.reshape(len(value), -1).take(row * WINDOW + start, axis=1)
    dense = near / (2 * width[:, None])
    broad_width = (rule.broad_width * width)[:, None]
    broad = np.exp(-np.abs(new - centre.take(start, axis=1)) / broad_width) / (2 * broad_width)
    under_old = typical * (dense + rule.broad * broad) / (n + rule.broad).take(start, axis=1) + rare
    off = np.abs(new - c1.take(start, axis=1)) * is_good
    away = np.stack([off[:, span].sum(axis=1) for span in here.spans], axis=1)
    s1 = np.maximum((away + (rule.shrink * narrow)[:, None]) / (m + rule.shrink), narrow[:, None])
    scale = s1.take(start, axis=1)
    under_new = typical * np.exp(-off / scale) / (2 * scale) + rare
    told = np.log(under_new / under_old) * is_good
    return np.stack([told[:, span].sum(axis=1) for span in here.spans], axis=1), s1


def _zero(values: F32) -> F32:
    """Where nothing was known, 0."""
    values[np.isnan(values)] = 0
    return values


def _large(old: F32, new: F32, c1: F32, s1: F32, width: F32, floor: F32, rule: Rule) -> tuple[B, F32, F32]:
    """Is the change large enough to matter? And centre and mean absolute deviation of the old regime."""
    c0 = _zero(median(old))
    n = np.maximum(np.sum(~np.isnan(old), axis=1), 1)
    s0 = np.nansum(np.minimum(np.abs(old - c0[:, None]), 8 * width[:, None]), axis=1) / n
    s0 = np.maximum(s0, floor)
    gap = np.abs(c1 - c0)
    large = gap >= np.maximum(rule.least_ms, rule.least_ratio * c0)
    large &= gap >= rule.spreads * np.minimum(s0, np.maximum(s1, floor))
    asked = np.flatnonzero(large)
    if asked.size:
        far = rule.spike * gap[asked]
        before, after = _near(old[asked], c0[asked], far), _near(new[asked], c1[asked], far)
        few = np.sum(~np.isnan(before), axis=1) < rule.least_before
        few |= np.sum(~np.isnan(after), axis=1) < rule.least_rows
        before[few], after[few] = old[asked][few], new[asked][few]
        apart = rank_effect(before, after) >= rule.rank
        least = (rule.step_spreads * np.minimum(s0, np.maximum(s1, floor)))[asked]
        large[asked] = apart & _abrupt(old[asked, MEMORY:], new[asked], c1[asked], least)
    large |= (s1 >= rule.wider * s0) & (np.sum(~np.isnan(new), axis=1) >= rule.wider_rows)
    return large, c0, s0


def _abrupt(before: F32, new: F32, c1: F32, least: F32) -> B:
    """Did it happen from one row to the next? A line that drifts (a busy evening, a clock that wanders) has come most
    of the way within the window's own rows `before`; a regime begins with a step of at least `least` ms from those, and
    is told better by two levels than by one slope (Tukey's resistant line)."""
    local = median(before)
    known = np.sum(~np.isnan(before), axis=1) >= 2
    stepped: B = known & (np.abs(c1 - np.nan_to_num(local)) >= least)
    asked = np.flatnonzero(stepped)
    if asked.size:
        window = np.concatenate([before[asked], new[asked]], axis=1)
        levels = np.abs(before[asked] - np.nan_to_num(local[asked])[:, None]), np.abs(new[asked] - c1[asked, None])
        far = 4 * np.maximum(least[asked], 1e-3)[:, None]  # what a single spike may say
        by_step = sum(np.nansum(np.minimum(level, far), axis=1) for level in levels)
        rows = np.arange(window.shape[1], dtype=np.float32)
        third = window.shape[1] // 3
        rise = (median(window[:, -third:]) - median(window[:, :third])) / (window.shape[1] - third)
        rest = window - np.nan_to_num(rise)[:, None] * rows
        by_slope = np.nansum(np.minimum(np.abs(rest - median(rest)[:, None]), far), axis=1)
        stepped[asked] = by_step < by_slope
    return stepped


def median(values: F32) -> F32:
    """Along the last axis, of what is not NaN; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)
    last = np.maximum(np.count_nonzero(~np.isnan(values), axis=-1) - 1, 0)
    width = values.shape[-1]
    first = np.arange(last.size).reshape(last.shape) * width
    flat = ordered.reshape(-1)
    low, high = flat[first + last // 2], flat[first + (last + 1) // 2]
    result: F32 = ((low + high) / 2).astype(np.float32)
    return result


def short_spread(values: F32, middle: F32, usual: F32) -> F32:
    """Standard deviation from one sample to the next, by the lower quartile of differences: a line that takes two
    paths in turn, or shifts, still shows the spread within one of them. Shrunk to the line's usual one."""
    steps = np.sort(np.abs(np.diff(values, axis=1)), axis=1)
    count = np.sum(~np.isnan(steps), axis=1)
    low = np.take_along_axis(steps, (count // 4)[:, None], 1)[:, 0] / QUARTILE
    prior = np.where(np.isnan(usual), 0.1 + 0.01 * middle, usual)
    result: F32 = ((count * np.nan_to_num(low) + 4 * prior) / (count + 4)).astype(np.float32)
    return result


def _near(values: F32, centre: F32, far: F32) -> F32:
    """A copy in which what lies farther from the centre is NaN."""
    result: F32 = np.where(np.abs(values - centre[:, None]) <= far[:, None], values, np.float32(np.nan))
    return result


def rank_effect(old: F32, new: F32) -> F32:
    """2 |P(new > old) - 1/2| over all pairs, 0 (alike) to 1 (apart)."""
    pairs = np.sum(~np.isnan(old), axis=1) * np.sum(~np.isnan(new), axis=1)
    above = np.sum(old[:, None, :] < new[:, :, None], axis=(1, 2))
    equal = np.sum(old[:, None, :] == new[:, :, None], axis=(1, 2))
    result: F32 = np.abs(2 * (above + 0.5 * equal) / np.maximum(pairs, 1) - 1).astype(np.float32)
    return result
