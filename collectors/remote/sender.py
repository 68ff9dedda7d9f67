"""The sink of a prober on another machine: rounds wait here and go to the daemon about once a second, in order.

A batch keeps its number until the daemon has said that it is on disk, so sending it again is harmless. While the
daemon does not answer, attempts grow apart; what waits is bounded in bytes and age, and the oldest rows go, counted.
"""

import asyncio
import importlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import httpx
import msgspec

from collectors.remote import body
from collectors.remote.orders import Taken
from collectors.remote.settings import ProbersSettings
from monitor.bus import IntakeFull
from monitor.clock import Clock
from monitor.inventory import Inventory
from monitor.inventory.slices import digest
from monitor.metrics import Metrics
from monitor.records import Event, LineValues, ProbeRound, Reference

ROW_BYTES = 40  # in memory
ROWS_AT_ONCE = 40_000
GATHER_S = 0.25  # what comes in one moment goes together


class RoundSender:
    """A Sink (collectors.base). `same_inventory`: the daemon's row numbers are ours; the follower says so."""

    def __init__(
        self,
        settings: ProbersSettings,
        source: str,
        client: httpx.AsyncClient,
        inventory: Callable[[], Inventory],
        references: tuple[Reference, ...],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._settings, self._source, self._client = settings, source, client
        self._inventory, self._references = inventory, references
        self._clock, self._troubles = clock, metrics.troubles
        self.same_inventory = False
        self._digest = (-1, "")  # of this generation of the inventory
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, ProbeRound]] = deque()
        self._rows = 0
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run_id, self._batch = secrets.token_hex(6), 0
        self._sent = metrics.counter("sent_rows_total", "rows the daemon has taken")
        self._dropped = metrics.counter("unsent_rows_dropped_total", "rows dropped because the daemon was away")
        self._depth = metrics.gauge("unsent_rows", "rows waiting for the daemon")

    # ---- Sink

    def put_round(self, item: ProbeRound | LineValues) -> "Future[None]":
        future: Future[None] = Future()
        future.set_result(None)  # nobody here waits for the daemon's disk
        if isinstance(item, LineValues) or not len(item):
            return future
        with self._lock:
            self._waiting.append((time.monotonic(), item))
            self._rows += len(item)
            most = int(self._settings.buffer_mb * 2**20 / ROW_BYTES)
            while self._rows > most and len(self._waiting) > 1:
                self._drop_oldest()
            self._depth.set(self._rows)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
        return future

    def put_event(self, event: Event) -> "Future[None]":
        """Only rounds go this way; who has events sends them to POST /api/v1/events. Raises IntakeFull, always."""
        raise IntakeFull("a prober on another machine sends rounds, no events")

    def _drop_oldest(self) -> None:
        _, oldest = self._waiting.popleft()
        self._rows -= len(oldest)
        self._dropped.inc(len(oldest))

    def reload(self) -> None:
        """The inventory was replaced: what waits was probed with the old one's rows."""
        with self._lock:
            while self._waiting:
                self._drop_oldest()

    # ---- to the daemon

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Seconds on a small machine: not while the first rounds wait, with the time of sending in them.
        await asyncio.to_thread(importlib.import_module, "pyarrow.compute")
        pause_s = 1.0
        self._wake.set()  # for what was put before
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            while rounds := self._next():
                self._batch += 1
                while (again := await self._send(rounds, f"{self._run_id}-{self._batch}", pause_s)) is not None:
                    await asyncio.sleep(again)
                    pause_s = min(pause_s * 2, self._settings.retry_max_s)
                    if self._too_old(rounds):
                        break
                else:
                    pause_s = 1.0

    def _next(self) -> list[tuple[float, ProbeRound]]:
        """The oldest rounds that are still worth sending, up to ROWS_AT_ONCE rows."""
        taken: list[tuple[float, ProbeRound]] = []
        rows = 0
        oldest_s = time.monotonic() - self._settings.keep_s
        with self._lock:
            while self._waiting and self._waiting[0][0] < oldest_s:
                self._drop_oldest()
            while self._waiting and (not taken or rows + len(self._waiting[0][1]) <= ROWS_AT_ONCE):
                taken.append(self._waiting.popleft())
                rows += len(taken[-1][1])
            self._rows -= rows
            self._depth.set(self._rows)
        return taken

    def _too_old(self, rounds: list[tuple[float, ProbeRound]]) -> bool:
        if rounds[-1][0] >= time.monotonic() - self._settings.keep_s:
            return False
        self._dropped.inc(sum(len(one) for _, one in rounds))
        return True

    async def _send(self, rounds: list[tuple[float, ProbeRound]], batch: str, pause_s: float) -> float | None:
        """None: done with these rounds; else in how many seconds to try again."""
        inventory = self._inventory()
        current = [one for _, one in rounds if one.generation == inventory.generation]
        if not current:
            return None
        by_row = self.same_inventory
        metadata = {"source": self._source, "batch": batch}
        if by_row:
            if self._digest[0] != inventory.generation:
                self._digest = inventory.generation, await asyncio.to_thread(digest, inventory)
            metadata["inventory"] = self._digest[1]
        metadata["sent_at"] = str(self._clock.now_ns())
        data = body.encode(current, inventory, self._references, metadata, by_row)
        try:
            answer = await self._client.post(
                "/api/v1/rounds", content=data, headers={"Content-Type": "application/vnd.apache.arrow.stream"}
            )
        except httpx.HTTPError as error:
            return self._away(f"{self._settings.url} does not answer ({type(error).__name__} {error})", pause_s)
        if answer.status_code == 409:
            self.same_inventory = False
            return 0.0
        if answer.status_code in (429, 503):
            wait = answer.headers.get("Retry-After", "")
            return self._away(f"{self._settings.url} has no room: {_detail(answer)}", max(1.0, float(wait or pause_s)))
        if answer.status_code != 202:
            return self._away(f"{self._settings.url} refuses rounds ({answer.status_code}: {_detail(answer)})", pause_s)
        taken = msgspec.json.decode(answer.content, type=Taken)
        self._sent.inc(taken.accepted)
        self._troubles.end("daemon", self._clock.now_ns())
        return None

    def _away(self, why: str, pause_s: float) -> float:
        text = (
            f"{why}. Rounds wait here, {self._settings.buffer_mb:g} MB and {self._settings.keep_s:g} s of them at most"
        )
        self._troubles.begin("daemon", text, self._clock.now_ns())
        return pause_s


def _detail(answer: httpx.Response) -> str:
    """What the daemon says is wrong, for people."""
    try:
        return str(answer.json()["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
