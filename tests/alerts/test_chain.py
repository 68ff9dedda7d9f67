"""The chain with a receiver in memory and a store on disk, in virtual time."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from alerts.chain import AlertChain, build_chain
from alerts.receivers.base import Deferred, Later, Refused, Unreachable
from alerts.settings import AlertSettings, StormSettings
from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import Etr, IncidentKind, IncidentStatus, Scope, ScopeKind, Severity
from tests.alerts.samples import START_NS, ZONE, Desk, Keeper, incident, pass_time, settle


@asynccontextmanager
async def running(
    desk: Desk, metrics: Metrics, clock: ManualClock, *keepers: Keeper, **settings: Any
) -> AsyncIterator[AlertChain]:
    chain = build_chain(AlertSettings(**settings), desk.outbox, metrics, clock, ZONE, list(keepers))
    task = asyncio.create_task(chain.run())
    try:
        await settle(chain.workers)
        yield chain
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_message_is_updated_in_place(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """An incident's first revision makes a message; later ones change that same message."""
    keeper = Keeper(clock)
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 3)
        desk.say("shrank", incident(revision=2, lines_down=300))
        await pass_time(clock, chain.workers, 10)
    assert [new for _, _, new in keeper.told] == [True, False]
    assert "480 lines down" in keeper.titles()[0]
    assert "300 lines down" in keeper.titles()[1]


async def test_a_burst_is_told_in_its_latest_state(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """Twenty revisions within the update interval make one update, of the last."""
    keeper = Keeper(clock)
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 2)
        for revision in range(2, 22):
            desk.say("grew", incident(revision=revision, lines_down=500 + revision, lines_affected=500 + revision))
        await pass_time(clock, chain.workers, 20)
    assert len(keeper.told) == 2
    assert "521 lines down" in keeper.titles()[1]


async def test_steady_change_is_paced(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """An incident that changes every second is told every five seconds."""
    keeper = Keeper(clock, interval_s=0, update_s=5.0)
    async with running(desk, metrics, clock, keeper) as chain:
        for revision in range(1, 31):
            desk.say("grew" if revision > 1 else "opened", incident(revision=revision, lines_down=revision))
            await pass_time(clock, chain.workers, 1)
    assert 5 <= len(keeper.told) <= 7
    assert all(b - a >= 5 * NS for (a, _, _), (b, _, _) in itertools.pairwise(keeper.told))


async def test_what_looks_the_same_is_not_sent(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """A revision that changes nothing visible is stopped by name and never reaches the receiver."""
    keeper = Keeper(clock)
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 2)
        desk.say("explained", incident(revision=2, updated_ns=START_NS + 5 * NS))
        await pass_time(clock, chain.workers, 10)
    assert len(keeper.told) == 1
    stopped = metrics.counter("alerts_stopped_total", "", ["receiver", "stage", "reason"])
    assert stopped.labels("keeper", "dedup", "looks_the_same")._value.get() == 1


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("planned", {"kind": IncidentKind.PLANNED}),
        ("kind", {"kind": IncidentKind.RESOLVER}),
        ("few_lines", {"lines_affected": 4, "lines_down": 4}),
        ("severity", {"severity": Severity.WARNING}),
    ],
)
async def test_what_does_not_page(
    reason: str, changes: dict[str, Any], desk: Desk, metrics: Metrics, clock: ManualClock
) -> None:
    """Planned work, unwanted kinds, few lines and low severities are stopped, each with its own reason."""
    keeper = Keeper(clock)
    limits = {"kinds": (IncidentKind.OUTAGE,), "min_lines": 5, "min_severity": Severity.MINOR}
    async with running(desk, metrics, clock, keeper, **limits) as chain:
        desk.say("opened", incident(**changes))
        await pass_time(clock, chain.workers, 5)
        desk.say("resolved", incident(revision=2, **{**changes, "status": IncidentStatus.RESOLVED}))
        await pass_time(clock, chain.workers, 5)
    assert keeper.told == []
    stopped = metrics.counter("alerts_stopped_total", "", ["receiver", "stage", "reason"])
    assert stopped.labels("keeper", "kinds", reason)._value.get() >= 1


