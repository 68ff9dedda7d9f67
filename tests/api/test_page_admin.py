"""The administrator's view in a real browser: accounts, keys and the audit trail, in both languages, by keyboard."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.api.browsing import CHROMIUM, browser, page
from tests.api.conftest import Provider
from tests.api.test_page_views import axe, mistakes

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed (apt-get install chromium)"),
]
WORDS = {
    "en": {"change": "Change", "revoke": "Revoke", "disabled": "disabled", "revoked": "revoked"},
    "de": {"change": "Ändern", "revoke": "Widerrufen", "disabled": "gesperrt", "revoked": "widerrufen"},
}


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


async def enter(shown: Page, place: Locator) -> None:
    """As one does who has no mouse."""
    await place.focus()
    await shown.keyboard.press("Enter")


async def typed(shown: Page, *texts: str) -> None:
    """From field to field by Tab; the focus stands on the first."""
    for n, text in enumerate(texts):
        if n:
            await shown.keyboard.press("Tab")
        await shown.keyboard.type(text)


@pytest.mark.parametrize("language", ["en", "de"])
async def test_an_account_from_its_making_to_its_end(isp: Provider, chromium: Browser, language: str) -> None:
    """Created, its role and password changed, disabled, deleted: each shows in the list and holds at the log-in."""
    words = WORDS[language]
    async with page(chromium, isp.url, isp.keys["admin"], language=language) as shown:
        await enter(shown, shown.locator("[data-view-link=admin]"))
        await enter(shown, shown.locator("#user-add summary"))
        await shown.locator("#user-add input").first.focus()
        await typed(shown, "anna", "lead", "north", "correct horse battery")
        await shown.keyboard.press("Enter")
        row = shown.locator("#user-list tbody tr")
        await expect(row).to_contain_text("annaleadnorth")
        await enter(shown, row.get_by_role("button", name=f"{words['change']}: anna"))
        await expect(shown.locator("#user")).to_be_visible()
        await shown.locator("#user select").focus()
        await typed(shown, "noc", "", "staple of the horse")
        await shown.keyboard.press("Enter")
        await expect(row).to_contain_text("annanocnorth")
        made = isp.state.check_password("anna", "staple of the horse")
        assert made is not None
        assert (made.role, made.regions) == ("noc", ("north",))
        await enter(shown, row.get_by_role("button"))
        await enter(shown, shown.locator("#user-disable"))
        await expect(row).to_contain_text(words["disabled"])
        assert isp.state.check_password("anna", "staple of the horse") is None
        await enter(shown, row.get_by_role("button"))
        await enter(shown, shown.locator("#user .mini"))
        assert isp.state.user("anna") is not None
        await enter(shown, shown.locator("#user .mini.danger"))
        await expect(row).to_have_count(0)
        assert isp.state.user("anna") is None
        assert mistakes(shown) == []


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_key_is_shown_once_and_revoked(isp: Provider, chromium: Browser, language: str) -> None:
    """The new key opens the API, is nowhere on the page after a reload, and is refused once it is revoked."""
    words = WORDS[language]
    async with page(chromium, isp.url, isp.keys["admin"], language=language) as shown:
        await enter(shown, shown.locator("[data-view-link=admin]"))
        await enter(shown, shown.locator("#key-add summary"))
        await shown.locator("#key-add input").first.focus()
        await typed(shown, "radius <i>", "noc", "", "30")
        await shown.keyboard.press("Enter")
        secret = await shown.locator("#key-made code").inner_text()
        async with isp.client() as http:
            headers = {"Authorization": f"Bearer {secret}"}
            assert (await http.get("/api/v1/incidents", headers=headers)).status_code == 200
            row = shown.locator("#key-list tr", has_text="radius <i>")
            await shown.reload()
            await expect(row).to_contain_text("noc")
            assert secret not in await shown.content()
            await enter(shown, row.get_by_role("button"))
            await expect(row.locator(".danger")).to_be_focused()
            await shown.keyboard.press("Enter")
            await expect(row).to_contain_text(words["revoked"])
            await expect(row.get_by_role("button")).to_have_count(0)
            assert (await http.get("/api/v1/incidents", headers=headers)).status_code == 401
        assert mistakes(shown) == []


async def test_what_is_wrong_is_said_where_it_was_typed(isp: Provider, chromium: Browser) -> None:
    """A name that is taken, an administrator with regions, and one's own rights: refused with a sentence."""
    isp.state.create_user("root", "admin", "correct horse battery")
    async with page(chromium, isp.url) as shown:
        await shown.fill("#login-name", "root")
        await shown.fill("#login-key", "correct horse battery")
        await shown.keyboard.press("Enter")
        await shown.click("[data-view-link=admin]")
        await shown.click("#user-add summary")
        await shown.locator("#user-add input").first.focus()
        await typed(shown, "root", "agent", "", "correct horse battery")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#user-add [role=status]")).to_contain_text("an account with this name already")
        await shown.locator("#user-list button").click()
        await shown.click("#user-disable")
        await expect(shown.locator("#user [role=alert]")).to_contain_text("another administrator")
        await shown.keyboard.press("Escape")
        await expect(shown.locator("#user")).to_be_hidden()


