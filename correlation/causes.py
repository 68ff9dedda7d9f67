"""When the search for causes runs, and on which falls: fresh ones at once, slow ones once a minute in longer windows.

Tested are onsets (lines that went down within a window and are still down), never states: at night one modem in ten is
off, and three of four dead lines on a port mean nothing; three of four that *went* down together do.
"""

import numpy as np
import numpy.typing as npt

from correlation.areas import squares
from correlation.background import Background
from correlation.calls import call_bonus
from correlation.casebook import FREE, CaseBook
from correlation.cases import Case
from correlation.evidence import Cause, Evidence
from correlation.explain import Explainer
from correlation.lines import LineTable
from correlation.nodes import Nodes
from correlation.onset import since_change
from correlation.sets import contained
from correlation.settings import CorrelationSettings
from correlation.signs import Signs
from correlation.strays import Falls, strays_of_work
from monitor.inventory import Inventory
from monitor.records import IncidentKind, IncidentStatus, LineState, ScopeKind
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
Flags = npt.NDArray[np.bool_]
PENDING_INTERVALS = 2
FRESH_INTERVALS = 3
PENDING_KM = 0.25
NO_LINES: I32 = np.zeros(0, np.int32)
AGAIN_NS = 4 * NS  # a living picture is looked at again at most this often
LEARN_AFTER_NS = 600 * NS
AREAS_EVERY_NS = 300 * NS
AREA_WINDOW_S = 7200.0  # a power cut does not take longer than that to be noticed
FLAPPER = 3  # a line that falls more often a day teaches nothing about the others
SETTLED_SHARE = 0.8
NESTED_SHARE = 0.6  # of its lines: some that are filed under it hang elsewhere and are back


