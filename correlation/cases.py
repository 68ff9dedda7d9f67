"""One living incident inside the engine: what the outside sees of it (`Incident`) and what only the engine needs.

A case keeps its id and history through growing, promotion, merging and splitting.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np

from correlation.areas import lines_within, parse_area
from correlation.settings import LifeSettings
from monitor.inventory import Inventory
from monitor.records import Coded, Etr, Incident, IncidentKind, IncidentStatus, Note, Scope, ScopeKind, Severity
from monitor.records.rounds import I32

NS = 1_000_000_000
LIVING = (IncidentStatus.SUSPECTED, IncidentStatus.OPEN, IncidentStatus.RECOVERING)


class CaseState(msgspec.Struct):
    """Everything of a case but its lines, as it is saved."""

    slot: int
    incident_id: str
    kind: IncidentKind
    status: IncidentStatus
    scope: Scope
    cause: str
    started_ns: int
    detected_ns: int
    updated_ns: int
    gain: float = 0.0
    confidence: float = 0.0
    observable: int = 0
    counted: int = 0  # lines behind the present explanation
    expected: float = 0.0
    spread_s: float = 0.0
    window_s: float = 0.0
    struck_ns: int = 0  # the middle of the falls behind the present explanation
    revision: int = 0
    resolved_ns: int = 0
    opened: bool = False
    found_ns: int = 0  # when an evaluation last confirmed it
    below_ns: int = 0  # since when the excess is gone
    recovering_ns: int = 0
    asked_ns: int = 0
    told_ns: int = 0
    told_lines: int = 0
    held: str = ""  # why it is not open yet
    explanation: tuple[Coded, ...] = ()
    runner_up: Scope | None = None
    runner_up_confidence: float = 0.0
    etr: Etr | None = None
    acked_by: str = ""
    acked_ns: int = 0
    notes: tuple[Note, ...] = ()
    calls: int = 0
    reopened: int = 0
    again_ns: int = 0  # when it was reopened last, and when its lines began to fall again
    fell_again_ns: int = 0
    parent_id: str = ""
    nested: bool = False  # it stayed when a larger one went: its scope is settled
    suspects: tuple[str, ...] = ()
    planned_until_ns: int = 0
    last: Incident | None = None


@dataclass(slots=True, eq=False)
class Case:
    """`lines` int32 ascending: all that were ever affected. `joined`: those not told yet."""

    state: CaseState
    lines: I32
    joined: list[I32] = field(default_factory=list)

    @property
    def living(self) -> bool:
        return self.state.status in LIVING

    def join(self, lines: I32) -> I32:
        """Add lines; returns those that are new."""
        new = np.setdiff1d(lines, self.lines, assume_unique=True)
        if new.size:
            self.lines = np.union1d(self.lines, new).astype(np.int32)
            self.joined.append(new.astype(np.int32))
        return new.astype(np.int32)

    def take_joined(self) -> I32:
        if not self.joined:
            return np.zeros(0, np.int32)
        new = np.unique(np.concatenate(self.joined)).astype(np.int32)
        self.joined.clear()
        return new


def incident_id(kind: IncidentKind, scope: Scope, started_ns: int) -> str:
    """From scope and start alone: the same outage has the same id after a restart and in a replay."""
    when = datetime.fromtimestamp(started_ns // NS, UTC).strftime("%Y%m%d-%H%M%S")
    digest = hashlib.blake2s(f"{kind}|{scope.kind}|{scope.name}|{started_ns}".encode(), digest_size=4).hexdigest()
    return f"{when}-{digest}"


def members(inventory: Inventory, scope: Scope) -> I32:
    """Every line under a scope, int32 ascending; none when the inventory does not know it."""
    if scope.kind is ScopeKind.ELEMENT:
        element = inventory.elements.index_of(scope.name)
        if element is None:
            return np.zeros(0, np.int32)
        return np.arange(inventory.elements.lo[element], inventory.elements.hi[element], dtype=np.int32)
    if scope.kind is ScopeKind.GROUP:
        lines = inventory.groups.lines_under(scope.name)
        return lines if lines is not None else np.zeros(0, np.int32)
    if scope.kind is ScopeKind.AREA:
        return lines_within(inventory, *parse_area(scope.name))
    return np.zeros(0, np.int32)


def severity_of(kind: IncidentKind, lines: int, settings: LifeSettings) -> Severity:
    """By the number of lines; a blind prober or a dead resolver is major whatever it can count."""
    if kind in (IncidentKind.SOURCE, IncidentKind.RESOLVER):
        return Severity.MAJOR
    if kind is IncidentKind.PLANNED:
        return Severity.INDETERMINATE
    if kind is IncidentKind.DEGRADED:
        return Severity.MINOR if lines < settings.major_lines else Severity.MAJOR
    if lines >= settings.critical_lines:
        return Severity.CRITICAL
    if lines >= settings.major_lines:
        return Severity.MAJOR
    return Severity.MINOR if lines >= settings.minor_lines else Severity.WARNING


def as_incident(case: Case, down: int, at_risk: int, observable: int, settings: LifeSettings) -> Incident:
    """The record of its present revision."""
    state = case.state
    return Incident(
        incident_id=state.incident_id,
        kind=state.kind,
        status=state.status,
        severity=severity_of(state.kind, len(case.lines), settings),
        scope=state.scope,
        cause=state.cause,
        confidence=state.confidence,
        started_ns=state.started_ns,
        detected_ns=state.detected_ns,
        updated_ns=state.updated_ns,
        revision=state.revision,
        lines_affected=len(case.lines),
        lines_down=down,
        lines_at_risk=at_risk,
        lines_observable=observable,
        resolved_ns=state.resolved_ns or None,
        explanation=state.explanation,
        runner_up=state.runner_up,
        runner_up_confidence=state.runner_up_confidence,
        etr=state.etr,
        acked_by=state.acked_by,
        acked_ns=state.acked_ns or None,
        notes=state.notes,
        calls=state.calls,
        reopened=state.reopened,
        parent_id=state.parent_id,
        suspects=state.suspects,
    )
