"""The list of lines most likely to call: the score, what is learned, and that nothing knows its future."""

import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlation.ranking import CALLS_NEEDED, call_table, flag_table, rank
from correlation.ranking.history import DAY_NS, History, features
from correlation.ranking.learned import WEEK_NS, learn
from correlation.ranking.score import score
from monitor.records import Flag, FlagKind
from tests.correlation.neighbourhood import NOW, NS, past

HOUR_NS = 3600 * NS


def flag(
    line: str,
    kind: FlagKind = FlagKind.UNSTABLE,
    since_h: float = 24,
    until_h: float | None = None,
    value: float = 0.05,
) -> Flag:
    """Hours before NOW; `until_h` None: it goes on."""
    reason, unit = {"unstable": ("loss", "ratio"), "slow": ("rtt_above_baseline", "ms")}.get(
        kind.value, ("rx_power_falling", "db")
    )
    begin = NOW - int(since_h * HOUR_NS)
    end = None if until_h is None else NOW - int(until_h * HOUR_NS)
    return Flag(line, kind, reason, value, unit, begin, begin, end)


def scores(*flags: Flag) -> dict[str, float]:
    found = rank(flag_table(flags), call_table([]), NOW).lines
    return dict(zip(found["line_id"], found["score"], strict=True))


def test_the_score_says_what_is_documented() -> None:
    """A middling unstable line that goes on: 35 after a day, 62 after three, 82 after a week."""
    found = scores(*(flag(f"L{days}", since_h=24 * days) for days in (1, 3, 7)))
    assert {line: round(value) for line, value in found.items()} == {"L1": 35, "L3": 62, "L7": 82}


def test_worse_longer_newer_and_open_count_more() -> None:
    """Every one of these moves a line up, by itself."""
    found = scores(
        flag("open"),
        flag("over", until_h=0.01),
        flag("older", since_h=24 * 8, until_h=24 * 7),
        flag("shorter", since_h=6, until_h=0.01),
        flag("milder", value=0.01),
        flag("slow", FlagKind.SLOW, value=30.0),
        flag("degrading", FlagKind.DEGRADING, value=-3.0),
        *(flag("often", since_h=24 * n + 8, until_h=24 * n) for n in range(3)),
        flag("once", since_h=24, until_h=0.01),
    )
    assert found["open"] > found["over"] > found["older"]
    assert found["over"] > found["shorter"]
    assert found["open"] > found["milder"]
    assert found["open"] > found["slow"] > found["degrading"]
    assert found["often"] > found["older"]


def test_what_is_long_over_or_of_elements_is_not_listed() -> None:
    """Four weeks after its end a flag is forgotten; a slow segment is no line's."""
    assert scores(
        flag("gone", since_h=24 * 31, until_h=24 * 28.1),
        replace_subject(flag("x"), "element:north/ex-1"),
        flag("kept", since_h=24 * 31, until_h=24 * 27.9),
    ).keys() == {"kept"}


def replace_subject(made: Flag, subject: str) -> Flag:
    return Flag(subject, FlagKind.SEGMENT_SLOW, made.reason, made.value, made.unit, made.started_ns, made.detected_ns)


def test_nobody_to_list() -> None:
    """No flags and no calls: an empty list, by the score."""
    made = rank(flag_table([]), call_table([]), NOW)
    assert (len(made.lines), made.basis.method, made.basis.reason) == (0, "score", "few_calls")


def test_odd_values_do_no_harm() -> None:
    """Not a number, endless, an unknown reason, an end before the start, a start in the future: all finite."""
    odd = [flag(f"L{n}", value=v) for n, v in enumerate((float("nan"), float("inf"), -1e300, 0.0))]
    odd.append(Flag("L8", FlagKind.SLOW, "new_reason", 7.0, "x", NOW, NOW - HOUR_NS, NOW - 2 * HOUR_NS))
    odd.append(Flag("L9", FlagKind.SLOW, "loss", 7.0, "x", NOW + HOUR_NS, NOW - HOUR_NS, None))
    found = scores(*odd)
    assert np.isfinite(list(found.values())).all()
    assert set(found) == {"L0", "L1", "L2", "L3", "L8", "L9"}


