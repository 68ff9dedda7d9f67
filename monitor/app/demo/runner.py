"""Runs the demonstration: virtual provider, the real daemon as a process, faults, and the table at the end.

The daemon is started as a user starts it and watched only through its API. Everything that is started dies with this
process, however it ends.
"""

import asyncio
import contextlib
import csv
import math
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from monitor.app.demo.config import write_config
from monitor.app.demo.inbox import Inbox
from monitor.app.demo.report import AFTER_S, Injected, Report, compare
from monitor.app.demo.watch import Watch
from monitor.app.errors import RunFailed
from monitor.clock import Clock, SystemClock
from monitor.lab.faults import Fault
from monitor.lab.plan import DemoPlan, Step
from monitor.lab.process import Child, LabError, free_port, start
from monitor.lab.provider import VirtualProvider

START_S = 60.0
POLL_S = 1.0
FADE_DB_PER_MIN = 2.0
Say = Callable[[str], None]


async def run_demo(
    lines: int, minutes: float, simulated: bool, port: int, say: Say, seed: int = 1, clock: Clock | None = None
) -> Report:
    """The whole demonstration. Ctrl-C and SIGTERM end it early, with the table of what was injected until then.

    Raises RunFailed when the daemon or the laboratory does not do its part, ValueError for numbers out of range.
    """
    clock = clock or SystemClock()
    with _folder() as folder:
        provider = VirtualProvider(folder, lines, seed, simulated=True if simulated else None, clock=clock)
        say(f"A virtual provider with {lines:,} lines: starting broker, resolvers, routers and the network ...")
        try:
            await asyncio.to_thread(provider.start)
        except LabError as error:
            raise RunFailed(str(error)) from None
        try:
            return await _demonstrate(provider, folder, minutes, port, say, clock)
        except LabError as error:
            raise RunFailed(f"the laboratory failed: {error}") from None
        finally:
            await asyncio.to_thread(provider.stop)


TAKES_DOWN = ("outage", "unstable", "down")  # a silent resolver and a blind prober take no line down

