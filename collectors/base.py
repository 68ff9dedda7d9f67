"""What every collector is: a name, a run that lasts until it is cancelled, and a health that can be asked.

A collector turns the outside into records and gives them to its sink; it decides nothing about lines. A new one is a
folder and a line in `collectors.registry`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from monitor.clock import Clock
from monitor.inventory import Bindings, Inventory
from monitor.inventory.slices import Slices
from monitor.metrics import Metrics
from monitor.records import Event, LineValues, ProbeRequest, ProbeRound, Reference, RoundNote


class Sink(Protocol):
    """Where records go (monitor.bus.Intake in the daemon)."""

    def put_round(self, item: ProbeRound | LineValues) -> "Future[None]":
        """The future is done once the item is on disk, and cancelled if the engine had no time for it."""
        ...

    def put_event(self, event: Event) -> "Future[None]":
        """Raises monitor.bus.IntakeFull. The future is done once the event is on disk."""
        ...


@dataclass(slots=True)
class CollectorContext:
    """What a collector is given. `inventory()` and `bindings()` return the current ones (a reload replaces them).

    `slices`: several probers share the lines, and `source` is one of them or has no share; None: this one probes all.
    `interval_s`: time between two rounds.
    """

    inventory: Callable[[], Inventory]
    bindings: Callable[[], Bindings]
    sink: Sink
    clock: Clock
    metrics: Metrics
    source: str = "default"  # the name of this prober
    note: Callable[[RoundNote], None] = lambda _: None  # told of every finished round
    slices: Slices | None = None
    interval_s: float = 60.0
    references: Sequence[Reference] = ()


class Health(msgspec.Struct, frozen=True):
    """`ok` False: not working now, `text` says what is wrong and what to do. `last_ns`: when it last brought data."""

    name: str
    ok: bool
    text: str = ""
    last_ns: int | None = None


class Collector(Protocol):
    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Collect until cancelled. A source that cannot be reached is a trouble (said once) and retried with backoff,
        never an exception; a wrong setting is refused by the constructor with a ValueError that names it."""
        ...

    def health(self) -> Health: ...

    def reload(self) -> None:
        """The inventory was replaced (a new generation)."""
        ...

    def rebound(self, lines: Sequence[int]) -> None:
        """The address of these lines, or whether they may be probed, has changed."""
        ...


@runtime_checkable
class Prober(Collector, Protocol):
    def request(self, request: ProbeRequest) -> None:
        """Probe these now, within budgets and caps; never blocks. Answers come as rounds with the request_id."""
        ...
