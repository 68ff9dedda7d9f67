"""A network in a Unix socket: how probes and replies travel when there is no network to probe.

One datagram is one packet: a byte for the family (4 or 6), 16 bytes of address (an IPv4 address in the last four, the
others zero), then the ICMP or ICMPv6 packet without an IP header. From the prober the address is the destination, to
the prober it is the source. An ICMPv6 checksum is 0 and nobody looks at it, as the kernel would fill it in.

The responder binds a SOCK_DGRAM socket at a path and answers to the address each datagram came from (the prober binds
one socket per family). A queue of such a socket holds as few as ten datagrams: the responder may block in `sendto`,
since the prober reads whenever it cannot write; what it drops instead is a lost packet.
"""

from typing import NamedTuple

HEADER_SIZE = 17
_REPLY = {(4, 8): 0, (6, 128): 129}


class Frame(NamedTuple):
    """One packet on the wire: `family` 4 or 6, `address` 4 or 16 bytes, `packet` from the ICMP type byte on."""

    family: int
    address: bytes
    packet: bytes


def encode(family: int, address: bytes, packet: bytes) -> bytes:
    """A frame as bytes. `address` has 4 bytes for family 4 and 16 for family 6, else ValueError."""
    if len(address) != {4: 4, 6: 16}.get(family):
        raise ValueError(f"an address of {len(address)} bytes does not belong to family {family}")
    return bytes((family,)) + address.rjust(16, b"\0") + packet


def decode(datagram: bytes) -> Frame:
    """The frame in a datagram. Raises ValueError, saying what is wrong, when it is none."""
    if len(datagram) < HEADER_SIZE:
        raise ValueError(f"a frame has at least {HEADER_SIZE} bytes, not {len(datagram)}")
    family = datagram[0]
    if family == 6:
        return Frame(6, datagram[1:HEADER_SIZE], datagram[HEADER_SIZE:])
    if family != 4:
        raise ValueError(f"a frame's family is 4 or 6, not {family}")
    if any(datagram[1:13]):
        raise ValueError("the twelve bytes before an IPv4 address are not zero")
    return Frame(4, datagram[13:HEADER_SIZE], datagram[HEADER_SIZE:])


def echo_reply(frame: Frame) -> bytes | None:
    """The datagram that answers an echo request from the address it was sent to; None if it is no echo request."""
    if len(frame.packet) < 8:
        return None
    wanted = _REPLY.get((frame.family, frame.packet[0]))
    if wanted is None:
        return None
    body = bytearray(frame.packet)
    body[0] = wanted
    if frame.family == 4:
        body[2:4] = b"\0\0"
        body[2:4] = _checksum(bytes(body)).to_bytes(2, "big")
    return encode(frame.family, frame.address, bytes(body))


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
