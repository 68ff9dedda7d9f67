"""The verdict for one line: each rule on a painted view, and the order in which they win."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from correlation.verdict import RULES, AtHome, judge, unclear
from monitor.clock import NS
from monitor.inventory import Inventory, Observability
from monitor.records import (
    Confidence,
    IncidentKind,
    LineState,
    Scope,
    ScopeKind,
    Verdict,
    VerdictCode,
)
from monitor.words import LANGUAGES, say
from tests.correlation.situations import CASES, outage, outage_but_up, radius_silent, resolver_down, silent_alone
from tests.desk.world import NOW, Scene, load, promised

OLT, PON = "north/ex-1/olt-1", "north/ex-1/olt-1/pon-1"
V = VerdictCode


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return load(tmp_path_factory.mktemp("inventory"))


@pytest.fixture
def scene(inventory: Inventory) -> Scene:
    return Scene(inventory)


def verdict(scene: Scene, line: int = 0, observability: int = 0) -> Verdict:
    found = judge(scene.view(), scene.inventory, line, scene.now_ns, observability)
    for coded in (*found.say, *found.steps, *found.do_not, *(e.said for e in found.evidence)):
        for language in LANGUAGES:
            assert say(coded, language)
    return found


def seen(found: Verdict) -> set[str]:
    return {e.said.code for e in found.evidence}


# Each paints one situation around line 0 and names the verdict it must get.


@pytest.mark.parametrize(("paint", "expected"), CASES, ids=[paint.__name__ for paint, _ in CASES])
def test_situation(scene: Scene, paint: Callable[[Scene], None], expected: VerdictCode) -> None:
    """Each situation gets its verdict, with a sentence to say, evidence, and one to three steps."""
    paint(scene)
    found = verdict(scene)
    assert found.code is expected
    assert found.say
    assert found.evidence
    assert 1 <= len(found.steps) <= 3
    assert found.do_not
    assert found.disposition


UNPLUGGED = {V.DATA_STALE, V.ACCOUNT_SUSPENDED, V.NOT_YET_ACTIVATED, V.NOT_OBSERVABLE}


@pytest.mark.parametrize("paint", [paint for paint, _ in CASES], ids=[paint.__name__ for paint, _ in CASES])
def test_who_has_no_line_is_reminded_of_the_emergency_number(scene: Scene, paint: Callable[[Scene], None]) -> None:
    """Whatever the reason: the phone is as dead as the line, so 112 by mobile is said; to others not."""
    paint(scene)
    found = verdict(scene)
    reminded = "say.emergency_call" in {coded.code for coded in found.say}
    if "seen.no_reply" in seen(found) and scene.state[0] == LineState.DOWN and found.code not in UNPLUGGED:
        assert reminded
    if found.code in {V.NO_FAULT_FOUND, V.SLOW_VS_BASELINE, V.UNSTABLE, V.CPE_FAULT, V.DNS_FAULT, V.WIFI_ONLY}:
        assert not reminded


def test_every_verdict_is_reached() -> None:
    """No code of today's evidence lacks a situation in the table above, or a test below."""
    elsewhere = {V.IDENTITY_UNCLEAR, V.ACCOUNT_SUSPENDED, V.NOT_YET_ACTIVATED, V.WIFI_ONLY}
    assert {expected for _, expected in CASES} | elsewhere == set(VerdictCode)


def test_rules_stand_in_the_order_of_the_codes() -> None:
    """The priority written in VerdictCode is the one that is applied."""
    order = list(VerdictCode)
    ranks = [order.index(code) for code, _ in RULES]
    assert ranks == sorted(ranks)
    assert {V.IDENTITY_UNCLEAR} == set(order) - {code for code, _ in RULES}


@pytest.mark.parametrize(
    ("status", "expected"), [("suspended", V.ACCOUNT_SUSPENDED), ("not_yet_active", V.NOT_YET_ACTIVATED)]
)
def test_account_comes_before_the_network(tmp_path: Path, status: str, expected: VerdictCode) -> None:
    """A line that is not in service is answered by its account, although it is silent."""
    scene = Scene(load(tmp_path, {"L000": {"status": status}}))
    scene.down(0)
    scene.probed[0] = 0
    found = verdict(scene, 0, Observability.NOT_ACTIVE)
    assert found.code is expected
    assert found.confidence is Confidence.SURE


