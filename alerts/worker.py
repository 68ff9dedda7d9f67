"""One receiver's own loop: take what is due from the outbox, judge it, tell the most urgent, note what came of it.

Receivers share nothing, so one that hangs holds up no other. One message a turn, read afresh each time: whatever
changed while the receiver was busy is told in its latest state. The intent is on disk before the call and the outcome
after it, so a crash between repeats one message and loses none.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeVar

import msgspec

from alerts.message import Writer
from alerts.receivers.base import Deferred, Later, Receiver, Refused, Undelivered, Unreachable
from alerts.settings import AlertSettings
from alerts.stages import Item, Moment, Stage, Stop, by_urgency, item_of, run_stages
from alerts.text import one_line
from alerts.told import tell
from monitor.clock import NS, Clock
from monitor.metrics import Metrics
from monitor.records import IncidentStatus
from monitor.store.outbox import Delivery, Outbox

T = TypeVar("T")
BATCH = 100
GRACE_S = 5.0  # a message on its way when the daemon stops may still be noted
_log = logging.getLogger("faultline.alerts")


class ReceiverHealth(msgspec.Struct, frozen=True):
    """`ok` False: not working now, `text` says what is wrong and what to do. `last_ns`: when it last took a message."""

    name: str
    ok: bool
    text: str = ""
    last_ns: int | None = None


class Worker:
    """Delivers to one receiver until cancelled; see the module."""

    def __init__(
        self,
        receiver: Receiver,
        outbox: Outbox,
        stages: Sequence[Stage],
        writer: Writer,
        settings: AlertSettings,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._receiver = receiver
        self._outbox = outbox
        self._stages = stages
        self._writer = writer
        self._settings = settings
        self._clock = clock
        self._troubles = metrics.troubles
        self._sent = metrics.counter("alerts_sent_total", "messages a receiver has taken", ["receiver", "action"])
        self._stopped = metrics.counter(
            "alerts_stopped_total", "revisions a stage stopped for good", ["receiver", "stage", "reason"]
        )
        self._failed = metrics.counter("alerts_failed_total", "attempts that failed", ["receiver", "reason"])
        self._dead = metrics.counter("alerts_dead_total", "messages given up", ["receiver"])
        self._delay = metrics.histogram(
            "alerts_first_message_seconds",
            "from the detection of an incident to its first message",
            (1, 2, 5, 10, 30, 60, 300, 3600),
            ["receiver"],
        )
        self._awake = asyncio.Event()
        self._failures = 0
        self._quiet_until_ns = 0
        self._checked_ns: int | None = None
        self._problem = ""
        self._last_ns: int | None = None
        self.resting = False  # waiting for time to pass or for a nudge

    @property
    def name(self) -> str:
        return self._receiver.name

    def nudge(self) -> None:
        self._awake.set()

    def health(self) -> ReceiverHealth:
        return ReceiverHealth(self.name, not self._problem, self._problem, self._last_ns)

    async def run(self) -> None:
        try:
            while True:
                try:
                    wait_s = await self.turn()
                    self._troubles.end(f"alerts_{self.name}", self._clock.now_ns())
                except Exception as error:  # the store, or a defect of ours: no reason to stop alerting for good
                    text = (
                        f"the alerts for {self.name} cannot be worked on ({one_line(repr(error), 300)}): trying again"
                    )
                    self._troubles.begin(f"alerts_{self.name}", text, self._clock.now_ns())
                    _log.debug("alerts for %s", self.name, exc_info=True)
                    wait_s = self._settings.retry_first_s
                if wait_s > 0:
                    await self._rest(wait_s)
        finally:
            await self._receiver.close()

    async def turn(self) -> float:
        """Do at most one message's worth of work; seconds until there may be more to do (0: at once)."""
        now_ns = self._clock.now_ns()
        free_ns = max(self._quiet_until_ns, self._receiver.pacer.free_ns)
        if free_ns > now_ns:
            return (free_ns - now_ns) / NS
        deliveries = await _beside(lambda: self._outbox.pending(self.name, now_ns, BATCH))
        items = [item_of(delivery, self._writer) for delivery in deliveries]
        moment = Moment(now_ns, self.name, self._receiver.update_s, self._receiver.in_place)
        judged = run_stages(self._stages, items, moment)
        for stop in judged.stopped:
            # What only has to wait a moment is not worth a write, unless it would hide what stands behind it.
            if stop.until_ns is None or len(deliveries) == BATCH:
                await self._note_stop(stop)
        if judged.survivors:
            await self._finish(self._tell(min(judged.survivors, key=by_urgency)))
            return 0
        if len(deliveries) == BATCH:
            return 0  # more may wait behind those that were stopped
        if self._checked_ns is None or now_ns - self._checked_ns >= self._settings.check_s * NS:
            await self._check()
        return self._settings.poll_s

    async def _rest(self, wait_s: float) -> None:
        """Until the time is over or somebody says that there is news."""
        self._awake.clear()
        waits = {asyncio.ensure_future(self._clock.sleep(wait_s)), asyncio.ensure_future(self._awake.wait())}
        self.resting = True
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.resting = False
            for wait in waits:
                wait.cancel()

    async def _finish(self, work: Coroutine[None, None, None]) -> None:
        """Run to the end what must not be cut between the call and its note; a cancellation waits a little for it."""
        task = asyncio.create_task(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=GRACE_S)
            task.cancel()
            raise

    async def _note_stop(self, stop: Stop) -> None:
        delivery, why = stop.item.delivery, f"{stop.stage}: {stop.reason} ({stop.detail})"
        until_ns = stop.until_ns
        if until_ns is not None:
            await _beside(lambda: self._outbox.postpone(delivery, until_ns, why))
        else:
            self._stopped.labels(self.name, stop.stage, stop.reason).inc()
            await _beside(lambda: self._outbox.skip(delivery, why))

    async def _tell(self, item: Item) -> None:
        delivery = item.delivery
        await _beside(lambda: self._outbox.begin(delivery))
        try:
            handle = await self._receiver.send(item.message, item.told.handle)
        except Exception as error:
            await self._not_told(item, error)
            return
        now_ns = self._clock.now_ns()
        news = self._writer.news(item.told, delivery.alert)
        told = tell(item.told, delivery.alert, handle, item.message.digest, news, now_ns)
        await self._note_sent(delivery, told.encode())
        self._works(now_ns)
        self._last_ns = now_ns
        self._sent.labels(self.name, "first" if item.is_first else "update").inc()
        if item.is_first:
            self._delay.labels(self.name).observe(max(0, now_ns - item.incident.detected_ns) / NS)

    async def _note_sent(self, delivery: Delivery, reference: str) -> None:
        """Keep trying while the store is away: what is out must not be sent again for want of a note."""
        while True:
            try:
                return await _beside(lambda: self._outbox.sent(delivery, reference))
            except Exception as error:
                text = f"what {self.name} was told cannot be written down ({one_line(repr(error), 300)}): trying again"
                self._troubles.begin(f"alerts_{self.name}", text, self._clock.now_ns())
                await self._clock.sleep(self._settings.retry_first_s)

    async def _not_told(self, item: Item, error: Exception) -> None:
        delivery, now_ns = item.delivery, self._clock.now_ns()
        reason = type(error).__name__.lower() if isinstance(error, Undelivered) else "defect"
        self._failed.labels(self.name, reason).inc()
        text = one_line(str(error), 500)
        if isinstance(error, Later):
            quiet_ns = now_ns + int(error.retry_after_s * NS)
            self._receiver.pacer.quiet_until(quiet_ns)
            await _beside(lambda: self._outbox.postpone(delivery, quiet_ns, text))
            return
        if isinstance(error, Unreachable):
            self._unreachable(text, now_ns)
            retry_ns = self._quiet_until_ns
        else:
            retry_ns = now_ns + self._backoff_ns(delivery.attempts)
        if not isinstance(error, Undelivered):
            text = f"a defect in Faultline: {one_line(repr(error), 300)}"
            _log.error("%s: incident %s: %s", self.name, delivery.incident_id, text, exc_info=error)
        if isinstance(error, Refused) or self._too_old(delivery, error, now_ns):
            self._dead.labels(self.name).inc()
            _log.error("%s: incident %s was given up: %s", self.name, delivery.incident_id, text)
            await _beside(lambda: self._outbox.dead(delivery, text))
            return
        await _beside(lambda: self._outbox.failed(delivery, text, retry_ns))

    def _too_old(self, delivery: Delivery, error: Exception, now_ns: int) -> bool:
        """While the whole receiver is away, an outage that still lasts is never given up."""
        if now_ns - delivery.first_at_ns < self._settings.dead_after_s * NS:
            return False
        over = delivery.alert.incident.status is IncidentStatus.RESOLVED
        return over or isinstance(error, Deferred) or not isinstance(error, Undelivered)

    async def _check(self) -> None:
        """Whether the receiver works is known before an outage depends on it."""
        try:
            await self._receiver.check()
        except Later as error:
            self._receiver.pacer.quiet_until(self._clock.now_ns() + int(error.retry_after_s * NS))
        except Undelivered as error:
            self._unreachable(one_line(str(error), 500), self._clock.now_ns())
        else:
            self._works(self._clock.now_ns())

    def _unreachable(self, text: str, now_ns: int) -> None:
        self._quiet_until_ns = now_ns + self._backoff_ns(self._failures)
        self._failures += 1
        self._problem = text
        self._checked_ns = None
        self._troubles.begin(self.name, f"{text}; nothing is lost, trying again", now_ns)

    def _works(self, now_ns: int) -> None:
        self._failures = 0
        self._problem = ""
        self._checked_ns = now_ns
        self._troubles.end(self.name, now_ns)

    def _backoff_ns(self, failures: int) -> int:
        first, most = self._settings.retry_first_s, self._settings.retry_most_s
        return int(min(most, first * 2.0 ** min(failures, 30)) * NS)


async def _beside(work: Callable[[], T]) -> T:
    """The store's calls wait for its write lock: not on the event loop."""
    return await asyncio.to_thread(work)
