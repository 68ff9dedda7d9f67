"""The stage "route": who an incident is for, by whatever can be asked of it, and who is told when nobody acts."""

from typing import Any

import pytest

from alerts.message import Fact
from alerts.settings import AlertSettings
from alerts.settings_routes import RouteSettings, parse_hours, scope_matches
from alerts.stages import Route
from alerts.surroundings import Surroundings
from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import IncidentKind, IncidentStatus, Scope, ScopeKind, Severity
from tests.alerts.samples import START_NS, ZONE, Desk, Keeper, incident, pass_time
from tests.alerts.stages.bench import at, chain, item, judge, reasons, settings, told

HOOKS = [
    {"name": name, "url": f"https://{name}.example/", "secret_env": "X"} for name in ("day", "night", "boss", "sms")
]


def routed(*routes: dict[str, Any], **more: Any) -> AlertSettings:
    default = {"name": "rest", "default": True, "receivers": ["webhook:day"]}
    return settings(webhooks=HOOKS, routes=[*routes, default], **more)


def told_to(given: AlertSettings, receiver: str, seconds: float = 0.0, **changes: Any) -> list[str]:
    """The reasons why not; empty: it passes."""
    stage = Route(given, ZONE)
    return reasons(judge(stage, at(seconds, receiver=f"webhook:{receiver}"), item(incident(**changes))))


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ({"scopes": ["north"]}, {}, {"scope": Scope(ScopeKind.ELEMENT, "northern/ex-1")}),
        ({"scopes": ["*/ex-12"]}, {}, {"scope": Scope(ScopeKind.ELEMENT, "north/ex-1")}),
        (
            {"scopes": ["group:power:*"]},
            {"scope": Scope(ScopeKind.GROUP, "power:feeder-9")},
            {"scope": Scope(ScopeKind.GROUP, "bng:bng-1")},
        ),
        ({"min_severity": "major"}, {}, {"severity": Severity.MINOR}),
        ({"kinds": ["resolver"]}, {"kind": IncidentKind.RESOLVER}, {}),
        ({"min_lines": 100}, {}, {"lines_affected": 99}),
        ({"team": "n"}, {}, {"scope": Scope(ScopeKind.ELEMENT, "south/ex-1")}),
    ],
)
def test_each_condition_decides(condition: dict[str, Any], yes: dict[str, Any], no: dict[str, Any]) -> None:
    """What meets a route's condition goes to its receivers and to nobody else; the rest goes to the default."""
    given = routed(
        {"name": "r", "receivers": ["webhook:night"], **condition}, teams=[{"name": "n", "scopes": ["north"]}]
    )
    assert told_to(given, "night", **yes) == []
    assert told_to(given, "day", **yes) == ["other_route"]
    assert told_to(given, "night", **no) == ["other_route"]
    assert told_to(given, "day", **no) == []


def test_go_on_tells_later_routes_too() -> None:
    """A route that goes on lets the routes behind it match as well."""
    given = routed({"name": "r", "receivers": ["webhook:boss"], "go_on": True})
    assert told_to(given, "boss") == told_to(given, "day") == []


def test_time_of_day_across_midnight() -> None:
    """START_NS is Tuesday, 23:13 in Berlin: the night route of Tuesday holds until seven, then the default."""
    given = routed({"name": "n", "receivers": ["webhook:night"], "hours": "18:00-07:00", "days": ["tue"]})
    hours = 3600
    assert [told_to(given, "night", h * hours) for h in (0, 7, 8, 23.5)] == [[], [], ["other_route"], ["other_route"]]
    assert told_to(given, "day", 8 * hours) == []
    stop = judge(Route(given, ZONE), at(8 * hours, receiver="webhook:night"), item(incident())).stopped[0]
    assert stop.until_ns is not None  # it still lasts when the night begins: then it is told