@pytest.mark.parametrize("reason", [r for r in Observability if r is not Observability.OBSERVABLE])
def test_a_line_that_cannot_be_measured_is_never_fine(scene: Scene, reason: Observability) -> None:
    """Whatever its last state was: without an address of its own the line is not observable."""
    assert verdict(scene, 0, reason).code is V.NOT_OBSERVABLE


def test_a_line_that_cannot_be_measured_shares_the_known_outage(scene: Scene) -> None:
    """Under a failed element it is told the outage, but not as surely as a line that was seen to fall."""
    scene.down(*range(1, 8))
    scene.incident(f"element:{PON}", *range(1, 8))
    found = verdict(scene, 0, Observability.NO_ADDRESS)
    assert found.code is V.KNOWN_OUTAGE
    assert found.confidence is Confidence.LIKELY
    assert V.NOT_OBSERVABLE in found.also_seen


@pytest.mark.parametrize(("for_s", "before"), [(7200.0, True), (300.0, False)])
def test_a_line_that_was_down_before_the_outage_is_not_surely_its(scene: Scene, for_s: float, before: bool) -> None:
    """It lies under the failed element but is not one of those that fell with it: the outage is told, and that there
    may be more behind it."""
    scene.down(*range(1, 8))
    scene.down(0, for_s=for_s)
    scene.incident(f"element:{PON}", *range(1, 8))
    found = verdict(scene)
    assert found.code is V.KNOWN_OUTAGE
    assert ("seen.down_before_outage" in seen(found)) is before
    assert found.confidence is (Confidence.UNCLEAR if before else Confidence.LIKELY)
    assert (found.steps[-1].code == "step.check_again") is before


def test_a_line_that_cannot_be_measured_is_stale_when_nothing_is(scene: Scene) -> None:
    """Without any fresh probe anywhere, there is no statement about it either."""
    scene.probed[:] = scene.replied[:] = NOW - 3600 * NS
    assert verdict(scene, 0, Observability.NO_ADDRESS).code is V.DATA_STALE


def test_a_refused_login_speaks_for_a_line_without_address(scene: Scene) -> None:
    """The session ended, so it cannot be pinged, but its login attempts say what is wrong."""
    scene.sign(0, login_rejected_ns=30, login_reason="account blocked")
    found = verdict(scene, 0, Observability.RELEASED)
    assert found.code is V.LOGIN_FAILED
    assert V.NOT_OBSERVABLE in found.also_seen
    assert found.say[0].code == "say.login_blocked"


def test_outage_that_this_line_does_not_share_is_also_seen(scene: Scene) -> None:
    """A line that answers is not told the outage next door, but the agent sees that there is one."""
    outage_but_up(scene)
    found = verdict(scene)
    assert found.also_seen == (V.KNOWN_OUTAGE,)
    assert found.incident_id == ""


def test_known_outage_says_since_when_how_far_and_until(scene: Scene) -> None:
    """Incident, scope, begin and the NOC's promise are in the answer."""
    scene.down(*range(8))
    made = scene.incident(f"element:{PON}", *range(8), etr=promised())
    found = verdict(scene)
    assert (found.incident_id, found.scope) == (made.incident_id, Scope(ScopeKind.ELEMENT, PON))
    assert found.since_ns == made.started_ns
    assert found.confidence is Confidence.SURE
    assert [s.code for s in found.say] == [
        "say.known_outage",
        "say.etr_promised",
        "say.nothing_to_do",
        "say.emergency_call",
    ]
    assert "dont.reset_router" in {c.code for c in found.do_not}
    assert found.steps[0].code == "step.log_report"


@pytest.mark.parametrize(
    ("source", "in_s", "code"),
    [("noc", 3600, "say.etr_promised"), ("history", 3600, "say.etr_usual"), ("noc", -60, "say.no_etr")],
)
def test_only_the_noc_promises_a_time(scene: Scene, source: str, in_s: float, code: str) -> None:
    """An estimate reads "usually within"; a promise that has passed is not repeated."""
    scene.down(*range(8))
    scene.incident(f"element:{PON}", *range(8), etr=promised(in_s=in_s, source=source))
    assert verdict(scene).say[1].code == code


