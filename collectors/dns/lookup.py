"""The daemon's own look-ups: a host name to addresses within a bounded time, on aiodns.

The system's getaddrinfo blocks a thread for as long as it likes and cannot be given up; c-ares can. It reads
/etc/hosts and /etc/resolv.conf like everybody else. Where c-ares cannot start (no configuration it understands), the
system's resolver is asked in a thread, within the same time.
"""

import asyncio
import ipaddress
import socket


class LookupFailed(OSError):
    """A name could not be resolved. The text names it and says why."""


async def resolve_host(name: str, timeout_s: float = 5.0) -> list[str]:
    """The addresses of `name`, IPv4 first, each once; an IP address is its own answer. Raises LookupFailed."""
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(timeout_s):
            found = await _by_aiodns(name, timeout_s)
            if found is None:
                found = await _by_system(name)
    except TimeoutError:
        raise LookupFailed(f"{name} could not be resolved within {timeout_s:g} s: check this machine's DNS") from None
    except OSError as error:
        raise LookupFailed(f"{name} could not be resolved: {error.strerror or error}") from None
    addresses = sorted(dict.fromkeys(found), key=lambda a: ":" in a)
    if not addresses:
        raise LookupFailed(f"{name} has no address")
    return addresses


async def _by_aiodns(name: str, timeout_s: float) -> list[str] | None:
    """None: aiodns cannot be used here. Raises OSError when the name cannot be resolved."""
    try:
        import aiodns
        import pycares
    except ImportError:
        return None
    try:
        # A channel of its own each time: a channel's cache would keep a dead address while we reconnect.
        resolver = aiodns.DNSResolver(timeout=min(2.0, timeout_s), tries=2)
    except (OSError, RuntimeError, pycares.AresError):
        return None
    try:
        result = await resolver.getaddrinfo(name, family=socket.AF_UNSPEC)
    except aiodns.error.DNSError as error:
        raise OSError(str(error.args[-1])) from None
    finally:
        await resolver.close()
    return [_text(node.addr[0]) for node in result.nodes]


async def _by_system(name: str) -> list[str]:
    rows = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]


def _text(address: str | bytes) -> str:
    return address.decode() if isinstance(address, bytes) else address
