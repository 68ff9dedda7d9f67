"""The alert chain: from the outbox through the stages to the receivers, wired in one place.

`build_chain` reads the settings (and secrets), makes the enabled receivers and gives each the same stages. What the
chain must remember (which message belongs to which incident, what was told) stands in the outbox's store.
"""

import asyncio
import contextlib
from datetime import tzinfo

from alerts.beside import Task, Watch, beside
from alerts.health import ReceiverHealth
from alerts.message import Fact, Writer
from alerts.receivers import build_receivers
from alerts.receivers.base import Receiver
from alerts.settings import AlertSettings
from alerts.stages import Dedup, Group, Inhibit, Kinds, Pace, Route, Silenced, Stage, Throttle
from alerts.surroundings import Outlook
from alerts.worker import Worker
from monitor.clock import Clock
from monitor.metrics import Metrics
from monitor.store.outbox import Outbox
from monitor.store.posts import Posts
from monitor.store.silences import Silences

__all__ = ["AlertChain", "build_chain", "build_stages", "build_writer"]


class AlertChain:
    """Runs the workers; `nudge` may be called from any thread."""

    def __init__(self, workers: list[Worker], outlook: Outlook) -> None:
        self.workers = workers
        self.beside: list[Task] = []
        self._outlook = outlook
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Deliver until cancelled. A receiver that fails is a trouble and retried, never an exception."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self.workers:
                    group.create_task(worker.run(), name=f"alerts-{worker.name}")
                for task in self.beside:
                    group.create_task(task.run(), name=f"alerts-{task.name}")
                await asyncio.Event().wait()  # also without receivers: until cancelled
        finally:
            self._loop = None

    def nudge(self) -> None:
        """There may be news in the outbox: look now instead of at the next poll."""
        self._outlook.forget()
        loop = self._loop
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop may just have ended
            for worker in self.workers:
                loop.call_soon_threadsafe(worker.nudge)

    def health(self) -> list[ReceiverHealth]:
        return [worker.health() for worker in self.workers] + [h for t in self.beside if (h := t.health()) is not None]


def build_chain(
    settings: AlertSettings,
    outbox: Outbox,
    metrics: Metrics,
    clock: Clock,
    zone: tzinfo,
    receivers: list[Receiver] | None = None,
    watch: Watch | None = None,
) -> AlertChain:
    """`zone`: of the people who read. `receivers`: instead of those of the settings, for tests. `watch`: what the
    heartbeat, the lines with an SLA and the digest need of the daemon; without it there are none.

    Raises monitor.secret.SecretProblem or ValueError, naming the setting.
    """
    if receivers is None:
        receivers = build_receivers(settings, clock)
    writer = build_writer(settings, zone)
    stages = build_stages(settings, zone, writer)
    posts, silences = Posts(outbox.store, outbox), Silences(outbox.store)
    workers: list[Worker] = []

    def failing() -> dict[str, int]:
        return {w.name: w.failing_since_ns for w in workers if w.failing_since_ns is not None}

    outlook = Outlook(outbox.store, silences, failing)
    workers += [Worker(r, outbox, stages, writer, settings, metrics, clock, posts, outlook) for r in receivers]
    chain = AlertChain(workers, outlook)
    if watch is not None:
        chain.beside = beside(settings, outbox, posts, metrics, clock, zone, writer, watch, chain.nudge)
    return chain


def build_stages(settings: AlertSettings, zone: tzinfo, writer: Writer) -> list[Stage]:
    """In the order in which they judge."""
    return [
        Kinds(settings.kinds, settings.min_lines, settings.min_severity),
        Route(settings, zone, Fact(writer.word("label_escalated"), writer.word("escalated"))),
        Inhibit(),
        Silenced(),
        Dedup(),
        Group(settings.storm),
        Pace(),
        Throttle(),
    ]


def build_writer(settings: AlertSettings, zone: tzinfo) -> Writer:
    return Writer(settings.language, zone, settings.page_url, settings.grew_factor)
