"""The engine on real sockets of this machine."""

import os
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from collectors.icmp import sockets
from collectors.icmp.batch import BatchTransport, available
from collectors.icmp.engine import Engine
from collectors.icmp.job import Priority
from collectors.icmp.lane import Lane
from collectors.icmp.opening import open_lanes
from tests.collectors.icmp.driving import engine_on, finish, outcome, real, table_of
from tests.collectors.icmp.helpers import NS, FakeTransport, ManualTime

raw = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="raw sockets need root on Linux")
LOOPBACK = [f"127.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(70_000) if i]


@raw
@pytest.mark.parametrize("single", [False, True], ids=["batch", "single"])
def test_every_address_that_answers_is_seen(single: bool) -> None:
    """Loopback addresses all answer: with batches and packet by packet, every probe has its reply and a credible
    time, and nothing is foreign, forged or lost."""
    addresses = LOOPBACK[:2000]
    with engine_on(real(single=single)) as engine:
        engine.use_table(table_of(addresses))
        rows = outcome(engine, probes=2, rate_pps=20_000)
        assert rows.keys() == set(range(len(addresses)))
        assert {(sent, received) for sent, received, _ in rows.values()} == {(2, 2)}
        assert all(0 < rtt < 300 for *_, rtt in rows.values())
        assert +engine.faults == {}


@raw
def test_more_targets_than_sequence_numbers() -> None:
    """Seventy thousand targets in one job, beyond the 65,536 of the ICMP header: none is lost or mixed up."""
    with engine_on(real(), timeout_ns=2 * NS) as engine:
        engine.use_table(table_of(LOOPBACK))
        rows = outcome(engine)
        assert {(sent, received) for sent, received, _ in rows.values()} == {(1, 1)}
        assert len(rows) == len(LOOPBACK)


@raw
@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
@pytest.mark.parametrize("single", [False, True], ids=["batch", "single"])
def test_both_families_in_one_job(single: bool) -> None:
    """IPv4 and IPv6 targets are probed side by side, each over its own socket."""
    with engine_on(real(4, single=single), real(6, single=single)) as engine:
        engine.use_table(table_of(["127.0.0.1", "::1", "127.0.0.2", "::1"]))
        assert [row[:2] for _, row in sorted(outcome(engine).items())] == [(1, 1)] * 4


@raw
def test_a_family_without_a_socket_is_unknown() -> None:
    """Without an IPv6 socket IPv6 targets are unknown, with a counted reason, and IPv4 goes on."""
    with engine_on(real(4)) as engine:
        engine.use_table(table_of(["127.0.0.1", "::1"]))
        assert {k: row[:2] for k, row in outcome(engine).items()} == {0: (1, 1), 1: (0, 0)}
        assert engine.faults["no_socket_ipv6"] == 1


@raw
def test_two_engines_do_not_hear_each_other() -> None:
    """Two raw sockets on one machine: the filter keeps the other's replies out, so none is even counted as foreign."""
    with engine_on(real()) as one, engine_on(real()) as other:
        for engine in (one, other):
            engine.use_table(table_of(LOOPBACK[:500]))
            engine.add(np.arange(500, dtype=np.int32), probes=1, rate_pps=5000, spacing_ns=0)
        finish(one, other.tick)
        finish(other)
        assert +one.faults == {}
        assert +other.faults == {}


@raw
def test_a_real_overflow_makes_unknown_and_not_lost() -> None:
    """A socket with a tiny buffer that nobody reads drops replies: those lines are unknown, none is called lost."""
    sock, is_raw = sockets.open_socket(4, "raw")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    transport = BatchTransport(sock, 4, is_raw)
    lane = Lane(transport, 200_000_000)
    count = 500
    low = table_of(LOOPBACK[:count]).low
    lane.send(1, np.arange(count, dtype=np.int32), 0, np.zeros(count, np.uint64), low, lambda: None)
    time.sleep(0.3)
    answered = sum(len(part.row) for part in lane.drain())
    expired = lane.expire()
    lane.close()
    assert expired is not None
    assert 0 < answered < count
    assert len(expired.row) == count - answered
    assert lane.counts["overflow"] >= count - answered  # newer kernels also count what the filter would have refused
    assert expired.uncertain.all()


@raw
def test_an_address_that_moves_is_not_judged_by_old_replies() -> None:
    """A target that gets another address while its probe is on the way drops out of the job; one that was not begun
    is asked at the new address."""
    with engine_on(real()) as engine:
        engine.use_table(table_of(["127.0.0.1", "127.0.0.2", "192.0.2.1"]))
        engine.table.family[2] = 0
        job = engine.add(np.arange(3, dtype=np.int32), probes=1, rate_pps=10, spacing_ns=0)
        job.due(time.monotonic_ns(), 1)
        engine._send(job, 0, 0, 1)
        new = table_of(["127.0.0.3", "127.0.0.4"])
        engine.rebind(np.array([0, 2], np.int32), new.family, new.high, new.low)
        got = [
            (p, s) for part in finish(engine) for p, s in zip(part.position.tolist(), part.sent.tolist(), strict=True)
        ]
        assert got == [(1, 1), (2, 1)]


@raw
def test_new_targets_end_all_jobs() -> None:
    """After the targets were replaced, replies to the old ones reach nobody."""
    with engine_on(real()) as engine:
        engine.use_table(table_of(["127.0.0.1"]))
        engine.add(np.zeros(1, np.int32), probes=1, rate_pps=100, spacing_ns=0)
        engine.tick()
        engine.use_table(table_of(["127.0.0.2"]))
        time.sleep(0.02)
        engine.tick()
        assert engine.results() == []


def test_a_lookup_goes_before_a_round_and_requests_share_a_budget() -> None:
    """A round under way does not delay a lookup, and confirmations together keep to the budget for all."""
    clock = ManualTime()
    transport = FakeTransport(clock)
    engine = Engine({4: Lane(transport, NS, now_ns=clock)}, extra_pps=1000, now_ns=clock)
    engine.use_table(table_of([f"10.0.{i >> 8}.{i & 255}" for i in range(5000)]))
    engine.add(np.arange(4000, dtype=np.int32), probes=1, rate_pps=100, spacing_ns=0)
    for _ in range(3):
        engine.add(np.arange(1000, dtype=np.int32), probes=3, rate_pps=1e6, spacing_ns=0, priority=Priority.CONFIRM)
    engine.add(np.array([4999], np.int32), probes=1, rate_pps=1e6, spacing_ns=0, priority=Priority.LOOKUP)
    clock.pass_s(0.01)
    engine.tick()
    assert transport.out[0][2] == (10 << 24) + 4999
    for _ in range(100):
        clock.pass_s(0.01)
        engine.tick()
    assert 900 <= len(transport.out) - 101 <= 1100
    engine.close()


def test_a_request_ends_at_its_deadline() -> None:
    """What is not known by the deadline is not answered, and the request leaves nothing behind."""
    clock = ManualTime()
    engine = Engine({4: Lane(FakeTransport(clock), 10 * NS, now_ns=clock)}, now_ns=clock)
    engine.use_table(table_of(["10.0.0.1"]))
    engine.add(
        np.zeros(1, np.int32),
        probes=1,
        rate_pps=100,
        spacing_ns=0,
        priority=Priority.CONFIRM,
        request_id=3,
        deadline_ns=clock() + NS,
    )
    for _ in range(30):
        clock.pass_s(0.05)
        engine.tick()
        assert [r for _, r in engine.results() if r is not None] == []
    assert engine.jobs == []
    assert engine.wake_ns() is not None
    clock.pass_s(20)
    engine.tick()
    assert engine.wake_ns() is None
    engine.close()


def test_batches_are_used_where_there_are_any() -> None:
    """On 64-bit Linux the C library has sendmmsg and recvmmsg."""
    assert available() or sys.platform != "linux"


def test_no_permission_says_what_to_do() -> None:
    """Where neither socket is permitted, the message names the capability and the sysctl."""
    file = Path("/proc/sys/net/ipv4/ping_group_range")
    if not file.exists():
        pytest.skip("no ping_group_range here: not Linux")
    low, high = map(int, file.read_text().split())
    if low <= os.getegid() <= high:
        pytest.skip("this system permits unprivileged ping to everyone in the group")
    with pytest.raises(PermissionError, match=r"setcap cap_net_raw\+ep .*ping_group_range='0 2147483647'"):
        open_lanes("datagram", "", "", NS)


def test_a_wrong_namespace_or_wire_is_named() -> None:
    """A namespace or a simulated network that is not there is an error with its setting and path."""
    with pytest.raises(OSError, match=r"icmp\.netns: cannot enter /nowhere/ns: No such file"):
        open_lanes("auto", "/nowhere/ns", "", NS)
    with pytest.raises(OSError, match=r"icmp\.wire: no network answers at /nowhere/wire"):
        open_lanes("auto", "", "/nowhere/wire", NS)
