"""The prober process: `python -m collectors.icmp.process FD PARENT`, started by the daemon's IcmpCollector.

Takes targets and requests from the socket pair FD, probes, and hands finished rows back about every second. It
imports numpy and msgspec only, and ends when the daemon does: by a signal from the kernel, and by the end of the pair.
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.icmp.channel import Channel, Closed, Malformed
from collectors.icmp.engine import Engine, Table
from collectors.icmp.job import Priority, Results
from collectors.icmp.messages import Ask, Failed, Finished, Message, Ready, Rebind, Slice, Start, Targets
from collectors.icmp.opening import open_lanes
from collectors.icmp.rounds import Rounds

PR_SET_PDEATHSIG = 1
IDLE_MS = 5_000  # the longest sleep: where the kernel does not kill us with the daemon, its end is looked for
WAITING_MAX = 64  # messages kept for a daemon that does not read; then the oldest rows go, counted


class Prober:
    def __init__(self, channel: Channel, start: Start, parent: int = 0) -> None:
        """`parent`: the daemon's process, whose end ends this one, too (0: its channel alone tells).

        Raises OSError when no socket can be opened; the text says what to do.
        """
        self._parent = parent
        self._channel = channel
        self._timeout_ns = int(start.timeout_s * 1e9)
        lanes, opened = open_lanes(start.mode, start.netns, start.wire, self._timeout_ns)
        self._engine = Engine(lanes, start.extra_pps)
        self._start = start
        self._rounds = Rounds(self._engine, start)
        self._table_version = self._version = 0
        self._waiting: deque[tuple[Message, dict[str, npt.NDArray[Any]]]] = deque()
        self._lost_slices = 0
        self._poller = select.poll()
        self._poller.register(channel.fileno(), select.POLLIN)
        for lane in lanes.values():
            if lane.transport.wakes:
                self._poller.register(lane.transport.fileno(), select.POLLIN)
        self._say(Ready(opened))

    def run(self) -> None:
        """Probe until the daemon is gone."""
        try:
            while self._parent in (0, os.getppid()):
                self._turn()
        finally:
            self._engine.close()

    def _turn(self) -> None:
        while (got := self._channel.receive()) is not None:
            self._take(*got)
        self._rounds.begin_due()
        self._engine.tick()
        for job, results in self._engine.results():
            round_id = self._rounds.note(job, results)
            if results is not None:
                self._hand_over(results, round_id, job.request_id)
        for note in self._rounds.finished():
            self._say(Finished(note, self._lost_slices))
            self._lost_slices = 0
        self._flush()
        self._poller.poll(self._pause_ms())

    def _pause_ms(self) -> int:
        times = [at for at in (self._engine.wake_ns(), self._rounds.next_ns()) if at is not None]
        if self._waiting:
            times.append(time.monotonic_ns() + 50_000_000)
        if not times:
            return IDLE_MS
        return min(IDLE_MS, max(0, -((time.monotonic_ns() - min(times)) // 1_000_000)))

    def _take(self, message: Message, columns: dict[str, npt.NDArray[Any]]) -> None:
        match message:
            case Targets():
                self._table_version = self._version = message.version
                self._engine.use_table(Table(columns["family"], columns["high"], columns["low"]))
                self._rounds.use(message.round_rows, len(columns["family"]), message.stretch_s)
            case Rebind():
                self._version = message.version
                self._engine.rebind(columns["position"], columns["family"], columns["high"], columns["low"])
            case Ask():
                if message.version == self._table_version:
                    self._ask(message, columns["position"])
            case _:
                raise Malformed(f"a prober is not told {type(message).__name__}")

    def _ask(self, ask: Ask, positions: npt.NDArray[np.int32]) -> None:
        self._engine.add(
            positions,
            probes=ask.count,
            rate_pps=self._start.extra_pps,
            spacing_ns=int(self._start.extra_spacing_s * 1e9),
            priority=Priority.LOOKUP if ask.lookup else Priority.CONFIRM,
            request_id=ask.request_id,
            deadline_ns=ask.deadline_ns,
        )

    def _hand_over(self, results: Results, round_id: int, request_id: int) -> None:
        columns: dict[str, npt.NDArray[Any]] = {
            "position": results.position,
            "at_ns": results.at_ns,
            "sent": results.sent,
            "received": results.received,
            "rtt_ms": results.rtt_ms,
        }
        for name in ("rtt_min_ms", "rtt_max_ms", "jitter_ms"):
            if (column := getattr(results, name)) is not None:
                columns[name] = column
        self._say(Slice(self._version, round_id, request_id), columns)

    def _say(self, message: Message, columns: dict[str, npt.NDArray[Any]] | None = None) -> None:
        self._waiting.append((message, columns or {}))
        if len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self._lost_slices += 1
        self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                self._channel.send(*self._waiting[0])
                self._waiting.popleft()


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends (Linux); the end of the socket pair says the same elsewhere."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        raise SystemExit(0)


def main(fd: int, parent: int) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the daemon decides
    sock = socket.socket(fileno=fd)
    channel = Channel(sock)
    with contextlib.suppress(Closed):
        got = channel.receive()  # blocks: the daemon speaks first
        if got is None or not isinstance(got[0], Start):
            raise Malformed("the first message must be Start")
        try:
            sock.setblocking(False)
            prober = Prober(channel, got[0], parent)
        except OSError as error:
            channel.send(Failed(error.strerror or str(error)))
            return
        prober.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
