"""The alert chain: from the outbox through the stages to the receivers, wired in one place.

`build_chain` reads the settings (and secrets), makes the enabled receivers and gives each the same stages. What the
chain must remember (which message belongs to which incident, what was told) stands in the outbox's store.
"""

import asyncio
import contextlib
from datetime import tzinfo

from alerts.message import Writer
from alerts.receivers import build_receivers
from alerts.receivers.base import Receiver
from alerts.settings import AlertSettings
from alerts.stages import Dedup, Kinds, Pace, Stage
from alerts.worker import ReceiverHealth, Worker
from monitor.clock import Clock
from monitor.metrics import Metrics
from monitor.store.outbox import Outbox

__all__ = ["AlertChain", "build_chain", "build_stages", "build_writer"]


class AlertChain:
    """Runs the workers; `nudge` may be called from any thread."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Deliver until cancelled. A receiver that fails is a trouble and retried, never an exception."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self.workers:
                    group.create_task(worker.run(), name=f"alerts-{worker.name}")
                await asyncio.Event().wait()  # also without receivers: until cancelled
        finally:
            self._loop = None

    def nudge(self) -> None:
        """There may be news in the outbox: look now instead of at the next poll."""
        loop = self._loop
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop may just have ended
            for worker in self.workers:
                loop.call_soon_threadsafe(worker.nudge)

    def health(self) -> list[ReceiverHealth]:
        return [worker.health() for worker in self.workers]


def build_chain(
    settings: AlertSettings,
    outbox: Outbox,
    metrics: Metrics,
    clock: Clock,
    zone: tzinfo,
    receivers: list[Receiver] | None = None,
) -> AlertChain:
    """`zone`: of the people who read. `receivers`: instead of those of the settings, for tests.

    Raises monitor.secret.SecretProblem or ValueError, naming the setting.
    """
    if receivers is None:
        receivers = build_receivers(settings, clock)
    writer = build_writer(settings, zone)
    stages = build_stages(settings)
    return AlertChain([Worker(r, outbox, stages, writer, settings, metrics, clock) for r in receivers])


def build_stages(settings: AlertSettings) -> list[Stage]:
    """In the order in which they judge."""
    return [
        Kinds(settings.kinds, settings.min_lines, settings.min_severity),
        Dedup(),
        Pace(),
    ]


def build_writer(settings: AlertSettings, zone: tzinfo) -> Writer:
    return Writer(settings.language, zone, settings.page_url, settings.grew_factor)
