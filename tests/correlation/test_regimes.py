"""Changes of a line's round trips: found once, dated right, in time, and not where there are none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlation.baselines.regimes import Regimes
from correlation.baselines.series import SeriesChange, changes
from monitor.records.rounds import F32


def quiet(rows: int, level: float = 40.0, spread: float = 0.2, seed: int = 1) -> F32:
    rng = np.random.default_rng(seed)
    return (level + spread * rng.gamma(1.0, 1.0, rows)).astype(np.float32)


def found(series: F32) -> list[SeriesChange]:
    return list(changes(series))


def test_a_step_is_found_once_dated_and_decided_in_time() -> None:
    """A step of 2 ms over 0.2 ms of noise is one shift, dated within two rows, decided within fifteen."""
    series = np.concatenate([quiet(300), quiet(200, 42.0, seed=2)])
    (one,) = found(series)
    assert one.kind == "shift"
    assert abs(one.index - 300) <= 2
    assert one.index <= one.decided_index <= one.index + 15
    assert one.before_ms == pytest.approx(40.1, abs=0.3)
    assert one.after_ms == pytest.approx(42.1, abs=0.3)


def test_there_and_back() -> None:
    """An hour of a full queue begins and ends: two changes, each within two rows."""
    rng = np.random.default_rng(3)
    series = quiet(400)
    series[200:215] += (30 + 20 * rng.gamma(2, 1, 15)).astype(np.float32)
    assert [abs(c.index - true) <= 2 for c, true in zip(found(series), (200, 215), strict=True)] == [True, True]


@pytest.mark.parametrize(
    "series",
    [
        np.full(300, 7.0),
        np.full(300, np.nan),
        np.full(300, -3.0),
        np.array([5.0]),
        np.zeros(0),
        np.concatenate([[900.0], np.full(300, 7.0)]),
        np.where(np.arange(300) % 2 == 0, 12.0, 15.0),
        np.tile([8.0, 9.0, 8.0], 100),
    ],
    ids=["constant", "all lost", "negative", "one sample", "empty", "step at the first", "two paths", "rounded"],
)
def test_nothing_where_nothing_changes(series: F32) -> None:
    """Constant, all lost, negative, one sample, a step at the first sample, two paths in turn: no change."""
    assert found(series) == []


def test_absurd_values_are_lost_probes_and_break_nothing() -> None:
    """Infinite, negative and missing round trips count as lost; the baseline stays."""
    series = quiet(300)
    series[[20, 60, 100, 140]] = [np.inf, -np.inf, -1, np.nan]
    assert found(series) == []


def test_single_spikes_are_no_change() -> None:
    """One row in twenty is up to 200 ms higher: nothing is reported."""
    rng = np.random.default_rng(4)
    series = quiet(1000)
    spiky = np.arange(7, 1000, 20)
    series[spiky] += rng.uniform(5, 200, spiky.size).astype(np.float32)
    assert found(series) == []


def test_silence_is_unstable_and_its_end_a_shift() -> None:
    """Twenty rows without a reply begin an unstable stretch without a level, and end it with one."""
    series = quiet(400)
    series[200:220] = np.nan
    begin, end = found(series)
    assert (begin.kind, begin.index, begin.after_ms) == ("unstable", 200, None)
    assert (end.kind, end.index, end.before_ms) == ("shift", 220, None)
    assert end.decided_index - end.index <= 3


def test_more_spread_alone_is_unstable() -> None:
    """The same centre with ten times the spread is an unstable stretch."""
    rng = np.random.default_rng(5)
    series = np.concatenate([40 + rng.normal(0, 0.3, 300), 40 + rng.normal(0, 6, 60)])
    kinds = [c.kind for c in found(series.astype(np.float32))]
    assert kinds[:1] == ["unstable"]


def test_many_lines_at_once_are_judged_as_each_alone() -> None:
    """Fifty lines in one array, reporting in different rows, give exactly what each gives alone."""
    rng = np.random.default_rng(6)
    series = [np.concatenate([quiet(60, 20 + i, seed=i), quiet(60, 23 + i, seed=100 + i)]) for i in range(50)]
    together = Regimes(50)
    said: dict[int, list[tuple[int, int]]] = {i: [] for i in range(50)}
    place = np.zeros(50, np.int64)
    while (place < 120).any():
        lines = np.flatnonzero((place < 120) & (rng.random(50) < 0.7)).astype(np.int32)
        shifts = together.step(lines, np.array([series[i][place[i]] for i in lines.tolist()], np.float32))
        for line, rows in zip(shifts.line.tolist(), shifts.rows.tolist(), strict=True):
            said[line].append((int(place[line]) - rows + 1, int(place[line])))
        place[lines] += 1
    assert said == {i: [(c.index, c.decided_index) for c in changes(s)] for i, s in enumerate(series)}
    assert sum(len(found) for found in said.values()) >= 45


def test_a_restart_forgets_nothing() -> None:
    """Cut anywhere, saved, restored and remapped to another place: the same changes at the same rows."""
    series = np.concatenate([quiet(150), quiet(100, 43.0, seed=2)])
    expected = [(c.index, c.decided_index) for c in changes(series)]
    said = []
    regimes, line = Regimes(1), np.zeros(1, np.int32)
    for row, value in enumerate(series):
        if row % 37 == 0:
            kept = Regimes(len(regimes))
            kept.load(regimes.save())
            moved = kept.remap(np.where(np.arange(len(kept)) == line[0], 2, -1).astype(np.int32), 3)
            regimes, line = moved, np.array([2], np.int32)
        shifts = regimes.step(line, np.array([value], np.float32))
        said += [(row - rows + 1, row) for rows in shifts.rows.tolist()]
    assert said == expected != []


def test_a_snapshot_of_another_size_is_refused() -> None:
    """Columns of another number of lines do not go in half."""
    with pytest.raises(ValueError, match="shape"):
        Regimes(3).load(Regimes(2).save())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, 1.5, 80.0])), max_size=60))
def test_any_numbers_give_ordered_causal_changes(values: list[float]) -> None:
    """Whatever comes in: indexes ascend, no look-ahead, decided within fifteen rows, finite scores."""
    with np.errstate(over="ignore"):
        series = np.array(values, np.float32)
    result = found(series)
    for c in result:
        assert 0 < c.index <= c.decided_index < len(values)
        assert c.decided_index - c.index <= 15
        assert np.isfinite(c.score)
    assert all(a.decided_index <= b.decided_index for a, b in itertools.pairwise(result))


def test_state_is_small() -> None:
    """A line's state stays under 250 bytes."""
    assert Regimes(1000).bytes_per_line < 250


