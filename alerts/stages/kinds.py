"""Which incidents are told at all: by kind, status, lines and severity.

What has been told is always told to its end, whatever it has become: a message that says "open" for ever is worse than
one too many. What nobody was told of and is over is told only if its opening was never judged (the receiver was away).
"""

from collections.abc import Sequence

from alerts.settings import SEVERITY_ORDER
from alerts.stages.base import Item, Judged, Moment, Stop
from monitor.records import IncidentKind, IncidentStatus, Severity

_COUNTED = (IncidentKind.OUTAGE, IncidentKind.DEGRADED)  # a resolver or a prober has no lines of its own
_BEGINNINGS = {"opened", "grew", "promoted", "split", "reopened"}


class Kinds:
    name = "kinds"

    def __init__(self, kinds: Sequence[IncidentKind], min_lines: int, min_severity: Severity) -> None:
        self._kinds = frozenset(kinds)
        self._min_lines = min_lines
        self._worse = SEVERITY_ORDER[: SEVERITY_ORDER.index(min_severity) + 1]

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        survivors: list[Item] = []
        stopped: list[Stop] = []
        for item in items:
            found = None if not item.is_first else self._against(item)
            if found is None:
                survivors.append(item)
            else:
                stopped.append(Stop(item, self.name, *found))
        return Judged(survivors, stopped)

    def _against(self, item: Item) -> tuple[str, str] | None:
        incident = item.incident
        if incident.status is IncidentStatus.SUSPECTED:
            return "suspected", "not yet sure enough to page anybody"
        if incident.kind not in self._kinds:
            return ("planned" if incident.kind is IncidentKind.PLANNED else "kind"), f"kind {incident.kind}"
        over = incident.status is IncidentStatus.RESOLVED
        if over and item.delivery.alert.what == "withdrawn":
            return "withdrawn", "it was no outage, and nobody had been told"
        if over and not _BEGINNINGS.intersection(item.delivery.whats):
            return "over_untold", "it is over, and its beginning was not told"
        if incident.kind in _COUNTED and incident.lines_affected < self._min_lines:
            return "few_lines", f"{incident.lines_affected} lines affected, told from {self._min_lines}"
        if incident.severity is not Severity.CLEARED and incident.severity not in (
            *self._worse,
            Severity.INDETERMINATE,
        ):
            return "severity", f"{incident.severity}, told from {self._worse[-1]}"
        return None
