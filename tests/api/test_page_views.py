"""The page beyond the call: network, planned work, incident in full, reports, accounts; and axe-core on every view."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.async_api import Browser, Page, expect

from monitor.clock import NS
from monitor.records import Change, Flag, FlagKind, IncidentStatus, Scope, ScopeKind
from tests.api.browsing import CHROMIUM, browser, page
from tests.api.conftest import Provider
from tests.desk.world import NOW, incident, promised

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed (apt-get install chromium)"),
]
PON = "north/ex-1/olt-1/pon-1"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RUN = """() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then((found) => found.violations.map((v) => [v.id, v.help, v.nodes.map((n) => n.html).slice(0, 3)]))"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


async def axe(shown: Page) -> list[object]:
    """What axe-core finds on the page as it is now. The script is given by the debugger: the policy lets none in."""
    if not await shown.evaluate("'axe' in window"):
        await shown.evaluate(AXE)
    found: list[object] = await shown.evaluate(RUN)
    return found


def mistakes(shown: Page) -> list[str]:
    found: list[str] = shown.context.mistakes  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("width", "dark", "language"), [(1280, False, "en"), (390, True, "de")])
async def test_axe_finds_nothing(isp: Provider, chromium: Browser, width: int, dark: bool, language: str) -> None:
    """Login, empty desk, verdict, candidates, network with everything unfolded, reports, incident: all clean."""
    isp.scene.down(*range(8))
    isp.scene.flag("L019", FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms")
    made = isp.scene.incident(f"element:{PON}", *range(8), etr=promised(), acked_by="noc")
    isp.publish()
    isp.decide(made, lines=("L000", "L001"))
    async with page(chromium, isp.url, width=width, dark=dark, language=language) as shown:
        await expect(shown.locator("#login")).to_be_visible()
        assert await axe(shown) == []
        await shown.fill("#login-key", isp.keys["noc"])
        await shown.keyboard.press("Enter")
        await expect(shown.locator("[data-incident]")).to_be_visible()
        assert await axe(shown) == []
        for key in ("L000", "L019", "Lindenweg 2"):
            await shown.fill("#key", key)
            await shown.keyboard.press("Enter")
            await expect(shown.locator("#verdict")).to_be_visible()
            await expect(shown.locator("#answer .waiting")).to_have_count(0)
            assert await axe(shown) == [], key
        await shown.locator("[data-incident] button").click()
        await expect(shown.locator("#incident")).to_be_visible()
        await shown.locator("#incident summary").click()
        assert await axe(shown) == []
        await shown.keyboard.press("Escape")
        await shown.click("[data-view-link=network]")
        await shown.click("[data-path='north']")
        await shown.click("[data-path='north/ex-1']")
        await shown.locator("#network summary").click()
        await expect(shown.locator("[data-path='north/ex-1/olt-1']")).to_be_visible()
        assert await axe(shown) == []
        await shown.click("[data-view-link=reports]")
        await expect(shown.locator("#report-list p")).to_be_visible()
        assert await axe(shown) == []
        assert await shown.evaluate("document.documentElement.scrollWidth") <= width
        assert mistakes(shown) == []


async def test_network_tree_by_keyboard(isp: Provider, chromium: Browser) -> None:
    """The tree unfolds by Enter, keeps the focus through a refresh, and shows who is down as it happens."""
    async with page(chromium, isp.url, isp.keys["noc"]) as shown:
        await shown.click("[data-view-link=network]")
        await expect(shown).to_have_url(f"{isp.url}/#network")
        north = shown.locator("[data-path='north']")
        await expect(north).to_contain_text("16 lines · 100 % observable")
        await north.focus()
        await shown.keyboard.press("Enter")
        await expect(shown.locator("[data-path='north/ex-1']")).to_be_visible()
        await expect(north).to_be_focused()
        await expect(north).to_have_attribute("aria-expanded", "true")
        await expect(shown.locator("#tree .curve")).to_have_attribute(
            "aria-label", "Lines down in the last 24 hours: at most 5, now 5."
        )
        isp.scene.down(*range(8))
        isp.publish()
        await asyncio.to_thread(isp.decide, incident(Scope(ScopeKind.ELEMENT, PON)))
        await expect(north).to_contain_text("8 down")
        await expect(north).to_be_focused()
        await shown.reload()
        await expect(shown.locator("[data-path='north']")).to_be_visible()
        assert mistakes(shown) == []


async def test_planned_work_is_announced_and_ended(isp: Provider, chromium: Browser) -> None:
    """The NOC announces a window and ends it; an agent sees it and has no button."""
    async with page(chromium, isp.url, isp.keys["noc"]) as shown:
        await shown.click("[data-view-link=network]")
        await shown.locator("#network summary").click()
        fields = shown.locator("#network .plan input")
        await fields.nth(0).fill("north/ex-1")
        await fields.nth(1).fill("2026-11-27T01:00")
        await fields.nth(2).fill("2026-11-27T05:00")
        await fields.nth(3).fill("card <b>swap</b>")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#work tbody tr")).to_have_count(1)
        await expect(shown.locator("#work")).to_contain_text("card <b>swap</b>")
        assert [(e.kind, e.subject) for e in isp.said] == [("maintenance_start", "element:north/ex-1")]
        async with page(chromium, isp.url, isp.keys["agent"]) as other:
            await other.click("[data-view-link=network]")
            await expect(other.locator("#work tbody tr")).to_have_count(1)
            assert await other.locator("#work button, .plan").count() == 0
        await shown.locator("#work button").click()
        await expect(shown.locator("#work")).to_contain_text("Nothing planned")
        assert mistakes(shown) == []


async def test_incident_in_full(isp: Provider, chromium: Browser) -> None:
    """Onset and recovery, why, what else it could be, the lines; a line leads to its look-up."""
    steps = [(0, 8, IncidentStatus.OPEN, "opened"), (120, 3, IncidentStatus.RECOVERING, "recovering")]
    for n, (after_s, down, status, what) in enumerate(steps):
        made = incident(
            Scope(ScopeKind.ELEMENT, PON),
            revision=n + 1,
            lines_down=down,
            status=status,
            updated_ns=NOW + after_s * NS,
            runner_up=Scope(ScopeKind.ELEMENT, "north/ex-1/olt-1"),
            runner_up_confidence=0.21,
        )
        isp.decide(made, what, lines=("L000", "L001"))
    async with page(chromium, isp.url, isp.keys["noc"]) as shown:
        await shown.locator("[data-incident] button").click()
        sheet = shown.locator("#incident")
        await expect(sheet).to_contain_text("north/ex-1/olt-1 (21 %)")
        await expect(sheet.locator(".curve")).to_have_attribute("aria-label", "Lines down: 8 at most, 3 last")
        await sheet.locator("summary").click()
        await sheet.get_by_role("button", name="L001").click()
        await expect(sheet).to_be_hidden()
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L001")
        assert mistakes(shown) == []


async def test_links_from_messages_and_dashboards(isp: Provider, chromium: Browser) -> None:
    """#incident=ID opens the incident and #line=ID the look-up: at once for who is logged in, else after the log-in;
    also in a page that is open already. Rubbish shows the desk."""
    made = incident(Scope(ScopeKind.ELEMENT, PON))
    isp.decide(made, lines=("L000",))
    async with page(chromium, isp.url, isp.keys["noc"]) as shown:
        await shown.goto(f"{isp.url}/#incident={made.incident_id}")
        await expect(shown.locator("#incident-title")).to_be_visible()
        await shown.keyboard.press("Escape")
        await shown.goto(f"{isp.url}/#line=L001")
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L001")
        # Somebody followed a link: no customer has called.
        assert [e for e in isp.said if e.kind == "call"] == []
        async with shown.expect_response("**/lookup/*/stream"):
            await shown.press("#key", "Enter")
        assert [e.subject for e in isp.said if e.kind == "call"] == ["L001"]
        await shown.goto(f"{isp.url}/#%E0%A4%A=x")
        await expect(shown.locator("#key")).to_be_visible()
        assert mistakes(shown) == []
    async with page(chromium, f"{isp.url}/#line=L001") as shown:
        await shown.fill("#login-key", isp.keys["noc"])
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L001")


async def test_the_field_list(isp: Provider, chromium: Browser) -> None:
    """The list in order with why, bounded to an element, as a table to download; a line opens. An agent has no such
    view, also not by its address."""
    begin = NOW - 30 * 3600 * NS
    flags = [Flag(line, FlagKind.UNSTABLE, "loss", 0.08, "ratio", begin - n * NS * 3600, begin) for n, line in
             enumerate(("L001", "L002", "L019"))]  # fmt: skip
    isp.state.apply(1, [Change(NOW, "flag_raised", flag=f) for f in flags])
    async with page(chromium, isp.url, isp.keys["lead"]) as shown:
        await shown.click("[data-view-link=ranking]")
        await expect(shown.locator("#ranking-list")).to_contain_text("is being made")
        await asyncio.to_thread(isp.ranking.make, NOW)
        await shown.click("[data-view-link=ranking]")
        await expect(shown.locator("#ranking-list tbody tr")).to_have_count(3)
        first = shown.locator("#ranking-list tbody tr").first
        await expect(first).to_contain_text("L019")
        await expect(first).to_contain_text("unstable packet loss 8%.")
        await expect(first).to_contain_text("Lindenweg 10, 10115 Berlin")
        await expect(shown.locator("#ranking-basis")).to_contain_text("3 lines. By the score: 0 calls are recorded")
        await shown.fill("#ranking-element", "north")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#ranking-list tbody tr")).to_have_count(2)
        async with shown.expect_download() as download:
            await shown.click("#ranking-csv")
        saved = await (await download.value).path()
        table = await asyncio.to_thread(saved.read_text, encoding="utf-8")
        assert [row.split(",")[1] for row in table.splitlines()] == ["line_id", "L002", "L001"]
        assert await axe(shown) == []
        await shown.get_by_role("button", name="L002").click()
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L002")
        assert mistakes(shown) == []
    async with page(chromium, f"{isp.url}/#ranking", isp.keys["agent"], width=390, dark=True, language="de") as shown:
        await expect(shown.locator("#key")).to_be_visible()
        await expect(shown.locator("[data-view-link=ranking]")).to_be_hidden()
        assert mistakes(shown) == []
    async with page(chromium, f"{isp.url}/#ranking", isp.keys["noc"], width=390, dark=True, language="de") as shown:
        await expect(shown.locator("#ranking-list tbody tr")).to_have_count(3)
        await expect(shown.locator("#ranking-list")).not_to_contain_text("Lindenweg")
        assert await axe(shown) == []
        assert await shown.evaluate("document.documentElement.scrollWidth") <= 390


async def test_reports_are_found_and_exported(isp: Provider, chromium: Browser) -> None:
    """Search finds words, the line opens, and a lead gets a table; an agent is not offered one."""
    async with isp.client("agent") as http:
        for line, words in (("L000", "=cmd|' /C calc'!A0"), ("L001", "television is black")):
            await http.post("/api/v1/calls", json={"line_id": line, "words": words})
    async with page(chromium, isp.url, isp.keys["lead"]) as shown:
        await shown.click("[data-view-link=reports]")
        await expect(shown.locator("#report-list tbody tr")).to_have_count(2)
        await shown.fill("#report-text", "television")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#report-list tbody tr")).to_have_count(1)
        async with shown.expect_download() as download:
            await shown.click("#reports a.button")
        saved = await (await download.value).path()
        table = await asyncio.to_thread(saved.read_text, encoding="utf-8")
        assert "television" in table
        assert "=cmd" not in table  # what is searched for is what is exported
        await shown.fill("#report-text", "")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#report-list tbody tr")).to_have_count(2)
        async with shown.expect_download() as download:
            await shown.click("#reports-csv")
        saved = await (await download.value).path()
        assert "'=cmd|" in await asyncio.to_thread(saved.read_text, encoding="utf-8")
        await shown.get_by_role("button", name="L001").click()
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L001")
        assert mistakes(shown) == []
    async with page(chromium, isp.url, isp.keys["agent"]) as shown:
        await shown.click("[data-view-link=reports]")
        await expect(shown.locator("#report-list tbody tr")).to_have_count(2)
        assert await shown.locator("#reports a.button").count() == 0


async def test_account_logs_in_and_changes_its_password(isp: Provider, chromium: Browser) -> None:
    """Name and password by keyboard; a wrong one is said; the new one works afterwards."""
    isp.state.create_user("anna", "agent", "correct horse battery")
    async with page(chromium, isp.url) as shown:
        await shown.fill("#login-name", "anna")
        await shown.fill("#login-key", "wrong one here")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#login-error")).to_have_text("Name or password is wrong.")
        await shown.fill("#login-key", "correct horse battery")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#desk")).to_be_visible()
        await shown.click("#who")
        await shown.fill("#account-old", "correct horse battery")
        await shown.fill("#account-new", "staple of the horse")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#login-error")).to_contain_text("has been changed")
        await expect(shown.locator("#login-name")).to_be_focused()
        await shown.fill("#login-name", "anna")
        await shown.fill("#login-key", "staple of the horse")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#desk")).to_be_visible()
        assert mistakes(shown) == []


async def test_wifi_is_told_from_the_line(isp: Provider, chromium: Browser) -> None:
    """Nothing to be seen, but by cable it works: the verdict becomes the Wi-Fi, and back."""
    async with page(chromium, isp.url, isp.keys["agent"]) as shown:
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "NO_FAULT_FOUND")
        await shown.click("#wired-yes")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "WIFI_ONLY")
        await expect(shown.locator("#evidence")).to_contain_text("By cable it works.")
        await expect(shown.locator("#wired-yes")).to_be_focused()
        await shown.click("#wired-no")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "NO_FAULT_FOUND")
        assert mistakes(shown) == []
