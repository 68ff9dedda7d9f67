"""The DNS collector against real and lying resolvers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import numpy as np
import pytest

from collectors.dns.collector import DnsCollector
from collectors.dns.settings import DnsSettings, NameSettings, ResolverSettings
from monitor.lab.servers import Unbound
from monitor.records import TargetKind
from tests.collectors.dns.liar import Liar, reply
from tests.collectors.rig import Rig, until

PROBE = NameSettings("probe.example", expect=("192.0.2.53",))


def settings(
    *ports: int, interval_s: float = 0.4, timeout_s: float = 0.4, names: tuple[NameSettings, ...] = (PROBE,)
) -> DnsSettings:
    return DnsSettings(
        enabled=True,
        interval_s=interval_s,
        timeout_s=timeout_s,
        confirm_gap_s=0.02,
        resolvers=tuple(ResolverSettings(f"r{i + 1}", "127.0.0.1", port) for i, port in enumerate(ports)),
        names=names,
    )


@contextlib.asynccontextmanager
async def running(collector: DnsCollector) -> AsyncIterator[None]:
    task = asyncio.create_task(collector.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def good(query: dns.message.Message, _: str) -> list[bytes]:
    if query.question[0].name.to_text() == "probe.example.":
        return [reply(query, "60 A 192.0.2.53")]
    return [reply(query, rcode=dns.rcode.NXDOMAIN)]


@pytest.mark.server
async def test_a_frozen_resolver_is_down_and_a_thawed_one_up(rig: Rig, tmp_path: Path) -> None:
    """Of two real resolvers the one that freezes is called down for its silence, the other is not, and the first
    is called up again when it answers; rounds show the same."""
    with Unbound(tmp_path / "one") as one, Unbound(tmp_path / "two") as two:
        collector = DnsCollector(settings(one.port, two.port), rig.context)
        async with running(collector):
            await until(lambda: len(rig.sink.of_kind("resolver_up")) == 2, what="both resolvers up")
            one.freeze()
            await until(lambda: rig.sink.of_kind("resolver_down"), what="the frozen resolver down")
            down = rig.sink.of_kind("resolver_down")
            assert [(e.subject, e.value, e.source) for e in down] == [("group:resolver:r1", "timeout", "prober-1")]
            assert "r1 (timeout)" in collector.health().text
            marked = len(rig.sink.rounds)
            await until(lambda: len(rig.sink.rounds) > marked + 6, what="more rounds")
            for probe in rig.sink.rounds[marked:]:
                frozen = probe.target[0] == 0
                assert (probe.received[0] == 0) == frozen
                assert np.isnan(probe.rtt_ms[0]) == frozen
                assert probe.sent[0] == 2
            one.thaw()
            await until(lambda: len(rig.sink.of_kind("resolver_up")) == 3, what="the thawed resolver up")
        assert rig.sink.of_kind("resolver_up")[-1].subject == "group:resolver:r1"
        assert len(rig.sink.of_kind("resolver_down")) == 1
    assert all(r.kind is TargetKind.RESOLVER and r.generation == 1 and r.source == "prober-1" for r in rig.sink.rounds)
    assert rig.troubles() == []


async def test_dead_from_the_beginning_is_told_too(rig: Rig) -> None:
    """A resolver that nobody ever heard is down, not unknown, once that is confirmed."""
    async with Liar(lambda q, _: []) as liar:
        collector = DnsCollector(settings(liar.port), rig.context)
        await collector.probe(0)
    assert [(e.kind, e.value) for e in rig.sink.events] == [("resolver_down", "timeout")]
    assert len(liar.queries) == 2 * 4  # once, and three times to confirm


async def test_a_lost_packet_is_nothing(rig: Rig) -> None:
    """When the round after a good one loses everything once, but one of the confirmations answers, nobody is told."""
    async with Liar(good) as liar:
        collector = DnsCollector(settings(liar.port, timeout_s=0.2), rig.context)
        await collector.probe(0)
        lost = 0

        def lossy(query: dns.message.Message, how: str) -> list[bytes]:
            nonlocal lost
            lost += 1
            return [] if lost <= 6 else good(query, how)

        liar.behaviour = lossy
        finding = await collector.probe(0)
    assert finding.reason == "timeout"
    assert [e.kind for e in rig.sink.events] == ["resolver_up"]
    assert [(int(r.sent[0]), int(r.received[0])) for r in rig.sink.rounds] == [(2, 2), (2, 0)]


async def test_one_good_answer_does_not_raise_the_dead(rig: Rig) -> None:
    """A resolver that is down and answers every other time stays down until it answers twice in a row."""
    answering = {"on": False}
    async with Liar(lambda q, how: good(q, how) if answering["on"] else []) as liar:
        collector = DnsCollector(settings(liar.port, timeout_s=0.2), rig.context)
        await collector.probe(0)
        count = 0

        def alternate(query: dns.message.Message, how: str) -> list[bytes]:
            nonlocal count
            count += 1
            return good(query, how) if (count - 1) // 2 % 2 == 0 else []  # two questions a round

        liar.behaviour = alternate
        await collector.probe(0)
        assert [e.kind for e in rig.sink.events] == ["resolver_down"]
        liar.behaviour = good
        await collector.probe(0)
    assert [e.kind for e in rig.sink.events] == ["resolver_down", "resolver_up"]


async def test_wrong_answers_have_their_own_reason(rig: Rig) -> None:
    """A hijacked name and a rewritten NXDOMAIN are each told as such, not as silence; going from one fault to another
    is told again."""

    def hijack(query: dns.message.Message, how: str) -> list[bytes]:
        if query.question[0].name.to_text() == "probe.example.":
            return [reply(query, "60 A 203.0.113.66")]
        return good(query, how)

    def rewrite(query: dns.message.Message, how: str) -> list[bytes]:
        if query.question[0].name.to_text() == "probe.example.":
            return good(query, how)
        return [reply(query, "60 A 203.0.113.99")]

    async with Liar(hijack) as liar:
        collector = DnsCollector(settings(liar.port), rig.context)
        await collector.probe(0)
        liar.behaviour = rewrite
        await collector.probe(0)
        liar.behaviour = lambda q, _: [reply(q, rcode=dns.rcode.SERVFAIL)]
        await collector.probe(0)
    told = [(e.kind, e.value) for e in rig.sink.events]
    assert told == [
        ("resolver_down", "wrong_answer"),
        ("resolver_down", "nxdomain_rewritten"),
        ("resolver_down", "servfail"),
    ]
    assert rig.count("dns_questions_total", resolver="r1", outcome="wrong_answer") == 4


async def test_signed_and_tcp_names(rig: Rig) -> None:
    """Names over TCP and signed names are judged: no AD flag, and then no TCP, each under its reason."""
    names = (
        PROBE,
        NameSettings("probe.example", transport="tcp"),
        NameSettings("probe.example", signed=True),
    )
    state = {"ad": dns.flags.AD, "tcp": True}

    def behave(query: dns.message.Message, how: str) -> list[bytes]:
        if how == "tcp" and not state["tcp"]:
            return []
        if query.question[0].name.to_text() == "probe.example.":
            return [reply(query, "60 A 192.0.2.53", flags=state["ad"])]
        return good(query, how)

    async with Liar(behave) as liar:
        collector = DnsCollector(settings(liar.port, names=names), rig.context)
        await collector.probe(0)
        state["ad"] = 0
        await collector.probe(0)
        state["tcp"] = False
        await collector.probe(0)
    assert [(e.kind, e.value) for e in rig.sink.events] == [
        ("resolver_up", ""),
        ("resolver_down", "not_validated"),
        ("resolver_down", "tcp_failed"),
    ]


async def test_what_the_engine_refuses_is_told_again(rig: Rig) -> None:
    """While the intake is full the finding is not lost: the next round tells it."""
    async with Liar(good) as liar:
        collector = DnsCollector(settings(liar.port), rig.context)
        rig.sink.full = True
        await collector.probe(0)
        rig.sink.full = False
        await collector.probe(0)
    assert [e.kind for e in rig.sink.events] == ["resolver_up"]


async def test_our_own_trouble_is_not_the_resolver_s(rig: Rig) -> None:
    """When nothing can be sent, nothing is known: no event, a row with sent = 0, one trouble, and a health that
    says so."""
    resolvers = (ResolverSettings("r1", "255.255.255.255"),)
    collector = DnsCollector(DnsSettings(resolvers=resolvers, names=(PROBE,), timeout_s=0.2), rig.context)
    await collector.probe(0)
    await collector.probe(0)
    assert rig.sink.events == []
    assert [int(r.sent[0]) for r in rig.sink.rounds] == [0, 0]
    assert rig.troubles() == ["dns:r1"]
    assert not collector.health().ok


async def test_the_schedule_survives_a_wall_clock_that_is_set_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the scheduler sleeps far too long because the wall clock jumped, the rounds are started again."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    made: list[AsyncIOScheduler] = []
    start = AsyncIOScheduler.start
    monkeypatch.setattr(AsyncIOScheduler, "start", lambda self: (made.append(self), start(self))[1])
    async with Liar(good) as liar:
        collector = DnsCollector(settings(liar.port, interval_s=0.2, timeout_s=0.1), rig.context)
        async with running(collector):
            await until(lambda: len(rig.sink.rounds) >= 3, what="three rounds")
            (job,) = made[0].get_jobs()
            job.modify(next_run_time=job.next_run_time + timedelta(hours=1))
            seen = len(rig.sink.rounds)
            await until(lambda: len(rig.sink.rounds) >= seen + 3, what="rounds after the jump")


def test_settings_that_cannot_work_are_refused(rig: Rig) -> None:
    """No resolvers, no names: a ValueError that names the setting."""
    with pytest.raises(ValueError, match=r"dns\.resolvers"):
        DnsCollector(DnsSettings(names=(PROBE,)), rig.context)
    with pytest.raises(ValueError, match=r"dns\.names"):
        DnsCollector(DnsSettings(resolvers=(ResolverSettings("r1", "192.0.2.1"),)), rig.context)
