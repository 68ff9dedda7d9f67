"""The day's list of lines most likely to call within a week: made once a day from the store's flags and calls.

A list is of a moment (the last `ranking_at`), and holds what was known then: made again after a restart it is the same
list, so it is not stored. Calls are customers' reports, and `call` events of other systems; those that an incident
explained do not count, for no visit to the line would have spared them.
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import exists, or_, select

from monitor.clock import NS, Clock
from monitor.desk.settings import DeskSettings
from monitor.metrics import Metrics
from monitor.store import tables as t
from monitor.store.state import StateStore

if TYPE_CHECKING:
    from correlation.ranking import Basis

MOST_FLAGS = 1_000_000  # the newest ones: about 300 bytes each while a list is made
MOST_LISTED = 20_000
YOUNG_S = 600.0  # as long as there is nobody to list, it is tried again so often
MAKE_UP_S = 6 * 3600
log = logging.getLogger("faultline.ranking")


class LikelyCaller(msgspec.Struct, frozen=True):
    """One line of the list. `rank` from 1. `score` 0 to 100; `chance` of calling within a week, None while the score
    ranks. `kind` to `open`: the flag that weighs most ("" where only earlier calls speak)."""

    rank: int
    line_id: str
    score: float
    chance: float | None
    kind: str
    reason: str
    value: float
    unit: str
    started_ns: int
    open: bool
    flags_month: int
    flagged_week_h: float
    calls_month: int


class CallList(msgspec.Struct, frozen=True):
    """As of `at_ns`. `listed`: how many lines there were, of which `lines` holds the first MOST_LISTED."""

    at_ns: int
    lines: tuple[LikelyCaller, ...]
    listed: int
    basis: "Basis"


class CallRanking:
    """`newest`: the list of today, None before the first. Safe to read from any thread."""

    def __init__(
        self, state: StateStore, clock: Clock, metrics: Metrics, zone: tzinfo, settings: DeskSettings | None = None
    ) -> None:
        self.newest: CallList | None = None
        self._state = state
        self._clock = clock
        self._troubles = metrics.troubles
        self._listed = metrics.gauge("ranking_lines", "lines on the list of those most likely to call")
        self._zone = zone
        self._settings = settings or DeskSettings()
        self._places: tuple[CallList | None, Mapping[str, int]] = (None, {})

    def places(self) -> Mapping[str, int]:
        """line_id -> rank on the newest list."""
        newest = self.newest
        if self._places[0] is not newest and newest is not None:
            self._places = (newest, {one.line_id: one.rank for one in newest.lines})
        return self._places[1]

    async def run(self) -> None:
        """A list at once, and then one a day, until cancelled."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.cron import CronTrigger

        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        hour, minute = self._hour_minute()
        scheduler = AsyncIOScheduler(timezone=self._zone)
        at = CronTrigger(hour=hour, minute=minute, timezone=self._zone)
        scheduler.add_job(self._renew, at, max_instances=1, coalesce=True, misfire_grace_time=MAKE_UP_S)
        scheduler.start()
        try:
            await self._renew()
            while self.newest is None or not self.newest.lines:
                await self._clock.sleep(YOUNG_S)
                await self._renew()
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)

    async def _renew(self) -> None:
        now_ns = self._clock.now_ns()
        try:
            await asyncio.to_thread(self.make, now_ns)
        except Exception as error:  # the store, or a defect: yesterday's list stays, and the trouble is seen
            log.exception("the ranking could not be made")
            self._troubles.begin("ranking", f"could not be made ({error!r}): the list before stays", now_ns)
        else:
            self._troubles.end("ranking", now_ns)

    def make(self, now_ns: int) -> CallList:
        """The list as of the last `ranking_at`; in a young network that had no flag then, as of now. Blocks."""
        at_ns = self.moment(now_ns)
        made = self._made(at_ns)
        if not made.lines:
            made = self._made(now_ns)
        self.newest = made
        self._listed.set(made.listed)
        log.info("%d lines ranked by the %s (%s)", made.listed, made.basis.method, made.basis.reason)
        return made

    def moment(self, now_ns: int) -> int:
        """The last `ranking_at` before `now_ns`."""
        hour, minute = self._hour_minute()
        now = datetime.fromtimestamp(now_ns // NS, self._zone)
        at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if at > now:
            at = (now - timedelta(days=1)).replace(hour=hour, minute=minute, second=0, microsecond=0)
        return int(at.timestamp()) * NS

    def _hour_minute(self) -> tuple[int, int]:
        hour, _, minute = self._settings.ranking_at.partition(":")
        return int(hour), int(minute)

    def _made(self, at_ns: int) -> CallList:
        from correlation.ranking import call_table, flag_table, rank

        since_ns = at_ns - self._settings.ranking_history_days * 86_400 * NS
        flags = self._state.flags(open_only=False, since_ns=since_ns, limit=MOST_FLAGS)
        ranked = rank(flag_table(flags), call_table(self._calls(since_ns)), at_ns)
        rows = ranked.lines.head(MOST_LISTED).to_dict("records")
        lines = tuple(
            msgspec.convert({**row, "rank": n, "chance": _known(row["chance"])}, LikelyCaller)
            for n, row in enumerate(rows, 1)
        )
        return CallList(at_ns, lines, len(ranked.lines), ranked.basis)

    def _calls(self, since_ns: int) -> list[tuple[str, int]]:
        """(line_id, ns) of reports and events since then, but those that an incident explained."""
        reports = select(t.calls.c.line_id, t.calls.c.at_ns).where(
            t.calls.c.at_ns >= since_ns, t.calls.c.incident_id == ""
        )
        row, line, incident = t.human_events.c, t.incident_lines.c, t.incidents.c
        explained = (
            select(line.line_id)
            .join(t.incidents, incident.incident_id == line.incident_id)
            .where(
                line.line_id == row.subject,
                incident.started_ns <= row.at_ns,
                or_(incident.resolved_ns.is_(None), incident.resolved_ns >= row.at_ns),
            )
        )
        events = select(row.subject, row.at_ns).where(row.kind == "call", row.at_ns >= since_ns, ~exists(explained))
        with self._state.read() as connection:
            return [(str(r[0]), int(r[1])) for query in (reports, events) for r in connection.execute(query)]


def _known(chance: float) -> float | None:
    return None if math.isnan(chance) else chance
