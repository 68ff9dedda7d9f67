"""Packets, nonces and frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.icmp import wire
from collectors.icmp.codec import PACKET, PACKET_SIZE, checksum, fill
from collectors.icmp.siphash import SipHash

KEY = SipHash(bytes(range(16)))


def test_siphash_gives_the_published_value() -> None:
    """The vector for the message 00..07 in the paper's reference implementation comes out."""
    message = np.frombuffer(bytes(range(8)), "<u8").astype(np.uint64)
    assert int(KEY.words(message)[0]) == 0x93F5F5799A932462


def test_siphash_needs_a_whole_key() -> None:
    """A key of another length is refused, and two keys that nobody gave differ."""
    with pytest.raises(ValueError, match="16 bytes"):
        SipHash(b"short")
    word = np.zeros(1, np.uint64)
    assert SipHash().words(word) != SipHash().words(word)


@given(
    family=st.sampled_from([4, 6]),
    ident=st.integers(0, 0xFFFF),
    first=st.integers(0, 2**64 - 80),
    count=st.integers(1, 70),
)
def test_packets_carry_what_they_were_given(family: int, ident: int, first: int, count: int) -> None:
    """Serial number, nonce and identifier can be read back from the bytes, and the IPv4 checksum is right."""
    packets = np.zeros(count, PACKET)
    nonces = fill(packets, family, ident, first, KEY)
    for i, packet in enumerate(packets):
        raw = packet.tobytes()
        assert len(raw) == PACKET_SIZE == 24
        assert raw[0] == (8 if family == 4 else 128)
        assert int.from_bytes(raw[4:6], "big") == ident
        assert int.from_bytes(raw[6:8], "big") == (first + i) % 65536
        assert int.from_bytes(raw[8:16], "big") == first + i
        assert int.from_bytes(raw[16:24], "big") == int(nonces[i])
    if family == 4:
        assert not checksum(packets.view(np.uint8).reshape(count, PACKET_SIZE)).any()
    assert len(set(nonces.tolist())) == count


@given(
    st.integers(1, 30).flatmap(lambda n: st.lists(st.binary(min_size=2 * n, max_size=2 * n), min_size=1, max_size=5))
)
def test_checksum_agrees_with_a_plain_one(rows: list[bytes]) -> None:
    """Columns of packets give the same Internet checksum as adding word by word."""
    many = checksum(np.array([list(row) for row in rows], np.uint8))
    for row, value in zip(rows, many.tolist(), strict=True):
        total = sum(int.from_bytes(row[i : i + 2], "big") for i in range(0, len(row), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        assert value == ~total & 0xFFFF


addresses = st.one_of(
    st.tuples(st.just(4), st.binary(min_size=4, max_size=4)), st.tuples(st.just(6), st.binary(min_size=16, max_size=16))
)


@given(addresses, st.binary(max_size=100))
def test_frames_come_back_as_they_went(address: tuple[int, bytes], packet: bytes) -> None:
    """What is encoded is decoded to the same family, address and packet."""
    datagram = wire.encode(*address, packet)
    assert wire.decode(datagram) == (*address, packet)


@given(st.binary(max_size=40))
def test_a_frame_is_read_or_refused(datagram: bytes) -> None:
    """Any bytes either decode to what encodes to the same bytes, or raise ValueError."""
    try:
        frame = wire.decode(datagram)
    except ValueError:
        return
    assert wire.encode(*frame) == datagram


def test_an_address_must_fit_its_family() -> None:
    """A frame with an IPv6 address and family 4 is not made."""
    with pytest.raises(ValueError, match="does not belong to family 4"):
        wire.encode(4, bytes(16), b"")


@given(addresses, st.integers(0, 2**63))
def test_the_responder_answers_with_the_same_payload(address: tuple[int, bytes], serial: int) -> None:
    """An echo request becomes an echo reply that differs in type and checksum only, and only a request does."""
    packets = np.zeros(1, PACKET)
    fill(packets, address[0], 77, serial, KEY)
    raw = packets[0].tobytes()
    reply = wire.echo_reply(wire.Frame(*address, raw))
    assert reply is not None
    frame = wire.decode(reply)
    assert frame[:2] == address
    assert frame.packet[0] == (0 if address[0] == 4 else 129)
    assert frame.packet[4:] == raw[4:]
    if address[0] == 4:
        assert not checksum(np.frombuffer(frame.packet, np.uint8).reshape(1, -1)).any()
    assert wire.echo_reply(frame) is None
    assert wire.echo_reply(wire.Frame(*address, b"\x08")) is None
