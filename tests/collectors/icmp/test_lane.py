"""What counts as a reply, and what is never called lost."""

import errno
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.icmp.lane import Lane
from collectors.icmp.transport import RECEIVE, STEP_NS, Stamps
from tests.collectors.icmp.helpers import NS, FakeTransport, ManualTime


@pytest.fixture
def clock() -> ManualTime:
    return ManualTime()


@pytest.fixture
def transport(clock: ManualTime) -> Iterator[FakeTransport]:
    made = FakeTransport(clock)
    yield made
    made.close()


@pytest.fixture
def lane(transport: FakeTransport, clock: ManualTime) -> "Lane":
    return Lane(transport, NS, now_ns=clock)


def send(lane: Lane, count: int = 3, first: int = 10) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    rows = np.arange(count, dtype=np.int32)
    zero = np.zeros(count, np.uint64)
    return lane.send(1, rows, 0, zero, np.arange(first, first + count, dtype=np.uint64), lambda: None)


def replies(lane: Lane) -> dict[int, float]:
    return {int(r): float(t) for part in lane.drain() for r, t in zip(part.row, part.rtt_ms, strict=True)}


def test_a_reply_in_time_is_taken_once(lane: Lane, transport: FakeTransport, clock: ManualTime) -> None:
    """The first reply counts with its time; the second of the same probe, in the same batch or later, does not."""
    send(lane)
    clock.pass_s(0.02)
    transport.arrive(transport.out + transport.out[:1])
    transport.arrive(transport.out[1:2])
    assert replies(lane) == pytest.approx({0: 20.0, 1: 20.0, 2: 20.0})
    assert lane.counts["duplicate"] == 2
    clock.pass_s(2)
    lane.drain()
    expired = lane.expire()
    assert expired is not None
    assert len(expired.row) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": 1}, "forged"),
        ({"low": 99}, "wrong_source"),
        ({"high": 99}, "wrong_source"),
        ({"type": 8}, "foreign"),
        ({"ident": 0}, "foreign"),
        ({"serial": 2**40}, "forged"),
    ],
)
def test_what_is_not_ours_does_not_count(
    lane: Lane, transport: FakeTransport, change: dict[str, int], reason: str
) -> None:
    """A wrong nonce, source, type, identifier or number is counted by name and is no reply."""
    send(lane, 1)
    transport.arrive(transport.out, **change)
    assert replies(lane) == {}
    assert +lane.counts == {reason: 1}


def test_a_neighbours_reply_does_not_count(lane: Lane, transport: FakeTransport) -> None:
    """A right serial number with the nonce of another probe is forged."""
    send(lane, 2)
    nonce = int(transport.out[1][0]["nonce"])
    transport.arrive(transport.out[:1], nonce=nonce)
    assert replies(lane) == {}
    assert lane.counts["forged"] == 1


def test_late_replies_are_known_as_such(lane: Lane, transport: FakeTransport, clock: ManualTime) -> None:
    """After the timeout a reply is late, while the probe is still in the table and when it has long left it; an
    invented one is forged even then."""
    send(lane, 1)
    clock.pass_s(1.5)
    transport.arrive(transport.out)
    assert replies(lane) == {}
    assert lane.counts["late"] == 1
    expired = lane.expire()
    assert expired is not None
    assert expired.row.tolist() == [0]
    assert not expired.uncertain[0]
    clock.pass_s(60)
    transport.arrive(transport.out)
    transport.arrive(transport.out, nonce=5)
    assert replies(lane) == {}
    assert (lane.counts["late"], lane.counts["forged"]) == (2, 1)


def test_a_stopped_process_loses_nothing(lane: Lane, transport: FakeTransport, clock: ManualTime) -> None:
    """Replies that arrived in time and are read long after still count, as the kernel's stamp says when they came."""
    send(lane, 2)
    arrived = clock() + NS // 50
    clock.pass_s(30)
    transport.arrive(transport.out, at_ns=arrived)
    assert replies(lane) == pytest.approx({0: 20.0, 1: 20.0})
    expired = lane.expire()
    assert expired is not None
    assert len(expired.row) == 0


def test_an_overflow_makes_unknown_not_lost(lane: Lane, transport: FakeTransport, clock: ManualTime) -> None:
    """When the socket had no room, what was waiting then is uncertain; what is sent after that is not."""
    send(lane, 2)
    transport.dropped = 7
    clock.pass_s(0.5)
    lane.drain()
    assert lane.expire() is None
    assert lane.counts["overflow"] == 7
    send(lane, 1, first=50)
    clock.pass_s(1.2)
    lane.drain()
    expired = lane.expire()
    assert expired is not None
    assert expired.uncertain.tolist() == [True, True, False]


