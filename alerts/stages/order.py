"""Who goes first when a receiver takes one message a second: first messages, then news, the worst first."""

from alerts.stages.base import Item
from monitor.records import Severity

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def by_urgency(item: Item) -> tuple[int, int, int, int]:
    """A sort key, smallest first. Among equals the one that has waited longest."""
    urgency = 0 if item.is_first else 1 if item.message.news else 2
    severity = 0 if urgency == 2 else _RANK[item.incident.severity]  # plain updates go in turn
    return urgency, severity, item.told.at_ns, item.delivery.first_at_ns
