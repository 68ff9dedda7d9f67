"""The stage "inhibit": a parent speaks for its children, planned work for what it covers; both only while they last."""

from pathlib import Path

from alerts.settings import AlertSettings
from alerts.stages import Inhibit
from alerts.surroundings import Surroundings
from monitor.clock import NS, ManualClock, rfc3339
from monitor.metrics import Metrics
from monitor.records import Event, IncidentKind, IncidentStatus, Scope, ScopeKind, Severity
from monitor.records.events import Subject
from monitor.store.silences import PlannedWork
from tests.alerts.samples import START_NS, Desk, Keeper, incident, pass_time
from tests.alerts.stages.bench import at, chain, item, judge, reasons, told

PARENT = incident("parent", scope=Scope(ScopeKind.ELEMENT, "north/ex-12"))


def around(parent: bool = True) -> Surroundings:
    return Surroundings(outages={"north/ex-12": PARENT}, open={"parent": PARENT}) if parent else Surroundings()


def test_a_child_under_an_open_parent() -> None:
    """Something under a failed element, or named as its part, is stopped with the parent's name; nothing else is."""
    under = item(incident("child"))
    beside = item(incident("other", scope=Scope(ScopeKind.ELEMENT, "north/ex-120/olt-1")))
    part = item(incident("part", scope=Scope(ScopeKind.GROUP, "power:f1"), parent_id="parent"))
    judged = judge(Inhibit(), at(around=around()), under, beside, part, item(PARENT))
    assert reasons(judged) == ["parent", "parent"]
    assert "parent" in judged.stopped[0].detail
    assert [i.incident.incident_id for i in judged.survivors] == ["other", "parent"]


def test_only_before_it_was_told_and_never_for_blindness() -> None:
    """What has a message is told to its end; a blind prober is never somebody else's fault."""
    blind = incident("blind", kind=IncidentKind.SOURCE, parent_id="parent")
    judged = judge(Inhibit(), at(around=around()), item(incident("child", 2), told()), item(blind))
    assert len(judged.survivors) == 2


def test_planned_work_covers_what_lies_under_it() -> None:
    """Announced work on an element or a group stops what it covers, and nothing above it."""
    work = PlannedWork(Subject("element", "north/ex-12"), START_NS, START_NS + NS, "new uplink")
    power = PlannedWork(Subject("group", "f1", "power"), START_NS, START_NS + NS, "")
    there = Surroundings(planned=(work, power))
    above = item(incident("above", scope=Scope(ScopeKind.ELEMENT, "north")))
    group = item(incident("group", scope=Scope(ScopeKind.GROUP, "power:f1")))
    judged = judge(Inhibit(), at(around=there), item(incident()), above, group)
    assert reasons(judged) == ["planned_work", "planned_work"]
    assert "new uplink" in judged.stopped[0].detail
    assert judged.survivors == [above]


async def test_a_child_that_outlives_its_parent(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """In virtual time: one message for the exchange; the splitter that is still dead when it is back gets its own."""
    keeper = Keeper(clock)
    async with chain(desk, metrics, clock, [keeper], AlertSettings()) as running:
        desk.say("opened", PARENT, incident("child", severity=Severity.MINOR))
        await pass_time(clock, running.workers, 60, step_s=2)
        assert [m.incident_id for _, m, _ in keeper.told] == ["parent"]
        over = incident("parent", 2, status=IncidentStatus.RESOLVED, scope=PARENT.scope, resolved_ns=clock.now_ns())
        desk.say("resolved", over)
        await pass_time(clock, running.workers, 30, step_s=2)
    assert [m.incident_id for _, m, new in keeper.told if new] == ["parent", "child"]


async def test_announced_in_the_store(tmp_path: Path, desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """Maintenance that the API has written down holds a message back until it is ended."""
    keeper = Keeper(clock)
    end = rfc3339(START_NS + 3600 * NS)
    desk.store.record_event(
        Event(START_NS - NS, "element:north", "maintenance_start", end, by="Kim", event_id="maintenance:1")
    )
    async with chain(desk, metrics, clock, [keeper], AlertSettings()) as running:
        desk.say("opened", incident())
        await pass_time(clock, running.workers, 60, step_s=2)
        assert keeper.told == []
        desk.store.record_event(
            Event(clock.now_ns(), "element:north", "maintenance_end", "", by="Kim", event_id="maintenance_end:1")
        )
        await pass_time(clock, running.workers, 30, step_s=2)
    assert len(keeper.told) == 1
