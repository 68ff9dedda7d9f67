"""The page in a real browser: an agent's whole call by keyboard, both languages, live incidents, nothing injected."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from monitor.api.labels import LABELS
from monitor.clock import NS
from monitor.records import IncidentStatus, LineState, Note, Scope, ScopeKind
from tests.api.browsing import CHROMIUM, browser, page
from tests.api.conftest import Provider
from tests.desk.world import NOW, incident, load, promised

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed (apt-get install chromium)"),
]
PON = "north/ex-1/olt-1/pon-1"
EVIL = "<img src=x onerror=window.hit=1>\"'><script>window.hit=1</script>"


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


def mistakes(shown: Page) -> list[str]:
    found: list[str] = shown.context.mistakes  # type: ignore[attr-defined]
    return found


def outage(isp: Provider, **changes: Any) -> None:
    isp.scene.down(*range(8))
    made = isp.scene.incident(f"element:{PON}", *range(8), **changes)
    isp.publish()
    isp.decide(made)


async def test_a_call_by_keyboard_alone(isp: Provider, chromium: Browser) -> None:
    """Log in, type the number, Enter, read the verdict, log the report: no mouse, and the case is in the store."""
    outage(isp, etr=promised())
    async with page(chromium, isp.url) as shown:
        await expect(shown.locator("#login-key")).to_be_focused()
        await shown.keyboard.type(isp.keys["agent"])
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#key")).to_be_focused()
        await shown.keyboard.type("C100")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "KNOWN_OUTAGE")
        await expect(shown.locator("#verdict h2")).to_have_text("Known outage")
        await expect(shown.locator(".say")).to_contain_text("confirmed outage in your area since")
        await expect(shown.locator(".steps li")).to_have_count(3)
        await expect(shown.locator("#incidents .mine")).to_contain_text(PON)
        await expect(shown.locator("#key")).to_be_focused()
        await shown.keyboard.press("Control+Enter")
        await expect(shown.locator("#report")).to_contain_text("Logged as R-000001")
        await shown.keyboard.press("Escape")
        await expect(shown.locator("#answer")).to_contain_text("Ready for the next call")
        assert mistakes(shown) == []
    (report,) = isp.app.state.api.reports.search().items
    assert (report.line_id, report.verdict_code, report.by) == ("L000", "KNOWN_OUTAGE", "agent")


async def test_the_customers_words_are_kept(isp: Provider, chromium: Browser) -> None:
    """Symptom and words go with the report as they were typed, and the live check does not wipe them."""
    isp.scene.down(0)
    isp.publish()
    async with page(chromium, isp.url, isp.keys["agent"]) as shown:
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "LINE_DOWN_ONLY_HERE")
        await shown.fill("#words", EVIL)
        await shown.select_option("#symptom", "drops")
        await isp.clock.advance(1)
        isp.scene.state[0] = LineState.UP
        isp.scene.probed[0] = isp.scene.replied[0] = NOW + NS
        isp.scene.rtt[0] = 7.5
        isp.publish()
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "NO_FAULT_FOUND")
        await expect(shown.locator("#pulse")).to_have_text("Answers right now (7.5 ms)")
        await expect(shown.locator("#words")).to_have_value(EVIL)
        await shown.click("#log")
        await expect(shown.locator("#report")).to_contain_text("Logged as")
        assert mistakes(shown) == []
    (report,) = isp.app.state.api.reports.search().items
    assert (report.symptom, report.words) == ("drops", EVIL)


async def test_what_was_typed_stays_through_the_call(isp: Provider, chromium: Browser) -> None:
    """Ticking who the caller is, and another language, keep the customer's words; a logged report stays logged; the
    next call about the line shows that somebody has called."""
    outage(isp)
    async with page(chromium, isp.url, isp.keys["lead"]) as shown:
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verify-area")).to_be_visible()
        await expect(shown.locator("#earlier")).to_be_empty()
        await shown.fill("#words", "nothing since noon")
        await shown.select_option("#symptom", "no_phone")
        await shown.select_option("#verify", "callback")
        await expect(shown.locator("#verify")).to_be_focused()
        await expect(shown.locator("#words")).to_have_value("nothing since noon")
        await shown.click("[data-language=de]")
        await expect(shown.locator("#words")).to_have_value("nothing since noon")
        await expect(shown.locator("#symptom")).to_have_value("no_phone")
        await shown.keyboard.press("Control+Enter")
        await expect(shown.locator("#report")).to_contain_text("R-000001")
        await shown.select_option("#verify", "other")
        await expect(shown.locator("#verify")).to_be_focused()
        await expect(shown.locator("#log")).to_have_count(0)
        await shown.keyboard.press("Escape")
        await shown.keyboard.type("L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#earlier")).to_contain_text("R-000001")
        await expect(shown.locator("#earlier")).not_to_contain_text("noon")
        await expect(shown.locator("#words")).to_have_value("")
        assert mistakes(shown) == []
    (report,) = isp.app.state.api.reports.search().items
    assert (report.symptom, report.words) == ("no_phone", "nothing since noon")


async def test_german_and_back_without_losing_the_answer(isp: Provider, chromium: Browser) -> None:
    """The browser's language decides at first; switching keeps the verdict; the sentence has its own switch."""
    outage(isp)
    async with page(chromium, isp.url, isp.keys["agent"], language="de") as shown:
        await expect(shown.locator("html")).to_have_attribute("lang", "de")
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict h2")).to_have_text("Bekannte Störung")
        await expect(shown.locator(".say")).to_contain_text("bestätigte Störung")
        await shown.click("#say-en")
        await expect(shown.locator(".say")).to_contain_text("confirmed outage")
        await expect(shown.locator("#verdict h2")).to_have_text("Bekannte Störung")
        await shown.click("[data-language=en]")
        await expect(shown.locator("#verdict h2")).to_have_text("Known outage")
        await shown.reload()
        await expect(shown.locator("html")).to_have_attribute("lang", "en")
        await expect(shown.locator("#desk")).to_be_visible()
        assert mistakes(shown) == []


