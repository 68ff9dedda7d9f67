"""ICMP and ICMPv6 echo packets, many at a time.

A packet is 24 bytes: the 8 of the echo header (type, code, checksum, identifier, sequence) and 16 of payload, the
probe's serial number and its nonce, both 64 bits in network order. The serial number stands for one probe of one
target in one round and never repeats in a process, so neither 65,536 sequence numbers nor a wrap limit a round. The
sequence field holds the serial's low 16 bits, for whoever looks at a capture. RFC 792, RFC 4443, RFC 1071.
"""

import numpy as np
import numpy.typing as npt

from collectors.icmp.siphash import U64, SipHash
from monitor.records.rounds import U8, U16

PACKET = np.dtype(
    [
        ("type", "u1"),
        ("code", "u1"),
        ("checksum", ">u2"),
        ("ident", ">u2"),
        ("sequence", ">u2"),
        ("serial", ">u8"),
        ("nonce", ">u8"),
    ]
)
PACKET_SIZE = PACKET.itemsize
ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
Packets = npt.NDArray[np.void]


def checksum(packets: U8) -> U16:
    """Internet checksum of each row of `packets` (uint8 [n, even]), as it is written in network order. uint16 [n].

    The checksum field must be zero when one is made; over a packet with a right checksum the result is 0.
    """
    words = np.ascontiguousarray(packets).view(">u2").astype(np.uint32)
    total = words.sum(axis=1, dtype=np.uint32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    result: U16 = (~total & 0xFFFF).astype(np.uint16)
    return result


def fill(packets: Packets, family: int, ident: int, first_serial: int, key: SipHash) -> U64:
    """Write echo requests with serial numbers from `first_serial` on into `packets` (PACKET [n]).

    Returns their nonces, uint64 [n]. An ICMPv6 checksum covers addresses that only the kernel knows: it stays 0 and
    the kernel fills it in.
    """
    serials = np.arange(len(packets), dtype=np.uint64) + np.uint64(first_serial)
    nonces = key.words(serials)
    packets["type"] = ECHO_REQUEST[family]
    packets["code"] = 0
    packets["checksum"] = 0
    packets["ident"] = ident
    packets["sequence"] = (serials & np.uint64(0xFFFF)).astype(np.uint16)
    packets["serial"] = serials
    packets["nonce"] = nonces
    if family == 4:
        packets["checksum"] = checksum(packets.view(np.uint8).reshape(len(packets), PACKET_SIZE))
    return nonces
