"""A real browser for the page's tests: Debian's chromium, driven by Playwright, with no traffic but to the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        try:
            yield started
        finally:
            await started.close()


@asynccontextmanager
async def page(
    started: Browser,
    url: str,
    key: str = "",
    width: int = 1280,
    height: int = 900,
    language: str = "en",
    dark: bool = False,
    scale: float = 1,
) -> AsyncIterator[Page]:
    """A fresh context at `/`, logged in when a key is given. Errors of the page's script are collected in
    `page.context.mistakes`."""
    context: BrowserContext = await started.new_context(
        viewport={"width": width, "height": height},
        locale="de-DE" if language == "de" else "en-GB",
        timezone_id="Europe/Berlin",
        color_scheme="dark" if dark else "light",
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    mistakes: list[str] = []
    context.mistakes = mistakes  # type: ignore[attr-defined]
    shown = await context.new_page()
    shown.on("pageerror", lambda error: mistakes.append(str(error)))
    shown.on("console", lambda m: mistakes.append(m.text) if m.type == "error" and "401" not in m.text else None)
    try:
        await shown.goto(url)
        if key:
            await shown.fill("#login-key", key)
            await shown.keyboard.press("Enter")
            await shown.wait_for_selector("#desk:not([hidden])")
        yield shown
    finally:
        await context.close()
