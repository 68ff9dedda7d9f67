"""Addresses as bytes, and which of them may be probed at all."""

import ipaddress
import socket
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NEVER4 = ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32")
NEVER6 = ("::/128", "ff00::/8", "::ffff:0:0/96")


def parse_address(text: str) -> bytes | None:
    """4 or 16 bytes, or None when it is no IP address. Names are never resolved."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return None


def format_address(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


class AddressRules:
    """Refuses what may not be probed: multicast, broadcast, zero, and what lies outside the configured prefixes."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        """Raises ValueError, naming the prefix, when one of `allowed` is not a network."""
        networks = [ipaddress.ip_network(prefix) for prefix in allowed]
        self._allowed = [_span(n) for n in networks]
        self._never = [_span(ipaddress.ip_network(p)) for p in NEVER4 + NEVER6]

    def refuse(self, text: str) -> str:
        """Why an address as text may not be probed, or ""."""
        address = parse_address(text)
        if address is None:
            return f"{text!r} is not an IP address (names are not resolved)"
        wrong = self.refuse_bytes(address)
        return f"{text!r} {wrong}" if wrong else ""

    def refused4(self, addresses: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Which of these IPv4 addresses may not be probed. bool [n]."""
        refused = np.zeros(len(addresses), np.bool_)
        for size, low, high in self._never:
            if size == 4:
                refused |= (addresses >= low) & (addresses <= high)
        if self._allowed:
            inside = np.zeros(len(addresses), np.bool_)
            for size, low, high in self._allowed:
                if size == 4:
                    inside |= (addresses >= low) & (addresses <= high)
            refused |= ~inside
        return refused

    def refuse_bytes(self, address: bytes) -> str:
        """Why these 4 or 16 bytes may not be probed, or ""."""
        size, value = len(address), int.from_bytes(address, "big")
        for width, low, high in self._never:
            if width == size and low <= value <= high:
                return "is not a unicast address"
        if not self._allowed or any(w == size and low <= value <= high for w, low, high in self._allowed):
            return ""
        return "is outside the allowed prefixes (inventory.allowed_prefixes)"


def _span(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int, int]:
    return network.max_prefixlen // 8, int(network.network_address), int(network.broadcast_address)