def test_only_here_needs_three_observable_siblings_up(scene: Scene) -> None:
    """Siblings that cannot be measured, or whose probes are old, count neither as up nor in the total."""
    scene.down(0)
    scene.state[4:8] = LineState.UNKNOWN
    found = verdict(scene)
    siblings = next(e for e in found.evidence if e.said.code == "seen.siblings")
    assert siblings.said.params == {"up": 3, "total": 3, "element": PON}
    assert found.confidence is Confidence.SURE
    scene.probed[1] = NOW - 3600 * NS
    wider = next(e for e in verdict(scene).evidence if e.said.code == "seen.siblings")
    assert wider.said.params["element"] == OLT


def test_neighbours_long_down_do_not_make_an_outage(scene: Scene) -> None:
    """Modems that were off since last night are no sign of a common cause now, unless most of them are off."""
    scene.down(0)
    scene.down(1, 2, 3, for_s=9 * 3600)
    assert verdict(scene).code is V.LINE_DOWN_ONLY_HERE
    scene.down(4, 5, for_s=9 * 3600)
    found = verdict(scene)
    assert (found.code, found.confidence) == (V.OUTAGE_FORMING, Confidence.UNCLEAR)


def test_only_here_compares_further_up_when_there_are_few(scene: Scene) -> None:
    """With two neighbours up and one off, the comparison is made with the whole OLT."""
    scene.down(0)
    scene.down(1, for_s=9 * 3600)
    scene.state[4:8] = LineState.UNKNOWN
    found = verdict(scene)
    assert found.code is V.LINE_DOWN_ONLY_HERE
    wider = next(e for e in found.evidence if e.said.code == "seen.siblings")
    assert wider.said.params["element"] == OLT


def test_outage_never_shows_as_this_line_only(scene: Scene) -> None:
    """An old outage, whose neighbours fell long ago, is not contradicted under "also seen"."""
    scene.down(*range(8), for_s=7200)
    scene.incident(f"element:{PON}", *range(8), started_ns=NOW - 7200 * NS)
    assert V.LINE_DOWN_ONLY_HERE not in verdict(scene).also_seen


def test_silence_is_less_sure_than_down(scene: Scene) -> None:
    """Misses that the engine has not judged yet give an unclear verdict."""
    silent_alone(scene)
    assert verdict(scene).confidence is Confidence.UNCLEAR


def test_answer_to_a_live_probe_makes_the_outage_less_sure(scene: Scene) -> None:
    """An outage holds the line, but it has just answered: the evidence says so."""
    outage(scene)
    scene.replied[0] = scene.probed[0]
    scene.rtt[0] = 9.0
    found = verdict(scene)
    assert found.code is V.KNOWN_OUTAGE
    assert "seen.replied_rtt" in seen(found)


def test_resolver_fault_is_sure_only_if_the_line_has_no_other(tmp_path: Path) -> None:
    """With a second resolver that works it is likely; without any told resolver it is unclear."""
    two = Scene(load(tmp_path, {"L000": {"groups": "resolver:r1;resolver:r2"}}))
    two.resolvers_down["r1"] = NOW - 60 * NS
    assert verdict(two).confidence is Confidence.LIKELY
    two.resolvers_down["r2"] = NOW - 60 * NS
    assert verdict(two).confidence is Confidence.SURE
    none = Scene(load(tmp_path, {f"L{n:03d}": {"groups": ""} for n in range(20)}))
    none.resolvers_down["r1"] = NOW - 60 * NS
    assert verdict(none).confidence is Confidence.UNCLEAR


def test_resolver_incident_is_linked(scene: Scene) -> None:
    """The incident of the resolver is named, so that the report can be linked to it."""
    resolver_down(scene)
    made = scene.incident("group:resolver:r1", kind=IncidentKind.RESOLVER)
    assert verdict(scene).incident_id == made.incident_id


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("authentication failed", "say.login_failed"),
        ("session already open", "say.login_double"),
        ("account blocked", "say.login_blocked"),
        ("", "say.login_failed"),
    ],
)
def test_login_reasons(scene: Scene, reason: str, code: str) -> None:
    """Each reason of a refused login leads to its own sentence."""
    scene.down(0)
    scene.sign(0, login_rejected_ns=30, login_reason=reason)
    assert verdict(scene).say[0].code == code


