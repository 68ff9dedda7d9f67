"""The core loop: journal, engine, stores, in one thread, in that order.

What comes in is on disk before the engine sees it, and what the engine decides is in SQL (with the outbox) before
anybody is told. A restart loads the newest snapshot and feeds the journal's tail through the same steps.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from correlation.engine import Engine
from correlation.view import EngineView
from monitor.app.status import write_status
from monitor.bus import Batch, Intake
from monitor.clock import NS, Clock
from monitor.inventory import Bindings, Inventory
from monitor.metrics import Metrics
from monitor.records import Change, Event, LineValues, ProbeRequest, ProbeRound
from monitor.store import snapshot
from monitor.store.journal import Journal
from monitor.store.problems import DiskFull, StoreProblem
from monitor.store.samples import SampleStore
from monitor.store.state import StateStore

log = logging.getLogger("faultline.core")
DAY_S = 86400
Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(slots=True)
class Hooks:
    """What the core tells the rest, from its own thread; none of it may block."""

    request: Callable[[ProbeRequest], None] = lambda _: None
    rebound: Callable[[Sequence[int]], None] = lambda _: None
    changed: Callable[[Sequence[Change]], None] = lambda _: None
    reloaded: Callable[[], None] = lambda: None
    failed: Callable[[BaseException], None] = lambda _: None


@dataclass(eq=False)
class Core:
    """`view` is what everybody else may read: replaced as a whole after each step, never changed.

    `folder` holds journal and snapshots; `inventory_mark` names the copy of the inventory that they belong to.
    """

    engine: Engine
    bindings: Bindings
    intake: Intake
    journal: Journal
    state: StateStore
    samples: SampleStore
    clock: Clock
    metrics: Metrics
    folder: Path
    inventory_mark: str
    step_s: float = 1.0
    snapshot_s: float = 300.0
    incident_days: float = 0.0  # how long resolved incidents are kept; 0: for ever
    hooks: Hooks = field(default_factory=Hooks)

    def __post_init__(self) -> None:
        self.inventory: Inventory = self.engine.inventory  # with the groups that it learns
        self.view: EngineView = self.engine.view()
        self.stepped_ns = 0
        self._seq = 0
        self._stop = threading.Event()
        self._newer: tuple[Inventory, str] | None = None
        self._next_snapshot_ns = 0
        self._next_rollup_ns = 0
        self._next_prune_ns = 0
        self._duration = self.metrics.histogram(
            "step_seconds", "duration of one engine step", (0.001, 0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10)
        )
        self._changes = self.metrics.counter("changes_total", "changes the engine decided", ["what"])
        self._refused = self.metrics.counter(
            "refused_total", "rows and events that the engine could not use, by reason", ["reason"]
        )
        self._learned = self.metrics.gauge("learned_groups", "groups that the inventory's file does not know")
        self._lines = self.metrics.gauge("lines", "lines by state", ["state"])

    # -- in the core's thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Step until `stop`; an unexpected error is handed to `hooks.failed` and ends the loop."""
        try:
            while not self._stop.is_set():
                self.step(self.intake.take(self.step_s))
                # A short rest lets the slices of one moment come together in one step.
                self._stop.wait(min(0.2, self.step_s / 5))
            self.step(self.intake.take(0))
            self.save_snapshot()
        except BaseException as error:
            log.exception("the engine's thread failed")
            self.hooks.failed(error)

    def step(self, batch: Batch) -> None:
        if self._newer is not None:
            newer, self._newer = self._newer, None
            self.reload(*newer)
        now_ns = self._write_down(batch)
        batch.acknowledge()
        self._decide(self._seq, now_ns, batch.rounds, batch.events, live=True)
        if now_ns >= self._next_snapshot_ns:
            if self._next_snapshot_ns:
                self.save_snapshot()
                self._prune(now_ns)
            self._next_snapshot_ns = now_ns + int(self.snapshot_s * NS)

    def _write_down(self, batch: Batch) -> int:
        """Append to the journal and return the step's time; while that is not possible, say so once and try again."""
        while True:
            now_ns = self.clock.now_ns()
            try:
                self._seq = self.journal.append(now_ns, batch.rounds, batch.events)
            except StoreProblem as error:
                if self._stop.is_set():
                    raise
                self.metrics.troubles.begin("journal", str(error), now_ns)
                self._stop.wait(1.0)
                continue
            self.metrics.troubles.end("journal", now_ns)
            return now_ns

    def _keep(self, seq: int, changes: Sequence[Change]) -> None:
        """Write the changes to SQL; while the disk is full, say so once and try again: nobody is told before."""
        while True:
            try:
                self.state.apply(seq, changes)
            except DiskFull as error:
                if self._stop.is_set():
                    raise
                self.metrics.troubles.begin("state", str(error), self.clock.now_ns())
                self._stop.wait(1.0)
            else:
                self.metrics.troubles.end("state", self.clock.now_ns())
                return

    def recover(self, after_seq: int) -> int:
        """Feed the journal after `after_seq` through the engine; returns how many steps that were."""
        steps = 0
        for seq, now_ns, rounds, events in self.journal.replay(after_seq):
            self._decide(seq, now_ns, rounds, events, live=False)
            self._seq = seq
            steps += 1
        self._seq = max(self._seq, after_seq)
        # Others may have seen higher numbers than a journal that was lost: never give those out again.
        self.journal.continue_after(max(self._seq, self.samples.last_seq(), self.state.applied_seq))
        self.view = self.engine.view()
        return steps

    def _prune(self, now_ns: int) -> None:
        """Once a day, forget incidents that were resolved longer ago than they are kept."""
        if self.incident_days > 0 and now_ns >= self._next_prune_ns:
            self.state.prune(now_ns - int(self.incident_days * DAY_S * NS))
            self._next_prune_ns = now_ns + DAY_S * NS

    def save_snapshot(self) -> None:
        """Write samples, then the state, then let go of the journal before it."""
        self.samples.flush()
        arrays: Arrays = {f"engine/{name}": array for name, array in self.engine.snapshot().items()}
        arrays |= {f"bindings/{name}": array for name, array in self.bindings.snapshot().items()}
        arrays["generation"] = np.array([self.inventory.generation], np.int64)
        arrays["inventory"] = np.frombuffer(self.inventory_mark.encode(), np.uint8)
        keep = snapshot.save(self.folder, self._seq, arrays)
        self.journal.discard_through(min(keep, self.samples.last_seq()))

    def _decide(
        self,
        seq: int,
        now_ns: int,
        rounds: Sequence[ProbeRound | LineValues],
        events: Sequence[Event],
        live: bool,
    ) -> None:
        begin = time.perf_counter()
        rebound: list[int] = []
        for event in events:
            rebound += self.bindings.apply(event)
        result = self.engine.step(now_ns, rounds, events)
        self._keep(seq, result.changes)
        if rounds:
            self.samples.append(seq, rounds, self.inventory)
        if not live:
            return
        self.view = view = self.engine.view()
        self.stepped_ns = now_ns
        groups = self.inventory.groups
        self._learned.set(len(groups) - groups.filed)
        for reason, count in result.stats.refused.items():
            self._refused.labels(reason).inc(count)
        if rebound:
            self.hooks.rebound(rebound)
        for request in result.requests:
            self.hooks.request(request)
        if result.changes:
            for change in result.changes:
                self._changes.labels(change.what).inc()
            self.samples.changes(result.changes)
            self.hooks.changed(result.changes)
        self._duration.observe(time.perf_counter() - begin)
        if now_ns >= self._next_rollup_ns:
            self._next_rollup_ns = (now_ns // (60 * NS) + 1) * 60 * NS
            self.samples.rollup(now_ns, self.inventory, view.state, view.rtt_ms)
            write_status(self.samples, self.metrics, now_ns, view, time.perf_counter() - begin)
            for state, count in enumerate(np.bincount(view.state, minlength=4).tolist()):
                self._lines.labels(("unknown", "up", "degraded", "down")[state]).set(count)

    def reload(self, newer: Inventory, mark: str) -> None:
        """Go over to another inventory. The snapshot right after keeps the journal's tail from mixing the two."""
        self.engine.reload(newer)
        self.bindings = self.bindings.carried(self.engine.inventory)
        self.inventory, self.inventory_mark = self.engine.inventory, mark
        self.view = self.engine.view()
        self.save_snapshot()
        self.hooks.reloaded()

    # -- from any thread ------------------------------------------------------------------------------------------

    def replace_inventory(self, newer: Inventory, mark: str) -> None:
        """Take over a reloaded inventory (generation one higher) before the next step; `mark` names its copy."""
        self._newer = (newer, mark)

    def stop(self) -> None:
        self._stop.set()
        self.intake.close()
