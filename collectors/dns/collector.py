"""Probes the configured resolvers on a schedule: a row per resolver and round, and events when one goes or returns.

Out: `ProbeRound` (kind RESOLVER, target = index of the configured resolver, `sent` questions whose fate is known,
`received` right answers, `rtt_ms` their median) and `resolver_down` / `resolver_up` with subject
`group:resolver:NAME`; the value of `resolver_down` is the named reason. A failing round is confirmed at once by
several more askings, so a dead resolver is known seconds after the next probe and a lost packet is nothing. The
first finding after a start is always told, up or down: an incident may be open from before.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import UTC

import numpy as np

from collectors.base import CollectorContext, Health
from collectors.dns.ask import Asker
from collectors.dns.judge import Finding, judge
from collectors.dns.question import Answer, Outcome, Question
from collectors.dns.settings import DnsSettings, NameSettings, ResolverSettings
from monitor.bus import IntakeFull
from monitor.records import Event, EventKind, ProbeRound, TargetKind

# After a failure, so many good rounds in a row are wanted before a resolver is called up.
UP_ROUNDS = 2


class _State:
    """What is known of one resolver. `up` None: nothing has been told yet."""

    def __init__(self) -> None:
        self.up: bool | None = None
        self.reason = ""
        self.rounds = 0
        self.busy = False


class DnsCollector:
    """Raises ValueError from the constructor when a setting cannot be used."""

    name = "dns"

    def __init__(self, settings: DnsSettings, context: CollectorContext) -> None:
        if not settings.resolvers:
            raise ValueError("dns.resolvers is empty: name the resolvers to be probed, or set dns.enabled = false")
        if not settings.names:
            raise ValueError("dns.names is empty: name what the resolvers are asked, or set dns.enabled = false")
        self._settings = settings
        self._context = context
        self._questions = [Question(n, mixed_case=settings.mixed_case) for n in settings.names]
        if settings.absent_zone:
            absent = NameSettings(settings.absent_zone)
            self._questions.append(Question(absent, absent=True, mixed_case=settings.mixed_case))
        self._states = [_State() for _ in settings.resolvers]
        self._running: set[asyncio.Task[object]] = set()
        self._last_ns: int | None = None
        self._last_round_s = 0.0
        self._unsent: dict[int, str] = {}
        metrics = context.metrics
        self._asked = metrics.counter("dns_questions_total", "questions to resolvers", ["resolver", "outcome"])
        self._stray = metrics.counter("dns_stray_total", "datagrams that answered no question of ours")
        self._up = metrics.gauge("dns_resolver_up", "1 while a resolver answers as it should", ["resolver"])
        self._rtt = metrics.gauge("dns_rtt_ms", "median of the last round that was answered", ["resolver"])

    # -- Collector ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        # It says every job it runs, and every round that lasts longer than the interval: neither is news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        loop = asyncio.get_running_loop()
        interval_s = self._settings.interval_s
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.start()
        try:
            for index in range(len(self._states)):
                scheduler.add_job(
                    self._job,
                    IntervalTrigger(seconds=interval_s, timezone=UTC),
                    args=(index,),
                    id=str(index),
                    max_instances=1,
                    coalesce=True,
                    misfire_grace_time=None,
                )
                # The first round now and not in an interval; one after the other, so that they never come at once.
                self._spawn(index)
                await asyncio.sleep(min(0.5, interval_s / len(self._states)))
            while True:
                await asyncio.sleep(interval_s)
                # The scheduler goes by the wall clock: set back by an hour, it would rest for an hour.
                if loop.time() - self._last_round_s > 3 * interval_s + 5 * self._settings.timeout_s:
                    for index in range(len(self._states)):
                        scheduler.reschedule_job(str(index), trigger=IntervalTrigger(seconds=interval_s, timezone=UTC))
                        self._spawn(index)
        finally:
            scheduler.shutdown(wait=False)
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def health(self) -> Health:
        if self._unsent:
            what = "; ".join(f"{self._settings.resolvers[i].name}: {why}" for i, why in sorted(self._unsent.items()))
            return Health(self.name, False, f"questions cannot be sent: {what}", self._last_ns)
        down = [f"{r.name} ({s.reason})" for r, s in self._pairs() if s.up is False]
        return Health(self.name, True, f"down: {', '.join(down)}" if down else "", self._last_ns)

    def reload(self) -> None:
        """Nothing to do: resolvers are of the configuration, and each round takes the inventory's generation."""

    def rebound(self, lines: Sequence[int]) -> None:
        """Nothing to do: no line is asked."""

    # -- one resolver ---------------------------------------------------------------------------------------------

    async def probe(self, index: int) -> Finding:
        """Ask resolver `index` (of the configured ones) everything once, and tell what follows."""
        resolver, state = self._settings.resolvers[index], self._states[index]
        answers = await self._ask(resolver)
        finding = judge(self._questions, answers)
        self._tell_round(index, answers)
        self._note_unsent(index, finding)
        if finding.known:
            fine = not finding.reason
            if state.up is None:
                told = fine or await self._confirmed(resolver, fine=False)
            elif state.up == fine:
                told = not fine and finding.reason != state.reason
            else:
                told = await self._confirmed(resolver, fine=fine)
            if told:
                self._tell(resolver, state, finding)
        state.rounds += 1
        return finding

    async def _ask(self, resolver: ResolverSettings) -> list[Answer]:
        async with Asker(resolver.address, resolver.port) as asker:
            answers = await asker.ask_all(self._questions, self._settings.timeout_s)
        self._stray.inc(asker.stray)
        for answer in answers:
            self._asked.labels(resolver.name, answer.outcome.value).inc()
        return answers

    async def _confirmed(self, resolver: ResolverSettings, *, fine: bool) -> bool:
        """Ask several times more, a little apart and without waiting for each other. A failure is confirmed if none
        of them is fine, a recovery if all of them are."""
        count = UP_ROUNDS - 1 if fine else self._settings.confirm_count

        async def again(number: int) -> Finding:
            await asyncio.sleep(number * self._settings.confirm_gap_s * random.uniform(0.8, 1.2))
            return judge(self._questions, await self._ask(resolver))

        findings = [f for f in await asyncio.gather(*(again(n + 1) for n in range(count))) if f.known]
        return bool(findings) and all((not f.reason) is fine for f in findings)

    def _tell(self, resolver: ResolverSettings, state: _State, finding: Finding) -> None:
        kind: EventKind = "resolver_down" if finding.reason else "resolver_up"
        event = Event(
            self._context.clock.now_ns(),
            f"group:resolver:{resolver.name}",
            kind,
            finding.reason,
            source=self._context.source,
        )
        try:
            self._context.sink.put_event(event)
        except IntakeFull:
            return  # the state stays as it was, so the next round tells it
        state.up, state.reason = not finding.reason, finding.reason
        self._up.labels(resolver.name).set(state.up)

    def _tell_round(self, index: int, answers: list[Answer]) -> None:
        known = [a for a in answers if a.outcome is not Outcome.NOT_SENT]
        good = [a.rtt_ms for a in known if a.outcome is Outcome.OK]
        now_ns = self._context.clock.now_ns()
        median = float(np.median(good)) if good else float("nan")
        self._context.sink.put_round(
            ProbeRound(
                source=self._context.source,
                generation=self._context.inventory().generation,
                target=np.array([index], np.int32),
                at_ns=np.array([now_ns], np.int64),
                sent=np.array([len(known)], np.uint16),
                received=np.array([len(good)], np.uint16),
                rtt_ms=np.array([median], np.float32),
                kind=TargetKind.RESOLVER,
                round_id=self._states[index].rounds,
                rtt_min_ms=np.array([min(good, default=median)], np.float32),
                rtt_max_ms=np.array([max(good, default=median)], np.float32),
            )
        )
        if good:
            self._rtt.labels(self._settings.resolvers[index].name).set(median)
        self._last_ns = now_ns

    # -- keeping going --------------------------------------------------------------------------------------------

    def _spawn(self, index: int) -> None:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(self._job(index))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _job(self, index: int) -> None:
        """One round as the scheduler runs it: whatever goes wrong must not end the rounds to come."""
        state = self._states[index]
        if state.busy:
            return
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self._last_round_s = asyncio.get_running_loop().time()
        state.busy = True
        try:
            await self.probe(index)
        except Exception as error:
            self._trouble(index, f"the round could not be made: {type(error).__name__}: {error}")
        finally:
            state.busy = False

    def _note_unsent(self, index: int, finding: Finding) -> None:
        if finding.known:
            self._unsent.pop(index, None)
            name = self._settings.resolvers[index].name
            self._context.metrics.troubles.end(f"dns:{name}", self._context.clock.now_ns())
        else:
            self._unsent[index] = why = finding.detail or "the socket refuses"
            self._trouble(index, f"questions cannot be sent ({why}): check this machine's network and firewall")

    def _trouble(self, index: int, text: str) -> None:
        name = self._settings.resolvers[index].name
        self._context.metrics.troubles.begin(f"dns:{name}", text, self._context.clock.now_ns())

    def _pairs(self) -> list[tuple[ResolverSettings, _State]]:
        return list(zip(self._settings.resolvers, self._states, strict=True))
