"""What the tests of collectors share: a sink that remembers, a small inventory, a context, and bounded waiting."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from collectors.base import CollectorContext
from monitor.bus import IntakeFull
from monitor.clock import Clock, SystemClock
from monitor.inventory import Bindings, Inventory, load_inventory
from monitor.metrics import Metrics
from monitor.records import Event, LineValues, ProbeRound


class RecordingSink:
    """Keeps what it is given. `written` False: nothing is on disk until `write()`; `full` True: refuses events."""

    def __init__(self, written: bool = True) -> None:
        self.rounds: list[ProbeRound] = []
        self.values: list[LineValues] = []
        self.events: list[Event] = []
        self.written = written
        self.full = False
        self._pending: list[Future[None]] = []

    def put_round(self, item: ProbeRound | LineValues) -> "Future[None]":
        if isinstance(item, LineValues):
            self.values.append(item)
        else:
            self.rounds.append(item)
        return self._future()

    def put_event(self, event: Event) -> "Future[None]":
        if self.full:
            raise IntakeFull("full, says the test")
        self.events.append(event)
        return self._future()

    def write(self) -> None:
        """Everything so far is on disk now."""
        pending, self._pending = self._pending, []
        for future in pending:
            future.set_result(None)

    def of_kind(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event.kind in kinds]

    def _future(self) -> "Future[None]":
        future: Future[None] = Future()
        if self.written:
            future.set_result(None)
        else:
            self._pending.append(future)
        return future


def small_inventory(folder: Path, lines: int = 5, generation: int = 1, extra: tuple[str, ...] = ()) -> Inventory:
    """`lines` lines L0.. with serials S0..; `extra` rows are added as they are (line_id,path,address,cpe_serial)."""
    rows = [f"L{i},north/ex-1/olt-1/pon-{i % 4},127.0.0.{i % 200 + 1},S{i}" for i in range(lines)]
    path = folder / f"inventory-{generation}.csv"
    path.write_text("\n".join(["line_id,path,address,cpe_serial", *rows, *extra]) + "\n")
    return load_inventory(path, generation=generation)


class Rig:
    """A context whose inventory can be replaced, and whose sink remembers."""

    def __init__(self, inventory: Inventory, sink: RecordingSink | None = None, clock: Clock | None = None) -> None:
        self.inventory = inventory
        self.bindings = Bindings(inventory)
        self.sink = sink or RecordingSink()
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self.context = CollectorContext(
            lambda: self.inventory, lambda: self.bindings, self.sink, self.clock, self.metrics, "prober-1"
        )

    def reload(self, inventory: Inventory) -> None:
        """Replace the inventory, and with it the bindings, as the daemon does."""
        self.inventory, self.bindings = inventory, Bindings(inventory)

    def troubles(self) -> list[str]:
        return [trouble.name for trouble in self.metrics.troubles.current()]

    def count(self, name: str, **labels: str) -> float:
        """The value of one of the daemon's own figures, 0 if it was never touched."""
        return self.metrics.registry.get_sample_value(f"faultline_{name}", labels) or 0.0


async def until(condition: Callable[[], object], timeout_s: float = 20.0, what: str = "it") -> None:
    """Wait for a condition; fails saying `what` did not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {timeout_s:g} s"
        await asyncio.sleep(0.01)
