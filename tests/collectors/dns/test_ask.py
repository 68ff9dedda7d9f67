"""Asking over real sockets: answers, silence, closed ports, lies, truncation and TCP."""

import asyncio
import struct
import time
from pathlib import Path

import dns.flags
import dns.message
import pytest

from collectors.dns.ask import Asker
from collectors.dns.question import Outcome, Question
from collectors.dns.settings import NameSettings
from monitor.lab.process import free_port
from monitor.lab.servers import Unbound
from tests.collectors.dns.liar import Liar, reply

WEB = Question(NameSettings("www.example.net", expect=("192.0.2.80",)))
GOOD = "60 A 192.0.2.80"


def truncated(query: dns.message.Message) -> bytes:
    return reply(query, flags=dns.flags.TC)


async def test_an_answer_has_a_latency() -> None:
    """A right answer is ok, with the time it took: here at least the 30 ms that the server dwells."""

    async with Liar(lambda q, _: []) as liar:

        def later(query: dns.message.Message, _: str) -> list[bytes]:
            assert liar._transport is not None
            wire, address = reply(query, GOOD), liar.queries[-1][2]
            asyncio.get_running_loop().call_later(0.03, liar._transport.sendto, wire, address)
            return []

        liar.behaviour = later
        async with Asker("127.0.0.1", liar.port) as asker:
            answer = await asker.ask(WEB, 5)
    assert answer.outcome is Outcome.OK
    assert answer.rtt_ms >= 29


async def test_a_busy_loop_is_not_reported_as_latency() -> None:
    """While our own event loop is blocked for 300 ms after sending, the answer that waits in the socket keeps the
    kernel's time of receipt (several tries, because on a loaded machine the server may really answer late)."""
    loop = asyncio.get_running_loop()
    answers = []
    with Unbound_server() as port:
        async with Asker("127.0.0.1", port) as asker:
            question = Question(NameSettings("probe.example"))
            for _ in range(5):
                asking = asyncio.ensure_future(asker.ask(question, 5))
                await asyncio.sleep(0)  # it is sent now
                loop.call_soon(time.sleep, 0.3)
                answers.append(await asking)
    assert all(answer.outcome is Outcome.OK for answer in answers)
    assert min(answer.rtt_ms for answer in answers) < 250


class Unbound_server:  # noqa: N801 - reads as the call it is
    """A bare answering process of its own, so that it answers while this process sleeps."""

    def __enter__(self) -> int:
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        self._server = Unbound(Path(self._folder.name))
        self._server.start()
        return self._server.port

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._folder.cleanup()


async def test_silence_is_a_timeout_and_a_closed_port_is_unreachable() -> None:
    """A server that says nothing and a port that nobody listens on are told apart, the second at once."""
    async with Liar(lambda q, _: []) as liar, Asker("127.0.0.1", liar.port) as asker:
        assert (await asker.ask(WEB, 0.2)).outcome is Outcome.TIMEOUT
    async with Asker("127.0.0.1", free_port()) as asker:
        begin = time.monotonic()
        answers = await asker.ask_all([WEB, WEB], 10)
        assert [a.outcome for a in answers] == [Outcome.UNREACHABLE] * 2
        assert time.monotonic() - begin < 9


async def test_forged_answers_are_ignored_and_counted() -> None:
    """Answers with a wrong id or to another question do not count; the right one behind them does."""

    def forge(query: dns.message.Message, _: str) -> list[bytes]:
        good = reply(query, GOOD)
        other = dns.message.make_query("other.example.net", "A", id=query.id)
        return [bytes([good[0] ^ 255]) + good[1:], reply(other, "60 A 203.0.113.1"), b"x", good]

    async with Liar(forge) as liar, Asker("127.0.0.1", liar.port) as asker:
        assert (await asker.ask(WEB, 5)).outcome is Outcome.OK
        assert asker.stray == 3