def test_escalates_only_when_nobody_acknowledges() -> None:
    """The next route is told when its time has come, not before, never after an acknowledgement or the end; the one
    after it later still; and the message says why."""
    given = routed(
        {"name": "a", "receivers": ["webhook:night"], "escalate_to": "b", "escalate_after_s": 600, "min_lines": 1},
        {"name": "b", "receivers": ["webhook:boss"], "kinds": ["source"], "escalate_to": "c", "escalate_after_s": 300},
        {"name": "c", "receivers": ["webhook:sms"], "kinds": ["source"]},
    )
    assert told_to(given, "boss", 599) == ["waits_for_ack"]
    assert told_to(given, "boss", 600) == []
    assert told_to(given, "sms", 899) == ["waits_for_ack"]
    assert told_to(given, "sms", 900) == []
    assert told_to(given, "boss", 601, acked_by="Kim") == ["acknowledged"]
    assert told_to(given, "boss", 601, status=IncidentStatus.RESOLVED) == ["over_before_escalation"]
    judged = judge(Route(given, ZONE, Fact("x", "nobody took it")), at(601, receiver="webhook:boss"), item(incident()))
    assert judged.survivors[0].message.facts[0].value == "nobody took it"
    waits = judge(Route(given, ZONE), at(10, receiver="webhook:boss"), item(incident())).stopped[0]
    assert waits.until_ns == START_NS + 600 * NS


def test_out_of_band_only_while_the_others_fail() -> None:
    """The receiver for when the rest is behind the outage is told once all of them have been failing for a minute."""
    given = routed(
        {"name": "r", "receivers": ["webhook:day", "webhook:night"], "out_of_band": ["webhook:sms"], "min_lines": 1}
    )
    stage = Route(given, ZONE)

    def why(seconds: float, *failing: str) -> list[str]:
        around = Surroundings(failing=dict.fromkeys(failing, START_NS))
        return reasons(judge(stage, at(seconds, around, "webhook:sms"), item(incident())))

    assert why(100) == why(100, "webhook:day") == ["main_route_works"]
    assert why(30, "webhook:day", "webhook:night") == ["main_route_works"]
    assert why(61, "webhook:day", "webhook:night") == []


def test_what_was_told_is_told_to_its_end() -> None:
    """Who has the message gets its changes whatever the routes say by then."""
    given = routed({"name": "r", "receivers": ["webhook:boss"], "min_lines": 1})
    judged = judge(Route(given, ZONE), at(receiver="webhook:day"), item(incident(revision=2), told()))
    assert len(judged.survivors) == 1


async def test_escalation_survives_in_the_chain(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """In virtual time: the first receiver at once, the second ten minutes later to the second, and not again."""
    day, boss = Keeper(clock, "webhook:day"), Keeper(clock, "webhook:boss")
    given = settings(
        webhooks=HOOKS,
        routes=[
            {"name": "d", "default": True, "receivers": ["webhook:day"], "escalate_to": "b", "escalate_after_s": 600},
            {"name": "b", "receivers": ["webhook:boss"]},
        ],
    )
    async with chain(desk, metrics, clock, [day, boss], given) as running:
        desk.say("opened", incident(detected_ns=clock.now_ns()))
        opened_ns = clock.now_ns()
        await pass_time(clock, running.workers, 590, step_s=10)
        assert (len(day.told), len(boss.told)) == (1, 0)
        await pass_time(clock, running.workers, 60, step_s=5)
    assert len(boss.told) == 1
    assert 600 <= (boss.told[0][0] - opened_ns) / NS <= 610


def test_hours_and_patterns() -> None:
    """Nonsense in hours is refused; a pattern for elements says nothing about groups."""
    assert parse_hours("22:00-06:30") == (1320, 390)
    for wrong in ("25:00-26:00", "9-17", "09:00-24:30", ""):
        with pytest.raises(ValueError, match="hours"):
            parse_hours(wrong)
    assert not scope_matches("north", Scope(ScopeKind.GROUP, "north"))
    assert RouteSettings("x", hours="00:00-24:00").open_at(START_NS, ZONE)
