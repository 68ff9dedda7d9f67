"""Lines and elements."""

from monitor.api.models.base import Output, Time
from monitor.api.models.lookup import IncidentBrief, LineCard, VerdictOut


class LineOut(Output):
    line: LineCard
    state: str
    since: Time | None
    observability: str
    probed_at: Time | None
    replied_at: Time | None
    rtt_ms: float | None
    baseline_ms: float | None
    loss_ratio: float | None
    flaps_24h: int
    groups: list[str]
    verdict: VerdictOut
    incident: IncidentBrief | None
    recent_incidents: list[IncidentBrief]


class HistoryOut(Output):
    """Columns of equal length, oldest first; a bin without data is left out, a null has no reply."""

    line_id: str
    bin_s: int
    at: list[Time]
    sent: list[int]
    received: list[int]
    rtt_ms: list[float | None]
    rtt_min_ms: list[float | None]
    rtt_max_ms: list[float | None]


ELEMENT_FIGURES = ("lines", "up", "degraded", "down", "unknown", "down_max", "rtt_ms")


class ElementHistoryOut(Output):
    """Columns of equal length, oldest first: numbers of lines, means over `step_s` (`down_max`: the worst minute)."""

    path: str
    step_s: int
    at: list[Time]
    lines: list[float | None]
    up: list[float | None]
    degraded: list[float | None]
    down: list[float | None]
    unknown: list[float | None]
    down_max: list[float | None]
    rtt_ms: list[float | None]


class TelemetryOut(Output):
    """What the router reported, oldest first; the name of the kind has the unit. A bin without reports is left out."""

    line_id: str
    kind: str
    bin_s: int
    at: list[Time]
    mean: list[float]
    low: list[float]
    high: list[float]


class ProbeOut(Output):
    asked: bool
    lines: int
    retry_s: float


class ElementChild(Output):
    path: str
    kind: str
    has_children: bool
    lines: int
    observable: int
    up: int
    degraded: int
    down: int
    unknown: int


class ElementList(Output):
    items: list[ElementChild]


class ElementOut(ElementChild):
    coverage_ratio: float
    incidents: list[IncidentBrief]
    children: list[ElementChild]
