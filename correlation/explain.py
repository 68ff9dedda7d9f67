"""The smallest explanation of lines that fell: which elements, groups or areas, by description length.

Each cause costs a price and tells which of its lines fell at its own fitted rate; each line left over costs what chance
would need. Over the tree the best choice is exact (`correlation.tree`), so a parent whose other children are up pays
for them, and a partial failure is a cause too. Groups and discs, which cross the tree, are added greedily while the
whole gets shorter.
"""

import numpy as np
import numpy.typing as npt

from correlation.areas import Disc, find_discs
from correlation.evidence import F64, Cause, Chance, Evidence, Ints, cause_of, struck
from correlation.likelihood import alone, sigmoid, together
from correlation.sets import contained
from correlation.settings import CauseSettings
from correlation.spans import struck_each
from correlation.strays import Falls, strays_of
from correlation.tree import Tree, TreeSearch
from monitor.inventory import Inventory
from monitor.inventory.groups import BOTH
from monitor.records import Scope, ScopeKind
from monitor.records.rounds import I32

__all__ = ["Cause", "Evidence", "Explainer"]

PART_SHARE = 0.8  # a tree cause that takes less of its lines may be a shadow of something that crosses the tree
SAME_SHARE = 0.75
MOST_NATS = 8.0  # that a fallen line can cost which nothing explains (ln of 1 in 3000)
SMALL = 64  # lines: several elements that are smaller may be an area in other words
USUAL = 1.5
ROUNDS = 16  # causes that cross the tree, at most
CROSSING = 6  # of them are weighed at a time
ABOUT = 10.0  # nats within which it is guessed what they bring
GROUPS = 48
PAIRS = 8  # of them are looked at closely
PAIR_SHARE = 0.5  # of what fell in either group is in both
PAIR_MOST = 0.9  # of the smaller group; more is the group itself
PAIR_LINES = 5000  # that pairs are counted on
FEW_LINES = 2048  # of a group that is counted together with others
LEAST = np.arange(1, 200)
LEAST_TOGETHER = together(LEAST, LEAST)
LEAST_PARTS = (slice(0, 16), slice(16, 64), slice(64, None))  # the answer is nearly always in the first
NO_LINES: I32 = np.zeros(0, np.int32)