@pytest.mark.parametrize("language", ["en", "de"])
async def test_the_audit_trail_is_searched_and_paged(isp: Provider, chromium: Browser, language: str) -> None:
    """Sixty look-ups: fifty, then all; by person, by action and by line only what matches."""
    async with isp.client("agent") as http:
        for n in range(60):
            await http.post("/api/v1/lookup", json={"key": f"L00{n % 2}"})
    async with page(chromium, isp.url, isp.keys["admin"], language=language) as shown:
        await enter(shown, shown.locator("[data-view-link=admin]"))
        rows = shown.locator("#audit-list tbody tr")
        await expect(rows).to_have_count(50)
        await enter(shown, shown.locator("#audit-more"))
        await expect(rows).to_have_count(61)  # and the log-in
        await shown.locator("#admin input[name=person]").focus()
        await typed(shown, "agent", "lookup", "L001")
        await shown.keyboard.press("Enter")
        await expect(rows).to_have_count(30)
        await expect(rows.first).to_contain_text("NO_FAULT_FOUND")
        await shown.locator("#admin input[name=person]").fill("nobody")
        await shown.keyboard.press("Enter")
        await expect(rows).to_have_count(0)
        assert mistakes(shown) == []


@pytest.mark.parametrize("role", ["agent", "lead", "noc"])
async def test_only_an_administrator_has_the_view(isp: Provider, chromium: Browser, role: str) -> None:
    """Nobody else sees the link, and the address of the view leads to the desk."""
    async with page(chromium, isp.url, isp.keys[role]) as shown:
        await expect(shown.locator("[data-view-link=admin]")).to_be_hidden()
        await shown.goto(f"{isp.url}/#admin")
        await expect(shown.locator("#key")).to_be_visible()
        assert await shown.locator("#admin *").count() == 0


@pytest.mark.parametrize(("width", "dark", "language"), [(1280, False, "en"), (390, True, "de")])
async def test_axe_finds_nothing(isp: Provider, chromium: Browser, width: int, dark: bool, language: str) -> None:
    """Accounts, keys, a new key, an open account and the audit trail are clean, and nothing is wider than the page."""
    isp.state.create_user("anna", "agent", "correct horse battery")
    async with page(chromium, isp.url, isp.keys["admin"], width=width, dark=dark, language=language) as shown:
        await shown.click("[data-view-link=admin]")
        await shown.click("#user-add summary")
        await shown.click("#key-add summary")
        await shown.locator("#key-add input").first.fill("radius")
        await shown.keyboard.press("Enter")
        await expect(shown.locator("#key-made code")).to_be_visible()
        await expect(shown.locator("#audit-list tbody tr").first).to_be_visible()
        await expect(shown.locator("#user-list tbody tr")).to_have_count(1)
        assert await axe(shown) == []
        assert await shown.evaluate("document.documentElement.scrollWidth") <= width
        await shown.locator("#user-list button").click()
        await expect(shown.locator("#user")).to_be_visible()
        assert await axe(shown) == []
        assert mistakes(shown) == []
