"""How simulated lines answer: packets are right, and who is dead, slow or lossy is as told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.lab.network_side import answer
from monitor.lab.responder import Conditions, Shape, echo_reply, packed
from tests.lab.pings import checksum, request

A, B = packed("10.0.0.1"), packed("fd10::1")


def pseudo(source: bytes, target: bytes, icmp: bytes) -> bytes:
    """What an ICMPv6 checksum covers."""
    return source + target + len(icmp).to_bytes(4, "big") + b"\0\0\0\x3a" + icmp


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=64))
def test_a_reply_has_the_same_content_and_a_right_checksum(ident: int, number: int, payload: bytes) -> None:
    """Only type and checksum differ from the request, and the checksum is right for any content."""
    sent = request(4, ident, number, payload)
    reply = echo_reply(sent, 4)
    assert reply is not None
    assert reply[0] == 0
    assert reply[4:] == sent[4:]
    # 0 and 0xffff are the same number in one's complement
    assert checksum(reply) in (0, 0xFFFF)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.binary(max_size=64))
def test_an_ip_packet_is_answered_from_where_it_went(source: bytes, target: bytes, payload: bytes) -> None:
    """The TUN device's answer goes back with the addresses swapped; IPv6's checksum covers them and is right."""
    bare = request(6, 1, 2, payload)
    icmp = bare[:2] + checksum(pseudo(source, target, bare)).to_bytes(2, "big") + bare[4:]
    packet = b"\x60\0\0\0" + len(icmp).to_bytes(2, "big") + b"\x3a\x40" + source + target + icmp
    reply = answer(packet)
    assert reply is not None
    assert (reply[8:24], reply[24:40]) == (target, source)
    assert checksum(pseudo(target, source, reply[40:])) in (0, 0xFFFF)


@given(st.binary(max_size=80))
def test_other_packets_are_not_answered(data: bytes) -> None:
    """Anything that is no echo request is left alone, whatever its bytes."""
    reply = answer(data)
    assert reply is None or data[0] >> 4 in (4, 6)
    assert echo_reply(b"\x03" + data, 4) is None
    assert echo_reply(b"\x08", 4) is None


def test_dead_lines_heal_when_told_or_by_themselves() -> None:
    """A line is dead until it is mended, or until its time is over."""
    now = [100.0]
    lines = Conditions(now=lambda: now[0])
    assert lines.answer_after(A) == 0
    lines.fail([A, B])
    assert lines.answer_after(A) is None
    lines.mend([A])
    assert lines.answer_after(A) == 0
    lines.fail([B], for_s=3)
    now[0] = 102.9
    assert lines.answer_after(B) is None
    now[0] = 103.1
    assert lines.answer_after(B) == 0


def test_whole_networks_fail_and_come_back() -> None:
    """A prefix takes its own lines and no others, until everything is mended."""
    lines = Conditions()
    lines.fail_networks(["10.0.0.0/24"])
    assert lines.answer_after(A) is None
    assert lines.answer_after(packed("10.0.1.0")) == 0
    assert lines.answer_after(B) == 0
    lines.fail([B])
    lines.blind = True
    assert lines.answer_after(packed("10.0.1.0")) is None
    lines.mend_all()
    assert [lines.answer_after(a) for a in (A, B)] == [0, 0]


def test_a_slow_line_has_its_delay_and_jitter() -> None:
    """Delay and jitter come on top of the address's own base, and go when the shape goes."""
    lines = Conditions(base_ms=(4, 12))
    base = lines.answer_after(A)
    assert base is not None
    assert 0.004 <= base <= 0.012
    assert lines.answer_after(A) == base
    lines.shape([A], Shape(delay_ms=80, jitter_ms=10))
    slow = [lines.answer_after(A) for _ in range(200)]
    assert all(s is not None and base + 0.08 <= s <= base + 0.0901 for s in slow)
    assert len(set(slow)) > 100
    lines.unshape([A])
    assert lines.answer_after(A) == base


@pytest.mark.parametrize(("ratio", "burst"), [(0.35, 1.0), (0.35, 4.0), (0.05, 1.0), (0.8, 1.0)])
def test_loss_has_the_ratio_and_the_bursts_asked_for(ratio: float, burst: float) -> None:
    """The long-run loss is `ratio`; losses come in runs of `burst` packets, or of what chance makes."""
    lines = Conditions(seed=7)
    lines.shape([A], Shape(loss_ratio=ratio, burst=burst))
    lost = [lines.answer_after(A) is None for _ in range(40_000)]
    assert sum(lost) / len(lost) == pytest.approx(ratio, abs=0.015)
    runs = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert sum(lost) / runs == pytest.approx(max(burst, 1 / (1 - ratio)), rel=0.05)


def test_all_or_nothing() -> None:
    """Loss of 1 loses every packet; numbers that make no sense are refused."""
    lines = Conditions()
    lines.shape([A], Shape(loss_ratio=1))
    assert [lines.answer_after(A) for _ in range(10)] == [None] * 10
    for wrong in ({"loss_ratio": 1.1}, {"delay_ms": -1}, {"burst": 0.5}, {"jitter_ms": float("nan")}):
        with pytest.raises(ValueError, match="burst at least 1"):
            Shape(**wrong)