def test_one_bad_route_does_not_stop_the_others(lane: Lane, transport: FakeTransport) -> None:
    """A target that the kernel refuses to send to is skipped and counted; those before and behind it go out."""
    codes = {11: errno.EHOSTUNREACH, 13: errno.EINVAL, 14: errno.EACCES}
    transport.fails = lambda low: codes.get(low, 0)
    at_ns = send(lane, 6)
    assert (at_ns > 0).tolist() == [True, False, True, False, False, True]
    assert +lane.counts == {"send_EHOSTUNREACH": 1, "send_EINVAL": 1, "send_EACCES": 1}
    transport.arrive(transport.out)
    assert sorted(replies(lane)) == [0, 2, 5]


def test_a_full_queue_is_waited_for(lane: Lane, transport: FakeTransport) -> None:
    """ENOBUFS for a moment costs nothing; for long, the probe is given up as unknown and nothing hangs."""
    left = [5]

    def full(low: int) -> int:
        left[0] -= 1
        return errno.ENOBUFS if left[0] >= 0 else 0

    transport.fails = full
    assert (send(lane, 3) > 0).all()
    transport.fails = lambda low: errno.ENOBUFS
    began = time.monotonic()
    assert not send(lane, 50).any()
    assert lane.counts["send_ENOBUFS"] == 50
    assert time.monotonic() - began < 30


def test_identifiers_change_and_the_last_one_still_counts(
    lane: Lane, transport: FakeTransport, clock: ManualTime
) -> None:
    """A new round has a new identifier; a reply to the round before is still taken."""
    send(lane, 1)
    clock.pass_s(10)
    old = transport.idents
    lane.expire()
    send(lane, 1, first=20)
    before = transport.out[-1]
    lane.rotate()
    assert transport.idents[1] == old[0]
    send(lane, 1, first=30)
    assert int(transport.out[-1][0]["ident"]) == transport.idents[0]
    transport.arrive([before])
    transport.arrive([transport.out[-1]])
    got = lane.drain()
    assert sum(len(part.row) for part in got) == 2


def test_serial_numbers_cross_the_block(lane: Lane, transport: FakeTransport) -> None:
    """More probes than one prepared block holds all have numbers of their own, and all replies are taken."""
    count = 5000
    send(lane, count)
    assert len({int(p["serial"]) for p, _, _ in transport.out}) == count
    for low in range(0, count, RECEIVE):
        transport.arrive(transport.out[low : low + RECEIVE])
    assert len(replies(lane)) == count


@settings(max_examples=25, deadline=None)
@given(
    calls=st.lists(st.integers(1, 2600), min_size=1, max_size=3),
    refused=st.sets(st.integers(0, 2600), max_size=12),
    answered_early=st.booleans(),
)
def test_every_row_gets_its_own_reply(calls: list[int], refused: set[int], answered_early: bool) -> None:
    """Whatever the lengths of the calls, and whichever addresses the kernel refuses in between: what went out went to
    the right address once, and its reply reaches its own row, also when it is read while others are being sent."""
    clock = ManualTime()
    transport = FakeTransport(clock)
    lane = Lane(transport, NS, now_ns=clock)
    transport.fails = lambda low: errno.EHOSTUNREACH if low in refused else 0
    got: dict[int, float] = {}
    told = 0

    def answer() -> None:
        nonlocal told
        fresh, told = transport.out[told:], len(transport.out)
        for low in range(0, len(fresh), RECEIVE):
            transport.arrive(fresh[low : low + RECEIVE])
        got.update(replies(lane))

    for count in calls:
        transport.out.clear()
        got.clear()
        told = 0
        rows = np.arange(count, dtype=np.int32)
        addresses = np.arange(count, dtype=np.uint64)
        at_ns = lane.send(1, rows, 0, np.zeros(count, np.uint64), addresses, answer if answered_early else lambda: None)
        answer()
        wanted = [row for row in range(count) if row not in refused]
        assert [low for _, _, low in transport.out] == wanted
        assert np.flatnonzero(at_ns).tolist() == wanted
        assert sorted(got) == wanted
        assert lane.counts["duplicate"] == lane.counts["forged"] == lane.counts["wrong_source"] == 0
    transport.close()


def test_stamps_survive_a_jump_of_the_wall_clock() -> None:
    """Kernel stamps become monotonic times; after a jump of an hour, either way, one batch is off by less than the
    time since the last and the next is exact again."""
    steady, wall = [10 * NS], [1_700_000_000 * NS]
    stamps = Stamps(lambda: wall[0], lambda: steady[0])

    def later(ns: int) -> None:
        steady[0] += ns
        wall[0] += ns

    later(NS)
    assert stamps.steady(np.array([wall[0] - 1000, 0])).tolist() == [steady[0] - 1000, steady[0]]
    for jump in (3600 * NS, -7200 * NS):
        old = wall[0]
        wall[0] += jump
        assert stamps.steady(np.array([old - 1000])).tolist() == [steady[0]]
        later(NS)
        assert stamps.steady(np.array([wall[0] - 500])).tolist() == [steady[0] - 500]
    assert stamps.jumps == 2
    wall[0] += STEP_NS // 2  # a slow correction is no jump
    assert stamps.steady(np.array([wall[0] - 500])).tolist() == [steady[0] - 500]
    assert stamps.jumps == 2