# Removes the folder once the demo's end of the pipe is closed, however that came about.
_JANITOR = """
import shutil, sys, time
sys.stdin.buffer.read()
for _ in range(50):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    time.sleep(0.1)
    try:
        open(sys.argv[1]).close()
    except FileNotFoundError:
        break
    except OSError:
        pass
"""


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, also after SIGKILL of this process."""
    folder = Path(tempfile.mkdtemp(prefix="faultline-demo-"))
    command = [sys.executable, "-I", "-S", "-c", _JANITOR, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield folder


async def _demonstrate(
    provider: VirtualProvider, folder: Path, minutes: float, port: int, say: Say, clock: Clock
) -> Report:
    port = port if port and _is_free(port) else free_port()
    inbox = Inbox(folder, say, clock)
    config = write_config(provider, folder, port, inbox=inbox)
    key = _make_key(folder)
    plan = DemoPlan(provider.faults, minutes)
    url = f"http://127.0.0.1:{port}"
    with contextlib.closing(inbox):
        return await _watched(plan, inbox, config, folder, url, key, say, clock, provider)


async def _watched(
    plan: DemoPlan,
    inbox: Inbox,
    config: Path,
    folder: Path,
    url: str,
    key: str,
    say: Say,
    clock: Clock,
    provider: VirtualProvider,
) -> Report:
    async with _daemon(config, folder) as daemon:
        zero_s = clock.now_ns() / 1e9
        inbox.zero_s = zero_s
        watch = Watch(url, key, say, zero_s)
        try:
            await _until_ready(watch, daemon)
            say(_greeting(provider, url, key, plan.length_s))
            fading = Injected(
                "fading light", "degrading", "line", provider.fading_line, frozenset(), clock.now_ns() / 1e9
            )
            fading.lines = frozenset([provider.fading_line])
            await asyncio.to_thread(provider.fade, FADE_DB_PER_MIN)
            say(f"                   (beside all this the light of line {provider.fading_line} fades slowly)")
            await _play(plan, watch, daemon, say, clock, provider.fading_line)
            await asyncio.to_thread(watch.poll, (), _failing(plan, clock.now_ns()), clock.now_ns() / 1e9)
            say(f"Alerts: {inbox.count} messages about {len(inbox.incidents)} incidents, each signed and checked.")
            report = compare([injected(f) for f in plan.faults], list(watch.found.values()), [fading])
            light = await asyncio.to_thread(watch.light, provider.fading_line)
            words = light.words() if light is not None else "its router has not reported its light"
            report.shown.append(f"Shown beside: line {provider.fading_line}: {words}.")
            return report
        finally:
            watch.close()


async def _play(plan: DemoPlan, watch: Watch, daemon: Child, say: Say, clock: Clock, fading: str) -> None:
    """Inject, heal and watch until the plan ends or somebody asks us to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def on_step(step: Step) -> None:
        word = "injected" if step.action == "inject" else "healed"
        lines = f", {len(step.fault.lines)} lines" if len(step.fault.lines) > 1 else ""
        where = f"{step.fault.scope['kind']} {step.fault.scope['name']}"
        say(f"                   ({word}: {step.fault.title}, {where}{lines})")

    async def observe() -> None:
        while True:
            if not daemon.running():
                raise RunFailed(f"the daemon ended with {daemon.returncode}: {daemon.log_tail()}")
            suspects = [f.lines[0] for f in plan.faults if f.kind == "down" and f.active]
            now_ns = clock.now_ns()
            await asyncio.to_thread(watch.poll, suspects, _failing(plan, now_ns), now_ns / 1e9)
            await asyncio.to_thread(watch.fading, fading, clock.now_ns() / 1e9)
            await clock.sleep(POLL_S)

    tasks = [
        asyncio.create_task(plan.run(on_step, clock)),
        asyncio.create_task(observe()),
        asyncio.create_task(stop.wait()),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if stop.is_set():
            say("stopping ...")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _failing(plan: DemoPlan, now_ns: int) -> int:
    """How many lines may rightly be down: those of the faults at work, or healed a short while ago."""
    since_ns = now_ns - int(AFTER_S * 1e9)
    broken = [f for f in plan.faults if f.active or (f.healed_ns is not None and f.healed_ns >= since_ns)]
    return len({line for fault in broken if fault.kind in TAKES_DOWN for line in fault.lines})


@contextlib.asynccontextmanager
async def _daemon(config: Path, folder: Path) -> AsyncIterator[Child]:
    command = [sys.executable, "-m", "monitor.app", "run", "--config", str(config)]
    daemon = await asyncio.to_thread(start, "faultline", command, log=folder / "faultline.log")
    try:
        yield daemon
    finally:
        await asyncio.to_thread(daemon.stop, 15.0)


async def _until_ready(watch: Watch, daemon: Child) -> None:
    for _ in range(int(START_S / 0.2)):
        if not daemon.running():
            raise RunFailed(f"the daemon did not start: {daemon.log_tail()}")
        if await asyncio.to_thread(watch.ready):
            return
        await asyncio.sleep(0.2)
    raise RunFailed(f"the daemon was not ready after {START_S:.0f} s: {daemon.log_tail()}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _make_key(folder: Path) -> str:
    from monitor.store.settings import StoreSettings
    from monitor.store.state import StateStore

    state = StateStore.open(StoreSettings(folder=str(folder / "data")))
    try:
        return state.create_key("demo", "admin").text
    finally:
        state.close()


def injected(fault: Fault) -> Injected:
    """A fault of the laboratory, as the report holds it against what was found."""
    made = Injected(
        name=fault.title,
        kind=fault.kind,
        scope_kind=fault.scope["kind"],
        scope_name=fault.scope["name"],
        lines=frozenset(fault.lines),
        from_s=fault.injected_ns / 1e9 if fault.injected_ns is not None else math.inf,
    )
    if fault.healed_ns is not None:
        made.until_s = fault.healed_ns / 1e9
    return made


def customer_of(inventory_file: Path, line_id: str) -> str:
    """The customer number of a line, as the caller would give it."""
    with inventory_file.open(newline="", encoding="utf-8") as file:
        return next(row["customer_id"] for row in csv.DictReader(file) if row["line_id"] == line_id)


def _greeting(provider: VirtualProvider, url: str, key: str, length_s: float) -> str:
    how = "simulated lines" if provider.simulated else "real ICMP into a network namespace"
    why = f" ({provider.why_simulated})" if provider.why_simulated else ""
    sample = provider.faults["splitter"].lines[0]
    customer = customer_of(provider.inventory_file, sample)
    return (
        f"Faultline runs: {how}{why}; {len(provider.resolvers)} real resolvers, a real broker.\n"
        f"  page  {url}/\n"
        f"  key   {key}\n"
        "  alerts go to a webhook of this demo: lines that begin with ALERT are what it was sent\n"
        f"  take a call: customer {customer} (line {sample}) will be cut off; this takes {length_s / 60:.1f} minutes,"
        " Ctrl-C ends it\n"
        "It learns what is normal first; then things break."
    )
