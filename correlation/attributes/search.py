"""Finds the fewest attribute values, and combinations of them, that explain the failures of a table.

Greedy: the combination that shortens the description most (log-likelihood ratio at its own fitted rate less its price)
is taken, its cells are explained, and so on; afterwards each cause is put back and looked for again beside the others,
until nothing changes. A cause must also stand out from the natural spread of the other values of its attributes.
"""

from dataclasses import dataclass
from math import exp

import numpy as np
import numpy.typing as npt

from correlation.attributes.cells import Cells, Table, make_cells
from correlation.attributes.evidence import (
    LIKE,
    Sums,
    background,
    common_level,
    likelihood_ratio,
    price,
    scatter,
)
from correlation.attributes.expected import usual_ratio
from correlation.attributes.spreads import Spreads
from correlation.attributes.views import Views

Named = tuple[tuple[int, int], ...]
Rows = npt.NDArray[np.intp]
MOST_CAUSES = 20
DEEPEST = 4
TOP = 40  # combinations looked at closely in each step
BEAM = 12  # of them refined by a further attribute
ROUNDS = 4
SUREST = 6.0  # nats: beyond it the model is what is in doubt, not the chance
PASSES = 2
# Strong causes in a small table lift the mean so far that every cell looks odd. Where nothing is found beside the mean,
# it is looked for beside the level of most cells, and beside what each value of each attribute shows.
STARTS = ("mean", "middle", "each value")
FIRST_LIMIT, LAST_LIMIT = 4.0, 400.0


@dataclass(frozen=True, slots=True)
class Cause:
    """`cause` attribute -> value; `bad`, `total` of all rows that have these values; `background_ratio` the share of
    bad ones that they should have had; `score` nats by which naming it shortens the description; `confidence` 0..1."""

    cause: dict[str, str]
    bad: float
    total: float
    background_ratio: float
    score: float
    confidence: float


@dataclass(frozen=True, slots=True)
class _Found:
    named: Named
    gain: float  # ratio less price
    gate: float  # the same, with the evidence cut to what the natural spread leaves of it
    usual: float
    confidence: float


def explain_table(table: Table) -> list[Cause]:
    """Ranked causes, best first; empty when nothing pays for itself. Deterministic."""
    cells = make_cells(table)
    if not cells.codes or not cells.bad.sum() > 0:
        return []
    found: list[_Found] = []
    for start in STARTS:
        found = found or _settled(cells, start)
    causes = [_cause(cells, one) for one in found]
    causes.sort(key=lambda c: (-c.score, len(c.cause), sorted(c.cause.items())))
    return causes


def _settled(cells: Cells, start: str) -> list[_Found]:
    """`start`: against what the scatter of the cells is judged as long as no cause is known."""
    weight = _weights(cells, [], FIRST_LIMIT, start)
    views = Views(cells, weight)
    found, spreads = _search(views, Spreads())
    # How much cells scatter and values differ by nature can only be told without the causes: so, by turns.
    for _ in range(PASSES):
        again = _weights(cells, [f.named for f in found], LAST_LIMIT)
        if not np.array_equal(again, weight):
            weight, views = again, Views(cells, again)
        before = [f.named for f in found]
        found, spreads = _search(views, spreads)
        if [f.named for f in found] == before:
            break
    return found


def _weights(cells: Cells, named: list[Named], limit: float, start: str = "mean") -> npt.NDArray[np.float64]:
    free = np.ones(len(cells), np.bool_)
    for one in named:
        free[cells.members(one)] = False
    bad, total = cells.bad[free], cells.total[free]
    expected = float((total * cells.ratio[free]).sum())
    if not expected > 0:
        return np.ones(len(cells))
    level = common_level(bad, total * cells.ratio[free]) if start == "middle" else bad.sum() / expected
    usual = np.clip(cells.ratio[free] * level, 1e-9, 1 - 1e-9)
    if start == "each value":
        usual = usual_ratio(cells.codes, [len(values) for values in cells.values], cells.bad, cells.total)
    rho = scatter(bad, usual, total, limit)
    return np.asarray(1 / (1 + np.maximum(cells.total - 1, 0) * rho))


def _search(views: Views, spreads: Spreads) -> tuple[list[_Found], Spreads]:
    """The causes, and how the values differ without them. `views` are as they were afterwards."""
    found: list[_Found] = []
    covered = np.zeros(len(views.cells), np.int32)
    while len(found) < MOST_CAUSES and (best := _best(views, spreads)) is not None:
        found.append(best)
        _cover(views, covered, best.named)
    for _ in range(ROUNDS):
        changed = False
        for one in list(found):
            _uncover(views, covered, one.named)
            place = found.index(one)
            again = _best(views, spreads)
            if again is None or any(again.named == other.named for other in found if other is not one):
                del found[place]
                changed = True
                continue
            changed |= again.named != one.named
            found[place] = again
            _cover(views, covered, again.named)
        if not changed:
            break
    without = Spreads(views)
    views.add(np.flatnonzero(covered), 1.0)
    return found, without


