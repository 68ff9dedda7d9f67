"""What the daemon knows of one prober on another machine: when it was heard, its clock, what waits for it."""

import asyncio
from collections import Counter, deque

import numpy as np
import numpy.typing as npt

from collectors.remote.settings import ProbersSettings
from monitor.clock import NS
from monitor.metrics import Metrics
from monitor.records import ProbeRequest
from monitor.records.rounds import I32

FOREVER = np.iinfo(np.int64).max
SAVED_S = 10.0  # so many seconds' rows may be sent at once
BATCHES = 4096
ASKS_MAX = 256
CLOCK_SAMPLES = 16
CLOCK_OFF_NS, CLOCK_WELL_NS = NS, NS // 2


class TooMuch(Exception):
    """More rows than one prober may send; `retry_s` says when there is room."""

    def __init__(self, retry_s: float) -> None:
        super().__init__("more rows a second than probers.rows_max_per_s allows: send less, or later")
        self.retry_s = retry_s


class Peer:
    """`dirty` bool [lines]: this prober is to be told of these leases; `on_the_way`: those of its last orders."""

    def __init__(self, name: str, settings: ProbersSettings, metrics: Metrics, now_ns: int, now_s: float) -> None:
        self.name = name
        self.silent = False
        self.last_ns = 0
        self.seq = self.polls = self.left = 0
        self.asks: deque[ProbeRequest] = deque()
        self.dirty: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.on_the_way: I32 = np.zeros(0, np.int32)
        self.wake = asyncio.Event()
        self.batches: dict[str, None] = {}
        self._rate = settings.rows_max_per_s
        self._room, self._room_at_s = self._rate * SAVED_S, now_s
        self._last_s = now_s
        self._offsets: deque[int] = deque(maxlen=CLOCK_SAMPLES)
        self._shifting = False
        self._troubles = metrics.troubles
        self._rows = metrics.counter("prober_rows_total", "rows taken from other probers", ["source"]).labels(name)
        self._refused = metrics.counter(
            "prober_rows_refused_total", "rows of other probers that were not taken, by reason", ["source", "reason"]
        )
        self._offset = metrics.gauge("prober_clock_offset_seconds", "this clock less the prober's", ["source"]).labels(
            name
        )
        self._asks_gone = metrics.counter(
            "prober_requests_dropped_total", "requests that a prober did not come for", ["source"]
        ).labels(name)

    def forget(self, lines: int, told: I32) -> None:
        """It is to be told everything."""
        self.dirty = np.zeros(lines, np.bool_)
        self.dirty[told] = True
        self.on_the_way = np.zeros(0, np.int32)
        self.left = 0

    # ---- rows

    def limit(self, rows: int, now_s: float) -> None:
        """Raises TooMuch when these rows are too many now."""
        most = self._rate * SAVED_S
        self._room = min(most, self._room + (now_s - self._room_at_s) * self._rate)
        self._room_at_s = now_s
        if rows > self._room and self._room < most:
            raise TooMuch(min((rows - self._room) / self._rate, SAVED_S))
        self._room -= rows

    def shift_ns(self, sent_at_ns: int, now_ns: int) -> int:
        """What to add to this prober's times. The smallest of the last differences is the one least held up on its
        way; below a second nothing is changed, so that a good clock is not made worse by the network."""
        if not sent_at_ns:
            return 0
        self._offsets.append(now_ns - sent_at_ns)
        offset = min(self._offsets)
        self._offset.set(offset / NS)
        if abs(offset) > CLOCK_OFF_NS:
            self._shifting = True
            text = f"the clock of prober {self.name} is {abs(offset) / NS:.1f} s {'behind' if offset > 0 else 'ahead'}"
            self._troubles.begin(f"prober_clock:{self.name}", f"{text}: its times are corrected; check its NTP", now_ns)
        elif abs(offset) < CLOCK_WELL_NS and self._shifting:
            self._shifting = False
            self._troubles.end(f"prober_clock:{self.name}", now_ns)
        return offset if self._shifting else 0

    def heard(self, rows: int, refused: Counter[str], now_ns: int, now_s: float) -> None:
        self._rows.inc(rows)
        for reason, count in refused.items():
            self._refused.labels(self.name, reason).inc(count)
        if count := refused["unknown_target"]:
            text = (
                f"prober {self.name} sends what this inventory does not know ({count} rows): give both the same files"
            )
            self._troubles.begin(f"prober_inventory:{self.name}", text, now_ns)
        elif rows:
            self._troubles.end(f"prober_inventory:{self.name}", now_ns)
        if rows:
            self.last_ns, self._last_s = now_ns, now_s
            if self.silent:
                self.silent = False
                self._troubles.end(f"prober:{self.name}", now_ns)

    def review(self, now_s: float, silent_s: float, now_ns: int) -> None:
        """Say that it is silent, once."""
        if self.silent or now_s - self._last_s <= silent_s:
            return
        self.silent = True
        since = f"has sent nothing for {silent_s:.0f} s" if self.last_ns else f"has not reported in {silent_s:.0f} s"
        text = f"prober {self.name} {since}: its lines are unknown. Does it run, and does it reach this daemon?"
        self._troubles.begin(f"prober:{self.name}", text, now_ns)

    def remember(self, batch: str) -> None:
        if batch:
            self.batches[batch] = None
            if len(self.batches) > BATCHES:
                del self.batches[next(iter(self.batches))]

    # ---- requests

    def ask(self, request: ProbeRequest) -> None:
        self.asks.append(request)
        if len(self.asks) > ASKS_MAX:
            self.asks.popleft()
            self._asks_gone.inc()

    def take_asks(self) -> list[ProbeRequest]:
        taken = list(self.asks)
        self.asks.clear()
        return taken
