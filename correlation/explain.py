"""The smallest explanation of lines that fell: which elements, groups or areas, by description length.

Each cause costs a price and tells which of its lines fell at its own fitted rate; each line left over costs what chance
would need. Over the tree the best choice is exact (bottom-up: this element, or the best of its children, or chance), so
a parent whose other children are up pays for them, and a partial failure is a cause too. Groups and discs, which cross
the tree, are added greedily while the whole gets shorter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from correlation.areas import Disc, find_discs
from correlation.likelihood import alone, sigmoid, together
from correlation.settings import CauseSettings
from monitor.inventory import Inventory
from monitor.records import Scope, ScopeKind
from monitor.records.rounds import I32, I64

F64 = npt.NDArray[np.float64]
NS = 1_000_000_000
PART_SHARE = 0.8  # a tree cause that takes less of its lines may be a shadow of something that crosses the tree


@dataclass(slots=True)
class Evidence:
    """What fell (`lines` ascending, `at_ns` when) and what did not.

    `seen_ns` int64 [n]: last sign of life of each line that is up and in no incident, 0 for every other line: a line
    counts as spared by a cause only when it was heard after that cause struck. `element_rate`: falls per line and hour
    of element indices; `network_rate` the same for all. `bonus`: extra nats by element (its own probe, calls).
    `held`: scopes of living incidents, which were paid for already.
    """

    lines: I32
    at_ns: I64
    seen_ns: I64
    window_s: float
    now_ns: int
    network_rate: float
    element_rate: Callable[[npt.NDArray[np.integer]], F64]
    bonus: Mapping[int, float] = field(default_factory=dict)
    held: frozenset[Scope] = frozenset()
    use_groups: bool = True
    use_areas: bool = True

    def without(self, lines: I32) -> "Evidence":
        keep = ~np.isin(self.lines, lines, assume_unique=True)
        return Evidence(
            self.lines[keep],
            self.at_ns[keep],
            self.seen_ns,
            self.window_s,
            self.now_ns,
            self.network_rate,
            self.element_rate,
            self.bonus,
            self.held,
            self.use_groups,
            self.use_areas,
        )


@dataclass(slots=True)
class Cause:
    """One cause: `fell` of `observable` lines under `scope` went down; chance would explain `expected`.

    `gain`: log-odds against chance, price paid. `length`: its own description length (negative nats).
    """

    scope: Scope
    lines: I32
    observable: int
    gain: float
    length: float
    expected: float
    start_ns: int
    spread_s: float
    element: int = -1
    group: int = -1
    runner_up: Scope | None = None
    runner_up_confidence: float = 0.0
    window_s: float = 0.0

    @property
    def share(self) -> float:
        return len(self.lines) / max(self.observable, 1)

    @property
    def confidence(self) -> float:
        return round(min(sigmoid(self.gain) * (1 - self.runner_up_confidence), 0.999), 3)


@dataclass(slots=True)
class _Tree:
    """The best explanation by elements alone: its causes and the total length of everything."""

    causes: list[Cause]
    length: float


class Explainer:
    """Bound to one inventory; keeps nothing between calls."""

    def __init__(self, inventory: Inventory, settings: CauseSettings) -> None:
        self.inventory = inventory
        self.settings = settings
        self._discs: dict[bytes, list[Disc]] = {}  # within one explanation the same clusters come up again
        self.area_price = float(np.log(max(len(inventory), 1))) + settings.caution + settings.area_price
        self.price = float(np.log(max(len(inventory.elements) + len(inventory.groups), 1))) + settings.caution

    def explain(self, evidence: Evidence) -> list[Cause]:
        """Causes that pay for themselves (gain >= 0), largest first. Their `lines` are disjoint."""
        if evidence.lines.size < self.settings.min_lines:
            return []
        explained = 0
        causes: list[Cause] = []
        self._discs.clear()
        for _ in range(2):  # the second time, chance is what the causes found first do not explain
            causes = self._solve(evidence, explained)
            now_explained = sum(len(c.lines) for c in causes if c.gain >= self.settings.open_nats)
            if now_explained == explained or (len(causes) == 1 and now_explained == evidence.lines.size):
                break
            explained = now_explained
        return sorted(causes, key=lambda c: (-c.gain, c.scope.name))

    def _solve(self, evidence: Evidence, explained: int) -> list[Cause]:
        total_up = int(np.count_nonzero(evidence.seen_ns))
        chance = _Chance(evidence, explained, total_up, self.settings)
        rest, chosen = evidence, []
        tree = self._tree(rest, chance)
        for _ in range(16):
            best: tuple[float, Cause, _Tree] | None = None
            for cause in self._crossing(rest, chance, tree):
                left = rest.without(cause.lines)
                other = self._tree(left, chance)
                total = cause.length + other.length
                if total > tree.length + 1e-6 and (best is None or total > best[0] + 1e-9):
                    best = (total, cause, other)
            if best is None:
                break
            gain = best[0] - tree.length
            if tree.causes:
                rival = max(tree.causes, key=lambda c: np.isin(c.lines, best[1].lines).sum())
                best[1].runner_up, best[1].runner_up_confidence = rival.scope, round(sigmoid(-gain), 3)
            chosen.append(best[1])
            rest, tree = rest.without(best[1].lines), best[2]
        return chosen + tree.causes

    # --- the tree -------------------------------------------------------------------------------------------------

    def _tree(self, evidence: Evidence, chance: "_Chance") -> _Tree:
        elements, settings = self.inventory.elements, self.settings
        lines = evidence.lines
        if not lines.size:
            return _Tree([], 0.0)
        touched = self._touched(lines)
        low, high = np.searchsorted(lines, elements.lo[touched]), np.searchsorted(lines, elements.hi[touched])
        fell = high - low
        struck = np.zeros(lines.size + 1)
        np.cumsum((evidence.at_ns - evidence.now_ns) / NS, out=struck[1:])
        mean_s = (struck[high] - struck[low]) / fell
        spared = np.zeros(touched.size, np.int64)
        eligible = fell >= settings.min_lines
        for i in np.flatnonzero(eligible).tolist():
            span = evidence.seen_ns[elements.lo[touched[i]] : elements.hi[touched[i]]]
            spared[i] = np.count_nonzero(span >= max(evidence.now_ns + int(mean_s[i] * NS), 1))
        counted = fell + spared
        p = chance.at(touched, fell, counted)
        by_chance = alone(fell, counted, p, settings.dispersion)
        price = np.full(touched.size, self.price)
        if evidence.held:
            price[[_element_scope(elements.paths[e]) in evidence.held for e in touched.tolist()]] = 0.0
        for i, e in enumerate(touched.tolist()):
            price[i] -= evidence.bonus.get(e, 0.0)
        failed = together(fell, counted) - price
        eligible &= fell >= settings.min_share * counted
        return self._choose(evidence, touched, fell, counted, by_chance, failed, eligible, p, low, high)

    def _choose(
        self,
        evidence: Evidence,
        touched: npt.NDArray[np.int64],
        fell: npt.NDArray[np.int64],
        counted: npt.NDArray[np.int64],
        by_chance: F64,
        failed: F64,
        eligible: npt.NDArray[np.bool_],
        p: F64,
        low: npt.NDArray[np.int64],
        high: npt.NDArray[np.int64],
    ) -> _Tree:
        elements = self.inventory.elements
        place = {e: i for i, e in enumerate(touched.tolist())}
        parent = [place.get(e, -1) for e in elements.parent[touched].tolist()]
        fell_below, counted_below = np.zeros(touched.size, np.int64), np.zeros(touched.size, np.int64)
        inner = np.flatnonzero(np.asarray(parent) >= 0)
        np.add.at(fell_below, np.asarray(parent)[inner], fell[inner])
        np.add.at(counted_below, np.asarray(parent)[inner], counted[inner])
        direct = fell - fell_below
        direct_chance = alone(direct, np.maximum(counted - counted_below, direct), p, self.settings.dispersion)
        direct_chance[direct == 0] = 0.0
        best, split = np.zeros(touched.size), direct_chance.copy()
        is_cause = np.zeros(touched.size, np.bool_)
        for i in range(touched.size - 1, -1, -1):  # children come after their parent: backwards is bottom-up
            best[i] = max(float(split[i]), float(by_chance[i]))
            if eligible[i] and failed[i] > best[i] + 1e-9:
                best[i], is_cause[i] = failed[i], True
            if parent[i] >= 0:
                split[parent[i]] += best[i]
        causes = []
        covered = np.zeros(touched.size, np.bool_)
        for i in range(touched.size):
            above = parent[i]
            if above >= 0 and (covered[above] or is_cause[above]):
                covered[i] = True
            elif is_cause[i]:
                span = slice(int(low[i]), int(high[i]))
                cause = self._cause(
                    evidence,
                    _element_scope(elements.paths[touched[i]]),
                    evidence.lines[span],
                    evidence.at_ns[span],
                    int(counted[i]),
                    float(failed[i]),
                    float(by_chance[i]),
                    float(p[i]),
                )
                cause.element = int(touched[i])
                self._rival(cause, i, parent, failed, best, split, by_chance, eligible, touched)
                causes.append(cause)
        roots = np.asarray(parent) < 0
        return _Tree(causes, float(best[roots].sum()))

    def _rival(
        self,
        cause: Cause,
        i: int,
        parent: list[int],
        failed: F64,
        best: F64,
        split: F64,
        by_chance: F64,
        eligible: npt.NDArray[np.bool_],
        touched: npt.NDArray[np.int64],
    ) -> None:
        """The best other reading: the element above failed, or several below it."""
        paths = self.inventory.elements.paths
        rivals: list[tuple[float, str]] = []
        above = parent[i]
        if above >= 0 and eligible[above]:
            # what the parent would cost against what its parts cost now
            rivals.append((float(max(best[above], split[above]) - failed[above]), paths[touched[above]]))
        children = [j for j in range(i + 1, min(touched.size, i + 65)) if parent[j] == i]
        if children and split[i] > by_chance[i]:
            strongest = max(children, key=lambda j: (failed[j] - by_chance[j], -j))
            rivals.append((float(failed[i] - split[i]), paths[touched[strongest]]))
        if rivals:
            behind, name = min(rivals)
            cause.runner_up = _element_scope(name)
            cause.runner_up_confidence = round(min(sigmoid(-behind), 0.5), 3)

    def _touched(self, lines: I32) -> npt.NDArray[np.int64]:
        """Every element above one of these lines, ascending."""
        elements = self.inventory.elements
        level = np.unique(self.inventory.leaf[lines])
        found = []
        while level.size:
            found.append(level)
            above = elements.parent[level]
            level = np.unique(above[above >= 0])
        return np.unique(np.concatenate(found)).astype(np.int64)

    # --- what crosses the tree ------------------------------------------------------------------------------------

    def _crossing(self, evidence: Evidence, chance: "_Chance", tree: _Tree) -> list[Cause]:
        """The most promising groups and discs, at most a handful."""
        if evidence.lines.size < self.settings.min_lines:
            return []
        whole = len(tree.causes) <= 2 and all(c.share >= PART_SHARE for c in tree.causes)
        loose = evidence.lines.size - sum(len(c.lines) for c in tree.causes)
        if whole and loose < self.settings.min_lines:
            return []
        found = self._groups(evidence, chance) if evidence.use_groups else []
        if evidence.use_areas:
            found += self._areas(evidence, chance, tree)
        found = [c for c in found if c.gain > 0]
        return sorted(found, key=lambda c: (-c.gain, c.scope.name))[:6]

    def _groups(self, evidence: Evidence, chance: "_Chance") -> list[Cause]:
        groups, settings = self.inventory.groups, self.settings
        if not len(groups):
            return []
        lines = evidence.lines
        start, size = groups.groups_ptr[lines], np.diff(groups.groups_ptr)[lines]
        total = int(size.sum())
        if not total:
            return []
        spread = np.repeat(start - np.concatenate([[0], np.cumsum(size)[:-1]]), size) + np.arange(total)
        member = groups.groups[spread]
        count = np.bincount(member, minlength=len(groups))
        sizes = groups.size()
        share = count / np.maximum(sizes, 1)
        good = np.flatnonzero((count >= settings.min_lines) & (share >= settings.min_share / 2))
        good = good[np.argsort(-(count[good] * share[good]), kind="stable")][:48]
        causes = []
        for g in good.tolist():
            if groups.kinds[g] in settings.never_groups:
                continue
            inside = np.isin(lines, groups.lines_of(g), assume_unique=True)
            cause = self._tested(
                evidence,
                chance,
                Scope(ScopeKind.GROUP, groups.scope_name(g)),
                np.flatnonzero(inside),
                groups.lines_of(g),
                self.price + settings.group_price,
                settings.min_share,
            )
            if cause is not None:
                cause.group = g
                causes.append(cause)
        return causes

    def _areas(self, evidence: Evidence, chance: "_Chance", tree: _Tree) -> list[Cause]:
        """Discs around clusters of what no element explains as a whole."""
        whole = [c.lines for c in tree.causes if c.share >= PART_SHARE and len(c.lines) > 64]
        loose = evidence.without(np.sort(np.concatenate(whole))) if whole else evidence
        if loose.lines.size < self.settings.area_min_lines:
            return []
        causes = []
        key = evidence.lines.tobytes() + b"|" + loose.lines.tobytes()
        if key not in self._discs:
            least = self._least(chance.floor)
            self._discs[key] = find_discs(
                self.inventory,
                evidence.lines,
                loose.lines,
                evidence.seen_ns,
                self.settings,
                least,
                self.area_price,
            )
        for disc in self._discs[key]:
            inside = np.flatnonzero(np.isin(evidence.lines, disc.lines, assume_unique=True))
            if np.unique(self.inventory.leaf[evidence.lines[inside]]).size < 2:
                continue
            scope = Scope(ScopeKind.AREA, disc.name)
            cause = self._tested(evidence, chance, scope, inside, disc.lines, self.area_price, self.settings.area_share)
            if cause is not None:
                causes.append(cause)
        return causes

    def _least(self, p: float) -> int:
        """The smallest number of lines that would pay for a disc if it held no other line."""
        k = np.arange(1, 200)
        pays = together(k, k) - alone(k, k, np.full(k.size, p), self.settings.dispersion) > self.area_price
        return int(k[np.argmax(pays)]) if pays.any() else 200

    def _tested(
        self,
        evidence: Evidence,
        chance: "_Chance",
        scope: Scope,
        inside: npt.NDArray[np.integer],
        members: I32,
        price: float,
        min_share: float,
    ) -> Cause | None:
        settings = self.settings
        fell = int(inside.size)
        if fell < settings.min_lines:
            return None
        at = evidence.at_ns[inside]
        struck = int(at.mean())
        counted = fell + int(np.count_nonzero(evidence.seen_ns[members] >= max(struck, 1)))
        if fell < min_share * counted:
            return None
        p = chance.among(fell, counted)
        length = float(together(fell, counted)) - (0.0 if scope in evidence.held else price)
        by_chance = float(alone(fell, counted, p, settings.dispersion))
        return self._cause(evidence, scope, evidence.lines[inside], at, counted, length, by_chance, p)

    def _cause(
        self,
        evidence: Evidence,
        scope: Scope,
        lines: I32,
        at_ns: I64,
        counted: int,
        length: float,
        by_chance: float,
        p: float,
    ) -> Cause:
        start, spread = start_of(at_ns)
        return Cause(
            scope=scope,
            lines=lines,
            observable=counted,
            gain=length - by_chance,
            length=length,
            expected=counted * p,
            start_ns=start,
            spread_s=spread,
            window_s=evidence.window_s,
        )


def start_of(at_ns: I64) -> tuple[int, float]:
    """When a failure began and how long its lines took to fall (s), leaving out the few that fell by themselves."""
    ordered = np.sort(at_ns)
    low = int(ordered[min(int(0.02 * ordered.size + 0.5), ordered.size - 1)]) if ordered.size > 20 else int(ordered[0])
    high = int(ordered[max(int(0.98 * ordered.size) - 1, 0)]) if ordered.size > 20 else int(ordered[-1])
    # Fewer than a tenth that fell long before the rest are not its beginning.
    middle = int(ordered[ordered.size // 2])
    early = int(ordered[int(0.1 * ordered.size)])
    if ordered.size >= 10 and middle - low > 60 * NS and early - low > 2 * (middle - early) + 30 * NS:
        low = early
    return low, max(0.0, (high - low) / NS)


def _element_scope(path: str) -> Scope:
    return Scope(ScopeKind.ELEMENT, path)


class _Chance:
    """How likely a line falls by chance within the window: the learned rate, or what the rest of the network shows.

    The rest counts so that what happens everywhere (a nightly reconnect, modems switched off) blames no element.
    """

    def __init__(self, evidence: Evidence, explained: int, total_up: int, settings: CauseSettings) -> None:
        self.window_h = evidence.window_s / 3600.0
        self.evidence = evidence
        self.loose = max(evidence.lines.size - explained, 0)
        self.total = total_up + evidence.lines.size
        self.floor = max(evidence.network_rate * self.window_h, 1e-7)

    def at(self, elements: npt.NDArray[np.int64], fell: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> F64:
        learned = self.evidence.element_rate(elements) * self.window_h
        return np.minimum(np.maximum(learned, self._outside(fell, counted)), 0.5)

    def among(self, fell: int, counted: int) -> float:
        outside = self._outside(np.array([fell]), np.array([counted]))
        return float(min(max(self.floor, float(outside[0])), 0.5))

    def _outside(self, fell: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> F64:
        """Mean rate elsewhere, drawn to the learned one while there is little of it (Gamma-Poisson)."""
        trust = 0.5
        elsewhere = np.maximum(self.loose - fell, 0)
        lines = np.maximum(self.total - counted, 0)
        result: F64 = (trust + elsewhere) / (trust / self.floor + lines)
        return result
