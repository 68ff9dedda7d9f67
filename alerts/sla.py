"""Lines with an SLA alert by themselves: one that is down alone for a while is told like a small incident.

Such an alert stands in the outbox only, with an id of its own (`line-...`), and goes through the same stages. It ends
when the line is back, or when an incident takes the line in: that one speaks for it then. Looked at in columns; only
the few lines with an SLA that are down cost anything.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from alerts.health import ReceiverHealth
from alerts.text import one_line
from monitor.clock import NS, Clock
from monitor.inventory import Inventory
from monitor.inventory.columns import CategoryColumn
from monitor.metrics import Metrics
from monitor.records import (
    Coded,
    Incident,
    IncidentKind,
    IncidentStatus,
    LineState,
    Scope,
    ScopeKind,
    Severity,
)
from monitor.store.outbox import Outbox
from monitor.store.posts import LINE_PREFIX

LOOK_S = 2.0


class LineStates(Protocol):
    """What the engine knows of every line; arrays of the inventory's rows, see its view."""

    @property
    def generation(self) -> int: ...
    @property
    def state(self) -> npt.NDArray[np.uint8]: ...
    @property
    def since_ns(self) -> npt.NDArray[np.int64]: ...
    @property
    def incident(self) -> npt.NDArray[np.int32]: ...
    @property
    def incidents(self) -> tuple[Incident, ...]: ...


class SlaLines:
    name = "sla"

    def __init__(
        self,
        down_s: float,
        outbox: Outbox,
        view: Callable[[], LineStates],
        inventory: Callable[[], Inventory],
        metrics: Metrics,
        clock: Clock,
        nudge: Callable[[], None],
    ) -> None:
        self._down_ns = int(down_s * NS)
        self._outbox = outbox
        self._view = view
        self._inventory = inventory
        self._troubles = metrics.troubles
        self._clock = clock
        self._nudge = nudge
        self._rows: tuple[int, npt.NDArray[np.intp]] = (-1, np.zeros(0, np.intp))

    async def run(self) -> None:
        while True:
            try:
                if await asyncio.to_thread(self.look, self._clock.now_ns()):
                    self._nudge()
                self._troubles.end("alerts_sla", self._clock.now_ns())
            except Exception as error:  # the store: it comes back
                text = f"lines with an SLA cannot be looked at ({one_line(repr(error), 300)}): trying again"
                self._troubles.begin("alerts_sla", text, self._clock.now_ns())
            await self._clock.sleep(LOOK_S)

    def health(self) -> ReceiverHealth | None:
        return None

    def look(self, now_ns: int) -> int:
        """Write what has changed; how many letters that made."""
        inventory, view = self._inventory(), self._view()
        if view.generation != inventory.generation:
            return 0  # a reload is under way
        rows = self._sla_rows(inventory)
        if not len(rows):
            return 0
        told = {i.scope.name.rpartition("/")[2]: i for i in self._outbox.unresolved(LINE_PREFIX)}
        alone = (view.state[rows] == LineState.DOWN) & (view.incident[rows] < 0)
        alone &= now_ns - view.since_ns[rows] >= self._down_ns
        written = 0
        for row in rows[alone].tolist():
            if inventory.line_id(row) not in told:
                written += self._outbox.put("opened", _opened(inventory, view, row, now_ns))
        for line_id, incident in told.items():
            if (ended := self._ended(inventory, view, line_id, incident, now_ns)) is not None:
                written += self._outbox.put(*ended)
        return written

    def _sla_rows(self, inventory: Inventory) -> npt.NDArray[np.intp]:
        if self._rows[0] != inventory.generation:
            column = inventory.texts["service_class"]
            if isinstance(column, CategoryColumn):
                wanted = np.array([value.lower() == "sla" for value in column.values], np.bool_)
                chosen = np.flatnonzero(wanted[column.codes] & inventory.active)
            else:
                chosen = np.array([row for row, value in enumerate(column) if value.lower() == "sla"], np.intp)
            self._rows = (inventory.generation, chosen)
        return self._rows[1]

    def _ended(
        self, inventory: Inventory, view: LineStates, line_id: str, told: Incident, now_ns: int
    ) -> tuple[str, Incident] | None:
        row = inventory.index_of(line_id)
        over = replace(
            told,
            status=IncidentStatus.RESOLVED,
            severity=Severity.CLEARED,
            revision=told.revision + 1,
            updated_ns=now_ns,
            resolved_ns=now_ns,
            lines_down=0,
        )
        if row is None:
            return "withdrawn", over
        if (index := int(view.incident[row])) >= 0:
            return "merged", replace(over, parent_id=view.incidents[index].incident_id)
        if view.state[row] in (LineState.UP, LineState.DEGRADED):
            return "resolved", replace(over, resolved_ns=max(int(view.since_ns[row]), told.started_ns))
        return None  # still down, or not measured just now


def acknowledge(outbox: Outbox, incident_id: str, by: str, now_ns: int) -> bool:
    """Somebody has taken a single line's alert; False when there is none, or it is over. Others: the engine's part."""
    told = outbox.newest(incident_id) if incident_id.startswith(LINE_PREFIX) else None
    if told is None or told.status is IncidentStatus.RESOLVED:
        return False
    taken = replace(told, revision=told.revision + 1, updated_ns=now_ns, acked_by=by, acked_ns=now_ns)
    return outbox.put("acked", taken)


def _opened(inventory: Inventory, view: LineStates, row: int, now_ns: int) -> Incident:
    line = inventory.line(row)
    since_ns = int(view.since_ns[row])
    when = datetime.fromtimestamp(since_ns // NS, UTC).strftime("%Y%m%dT%H%M%S")
    explanation = [Coded("alert_line_down", {"line_id": line.line_id})]
    hours = float(inventory.numbers["sla_restore_h"][row])
    if hours == hours:
        explanation.append(Coded("alert_line_restore", {"hours": f"{hours:g}"}))
    return Incident(
        incident_id=f"{LINE_PREFIX}{line.line_id}-{when}",
        kind=IncidentKind.OUTAGE,
        status=IncidentStatus.OPEN,
        severity=Severity.MAJOR,
        scope=Scope(ScopeKind.ELEMENT, f"{line.path}/{line.line_id}"),
        cause="line_down",
        confidence=0.99,
        started_ns=since_ns,
        detected_ns=now_ns,
        updated_ns=now_ns,
        revision=1,
        lines_affected=1,
        lines_down=1,
        lines_at_risk=1,
        lines_observable=1,
        explanation=tuple(explanation),
    )
