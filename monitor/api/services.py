"""What the API is given: ways to read the daemon's state, and the two ways to say something to it.

Everything is a function or a thread-safe object, so that the API neither owns nor runs any of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

from collectors.base import Health
from collectors.remote.hub import RemoteProbers
from correlation.view import EngineView
from monitor.api.settings import ApiSettings
from monitor.clock import Clock
from monitor.desk import CallList
from monitor.inventory import Bindings, Inventory
from monitor.metrics import Metrics
from monitor.records import Event
from monitor.store.samples import SampleStore
from monitor.store.state import StateStore


@dataclass(frozen=True, slots=True)
class SlackButtons:
    """`secret`: the app's signing secret. `users`: Slack user ids that may acknowledge; empty: all."""

    secret: str
    users: frozenset[str] = frozenset()


def _no_line(_: str, __: str) -> bool:
    return False


def _no_news() -> None:
    return None


def _no_list() -> CallList | None:
    return None


def _nothing(_: Sequence[int]) -> None:
    return None


def _no_health() -> Sequence[Health]:
    return ()


@dataclass(slots=True)
class Services:
    """`alerts_changed()`: what the alerts must know has changed beside the engine. `acknowledge_line(incident_id, by)`
    takes the alert of a single line with an SLA, if it is one. `audit_file`: where entries of the audit trail stand
    until the store has them; None: in memory only. `slack`: None without buttons.

    `submit` returns once the event is in the journal, and raises monitor.bus.IntakeFull.

    `request_probe(rows)` asks for a live probe of inventory rows now and never blocks; `ready()` says whether the
    engine runs; `zone` is where the people are, `source` the name of this daemon. `ranking()`: today's list of the
    lines most likely to call, None before the first.
    """

    view: Callable[[], EngineView]
    inventory: Callable[[], Inventory]
    bindings: Callable[[], Bindings]
    state: StateStore
    submit: Callable[[Event], Awaitable[None]]
    clock: Clock
    metrics: Metrics
    settings: ApiSettings = field(default_factory=ApiSettings)
    samples: SampleStore | None = None
    probers: RemoteProbers | None = None
    request_probe: Callable[[Sequence[int]], None] = _nothing
    health: Callable[[], Sequence[Health]] = _no_health
    ready: Callable[[], bool] = lambda: True
    zone: tzinfo = UTC
    source: str = "default"
    version: str = ""
    slack: SlackButtons | None = None
    acknowledge_line: Callable[[str, str], bool] = _no_line
    audit_file: Path | None = None
    alerts_changed: Callable[[], None] = _no_news
    ranking: Callable[[], CallList | None] = _no_list
