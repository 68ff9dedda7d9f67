"""The stages between the outbox and a receiver, in order: each file decides one thing.

A stage is given what came through the stages before it and returns what survives; what it stops, it names: a reason,
and when to look again (or never, until there is a newer revision). `run_stages` records which stage did what, and
`faultline alerts explain` shows it.
"""

from alerts.stages.base import Item, Join, Judged, Moment, Stage, Stop, item_of, run_stages
from alerts.stages.dedup import Dedup
from alerts.stages.group import Group
from alerts.stages.inhibit import Inhibit
from alerts.stages.kinds import Kinds
from alerts.stages.order import by_urgency
from alerts.stages.pace import Pace
from alerts.stages.route import Route
from alerts.stages.silence import Silenced
from alerts.stages.throttle import Throttle

__all__ = [
    "Dedup",
    "Group",
    "Inhibit",
    "Item",
    "Join",
    "Judged",
    "Kinds",
    "Moment",
    "Pace",
    "Route",
    "Silenced",
    "Stage",
    "Stop",
    "Throttle",
    "by_urgency",
    "item_of",
    "run_stages",
]
