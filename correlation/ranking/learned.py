"""Learning from recorded calls who calls next, and testing it on later days.

One example is one line on one day: what was known of it then (`history.features`), and whether it called within the
next seven days. Trained on earlier days, tested on later ones; the last training day lies a whole week before the first
test day, so that no outcome it was taught reaches into what it is asked. A logistic regression: with some hundred calls
anything richer learns the noise, and its chance means what it says. The score is tested on the very same days.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from correlation.ranking.history import DAY_NS, History, callers, features
from correlation.ranking.score import score

CALLS_NEEDED = 500
WEEK_NS = 7 * DAY_NS
TEST_DAYS = (7, 28)  # at least, at most; a quarter of the days there are
TRAIN_DAYS = (7, 90)
LEAST_EXAMPLES = 20  # lines that called, in the training days and in the test days
MOST_ROWS = 300_000  # of examples to learn from: more days than that are thinned
TOP = 100  # of the list: what a field team may get done in a week

F64 = npt.NDArray[np.float64]
B = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Quality:
    """Means over the test days. `precision_at_top`: how many of the first `Basis.top` lines called within a week;
    `lift_at_top`: that against the share of all listed lines that did."""

    average_precision: float
    precision_at_top: float
    lift_at_top: float


@dataclass(frozen=True)
class Basis:
    """What a list rests on. `method`: "score" or "model"; `reason`: few_calls, few_days, few_examples, not_better,
    better. `calls`: how many are recorded. `base_ratio`: of the lines on the list how many called, `covered_ratio`:
    of the lines that called how many were on it (nothing can be said before of the others). Qualities are None where
    they could not be tested."""

    method: str
    reason: str
    calls: int
    trained_days: int = 0
    tested_days: int = 0
    tested_from_ns: int = 0
    tested_until_ns: int = 0
    top: int = 0
    base_ratio: float = 0.0
    covered_ratio: float = 0.0
    score: Quality | None = None
    model: Quality | None = None


@dataclass(frozen=True)
class Day:
    """Examples of one day: `table` as `history.features`, `called` bool per row, `missed`: callers not on it."""

    at_ns: int
    table: pd.DataFrame
    called: B
    missed: int


def learn(history: History, now_ns: int) -> tuple[Basis, Pipeline | None]:
    """The basis, and the model when it takes over. `history` holds nothing that came after `now_ns`."""
    calls = history.calls
    train_at, test_at, all_at = _days(history, now_ns)
    if not test_at:
        return Basis("score", "few_calls" if len(calls) < CALLS_NEEDED else "few_days", len(calls)), None
    test = [_day(history, at) for at in test_at]
    listed, hits = sum(len(d.table) for d in test), sum(int(d.called.sum()) for d in test)
    lines_hit = {line for d in test for line in d.table.index[d.called]}
    if len(lines_hit) < LEAST_EXAMPLES:
        return Basis("score", "few_calls" if len(calls) < CALLS_NEEDED else "few_examples", len(calls)), None
    top = min(TOP, max(1, min(len(d.table) for d in test) // 5))
    by_score = [score(d.table) for d in test]
    basis = Basis(
        "score",
        "few_calls",
        len(calls),
        tested_days=len(test),
        tested_from_ns=test_at[0],
        tested_until_ns=test_at[-1] + WEEK_NS,
        top=top,
        base_ratio=hits / listed,
        covered_ratio=hits / (hits + sum(d.missed for d in test)),
        score=_quality(test, by_score, top),
    )
    if len(calls) < CALLS_NEEDED:
        return basis, None
    train = _examples(history, train_at)
    if len({line for d in train for line in d.table.index[d.called]}) < LEAST_EXAMPLES:
        return replace(basis, reason="few_examples"), None
    model = _fit(train)
    by_model = [chance(model, d.table) for d in test]
    basis = replace(basis, trained_days=len(train), model=_quality(test, by_model, top))
    if not _better(test, by_model, by_score):
        return replace(basis, reason="not_better"), None
    return replace(basis, method="model", reason="better"), _fit(_examples(history, all_at))


def chance(model: Pipeline, table: pd.DataFrame) -> F64:
    """Of calling within a week, 0 to 1, per row of `history.features`."""
    if not len(table):
        return np.zeros(0)
    result: F64 = model.predict_proba(table.to_numpy())[:, 1]
    return result


def _days(history: History, now_ns: int) -> tuple[list[int], list[int], list[int]]:
    """Days to train on, to test on, and all to train on once tested, oldest first; nothing where there are too few.
    The newest is a week ago: its outcome is known."""
    firsts = [int(t.min()) for t in (history.flags["detected_ns"], history.calls["at_ns"]) if len(t)]
    if len(firsts) < 2:
        return [], [], []
    # Before both were recorded for a week nothing can be learned of how they go together.
    count = (now_ns - WEEK_NS - (max(firsts) + WEEK_NS)) // DAY_NS + 1
    days = [now_ns - WEEK_NS - n * DAY_NS for n in range(int(max(count, 0)))][::-1]
    test = days[-min(TEST_DAYS[1], max(TEST_DAYS[0], len(days) // 4)) :]
    train = [at for at in days if at + WEEK_NS <= test[0]] if test else []
    if len(test) < TEST_DAYS[0] or len(train) < TRAIN_DAYS[0]:
        return [], [], []
    return train[-TRAIN_DAYS[1] :], test, days[-TRAIN_DAYS[1] :]


def _day(history: History, at_ns: int) -> Day:
    table = features(history, at_ns)
    after = callers(history, at_ns, at_ns + WEEK_NS)
    called: B = np.isin(table.index.to_numpy(), after)
    return Day(at_ns, table, called, len(after) - int(called.sum()))


def _examples(history: History, days: Sequence[int]) -> list[Day]:
    """Neighbouring days are much alike: where there is too much, every so-manieth day does."""
    newest = _day(history, days[-1])
    step = max(1, -(-len(newest.table) * len(days) // MOST_ROWS))
    return [_day(history, at) for at in days[:-1][::-1][step - 1 :: step][::-1]] + [newest]


def _fit(days: Sequence[Day]) -> Pipeline:
    x = np.concatenate([d.table.to_numpy() for d in days])
    y = np.concatenate([d.called for d in days])
    model = make_pipeline(
        FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression(max_iter=2000, solver="lbfgs")
    )
    model.fit(x, y)
    return model


def _quality(days: Sequence[Day], values: Sequence[F64], top: int) -> Quality:
    precision, lift, at_top = [], [], []
    for day, value in zip(days, values, strict=True):
        if not day.called.any():
            continue
        precision.append(average_precision_score(day.called, value))
        share = float(day.called[np.argsort(-value, kind="stable")[:top]].mean())
        at_top.append(share)
        lift.append(share / float(day.called.mean()))
    return Quality(float(np.mean(precision)), float(np.mean(at_top)), float(np.mean(lift)))


def _better(days: Sequence[Day], model: Sequence[F64], by_score: Sequence[F64]) -> bool:
    """Higher average precision over the test days, and on more than half of them."""
    gain = [
        average_precision_score(d.called, m) - average_precision_score(d.called, s)
        for d, m, s in zip(days, model, by_score, strict=True)
        if d.called.any()
    ]
    return float(np.mean(gain)) > 0 and 2 * int(np.count_nonzero(np.array(gain) > 0)) > len(gain)
