"""A stranger takes a call: with what the demonstration prints, from "my internet is gone" to a logged report."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.api.browsing import CHROMIUM, browser, page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed (apt-get install chromium)"),
]
TYPING_MS = 70  # between two keys: somebody who types all day
SAID = {
    "en": ("There has been a confirmed outage in your area", "Logged as"),
    "de": ("bestätigte Störung", "Aufgenommen als"),
}


class Stranger:
    """What was printed, and nothing else: the address of the page, a key, and the number of a customer."""

    def __init__(self, printed: str) -> None:
        self.url = found(r"page +(http\S+?)/?\n", printed)
        self.key = found(r"key +(fl_\w+)", printed)
        self.customer = found(r"customer (C\d+)", printed)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, (pattern, text)
    return match[1]


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    """The demonstration on simulated lines, until the splitter of its customer is cut and known to be."""
    command = [sys.executable, "-m", "monitor.app", "demo", "--simulated", "--lines", "800", "--minutes", "3"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert running.stdout is not None
    printed = ""
    try:
        for line in running.stdout:
            printed += line
            if " OUTAGE " in line:
                break
        else:
            raise AssertionError(printed)
        yield Stranger(printed)
    finally:
        running.send_signal(signal.SIGINT)
        with running.stdout:
            running.stdout.read()
        running.wait(30)


class Hands:
    """Types and counts: what a person does, key by key, and no mouse."""

    def __init__(self, shown: Page) -> None:
        self._shown = shown
        self.pressed = 0
        self.typed = 0

    async def type(self, text: str) -> None:
        await self._shown.keyboard.type(text, delay=TYPING_MS)
        self.typed += len(text)

    async def press(self, keys: str, times: int = 1) -> None:
        for _ in range(times):
            await self._shown.keyboard.press(keys, delay=TYPING_MS)
            self.pressed += 1

    async def reach(self, place: str) -> None:
        """By Tab, as often as it takes."""
        for _ in range(12):
            await self.press("Tab")
            if await self._shown.evaluate("document.activeElement.id") == place:
                return
        raise AssertionError(f"{place} is not within twelve presses of Tab")


@pytest.mark.parametrize("language", ["en", "de"])
async def test_from_the_first_sentence_to_a_logged_report(stranger: Stranger, language: str) -> None:
    """Paste the key, type the customer's number, read verdict and sentence, tick how the caller was verified, log: by
    keyboard alone, with few presses, and the report is in the list with its verdict and incident."""
    sentence, logged = SAID[language]
    async with browser() as started, page(started, stranger.url, language=language) as shown:
        hands = Hands(shown)
        await expect(shown.locator("#login-key")).to_be_focused()
        await shown.keyboard.insert_text(stranger.key)  # copied from the terminal
        await hands.press("Enter")
        await expect(shown.locator("#key")).to_be_focused()
        begin = time.monotonic()  # "My internet is gone. My number is ..."
        await hands.type(stranger.customer)
        await hands.press("Enter")
        await expect(shown.locator("#verdict")).to_have_attribute("data-code", "KNOWN_OUTAGE")
        await expect(shown.locator(".say")).to_contain_text(sentence)
        spoken = time.monotonic()
        await hands.reach("verify")
        await hands.press("ArrowDown")
        await expect(shown.locator("#verify")).to_have_value("customer_number")
        await hands.press("Control+Enter")
        await expect(shown.locator("#report")).to_contain_text(logged)
        end = time.monotonic()
        case = found(r"(R-\d+)", await shown.inner_text("#report"))
        assert shown.context.mistakes == []  # type: ignore[attr-defined]
    assert hands.pressed <= 12
    assert hands.typed == len(stranger.customer)
    print(f"{spoken - begin:.1f} s to the sentence, {end - begin:.1f} s to the report, {hands.pressed} keys beside it")
    headers = {"Authorization": f"Bearer {stranger.key}"}
    async with httpx.AsyncClient(base_url=f"{stranger.url}/api/v1", headers=headers) as http:
        listed = (await http.get("/calls")).json()["items"]
        (report,) = [one for one in listed if one["case_id"] == case]
        assert (report["verdict"], report["symptom"]) == ("KNOWN_OUTAGE", "no_internet")
        assert report["incident_id"]
        asked = await http.get("/audit", params={"action": "lookup", "subject": report["line_id"]})
        assert "customer_number" in asked.json()["items"][0]["detail"]
        table = list(csv.DictReader(io.StringIO((await http.get("/calls?format=csv")).text)))
        assert case in [row["case_id"] for row in table]
