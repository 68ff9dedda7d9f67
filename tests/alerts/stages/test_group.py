"""The stage "group": beyond some new incidents a minute they stand in one summary, kept up to date to its end."""

from alerts.settings import AlertSettings, StormSettings
from alerts.stages import Group
from alerts.told import Told
from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import Incident, IncidentStatus, Scope, ScopeKind, Severity
from tests.alerts.samples import START_NS, Desk, Keeper, incident, pass_time
from tests.alerts.stages.bench import at, chain, item, judge


def small(n: int, revision: int = 1, **changes: object) -> Incident:
    where = Scope(ScopeKind.ELEMENT, f"north/ex-{n}/olt-1")
    return incident(f"inc-{n}", revision, scope=where, **{"severity": Severity.MINOR, "lines_down": n + 1, **changes})


def test_up_to_the_limit_each_has_its_own() -> None:
    """As many as the limit pass; one more and all that are new join a summary."""
    stage = Group(StormSettings(messages=5))
    few = judge(stage, at(), *(item(small(n)) for n in range(5)))
    many = judge(stage, at(), *(item(small(n)) for n in range(6)))
    assert (len(few.survivors), len(few.joined)) == (5, 0)
    assert (len(many.survivors), len(many.joined)) == (0, 6)
    assert len({join.post_id for join in many.joined}) == 1
    assert "6 new incidents" in many.joined[0].detail


def test_what_was_told_lately_counts() -> None:
    """First messages of the last minute count, older ones do not."""
    stage = Group(StormSettings(messages=5, window_s=60))
    recent = tuple(START_NS + second * NS for second in range(5))
    assert judge(stage, at(30, firsts_ns=recent), item(small(1))).joined
    assert not judge(stage, at(90, firsts_ns=recent), item(small(1))).joined


def test_what_would_come_too_late() -> None:
    """More waiting than the receiver can be told within seconds is a storm, though below the limit."""
    items = [item(small(n)) for n in range(5)]
    assert len(judge(Group(StormSettings()), at(carries=4), *items).joined) == 5
    assert not judge(Group(StormSettings()), at(carries=5), *items).joined


def test_the_worst_keep_messages_of_their_own() -> None:
    """A critical incident passes in the middle of a storm, also one that was part of it until it became critical."""
    stage = Group(StormSettings())
    grown = item(small(2, 2, severity=Severity.CRITICAL), Told(group="storm-x", revision=1))
    still = item(small(3, 2), Told(group="storm-x", revision=1))
    judged = judge(stage, at(storm="storm-x"), item(small(1, severity=Severity.CRITICAL)), grown, still)
    assert [i.incident.incident_id for i in judged.survivors] == ["inc-1", "inc-2"]
    assert [join.item.incident.incident_id for join in judged.joined] == ["inc-3"]


def test_machines_get_each_incident() -> None:
    """A receiver that wants no summaries is sent every incident, and so is everybody when storms are off."""
    items = [item(small(n)) for n in range(50)]
    assert len(judge(Group(StormSettings()), at(summaries=False), *items).survivors) == 50
    assert len(judge(Group(StormSettings(enabled=False)), at(), *items).survivors) == 50


async def test_a_storm_from_beginning_to_end(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """In virtual time: 300 incidents at once are one message that names the worst, changed in place as they end, and
    green when all are over; an incident long afterwards has its own message again."""
    keeper = Keeper(clock, interval_s=1.2)
    async with chain(desk, metrics, clock, [keeper], AlertSettings(page_url="https://f.example")) as running:
        opened_ns = clock.now_ns()
        desk.say("opened", *(small(n) for n in range(300)))
        await pass_time(clock, running.workers, 20, step_s=1)
        assert sum(new for _, _, new in keeper.told) == 1
        _, summary, _ = keeper.told[-1]
        assert summary.title == "300 incidents at once · 45,150 lines down"
        assert "north/ex-299" in summary.text
        assert "and 285 more" in summary.text
        assert keeper.told[0][0] - opened_ns <= 5 * NS
        desk.say("resolved", *(_over(n, clock) for n in range(200)))
        await pass_time(clock, running.workers, 20, step_s=1)
        assert keeper.told[-1][1].title.startswith("100 incidents at once")
        desk.say("resolved", *(_over(n, clock) for n in range(200, 300)))
        await pass_time(clock, running.workers, 20, step_s=1)
        assert (keeper.told[-1][1].over, keeper.told[-1][1].mark) == (True, "🟢")
        assert sum(new for _, _, new in keeper.told) == 1
        assert len(keeper.told) < 12
        await pass_time(clock, running.workers, 130, step_s=5)
        desk.say("opened", small(999))
        await pass_time(clock, running.workers, 5, step_s=1)
    assert keeper.told[-1][1].incident_id == "inc-999"
    assert desk.outbox.waiting("keeper") == 0


async def test_a_storm_goes_on_after_a_restart(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """A new daemon adds to the storm of the old one instead of beginning another."""
    keeper = Keeper(clock)
    async with chain(desk, metrics, clock, [keeper], AlertSettings()) as running:
        desk.say("opened", *(small(n) for n in range(20)))
        await pass_time(clock, running.workers, 10, step_s=1)
    async with chain(desk, Metrics(), clock, [keeper], AlertSettings()) as running:
        desk.say("opened", small(20), small(21))
        await pass_time(clock, running.workers, 10, step_s=1)
    assert sum(new for _, _, new in keeper.told) == 1
    assert keeper.told[-1][1].title.startswith("22 incidents at once")


def _over(n: int, clock: ManualClock) -> Incident:
    return small(n, 2, status=IncidentStatus.RESOLVED, severity=Severity.CLEARED, resolved_ns=clock.now_ns())