class CauseFinder:
    """`recent` int32 ascending: lines that are down since less than the longest window."""

    def __init__(
        self,
        inventory: Inventory,
        table: LineTable,
        background: Background,
        nodes: Nodes,
        settings: CorrelationSettings,
        signs: Signs,
    ) -> None:
        self.inventory = inventory
        self.table = table
        self.background = background
        self.nodes = nodes
        self.signs = signs
        self.settings = settings
        self.explainer = Explainer(inventory, settings.causes)
        self.interval_ns = int(settings.evidence.default_interval_s * NS)  # told by the engine
        self.weighed: set[int] = set()  # slots of cases whose lines the last search could give to anybody
        self.square: I32 | None = None
        self.recent = NO_LINES
        self.fast_ns = 0
        self.slow_ns = 0
        self.unlearned: list[tuple[int, I32, I64]] = []  # when, lines, when each fell

    def remember(self, fell: I32, now_ns: int) -> None:
        """Lines that are newly down, whether or not they belong to something already."""
        if fell.size:
            self.unlearned.append((now_ns, fell, self.table.down_ns[fell]))
            self.recent = np.union1d(self.recent, fell).astype(np.int32)

    def find(self, fell: I32, had_rows: bool, now_ns: int, book: CaseBook) -> list[Cause] | None:
        """Causes now, or None when nothing was due. `fell`: lines newly down that belong to nothing yet."""
        table, windows = self.table, self.settings.causes.windows_s
        slow_due = now_ns - self.slow_ns >= self.settings.causes.slow_every_s * NS
        again = had_rows and now_ns - self.fast_ns >= AGAIN_NS
        if not (fell.size or slow_due or again):
            return None
        if self.recent.size:
            oldest = now_ns - int(max(windows) * NS)
            keep = (table.known[self.recent] == LineState.DOWN) & (table.down_ns[self.recent] >= oldest)
            self.recent = self.recent[keep]
        young = [c for c in book.living(IncidentKind.OUTAGE) if self._young(c, book, now_ns)]
        if not (fell.size or slow_due or any(self._fresh(c, now_ns) for c in young)):
            return None
        self.fast_ns = now_ns
        if slow_due:
            self.slow_ns = now_ns
        self._work(book, now_ns)
        return self._search(windows if slow_due else windows[:1], young, now_ns)

    def _young(self, case: Case, book: CaseBook, now_ns: int) -> bool:
        """May its scope still change? Forming ones always, open ones while nearly all is down."""
        if case.state.status is IncidentStatus.SUSPECTED:
            return True
        if case.state.status is not IncidentStatus.OPEN or case.state.nested:
            return False
        return len(book.still_down(case)) >= SETTLED_SHARE * len(case.lines) or self._again(case, now_ns)

    def _again(self, case: Case, now_ns: int) -> bool:
        """Was it reopened a moment ago?"""
        return now_ns - case.state.again_ns <= FRESH_INTERVALS * self.interval_ns

    def _fresh(self, case: Case, now_ns: int) -> bool:
        """May what the next probes say change its scope, though nothing else falls?"""
        if case.state.status is IncidentStatus.SUSPECTED:
            return True
        return now_ns - case.state.detected_ns <= FRESH_INTERVALS * self.interval_ns or self._again(case, now_ns)

    def _work(self, book: CaseBook, now_ns: int) -> None:
        """Lines filed elsewhere that fell with those of announced work are the work's, no outage beside it."""
        table, planned = self.table, list(book.living(IncidentKind.PLANNED))
        if not planned:
            return
        began = now_ns - int(self.settings.causes.windows_s[0] * NS)
        seen = np.where(table.is_up(), table.seen_ns(), 0)
        for case in planned:
            dead = book.still_down(case)
            dead = dead[table.down_ns[dead] >= began]
            free = self.recent[(table.slot[self.recent] == FREE) & (table.state[self.recent] == LineState.DOWN)]
            lines = np.union1d(dead, free[table.down_ns[free] >= began]).astype(np.int32)
            strays = strays_of_work(case.state.scope, dead, Falls(lines, table.down_ns[lines], seen, self.inventory))
            if strays.size:
                book.take(case, strays)

    def _search(self, windows: tuple[float, ...], young: list[Case], now_ns: int) -> list[Cause]:
        table, settings = self.table, self.settings.causes
        candidates = self.recent[table.state[self.recent] == LineState.DOWN]
        seen: I64 | None = None
        causes: list[Cause] = []
        self.weighed = set()
        for window_s in windows:
            began = now_ns - int(window_s * NS)
            # All lines of an incident or none: half of its evidence would shrink it.
            free = [c for c in young if _reaches(c, began, window_s)]
            self.weighed |= {c.state.slot for c in free}
            slot = table.slot[candidates]
            inside = (slot == FREE) & (table.down_ns[candidates] >= began)
            if free:
                inside |= np.isin(slot, [c.state.slot for c in free])
            mine = candidates[inside]
            at = table.down_ns[mine]
            for cause in causes:
                keep = ~contained(mine, cause.taken)
                mine, at = mine[keep], at[keep]
            if mine.size < settings.min_lines:
                continue
            firm = None
            if window_s == windows[0]:
                mine, at, firm = self._with_pending(mine, at, now_ns)
            if seen is None:
                seen = np.where(table.known > 0, table.seen_ns(), 0)
            spared = seen.copy()
            spared[mine] = 0
            for case in free:
                spared[case.lines] = 0  # who fell with the others and is back speaks against no cause
            found = self._explain(mine, at, firm, spared, window_s, free, now_ns)
            for cause in found:
                cause.weighed = frozenset(c.state.slot for c in free)
            causes += found
        return causes

    def _with_pending(self, lines: I32, at_ns: I64, now_ns: int) -> tuple[I32, I64, Flags]:
        """With the lines that missed and are not sure to be down yet, where most of their port or street miss too.

        One miss is no fall; but when all of a port miss, that says more of how far a failure reaches than the few that
        were asked twice. Ports that lose a part of their probes are left out: that is loss."""
        table = self.table
        waiting = (table.misses > 0) & table.is_up() & (table.slot == FREE)
        waiting &= table.miss_ns >= now_ns - PENDING_INTERVALS * self.interval_ns
        pending = np.flatnonzero(waiting).astype(np.int32)
        if pending.size:
            missing, at = np.concatenate([lines, pending]), np.concatenate([at_ns, table.miss_ns[pending]])
            seen = table.seen_ns()
            kept = _mostly(self.inventory.leaf, missing, at, seen)[pending]
            if self.square is None:
                self.square = squares(self.inventory, PENDING_KM)
            kept |= _mostly(self.square, missing, at, seen)[pending] & (self.square[pending] > 0)
            pending = pending[kept]
        together = np.concatenate([lines, pending])
        order = np.argsort(together, kind="stable")
        firm = np.concatenate([np.ones(lines.size, np.bool_), np.zeros(pending.size, np.bool_)])
        return together[order], np.concatenate([at_ns, table.miss_ns[pending]])[order], firm[order]

    def _explain(
        self, lines: I32, at_ns: I64, firm: Flags | None, seen: I64, window_s: float, young: list[Case], now_ns: int
    ) -> list[Cause]:
        settings = self.settings.causes
        table = self.table
        asked = np.where(table.known > 0, np.maximum(np.maximum(table.probed_ns, table.alive_ns), 1), 0)
        asked[lines] = now_ns
        evidence = Evidence(
            lines=lines,
            at_ns=at_ns,
            seen_ns=seen,
            window_s=window_s,
            now_ns=now_ns,
            network_rate=self.background.network_rate(now_ns),
            element_rate=lambda elements: self.background.element_rates(now_ns, elements),
            bonus=self._bonus(lines if firm is None else lines[firm], window_s, young, now_ns),
            use_areas=window_s <= settings.windows_s[0] or (window_s < AREA_WINDOW_S and self._areas_due(now_ns)),
            asked_ns=asked,
            min_share=settings.min_share if window_s == settings.windows_s[0] else settings.slow_share,
            firm=firm,
            held=frozenset(c.state.scope for c in young if c.state.opened),
        )
        causes = [c for c in self.explainer.explain(evidence) if c.gain >= 0]
        if window_s > settings.windows_s[0]:
            for cause in causes:
                since_change(cause, table.down_ns[cause.lines], now_ns - int(window_s * NS), now_ns)
        return causes

    def _bonus(self, fell: I32, window_s: float, young: list[Case], now_ns: int) -> dict[int, float]:
        """What nodes and, in the shortest window, callers add. In longer ones somebody has always called."""
        settings = self.settings.causes
        signs = self.nodes.bonus(now_ns, settings.node_dead, settings.node_alive, settings.alarm, window_s)
        if window_s > settings.windows_s[0]:
            return signs
        bonus = _above(signs, self.inventory)
        if not self.signs.calls:
            return bonus
        opened = {c.state.slot: c.state.detected_ns for c in young if c.state.opened}
        slot = self.table.slot[fell].tolist()
        published = {x: opened[s] for x, s in zip(fell.tolist(), slot, strict=True) if s in opened}
        since = now_ns - int(window_s * NS)
        for e, nats in call_bonus(self.inventory, fell, self.signs.calls, since, published, settings).items():
            bonus[e] = bonus.get(e, 0.0) + nats
        return bonus

    def _areas_due(self, now_ns: int) -> bool:
        """In a longer window discs are looked for every five minutes."""
        return now_ns // AREAS_EVERY_NS != (now_ns - int(self.settings.causes.slow_every_s * NS)) // AREAS_EVERY_NS

    def nested(self, case: Case, now_ns: int, book: CaseBook) -> list[Cause]:
        """What below a recovering case is still dead as a whole, while the rest of it is back."""
        settings = self.settings.causes
        dead = book.still_down(case)
        dead = dead[self.table.state[dead] == LineState.DOWN]
        back = case.lines[self.table.is_up(case.lines)]
        if dead.size < settings.min_lines or back.size < settings.min_lines:
            return []
        seen = np.where(self.table.is_up(), self.table.seen_ns(), 0)  # who is up beside it speaks against wider causes
        at = np.full(dead.size, case.state.recovering_ns - 60 * NS, np.int64)
        evidence = Evidence(
            lines=dead,
            at_ns=at,
            seen_ns=seen,
            window_s=settings.windows_s[0],
            now_ns=now_ns,
            network_rate=self.background.network_rate(now_ns),
            element_rate=lambda elements: self.background.element_rates(now_ns, elements),
            use_areas=case.state.scope.kind is not ScopeKind.AREA,
        )
        causes = self.explainer.explain(evidence)
        return [
            c
            for c in causes
            if c.gain >= settings.open_nats and c.scope != case.state.scope and c.share >= NESTED_SHARE
        ]

    def learn(self, now_ns: int, book: CaseBook) -> None:
        """Once a minute: time that lines were up, and falls that after ten minutes still have no common cause."""
        self.background.observe(now_ns, self.table.is_up(), self.inventory.elements)
        done = [u for u in self.unlearned if u[0] <= now_ns - LEARN_AFTER_NS]
        if not done:
            return
        self.unlearned = self.unlearned[len(done) :]
        lines = np.concatenate([u[1] for u in done])
        at = np.concatenate([u[2] for u in done])
        order = np.argsort(lines, kind="stable")
        lines, at = lines[order], at[order]
        own = (self.table.slot[lines] < 0) & (self.table.down_ns[lines] >= at)
        own &= self.table.flaps[:, lines].sum(axis=0) <= FLAPPER
        for case in book.cases.values():
            if not case.living and case.state.opened and case.state.resolved_ns >= int(at.min(initial=now_ns)):
                own &= ~contained(lines, case.lines)
        self.background.learn(at[own], lines[own], self.inventory.elements)

    # --- keeping --------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        none = np.zeros(0, np.int64)
        return {
            "finder_recent": self.recent.copy(),
            "finder_clock": np.array([self.fast_ns, self.slow_ns], np.int64),
            "finder_unlearned_ns": np.array([u[0] for u in self.unlearned for _ in u[1]], np.int64),
            "finder_unlearned_line": np.concatenate([*(u[1] for u in self.unlearned), none]).astype(np.int32),
            "finder_unlearned_at": np.concatenate([*(u[2] for u in self.unlearned), none]).astype(np.int64),
        }

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        self.recent = arrays["finder_recent"].astype(np.int32)
        self.fast_ns, self.slow_ns = (int(x) for x in arrays["finder_clock"].tolist())
        when = arrays["finder_unlearned_ns"].astype(np.int64)
        line, at = arrays["finder_unlearned_line"].astype(np.int32), arrays["finder_unlearned_at"].astype(np.int64)
        self.unlearned = []
        cuts = np.flatnonzero(np.concatenate([[True], when[1:] != when[:-1]])) if when.size else np.zeros(0, np.int64)
        for begin, end in zip(cuts.tolist(), [*cuts.tolist(), when.size][1:], strict=True):
            self.unlearned.append((int(when[begin]), line[begin:end], at[begin:end]))

    def remap(self, other: "CauseFinder", to: I32) -> None:
        """Take over what another finder knew, its lines being `to[line]` here (-1: gone)."""
        self.fast_ns, self.slow_ns = other.fast_ns, other.slow_ns
        recent = to[other.recent]
        self.recent = np.unique(recent[recent >= 0]).astype(np.int32)
        for when, lines, at in other.unlearned:
            kept = to[lines] >= 0
            if kept.any():
                self.unlearned.append((when, to[lines[kept]].astype(np.int32), at[kept]))


def _above(signs: dict[int, float], inventory: Inventory) -> dict[int, float]:
    """A node that went silent or raised an alarm also speaks for what stands above it: that may have taken it along."""
    elements, bonus = inventory.elements, dict(signs)
    for element, nats in signs.items():
        if nats > 0:
            for above in elements.ancestors(element)[1:]:
                bonus[above] = bonus.get(above, 0.0) + nats
    return bonus


def _mostly(part: I32, missing: I32, at_ns: I64, seen_ns: I64) -> Flags:
    """Of which parts (a part per line) do as many lines and more miss as were heard since the first of them did?"""
    since = np.full(int(part.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(since, part[missing], at_ns)
    count = np.bincount(part[missing], minlength=since.size)
    seen = np.bincount(part[seen_ns >= since[part]], minlength=since.size)
    result: Flags = ((count >= seen) & (count > 1))[part]
    return result


def _reaches(case: Case, began_ns: int, window_s: float) -> bool:
    """Is the case a matter of this window: did it begin within it, and was it found in one as long?"""
    state = case.state
    return (
        max(state.started_ns, state.fell_again_ns) >= began_ns
        and state.window_s <= window_s
        and (state.window_s == window_s or state.status is IncidentStatus.SUSPECTED)
    )
