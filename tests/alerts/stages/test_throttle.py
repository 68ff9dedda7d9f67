"""The stage "throttle": a limit an hour, and quiet for what goes up and down; nothing is lost by either."""

from alerts.settings import AlertSettings, StormSettings
from alerts.stages import Throttle
from alerts.stages.throttle import FLAPS, FLAPS_S
from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import IncidentStatus, Scope, ScopeKind, Severity
from tests.alerts.samples import START_NS, Desk, Keeper, incident, pass_time
from tests.alerts.stages.bench import at, chain, item, judge, reasons, told

SPENT = tuple(START_NS - minute * 60 * NS for minute in (50, 20, 10))


def test_an_hourly_limit() -> None:
    """At the limit a new message waits until the oldest is an hour old; a critical one does not, an update neither."""
    moment = at(most_per_hour=3, spent_ns=SPENT)
    critical = item(incident("c", severity=Severity.CRITICAL))
    judged = judge(Throttle(), moment, item(incident()), critical, item(incident("u", 2, lines_down=7), told()))
    assert reasons(judged) == ["hourly_limit"]
    assert judged.stopped[0].until_ns == START_NS + 10 * 60 * NS
    assert [i.incident.incident_id for i in judged.survivors] == ["c", "u"]
    assert not judge(Throttle(), at(601, most_per_hour=3, spent_ns=SPENT), item(incident())).stopped
    assert not judge(Throttle(), at(most_per_hour=0, spent_ns=SPENT * 100), item(incident())).stopped


def test_where_every_change_is_a_message() -> None:
    """For mail and SMS the news of what was told counts against the limit too."""
    moment = at(most_per_hour=3, spent_ns=SPENT, in_place=False)
    over = incident("inc-1", 2, status=IncidentStatus.RESOLVED, resolved_ns=START_NS)
    assert reasons(judge(Throttle(), moment, item(over, told(), "resolved"))) == ["hourly_limit"]


def test_flapping_is_quietened() -> None:
    """Opened again often within half an hour: its message changes without news, a mail waits until it is calm."""
    flaps = tuple(START_NS - minute * 60 * NS for minute in (20, 10, 5))
    assert len(flaps) == FLAPS
    again = item(incident("inc-1", 9, reopened=4), told(reopened=3, reopened_ns=flaps))
    assert again.message.news
    changed = judge(Throttle(), at(), again)
    assert changed.survivors[0].message.news == ()
    held = judge(Throttle(), at(in_place=False), again)
    assert reasons(held) == ["flapping"]
    assert held.stopped[0].until_ns == flaps[0] + int(FLAPS_S * NS)
    assert not judge(Throttle(), at(700, in_place=False), again).stopped


async def test_a_flapping_incident_in_the_chain(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """In virtual time: forty times down and up within two hours are a handful of mails, the last of them the truth."""
    mail = Keeper(clock, "email", update_s=60.0)
    mail.in_place = False
    revision = 0
    async with chain(desk, metrics, clock, [mail], AlertSettings()) as running:
        for cycle in range(40):
            for status in (IncidentStatus.OPEN, IncidentStatus.RESOLVED):
                revision += 1
                at_ns = clock.now_ns()
                what = "reopened" if revision > 1 else "opened"
                state = incident("inc-1", revision, status=status, reopened=cycle, updated_ns=at_ns)
                desk.say(what if status is IncidentStatus.OPEN else "resolved", state)
                await pass_time(clock, running.workers, 90, step_s=15)
        await pass_time(clock, running.workers, 2000, step_s=20)
    assert len(mail.told) <= 22
    assert mail.told[-1][1].over
    assert desk.outbox.waiting("email") == 0


async def test_what_is_over_the_limit_is_told_later(desk: Desk, metrics: Metrics, clock: ManualClock) -> None:
    """In virtual time: twelve incidents, ten messages an hour: the last two come in the second hour, none is lost."""
    keeper = Keeper(clock, interval_s=0.0)
    keeper.most_per_hour = 10
    async with chain(desk, metrics, clock, [keeper], AlertSettings(storm=StormSettings(enabled=False))) as running:
        for n in range(12):
            desk.say("opened", incident(f"inc-{n}", scope=Scope(ScopeKind.ELEMENT, f"r/ex-{n}")))
        await pass_time(clock, running.workers, 600, step_s=60)
        assert len(keeper.told) == 10
        await pass_time(clock, running.workers, 3400, step_s=100)
    assert len(keeper.told) == 12