@pytest.mark.parametrize(("period", "swing", "most"), [(360, 8.0, 12), (288, 24.0, 40), (1440, 8.0, 4)])
def test_a_smooth_daily_swing_is_no_staircase(period: int, swing: float, most: int) -> None:
    """A line that is slower every evening drifts there and back: of thousands of rows hardly any begins a regime, and a
    step on top of the swing is found all the same."""
    rng = np.random.default_rng(4)
    rows = np.arange(4000)
    series = 40 + swing / 2 * np.sin(2 * np.pi * rows / period) + rng.gamma(2, 0.4, rows.size)
    assert len(found(series.astype(np.float32))) <= most
    series[2000:] += 2 * swing
    assert any(abs(c.index - 2000) <= 2 for c in found(series.astype(np.float32)))


def test_small_steps_over_little_jitter_are_seen() -> None:
    """One to two ms over a jitter of a tenth: every one is found, and nothing else."""
    rng = np.random.default_rng(5)
    starts = np.arange(200, 3800, 180)
    level = 15 + np.cumsum(np.isin(np.arange(4000), starts) * rng.uniform(1, 2, 4000) * rng.choice([-0.9, 1], 4000))
    made = found((level + rng.gamma(2, 0.1, 4000)).astype(np.float32))
    assert len(made) <= len(starts) + 1
    assert sum(any(abs(c.index - s) <= 2 for c in made) for s in starts) >= len(starts) - 1


def test_a_step_on_a_spiky_line_is_known_at_once() -> None:
    """One row in twelve is a spike, up to hundreds of ms: a step of 4 ms is dated right on most of twenty lines, within
    three rows, and nothing else is told. Spikes of the old regime do not speak against the new one."""
    waited, others = [], 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        series = 40 + rng.gamma(2, 0.2, 600) + np.where(np.arange(600) >= 300, 4, 0)
        spiky = rng.random(600) < 0.08
        series[spiky] += rng.exponential(60, int(spiky.sum()))
        for c in found(series.astype(np.float32)):
            if abs(c.index - 300) <= 2:
                waited.append(c.decided_index - 300)
            else:
                others += 1
    assert len(waited) >= 16
    assert others <= 1
    assert np.mean(waited) <= 3
