"""What no verdict may ever do, whatever the engine's view holds; and that every code has its words."""

import re
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlation import verdict as package
from correlation.verdict import judge
from correlation.verdict.flags import REASONS
from monitor.clock import NS
from monitor.inventory import Inventory, Observability
from monitor.records import (
    Confidence,
    FlagKind,
    IncidentKind,
    IncidentStatus,
    LineState,
    VerdictCode,
)
from monitor.words import LANGUAGES, say
from monitor.words.desk import DESK
from monitor.words.evidence import EVIDENCE
from tests.desk.world import NOW, Scene, load, promised

AGES = st.sampled_from([0, 2, 9, 29, 31, 100, 700, 1900, 40_000, 10_000_000])
SIGNS = st.dictionaries(
    st.sampled_from(
        [
            "cpe_online_ns",
            "cpe_offline_ns",
            "cpe_boot_ns",
            "dying_gasp_ns",
            "los_ns",
            "los_cleared_ns",
            "login_accepted_ns",
            "login_rejected_ns",
            "login_timeout_ns",
            "call_ns",
        ]
    ),
    AGES,
    max_size=4,
)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return load(tmp_path_factory.mktemp("inventory"))


@st.composite
def scenes(draw: st.DrawFn, inventory: Inventory) -> Scene:
    """Any view at all, consistent or not."""
    scene = Scene(inventory)
    for row in range(len(inventory)):
        if draw(st.booleans()):
            scene.state[row] = draw(st.sampled_from(list(LineState)))
            scene.probed[row] = NOW - draw(AGES) * NS
            scene.replied[row] = draw(st.sampled_from([0, int(scene.probed[row]), NOW - 50 * NS, NOW - 5000 * NS]))
            scene.since[row] = draw(st.sampled_from([0, NOW - 60 * NS, NOW - 90_000 * NS]))
    scene.flaps[0] = draw(st.integers(0, 6))
    scene.loss[0] = draw(st.sampled_from([0.0, 0.2, np.nan]))
    scene.rtt[0] = draw(st.sampled_from([8.0, 300.0, np.nan]))
    for row in range(3):
        scene.sign(row, **draw(SIGNS))
    if draw(st.booleans()):
        scene.flag("L000", draw(st.sampled_from(list(FlagKind))), draw(st.sampled_from(["loss", "odd"])), 1.5, "ms")
    for _ in range(draw(st.integers(0, 2))):
        scene.incident(
            draw(st.sampled_from(["element:north", "group:bng:bng-1", "area:52.5,13.4,1", "source:default"])),
            *draw(st.sampled_from([(), (0,), (0, 1, 2)])),
            kind=draw(st.sampled_from(list(IncidentKind))),
            status=draw(st.sampled_from(list(IncidentStatus))),
            cause=draw(st.sampled_from(["element_down", "power_cut"])),
            resolved_ns=draw(st.sampled_from([None, NOW - 30 * NS])),
            etr=draw(st.sampled_from([None, promised(), promised(in_s=-9), promised(source="history")])),
        )
    if draw(st.booleans()):
        scene.blind["default"] = NOW - draw(AGES) * NS
    if draw(st.booleans()):
        scene.resolvers_down["r1"] = NOW - draw(AGES) * NS
    return scene


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_no_verdict_does(inventory: Inventory, data: st.DataObject) -> None:
    """For any view: one answer, in both languages, that never soothes without evidence and never blames alone."""
    scene = data.draw(scenes(inventory))
    observability = data.draw(st.sampled_from(list(Observability)))
    view = scene.view()
    found = judge(view, inventory, 0, NOW, observability)
    assert found == judge(view, inventory, 0, NOW, observability)
    limit = NOW - 30 * NS
    answered = observability is Observability.OBSERVABLE and view.replied_ns[0] >= limit
    if found.code is VerdictCode.NO_FAULT_FOUND:
        assert answered
        assert view.probed_ns[0] >= limit
        assert view.state[0] != LineState.DOWN
        assert all(view.replied_ns[0] > since for since in view.blind.values())
    if found.code in (VerdictCode.KNOWN_OUTAGE, VerdictCode.AREA_POWER_CUT, VerdictCode.OUTAGE_FORMING):
        assert not answered or view.state[0] == LineState.DOWN or view.signs[0].los_ns
    if found.code is VerdictCode.LINE_DOWN_ONLY_HERE:
        siblings = next(e.said.params for e in found.evidence if e.said.code == "seen.siblings")
        assert int(siblings["up"]) >= 3
    if observability is not Observability.OBSERVABLE:
        assert found.code is not VerdictCode.NO_FAULT_FOUND
    assert found.stale == (found.code is VerdictCode.DATA_STALE)
    assert 1 <= len(found.steps) <= 3
    assert found.say
    assert found.do_not
    assert all(e.age_s >= 0 for e in found.evidence)
    assert found.code not in found.also_seen
    order = list(VerdictCode)
    assert [*found.also_seen] == sorted(found.also_seen, key=order.index)
    if found.stale:
        assert found.confidence is Confidence.UNCLEAR
    for coded in (*found.say, *found.steps, *found.do_not, *(e.said for e in found.evidence)):
        for language in LANGUAGES:
            assert "{" not in say(coded, language)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("table", [DESK, EVIDENCE], ids=["desk", "evidence"])
def test_both_languages_say_the_same_things(table: dict[str, tuple[str, str]]) -> None:
    """German and English of a code are there, differ, and use the same parameters."""
    for code, (german, english) in table.items():
        assert german.strip(), code
        assert english.strip(), code
        assert german != english, code
        assert placeholders(german) == placeholders(english), code


def test_every_code_in_the_rules_has_words_and_the_other_way_round() -> None:
    """No rule speaks a code without words, and no words stand that nobody says."""
    source = "".join(p.read_text() for p in Path(package.__file__).parent.glob("*.py"))
    used = set(re.findall(r'"((?:say|step|dont|seen)\.[a-z0-9_.]+)"', source))
    used |= {f"seen.not_observable.{o.name.lower()}" for o in Observability if o}
    used |= {f"seen.flag.{reason}" for reason in REASONS}
    known = {**DESK, **EVIDENCE}
    assert used <= set(known)
    titles = {code for code in known if code.startswith(("verdict.", "confidence.", "disposition."))}
    assert set(known) - used - titles == {"say.report_logged"}
    assert {f"verdict.{code}" for code in VerdictCode} <= titles
    assert {f"confidence.{grade}" for grade in Confidence} <= titles
    assert {
        f"disposition.{d}" for d in re.findall(r'"(resolved_\w+|escalated_l2|dispatch|no_fault)"', source)
    } <= titles