async def test_many_at_once_are_kept_apart() -> None:
    """300 questions on one socket, many under way at once, each get their own answer, whatever the order."""
    held: list[tuple[bytes, object]] = []
    liar = Liar(lambda q, _: [])

    def hold(query: dns.message.Message, _: str) -> list[bytes]:
        name = query.question[0].name.to_text()
        held.append((reply(query, f"60 A 192.0.2.{int(name.split('.')[0][1:]) % 250}"), liar.queries[-1][2]))
        if len(held) % 50 == 0:
            assert liar._transport is not None
            for wire, address in reversed(held[-50:]):
                liar._transport.sendto(wire, address)
        return []

    liar.behaviour = hold
    questions = [Question(NameSettings(f"n{i}.example.net", expect=(f"192.0.2.{i % 250}",))) for i in range(300)]
    async with liar, Asker("127.0.0.1", liar.port) as asker:
        answers = await asker.ask_all(questions, 10)
    assert {a.outcome for a in answers} == {Outcome.OK}


async def test_a_truncated_answer_is_fetched_over_tcp() -> None:
    """TC makes us ask again over TCP, and the answer says so."""
    async with (
        Liar(lambda q, how: [truncated(q) if how == "udp" else reply(q, GOOD)]) as liar,
        Asker("127.0.0.1", liar.port) as asker,
    ):
        answer = await asker.ask(WEB, 5)
        assert (answer.outcome, answer.tcp) == (Outcome.OK, True)
        assert [how for _, how, _ in liar.queries] == ["udp", "tcp"]


@pytest.mark.server
async def test_a_large_answer_of_unbound_comes_over_tcp(tmp_path: Path) -> None:
    """The real resolver's answer that does not fit a datagram is fetched over TCP."""
    with Unbound(tmp_path) as unbound:
        async with Asker("127.0.0.1", unbound.port) as asker:
            answer = await asker.ask(Question(NameSettings("large.probe.example", type="TXT")), 5)
    assert (answer.outcome, answer.tcp) == (Outcome.OK, True)


@pytest.mark.parametrize("how", ["refused", "silent", "closed", "garbage", "stranger"])
async def test_tcp_that_fails_is_named(how: str) -> None:
    """A truncated answer whose TCP repetition is refused, silent or cut off is tcp_failed; a wrong one malformed."""

    def behave(query: dns.message.Message, transport: str) -> list[bytes]:
        if transport == "udp":
            return [truncated(query)]
        if how == "garbage":
            return [query.to_wire()[:2] + b"\xff" * 5]
        if how == "stranger":
            return [reply(dns.message.make_query("other.example.net", "A", id=query.id), "60 A 192.0.2.80")]
        return []

    async with (
        Liar(behave, tcp=how != "refused", tcp_hold_s=60 if how == "silent" else 0.05) as liar,
        Asker("127.0.0.1", liar.port) as asker,
    ):
        answer = await asker.ask(WEB, 0.4)
    assert answer.outcome is (Outcome.MALFORMED if how in ("garbage", "stranger") else Outcome.TCP_FAILED)
    assert answer.tcp


async def test_a_malformed_answer_is_named() -> None:
    """Our id and question followed by rubbish is malformed, at once."""

    def behave(query: dns.message.Message, _: str) -> list[bytes]:
        wire = reply(query, GOOD)
        return [wire[:-4] + struct.pack("!H", 9)]

    async with Liar(behave) as liar, Asker("127.0.0.1", liar.port) as asker:
        assert (await asker.ask(WEB, 10)).outcome is Outcome.MALFORMED


async def test_what_cannot_be_sent_says_nothing_about_the_resolver() -> None:
    """An address without a route is our own trouble: not sent, with the system's word for it."""
    async with Asker("255.255.255.255", 53) as asker:  # broadcast without SO_BROADCAST: refused by the kernel
        answer = await asker.ask(WEB, 1)
    assert answer.outcome is Outcome.NOT_SENT
    assert answer.detail


async def test_a_cancelled_asking_leaves_nothing_behind() -> None:
    """Cancelling while waiting for UDP or TCP closes the sockets (an open one would fail this test run)."""
    async with Liar(lambda q, how: [truncated(q)] if how == "udp" else [], tcp_hold_s=60) as liar:
        for question in (WEB, Question(NameSettings("www.example.net", transport="tcp"))):
            async with Asker("127.0.0.1", liar.port) as asker:
                asking = asyncio.ensure_future(asker.ask(question, 30))
                await asyncio.sleep(0.05)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                assert not asker._waiting
