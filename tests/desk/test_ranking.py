"""The day's list from the store: which calls count, of which moment it is, and that it is made every day."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from monitor.clock import NS, ManualClock, parse_time
from monitor.desk import CallRanking, DeskSettings, Reports
from monitor.metrics import Metrics
from monitor.records import Change, Confidence, Event, Flag, FlagKind, Scope, ScopeKind, Verdict, VerdictCode
from monitor.store.state import StateStore
from tests.correlation.neighbourhood import past
from tests.desk.world import NOW, incident

HOUR_NS = 3600 * NS
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = StateStore(tmp_path / "state.sqlite", ManualClock(NOW))
    yield store
    store.close()


def ranking(state: StateStore, clock: ManualClock | None = None, **options: object) -> CallRanking:
    settings = DeskSettings(**options)  # type: ignore[arg-type]
    return CallRanking(state, clock or ManualClock(NOW), Metrics(), BERLIN, settings)


def raised(line: str, since_h: float, until_h: float | None = None) -> Change:
    """Hours before NOW."""
    begin, end = NOW - int(since_h * HOUR_NS), None if until_h is None else NOW - int(until_h * HOUR_NS)
    return Change(NOW, "flag_raised", flag=Flag(line, FlagKind.UNSTABLE, "loss", 0.08, "ratio", begin, begin, end))


def verdict(line_id: str, incident_id: str = "") -> Verdict:
    return Verdict(VerdictCode.UNSTABLE, Confidence.SURE, NOW, line_id, incident_id=incident_id)


def test_a_list_is_of_four_in_the_morning(state: StateStore) -> None:
    """What was known at the last `ranking_at`: a later flag is not on it, and a restart makes the same list again."""
    made = ranking(state)
    at_ns = made.moment(NOW)
    assert 0 <= NOW - at_ns < 24 * HOUR_NS
    before_h = (NOW - at_ns) / HOUR_NS
    state.apply(1, [raised("L1", before_h + 5), raised("L2", before_h + 2, before_h - 0.1), raised("L3", before_h - 1)])
    first = made.make(NOW)
    assert (first.at_ns, [(one.line_id, one.open, one.rank) for one in first.lines]) == (
        at_ns,
        [("L1", True, 1), ("L2", True, 2)],
    )
    state.apply(2, [raised("L1", before_h + 5, before_h - 2)])  # it ended after the list was made
    assert ranking(state).make(NOW + HOUR_NS) == first
    assert made.places() == {"L1": 1, "L2": 2}


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-11-26T03:00:00Z", "2026-11-26T03:00:00Z"),
        ("2026-11-26T02:59:59Z", "2026-11-25T03:00:00Z"),
        ("2026-03-29T10:00:00Z", "2026-03-29T02:00:00Z"),  # the night had an hour less
        ("2026-10-25T02:30:00Z", "2026-10-24T02:00:00Z"),
    ],
)
def test_the_moment_is_local(state: StateStore, now: str, moment: str) -> None:
    """Four o'clock in Berlin, summer and winter, also on the days between."""
    assert ranking(state).moment(parse_time(now)) == parse_time(moment)


def test_a_young_network_is_listed_as_of_now(state: StateStore) -> None:
    """Nothing was known in the morning: what is known now is better than an empty list for a day."""
    state.apply(1, [raised("L1", 0.5)])
    made = ranking(state).make(NOW)
    assert (made.at_ns, [one.line_id for one in made.lines]) == (NOW, ["L1"])
    assert made.basis.reason == "few_calls"


def test_calls_that_count(state: StateStore) -> None:
    """Reports and `call` events of other systems count, once a line and day; those an incident explained do not, by the
    report's own word or by the line's incident of that time."""
    reports = Reports(state)
    for n, incident_id in enumerate(("", "INC-1")):
        for _ in range(2):
            reports.add(verdict(f"L{n}", incident_id), NOW - HOUR_NS, "anna", "slow")
    for n, at_ns in ((2, NOW - 2 * HOUR_NS), (3, NOW - 2 * HOUR_NS), (3, NOW - 50 * HOUR_NS)):
        state.record_event(Event(at_ns, f"L{n}", "call", event_id=f"crm:{n}:{at_ns}"))
    state.record_event(Event(NOW - HOUR_NS, "L4", "cpe_boot", event_id="boot"))
    outage = incident(Scope(ScopeKind.ELEMENT, "north"), started_ns=NOW - 3 * HOUR_NS)
    state.apply(1, [Change(NOW, "opened", outage, lines_added=("L3",))])
    assert sorted(ranking(state)._calls(0)) == sorted(
        [("L0", NOW - HOUR_NS), ("L0", NOW - HOUR_NS), ("L2", NOW - 2 * HOUR_NS), ("L3", NOW - 50 * HOUR_NS)]
    )
    assert ranking(state).make(NOW).basis.calls == 3


def test_a_model_learned_from_the_store(state: StateStore) -> None:
    """Ninety recorded days: the model takes over, and the list says by how much it was better."""
    flags, calls = past(lines=400)
    state.apply(1, [Change(f.detected_ns, "flag_raised", flag=f) for f in flags])
    for n, (line, at_ns) in enumerate(calls):
        state.record_event(Event(at_ns, line, "call", event_id=f"crm:{n}"))
    made = ranking(state).make(NOW)
    assert (made.basis.method, made.basis.reason) == ("model", "better")
    assert made.lines[0].chance is not None
    assert [one.rank for one in made.lines] == list(range(1, made.listed + 1))
    short = ranking(state, ranking_history_days=28).make(NOW)
    assert (short.basis.method, short.basis.reason) == ("score", "few_calls")


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited for 20 s")


async def test_made_at_the_start_and_every_day(state: StateStore) -> None:
    """One at once; while nobody is to be listed again every ten minutes; a store that fails leaves the list before and
    is a trouble until it works again."""
    clock = ManualClock(NOW)
    metrics = Metrics()
    made = CallRanking(state, clock, metrics, BERLIN)
    task = asyncio.create_task(made.run())
    await until(lambda: made.newest is not None)
    assert made.newest is not None
    assert made.newest.lines == ()
    state.apply(1, [raised("L1", 0.5)])
    for _ in range(15):
        await clock.advance(60.0)
    await until(lambda: made.newest is not None and len(made.newest.lines) == 1)
    task.cancel()
    good = made.newest
    works = state.flags
    state.flags = None  # type: ignore[assignment,method-assign]
    await made._renew()
    assert made.newest is good
    assert [t.name for t in metrics.troubles.current()] == ["ranking"]
    state.flags = works  # type: ignore[method-assign]
    await made._renew()
    assert metrics.troubles.current() == []


@pytest.mark.parametrize("wrong", [{"ranking_at": "4:00"}, {"ranking_at": "24:00"}, {"ranking_history_days": 7}])
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    """Refused with the setting's name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DeskSettings(**wrong)  # type: ignore[arg-type]
