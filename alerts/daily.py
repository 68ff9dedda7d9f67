"""What happens once a day, by APScheduler in the local time zone: the digests, and old posts are forgotten.

A digest is written into the store under the day's name before it is sent: a restart repeats none, and one that was
missed (the daemon was down) is made up for within some hours.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, tzinfo

import msgspec

from alerts.digest import WINDOW_S, Ranking, digest_message, for_teams
from alerts.health import ReceiverHealth
from alerts.message import Writer
from alerts.settings import AlertSettings, receiver_names
from alerts.text import one_line
from monitor.clock import NS, Clock
from monitor.metrics import Metrics
from monitor.store.posts import DIGEST, Posts

MAKE_UP_S = 6 * 3600.0
KEPT_DAYS = 60
_log = logging.getLogger("faultline.alerts")


class Daily:
    name = "daily"

    def __init__(
        self,
        settings: AlertSettings,
        posts: Posts,
        ranking: Ranking,
        writer: Writer,
        metrics: Metrics,
        clock: Clock,
        zone: tzinfo,
        nudge: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._posts = posts
        self._ranking = ranking
        self._writer = writer
        self._troubles = metrics.troubles
        self._clock = clock
        self._zone = zone
        self._nudge = nudge

    async def run(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.cron import CronTrigger

        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(timezone=self._zone)
        always = {"max_instances": 1, "coalesce": True, "misfire_grace_time": int(MAKE_UP_S)}
        if self._settings.digest.enabled:
            hour, minute = self._settings.digest.at.split(":")
            at = CronTrigger(hour=int(hour), minute=int(minute), timezone=self._zone)
            scheduler.add_job(self._digest, at, id="digest", **always)
        scheduler.add_job(self._prune, CronTrigger(hour=3, minute=41, timezone=self._zone), id="prune", **always)
        scheduler.start()
        try:
            if self._settings.digest.enabled and 0 <= self._late_s() < MAKE_UP_S:
                await self._digest()
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)

    def health(self) -> ReceiverHealth | None:
        return None

    def make(self, now_ns: int) -> list[str]:
        """Write today's digests, where there is anything to say; the names of those that are new."""
        ranked = self._ranking.worst_first(now_ns - int(WINDOW_S * NS), now_ns)
        day = datetime.fromtimestamp(now_ns // NS, self._zone).strftime("%Y-%m-%d")
        made = []
        for team, lines in for_teams(ranked, self._settings.teams).items():
            post_id = f"digest-{team or 'all'}-{day}"
            message = digest_message(self._writer, post_id, team, lines, self._settings.digest.lines, now_ns)
            body = msgspec.json.encode(message)
            new = [receiver for receiver in self._receivers(team) if self._posts.put(receiver, post_id, DIGEST, body)]
            made += [f"{receiver} {post_id}" for receiver in new]
        return made

    def _receivers(self, team: str) -> list[str]:
        if not team:
            return list(self._settings.digest.receivers)
        if not any(one.name == team and one.digest for one in self._settings.teams):
            return []
        known = receiver_names(self._settings)
        mine = [name for name in (f"email:{team}", f"slack:{team}") if name in known]
        return mine[:1] or list(self._settings.digest.receivers)

    def _late_s(self) -> float:
        now = datetime.fromtimestamp(self._clock.now_ns() // NS, self._zone)
        hour, minute = self._settings.digest.at.split(":")
        return (now - now.replace(hour=int(hour), minute=int(minute), second=0)).total_seconds()

    async def _digest(self) -> None:
        await self._safely("the daily digest", lambda: self.make(self._clock.now_ns()))
        self._nudge()

    async def _prune(self) -> None:
        before_ns = self._clock.now_ns() - KEPT_DAYS * 86400 * NS
        await self._safely("clearing old alerts away", lambda: self._posts.prune(before_ns))

    async def _safely(self, what: str, work: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(work)
            self._troubles.end("alerts_daily", self._clock.now_ns())
        except Exception as error:  # the store, or a defect: tomorrow is another day, and the trouble is seen
            text = f"{what} failed ({one_line(repr(error), 300)}): it is made up for at the next start or day"
            _log.debug("%s", what, exc_info=True)
            self._troubles.begin("alerts_daily", text, self._clock.now_ns())
