"""What a stage may know of the world beside the incident it judges: silences, planned work, other incidents, receivers.

Read from the store at most once a second for all receivers, and at once when the engine has written since.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitor.clock import NS
from monitor.records import Incident, IncidentKind, IncidentStatus, ScopeKind
from monitor.store.silences import PlannedWork, Silence, Silences
from monitor.store.state import StateStore


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`outages`: open outages by the path of their element; `open`: everything unresolved by id, suspicions apart;
    `failing`: receivers that do not work, since when (ns)."""

    silences: tuple[Silence, ...] = ()
    planned: tuple[PlannedWork, ...] = ()
    outages: Mapping[str, Incident] = field(default_factory=dict)
    open: Mapping[str, Incident] = field(default_factory=dict)
    failing: Mapping[str, int] = field(default_factory=dict)


NOTHING = Surroundings()


class Outlook:
    """Gives the Surroundings of now. Any thread may call."""

    FRESH_NS = NS

    def __init__(self, store: StateStore, silences: Silences, failing: Callable[[], Mapping[str, int]]) -> None:
        self._store = store
        self._silences = silences
        self._failing = failing
        self._lock = threading.Lock()
        self._seen: tuple[int, int] = (-1, -1)
        self._kept = NOTHING

    def forget(self) -> None:
        """Something has changed that the engine does not write: a silence."""
        self._seen = (-1, -1)

    def now(self, now_ns: int) -> Surroundings:
        with self._lock:
            applied, at_ns = self._seen
            if applied != self._store.applied_seq or not at_ns <= now_ns < at_ns + self.FRESH_NS:
                self._seen = (self._store.applied_seq, now_ns)
                self._kept = self._read(now_ns)
            return self._kept

    def _read(self, now_ns: int) -> Surroundings:
        unresolved = [i for i in self._store.open_incidents() if i.status is not IncidentStatus.SUSPECTED]
        outages: dict[str, Incident] = {}
        for incident in unresolved:
            if incident.kind is IncidentKind.OUTAGE and incident.scope.kind is ScopeKind.ELEMENT:
                outages.setdefault(incident.scope.name, incident)
        return Surroundings(
            silences=tuple(s for s in self._silences.listed(now_ns) if s.active_at(now_ns)),
            planned=tuple(self._silences.planned(now_ns)),
            outages=outages,
            open={incident.incident_id: incident for incident in unresolved},
            failing=dict(self._failing()),
        )