async def test_candidates_are_picked_by_digit(isp: Provider, chromium: Browser) -> None:
    """Several matches: hints only; Alt and a digit opens the line."""
    async with page(chromium, isp.url, isp.keys["agent"]) as shown:
        await shown.fill("#key", "Lindenweg 2")
        await shown.keyboard.press("Enter")
        await expect(shown.locator(".candidates li")).to_have_count(2)
        assert "Muster" not in await shown.inner_text("#answer")
        await shown.keyboard.press("Alt+2")
        await expect(shown.locator("#verdict .who-line")).to_contain_text("L003")
        assert mistakes(shown) == []


async def test_data_is_masked_until_the_caller_is_verified(isp: Provider, chromium: Browser) -> None:
    """The agent sees hints, ticks how the caller was verified, and then the name."""
    async with page(chromium, isp.url, isp.keys["agent"]) as shown:
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#line")).to_contain_text("A… M…")
        await expect(shown.locator("#verify-area")).to_contain_text("Verify the caller first")
        await shown.select_option("#verify", "callback")
        await expect(shown.locator("#verify-area")).to_be_hidden()
        await expect(shown.locator("#line")).to_contain_text("Ada Muster")
        await expect(shown.locator("#verify")).to_have_value("callback")


async def test_incidents_come_and_go_by_themselves(isp: Provider, chromium: Browser) -> None:
    """No reload: an incident appears, grows and leaves; the NOC opens it and adds a note."""
    async with page(chromium, isp.url, isp.keys["noc"]) as shown:
        await expect(shown.locator("#incidents")).to_contain_text("No open incidents")
        await expect(shown.locator("#live")).to_have_attribute("data-state", "on")
        made = incident(Scope(ScopeKind.ELEMENT, PON))
        await asyncio.to_thread(isp.decide, made)
        row = shown.locator(f"[data-incident='{made.incident_id}']")
        await expect(row).to_contain_text("8 of 8 down")
        await row.locator("button").click()
        await expect(shown.locator("#incident h2")).to_have_text(f"Outage: {PON}")
        await shown.fill("#incident form >> nth=0 >> input", "on site")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#incident [role=status]")).to_have_text("✓ Sent")
        assert [(e.kind, e.value, e.by) for e in isp.said] == [("note", "on site", "noc")]
        noted = incident(Scope(ScopeKind.ELEMENT, PON), revision=2, notes=(Note(NOW, "noc", "on site"),))
        await asyncio.to_thread(isp.decide, noted, "noted")
        await expect(shown.locator("#incident")).to_contain_text("Notes")
        await shown.keyboard.press("Escape")
        await expect(shown.locator("#incident")).to_be_hidden()
        gone = incident(
            Scope(ScopeKind.ELEMENT, PON), revision=3, status=IncidentStatus.RESOLVED, resolved_ns=NOW, lines_down=0
        )
        await asyncio.to_thread(isp.decide, gone, "resolved")
        await expect(shown.locator("#incidents")).to_contain_text("No open incidents")
        assert mistakes(shown) == []


async def test_agents_have_no_buttons_of_the_noc(isp: Provider, chromium: Browser) -> None:
    """What one may not do is not offered."""
    outage(isp)
    async with page(chromium, isp.url, isp.keys["agent"]) as shown:
        await shown.locator("[data-incident] button").click()
        await expect(shown.locator("#incident")).to_be_visible()
        await expect(shown.locator("#incident form")).to_have_count(0)


