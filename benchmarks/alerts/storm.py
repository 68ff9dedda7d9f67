"""A storm: an exchange with thousands of lines goes down and comes back again and again while small faults go on.

The daemon's own engine decides, its store keeps, and the daemon's own chain tells a Slack that enforces what Slack
documents, over real HTTP, and a mailbox; only the time is virtual. Counts what people would see. Run it with
`make bench-alerts`.
"""

import argparse
import asyncio
import itertools
import json
import os
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from alerts.chain import build_chain
from alerts.receivers.base import Receiver
from alerts.receivers.slack import SlackReceiver
from alerts.settings import AlertSettings, SlackSettings
from correlation.engine import Engine
from monitor.clock import NS, ManualClock
from monitor.inventory import Inventory, load_inventory
from monitor.metrics import Metrics
from monitor.records import ProbeRound
from monitor.store.outbox import Outbox
from monitor.store.state import StateStore
from tests.alerts.samples import Keeper, settle
from tests.alerts.slack_server import TOKEN, SlackServer

START_NS = 1_700_000_000 * NS
INTERVAL_S = 10
EXCHANGE = "north/ex-1"


class Figures(msgspec.Struct):
    """`first_s`: from the opening of an incident to the first message that speaks of it, worst and 95th percentile;
    `interval_s`: the least time between two calls to one channel. Times are virtual seconds."""

    lines: int
    small_faults: int
    revisions: int
    incidents: int
    times_down: int
    slack_messages: int
    slack_updates: int
    slack_thread_lines: int
    slack_interval_s: float
    slack_refused: int
    slack_first_worst_s: float
    slack_first_p95_s: float
    mails: int
    mail_threads: int
    mail_first_worst_s: float
    untold: list[str]
    open_at_the_end: int
    waiting_at_the_end: int
    wall_s: float


def write_inventory(folder: Path, exchange_lines: int, small_faults: int) -> Path:
    """One big exchange; and others with 25 ports of 24 lines each, one port of which will fail."""
    rows = ["line_id,path"]
    rows += [f"b{n},{EXCHANGE}/olt-{n % 10}/pon-{n // 10 % 16}/split-{n // 160 % 8}" for n in range(exchange_lines)]
    for fault in range(small_faults):
        rows += [f"s{fault}-{n},south/ex-{fault}/olt-1/pon-{n // 24}" for n in range(600)]
    file = folder / "inventory.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def lines_under(inventory: Inventory, path: str) -> np.ndarray:
    element = inventory.elements.index_of(path)
    assert element is not None
    return np.arange(inventory.elements.lo[element], inventory.elements.hi[element])


def down_at(inventory: Inventory, cycles: int, small_faults: int, mended_s: int) -> list[tuple[int, int, np.ndarray]]:
    """(from, until, rows) in seconds after the start; the small faults last until `mended_s`."""
    learn = 20 * INTERVAL_S
    exchange = lines_under(inventory, EXCHANGE)
    found = [(learn + c * 300, learn + c * 300 + 150, exchange) for c in range(cycles)]
    spread = np.random.default_rng(7).integers(0, cycles * 300, small_faults)
    for fault, at_s in enumerate(spread.tolist()):
        found.append((learn + at_s, mended_s, lines_under(inventory, f"south/ex-{fault}/olt-1/pon-3")))
    return found


