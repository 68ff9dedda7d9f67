"""The stages "kinds", "dedup" and "pace" on their own; the chain's tests show them together."""

import pytest

from alerts.settings import AlertSettings
from alerts.stages import Dedup, Kinds, Pace
from monitor.clock import NS
from monitor.records import IncidentKind, IncidentStatus, Severity
from tests.alerts.samples import START_NS, incident
from tests.alerts.stages.bench import at, item, judge, reasons, told


@pytest.mark.parametrize(
    ("changes", "what", "reason"),
    [
        ({"status": IncidentStatus.SUSPECTED}, "suspected", "suspected"),
        ({"kind": IncidentKind.PLANNED}, "opened", "planned"),
        ({"status": IncidentStatus.RESOLVED}, "withdrawn", "withdrawn"),
        ({"status": IncidentStatus.RESOLVED}, "resolved", "over_untold"),
        ({"lines_affected": 1}, "opened", "few_lines"),
        ({"severity": Severity.WARNING}, "opened", "severity"),
    ],
)
def test_kinds(changes: dict[str, object], what: str, reason: str) -> None:
    """What is not worth a message has a named reason; told before, it would pass."""
    stage = Kinds(AlertSettings().kinds, 2, Severity.MINOR)
    assert reasons(judge(stage, at(), item(incident(**changes), what=what))) == [reason]
    assert not judge(stage, at(), item(incident(revision=2, **changes), told(), what)).stopped


def test_dedup() -> None:
    """A told revision, one that looks the same, and one without news for a mail: each its own reason."""
    fresh = item(incident())
    seen = told(digest=fresh.message.digest)
    assert not judge(Dedup(), at(), fresh).stopped
    assert reasons(judge(Dedup(), at(), item(incident(), seen))) == ["already_told"]
    assert reasons(judge(Dedup(), at(), item(incident(revision=2), seen))) == ["looks_the_same"]
    assert reasons(judge(Dedup(), at(in_place=False), item(incident(revision=2, lines_down=9), seen))) == ["no_news"]


def test_pace() -> None:
    """A change waits for the interval to pass; a clock set back silences nobody."""
    change = item(incident(revision=2), told(at_ns=START_NS))
    assert judge(Pace(), at(4), change).stopped[0].until_ns == START_NS + 5 * NS
    assert not judge(Pace(), at(5), change).stopped
    assert not judge(Pace(), at(-3600), change).stopped
