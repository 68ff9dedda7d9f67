"""The stage "silence": quiet until a time, asked for by somebody; what still lasts is told afterwards."""

from typing import Any

import pytest

from alerts.settings import AlertSettings
from alerts.stages import Silenced
from alerts.surroundings import Surroundings
from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import IncidentStatus, Scope, ScopeKind
from monitor.store.silences import Silence, Silences
from tests.alerts.samples import START_NS, Desk, Keeper, incident, pass_time
from tests.alerts.stages.bench import at, chain, item, judge, reasons, told


def silence(kind: str = "element", name: str = "north", **changes: Any) -> Silence:
    values = {"starts_ns": START_NS, "ends_ns": START_NS + 600 * NS, "reason": "known", "by": "Kim", "created_ns": 0}
    return Silence("s1", kind, name, **{**values, **changes})


@pytest.mark.parametrize(
    ("kind", "name", "covered"),
    [
        ("element", "north", True),
        ("element", "north/ex-12/olt-3", True),
        ("element", "nor", False),
        ("group", "north", False),
        ("incident", "inc-1", True),
        ("incident", "inc-2", False),
        ("line", "olt-3", True),  # the last part of a path: how a single line's alert is scoped
        ("all", "", True),
    ],
)
def test_what_a_silence_covers(kind: str, name: str, covered: bool) -> None:
    """An element covers what is under it, an incident itself, all everything; and the stop names who asked for it."""
    judged = judge(Silenced(), at(1, Surroundings(silences=(silence(kind, name),))), item(incident()))
    assert reasons(judged) == (["silenced"] if covered else [])
    assert not covered or "Kim" in judged.stopped[0].detail


def test_begins_and_ends() -> None:
    """Before its beginning, after its end and once it was ended by hand it stops nothing."""
    for seconds, changes, expected in [
        (-1, {}, []),
        (0, {}, ["silenced"]),
        (599, {}, ["silenced"]),
        (600, {}, []),
        (300, {"ended_ns": START_NS + 200 * NS}, []),
    ]:
        there = Surroundings(silences=(silence(**changes),))  # type: ignore[arg-type]
        assert reasons(judge(Silenced(), at(seconds, there), item(incident()))) == expected


def test_an_end_is_always_told() -> None:
    """Updates of a told incident are stopped too, but not its end; an untold one that is over stays unsaid for good."""
    there = Surroundings(silences=(silence(),))
    over = incident("inc-1", 2, status=IncidentStatus.RESOLVED)
    judged = judge(Silenced(), at(1, there), item(incident("inc-1", 2), told()), item(over, told()), item(over))
    assert [stop.until_ns is None for stop in judged.stopped] == [False, True]
    assert [i.is_over for i in judged.survivors] == [True]


async def test_told_when_the_silence_ends(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """In virtual time: nothing while it lasts, one message within seconds of its end, also when it is ended early."""
    keeper = Keeper(clock)
    silences = Silences(desk.store)
    first = silences.add("element", "north", clock.now_ns(), clock.now_ns() + 300 * NS, "x", "Kim")
    async with chain(desk, metrics, clock, [keeper], AlertSettings()) as running:
        desk.say("opened", incident(scope=Scope(ScopeKind.ELEMENT, "north/ex-1")))
        await pass_time(clock, running.workers, 290, step_s=5)
        assert keeper.told == []
        await pass_time(clock, running.workers, 30, step_s=5)
        assert len(keeper.told) == 1
        second = silences.add("all", "", clock.now_ns(), clock.now_ns() + 9000 * NS, "x", "Kim")
        desk.say("opened", incident("inc-2", scope=Scope(ScopeKind.ELEMENT, "south/ex-1")))
        await pass_time(clock, running.workers, 60, step_s=5)
        assert len(keeper.told) == 1
        assert silences.end(second.silence_id, "Ann")
        running.nudge()
        await pass_time(clock, running.workers, 3)
    assert len(keeper.told) == 2
    assert [s.ended_by for s in silences.listed()] == ["", "Ann"]
    assert not silences.end(first.silence_id, "Ann")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("elemnt", "north", 0, 60, "", "Kim"), "scope"),
        (("element", "", 0, 60, "", "Kim"), "name"),
        (("element", "north", 0, 60, "", ""), "author"),
        (("element", "north", 60, 60, "", "Kim"), "before it begins"),
        (("element", "north", -60, -30, "", "Kim"), "past"),
        (("element", "north", 0, 91 * 86400, "", "Kim"), "90 days"),
    ],
)
def test_refused(given: tuple[Any, ...], says: str, desk: Desk) -> None:
    """Without an end, an author, a scope that exists, or for ever: refused, saying why."""
    kind, name, start_s, end_s, reason, by = given
    with pytest.raises(ValueError, match=says):
        Silences(desk.store).add(kind, name, START_NS + start_s * NS, START_NS + end_s * NS, reason, by)
    assert Silences(desk.store).listed() == []
