"""The NOC's work on the page, in both languages and by keyboard alone: an incident's life, planned work, flags."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from monitor.api.labels import LABELS
from monitor.clock import NS
from monitor.records import Change, Coded, Etr, FlagKind, IncidentStatus, Note, Scope, ScopeKind
from monitor.words import LANGUAGES
from tests.api.browsing import CHROMIUM, browser, page
from tests.api.conftest import Provider
from tests.api.test_page_views import mistakes
from tests.desk.world import NOW, incident

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed (apt-get install chromium)"),
]
PON = Scope(ScopeKind.ELEMENT, "north/ex-1/olt-1/pon-1")
HIGHER = Scope(ScopeKind.ELEMENT, "north/ex-1/olt-1")
both_languages = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


def word(key: str, language: str) -> str:
    return LABELS[key][LANGUAGES.index(language)]


async def reach(shown: Page, place: Locator, at_most: int = 40) -> None:
    """By Tab alone."""
    wanted = await place.element_handle()
    for _ in range(at_most):
        await shown.keyboard.press("Tab")
        if await shown.evaluate("(e) => document.activeElement === e", wanted):
            return
    raise AssertionError(f"{place} is not reached by {at_most} presses of Tab")


async def moment(shown: Page, day: str, hour: str) -> None:
    """Into a field for date and time, as its segments take it."""
    await shown.keyboard.type(day)
    await shown.keyboard.press("Tab")
    await shown.keyboard.type(hour)


@both_languages
async def test_an_incident_from_its_acknowledgement_to_its_end(isp: Provider, chromium: Browser, language: str) -> None:
    """Opened, read, acknowledged, noted, promised, resolved; each is an event, each shows when the engine has taken it,
    and the place of who works on it is kept."""
    isp.decide(incident(PON), lines=("L000", "L001"))
    async with page(chromium, isp.url, isp.keys["noc"], language=language) as shown:
        sheet = shown.locator("#incident")
        await reach(shown, shown.locator("[data-incident] button"))
        await shown.keyboard.press("Enter")
        await expect(sheet).to_be_visible()
        await reach(shown, shown.locator("#incident-ack"))
        await shown.keyboard.press("Enter")
        await expect(sheet.get_by_role("status")).to_have_text(f"✓ {word('incident_sent', language)}")
        await asyncio.to_thread(isp.decide, incident(PON, revision=2, acked_by="noc", acked_ns=NOW), "acked")
        await expect(sheet).to_contain_text(word("incident_acked", language).replace("{by}", "noc"))
        await expect(shown.locator("#incident-ack")).to_have_count(0)
        await expect(sheet.locator(".close")).to_be_focused()
        await reach(shown, shown.locator("#incident-note"))
        await shown.keyboard.type("<b>splicing</b>")
        grown = incident(PON, revision=3, acked_by="noc", acked_ns=NOW, lines_down=7)
        await asyncio.to_thread(isp.decide, grown, "grew")
        await expect(sheet.locator(".timeline")).to_contain_text("7")
        await expect(shown.locator("#incident-note")).to_be_focused()
        await expect(shown.locator("#incident-note")).to_have_value("<b>splicing</b>")
        await shown.keyboard.press("Enter")
        await expect(sheet.get_by_role("status")).to_contain_text("✓")
        noted = incident(PON, revision=4, acked_by="noc", acked_ns=NOW, notes=(Note(NOW, "noc", "<b>splicing</b>"),))
        await asyncio.to_thread(isp.decide, noted, "noted")
        await expect(sheet.get_by_role("heading", name=word("incident_notes", language))).to_be_visible()
        await reach(shown, shown.locator("#incident-etr"))
        await moment(shown, "11282026", "0500AM")
        await shown.keyboard.press("Enter")
        await expect(sheet.get_by_role("status")).to_contain_text("✓")
        promise = Etr(NOW + 3600 * NS, "noc")
        await asyncio.to_thread(
            isp.decide, incident(PON, revision=5, acked_by="noc", acked_ns=NOW, etr=promise), "etr_set"
        )
        await expect(sheet).to_contain_text(word("etr_promised", language))
        await reach(shown, shown.locator("#incident-resolve"))
        await shown.keyboard.press("Enter")
        await expect(sheet.get_by_role("status")).to_contain_text("✓")
        ended = incident(PON, revision=6, status=IncidentStatus.RESOLVED, resolved_ns=NOW, lines_down=0)
        await asyncio.to_thread(isp.decide, ended, "resolved")
        await expect(sheet.locator("form")).to_have_count(0)
        await shown.keyboard.press("Escape")
        await expect(sheet).to_be_hidden()
        await expect(shown.locator("#incidents")).to_contain_text(word("incidents_none", language))
        assert mistakes(shown) == []
    assert [(e.kind, e.by) for e in isp.said] == [(kind, "noc") for kind in ("ack", "note", "etr", "resolve")]
    assert isp.said[1].value == "<b>splicing</b>"


@both_languages
async def test_all_that_is_known_of_an_incident(isp: Provider, chromium: Browser, language: str) -> None:
    """Onset and recovery as a curve with words, timeline, explanation, runner-up with its share, and the lines, one of
    which leads to its look-up."""
    for n, (down, status) in enumerate([(3, "open"), (8, "open"), (2, "recovering")]):
        made = incident(
            PON,
            revision=n + 1,
            lines_down=down,
            status=IncidentStatus(status),
            updated_ns=NOW + n * 60 * NS,
            explanation=(Coded("why.siblings_up", {"siblings": 1, "parent": HIGHER.name}),),
            runner_up=HIGHER,
            runner_up_confidence=0.21,
        )
        isp.decide(made, ("opened", "grew", "recovering")[n], lines=("L000", "L001"))
    async with page(chromium, isp.url, isp.keys["noc"], language=language) as shown:
        sheet = shown.locator("#incident")
        await reach(shown, shown.locator("[data-incident] button"))
        await shown.keyboard.press("Enter")
        curve = word("incident_curve", language).replace("{top}", "8").replace("{now}", "2")
        await expect(sheet.locator("svg.curve")).to_have_attribute("aria-label", curve)
        await expect(sheet.locator(".timeline li")).to_have_count(3)
        await expect(sheet.locator(".timeline")).to_contain_text(word("what_grew", language))
        await expect(sheet.get_by_role("heading", name=word("incident_explanation", language))).to_be_visible()
        await expect(sheet).to_contain_text(f"{word('incident_runner_up', language)}: {HIGHER.name} (21 %)")
        await reach(shown, shown.locator("#incident-lines"))
        await shown.keyboard.press("Enter")
        await reach(shown, sheet.get_by_role("button", name="L001"))
        await shown.keyboard.press("Enter")
        await expect(sheet).to_be_hidden()
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L001")
        assert mistakes(shown) == []


@both_languages
async def test_planned_work_is_announced_and_ended(isp: Provider, chromium: Browser, language: str) -> None:
    """The form is unfolded, filled in and sent, the window stands in the list, and is ended again."""
    async with page(chromium, isp.url, isp.keys["noc"], language=language) as shown:
        await reach(shown, shown.locator("[data-view-link=network]"))
        await shown.keyboard.press("Enter")
        plan = shown.locator("#network .plan")
        await expect(plan).to_be_visible()
        await reach(shown, plan.locator("summary"))
        await shown.keyboard.press("Enter")
        await reach(shown, plan.locator("input").first)
        await shown.keyboard.type("north/ex-1")
        await shown.keyboard.press("Tab")
        await moment(shown, "11272026", "0100AM")
        await reach(shown, plan.locator("input").nth(2))
        await moment(shown, "11272026", "0500AM")
        await reach(shown, plan.locator("input").nth(3))
        await shown.keyboard.type("card swap")
        await shown.keyboard.press("Enter")
        await expect(plan.get_by_role("status")).to_have_text(f"✓ {word('work_planned', language)}")
        row = shown.locator("#work tbody tr")
        await expect(row).to_contain_text("card swap")
        await reach(shown, row.get_by_role("button", name=word("work_end", language)))
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#work")).to_contain_text(word("work_none", language))
        assert mistakes(shown) == []
    assert [e.kind for e in isp.said][:1] == ["maintenance_start"]


@both_languages
async def test_a_flag_leads_to_the_lines_last_day(isp: Provider, chromium: Browser, language: str) -> None:
    """A slow line is noticed in the list; its look-up says so, and draws the last day with its words."""
    isp.scene.flag("L019", FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms")
    isp.publish()
    (flag,) = isp.scene.flags["L019"]
    isp.state.apply(1, [Change(NOW, "flag_raised", flag=flag)])
    async with page(chromium, isp.url, isp.keys["noc"], language=language) as shown:
        await reach(shown, shown.locator("[data-view-link=network]"))
        await shown.keyboard.press("Enter")
        row = shown.locator("#flags tbody tr")
        await expect(row).to_contain_text(word("flag_slow", language))
        await reach(shown, row.get_by_role("button", name="L019"))
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "SLOW_VS_BASELINE")
        chart = shown.locator("#history svg")
        await expect(chart).to_be_visible()
        await expect(shown.get_by_role("heading", name=word("history", language))).to_be_visible()
        assert await chart.get_attribute("aria-label")
        assert mistakes(shown) == []
