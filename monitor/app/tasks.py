"""Supervised tasks: one that ends by an error is said once and started again; it never takes the daemon with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from monitor.clock import NS, Clock
from monitor.metrics import Metrics

log = logging.getLogger("faultline.tasks")
FIRST_S, MOST_S, WELL_S = 1.0, 60.0, 60.0


async def supervise(name: str, work: Callable[[], Awaitable[None]], metrics: Metrics, clock: Clock) -> None:
    """Run `work` until cancelled, again after a pause (doubled each time) whenever it ends."""
    pause_s = FIRST_S
    restarts = metrics.counter("task_restarts_total", "parts that had to be started again", ["task"])
    while True:
        begin_ns = clock.now_ns()
        try:
            await work()
            text = "ended by itself"
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("%s failed", name)
            text = f"failed with {type(error).__name__}: {error}"
        if clock.now_ns() - begin_ns > WELL_S * NS:
            metrics.troubles.end(f"task-{name}", clock.now_ns())
            pause_s = FIRST_S
        metrics.troubles.begin(f"task-{name}", f"{text}; it is started again", clock.now_ns())
        restarts.labels(name).inc()
        await clock.sleep(pause_s)
        pause_s = min(pause_s * 2, MOST_S)
