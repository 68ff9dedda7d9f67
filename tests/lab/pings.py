"""A small ping for the tests: a raw socket where namespaces are, a Unix socket where the wire is.

Run as a program it pings addresses in the namespace it stands in and prints `{"address": [rtt_ms or null, ...]}`.
"""

import json
import select
import socket
import struct
import sys
import time
from pathlib import Path

from monitor.lab.network import Network


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def request(version: int, ident: int, number: int, payload: bytes = b"faultline") -> bytes:
    """An echo request; the checksum of an ICMPv6 one is the kernel's work."""
    if version == 6:
        return struct.pack(">BBHHH", 128, 0, 0, ident, number) + payload
    head = struct.pack(">BBHHH", 8, 0, 0, ident, number)
    return head[:2] + checksum(head + payload).to_bytes(2, "big") + head[4:] + payload


def ping_all(addresses: list[str], count: int, wait_s: float) -> dict[str, list[float | None]]:
    """Round-trip times in ms, None for each probe without a reply; all are asked at once, `count` times."""
    found: dict[str, list[float | None]] = {address: [] for address in addresses}
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as raw4,
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw6,
    ):
        for number in range(count):
            begun = time.monotonic()
            waiting = set(addresses)
            for address in addresses:
                version = 6 if ":" in address else 4
                (raw6 if version == 6 else raw4).sendto(request(version, 0x4242, number), (address, 0))
                found[address].append(None)
            while waiting and (left := begun + wait_s - time.monotonic()) > 0:
                for raw in select.select([raw4, raw6], [], [], left)[0]:
                    data, sender = raw.recvfrom(2048)
                    icmp = data if raw is raw6 else data[20:]
                    wanted = (129 if raw is raw6 else 0, 0x4242, number)
                    if sender[0] in waiting and (icmp[0], *struct.unpack(">HH", icmp[4:8])) == wanted:
                        assert raw is raw6 or checksum(icmp) == 0
                        found[sender[0]][-1] = (time.monotonic() - begun) * 1000
                        waiting.discard(sender[0])
    return found


def ping_from(network: Network, *addresses: str, count: int = 2, wait_s: float = 0.4) -> dict[str, list[float | None]]:
    """Ping in the prober's namespace."""
    said = network.run_as_prober(
        [sys.executable, str(Path(__file__).resolve()), str(count), str(wait_s), *addresses],
    )
    found: dict[str, list[float | None]] = json.loads(said)
    return found


if __name__ == "__main__":
    print(json.dumps(ping_all(sys.argv[3:], int(sys.argv[1]), float(sys.argv[2]))))
