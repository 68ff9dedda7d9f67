"""What runs beside the receivers: the heartbeat, lines with an SLA, the daily digest."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from alerts.beside import Watch
from alerts.chain import build_chain, build_writer
from alerts.daily import Daily
from alerts.digest import FlagRanking, digest_message, for_teams
from alerts.heartbeat import Heartbeat
from alerts.settings import AlertSettings, HeartbeatSettings, TeamSettings
from alerts.sla import SlaLines, acknowledge
from monitor.clock import NS, ManualClock
from monitor.inventory import Inventory, load_inventory
from monitor.metrics import Metrics
from monitor.records import Change, Flag, FlagKind, Incident, IncidentStatus, LineState
from monitor.store.posts import Posts
from tests.alerts.http_server import HttpServer
from tests.alerts.samples import START_NS, ZONE, Desk, Keeper, incident, pass_time, settle

INVENTORY = """line_id,path,service_class,sla_restore_h,status
L1,north/ex-1/olt-1,sla,8,active
L2,north/ex-1/olt-1,residential,,active
L3,south/ex-9/olt-1,SLA,,active
L4,south/ex-9/olt-1,sla,,suspended
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    (tmp_path / "inventory.csv").write_text(INVENTORY)
    return load_inventory(tmp_path / "inventory.csv")


@dataclass
class View:
    """The engine's view of four lines, as a test paints it."""

    generation: int = 1
    state: Any = field(default_factory=lambda: np.full(4, LineState.UP, np.uint8))
    since_ns: Any = field(default_factory=lambda: np.full(4, START_NS, np.int64))
    incident: Any = field(default_factory=lambda: np.full(4, -1, np.int32))
    incidents: tuple[Incident, ...] = ()

    def set(self, inventory: Inventory, line_id: str, state: LineState, since_ns: int) -> None:
        row = inventory.index_of(line_id)
        self.state[row], self.since_ns[row] = state, since_ns


# -- heartbeat


@pytest.fixture
def watchdog() -> Iterator[HttpServer]:
    server = HttpServer()
    yield server
    server.close()


async def test_beats_only_while_the_engine_lives(watchdog: HttpServer, clock: ManualClock, metrics: Metrics) -> None:
    """A beat a minute; none while the engine stands still, although the daemon is there to send one."""
    alive = True
    heartbeat = Heartbeat(HeartbeatSettings(True, watchdog.url), lambda: alive, metrics, clock)
    task = asyncio.create_task(heartbeat.run())
    try:
        for beats in (1, 2):
            await _until(lambda beats=beats: len(watchdog.taken) == beats and _sleeps(clock))
            await clock.advance(60)
        await _until(lambda: len(watchdog.taken) == 3 and _sleeps(clock))
        alive = False
        for _ in range(3):
            await clock.advance(60)
            await _until(lambda: _sleeps(clock))
        assert len(watchdog.taken) == 3
        alive = True
        await clock.advance(60)
        await _until(lambda: len(watchdog.taken) == 4)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_watchdog_that_fails_is_said_once(watchdog: HttpServer, clock: ManualClock, metrics: Metrics) -> None:
    """It answers 500 twice: one trouble, over with the next beat; checking connects without beating."""
    heartbeat = Heartbeat(HeartbeatSettings(True, watchdog.url), lambda: True, metrics, clock)
    await heartbeat.check()
    assert watchdog.taken == []
    watchdog.script.extend([500, 500])
    await heartbeat.beat()
    await heartbeat.beat()
    assert [t.name for t in metrics.troubles.current()] == ["heartbeat"]
    assert not heartbeat.health().ok
    await heartbeat.beat()
    assert not metrics.troubles.current()


# -- lines with an SLA


def sla(desk: Desk, view: View, inventory: Inventory, clock: ManualClock, metrics: Metrics) -> SlaLines:
    return SlaLines(120, desk.outbox, lambda: view, lambda: inventory, metrics, clock, lambda: None)


