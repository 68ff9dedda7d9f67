"""What runs beside the receivers: the heartbeat, the lines with an SLA, the daily digest. Wired in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from alerts.daily import Daily
from alerts.digest import FlagRanking, Ranking
from alerts.health import ReceiverHealth
from alerts.message import Writer
from alerts.settings import AlertSettings
from alerts.sla import LineStates, SlaLines
from monitor.clock import Clock
from monitor.inventory import Inventory
from monitor.metrics import Metrics
from monitor.store.outbox import Outbox
from monitor.store.posts import Posts


class Task(Protocol):
    name: str

    async def run(self) -> None:
        """Until cancelled; what fails and comes back is a trouble, never an exception."""
        ...

    def health(self) -> ReceiverHealth | None: ...


@dataclass(frozen=True, slots=True)
class Watch:
    """`alive`: the engine steps. `view`: what it knows of every line. `ranking`: of slow and unstable lines; without
    one the flags in the store are ranked."""

    alive: Callable[[], bool]
    view: Callable[[], LineStates]
    inventory: Callable[[], Inventory]
    ranking: Ranking | None = None


def beside(
    settings: AlertSettings,
    outbox: Outbox,
    posts: Posts,
    metrics: Metrics,
    clock: Clock,
    zone: tzinfo,
    writer: Writer,
    watch: Watch,
    nudge: Callable[[], None],
) -> list[Task]:
    """Raises monitor.secret.SecretProblem or ValueError, naming the setting."""
    ranking = watch.ranking or FlagRanking(outbox.store, watch.inventory)
    tasks: list[Task] = [Daily(settings, posts, ranking, writer, metrics, clock, zone, nudge)]
    if settings.heartbeat.enabled:
        from alerts.heartbeat import Heartbeat  # brings an HTTP client along

        tasks.append(Heartbeat(settings.heartbeat, watch.alive, metrics, clock))
    if settings.sla_down_s:
        tasks.append(SlaLines(settings.sla_down_s, outbox, watch.view, watch.inventory, metrics, clock, nudge))
    return tasks
