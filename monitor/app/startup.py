"""From files to a running core: inventory, stores, engine, and what an earlier run left behind.

Everything that can be wrong is found here, before a thread or a socket is started, so a daemon is never half there.
"""

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from correlation.engine import Engine
from monitor.app import inventory_files
from monitor.app.core import Arrays, Core
from monitor.app.settings import Settings
from monitor.bus import Intake
from monitor.clock import Clock
from monitor.inventory import Bindings, Inventory
from monitor.inventory.address import AddressRules
from monitor.metrics import Metrics
from monitor.store import snapshot
from monitor.store.journal import Journal
from monitor.store.samples import SampleStore, open_sample_store
from monitor.store.state import StateStore

log = logging.getLogger("faultline.start")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the daemon is made of, once started."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    intake: Intake
    state: StateStore
    samples: SampleStore
    core: Core
    copies: Path  # of the inventory files
    replayed: int  # steps taken from the journal

    def close(self) -> None:
        self.samples.close()
        self.core.journal.close()
        self.state.close()


def start(settings: Settings, clock: Clock, metrics: Metrics) -> Parts:
    """Open everything. Raises InputProblems (files), SecretProblem, or StoreProblem (a second daemon, no space)."""
    mark = inventory_files.mark_of(settings.inventory)
    folder = Path(settings.store.folder)
    copies = folder / "inventory"
    # The configured inventory is read first: a bad row stops a start before anything is touched.
    saved = _saved(folder)
    same = saved is not None and saved.mark == mark
    inventory = inventory_files.load(settings.inventory, saved.generation + (not same) if saved else 1)

    with contextlib.ExitStack() as opened:
        folder.mkdir(parents=True, exist_ok=True)
        state = StateStore.open(settings.store, clock)
        opened.callback(state.close)
        state.lock()
        inventory_files.keep_copy(settings.inventory, mark, copies)
        samples = open_sample_store(
            settings.store,
            metrics,
            clock,
            [resolver.name for resolver in settings.dns.resolvers],
            [reference.name for reference in settings.icmp.references],
        )
        opened.callback(samples.close)
        core = _core(settings, clock, metrics, inventory, mark, state, samples)
        replayed = _resume(core, settings, saved, inventory, mark) if saved is not None else 0
        core.save_snapshot()
        inventory_files.drop_copies(copies, {core.inventory_mark})
        opened.pop_all()
    return Parts(settings, clock, metrics, core.intake, state, samples, core, copies, replayed)


def _core(
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    inventory: Inventory,
    mark: str,
    state: StateStore,
    samples: SampleStore,
) -> Core:
    folder = Path(settings.store.folder)
    engine = _engine(settings, inventory)
    return Core(
        engine=engine,
        bindings=Bindings(engine.inventory, AddressRules(settings.inventory.allowed_prefixes)),
        intake=Intake(metrics),
        journal=Journal(folder / "journal"),
        state=state,
        samples=samples,
        clock=clock,
        metrics=metrics,
        folder=folder / "snapshots",
        inventory_mark=mark,
        step_s=settings.daemon.step_s,
        snapshot_s=settings.daemon.snapshot_s,
        incident_days=settings.store.incident_days,
    )


@dataclass(frozen=True, slots=True)
class _Saved:
    seq: int
    arrays: Arrays
    generation: int
    mark: str

    def part(self, name: str) -> Arrays:
        return {key.removeprefix(f"{name}/"): a for key, a in self.arrays.items() if key.startswith(f"{name}/")}


def _saved(folder: Path) -> _Saved | None:
    found = snapshot.load(folder / "snapshots")
    if found is None:
        return None
    seq, arrays = found
    return _Saved(seq, arrays, int(arrays["generation"][0]), arrays["inventory"].tobytes().decode())


def _engine(settings: Settings, inventory: Inventory) -> Engine:
    names = tuple(resolver.name for resolver in settings.dns.resolvers)
    return Engine(inventory, settings.correlation, settings.icmp.references, names)


def _resume(core: Core, settings: Settings, saved: _Saved, inventory: Inventory, mark: str) -> int:
    """Put the core where the last run stood: state and journal under the inventory they belong to, then the new one."""
    older = inventory
    if saved.mark != mark:
        kept = inventory_files.load_copy(
            settings.inventory, saved.mark, Path(settings.store.folder) / "inventory", saved.generation
        )
        if kept is None:
            log.warning("the inventory changed and the copy of the old one is gone: starting without the old state")
            return 0
        older = kept
    core.inventory_mark = saved.mark
    names = tuple(resolver.name for resolver in settings.dns.resolvers)
    core.engine = Engine.restore(older, settings.correlation, saved.part("engine"), settings.icmp.references, names)
    core.inventory = core.engine.inventory
    core.bindings = Bindings.restore(
        core.inventory, saved.part("bindings"), AddressRules(settings.inventory.allowed_prefixes)
    )
    steps = core.recover(saved.seq)
    if older is not inventory:
        core.reload(inventory, mark)
    log.info("resumed: %d steps from the journal, %d open incidents", steps, _open(core))
    return steps


def _open(core: Core) -> int:
    return sum(1 for incident in core.view.incidents if incident.resolved_ns is None)