async def test_nothing_that_people_write_becomes_html(isp: Provider, chromium: Browser, tmp_path: Path) -> None:
    """Names, places, notes, reasons, keys and paths with markup in them are shown as text and run nothing."""
    evil = {"name": EVIL, "city": EVIL, "cpe_model": EVIL, "street": EVIL, "path": f"north/{EVIL.replace('/', '|')}"}
    isp.inventory = load(tmp_path, {"L000": evil})
    isp.bindings = type(isp.bindings)(isp.inventory)
    isp.scene = type(isp.scene)(isp.inventory)
    row = isp.scene.row("L000")
    isp.scene.down(row)
    isp.scene.sign(row, login_rejected_ns=30, login_reason=EVIL)
    isp.publish()
    isp.decide(incident(Scope(ScopeKind.GROUP, f"bng:{EVIL}"), acked_by=EVIL, notes=(Note(NOW, EVIL, EVIL),)))
    async with page(chromium, isp.url, isp.keys["lead"]) as shown:
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#evidence")).to_contain_text("window.hit=1")
        await expect(shown.locator("#line")).to_contain_text("onerror")
        await shown.locator("[data-incident] button").click()
        await expect(shown.locator("#incident")).to_contain_text("<script>")
        await shown.keyboard.press("Escape")
        await shown.fill("#key", EVIL + "x")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "IDENTITY_UNCLEAR")
        assert await shown.evaluate("window.hit") is None
        assert await shown.locator("#answer img, #answer script, #incident img").count() == 0
        assert mistakes(shown) == []


async def test_wrong_key_and_ended_session(isp: Provider, chromium: Browser) -> None:
    """A wrong key is said; a session that has ended leads back to the login and says why."""
    async with page(chromium, isp.url) as shown:
        await shown.fill("#login-key", "fl_wrong_key")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#login-error")).to_have_text("This key is not valid (any more).")
        await shown.fill("#login-key", isp.keys["agent"])
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#live")).to_have_attribute("data-state", "on")
        await isp.clock.advance(11 * 3600)
        await shown.fill("#key", "L000")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#login-error")).to_contain_text("session has ended")


# The text's colour against what lies behind it, as WCAG 2.2 (1.4.3) computes it: at least 4.5, large text 3.
CONTRAST = """() => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const rgba = (text) => { context.clearRect(0, 0, 1, 1); context.fillStyle = text; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c; if (c[3] > 0) { const under = behind(e.parentElement), a = c[3] / 255;
      return under.map((v, i) => c[i] * a + v * (1 - a)); } } return [255, 255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('.sr, .skip, script, option')) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
    const [a, b] = [light(rgba(style.color)), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    if (ratio < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5)) bad.push([e.className, e.textContent, ratio]);
  }
  return bad; }"""
NAMES = """() => [...document.querySelectorAll('button, input, select, textarea, a, dialog[open], [role=img]')]
  .filter((e) => e.checkVisibility() && !(e.labels?.length || e.ariaLabel || e.textContent.trim()
    || document.getElementById(e.getAttribute('aria-labelledby'))?.textContent)).map((e) => e.outerHTML)"""


async def test_readable_and_named(isp: Provider, chromium: Browser) -> None:
    """In both appearances and widths: enough contrast, every control has a name, ids are unique, and the page never
    scrolls sideways."""
    outage(isp, etr=promised(), acked_by="noc")
    for width, dark in ((1280, False), (390, True)):
        async with page(chromium, isp.url, width=width, dark=dark) as shown:
            await expect(shown.locator("#login")).to_be_visible()
            assert await shown.evaluate(CONTRAST) == []
            await shown.fill("#login-key", isp.keys["noc"])
            await shown.keyboard.press("Enter")
            for key, code in (
                ("L000", "KNOWN_OUTAGE"),
                ("L019", "NO_FAULT_FOUND"),
                ("Lindenweg 2", "IDENTITY_UNCLEAR"),
            ):
                await shown.fill("#key", key)
                await shown.keyboard.press("Enter")
                await expect(shown.locator("#verdict")).to_have_attribute("data-code", code)
                assert await shown.evaluate(CONTRAST) == []
                assert await shown.evaluate(NAMES) == []
                assert await shown.evaluate("document.documentElement.scrollWidth") <= width
                await shown.click("#theme")  # and the other appearance
                assert await shown.evaluate(CONTRAST) == []
            await shown.locator("[data-incident] button").click()
            await expect(shown.locator("#incident")).to_be_visible()
            assert await shown.evaluate(CONTRAST) == []
            assert await shown.evaluate(NAMES) == []
            ids: list[str] = await shown.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
            assert len(ids) == len(set(ids))
            assert mistakes(shown) == []


def test_every_label_has_both_languages_and_a_use() -> None:
    """Labels in the script and the template exist; none is left over; both languages take the same values."""
    here = Path(__file__).parents[2] / "monitor" / "api"
    script = "".join(file.read_text() for file in (here / "static").glob("*.js"))
    source = script + (here / "templates" / "page.html").read_text()
    for key, (german, english) in LABELS.items():
        assert german, key
        assert english, key
        assert re.findall(r"\{\w+\}", german) == re.findall(r"\{\w+\}", english), key
        prefix = key.split("_")[0]
        built = f"`{prefix}_${{" in script or f"`{key.rsplit('_', 1)[0]}_${{" in script
        assert built or re.search(rf'["`.]{key}\b', source), f"{key} is not used"
    for used in re.findall(r'\bt\("(\w+)"', script) + re.findall(r"t\.(\w+) }}", source):
        assert used in LABELS, used
