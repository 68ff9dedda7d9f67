"""`faultline run`: wires the parts, watches them, and ends them in order.

The event loop runs API, collectors and alerts as supervised tasks. Only the core is different: without it nothing is
true, so its failure ends the daemon (exit code 1), and the service manager starts it again from its journal.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from alerts.beside import Watch
from alerts.chain import build_chain
from alerts.digest import FlagRanking
from alerts.sla import acknowledge
from collectors.base import Collector, CollectorContext, Health, Prober
from collectors.registry import COLLECTORS, build
from collectors.remote.hub import RemoteProbers
from monitor import __version__
from monitor.api import Services, create_app, listen, serve
from monitor.api.services import SlackButtons
from monitor.app import inventory_files
from monitor.app.core import Hooks
from monitor.app.notify import notify, watchdog_interval_s
from monitor.app.settings import Settings
from monitor.app.startup import start
from monitor.app.status import write_round
from monitor.app.tasks import supervise
from monitor.clock import NS, Clock, SystemClock
from monitor.desk import CallRanking
from monitor.inventory import InputProblems, Inventory
from monitor.inventory.slices import Slices
from monitor.metrics import Metrics
from monitor.records import Change, ProbeRequest, RequestReason
from monitor.secret import read_secret
from monitor.store.outbox import Outbox

log = logging.getLogger("faultline")
LOOKUP_PROBES, LOOKUP_DEADLINE_S = 3, 3.0
LOOKUP_IDS = 1 << 40  # request ids of look-ups; the engine counts its own from 1
STUCK_S = 60.0  # a core that has not stepped for so long is not alive


async def run_daemon(settings: Settings, clock: Clock | None = None) -> int:
    """Run until told to stop; returns the exit code. Raises InputProblems, SecretProblem or StoreProblem at start."""
    daemon = Daemon(settings, clock or SystemClock())
    return await daemon.run()


class Daemon:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics()
        self.parts = start(settings, clock, self.metrics)
        try:
            self._wire()
        except BaseException:
            self.parts.close()
            raise

    def _wire(self) -> None:
        """Everything around the core. An address that is taken, or a wrong setting, stops the start."""
        settings, clock = self.settings, self.clock
        self._listening = listen(settings.api) if settings.api.enabled else None
        self.core = core = self.parts.core
        self._thread = threading.Thread(target=core.run, name="core", daemon=True)
        context = CollectorContext(
            inventory=lambda: core.inventory,
            bindings=lambda: core.bindings,
            sink=self.parts.intake,
            clock=clock,
            metrics=self.metrics,
            source=settings.daemon.source,
            note=lambda note: write_round(self.parts.samples, clock.now_ns(), note),
            slices=Slices(settings.probers.names) if settings.probers.names else None,
            interval_s=settings.icmp.interval_s,
            references=settings.icmp.references,
        )
        enabled = [name for name in COLLECTORS if getattr(settings, name).enabled]
        if settings.probers.names and settings.daemon.source not in settings.probers.names and "icmp" in enabled:
            enabled.remove("icmp")  # every line is another's to probe
        self.collectors: list[Collector] = [build(name, getattr(settings, name), context) for name in enabled]
        self.remote = RemoteProbers(settings.probers, context) if settings.probers.names else None
        if self.remote is not None:
            self.collectors.append(self.remote)
        self.probers = [collector for collector in self.collectors if isinstance(collector, Prober)]
        zone = ZoneInfo(settings.daemon.zone)
        outbox = Outbox(self.parts.state)
        self.ranking = CallRanking(self.parts.state, clock, self.metrics, zone, settings.desk)
        by_ranking = FlagRanking(self.parts.state, lambda: core.inventory, self.ranking.places)
        watch = Watch(self._ready, lambda: core.view, lambda: core.inventory, by_ranking)
        self.chain = build_chain(settings.alerts, outbox, self.metrics, clock, zone, watch=watch)
        self.services = Services(
            view=lambda: core.view,
            inventory=lambda: core.inventory,
            bindings=lambda: core.bindings,
            state=self.parts.state,
            submit=self.parts.intake.submit,
            clock=clock,
            metrics=self.metrics,
            settings=settings.api,
            samples=self.parts.samples,
            probers=self.remote,
            request_probe=self._probe_lines,
            health=self._health,
            ready=self._ready,
            zone=zone,
            source=settings.daemon.source,
            version=__version__,
            audit_file=Path(settings.store.folder) / "audit.waiting",
            slack=_slack_buttons(settings),
            acknowledge_line=lambda incident_id, by: acknowledge(outbox, incident_id, by, clock.now_ns()),
            alerts_changed=self.chain.nudge,
            ranking=lambda: self.ranking.newest,
        )
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._lookups = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        core = self.core

        def soon(call: Callable[..., object], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(call, *arguments)

        core.hooks = Hooks(
            request=lambda request: soon(self._request, request),
            rebound=lambda lines: soon(self._rebound, lines),
            changed=self._changed,
            reloaded=lambda: soon(self._reloaded),
            failed=lambda error: soon(self._core_failed, error),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        # What was made until now lives as long as the daemon: the collector need not look at it again.
        gc.collect()
        gc.freeze()

        self._thread.start()
        tasks = [self._supervised(collector.name, collector.run) for collector in self.collectors]
        tasks.append(self._supervised("alerts", self.chain.run))
        tasks.append(self._supervised("ranking", self.ranking.run))
        if self.settings.api.enabled:
            tasks.append(self._supervised("api", self._serve))
        tasks.append(asyncio.create_task(self._watchdog(), name="watchdog"))
        log.info("running: %d lines, %d elements", len(core.inventory), len(core.inventory.elements))
        notify("READY=1")
        try:
            await self._stopping.wait()
        finally:
            notify("STOPPING=1")
            if self.remote is not None:
                self.remote.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._end)
        if self._failure is not None:
            log.critical("the engine failed (%s): ending, to be started again from the journal", self._failure)
            return 1
        log.info("ended")
        return 0

    def _supervised(self, name: str, work: Callable[[], object]) -> "asyncio.Task[None]":
        return asyncio.create_task(supervise(name, work, self.metrics, self.clock), name=name)  # type: ignore[arg-type]

    async def _serve(self) -> None:
        listening, self._listening = self._listening, None
        await serve(create_app(self.services), self.settings.api, listening)

    def _end(self) -> None:
        self.core.stop()
        self._thread.join(20)
        self.parts.close()

    async def _watchdog(self) -> None:
        """Tell systemd that we are alive while the core steps."""
        interval_s = watchdog_interval_s()
        while interval_s is not None:
            if not self._stuck():
                notify("WATCHDOG=1")
            await asyncio.sleep(interval_s)
        await asyncio.Event().wait()

    def _ready(self) -> bool:
        return self._thread.is_alive() and not self._stuck()

    def _stuck(self) -> bool:
        stepped = self.core.stepped_ns
        return stepped > 0 and self.clock.now_ns() - stepped > STUCK_S * NS

    # -- what the core tells, on the loop (but _changed) ------------------------------------------------------------

    def _request(self, request: ProbeRequest) -> None:
        for prober in self.probers:
            prober.request(request)

    def _rebound(self, lines: Sequence[int]) -> None:
        for collector in self.collectors:
            collector.rebound(lines)

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if (i := change.incident) is not None:
                log.info("%s %s %s %s: %d lines", i.incident_id, change.what, i.kind, i.scope.name, i.lines_affected)
        self.chain.nudge()

    def _reloaded(self) -> None:
        for collector in self.collectors:
            collector.reload()
        inventory_files.drop_copies(self.parts.copies, {self.core.inventory_mark})
        log.info(
            "inventory reloaded: %d lines, generation %d", len(self.core.inventory), self.core.inventory.generation
        )

    def _core_failed(self, error: BaseException) -> None:
        self._failure = error
        self._stopping.set()

    # -- what people and the outside ask ----------------------------------------------------------------------------

    def _health(self) -> list[Health]:
        receivers = [Health(h.name, h.ok, h.text) for h in self.chain.health()]
        return [collector.health() for collector in self.collectors] + receivers

    def _probe_lines(self, rows: Sequence[int]) -> None:
        """A live check for an agent: probed now, within the prober's budgets."""
        self._lookups += 1
        request = ProbeRequest(
            request_id=LOOKUP_IDS + self._lookups,
            target=np.asarray(rows, np.int32),
            count=LOOKUP_PROBES,
            deadline_ns=self.clock.now_ns() + int(LOOKUP_DEADLINE_S * NS),
            reason=RequestReason.LOOKUP,
            generation=self.core.inventory.generation,
        )
        self._request(request)

    def _reload(self) -> None:
        """SIGHUP: read the inventory again; a file with a mistake is refused and the old one stays."""
        if self._reloading is not None and not self._reloading.done():
            log.warning("a reload is under way already")
            return
        self._reloading = asyncio.create_task(self._read_inventory(), name="reload")

    async def _read_inventory(self) -> None:
        notify("RELOADING=1")
        try:
            newer, mark = await asyncio.to_thread(self._load)
        except InputProblems as error:
            log.error("the inventory is not reloaded, the old one stays in force: %s", error)
            self.metrics.troubles.begin("inventory", f"not reloaded: {error}", self.clock.now_ns())
            return
        finally:
            notify("READY=1")
        self.metrics.troubles.end("inventory", self.clock.now_ns())
        self.core.replace_inventory(newer, mark)

    def _load(self) -> tuple[Inventory, str]:
        mark = inventory_files.mark_of(self.settings.inventory)
        newer = inventory_files.load(self.settings.inventory, self.core.inventory.generation + 1)
        inventory_files.keep_copy(self.settings.inventory, mark, self.parts.copies)
        return newer, mark


def _slack_buttons(settings: Settings) -> SlackButtons | None:
    """Raises SecretProblem."""
    slack = settings.alerts.slack
    secret = read_secret(slack, "signing_secret", "alerts.slack") if slack.enabled else None
    return SlackButtons(secret, frozenset(slack.ack_users)) if secret else None
