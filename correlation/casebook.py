"""The cases of an engine: which line is held by which, and the changes that are told to the outside.

A line is held by at most one living case (`table.slot`). A slot of MUTED marks a line that is still down after its
incident was closed: it must come back before it can be part of another.
"""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from correlation.cases import Case, CaseState, as_incident, incident_id, members
from correlation.lines import LineTable
from correlation.repair import CODES, ESTIMATED, RepairTimes, as_etr
from correlation.sets import contained
from correlation.settings import LifeSettings
from monitor.inventory import Inventory
from monitor.records import Change, IncidentKind, IncidentStatus, LineState, Scope, ScopeKind
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
FREE = -1
MUTED = -2


class CaseBook:
    def __init__(self, inventory: Inventory, table: LineTable, settings: LifeSettings) -> None:
        self.inventory = inventory
        self.table = table
        self.settings = settings
        self.cases: dict[int, Case] = {}  # by slot, also those resolved lately
        self.next_slot = 0
        self.changes: list[Change] = []
        self.repairs = RepairTimes(settings.etr_history, settings.etr_at_least)

    # --- finding --------------------------------------------------------------------------------------------------

    def living(self, *kinds: IncidentKind) -> Iterator[Case]:
        """In the order they began to be looked at."""
        for case in list(self.cases.values()):
            if case.living and (not kinds or case.state.kind in kinds):
                yield case

    def find(self, incident: str) -> Case | None:
        return next((c for c in self.cases.values() if c.state.incident_id == incident), None)

    def covers(self, scope: Scope, lines: I32) -> npt.NDArray[np.bool_]:
        """Which of `lines` are under the scope."""
        return contained(lines, members(self.inventory, scope))

    def held_by(self, case: Case) -> I32:
        """Its lines that it still holds (others were taken over by a nested or merged case)."""
        held: I32 = case.lines[self.table.slot[case.lines] == case.state.slot]
        return held

    def still_down(self, case: Case) -> I32:
        """Held lines that are down, or were when last seen: what cannot be seen has not recovered."""
        held = self.held_by(case)
        down: I32 = held[self.table.known[held] == LineState.DOWN]
        return down

    # --- changing -------------------------------------------------------------------------------------------------

    def create(
        self, kind: IncidentKind, scope: Scope, cause: str, started_ns: int, now_ns: int, lines: I32, parent: str = ""
    ) -> Case:
        """A new case, suspected, that holds `lines` (taken from whoever held them)."""
        name = incident_id(kind, scope, started_ns)
        while self.find(name) is not None:  # the same scope and start twice: a resolved one came back by other means
            started_ns += 1
            name = incident_id(kind, scope, started_ns)
        state = CaseState(
            slot=self.next_slot,
            incident_id=name,
            kind=kind,
            status=IncidentStatus.SUSPECTED,
            scope=scope,
            cause=cause,
            started_ns=started_ns,
            detected_ns=now_ns,
            updated_ns=now_ns,
            found_ns=now_ns,
            parent_id=parent,
        )
        self.next_slot += 1
        case = Case(state, np.zeros(0, np.int32))
        self.cases[state.slot] = case
        self.take(case, lines)
        return case

    def take(self, case: Case, lines: I32) -> I32:
        """Let the case hold these lines; returns those it never had."""
        if case.state.kind is not IncidentKind.DEGRADED:
            self.table.slot[lines] = case.state.slot
        return case.join(lines)

    def release(self, case: Case, slot: int = FREE) -> None:
        """Its lines are free again; those still down become `slot`."""
        held = self.held_by(case)
        self.table.slot[held] = FREE
        if slot != FREE:
            self.table.slot[held[self.table.known[held] == LineState.DOWN]] = slot

    def open(self, case: Case, now_ns: int, what: str = "opened") -> None:
        state = case.state
        state.status = IncidentStatus.OPEN
        state.held = ""
        if not state.opened:
            state.opened = True
            state.detected_ns = now_ns
        self.tell(case, now_ns, what)

    def resolve(self, case: Case, now_ns: int, resolved_ns: int, what: str = "resolved") -> None:
        case.state.status = IncidentStatus.RESOLVED
        case.state.resolved_ns = max(resolved_ns, case.state.started_ns)
        if case.state.opened and case.state.kind in ESTIMATED:
            self.repairs.add(*self._alike(case), _lasted_s(case))
        self.tell(case, now_ns, what)
        self.release(case, MUTED)

    def withdraw(self, case: Case, now_ns: int) -> None:
        """It was nothing: the lines are looked at afresh."""
        case.state.status = IncidentStatus.RESOLVED
        case.state.resolved_ns = now_ns
        self.tell(case, now_ns, "withdrawn")
        self.release(case)
        del self.cases[case.state.slot]

    def merge(self, into: Case, other: Case, now_ns: int) -> None:
        """`other` turned out to be part of `into`."""
        lines = self.held_by(other)
        into.state.notes = into.state.notes + tuple(n for n in other.state.notes if n not in into.state.notes)
        into.state.calls += other.state.calls
        into.state.acked_by, into.state.acked_ns = (
            (into.state.acked_by, into.state.acked_ns)
            if into.state.acked_by
            else (other.state.acked_by, other.state.acked_ns)
        )
        self.take(into, lines)
        other.state.parent_id = into.state.incident_id
        other.state.status = IncidentStatus.RESOLVED
        other.state.resolved_ns = now_ns
        if other.state.opened:
            self.tell(other, now_ns, "merged")
        else:
            self.tell(other, now_ns, "withdrawn")
        del self.cases[other.state.slot]

    def tell(self, case: Case, now_ns: int, what: str) -> None:
        """Put the present revision into the changes of this step."""
        state = case.state
        self.estimate(case, now_ns)
        new = case.take_joined()
        state.revision += 1
        state.updated_ns = now_ns
        state.told_ns = now_ns
        state.told_lines = len(case.lines)
        at_risk = members(self.inventory, state.scope)
        observable = int(np.count_nonzero(self.table.state[at_risk] != LineState.UNKNOWN))
        down = len(self.still_down(case)) if state.status is not IncidentStatus.RESOLVED else 0
        state.last = as_incident(case, down, max(len(at_risk), len(case.lines)), observable, self.settings)
        names = tuple(self.inventory.line_ids.many(new)) if new.size else ()
        self.changes.append(Change(at_ns=now_ns, what=what, incident=state.last, lines_added=names))

    # --- how long it will take ------------------------------------------------------------------------------------

    def estimate(self, case: Case, now_ns: int) -> None:
        """The time of repair that earlier incidents suggest, and the sentence to it; what the NOC said stands."""
        state = case.state
        if state.kind not in ESTIMATED or state.status not in (IncidentStatus.OPEN, IncidentStatus.RECOVERING):
            return
        state.explanation = tuple(c for c in state.explanation if c.code not in CODES)
        if state.etr is not None and state.etr.source == "noc":
            return
        usual, said = self.repairs.usual(*self._alike(case), (now_ns - state.started_ns) / NS)
        state.etr = as_etr(usual, state.started_ns, now_ns) if usual else None
        if state.kind is IncidentKind.OUTAGE:
            state.explanation = (*state.explanation, said)

    def renew_estimates(self, now_ns: int) -> None:
        """Where the next look is due. It is told with the next change; who looks sees it at once."""
        for case in self.living(*ESTIMATED):
            etr = case.state.etr
            if etr is not None and etr.source == "history" and (etr.next_update_ns or 0) <= now_ns:
                self.estimate(case, now_ns)

    def not_over(self, case: Case) -> None:
        """A resolved incident goes on: that end was none."""
        if case.state.status is IncidentStatus.RESOLVED and case.state.kind in ESTIMATED:
            self.repairs.take_back(*self._alike(case), _lasted_s(case))

    def _alike(self, case: Case) -> tuple[str, str, str]:
        """Kind, level and cause."""
        state, elements = case.state, self.inventory.elements
        level = str(state.scope.kind)
        if state.scope.kind is ScopeKind.ELEMENT and (element := elements.index_of(state.scope.name)) is not None:
            level = f"element:{elements.kinds[element] or int(elements.depth[element])}"
        elif state.scope.kind is ScopeKind.GROUP:
            level = f"group:{state.scope.name.partition(':')[0]}"
        return str(state.kind), level, state.cause

    def take_changes(self) -> tuple[Change, ...]:
        changes = tuple(self.changes)
        self.changes.clear()
        return changes

    def prune(self, now_ns: int) -> None:
        limit = now_ns - int(self.settings.keep_resolved_s * NS)
        for slot, case in list(self.cases.items()):
            if not case.living and case.state.resolved_ns < limit and case.state.updated_ns < limit:
                del self.cases[slot]

    # --- keeping --------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        cases = list(self.cases.values())
        lines = [c.lines for c in cases]
        joined = [c.take_joined() for c in cases]
        for case, mine in zip(cases, joined, strict=True):
            if mine.size:
                case.joined.append(mine)
        packed = msgspec.json.encode([c.state for c in cases])
        return {
            "cases": np.frombuffer(packed, np.uint8).copy(),
            "cases_next": np.array([self.next_slot], np.int64),
            "cases_lines": np.concatenate([*lines, np.zeros(0, np.int32)]).astype(np.int32),
            "cases_lengths": np.array([x.size for x in lines], np.int64),
            "cases_joined": np.concatenate([*joined, np.zeros(0, np.int32)]).astype(np.int32),
            "cases_joined_lengths": np.array([x.size for x in joined], np.int64),
        }

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        states = msgspec.json.decode(arrays["cases"].tobytes(), type=list[CaseState])
        lines = _parts(arrays["cases_lines"], arrays["cases_lengths"])
        joined = _parts(arrays["cases_joined"], arrays["cases_joined_lengths"])
        self.next_slot = int(arrays["cases_next"].tolist()[0])
        for state, mine, new in zip(states, lines, joined, strict=True):
            self.cases[state.slot] = Case(state, mine, [new] if new.size else [])

    def remap(self, to: I32, map_scope: Callable[[Scope], bool]) -> None:
        """After a reload: lines move, those gone are dropped. `map_scope` says whether a scope still exists."""
        for slot, case in list(self.cases.items()):
            case.lines = _moved(case.lines, to)
            case.joined = [_moved(j, to) for j in case.joined]
            if case.living and not map_scope(case.state.scope):
                case.state.status = IncidentStatus.RESOLVED
                case.state.resolved_ns = case.state.updated_ns
                self.tell(case, case.state.updated_ns, "resolved")
                self.release(case, MUTED)
            if not case.living and slot not in self.cases:
                continue


def _lasted_s(case: Case) -> float:
    return (case.state.resolved_ns - case.state.started_ns) / NS


def _moved(lines: I32, to: I32) -> I32:
    moved = to[lines]
    return np.unique(moved[moved >= 0]).astype(np.int32)


def _parts(values: npt.NDArray[np.generic], lengths: npt.NDArray[np.generic]) -> list[I32]:
    ends: I64 = np.cumsum(lengths.astype(np.int64))
    return [p.astype(np.int32) for p in np.split(values.astype(np.int32), ends[:-1])] if lengths.size else []
