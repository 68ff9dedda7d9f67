"""Asks one resolver over sockets of our own: UDP, and TCP where the answer is truncated or TCP is asked for.

One connected UDP socket per round, so that each round has a fresh source port, the kernel drops what comes from
elsewhere, and a port that nobody listens on is reported at once. The time of receipt is the kernel's, so a busy event
loop is not reported as latency. Why not aiodns here: its cache cannot be switched off, and it gives neither the AD
flag nor a time of its own.
"""

import asyncio
import errno
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from collectors.dns.question import Answer, Outcome, Query, Question

# Linux's number for both the option and the control message; Python names neither.
SO_TIMESTAMPNS = 35
# These come back from a connected socket when the network says that the resolver is not there.
GONE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ECONNRESET})
MAX_MESSAGE = 65535
# More at once would overrun the socket buffers of resolver and prober, and look like loss.
UNDER_WAY = 64


class Asker:
    """`async with Asker(address, port) as asker: answers = await asker.ask_all(questions, timeout_s)`.

    Never raises for what the network does. `stray` counts datagrams that answered nothing we asked.
    """

    def __init__(self, address: str, port: int) -> None:
        self._peer = (address, port)
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket: socket.socket | None = None
        self._refused = ""
        self._waiting: dict[int, tuple[Question, Query, int, asyncio.Future[tuple[bytes, float] | Outcome]]] = {}
        self.stray = 0

    async def __aenter__(self) -> "Asker":
        try:
            self._socket = sock = socket.socket(self._family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            if sys.platform == "linux":
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.connect(self._peer)
            asyncio.get_running_loop().add_reader(sock.fileno(), self._readable)
        except OSError as error:
            self._refused = error.strerror or str(error)
            self._close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def ask_all(self, questions: Sequence[Question], timeout_s: float) -> list[Answer]:
        """One answer a question, in order; up to UNDER_WAY are asked at once."""
        free = asyncio.Semaphore(UNDER_WAY)

        async def one(question: Question) -> Answer:
            async with free:
                return await self.ask(question, timeout_s)

        return list(await asyncio.gather(*(one(question) for question in questions)))

    async def ask(self, question: Question, timeout_s: float) -> Answer:
        if question.tcp_only:
            return await self._ask_tcp(question, question.query(), timeout_s)
        query = question.query()
        while query.query_id in self._waiting:  # under way with that id already
            query = question.query()
        got = await self._ask_udp(question, query, timeout_s)
        if isinstance(got, Outcome):
            return Answer(got, detail=self._refused if got is Outcome.NOT_SENT else "")
        wire, rtt_ms = got
        if not question.truncated(wire):
            outcome, detail = question.classify(wire)
            return Answer(outcome, rtt_ms, detail=detail)
        answer = await self._ask_tcp(question, question.query(), timeout_s)
        if answer.outcome is Outcome.NOT_SENT:
            return answer
        # What a customer waits for: the truncated answer, and then the whole one.
        return Answer(answer.outcome, rtt_ms + answer.rtt_ms, True, answer.detail)

    async def _ask_udp(self, question: Question, query: Query, timeout_s: float) -> tuple[bytes, float] | Outcome:
        """The reply and its round-trip time in ms, or why there is none."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[bytes, float] | Outcome] = loop.create_future()
        self._waiting[query.query_id] = (question, query, time.perf_counter_ns(), future)
        timer = loop.call_later(timeout_s, _settle, future, Outcome.TIMEOUT)
        try:
            if failed := self._send(query.wire):
                return failed
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(query.query_id, None)

    def _send(self, wire: bytes) -> Outcome | None:
        if self._socket is None:
            return Outcome.NOT_SENT
        try:
            try:
                self._socket.send(wire)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                # The error belongs to a datagram before this one, which was not sent: once more.
                self._socket.send(wire)
        except OSError as error:
            if error.errno in GONE:
                return Outcome.UNREACHABLE
            self._refused = error.strerror or str(error)
            return Outcome.NOT_SENT
        return None

    def _readable(self) -> None:
        """Take what has arrived, bounded so that a flood does not keep the loop."""
        for _ in range(64):
            if self._socket is None:
                return
            try:
                wire, ancillary, _, _ = self._socket.recvmsg(MAX_MESSAGE, 64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # The network's word about something we sent; it does not say about which question.
                gone = Outcome.UNREACHABLE if error.errno in GONE else Outcome.TIMEOUT
                if gone is Outcome.UNREACHABLE:
                    for _, _, _, future in self._waiting.values():
                        _settle(future, gone)
                continue
            self._received(wire, time.perf_counter_ns() - _dwell_ns(ancillary))

    def _received(self, wire: bytes, at_ns: int) -> None:
        waiting = self._waiting.get(int.from_bytes(wire[:2], "big"))
        if waiting is None or not waiting[0].answers(waiting[1], wire):
            self.stray += 1
            return
        _settle(waiting[3], (wire, max(0.0, (at_ns - waiting[2]) / 1e6)))

    async def _ask_tcp(self, question: Question, query: Query, timeout_s: float) -> Answer:
        begin = time.perf_counter_ns()
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(*self._peer)
                writer.write(struct.pack("!H", len(query.wire)) + query.wire)
                await writer.drain()
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                wire = await reader.readexactly(size)
        except TimeoutError:
            return Answer(Outcome.TCP_FAILED, tcp=True, detail="no answer over TCP in time")
        except asyncio.IncompleteReadError:
            return Answer(Outcome.TCP_FAILED, tcp=True, detail="the TCP connection was closed without an answer")
        except OSError as error:
            ours = error.errno in (errno.ENETUNREACH, errno.EPERM, errno.EACCES, errno.EMFILE, errno.EADDRNOTAVAIL)
            outcome = Outcome.NOT_SENT if ours else Outcome.TCP_FAILED
            return Answer(outcome, tcp=True, detail=error.strerror or str(error))
        finally:
            if writer is not None:
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()
        rtt_ms = (time.perf_counter_ns() - begin) / 1e6
        if not question.answers(query, wire):
            return Answer(Outcome.MALFORMED, rtt_ms, True, "the TCP answer is not to our question")
        outcome, detail = question.classify(wire)
        return Answer(outcome, rtt_ms, True, detail)

    def _close(self) -> None:
        if self._socket is None:
            return
        with suppress(ValueError, OSError):
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None


def _settle(future: "asyncio.Future[tuple[bytes, float] | Outcome]", result: tuple[bytes, float] | Outcome) -> None:
    if not future.done():
        future.set_result(result)


def _dwell_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """How long a datagram has waited in the socket, by the kernel's time of receipt (0 if not told).

    Both readings are of the wall clock, an instant apart; a clock that is set in between gives nonsense, hence the
    bounds.
    """
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == 16:
            seconds, nanoseconds = struct.unpack("@qq", data)
            dwell = time.clock_gettime_ns(time.CLOCK_REALTIME) - (seconds * 1_000_000_000 + nanoseconds)
            return dwell if 0 <= dwell < 60_000_000_000 else 0
    return 0
