"""The best explanation by elements of the tree alone, exact by description length, bottom-up and vectorised by level.

At every element the falls below it are told as its own failure, or as the best of its parts, or as chance; the parent
takes the sum. Only elements with enough fallen lines are looked at, so that a quiet window costs next to nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.evidence import F64, Cause, Chance, Evidence, Ints, cause_of
from correlation.likelihood import alone, sigmoid, together
from correlation.sets import distinct
from correlation.settings import CauseSettings
from correlation.spans import heard_each, struck_each
from monitor.inventory import Inventory
from monitor.records import Scope, ScopeKind
from monitor.records.rounds import I32


@dataclass(slots=True)
class Tree:
    """Causes, and the total length of everything that fell."""

    causes: list[Cause]
    length: float


@dataclass(slots=True)
class _Below:
    """Elements with enough fallen lines, parents before children: columns of `_Table` that no chance changes.
    `covered`: enough of its lines were asked, and enough of the fallen are sure to be down."""

    element: Ints
    parent: Ints
    low: Ints
    high: Ints
    fell: Ints
    counted: Ints
    covered: npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Table:
    """Elements with enough fallen lines, parents before children; `parent` as a place in this table, -1 at the top."""

    element: Ints
    parent: Ints
    low: Ints
    high: Ints
    fell: Ints
    counted: Ints
    p: F64
    by_chance: F64
    failed: F64
    eligible: npt.NDArray[np.bool_]


class TreeSearch:
    """Bound to one inventory. `price`: what a cause costs, told by the explainer.

    One explanation asks again and again for parts of the same falls: what was found for them is kept until `forget`, or
    until another evidence comes. A part is known by its lines; everything else it has from the whole."""

    def __init__(self, inventory: Inventory, settings: CauseSettings) -> None:
        self.inventory = inventory
        self.settings = settings
        self.price = 0.0
        self._whole: Evidence | None = None
        self._chance: Chance | None = None
        self._below: dict[bytes, _Below] = {}
        self._trees: dict[bytes, Tree] = {}

    def forget(self) -> None:
        self._whole = self._chance = None
        self._below.clear()
        self._trees.clear()

    def best(self, evidence: Evidence, chance: Chance) -> Tree:
        """`evidence`: that of `chance`, or a part of it. The same tree for the same part: it is not to be changed."""
        if chance.evidence is not self._whole:
            self.forget()
            self._whole = chance.evidence
        if chance is not self._chance:
            self._chance = chance
            self._trees.clear()
        key = evidence.lines.tobytes()
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = self._best(evidence, chance, key)
        return tree

    def _best(self, evidence: Evidence, chance: Chance, key: bytes) -> Tree:
        lines = evidence.lines
        if not lines.size:
            return Tree([], 0.0)
        below = self._below.get(key)
        if below is None:
            below = self._below[key] = self._counted(evidence)
        table = self._table(evidence, chance, below)
        # Lines under no listed element, at the price of chance.
        top = table.parent < 0
        loose = lines.size - int(table.fell[top].sum())
        spared = max(chance.total - lines.size - int((table.counted - table.fell)[top].sum()), 0)
        length = self._alone(np.array([loose]), np.array([loose + spared]), chance)[0] if loose else 0.0
        if not table.element.size:
            return Tree([], float(length))
        return self._choose(evidence, chance, table, float(length))

    def _counted(self, evidence: Evidence) -> _Below:
        """Elements with enough fallen lines, whatever chance is."""
        elements, settings = self.inventory.elements, self.settings
        lines = evidence.lines
        found = touched(self.inventory, lines)
        low, high = np.searchsorted(lines, elements.lo[found]), np.searchsorted(lines, elements.hi[found])
        keep = high - low >= settings.min_lines
        found, low, high = found[keep], low[keep], high[keep]
        fell = high - low
        middle, began = struck_each(evidence.at_ns, low, high)
        spared, covered = heard_each(evidence, elements.lo[found], elements.hi[found], middle, began, settings)
        covered &= evidence.firmly(low, high) >= settings.min_lines
        place = np.full(len(elements), -1, np.int64)
        place[found] = np.arange(found.size)
        above = elements.parent[found]
        parent = np.where(above >= 0, place[above], -1)
        return _Below(found, parent, low, high, fell, fell + spared, covered)

    def _table(self, evidence: Evidence, chance: Chance, below: _Below) -> _Table:
        elements, settings = self.inventory.elements, self.settings
        found, fell, counted = below.element, below.fell, below.counted
        p = chance.at(found, fell, counted)
        price = np.full(found.size, self.price)
        scopes = evidence.held
        for i, e in enumerate(found.tolist()):
            if e in evidence.bonus:
                price[i] -= evidence.bonus[e]
            if scopes and element_scope(elements.paths[e]) in scopes:
                price[i] -= settings.keep_nats
        least = settings.min_share if evidence.min_share is None else evidence.min_share
        return _Table(
            element=found,
            parent=below.parent,
            low=below.low,
            high=below.high,
            fell=fell,
            counted=counted,
            p=p,
            by_chance=alone(fell, counted, p, settings.dispersion),
            failed=together(fell, counted) - price,
            eligible=(fell >= least * counted) & below.covered,
        )

    def _alone(self, fell: Ints, counted: Ints, chance: Chance) -> F64:
        return alone(fell, counted, chance.among(fell, counted), self.settings.dispersion)

    def _choose(self, evidence: Evidence, chance: Chance, table: _Table, length: float) -> Tree:
        elements, size = self.inventory.elements, table.element.size
        inner = np.flatnonzero(table.parent >= 0)
        above = table.parent[inner]
        fell_below, counted_below = np.zeros(size, np.int64), np.zeros(size, np.int64)
        np.add.at(fell_below, above, table.fell[inner])
        np.add.at(counted_below, above, table.counted[inner])
        direct = table.fell - fell_below
        split = alone(direct, np.maximum(table.counted - counted_below, direct), table.p, self.settings.dispersion)
        split[direct == 0] = 0.0
        best, is_cause = np.zeros(size), np.zeros(size, np.bool_)
        depth = elements.depth[table.element]
        for level in range(int(depth.max()), -1, -1):
            here = np.flatnonzero(depth == level)
            best[here] = np.maximum(split[here], table.by_chance[here])
            better = table.eligible[here] & (table.failed[here] > best[here] + 1e-9)
            mine = here[better]
            best[mine], is_cause[mine] = table.failed[mine], True
            told = here[table.parent[here] >= 0]
            np.add.at(split, table.parent[told], best[told])
        covered = np.zeros(size, np.bool_)
        for level in range(int(depth.min()) + 1, int(depth.max()) + 1):
            here = np.flatnonzero((depth == level) & (table.parent >= 0))
            covered[here] = covered[table.parent[here]] | is_cause[table.parent[here]]
        causes = []
        for i in np.flatnonzero(is_cause & ~covered).tolist():
            span = slice(int(table.low[i]), int(table.high[i]))
            cause = cause_of(
                evidence,
                element_scope(elements.paths[table.element[i]]),
                span,
                int(table.counted[i]),
                float(table.failed[i]),
                float(table.by_chance[i]),
                float(table.p[i]),
            )
            cause.element = int(table.element[i])
            self._rival(cause, i, table, best, split)
            causes.append(cause)
        return Tree(causes, length + float(best[table.parent < 0].sum()))

    def _rival(self, cause: Cause, i: int, table: _Table, best: F64, split: F64) -> None:
        """The best other reading: the element above failed, or several below it."""
        paths = self.inventory.elements.paths
        rivals: list[tuple[float, str]] = []
        above = int(table.parent[i])
        if above >= 0 and table.eligible[above]:
            # what the parent would cost against what its parts cost now
            rivals.append((float(max(best[above], split[above]) - table.failed[above]), paths[table.element[above]]))
        children = np.flatnonzero(table.parent == i)
        if children.size and split[i] > table.by_chance[i]:
            strongest = children[int(np.argmax(table.failed[children] - table.by_chance[children]))]
            rivals.append((float(table.failed[i] - split[i]), paths[table.element[strongest]]))
        if rivals:
            behind, name = min(rivals)
            cause.runner_up = element_scope(name)
            cause.runner_up_confidence = round(min(sigmoid(-behind), 0.5), 3)


def touched(inventory: Inventory, lines: I32) -> Ints:
    """Every element above one of these lines, ascending (so that parents come before their children)."""
    elements = inventory.elements
    hit = np.zeros(len(elements), np.bool_)
    level = distinct(inventory.leaf[lines])
    while level.size:
        hit[level] = True
        above = elements.parent[level]
        above = above[above >= 0]
        level = distinct(above[~hit[above]])
    return np.flatnonzero(hit).astype(np.int64)


def element_scope(path: str) -> Scope:
    return Scope(ScopeKind.ELEMENT, path)
