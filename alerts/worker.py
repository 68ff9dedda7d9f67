"""One receiver's own loop: take what is due from the outbox, judge it, tell the most urgent, note what came of it.

Receivers share nothing, so one that hangs holds up no other. One message a turn, read afresh each time: whatever
changed while the receiver was busy is told in its latest state. The intent is on disk before the call and the outcome
after it, so a crash between repeats one message and loses none.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from alerts.health import ReceiverHealth
from alerts.message import Message, Writer
from alerts.receivers.base import Deferred, Later, Receiver, Refused, Undelivered, Unreachable
from alerts.settings import AlertSettings
from alerts.stages import Item, Join, Moment, Stage, Stop, by_urgency, item_of, run_stages
from alerts.summary import storm_message, tell_storm
from alerts.surroundings import NOTHING, Outlook
from alerts.text import one_line
from alerts.told import read_told, tell, tell_in_group
from monitor.clock import NS, Clock
from monitor.metrics import Metrics
from monitor.records import Incident
from monitor.store.outbox import Delivery, Outbox
from monitor.store.posts import STORM, Post, Posts

T = TypeVar("T")
BATCH = 100
WORTH_A_NOTE_S = 30.0
IN_TIME_S = 4.0  # what cannot be told within so long is a storm
GRACE_S = 5.0  # a message on its way when the daemon stops may still be noted
_log = logging.getLogger("faultline.alerts")


class Found(NamedTuple):
    deliveries: list[Delivery]
    posts: list[Post]
    moment: Moment


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
        posts: Posts | None = None,
        outlook: Outlook | None = None,
    ) -> None:
        """Without `posts` there are no summaries and digests; without `outlook` no silences, parents, planned work."""
        self._posts = posts
        self._outlook = outlook
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
        self._firsts: deque[int] = deque(maxlen=1000)  # when the last new messages went out
        self._spent: deque[int] | None = None  # those that count against most_per_hour
        self._again: deque[Delivery] = deque()  # to be said again, though nothing is new
        self._repeated_ns = 0
        self.failing_since_ns: int | None = None
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
        found = await _beside(lambda: self._look(now_ns))
        items = [item_of(delivery, self._writer) for delivery in found.deliveries]
        judged = run_stages(self._stages, items, found.moment)
        full = len(found.deliveries) == BATCH
        for stop in judged.stopped:
            # What only has to wait a moment is not worth a write, unless it would hide what stands behind it.
            if stop.until_ns is None or full or stop.until_ns > now_ns + WORTH_A_NOTE_S * NS:
                await self._note_stop(stop)
        if judged.joined:
            await self._join(judged.joined)
            if full:
                return 0  # the summary is sent once, with all of them
        best = min(judged.survivors, key=by_urgency, default=None)
        if best is not None and best.is_first:
            await self._finish(self._tell(best))
            return 0
        for post in found.posts:
            if self._due(post, now_ns):
                await self._finish(self._tell_post(post))
                return 0
        if best is not None:
            await self._finish(self._tell(best))
            return 0
        if full or judged.joined:
            return 0  # more may wait behind those that were stopped
        if await self._say_again(now_ns):
            return 0
        if self._checked_ns is None or now_ns - self._checked_ns >= self._settings.check_s * NS:
            await self._check()
        return self._settings.poll_s

    def _look(self, now_ns: int) -> Found:
        """Everything there is to do, and what the stages must know. Runs beside the loop."""
        if self._spent is None:
            since_ns = now_ns - 3600 * NS
            self._spent = deque(self._outbox.told_since(self.name, since_ns), 10_000)
        deliveries = self._outbox.pending(self.name, now_ns, BATCH)
        storm = self._posts.storm(self.name) if self._posts else None
        if self._posts and storm and now_ns - storm.joined_ns > self._settings.storm.quiet_s * NS:
            self._posts.close(storm)
            storm = None
        receiver = self._receiver
        moment = Moment(
            now_ns=now_ns,
            receiver=self.name,
            update_s=receiver.update_s,
            in_place=receiver.in_place,
            around=self._outlook.now(now_ns) if self._outlook and deliveries else NOTHING,
            storm=storm.post_id if storm else "",
            firsts_ns=tuple(self._firsts),
            spent_ns=tuple(self._spent),
            carries=max(3, int(IN_TIME_S / receiver.pacer.interval_s)) if receiver.pacer.interval_s else BATCH,
            most_per_hour=receiver.most_per_hour,
            summaries=receiver.summaries and self._posts is not None,
        )
        return Found(deliveries, self._posts.pending(self.name, now_ns) if self._posts else [], moment)

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

    async def _join(self, joined: Sequence[Join]) -> None:
        """Incidents become part of a storm: written down, and told with its summary."""
        posts, now_ns = self._posts, self._clock.now_ns()
        assert posts is not None
        for post_id in dict.fromkeys(join.post_id for join in joined):
            mine = []
            for item in (join.item for join in joined if join.post_id == post_id):
                told = tell_in_group(item.told, item.delivery.alert, item.message.digest, post_id, now_ns)
                mine.append((item.delivery, told.encode()))
                if item.is_first:
                    self._sent.labels(self.name, "joined").inc()
            await _beside(lambda post_id=post_id, mine=mine: posts.join(post_id, mine))  # type: ignore[misc]

    def _due(self, post: Post, now_ns: int) -> bool:
        at_ns = read_told(post.reference).at_ns
        return at_ns > now_ns or at_ns + int(self._receiver.update_s * NS) <= now_ns

    async def _tell_post(self, post: Post) -> None:
        posts, told = self._posts, read_told(post.reference)
        assert posts is not None
        members: list[Incident] = []
        if post.kind == STORM:
            members = await _beside(lambda: posts.members(post.receiver, post.post_id))
            message = storm_message(self._writer, post, members, told)
        else:
            message = msgspec.json.decode(post.body, type=Message)
        same = message.digest == told.digest if self._receiver.in_place else not message.news
        if told.handle and (same or not members):
            return await _beside(lambda: posts.sent(post, post.reference))
        try:
            handle = await self._receiver.send(message, told.handle)
        except Exception as error:
            await self._not_told(posts, post, message.over, error)
            return None
        now_ns = self._clock.now_ns()
        reference = tell_storm(told, message, members, dict(handle), now_ns).encode()
        await self._note(lambda: posts.sent(post, reference))
        self._took(now_ns, not told.handle, post.kind if not told.handle else "update")
        if not told.handle:
            for incident in members:
                self._delay.labels(self.name).observe(max(0, now_ns - incident.detected_ns) / NS)
        return None

    async def _say_again(self, now_ns: int) -> bool:
        """For a receiver that takes an incident for over when it hears nothing: one of them; False when none is due."""
        repeat_s = self._receiver.repeat_s
        if not repeat_s:
            return False
        if not self._again and now_ns - self._repeated_ns >= repeat_s * NS:
            self._repeated_ns = now_ns
            self._again.extend(await _beside(lambda: self._outbox.told_open(self.name)))
        if not self._again:
            return False
        item = item_of(self._again.popleft(), self._writer)
        if item.told.handle:
            try:
                await self._receiver.send(item.message, item.told.handle)
            except Later as error:
                self._receiver.pacer.quiet_until(now_ns + int(error.retry_after_s * NS))
            except Undelivered as error:
                self._again.clear()
                self._unreachable(one_line(str(error), 500), self._clock.now_ns())
        return True

    async def _tell(self, item: Item) -> None:
        delivery = item.delivery
        await _beside(lambda: self._outbox.begin(delivery))
        try:
            handle = await self._receiver.send(item.message, item.told.handle)
        except Exception as error:
            await self._not_told(self._outbox, delivery, item.is_over, error)
            return
        now_ns = self._clock.now_ns()
        news = self._writer.news(item.told, delivery.alert)
        told = tell(item.told, delivery.alert, handle, item.message.digest, news, now_ns)
        await self._note(lambda: self._outbox.sent(delivery, told.encode()))
        self._took(now_ns, not item.told.handle, "update" if item.told.handle else "first")
        if item.is_first:
            self._delay.labels(self.name).observe(max(0, now_ns - item.incident.detected_ns) / NS)

    def _took(self, now_ns: int, is_new: bool, action: str) -> None:
        self._works(now_ns)
        self._last_ns = now_ns
        self._sent.labels(self.name, action).inc()
        if is_new:
            self._firsts.append(now_ns)
        if self._spent is not None and (is_new or not self._receiver.in_place):
            self._spent.append(now_ns)

    async def _note(self, write: Callable[[], None]) -> None:
        """Keep trying while the store is away: what is out must not be sent again for want of a note."""
        while True:
            try:
                return await _beside(write)
            except Exception as error:
                text = f"what {self.name} was told cannot be written down ({one_line(repr(error), 300)}): trying again"
                self._troubles.begin(f"alerts_{self.name}", text, self._clock.now_ns())
                await self._clock.sleep(self._settings.retry_first_s)

    async def _not_told(self, keeper: "Outbox | Posts", letter: Any, over: bool, error: Exception) -> None:
        """`keeper`: where what became of `letter` is written down (both have the same ways to say it)."""
        now_ns = self._clock.now_ns()
        reason = type(error).__name__.lower() if isinstance(error, Undelivered) else "defect"
        self._failed.labels(self.name, reason).inc()
        text = one_line(str(error), 500)
        if isinstance(error, Later):
            quiet_ns = now_ns + int(error.retry_after_s * NS)
            self._receiver.pacer.quiet_until(quiet_ns)
            await _beside(lambda: keeper.postpone(letter, quiet_ns, text))
            return
        if isinstance(error, Unreachable):
            self._unreachable(text, now_ns)
            retry_ns = self._quiet_until_ns
        else:
            retry_ns = now_ns + self._backoff_ns(letter.attempts)
        if not isinstance(error, Undelivered):
            text = f"a defect in Faultline: {one_line(repr(error), 300)}"
            _log.error("%s: incident %s: %s", self.name, letter.incident_id, text, exc_info=error)
        if isinstance(error, Refused) or self._too_old(letter.first_at_ns, over, error, now_ns):
            self._dead.labels(self.name).inc()
            _log.error("%s: incident %s was given up: %s", self.name, letter.incident_id, text)
            await _beside(lambda: keeper.dead(letter, text))
            return
        await _beside(lambda: keeper.failed(letter, text, retry_ns))

    def _too_old(self, first_at_ns: int, over: bool, error: Exception, now_ns: int) -> bool:
        """While the whole receiver is away, an outage that still lasts is never given up."""
        if now_ns - first_at_ns < self._settings.dead_after_s * NS:
            return False
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
        if self.failing_since_ns is None:
            self.failing_since_ns = now_ns
        self._checked_ns = None
        self._troubles.begin(self.name, f"{text}; nothing is lost, trying again", now_ns)

    def _works(self, now_ns: int) -> None:
        self._failures = 0
        self._problem = ""
        self.failing_since_ns = None
        self._checked_ns = now_ns
        self._troubles.end(self.name, now_ns)

    def _backoff_ns(self, failures: int) -> int:
        first, most = self._settings.retry_first_s, self._settings.retry_most_s
        return int(min(most, first * 2.0 ** min(failures, 30)) * NS)


async def _beside(work: Callable[[], T]) -> T:
    """The store's calls wait for its write lock: not on the event loop."""
    return await asyncio.to_thread(work)