async def test_an_sla_line_alerts_by_itself(
    desk: Desk, inventory: Inventory, clock: ManualClock, metrics: Metrics
) -> None:
    """Down alone for two minutes it is told, once, with the agreed time; others are not; back up it is over."""
    view, keeper = View(), Keeper(clock)
    watch = Watch(lambda: True, lambda: view, lambda: inventory)
    chain = build_chain(AlertSettings(), desk.outbox, metrics, clock, ZONE, [keeper], watch)
    lines = next(task for task in chain.beside if task.name == "sla")
    assert isinstance(lines, SlaLines)
    chain.beside.clear()
    task = asyncio.create_task(chain.run())
    try:
        await settle(chain.workers)
        for line in ("L1", "L2", "L4"):
            view.set(inventory, line, LineState.DOWN, START_NS)
        assert lines.look(START_NS + 119 * NS) == 0
        assert lines.look(START_NS + 120 * NS) == 1
        assert lines.look(START_NS + 121 * NS) == 0
        await pass_time(clock, chain.workers, 5)
        (told,) = [m for _, m, _ in keeper.told]
        assert "L1" in told.text
        assert "8 hours" in told.text
        view.set(inventory, "L1", LineState.UP, START_NS + 300 * NS)
        assert lines.look(START_NS + 301 * NS) == 1
        await pass_time(clock, chain.workers, 10)
        assert [m.over for _, m, _ in keeper.told] == [False, True]
        assert lines.look(START_NS + 302 * NS) == 0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_an_outage_speaks_for_its_lines(desk: Desk, inventory: Inventory, clock: ManualClock, metrics: Metrics) -> None:
    """A line that an incident holds never alerts alone, and one that has is merged when an incident takes it in; what
    cannot be measured stays as it was."""
    view = View(incidents=(incident("big"),))
    lines = sla(desk, view, inventory, clock, metrics)
    view.set(inventory, "L1", LineState.DOWN, START_NS)
    view.incident[inventory.index_of("L1")] = 0
    assert lines.look(START_NS + 500 * NS) == 0
    view.incident[:] = -1
    assert lines.look(START_NS + 501 * NS) == 1
    view.set(inventory, "L1", LineState.UNKNOWN, START_NS)
    assert lines.look(START_NS + 502 * NS) == 0
    (told,) = desk.outbox.unresolved("line-")
    assert acknowledge(desk.outbox, told.incident_id, "Kim", START_NS + 503 * NS)
    view.incident[inventory.index_of("L1")] = 0
    assert lines.look(START_NS + 504 * NS) == 1
    over = desk.outbox.newest(told.incident_id)
    assert over is not None
    assert (over.status, over.parent_id, over.acked_by) == (IncidentStatus.RESOLVED, "big", "Kim")
    assert not acknowledge(desk.outbox, told.incident_id, "Kim", START_NS)
    assert not acknowledge(desk.outbox, "inc-1", "Kim", START_NS)


# -- the digest


def flag(subject: str, kind: FlagKind, start_h: float, end_h: float | None, value: float = 50.0) -> Change:
    """Hours are relative to START_NS."""
    start_ns = START_NS + int(start_h * 3600) * NS
    end_ns = None if end_h is None else START_NS + int(end_h * 3600) * NS
    return Change(START_NS, "flag_raised", flag=Flag(subject, kind, "x", value, "ms", start_ns, start_ns, end_ns))


def test_the_ranking(desk: Desk, inventory: Inventory) -> None:
    """Longest within the last day first; lines of a slow segment are the segment's; what is gone is left out."""
    desk.store.apply(
        1,
        [
            flag("L1", FlagKind.SLOW, -30, -20),
            flag("L1", FlagKind.UNSTABLE, -2, None),
            flag("L2", FlagKind.SLOW, -3, -1),
            flag("L3", FlagKind.SLOW, -10, None),
            flag("element:south/ex-9", FlagKind.SEGMENT_SLOW, -9, None),
            flag("gone", FlagKind.SLOW, -9, None),
            flag("L2", FlagKind.SLOW, -50, -40),
        ],
    )
    ranked = FlagRanking(desk.store, lambda: inventory).worst_first(START_NS - 86400 * NS, START_NS)
    assert [(r.subject, r.conspicuous_s / 3600, r.ongoing) for r in ranked] == [
        ("element:south/ex-9", 9, True),
        ("L1", 6, True),
        ("L2", 2, False),
    ]
    teams = for_teams(ranked, [TeamSettings("n", ("north",))])
    assert {team: [r.subject for r in lines] for team, lines in teams.items()} == {
        "": ["element:south/ex-9"],
        "n": ["L1", "L2"],
    }
    text = digest_message(build_writer(AlertSettings(language="de"), ZONE), "d", "n", ranked, 2, START_NS)
    assert text.title == "Langsame und instabile Anschlüsse: 3"
    assert len(text.facts) == 4