class Explainer:
    """Bound to one inventory; keeps nothing between calls."""

    def __init__(self, inventory: Inventory, settings: CauseSettings) -> None:
        self.inventory = inventory
        self.settings = settings
        self._discs: dict[bytes, list[Disc]] = {}  # within one explanation the same clusters come up again
        self._least_brings: dict[tuple[float, int], F64] = {}  # what so many fallen lines bring, by chance and part
        self.area_price = float(np.log(max(len(inventory), 1))) + settings.caution + settings.area_price
        self.price = 0.0  # set with each explanation: groups come while we run
        self.tree = TreeSearch(inventory, settings)

    def explain(self, evidence: Evidence) -> list[Cause]:
        """Causes that pay for themselves (gain >= 0), largest first. Their `lines` are disjoint."""
        if evidence.lines.size < self.settings.min_lines:
            return []
        among = len(self.inventory.elements) + self.inventory.groups.weighty
        self.price = self.tree.price = float(np.log(max(among, 1))) + self.settings.caution
        explained = 0
        causes: list[Cause] = []
        self._discs.clear()
        self._least_brings.clear()
        for _ in range(2):  # the second time, chance is what the causes found first do not explain
            causes = self._solve(evidence, explained)
            now_explained = sum(c.missing for c in causes if c.gain >= self.settings.open_nats)
            if now_explained == explained or (len(causes) == 1 and now_explained == evidence.lines.size):
                break
            explained = now_explained
        self.tree.forget()
        return sorted(causes, key=lambda c: (-c.gain, c.scope.name))

    def _solve(self, evidence: Evidence, explained: int) -> list[Cause]:
        total_up = int(np.count_nonzero(evidence.seen_ns))
        chance = Chance(evidence, explained, total_up)
        found = self.tree.best(evidence, chance).causes
        beside = strays_of(found, Falls(evidence.lines, evidence.at_ns, evidence.seen_ns, self.inventory))
        strays = {c.scope: s for c, s in zip(found, beside, strict=True) if s.size}
        if strays:
            causes = self._crossed(evidence.without(np.sort(np.concatenate(list(strays.values())))), chance)
            if strays.keys() <= {c.scope for c in causes}:
                for cause in causes:
                    cause.strays = evidence.firm_of(strays.get(cause.scope, NO_LINES))
                return causes
        return self._crossed(evidence, chance)

    def _crossed(self, rest: Evidence, chance: Chance) -> list[Cause]:
        """The tree's causes, and instead of or beside them those that cross the tree and make the whole shorter."""
        chosen: list[Cause] = []
        tree = self.tree.best(rest, chance)
        for _ in range(ROUNDS):
            best: tuple[float, Cause, Tree] | None = None
            for cause in self._crossing(rest, chance, tree):
                other = self.tree.best(rest.without(cause.told), chance)
                total = cause.length + other.length
                if total > tree.length + 1e-6 and (best is None or total > best[0] + 1e-9):
                    best = (total, cause, other)
            if best is None:
                break
            gain = best[0] - tree.length
            if tree.causes:
                rival = max(tree.causes, key=lambda c: contained(c.told, best[1].told).sum())
                best[1].runner_up, best[1].runner_up_confidence = rival.scope, round(sigmoid(-gain), 3)
            chosen.append(best[1])
            rest, tree = rest.without(best[1].told), best[2]
        return chosen + tree.causes

    # --- what crosses the tree ------------------------------------------------------------------------------------

    def _crossing(self, evidence: Evidence, chance: Chance, tree: Tree) -> list[Cause]:
        """The most promising groups and discs, at most a handful."""
        if evidence.lines.size < self.settings.min_lines:
            return []
        whole = len(tree.causes) == 1 and all(c.share >= PART_SHARE for c in tree.causes)
        loose = evidence.lines.size - sum(c.missing for c in tree.causes)
        if whole and loose < self.settings.min_lines:
            return []
        if not tree.causes and loose < self._least(chance, self.price):
            return []
        found = self._groups(evidence, chance) if evidence.use_groups else []
        if evidence.use_areas:
            found += self._areas(evidence, chance, tree)
        found = [c for c in found if c.gain > 0]
        brings = self._brings(found, tree, evidence.lines.size)
        worth = [i for i in range(len(found)) if brings[i] > -ABOUT]
        return [found[i] for i in sorted(worth, key=lambda i: (-brings[i], found[i].scope.name))[:CROSSING]]

    def _brings(self, found: list[Cause], tree: Tree, fell: int) -> list[float]:
        """About how much shorter the whole gets with each of these: the tree's causes keep what they do not take."""
        known = [(c, c.length - float(together(c.missing, c.observable))) for c in tree.causes]
        told = sum(c.missing for c in tree.causes)
        loose = tree.length - sum(c.length for c in tree.causes)  # what chance tells
        brings = []
        for cause in found:
            length, taken = cause.length, 0
            for other, price in known:
                both = int(np.count_nonzero(contained(other.told, cause.told)))
                taken += both
                left = other.missing - both
                rest = float(together(left, other.observable - both)) + price
                length += (max(rest, -MOST_NATS * left) if left else 0.0) - other.length
            length -= loose * (cause.missing - taken) / max(fell - told, 1)
            brings.append(length)
        return brings

    def _groups(self, evidence: Evidence, chance: Chance) -> list[Cause]:
        groups, settings = self.inventory.groups, self.settings
        if not len(groups):
            return []
        lines = evidence.lines
        spread, who = groups.pairs(lines)
        if not spread.size:
            return []
        count = np.bincount(spread, minlength=len(groups))
        share = count / np.maximum(groups.size(), 1)
        price = self.price + settings.group_price
        good = np.flatnonzero((count >= max(settings.min_lines, self._least(chance, price))) & (share > 0))
        good = good[np.argsort(-(count[good] * share[good]), kind="stable")][:GROUPS]
        good = good[[groups.kinds[g] not in settings.never_groups for g in good.tolist()]]
        if not good.size:
            return []
        # The fallen lines of each group as slices of one array, ascending within a group.
        high = np.cumsum(count)[good]
        low = high - count[good]
        who = who[np.lexsort((who, spread))]
        middle, early = struck_each(evidence.at_ns[who], low, high)
        least = settings.min_share if evidence.min_share is None else evidence.min_share
        causes = []
        hopeful = self._hopeful(evidence, chance, good, high - low, middle, least)
        for i in np.flatnonzero(hopeful).tolist():
            g = int(good[i])
            members = groups.lines_of(g)
            inside, when = who[low[i] : high[i]], (int(middle[i]), int(early[i]))
            scope = Scope(ScopeKind.GROUP, groups.scope_name(g))
            cause = self._tested(evidence, chance, scope, inside, members, price, least, when)
            if cause is not None:
                cause.group = g
                causes.append(cause)
        return causes + self._pairs(evidence, chance, good, [who[a:b] for a, b in zip(low, high, strict=True)])

    def _pairs(
        self, evidence: Evidence, chance: Chance, good: npt.NDArray[np.integer], fell: list[npt.NDArray[np.integer]]
    ) -> list[Cause]:
        """What a model or firmware and another group have in common, where that holds half of what fell in either of
        them: a firmware on one BNG. Two groups of the network alone (a feeder's lines of one DHCP server) are no cause,
        they only outline a place. `fell`: where the fallen lines of each group stand in the evidence."""
        device = np.array([self.inventory.groups.kinds[g] in self.settings.campaign_kinds for g in good.tolist()])
        if not device.any():
            return []
        groups, step = self.inventory.groups, max(1, evidence.lines.size // PAIR_LINES)
        some = np.zeros((good.size, -(-evidence.lines.size // step)), np.bool_)
        for row, inside in zip(some, fell, strict=True):
            row[inside[inside % step == 0] // step] = True
        # Counted in bits: a product of matrices is quick, but its threads wait for each other on a busy machine.
        bits = np.packbits(some, axis=1)
        both = np.stack([np.bitwise_count(bits & mine).sum(axis=1, dtype=np.int64) for mine in bits])
        own = np.diagonal(both)
        worth = (both >= PAIR_SHARE * np.maximum(own[:, None], own[None, :])) & (both > 0)
        worth &= device[:, None] | device[None, :]
        first, second = np.nonzero(np.triu(worth, 1))
        price = self.price + self.settings.group_price + float(np.log(max(groups.weighty, 1)))
        share = self.settings.min_share if evidence.min_share is None else evidence.min_share
        # However few lines were spared: fewer fallen ones than these cannot pay.
        fewest = self._least_at(chance.floor, price - (self.settings.keep_nats if evidence.held else 0.0) - 1e-6)
        causes = []
        for place in np.argsort(-both[first, second], kind="stable")[:PAIRS].tolist():
            i, j = int(first[place]), int(second[place])
            a, b = int(good[i]), int(good[j])
            if groups.kinds[a] == groups.kinds[b]:
                continue
            inside = fell[i][contained(fell[i], fell[j])]
            if inside.size < fewest:
                continue
            members = np.intersect1d(groups.lines_of(a), groups.lines_of(b), assume_unique=True).astype(np.int32)
            if members.size > PAIR_MOST * min(groups.size()[a], groups.size()[b]):
                continue  # one lies within the other: no news
            scope = Scope(ScopeKind.GROUP, BOTH.join(sorted((groups.scope_name(a), groups.scope_name(b)))))
            cause = self._tested(evidence, chance, scope, inside, members, price, share)
            if cause is not None:
                causes.append(cause)
        return causes

    def _hopeful(
        self, evidence: Evidence, chance: Chance, groups: Ints, fell: Ints, middle: Ints, least: float
    ) -> npt.NDArray[np.bool_]:
        """Which groups have enough fallen lines among those heard since `middle`, and more than chance explains? The
        first questions of `_tested`, for all small groups at once: nearly all of them end there."""
        members = [self.inventory.groups.lines_of(g) for g in groups.tolist()]
        size = np.array([m.size for m in members])
        hopeful = size > FEW_LINES
        small = np.flatnonzero(~hopeful)
        if small.size:
            size, count = size[small], fell[small]
            heard = evidence.seen_ns[np.concatenate([members[i] for i in small.tolist()])]
            heard = heard >= np.repeat(middle[small], size)
            counted = count + np.add.reduceat(heard, np.cumsum(size) - size, dtype=np.int64)
            p = chance.among(count, counted)
            hopeful[small] = (count >= least * counted) & (count > USUAL * p * counted)
        return hopeful

    def _areas(self, evidence: Evidence, chance: Chance, tree: Tree) -> list[Cause]:
        """Discs around clusters of what no element explains as a whole."""
        whole = [c.told for c in tree.causes if c.share >= PART_SHARE and c.missing > SMALL]
        loose = evidence.without(np.sort(np.concatenate(whole))) if whole else evidence
        if loose.lines.size < self.settings.area_min_lines:
            return []
        causes = []
        key = evidence.lines.tobytes() + b"|" + loose.lines.tobytes()
        if key not in self._discs:
            self._discs[key] = find_discs(
                self.inventory,
                evidence.lines,
                loose.lines,
                evidence.seen_ns,
                self.settings,
                self._least(chance, self.area_price),
                self.area_price,
                min(-float(np.log(max(chance.floor, chance.loose / max(chance.total, 1)))), MOST_NATS),
            )
        for disc in self._discs[key]:
            inside = np.flatnonzero(contained(evidence.lines, disc.lines))
            if np.unique(self.inventory.leaf[evidence.lines[inside]]).size < 2:
                continue
            if self._is_element(evidence.lines[inside], tree):
                continue
            scope = Scope(ScopeKind.AREA, disc.name)
            cause = self._tested(evidence, chance, scope, inside, disc.lines, self.area_price, self.settings.area_share)
            if cause is not None:
                causes.append(cause)
        return causes

    def _is_element(self, lines: I32, tree: Tree) -> bool:
        """A disc around the lines of one failed element is that element in other words."""
        for cause in tree.causes:
            if cause.share >= PART_SHARE:
                both = contained(lines, cause.told).sum()
                if both >= SAME_SHARE * max(lines.size, cause.missing):
                    return True
        return False

    def _least(self, chance: Chance, price: float) -> int:
        """The smallest number of lines that would pay this price if no line of theirs were spared."""
        return self._least_at(max(chance.floor, chance.loose / max(chance.total, 1) / 4), price)

    def _least_at(self, p: float, price: float) -> int:
        """The same where a line falls by chance with probability `p`."""
        for i, part in enumerate(LEAST_PARTS):
            fell = LEAST[part]
            brings = self._least_brings.get((p, i))
            if brings is None:
                brings = LEAST_TOGETHER[part] - alone(fell, fell, p, self.settings.dispersion)
                self._least_brings[p, i] = brings
            pays = brings > price
            if pays.any():
                return int(fell[np.argmax(pays)])
        return int(LEAST[-1]) + 1

    def _tested(
        self,
        evidence: Evidence,
        chance: Chance,
        scope: Scope,
        inside: npt.NDArray[np.integer],
        members: I32,
        price: float,
        min_share: float,
        when: tuple[int, int] | None = None,
    ) -> Cause | None:
        """`inside`: where the fallen lines of the scope stand in the evidence; `when` they were struck, if known."""
        settings = self.settings
        fell = int(inside.size)
        firm = fell if evidence.firm is None else int(np.count_nonzero(evidence.firm[inside]))
        if firm < settings.min_lines:
            return None
        middle, early = when or struck(evidence.at_ns[inside])
        counted = fell + int(np.count_nonzero(evidence.seen_ns[members] >= middle))
        if fell < min_share * counted:
            return None
        p = chance.of(fell, counted)
        if fell <= USUAL * p * counted:
            return None  # about as many as by chance: no need to weigh it
        if not evidence.covered(members, middle, early, settings.min_coverage):
            return None
        length = float(together(fell, counted)) - price + (settings.keep_nats if scope in evidence.held else 0.0)
        by_chance = float(alone(fell, counted, p, settings.dispersion))
        return cause_of(evidence, scope, inside, counted, length, by_chance, p)