def _cover(views: Views, covered: npt.NDArray[np.int32], named: Named) -> None:
    rows = views.cells.members(named)
    views.add(rows[covered[rows] == 0], -1.0)
    covered[rows] += 1


def _uncover(views: Views, covered: npt.NDArray[np.int32], named: Named) -> None:
    rows = views.cells.members(named)
    covered[rows] -= 1
    views.add(rows[covered[rows] == 0], 1.0)


@dataclass(frozen=True, slots=True)
class _Candidate:
    named: Named
    gain: float
    ratio: float
    sums: Sums  # of one set


def _best(views: Views, spreads: Spreads) -> _Found | None:
    """The combination with the largest gain that also stands out from the spread of its like."""
    if not views.bad > 0 or not views.expected > 0:
        return None
    ranked = _ranked(views)
    for one in ranked[:TOP]:
        if one.gain <= 0:
            return None
        gate, usual = _gate(views, one, spreads)
        if gate > 0:
            return _Found(one.named, one.gain, gate, usual, _confidence(one, gate, ranked))
    return None


def _confidence(one: _Candidate, gate: float, ranked: list[_Candidate]) -> float:
    """Against "no cause", and against the other names for the same failures."""
    weights = sum(exp(min(50.0, max(-50.0, other.gain - one.gain))) for other in ranked if other.gain > 0)
    return 1 / (weights + exp(-min(gate, SUREST)))


def _ranked(views: Views) -> list[_Candidate]:
    """The best combinations of up to DEEPEST attributes, best first."""
    found: dict[Named, _Candidate] = {}
    for view in views.views:
        if view.size:
            sizes = [len(views.cells.values[c]) for c in view.columns]
            for number, gain, ratio in _top(views, view.sums, sizes, 0.0):
                named = view.cause(number)
                found[named] = _Candidate(named, gain, ratio, view.sums.take(np.array([number])))
    for depth in range(2, DEEPEST):
        base = [c for c in _sorted(found) if len(c.named) == depth][:BEAM]
        for one in base:
            _refine(views, one, found)
    return _sorted(found)


def _sorted(found: dict[Named, _Candidate]) -> list[_Candidate]:
    return sorted(found.values(), key=lambda c: (-c.gain, len(c.named), c.named))


def _top(views: Views, sums: Sums, sizes: list[int], least: float) -> list[tuple[int, float, float]]:
    """(number, gain, ratio) of the best sets."""
    ratio = likelihood_ratio(sums, views.bad, views.total, views.expected, views.highest)
    gain = ratio - price(sizes, len(views.cells.codes), sums.bad)
    best = np.flatnonzero(gain > least)
    if len(best) > TOP:
        best = best[np.argsort(-gain[best], kind="stable")[:TOP]]
    return [(int(i), float(gain[i]), float(ratio[i])) for i in best]


def _refine(views: Views, one: _Candidate, found: dict[Named, _Candidate]) -> None:
    """Add a further attribute, where that pays."""
    cells = views.cells
    rows = cells.members(one.named)
    taken = {column for column, _ in one.named}
    for column in range(len(cells.codes)):
        if column in taken:
            continue
        values, sums = views.sums_of(rows, column)
        sizes = [len(cells.values[c]) for c in (*taken, column)]
        for number, gain, ratio in _top(views, sums, sizes, one.gain):
            named = tuple(sorted((*one.named, (column, int(values[number])))))
            found[named] = _Candidate(named, gain, ratio, sums.take(np.array([number])))


def _gate(views: Views, one: _Candidate, spreads: Spreads) -> tuple[float, float]:
    """The gain when the evidence counts no more than the spread allows, and the usual rate of the set."""
    usual = float(background(one.sums, views.bad, views.expected, views.highest)[0])
    wide = spreads.of(one.named)
    if views.cells.total_before.any():
        wide += 1 / (float(one.sums.own_bad[0]) + LIKE)
    total = float(one.sums.total[0])
    kept = 1 / (1 + max(0.0, total - 1) * usual * (1 - usual) * wide)
    sizes = [len(views.cells.values[c]) for c, _ in one.named]
    cost = float(price(sizes, len(views.cells.codes), one.sums.bad)[0])
    return one.ratio * kept - cost, usual


def _cause(cells: Cells, one: _Found) -> Cause:
    rows = cells.members(one.named)
    return Cause(
        cause={cells.names[c]: cells.values[c][v] for c, v in one.named},
        bad=float(cells.bad[rows].sum()),
        total=float(cells.total[rows].sum()),
        background_ratio=one.usual,
        score=one.gain,
        confidence=one.confidence,
    )