def test_the_digest_follows_the_list(desk: Desk, inventory: Inventory) -> None:
    """With a list of lines most likely to call: segments first, then its lines in its order, then the rest by time."""
    desk.store.apply(
        1,
        [
            flag("L1", FlagKind.SLOW, -9, None),
            flag("L2", FlagKind.SLOW, -3, -1),
            flag("L3", FlagKind.SLOW, -1, None),
            flag("element:west/ex-9", FlagKind.SEGMENT_SLOW, -0.5, None),
        ],
    )
    places = {"L9": 1, "L3": 2, "L2": 3}
    ranked = FlagRanking(desk.store, lambda: inventory, lambda: places).worst_first(START_NS - 86400 * NS, START_NS)
    assert [r.subject for r in ranked] == ["element:west/ex-9", "L3", "L2", "L1"]
    places.clear()
    ranked = FlagRanking(desk.store, lambda: inventory, lambda: places).worst_first(START_NS - 86400 * NS, START_NS)
    assert [r.subject for r in ranked] == ["L1", "L2", "L3", "element:west/ex-9"]


async def test_each_team_gets_its_digest_once_a_day(
    desk: Desk, inventory: Inventory, clock: ManualClock, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message to the team's own mail, one to the receivers for the rest; a restart on the same day adds none."""
    monkeypatch.setenv("S", "s")
    settings = msgspec.convert(
        {
            "digest": {"enabled": True, "receivers": ["webhook:rest"]},
            "webhooks": [{"name": "rest", "url": "https://a.example/", "secret_env": "S"}],
            "email": {"enabled": True, "sender": "a@isp.example", "recipients": ["b@isp.example"]},
            "teams": [{"name": "n", "scopes": ["north"], "recipients": ["n@isp.example"]}],
        },
        AlertSettings,
    )
    desk.store.apply(1, [flag("L1", FlagKind.UNSTABLE, -2, None), flag("L3", FlagKind.SLOW, -1, None)])
    keepers = [Keeper(clock, "email:n"), Keeper(clock, "webhook:rest"), Keeper(clock, "email")]
    keepers[0].errors = [RuntimeError("a defect")]
    watch = Watch(lambda: True, View, lambda: inventory)
    chain = build_chain(settings, desk.outbox, metrics, clock, ZONE, list(keepers), watch)
    daily = next(task for task in chain.beside if isinstance(task, Daily))
    assert len(daily.make(START_NS)) == 2
    assert daily.make(START_NS + 3600 * NS) == [
        f"{r} digest-{t}-2023-11-15" for r, t in (("email:n", "n"), ("webhook:rest", "all"))
    ]
    assert daily.make(START_NS + 3601 * NS) == []
    chain.beside.clear()
    task = asyncio.create_task(chain.run())
    try:
        await settle(chain.workers)
        await pass_time(clock, chain.workers, 30, step_s=1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [len(keeper.told) for keeper in keepers] == [2, 2, 0]
    assert any("L1" in fact.label for fact in keepers[0].told[0][1].facts)
    assert Posts(desk.store, desk.outbox).pending("email:n", clock.now_ns()) == []


def test_at_the_local_time_of_day() -> None:
    """APScheduler's trigger keeps to the clock on the wall when the clocks are changed."""
    from apscheduler.triggers.cron import CronTrigger

    trigger = CronTrigger(hour=7, minute=30, timezone=ZONE)
    for day, hours in ((28, 22.5), (29, 23.5)):  # on the 29th of March an hour is missing
        before = datetime(2026, 3, day, 8, 0, tzinfo=ZONE)
        fires = trigger.get_next_fire_time(None, before)
        assert (fires.day, fires.hour, fires.minute) == (day + 1, 7, 30)
        assert fires.timestamp() - before.timestamp() == hours * 3600


def _sleeps(clock: ManualClock) -> bool:
    """Somebody waits for time to pass, so passing time is not lost on them."""
    return bool(clock._sleepers)


async def _until(done: Any) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 (another thread's server sets no event for us)
            await asyncio.sleep(0.005)