def test_login_without_answer_is_the_networks_fault(scene: Scene) -> None:
    """A silent RADIUS server is reported to the NOC, and the customer is not asked for access data."""
    radius_silent(scene)
    found = verdict(scene)
    assert found.say[0].code == "say.login_timeout"
    assert found.disposition == "escalated_l2"


def test_view_of_another_generation_gives_no_statement(scene: Scene) -> None:
    """While a reload is under way, rows of the old inventory are not read as lines of the new one."""
    view = scene.view()
    object.__setattr__(view, "generation", 7)
    assert judge(view, scene.inventory, 0, NOW).code is V.DATA_STALE


def test_never_learned_values_are_not_slow(scene: Scene) -> None:
    """NaN, a baseline that is not learned yet, makes no line slow."""
    scene.state[0] = LineState.DEGRADED
    scene.baseline[0] = np.nan
    scene.rtt[0] = 500.0
    assert V.SLOW_VS_BASELINE not in (verdict(scene).code, *verdict(scene).also_seen)


@pytest.mark.parametrize("matches", [0, 3])
def test_unclear_identity_holds_nothing_of_a_customer(matches: int) -> None:
    """No or several matches: an answer without line, incident or scope."""
    found = unclear(NOW, matches)
    assert found.code is V.IDENTITY_UNCLEAR
    assert (found.line_id, found.incident_id, found.scope) == ("", "", None)
    assert bool(found.do_not) == bool(matches)  # without candidates there is nothing to read out
    for coded in (*found.say, *found.steps, *found.do_not, *(e.said for e in found.evidence)):
        assert say(coded, "de") != say(coded, "en")


def test_same_input_same_answer(scene: Scene) -> None:
    """The verdict is a pure function of what it is given."""
    outage(scene)
    assert verdict(scene) == verdict(scene)


@pytest.mark.parametrize(
    ("at_home", "code", "confidence"),
    [
        (AtHome(), V.NO_FAULT_FOUND, Confidence.SURE),
        (AtHome(wired_works=True), V.WIFI_ONLY, Confidence.LIKELY),
        (AtHome(wifi_rssi_dbm=-82.0, wifi_ns=NOW - 60 * NS), V.WIFI_ONLY, Confidence.UNCLEAR),
        (AtHome(True, -82.0, NOW - 60 * NS), V.WIFI_ONLY, Confidence.SURE),
        (AtHome(False, -82.0, NOW - 60 * NS), V.NO_FAULT_FOUND, Confidence.SURE),
        (AtHome(wifi_rssi_dbm=-60.0, wifi_ns=NOW - 60 * NS), V.NO_FAULT_FOUND, Confidence.SURE),
        (AtHome(wifi_rssi_dbm=-82.0, wifi_ns=NOW - 7200 * NS), V.NO_FAULT_FOUND, Confidence.SURE),
    ],
)
def test_wifi_needs_evidence_from_home(scene: Scene, at_home: AtHome, code: V, confidence: Confidence) -> None:
    """Wi-Fi is blamed for what was seen at home: a cable that works, or a weak signal of late; never without it."""
    verdict = judge(scene.view(), scene.inventory, 0, NOW, at_home=at_home)
    assert (verdict.code, verdict.confidence) == (code, confidence)
    if code is V.WIFI_ONLY:
        assert {e.source for e in verdict.evidence} & {"customer", "cpe"}
        assert any(e.said.code.startswith("seen.replied") for e in verdict.evidence)


def test_wifi_is_never_blamed_for_a_line_that_does_not_answer(scene: Scene) -> None:
    """Down, stale or not measurable: what works at home changes nothing."""
    home = AtHome(True, -82.0, NOW - 60 * NS)
    scene.down(0)
    assert judge(scene.view(), scene.inventory, 0, NOW, at_home=home).code is V.LINE_DOWN_ONLY_HERE
    assert judge(scene.view(), scene.inventory, 1, NOW, Observability.NO_ADDRESS, home).code is V.NOT_OBSERVABLE
    assert judge(scene.view(), scene.inventory, 1, NOW + 600 * NS, at_home=home).code is V.DATA_STALE
