"""The daemon's side of probing: starts the prober process, tells it what to probe, and brings home what it found.

Rows come back as positions in the target table and leave as ProbeRounds with inventory indexes and UTC times. A row
that was probed before its line's address changed is dropped here, whatever the prober had in hand at that moment. A
prober that ends is started again with growing pauses; that is said once, and its return once.

`request`, `reload` and `rebound` may be called from any thread and never block. `run` belongs on the loop of the main
thread: the prober dies with the thread that started it.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.base import CollectorContext, Health
from collectors.icmp import targets as target_table
from collectors.icmp.budget import Budget
from collectors.icmp.channel import Channel, Closed, Malformed, pair
from collectors.icmp.messages import Ask, Failed, Finished, Message, Ready, Rebind, Slice, Start
from collectors.icmp.messages import Targets as TargetsMessage
from collectors.icmp.notes import Notes
from collectors.icmp.settings import IcmpSettings
from collectors.icmp.targets import KINDS, SECOND, Targets
from monitor.records import ProbeRequest, ProbeRound, RequestReason

REQUESTS_MAX = 256
COUNT_MAX = 100
GATHER_S = 0.1  # changed addresses are sent together
RETRY_S = 0.1
HEALTHY_S = 60.0  # a prober that ran this long is started again without a longer pause


class IcmpCollector:
    """A Prober (collectors.base)."""

    name = "icmp"

    def __init__(self, settings: IcmpSettings, context: CollectorContext) -> None:
        """Raises ValueError, naming the setting, when one is wrong."""
        target_table.check_references(settings.references)
        self._settings = settings
        self._context = context
        self._notes = Notes(settings, context)
        self._budget = Budget(settings, context.clock.now_ns())
        self._lock = threading.Lock()
        self._requests: deque[ProbeRequest] = deque()
        self._changed: set[int] = set()
        self._reload = True
        self._targets: Targets | None = None
        self._row_version: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._version = self._table_version = 0
        self._round_id = 1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._rebuild: asyncio.TimerHandle | None = None
        self._channel: Channel | None = None
        self._ended: asyncio.Future[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # ---- what others call

    @property
    def pid(self) -> int | None:
        """The prober process, while there is one."""
        return self._process.pid if self._process else None

    def health(self) -> Health:
        return self._notes.health()

    def reload(self) -> None:
        with self._lock:
            self._reload = True
            self._changed.clear()
        self._nudge()

    def rebound(self, lines: Sequence[int]) -> None:
        with self._lock:
            self._changed.update(lines)
            if self._targets is not None and not self._reload:
                # From here on, what was probed before the prober knows of the change is not taken.
                at = self._targets.positions(KINDS[0], np.array(list(lines), np.int32))
                self._row_version[at] = self._version + 1
        self._nudge()

    def request(self, request: ProbeRequest) -> None:
        with self._lock:
            self._requests.append(request)
            if len(self._requests) > REQUESTS_MAX:
                self._notes.refused({"queue": len(self._requests.popleft().target)})
        self._nudge()

    def _nudge(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    # ---- the life of the process

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        pause_s = 1.0
        while True:
            began = time.monotonic()
            why = await self._session()
            if time.monotonic() - began > HEALTHY_S:
                pause_s = 1.0
            self._notes.prober_ended(why, pause_s)
            await self._context.clock.sleep(pause_s)
            pause_s = min(pause_s * 2, self._settings.restart_max_s)

    async def _session(self) -> str:
        """One process from start to end; returns why it ended."""
        ours, theirs = pair()
        loop = asyncio.get_running_loop()
        with theirs:
            self._process = _start(theirs.fileno())
        ours.setblocking(False)
        self._channel = Channel(ours)
        self._ended = loop.create_future()
        with self._lock:
            self._reload = True
        loop.add_reader(ours.fileno(), self._read)
        feeding: asyncio.Task[None] | None = None
        try:
            self._channel.send(self._start_message())
            feeding = asyncio.create_task(self._feed())
            either: set[asyncio.Future[Any]] = {feeding, self._ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                return self._ended.result()
            await feeding
            return "nothing is left to tell it"
        except Closed:
            self._read()  # it may have said why
            return self._ended.result() if self._ended.done() else self._exit_text()
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            loop.remove_reader(ours.fileno())
            self._channel = None
            ours.close()
            self._process.kill()
            self._process.wait()  # it was killed: this does not take long
            self._process = None

    def _start_message(self) -> Start:
        s = self._settings
        return Start(
            mode=s.mode,
            netns=s.netns,
            wire=s.wire,
            interval_s=s.interval_s,
            timeout_s=s.timeout_s,
            probes=s.probes,
            spacing_s=s.spacing_s,
            rate_pps=s.rate_max_pps,
            reference_interval_s=s.reference_interval_s,
            reference_probes=s.reference_probes,
            extra_pps=s.confirm_pps,
            extra_spacing_s=s.confirm_spacing_s,
            source=self._context.source,
            round_id=self._round_id,
        )

    # ---- to the prober

    async def _feed(self) -> None:
        """Send what has changed, as long as the prober lives. Raises Closed when it does not."""
        while True:
            self._wake.clear()
            with self._lock:
                reload, self._reload = self._reload, False
                requests = list(self._requests)
                self._requests.clear()
            if reload:
                await self._send_targets()
            await self._send_changed()
            for request in requests:
                self._send_request(request)
            await self._wake.wait()
            if self._changed and not self._requests:
                await asyncio.sleep(GATHER_S)

    async def _send_targets(self) -> None:
        bindings = self._context.bindings()
        inventory = bindings.inventory
        context = self._context
        built = await asyncio.to_thread(
            target_table.build, inventory, bindings, self._settings, context.slices, context.source
        )
        with self._lock:
            self._version += 1
            self._table_version = self._version
            self._targets = built
            self._row_version = np.full(len(built), self._version, np.uint32)
            changed = np.array(list(self._changed), np.int32)  # while the table was built
            self._row_version[built.positions(KINDS[0], changed)] = self._version + 1
        self._budget.use(len(inventory.elements), len(inventory.groups))
        stretch_s = built.largest * self._settings.probes / self._settings.node_max_pps
        message = TargetsMessage(self._version, built.round_rows, stretch_s)
        await self._send(message, {"family": built.family, "high": built.high, "low": built.low})

    async def _send_changed(self) -> None:
        with self._lock:
            targets, bindings = self._targets, self._context.bindings()
            wanted = np.array(sorted(self._changed), np.int32)
            self._changed.clear()
            if targets is None or not len(wanted) or bindings.inventory.generation != targets.generation:
                return
            lines = targets.mine(KINDS[0], wanted)
            self._version += 1
            version = self._version
            self._row_version[targets.positions(KINDS[0], lines)] = version
        second = target_table.line_addresses(bindings, lines, second=True)
        there = targets.second_at[lines] >= 0
        self._more_places(bool((second[0][~there] > 0).any()))
        columns: dict[str, npt.NDArray[Any]] = {
            "position": np.concatenate([targets.line_at[lines], targets.second_at[lines][there]])
        }
        first = target_table.line_addresses(bindings, lines)
        for i, name in enumerate(("family", "high", "low")):
            columns[name] = np.concatenate([first[i], second[i][there]])
        await self._send(Rebind(version), columns)

    def _more_places(self, wanted: bool) -> None:
        """A line has got a second address, for which the table has no place: build it again, but once a round only."""
        if not wanted or self._rebuild is not None:
            return

        def again() -> None:
            self._rebuild = None
            with self._lock:
                self._reload = True
            self._wake.set()

        self._rebuild = asyncio.get_running_loop().call_later(self._settings.interval_s, again)

    async def _send(self, message: Message, columns: dict[str, npt.NDArray[Any]]) -> None:
        while self._channel is not None:
            try:
                self._channel.send(message, columns)
                return
            except BlockingIOError:
                await asyncio.sleep(RETRY_S)

    def _send_request(self, request: ProbeRequest) -> None:
        targets = self._targets
        if targets is None or self._channel is None or request.generation not in (0, targets.generation):
            self._notes.refused({"not_ready": len(request.target)})
            return
        now = self._context.clock.now_ns()
        left_ns = request.deadline_ns - now
        count = min(max(request.count, 1), COUNT_MAX)
        target = np.asarray(request.target, np.int32)
        if self._context.slices is not None:
            target = targets.mine(request.kind, target)  # the others' share is asked for elsewhere
        positions = targets.positions(request.kind, target)
        unobservable = max(0, len(target) - len(positions))
        if left_ns <= 0:
            self._notes.refused({"deadline": len(target)})
            return
        lookup = request.reason is RequestReason.LOOKUP
        admitted, refused = self._budget.admit(targets, positions, count, lookup, now)
        refused["not_observable"] += unobservable
        self._notes.refused(refused)
        if not len(admitted):
            return
        ask = Ask(request.request_id, self._table_version, count, lookup, time.monotonic_ns() + left_ns)
        try:
            self._channel.send(ask, {"position": np.sort(admitted)})  # in the table's order nodes take turns
        except BlockingIOError:
            self._notes.refused({"busy": len(admitted)})

    # ---- from the prober

    def _read(self) -> None:
        assert self._channel is not None
        assert self._ended is not None
        try:
            while (got := self._channel.receive()) is not None:
                self._take(*got)
        except Closed:
            self._end(self._exit_text())
        except Malformed as error:
            self._end(f"it sent what cannot be read ({error})")

    def _end(self, why: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(why)
        if self._loop is not None and self._channel is not None:
            self._loop.remove_reader(self._channel.fileno())

    def _exit_text(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return "it closed its channel"
        return f"it was killed by signal {-status}" if status < 0 else f"it ended with status {status}"

    def _take(self, message: Message, columns: dict[str, npt.NDArray[Any]]) -> None:
        match message:
            case Slice():
                self._take_slice(message, columns)
            case Finished():
                self._round_id = message.note.round_id + 1
                self._notes.round_ended(message.note, message.lost_slices)
            case Ready():
                self._notes.prober_ready(message.sockets)
            case Failed():
                self._end(message.text)
            case _:
                raise Malformed(f"a daemon is not told {type(message).__name__}")

    def _take_slice(self, part: Slice, columns: dict[str, npt.NDArray[Any]]) -> None:
        targets = self._targets
        if targets is None or part.version < self._table_version:
            return  # of a table that is no more: its positions mean nothing now
        position = columns["position"]
        with self._lock:
            keep = self._row_version[position] <= part.version
        kind = targets.kind[position]
        now = self._context.clock.now_ns()
        offset = now - time.monotonic_ns()
        at_ns = np.where(columns["at_ns"] > 0, columns["at_ns"] + offset, now)
        for code in np.unique(kind[keep]).tolist():
            rows = np.flatnonzero(keep & (kind == code))
            optional = {n: columns[n][rows] for n in ("rtt_min_ms", "rtt_max_ms", "jitter_ms") if n in columns}
            self._context.sink.put_round(
                ProbeRound(
                    source=self._context.source,
                    generation=targets.generation,
                    target=targets.index[position[rows]],
                    at_ns=at_ns[rows],
                    sent=columns["sent"][rows],
                    received=columns["received"][rows],
                    rtt_ms=columns["rtt_ms"][rows],
                    kind=KINDS[code],
                    family=6 if code == SECOND else 0,
                    round_id=part.round_id,
                    request_id=part.request_id,
                    **optional,
                )
            )
        self._notes.rows(now, int(keep.sum()), int((~keep).sum()))


def _start(fd: int) -> subprocess.Popen[bytes]:
    # One thread is enough: without this the linear algebra behind numpy starts one per core.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "collectors.icmp.process", str(fd), str(os.getpid())]
    return subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL, env=environment)