@pytest.fixture(scope="module")
def recorded() -> tuple[list[Flag], list[tuple[str, int]]]:
    return past()


def test_a_model_takes_over_where_it_is_better(recorded: tuple[list[Flag], list[tuple[str, int]]]) -> None:
    """People here call about falling light and not about slowness, which the score cannot know: on later days the model
    finds more callers, and ranks."""
    flags, calls = recorded
    made = rank(flag_table(flags), call_table(calls), NOW)
    assert made.basis.calls >= CALLS_NEEDED
    assert (made.basis.method, made.basis.reason) == ("model", "better")
    assert made.basis.model is not None
    assert made.basis.score is not None
    assert made.basis.model.average_precision > 1.2 * made.basis.score.average_precision
    assert made.basis.model.lift_at_top > 1.5
    assert made.lines["chance"].is_monotonic_decreasing
    assert 0.5 < made.lines["chance"].mean() / made.basis.base_ratio < 2.0  # its chances are chances


def test_fewer_calls_leave_it_to_the_score(recorded: tuple[list[Flag], list[tuple[str, int]]]) -> None:
    """With 499 recorded calls the score ranks; it is tested all the same, and said how good it is."""
    flags, calls = recorded
    table = call_table(calls).iloc[: CALLS_NEEDED - 1]
    made = rank(flag_table(flags), table, NOW)
    assert (made.basis.method, made.basis.reason, made.basis.calls) == ("score", "few_calls", CALLS_NEEDED - 1)
    assert made.lines["chance"].isna().all()


def test_calls_without_a_pattern_leave_it_to_the_score() -> None:
    """People call whatever their line does: nothing was learned that holds on later days, and that is said."""
    flags, calls = past(weights=(0.0, 0.0, 0.0), by_chance=0.01, seed=2)
    made = rank(flag_table(flags), call_table(calls), NOW)
    assert (made.basis.method, made.basis.reason) == ("score", "not_better")
    assert made.basis.model is not None
    assert made.basis.score is not None


def test_a_short_history_is_not_enough() -> None:
    """Three weeks with any number of calls: nothing to test on, so nothing is learned."""
    flags, calls = past(days=21, by_chance=0.05)
    basis = rank(flag_table(flags), call_table(calls), NOW).basis
    assert (basis.method, basis.reason) == ("score", "few_days")
    assert basis.calls > CALLS_NEEDED


def test_tests_lie_a_week_after_the_last_lesson(recorded: tuple[list[Flag], list[tuple[str, int]]]) -> None:
    """Calls after the first test day change no test prediction: shuffled among the lines, the test gets worse, but the
    model that is tested stays the same to the last digit."""
    from correlation.ranking import learned

    calls = call_table(recorded[1])
    history = History.of(flag_table(recorded[0]), calls, NOW)
    train_at, test_at, _ = learned._days(history, NOW)
    assert train_at[-1] + WEEK_NS <= test_at[0]
    later = calls["at_ns"].to_numpy() > test_at[0]
    other = calls.copy()
    rng = np.random.default_rng(3)
    other.loc[later, "line_id"] = rng.permutation(other.loc[later, "line_id"].to_numpy())
    models = [learned._fit(learned._examples(History.of(history.flags, c, NOW), train_at)) for c in (calls, other)]
    weights = [m[-1].coef_ for m in models]
    assert np.array_equal(*weights)
    assert not np.array_equal(weights[0], learned._fit(learned._examples(history, test_at))[-1].coef_)


KINDS = st.sampled_from([FlagKind.SLOW, FlagKind.UNSTABLE, FlagKind.DEGRADING])
HOURS = st.floats(0, 24 * 40, allow_nan=False)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Flag], list[tuple[str, int]]]:
    flags = []
    for _ in range(draw(st.integers(0, 12))):
        since = draw(HOURS)
        until = draw(st.one_of(st.none(), st.floats(0, since)))
        flags.append(flag(f"L{draw(st.integers(0, 5))}", draw(KINDS), since, until, draw(st.floats(-50, 500))))
    unique = {f.flag_id: f for f in flags}
    calls = draw(st.lists(st.tuples(st.sampled_from([f"L{n}" for n in range(7)]), HOURS), max_size=12))
    return list(unique.values()), [(line, NOW - int(h * HOUR_NS)) for line, h in calls]