async def storm(exchange_lines: int, small_faults: int, cycles: int, folder: Path, tail_s: int = 900) -> Figures:
    """`cycles`: how often the exchange fails, every five minutes for half of them; `tail_s`: what follows."""
    begun = time.monotonic()
    inventory = load_inventory(write_inventory(folder, exchange_lines, small_faults))
    seconds = 20 * INTERVAL_S + cycles * 300 + tail_s * 2
    faults = down_at(inventory, cycles, small_faults, seconds - tail_s)
    clock, slack = ManualClock(START_NS), SlackServer()
    state = StateStore(folder / "state.sqlite", clock)
    outbox, engine = Outbox(state), Engine(inventory)
    (folder / "token").write_text(TOKEN)
    part = SlackSettings(enabled=True, token_file=str(folder / "token"), channel="#noc", base_url=slack.url)
    mail = Keeper(clock, "email", interval_s=0.5, update_s=60.0)
    mail.in_place = False
    mail.most_per_hour = 60
    calls: list[int] = []
    receiver = SlackReceiver(part, clock)
    turn = receiver.pacer.turn

    async def counted() -> None:
        await turn()
        calls.append(clock.now_ns())

    receiver.pacer.turn = counted  # type: ignore[method-assign]
    receivers: list[Receiver] = [receiver, mail]
    settings = AlertSettings(page_url="https://faultline.example.net")
    chain = build_chain(settings, outbox, Metrics(), clock, ZoneInfo("UTC"), receivers)
    task = asyncio.create_task(chain.run())
    opened: dict[str, int] = {}
    said: dict[str, int] = {}
    revisions = 0
    try:
        for seq in range(seconds // INTERVAL_S):
            result = engine.step(clock.now_ns(), [_round(inventory, faults, seq * INTERVAL_S, clock.now_ns())])
            state.apply(seq + 1, result.changes)
            for change in result.changes:
                if change.incident is not None and change.incident.status != "suspected":
                    revisions += 1
                    opened.setdefault(change.incident.incident_id, clock.now_ns())
            chain.nudge()
            for _ in range(INTERVAL_S):
                await settle(chain.workers)
                for text in slack.messages.values():
                    _see(json.dumps(text), opened, said, clock.now_ns(), state)
                await clock.advance(1)
        await settle(chain.workers)
        waiting = outbox.waiting("slack") + outbox.waiting("email")
        figures = _figures(slack, mail, calls, opened, said, inventory, small_faults)
        figures.revisions, figures.waiting_at_the_end = revisions, waiting
        figures.open_at_the_end = len(state.open_incidents())
        figures.times_down = cycles
        figures.wall_s = round(time.monotonic() - begun, 1)
        return figures
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        state.close()
        slack.close()


def _round(inventory: Inventory, faults: list[tuple[int, int, np.ndarray]], at_s: int, at_ns: int) -> ProbeRound:
    up = np.ones(len(inventory), bool)
    for begin, end, rows in faults:
        if begin <= at_s < end:
            up[rows] = False
    received = np.where(up, 3, 0).astype(np.uint16)
    rtt = np.where(up, 8.0, np.nan).astype(np.float32)
    rows = np.arange(len(inventory), dtype=np.int32)
    sent = np.full(len(inventory), 3, np.uint16)
    return ProbeRound("default", inventory.generation, rows, np.full(len(rows), at_ns, np.int64), sent, received, rtt)


def _see(text: str, opened: dict[str, int], said: dict[str, int], now_ns: int, state: StateStore) -> None:
    """Which incidents this message speaks of, by id or, in a summary, by scope."""
    for incident_id in opened:
        if incident_id not in said:
            found = state.incident(incident_id)
            if incident_id in text or (found is not None and "at once" in text and found.scope.name in text):
                said[incident_id] = now_ns


def _figures(
    slack: SlackServer,
    mail: Keeper,
    calls: list[int],
    opened: dict[str, int],
    said: dict[str, int],
    inventory: Inventory,
    small_faults: int,
) -> Figures:
    methods = [outcome for _, method, outcome in slack.calls if method.startswith("chat.")]
    updates = sum(method == "chat.update" for _, method, _ in slack.calls)
    delays = sorted((said[i] - opened[i]) / NS for i in opened if i in said)
    mailed: dict[str, int] = {}
    for at_ns, message, new in mail.told:
        if new:
            mailed.setdefault(message.incident_id, at_ns)
    mail_delays = [(mailed[i] - opened[i]) / NS for i in opened if i in mailed]
    gaps = [(b - a) / NS for a, b in itertools.pairwise(sorted(calls))]
    return Figures(
        lines=len(inventory),
        small_faults=small_faults,
        revisions=0,
        incidents=len(opened),
        times_down=0,
        slack_messages=len(slack.messages),
        slack_updates=updates,
        slack_thread_lines=sum(len(lines) for lines in slack.threads.values()),
        slack_interval_s=round(min(gaps, default=0.0), 2),
        slack_refused=sum(outcome != "ok" for outcome in methods),
        slack_first_worst_s=max(delays, default=0.0),
        slack_first_p95_s=delays[int(len(delays) * 0.95)] if delays else 0.0,
        mails=len(mail.told),
        mail_threads=sum(new for _, _, new in mail.told),
        mail_first_worst_s=max(mail_delays, default=0.0),
        untold=sorted(set(opened) - set(said)),
        open_at_the_end=0,
        waiting_at_the_end=0,
        wall_s=0.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000, help="lines of the exchange that fails")
    parser.add_argument("--small", type=int, default=20, help="small faults that go on meanwhile")
    parser.add_argument("--cycles", type=int, default=6, help="how often the exchange goes down")
    given = parser.parse_args()
    os.nice(5)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(storm(given.lines, given.small, given.cycles, Path(folder)))
    for name, value in msgspec.structs.asdict(figures).items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
