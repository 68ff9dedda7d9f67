"""How simulated lines answer a ping: which are dead, slow, jittery or lossy. Shared by the TUN device and the wire.

`Conditions.answer_after` decides the fate of one echo request: None (no answer) or the seconds until the reply.
Loss follows a two-state Gilbert model, so it may come in bursts; `burst` is their mean length in packets and 1 makes
every loss independent. Addresses are 4 or 16 bytes.
"""

import ipaddress
import math
import random
import time
import zlib
from collections.abc import Callable, Iterable

import msgspec

ECHO_REQUEST = {4: 8, 6: 128}


class Shape(msgspec.Struct, frozen=True):
    """What a line does to pings. `jitter_ms`: up to this much more, evenly spread."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_ratio: float = 0.0
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not (self.delay_ms >= 0 and self.jitter_ms >= 0 and 0 <= self.loss_ratio <= 1 and self.burst >= 1):
            raise ValueError(f"{self}: delay and jitter are at least 0, loss_ratio is 0..1, burst at least 1")


def packed(address: str) -> bytes:
    """4 or 16 bytes. Raises ValueError when it is no address."""
    return ipaddress.ip_address(address).packed


def version_of(address: bytes) -> int:
    return 4 if len(address) == 4 else 6


class Conditions:
    """The state of every line that is not well. All others answer after `base_ms` (spread over the addresses).

    `now` gives seconds that never go back.
    """

    def __init__(
        self,
        seed: int = 1,
        base_ms: tuple[float, float] = (0.0, 0.0),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.blind = False
        self._random = random.Random(seed)
        self._base = base_ms
        self._now = now
        self._dead: dict[bytes, float] = {}
        self._dead_networks: list[tuple[int, int, int]] = []  # size in bytes, first, last
        self._shapes: dict[bytes, Shape] = {}
        self._in_burst: dict[bytes, bool] = {}

    def fail(self, addresses: Iterable[bytes], for_s: float | None = None) -> None:
        """Let them be dead, for ever or for a time."""
        until = math.inf if for_s is None else self._now() + for_s
        self._dead.update(dict.fromkeys(addresses, until))

    def mend(self, addresses: Iterable[bytes]) -> None:
        for address in addresses:
            self._dead.pop(address, None)

    def fail_networks(self, networks: Iterable[str]) -> None:
        """Every address in these prefixes is dead, until `mend_all`."""
        for text in networks:
            network = ipaddress.ip_network(text)
            first, last = int(network.network_address), int(network.broadcast_address)
            self._dead_networks.append((network.max_prefixlen // 8, first, last))

    def shape(self, addresses: Iterable[bytes], shape: Shape) -> None:
        self._shapes.update(dict.fromkeys(addresses, shape))

    def unshape(self, addresses: Iterable[bytes]) -> None:
        for address in addresses:
            self._shapes.pop(address, None)
            self._in_burst.pop(address, None)

    def mend_all(self) -> None:
        """Every line is well again, and the prober sees."""
        self.blind = False
        self._dead_networks.clear()
        for state in (self._dead, self._shapes, self._in_burst):
            state.clear()

    def answer_after(self, address: bytes) -> float | None:
        """Seconds until the reply to one request, or None when there is none."""
        if self.blind or self._is_dead(address):
            return None
        low, high = self._base
        delay = low
        if high > low:  # the same address has the same base, whatever the process
            delay += (high - low) * (zlib.crc32(address) % 1000) / 1000
        shape = self._shapes.get(address)
        if shape is not None:
            if shape.loss_ratio and self._lost(address, shape):
                return None
            delay += shape.delay_ms + self._random.random() * shape.jitter_ms
        return delay / 1000

    def _is_dead(self, address: bytes) -> bool:
        until = self._dead.get(address)
        if until is not None:
            if until > self._now():
                return True
            del self._dead[address]
        if not self._dead_networks:
            return False
        value = int.from_bytes(address, "big")
        return any(size == len(address) and low <= value <= high for size, low, high in self._dead_networks)

    def _lost(self, address: bytes, shape: Shape) -> bool:
        """One step of the Gilbert model whose long-run loss is `loss_ratio`."""
        if shape.loss_ratio >= 1:
            return True
        before = self._in_burst.get(address, False)
        burst = max(shape.burst, 1 / (1 - shape.loss_ratio))  # independent losses have bursts of this length already
        leave = 1 / burst
        enter = leave * shape.loss_ratio / (1 - shape.loss_ratio)
        now = self._random.random() >= leave if before else self._random.random() < enter
        self._in_burst[address] = now
        return now


def echo_reply(icmp: bytes, version: int) -> bytes | None:
    """The reply to an ICMP echo request without its IP header, or None when it is no echo request.

    The checksum is carried on (RFC 1624): swapping source and destination does not change it, the type does.
    """
    if len(icmp) < 8 or icmp[0] != ECHO_REQUEST[version] or icmp[1] != 0:
        return None
    checksum = int.from_bytes(icmp[2:4], "big")
    if version == 4:  # type 8 -> 0: the first word falls by 0x0800
        checksum += 0x0800
        kind = 0
    else:  # type 128 -> 129: the first word grows by 0x0100
        checksum += 0xFFFF - 0x0100
        kind = 129
    checksum = (checksum & 0xFFFF) + (checksum >> 16)
    return bytes((kind, 0)) + checksum.to_bytes(2, "big") + icmp[4:]
