"""A parent's incident speaks for its children, and planned work for what it covers.

Stops the first message about something under an element whose outage is known already, or which was announced; both
only for as long as that lasts: a fault that outlives its parent, or the work, is told then.
"""

from collections.abc import Sequence

from alerts.stages.base import Item, Judged, Moment, Stop
from monitor.clock import NS
from monitor.records import IncidentKind, ScopeKind

LOOK_AGAIN_S = 10.0


class Inhibit:
    name = "inhibit"

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        survivors: list[Item] = []
        stopped: list[Stop] = []
        for item in items:
            why = self._why(item, moment) if item.is_first else None
            if why is None:
                survivors.append(item)
                continue
            until_ns = None if item.is_over else moment.now_ns + int(LOOK_AGAIN_S * NS)
            stopped.append(Stop(item, self.name, *why, until_ns))
        return Judged(survivors, stopped)

    def _why(self, item: Item, moment: Moment) -> tuple[str, str] | None:
        incident, around = item.incident, moment.around
        if incident.kind is IncidentKind.SOURCE:
            return None  # that we are blind is never somebody else's message
        parent = around.open.get(incident.parent_id)
        if parent is not None and parent.incident_id != incident.incident_id and parent.kind is IncidentKind.OUTAGE:
            return "parent", f"part of {parent.incident_id} ({parent.scope.name})"
        if incident.scope.kind is ScopeKind.ELEMENT:
            above = incident.scope.name.rpartition("/")[0]
            while above:
                parent = around.outages.get(above)
                if parent is not None and parent.incident_id != incident.incident_id:
                    return "parent", f"under {parent.incident_id} ({above})"
                above = above.rpartition("/")[0]
        for work in around.planned:
            if work.covers(incident):
                reason = f": {work.reason[:100]}" if work.reason else ""
                return "planned_work", f"announced for {work.subject.name}{reason}"
        return None
