"""The life of incidents: which cause is which incident, and how it goes on.

`match` ties the causes of an evaluation to living cases (grow, promote, merge, split) or begins new ones, suspected;
`review` opens those that nothing holds back any more, lets others recover and ends them. An incident keeps its id
through all of that, and the same scope within a quarter of an hour is the same incident again.
"""

from collections.abc import Callable

import numpy as np

from correlation.areas import distance_km, parse_area
from correlation.casebook import FREE, CaseBook
from correlation.cases import Case, CaseState
from correlation.evidence import Cause
from correlation.saying import Facts, cause_code, explain_cause
from correlation.sets import contained
from correlation.settings import CorrelationSettings
from correlation.suspects import misfiled
from monitor.records import Coded, IncidentKind, IncidentStatus, LineState, Scope, ScopeKind
from monitor.records.rounds import I32

NS = 1_000_000_000
AGAIN_INTERVALS = 2  # after a reopening its lines fall anew, one by one: they are not yet back


class Life:
    """`facts(cause)` counts the other signs; `gate(case, now)` names what holds it back, or ""; `announced(scope, now)`
    tells whether work on it runs."""

    def __init__(
        self,
        book: CaseBook,
        settings: CorrelationSettings,
        facts: Callable[[Cause], Facts],
        gate: Callable[[Case, int], str],
        announced: Callable[[Scope, int], bool],
    ) -> None:
        self.announced = announced
        self.book = book
        self.settings = settings
        self.facts = facts
        self.gate = gate
        self.usual_ratio = 0.0

    # --- causes ---------------------------------------------------------------------------------------------------

    def match(self, causes: list[Cause], now_ns: int, weighed: set[int]) -> None:
        """`weighed`: slots of the cases whose lines were looked at again. A forming one that no cause stands for any
        more was a wrong reading."""
        claimed: set[int] = set()
        for cause in causes:
            owner = self._owner(cause, claimed)
            if owner is None:
                owner = self._begin(cause, now_ns)
            else:
                whole = owner.state.slot in cause.weighed and owner.state.slot not in claimed
                self._follow(owner, cause, now_ns, whole)
            claimed.add(owner.state.slot)
            self._absorb_others(owner, cause, now_ns, claimed)
            self._hand_over(owner, cause)
        for case in self.book.living(IncidentKind.OUTAGE):
            state = case.state
            if state.status is IncidentStatus.SUSPECTED and state.slot in weighed and state.slot not in claimed:
                self.book.withdraw(case, now_ns)

    def _owner(self, cause: Cause, claimed: set[int]) -> Case | None:
        """The living case of the same scope, or the one that most of these lines belong to, if it is no other cause's
        already."""
        table, cases = self.book.table, self.book.cases
        for known in self.book.living(IncidentKind.OUTAGE):
            if known.state.opened and known.state.scope == cause.scope:
                return known
        slots = table.slot[cause.taken]
        slots, counts = np.unique(slots[slots >= 0], return_counts=True)
        best: tuple[int, int] | None = None
        for slot, count in zip(slots.tolist(), counts.tolist(), strict=True):
            case = cases.get(slot)
            if case is None or slot in claimed or case.state.kind is not IncidentKind.OUTAGE:
                continue
            rank = (count + (10**9 if case.state.opened else 0), -slot)
            if best is None or rank > best:
                best = rank
        if best is not None:
            return cases[-best[1]]
        for known in self.book.living(IncidentKind.OUTAGE):
            if known.state.scope == cause.scope:
                return known
        return None

    def _begin(self, cause: Cause, now_ns: int) -> Case:
        old = self._recent(cause, now_ns)
        code = cause_code(cause, self.book.inventory, self.facts(cause))
        if old is not None:
            self._revive(old, cause.taken)
            self._describe(old, cause, code, now_ns)
            old.state.reopened += 1
            old.state.again_ns, old.state.fell_again_ns = now_ns, cause.start_ns
            old.state.status = IncidentStatus.OPEN
            self.book.tell(old, now_ns, "reopened")
            return old
        slots = self.book.table.slot[cause.taken]
        held = slots[slots >= 0]
        parent = ""
        if held.size and (taken := self.book.cases.get(int(np.bincount(held).argmax()))) is not None:
            parent = taken.state.incident_id
        case = self.book.create(IncidentKind.OUTAGE, cause.scope, code, cause.start_ns, now_ns, cause.taken, parent)
        self._describe(case, cause, code, now_ns)
        case.state.held = self.gate(case, now_ns)
        if case.state.held:
            self.book.tell(case, now_ns, "suspected")
        else:
            self.book.open(case, now_ns)
        return case

    def _recent(self, cause: Cause, now_ns: int) -> Case | None:
        """The incident that ended a moment ago at the same place."""
        limit = now_ns - int(self.settings.life.reopen_s * NS)
        for case in sorted(self.book.cases.values(), key=lambda c: -c.state.resolved_ns):
            state = case.state
            if case.living or not state.opened or state.kind is not IncidentKind.OUTAGE:
                continue
            if state.resolved_ns < limit and state.updated_ns < limit:
                continue
            both = np.intersect1d(case.lines, cause.taken, assume_unique=True).size
            if both >= 0.5 * max(len(case.lines), len(cause.taken)) or (
                state.scope == cause.scope and state.scope.kind is not ScopeKind.AREA
            ):
                return case
        return None

    def _revive(self, case: Case, lines: I32) -> None:
        self.book.not_over(case)
        case.state.below_ns = case.state.recovering_ns = case.state.asked_ns = case.state.resolved_ns = 0
        self.book.take(case, lines)

    def _follow(self, case: Case, cause: Cause, now_ns: int, whole: bool) -> None:
        """A living case is confirmed by an evaluation, perhaps with another scope. `whole`: all of its lines were
        looked at for this one cause."""
        state = case.state
        known = len(case.lines)
        self.book.take(case, cause.taken)
        if whole:
            self._leave(case, cause)
        if _same_area(cause.scope, state.scope):
            cause.scope = state.scope
        moved = cause.scope != state.scope
        grown = len(case.lines) > known
        if moved or grown or cause.missing >= state.counted:
            scope = cause.scope if moved else state.scope
            what = "grew" if not moved else "promoted" if cause.missing >= known else "shrank"
            state.scope = scope
            self._describe(case, cause, cause_code(cause, self.book.inventory, self.facts(cause)), now_ns)
            state.scope = scope
            if moved and state.opened:
                state.started_ns = min(state.started_ns, cause.start_ns)
                self.book.tell(case, now_ns, what)
            elif moved:
                state.started_ns = cause.start_ns
        state.found_ns = now_ns

    def _leave(self, case: Case, cause: Cause) -> None:
        """Lines that a still forming case held and that the cause no longer counts are free again."""
        if case.state.opened:
            return
        held = self.book.held_by(case)
        out = np.setdiff1d(held, cause.taken, assume_unique=True)
        self.book.table.slot[out] = FREE
        case.lines = np.setdiff1d(case.lines, out, assume_unique=True).astype(np.int32)
        case.joined = [np.setdiff1d(j, out, assume_unique=True).astype(np.int32) for j in case.joined]

    def _absorb_others(self, owner: Case, cause: Cause, now_ns: int, claimed: set[int]) -> None:
        """Cases that now hold next to nothing outside the owner are part of it."""
        for case in list(self.book.living(IncidentKind.OUTAGE)):
            if case is owner or case.state.slot in claimed or case.state.status is IncidentStatus.RECOVERING:
                continue
            inside = np.intersect1d(case.lines, cause.taken, assume_unique=True).size
            if inside and 2 * inside >= len(case.lines):
                self.book.merge(owner, case, now_ns)

    def _hand_over(self, owner: Case, cause: Cause) -> None:
        """What another case held of these lines never was its own: it must not look recovered for having lost them."""
        for case in self.book.living(IncidentKind.OUTAGE):
            if case is owner or case.state.status is IncidentStatus.RECOVERING:
                continue
            out = np.intersect1d(case.lines, cause.taken, assume_unique=True)
            if out.size:
                case.lines = np.setdiff1d(case.lines, out, assume_unique=True).astype(np.int32)
                case.joined = [np.setdiff1d(j, out, assume_unique=True).astype(np.int32) for j in case.joined]

    def _describe(self, case: Case, cause: Cause, code: str, now_ns: int) -> None:
        state, book = case.state, self.book
        state.cause = code
        state.gain = cause.gain
        state.confidence = cause.confidence
        state.observable = cause.observable
        state.counted = cause.missing
        state.expected = cause.expected
        state.spread_s = cause.spread_s
        state.window_s = cause.window_s
        state.struck_ns = cause.struck_ns
        state.suspects = misfiled(cause, book.inventory, book.table)
        state.runner_up = cause.runner_up
        state.runner_up_confidence = cause.runner_up_confidence
        state.explanation = explain_cause(cause, code, book.inventory, book.table, self.facts(cause))
        state.found_ns = now_ns

    # --- going on -------------------------------------------------------------------------------------------------

    def join_falls(self, fell: I32, now_ns: int) -> I32:
        """Lines that fall under a known outage belong to it. Returns those that do not."""
        table = self.book.table
        cases = sorted(
            self.book.living(IncidentKind.OUTAGE), key=lambda c: (len(c.lines), c.state.slot)
        )  # the finest first
        for case in cases:
            state = case.state
            if not fell.size:
                break
            if not state.opened:
                continue
            if state.status is IncidentStatus.RECOVERING:  # what falls again was not back: it flaps
                inside = contained(fell, case.lines) & (table.slot[fell] < 0)
                self.book.take(case, fell[inside])
                fell = fell[~inside]
                continue
            if state.observable and len(case.lines) < 0.5 * state.observable and now_ns - state.started_ns > 900 * NS:
                continue  # a partial failure, long ago: a later fall is judged afresh
            inside = self.book.covers(state.scope, fell) & (table.slot[fell] < 0)
            if inside.any():
                self.book.take(case, fell[inside])
                fell = fell[~inside]
        return fell

    def review(self, now_ns: int, interval_s: float) -> list[Case]:
        """Let every living outage and planned work go on; returns those that began to recover just now."""
        recovering = []
        cases = list(self.book.living(IncidentKind.OUTAGE, IncidentKind.PLANNED))
        if any(c.state.status is not IncidentStatus.SUSPECTED for c in cases):
            self.usual_ratio = self._usually_down()
        for case in cases:
            if case.state.status is IncidentStatus.SUSPECTED:
                self._review_suspected(case, now_ns)
            elif self._review_open(case, now_ns, interval_s):
                recovering.append(case)
        return recovering

    def _usually_down(self) -> float:
        """The share of lines that are down outside every incident: at night many a modem is switched off."""
        table = self.book.table
        outside = (table.slot < 0) & (table.state != LineState.UNKNOWN)
        down = int(np.count_nonzero(outside & (table.state == LineState.DOWN)))
        return down / max(int(np.count_nonzero(outside)), 1)

    def _review_suspected(self, case: Case, now_ns: int) -> None:
        state = case.state
        down = self.book.still_down(case).size
        life, causes = self.settings.life, self.settings.causes
        forgotten = now_ns - state.found_ns > 3 * causes.slow_every_s * NS
        if down < causes.min_lines or forgotten or now_ns - state.detected_ns > life.suspected_s * NS:
            self.book.withdraw(case, now_ns)
            return
        held = self.gate(case, now_ns)
        if not held:
            self.book.open(case, now_ns)
        else:
            state.held = held

    def _review_open(self, case: Case, now_ns: int, interval_s: float) -> bool:
        state, life = case.state, self.settings.life
        if state.kind is IncidentKind.PLANNED and self.announced(state.scope, now_ns):
            self._tell_growth(case, now_ns)
            return False  # work that goes on may take its lines again
        affected = len(case.lines)
        down = self.book.still_down(case).size
        allowed = allowance(
            affected, life.resolve_lines, max(life.resolve_ratio, self.usual_ratio), self._by_chance(state, now_ns)
        )
        began = False
        settling = state.again_ns and now_ns - state.again_ns < AGAIN_INTERVALS * interval_s * NS
        if state.status is IncidentStatus.OPEN and down <= (1 - life.recovering_ratio) * affected and not settling:
            state.status, state.recovering_ns = IncidentStatus.RECOVERING, now_ns
            began = True
            self.book.tell(case, now_ns, "recovering")
        elif state.status is IncidentStatus.RECOVERING and down > 0.7 * affected:
            state.status, state.recovering_ns = IncidentStatus.OPEN, 0
            self.book.tell(case, now_ns, "reopened")
        if state.status is IncidentStatus.RECOVERING:
            self._let_go(case, now_ns)
            down = self.book.still_down(case).size
        if down > allowed:
            state.below_ns = 0
        else:
            state.below_ns = state.below_ns or now_ns
            wait_s = max(life.resolve_after_s, 2 * interval_s) * 2 ** min(state.reopened, 3)
            if now_ns - state.below_ns >= min(wait_s, life.reopen_s) * NS:
                self._end(case, now_ns, allowed)
                return False
        self._tell_growth(case, now_ns)
        return began

    def _by_chance(self, state: CaseState, now_ns: int) -> float:
        """Lines that a slow failure took for its own while they fell by themselves: they need not come back with it."""
        if state.window_s <= self.settings.causes.windows_s[0]:
            return 0.0
        return state.expected * ((state.recovering_ns or now_ns) - state.started_ns) / NS / state.window_s

    def _let_go(self, case: Case, now_ns: int) -> None:
        """Lines that have been back for a while are their own again: what befalls them later is another matter."""
        table, held = self.book.table, self.book.held_by(case)
        since = now_ns - int(self.settings.life.let_go_s * NS)
        back = table.is_up(held) & (table.since_ns[held] <= since)
        table.slot[held[back]] = FREE

    def _tell_growth(self, case: Case, now_ns: int) -> None:
        waited = now_ns - case.state.told_ns >= self.settings.life.tell_every_s * NS
        if case.joined and (waited or len(case.lines) >= 1.25 * case.state.told_lines):
            self.book.tell(case, now_ns, "grew")

    def _end(self, case: Case, now_ns: int, allowed: int) -> None:
        """Backdated to when all but the allowed rest were back."""
        table, state = self.book.table, case.state
        back = case.lines[table.known[case.lines] != LineState.DOWN]
        rises = np.sort(table.since_ns[back])
        rises = rises[(rises > state.started_ns) & (rises <= now_ns)]
        at = min(int(rises[max(rises.size - 1 - allowed, 0)]), state.below_ns) if rises.size else state.below_ns
        self.book.resolve(case, now_ns, at)

    def nest(self, outer: Case, causes: list[Cause], now_ns: int) -> None:
        """What stayed dead below a recovering outage becomes an incident of its own."""
        for cause in causes:
            code = cause_code(cause, self.book.inventory, self.facts(cause))
            start = outer.state.started_ns
            name, scope = outer.state.incident_id, outer.state.scope.name
            case = self.book.create(IncidentKind.OUTAGE, cause.scope, code, start, now_ns, cause.taken, name)
            case.state.nested = True
            cause.start_ns, cause.spread_s = start, outer.state.spread_s
            self._describe(case, cause, code, now_ns)
            case.state.explanation = (Coded("nested", {"outer": scope}), *case.state.explanation)
            self.book.open(case, now_ns)


def allowance(affected: int, lines: int, ratio: float, by_chance: float = 0.0) -> int:
    """How many may still be down when an outage counts as over: 3 or 1 %, but never more than a third."""
    return int(min(max(lines, ratio * affected) + by_chance, affected / 3))


def _same_area(one: Scope, other: Scope) -> bool:
    """Two discs that differ by less than a fifth of their radius are one."""
    if one.kind is not ScopeKind.AREA or other.kind is not ScopeKind.AREA:
        return False
    lat1, lon1, r1 = parse_area(one.name)
    lat2, lon2, r2 = parse_area(other.name)
    away = float(distance_km(lat1, lon1, lat2, lon2))
    return away <= 0.2 * max(r1, r2) and abs(r1 - r2) <= 0.2 * max(r1, r2)
