"""Incidents and flags: what the engine concludes, and the alert that is made of it.

Explanations are codes with parameters (`Coded`); `monitor.words` says them in a language.
"""

from enum import StrEnum

import msgspec

Param = str | int | float


class IncidentKind(StrEnum):
    OUTAGE = "outage"
    DEGRADED = "degraded"  # slow or lossy, not down
    RESOLVER = "resolver"
    SOURCE = "source"  # a prober is blind
    PLANNED = "planned"  # maintenance


class IncidentStatus(StrEnum):
    SUSPECTED = "suspected"  # shown as "forming"; pages nobody
    OPEN = "open"
    RECOVERING = "recovering"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """X.733 perceived severities."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"
    INDETERMINATE = "indeterminate"
    CLEARED = "cleared"


class ScopeKind(StrEnum):
    ELEMENT = "element"  # name: the whole path
    GROUP = "group"  # name: KIND:NAME
    AREA = "area"  # name: "lat,lon,radius_km"
    SOURCE = "source"  # name: the prober


class Scope(msgspec.Struct, frozen=True):
    kind: ScopeKind
    name: str


class Coded(msgspec.Struct, frozen=True):
    """A sentence before it has a language: `monitor.words.say(coded, "de")` gives the words."""

    code: str
    params: dict[str, Param] = {}


class Etr(msgspec.Struct, frozen=True):
    """Estimated time of repair. Only `source == "noc"` is a promise; "history" reads "usually within"."""

    at_ns: int
    source: str  # "noc" | "history"
    next_update_ns: int | None = None
    based_on: int = 0  # earlier incidents behind it, when "history"


class Note(msgspec.Struct, frozen=True):
    at_ns: int
    by: str
    text: str


class Incident(msgspec.Struct, frozen=True):
    """One incident as of `revision` (which grows by one with every change that is told to the outside).

    Counts are of lines: `lines_affected` ever, `lines_down` now, `lines_at_risk` under the scope,
    `lines_observable` of those. The line ids themselves travel beside it (`Change.lines_added`).
    """

    incident_id: str
    kind: IncidentKind
    status: IncidentStatus
    severity: Severity
    scope: Scope
    cause: str  # a code, e.g. "element_down", "partial_failure", "power_cut", "resolver_down", "source_blind"
    confidence: float  # 0..1
    started_ns: int
    detected_ns: int
    updated_ns: int
    revision: int
    lines_affected: int
    lines_down: int
    lines_at_risk: int
    lines_observable: int
    resolved_ns: int | None = None
    explanation: tuple[Coded, ...] = ()
    runner_up: Scope | None = None
    runner_up_confidence: float = 0.0
    etr: Etr | None = None
    acked_by: str = ""
    acked_ns: int | None = None
    notes: tuple[Note, ...] = ()
    calls: int = 0
    reopened: int = 0
    parent_id: str = ""  # a nested fault, or what this one was merged into
    suspects: tuple[str, ...] = ()  # line_ids that look misfiled


class FlagKind(StrEnum):
    SLOW = "slow"
    UNSTABLE = "unstable"
    DEGRADING = "degrading"
    SEGMENT_SLOW = "segment_slow"


class Flag(msgspec.Struct, frozen=True):
    """A line (subject: line_id) or segment (subject: "element:PATH") that is not well, without being an outage."""

    subject: str
    kind: FlagKind
    reason: str  # code, e.g. "rtt_above_baseline", "loss", "flaps", "jitter", "rx_power_falling"
    value: float
    unit: str
    started_ns: int
    detected_ns: int
    ended_ns: int | None = None

    @property
    def flag_id(self) -> str:
        return f"{self.subject}|{self.kind}|{self.started_ns}"


class Change(msgspec.Struct, frozen=True):
    """One thing the engine decided in a step: exactly one of `incident`, `flag` is set.

    `what` is a named reason: suspected, opened, grew, shrank, promoted, split, merged, recovering, reopened, resolved,
    withdrawn, acked, noted, etr_set, explained, flag_raised, flag_updated, flag_ended. `lines_added` are the line_ids
    that joined the incident's affected set with this change.
    """

    at_ns: int
    what: str
    incident: Incident | None = None
    flag: Flag | None = None
    lines_added: tuple[str, ...] = ()


class Alert(msgspec.Struct, frozen=True):
    """What stands in the outbox: one incident revision that may have to be told to somebody."""

    alert_id: str  # "{incident_id}#{revision}"
    at_ns: int
    what: str
    incident: Incident