async def test_what_was_told_is_told_to_its_end(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """An incident that shrank below the limits after it was told is still shown as resolved."""
    keeper = Keeper(clock)
    async with running(desk, metrics, clock, keeper, min_lines=100) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 2)
        over = incident(
            revision=2,
            status=IncidentStatus.RESOLVED,
            severity=Severity.CLEARED,
            lines_affected=3,
            lines_down=0,
            resolved_ns=clock.now_ns(),
        )
        desk.say("resolved", over)
        await pass_time(clock, chain.workers, 10)
    assert [message.over for _, message, _ in keeper.told] == [False, True]


async def test_opened_and_over_while_the_receiver_was_away(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """An outage that came and went while nothing could be sent is told once, as over."""
    keeper = Keeper(clock)
    keeper.errors = [Unreachable("no route")] * 3
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 3)
        over = incident(
            revision=2, status=IncidentStatus.RESOLVED, severity=Severity.CLEARED, resolved_ns=clock.now_ns()
        )
        desk.say("resolved", over)
        await pass_time(clock, chain.workers, 60, step_s=1)
    assert [message.over for _, message, _ in keeper.told] == [True]


async def test_news_goes_with_the_update(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """Recovering, acknowledged, promised, reopened and resolved are news; a smaller count is not."""
    keeper = Keeper(clock, update_s=1)
    steps = [
        ("opened", {}),
        ("shrank", {"lines_down": 400}),
        ("acked", {"acked_by": "Kim"}),
        ("etr_set", {"acked_by": "Kim", "etr": Etr(START_NS + 3600 * NS, "noc")}),
        ("grew", {"acked_by": "Kim", "lines_affected": 1200, "lines_down": 1100}),
        ("recovering", {"acked_by": "Kim", "status": IncidentStatus.RECOVERING}),
        ("resolved", {"acked_by": "Kim", "status": IncidentStatus.RESOLVED, "resolved_ns": START_NS + 600 * NS}),
        ("reopened", {"acked_by": "Kim", "reopened": 1}),
    ]
    async with running(desk, metrics, clock, keeper) as chain:
        changes: dict[str, Any] = {}
        for revision, (what, change) in enumerate(steps, 1):
            changes = {**changes, **change} if "lines_affected" not in changes or what != "opened" else change
            if what == "reopened":
                changes["status"], changes["resolved_ns"] = IncidentStatus.OPEN, None
            desk.say(what, incident(revision=revision, **changes))
            await pass_time(clock, chain.workers, 5)
    news = [" ".join(message.news) for _, message, _ in keeper.told]
    assert len(news) == len(steps)
    for said, words in zip(
        news,
        ["Opened", "", "by Kim", "promised", "Grew: 1,200", "Recovering", "Resolved at", "Open again"],
        strict=True,
    ):
        assert words in said
        assert bool(words) == bool(said)


async def test_storm_is_coalesced_under_the_rate(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """Thirty incidents that change every second for half a minute: one message each, never two calls within a second,
    every incident shown in its last state, and the big outage's first message comes at once."""
    keeper = Keeper(clock, interval_s=1.0, update_s=5.0)
    async with running(desk, metrics, clock, keeper, storm=StormSettings(enabled=False)) as chain:
        for second in range(30):
            now = [
                incident(
                    f"inc-{n}",
                    second + 1,
                    scope=Scope(ScopeKind.ELEMENT, f"north/ex-{n}"),
                    severity=Severity.CRITICAL if n == 29 else Severity.MINOR,
                    lines_down=second + 1,
                )
                for n in range(30)
            ]
            desk.say("grew" if second else "opened", *now)
            await pass_time(clock, chain.workers, 1, step_s=1)
        await pass_time(clock, chain.workers, 60, step_s=1)
    times = [at for at, _, _ in keeper.told]
    assert min(b - a for a, b in itertools.pairwise(times)) >= NS
    assert sum(new for _, _, new in keeper.told) == 30
    assert keeper.told[0][1].incident_id == "inc-29"
    last = {message.incident_id: message for _, message, _ in keeper.told}
    assert all("30 lines down" in message.title for message in last.values())
    assert len(keeper.told) < 100  # of 900 revisions


async def test_flapping_says_recovering_once(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """An incident that swings between open and recovering is updated, but says so in its history only once."""
    keeper = Keeper(clock, update_s=1)
    async with running(desk, metrics, clock, keeper) as chain:
        for revision in range(1, 20):
            status = IncidentStatus.OPEN if revision % 2 else IncidentStatus.RECOVERING
            desk.say("opened" if revision == 1 else str(status), incident(revision=revision, status=status))
            await pass_time(clock, chain.workers, 4)
    assert len(keeper.told) == 19
    assert sum("Recovering" in " ".join(message.news) for _, message, _ in keeper.told) == 1


async def test_unreachable_is_said_once_and_nothing_is_lost(
    desk: Desk, metrics: Metrics, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver away at start: the chain runs on, says so once, tells everything when it is back, says that once."""
    keeper = Keeper(clock)
    keeper.check_error = Unreachable("smtp.example:25 cannot be reached")
    with caplog.at_level(logging.WARNING):
        async with running(desk, metrics, clock, keeper, retry_most_s=10) as chain:
            await pass_time(clock, chain.workers, 30, step_s=1)
            assert [trouble.name for trouble in metrics.troubles.current()] == ["keeper"]
            assert not chain.health()[0].ok
            keeper.errors = [Unreachable("smtp.example:25 cannot be reached")] * 4
            for n in range(3):
                desk.say("opened", incident(f"inc-{n}"))
            await pass_time(clock, chain.workers, 150, step_s=1)
            assert chain.health()[0].ok
    assert sorted(message.incident_id for _, message, _ in keeper.told) == [f"inc-{n}" for n in range(3)]
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("keeper:")]
    assert len(said) == 2
    assert "nothing is lost" in said[0]
    assert "works again" in said[1]


async def test_back_is_noticed_without_anything_to_tell(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """A receiver that was away at start and is back is noticed although no incident needs it."""
    keeper = Keeper(clock)
    keeper.check_error = Unreachable("away")
    async with running(desk, metrics, clock, keeper) as chain:
        await pass_time(clock, chain.workers, 10, step_s=1)
        keeper.check_error = None
        await pass_time(clock, chain.workers, 120, step_s=1)
        assert metrics.troubles.current() == []
        assert keeper.told == []


async def test_retry_after_is_honoured(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """Asked for 30 s of quiet, the receiver is left alone for 30 s, also with other incidents; it is no trouble."""
    keeper = Keeper(clock)
    keeper.errors = [Later("rate limit", 30)]
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident(), incident("inc-2"))
        await pass_time(clock, chain.workers, 60)
        assert metrics.troubles.current() == []
    assert len(keeper.told) == 2
    assert all(30 * NS <= at - START_NS <= 34 * NS for at, _, _ in keeper.told)


async def test_deferred_messages_let_others_pass(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """A message that is not taken now is retried with growing pauses; the next incident does not wait for it."""
    keeper = Keeper(clock)
    keeper.errors = [Deferred("try later"), None, Deferred("try later"), Deferred("try later")]
    async with running(desk, metrics, clock, keeper, retry_first_s=4) as chain:
        desk.say("opened", incident("stubborn"))
        await pass_time(clock, chain.workers, 1.5)
        desk.say("opened", incident("easy"))
        await pass_time(clock, chain.workers, 60)
    assert [message.incident_id for _, message, _ in keeper.told] == ["easy", "stubborn"]
    assert keeper.told[0][0] - START_NS < 5 * NS
    assert keeper.told[1][0] - START_NS >= (4 + 8 + 16) * NS


async def test_dead_letters(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """What will never be taken is given up at once, what is never taken after the configured age; both are named."""
    keeper = Keeper(clock)
    keeper.errors = [Refused("too ugly")] + [Deferred("not now")] * 100
    async with running(desk, metrics, clock, keeper, dead_after_s=60, retry_most_s=20) as chain:
        desk.say("opened", incident("ugly", severity=Severity.CRITICAL))
        desk.say("opened", incident("unlucky"))
        await pass_time(clock, chain.workers, 120, step_s=2)
    letters = {letter.incident_id: letter.error for letter in desk.outbox.dead_letters()}
    assert letters == {"ugly": "too ugly", "unlucky": "not now"}
    assert keeper.told == []


async def test_open_outages_outlive_an_absent_receiver(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """While the receiver itself is away, an outage that lasts is never given up, however old."""
    keeper = Keeper(clock)
    keeper.errors = [Unreachable("away")] * 8
    async with running(desk, metrics, clock, keeper, dead_after_s=20, retry_most_s=20) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 180, step_s=2)
    assert len(keeper.told) == 1
    assert desk.outbox.dead_letters() == []


async def test_a_stuck_receiver_blocks_nobody(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """One receiver hangs in a send; the other is told of every incident."""
    stuck, fine = Keeper(clock, "stuck"), Keeper(clock, "fine")
    stuck.stuck = asyncio.Event()
    async with running(desk, metrics, clock, stuck, fine) as chain:
        for n in range(3):
            desk.say("opened", incident(f"inc-{n}"))
        await pass_time(clock, chain.workers, 10)
        assert len(fine.told) == 3
        assert stuck.told == []
        stuck.stuck.set()
        stuck.stuck = None


async def test_restart_tells_nothing_twice(tmp_path: Path, metrics: Metrics, clock: ManualClock) -> None:
    """A new daemon on the same store repeats nothing, and goes on with the same message."""
    first, second = Keeper(clock), Keeper(clock)
    desk = Desk(tmp_path, clock)
    async with running(desk, metrics, clock, first) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 3)
    desk.close()
    desk = Desk(tmp_path, clock)
    async with running(desk, Metrics(), clock, second) as chain:
        await pass_time(clock, chain.workers, 10)
        assert second.told == []
        desk.say("grew", incident(revision=2, lines_affected=2000, lines_down=2000))
        await pass_time(clock, chain.workers, 10)
    desk.close()
    assert [new for _, _, new in second.told] == [False]


async def test_stopping_waits_for_the_message_on_its_way(tmp_path: Path, metrics: Metrics, clock: ManualClock) -> None:
    """A clean stop in the middle of a send lets it end and notes it, so the next start does not repeat it."""
    desk, keeper = Desk(tmp_path, clock), Keeper(clock)
    keeper.stuck = asyncio.Event()
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident())
        await pass_time(clock, chain.workers, 2)
        assert keeper.busy
        asyncio.get_running_loop().call_later(0.1, keeper.stuck.set)
    assert len(keeper.told) == 1
    assert desk.outbox.pending("keeper", clock.now_ns()) == []
    desk.close()


async def test_a_defect_in_one_incident_does_not_stop_alerting(
    desk: Desk, metrics: Metrics, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that nobody foresaw is logged, and the other incidents are told."""
    keeper = Keeper(clock)
    keeper.errors = [ZeroDivisionError("oh")]
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident("bad", severity=Severity.CRITICAL))
        desk.say("opened", incident("good"))
        await pass_time(clock, chain.workers, 20)
    assert [message.incident_id for _, message, _ in keeper.told] == ["good", "bad"]
    assert "a defect in Faultline" in caplog.text


async def test_store_away_for_a_while(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """When the outcome cannot be written down it is tried again, and the message is not repeated."""
    keeper = Keeper(clock)
    sent, failures = desk.outbox.sent, [OSError("disk full")] * 3

    def failing(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        sent(*arguments)

    desk.outbox.sent = failing  # type: ignore[method-assign]
    async with running(desk, metrics, clock, keeper) as chain:
        desk.say("opened", incident())
        for _ in range(60):
            await clock.advance(1)
            await asyncio.sleep(0.01)
        await settle(chain.workers)
        assert metrics.troubles.current() == []
    assert len(keeper.told) == 1
    assert desk.outbox.pending("keeper", clock.now_ns()) == []


async def test_nudge_from_another_thread(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """The core's thread may say that there is news: it is told without waiting for the next poll."""
    keeper = Keeper(clock, interval_s=0)
    async with running(desk, metrics, clock, keeper, poll_s=60) as chain:
        desk.say("opened", incident())
        await asyncio.to_thread(chain.nudge)
        await settle(chain.workers)
        assert len(keeper.told) == 1
        assert clock.now_ns() == START_NS