@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_order_of_the_input_does_not_matter(
    history: tuple[list[Flag], list[tuple[str, int]]], shuffle: random.Random
) -> None:
    """Rows in any order give the same list, bit by bit."""
    flags, calls = history
    before = rank(flag_table(flags), call_table(calls), NOW)
    shuffle.shuffle(flags)
    shuffle.shuffle(calls)
    after = rank(flag_table(flags), call_table(calls), NOW)
    pd.testing.assert_frame_equal(before.lines, after.lines, check_exact=True)
    assert before.basis == after.basis


def known_at(flags: list[Flag], calls: list[tuple[str, int]], at_ns: int) -> pd.DataFrame:
    """The features of a moment by line_id; later rows are there to be ignored."""
    history = History.of(flag_table(flags), call_table(calls), NOW)
    table = features(history, at_ns)
    return table.set_axis(history.names[table.index])


@settings(max_examples=60, deadline=None)
@given(histories(), st.floats(0, 24 * 30))
def test_nothing_knows_its_future(history: tuple[list[Flag], list[tuple[str, int]]], back_h: float) -> None:
    """What was known at a moment does not change with anything that came after it."""
    flags, calls = history
    at_ns = NOW - int(back_h * HOUR_NS)
    then = [
        Flag(f.subject, f.kind, f.reason, f.value, f.unit, f.started_ns, f.detected_ns, None)
        if f.ended_ns is not None and f.ended_ns > at_ns
        else f
        for f in flags
        if f.detected_ns <= at_ns
    ]
    whole = known_at(flags, calls, at_ns)
    known = known_at(then, [c for c in calls if c[1] <= at_ns], at_ns)
    pd.testing.assert_frame_equal(whole, known, check_exact=True)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_scores_lie_between_0_and_100_and_one_more_flag_never_lowers_them(
    history: tuple[list[Flag], list[tuple[str, int]]],
) -> None:
    """Bounded, finite, and monotone in what was flagged."""
    flags, calls = history
    table = known_at(flags, calls, NOW)
    values = score(table)
    assert ((values >= 0) & (values <= 100)).all()
    more = [*flags, flag("L0", since_h=1.2345)]
    after = known_at(more, calls, NOW)
    both = table.index.intersection(after.index)
    before = pd.Series(values, table.index)[both]
    assert (pd.Series(score(after), after.index)[both] >= before - 1e-9).all()


def test_the_same_history_gives_the_same_bytes(recorded: tuple[list[Flag], list[tuple[str, int]]]) -> None:
    """Twice, and shuffled, with a model: the same list."""
    flags, calls = list(recorded[0]), list(recorded[1])
    first = rank(flag_table(flags), call_table(calls), NOW)
    rng = np.random.default_rng(5)
    again = rank(
        flag_table(flags[i] for i in rng.permutation(len(flags))),
        call_table(calls[i] for i in rng.permutation(len(calls))),
        NOW,
    )
    assert first.lines.to_csv() == again.lines.to_csv()
    assert first.basis == again.basis
    assert replace(first.basis, calls=0) != again.basis


def test_the_week_after_is_not_looked_at(recorded: tuple[list[Flag], list[tuple[str, int]]]) -> None:
    """A list of last week, made today, is the list that was made last week."""
    flags, calls = recorded
    then = NOW - 7 * DAY_NS
    today = rank(flag_table(flags), call_table(calls), then)
    known = [
        f if f.ended_ns is None or f.ended_ns <= then else
        Flag(f.subject, f.kind, f.reason, f.value, f.unit, f.started_ns, f.detected_ns)
        for f in flags if f.detected_ns <= then
    ]  # fmt: skip
    last_week = rank(flag_table(known), call_table([c for c in calls if c[1] <= then]), then)
    pd.testing.assert_frame_equal(today.lines, last_week.lines, check_exact=True)
    assert learn(History.of(flag_table(flags), call_table(calls), then), then)[0] == last_week.basis
