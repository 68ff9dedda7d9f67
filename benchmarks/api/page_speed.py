"""How soon an agent sees something: the page's load, and the verdict after Enter, in a real browser on loopback.

    python benchmarks/api/page_speed.py [--lines 100000] [--loads 30] [--lookups 100]

Debian's chromium, driven by Playwright; the server is a process of its own, as in `lookup_rate`, with authentication,
audit, and a new engine view every second. Times are the browser's own (performance.now, its event timing): from the key
press to the frame that shows the verdict, and from the start of a navigation to its load event and to the first frame
with the search field. A cold load has an empty cache; a warm one is how every other visit begins.
"""

import argparse
import asyncio
import multiprocessing as mp
import os
import statistics
import sys
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

sys.path.insert(0, str(Path(__file__).parent))
from lookup_rate import keys_for, percentile, server

CHROMIUM = "/usr/bin/chromium"
# The first frame after the verdict stands in the document: requestAnimationFrame comes before it is painted, the task
# posted from there after it.
WATCH = """() => {
  window.took = [];
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") window.pressed = event.timeStamp;
  }, true);
  new MutationObserver(() => {
    const verdict = document.getElementById("verdict");
    if (!verdict || verdict === window.last || !window.pressed) return;
    window.last = verdict;
    const pressed = window.pressed;
    window.pressed = 0;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.took.push(performance.now() - pressed);
      port2.postMessage(0);
    });
  }).observe(document.getElementById("answer"), { childList: true, subtree: true });
}"""
LOADED = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [page.loadEventEnd - page.startTime, paint.startTime, window.ready];
}"""
READY = """() => new Promise((done) => {
  const see = () => {
    const desk = document.getElementById("desk");
    if (desk && !desk.hidden) window.ready ??= performance.now();
    if (window.ready && performance.getEntriesByName("first-contentful-paint").length) done();
    else requestAnimationFrame(see);
  };
  see();
})"""


async def logged_in(browser: Browser, url: str, key: str) -> Page:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.goto(url)
    await page.fill("#login-key", key)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#desk:not([hidden])")
    return page


async def loads(page: Page, count: int, cold: bool) -> list[list[float]]:
    """[load event, first paint, search field shown] in ms, of each navigation by somebody who is logged in."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.setCacheDisabled", {"cacheDisabled": cold})
    made = []
    for _ in range(count):
        await page.reload(wait_until="load")
        await page.evaluate(READY)
        made.append(await page.evaluate(LOADED))
    await session.send("Network.setCacheDisabled", {"cacheDisabled": False})
    return made


async def verdicts(page: Page, keys: list[str]) -> list[float]:
    """ms from Enter to the frame with the verdict, for each key."""
    await page.evaluate(WATCH)
    for n, key in enumerate(keys):
        await page.fill("#key", key)
        await page.keyboard.press("Enter")
        await page.wait_for_function("(n) => window.took.length > n", arg=n)
        await page.wait_for_timeout(30)
    found: list[float] = await page.evaluate("window.took")
    return found


async def measure(url: str, key: str, arguments: argparse.Namespace) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        print(f"chromium {browser.version}, load average {os.getloadavg()[0]:.1f}\n")
        page = await logged_in(browser, url, key)
        await loads(page, 2, cold=False)  # the browser's own warming up
        print("| page load | load event: median, p95 ms | first paint: median, p95 ms | search field: median, p95 ms |")
        print("|---|---|---|---|")
        for name, cold in (("empty cache", True), ("as every day", False)):
            times = list(zip(*await loads(page, arguments.loads, cold), strict=True))
            print(f"| {name} | {' | '.join(shown(list(one)) for one in times)} |")
        print("\n| Enter to the verdict on the screen | median, p95 ms |\n|---|---|")
        found = await verdicts(page, keys_for(arguments.lines, arguments.lookups, 5))
        print(f"| {len(found)} look-ups | {shown(found)} |")
        await browser.close()


def shown(values: list[float]) -> str:
    return f"{statistics.median(values):.0f}, {percentile(values, 0.95):.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--loads", type=int, default=30)
    parser.add_argument("--lookups", type=int, default=100)
    arguments = parser.parse_args()
    here, there = mp.Pipe()
    process = mp.get_context("spawn").Process(target=server, args=(arguments.lines, there))
    process.start()
    urls, key, _ = here.recv()
    try:
        asyncio.run(measure(next(url for url in urls if url.startswith("http")), key, arguments))
    finally:
        here.send("stop")
        process.join(20)


if __name__ == "__main__":
    main()
