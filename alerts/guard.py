"""HTTP requests that go only where they may: no private address unless allowed, no redirect, no second look-up.

A name is resolved once, every address it has is judged, and the connection is made to one of those very addresses: a
name that answers differently the second time (DNS rebinding) gains nothing. httpcore follows no redirects by itself,
and no proxy of the environment is used. TLS is checked against the name, not the address.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore
import msgspec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
MOST_BYTES = 64 * 1024
_NAT64 = IPv6Network("64:ff9b::/96")


class Forbidden(Exception):
    """The text says which address was refused and why."""


class Answer(msgspec.Struct, frozen=True):
    """`body` is cut at 64 KiB."""

    status: int
    headers: dict[str, str]
    body: bytes


def why_refused(address: Address, allowed: Sequence[Network]) -> str:
    """Why nobody outside may make us talk to `address`; "" when they may."""
    if any(address.version == network.version and address in network for network in allowed):
        return ""
    inner: Address | None = None
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return why_refused(inner, allowed)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return f"{address} is not a public address"
    return ""


class GuardedHttp:
    """`allowed` None: everywhere (an address an administrator wrote for their own house). `local_address`: ours to
    send from. Closed after each request: alerts are seldom, and a connection kept may be one that has died."""

    def __init__(
        self,
        timeout_s: float,
        allowed: Sequence[Network] | None = (),
        ca_file: str = "",
        local_address: str = "",
    ) -> None:
        """Raises ValueError when `ca_file` cannot be read."""
        self._timeout_s = timeout_s
        self._backend = _Backend(allowed)
        self._local_address = local_address or None
        try:
            self._tls = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"ca_file: {ca_file} cannot be read ({error})") from None

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Raises Forbidden; OSError (TimeoutError too) for everything that keeps an answer from coming."""
        try:
            return await self._request(method, url, headers, body)
        except httpcore.TimeoutException:
            raise TimeoutError(f"no answer within {self._timeout_s:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, ssl.SSLError) as error:
            raise OSError(str(error) or type(error).__name__) from None

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        options = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)}
        async with (
            asyncio.timeout(self._timeout_s * 1.5),  # a server that trickles bytes would outlast the others
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=self._backend, local_address=self._local_address
            ) as pool,
            pool.stream(method, url, headers=list(headers.items()), content=body, extensions=options) as answer,
        ):
            taken = b""
            async for part in answer.aiter_stream():
                taken += part
                if len(taken) >= MOST_BYTES:
                    break
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            return Answer(answer.status, names, taken[:MOST_BYTES])

    async def reach(self, host: str, port: int) -> None:
        """Connect and leave again. Raises as `request` does."""
        try:
            async with asyncio.timeout(self._timeout_s):
                stream = await self._backend.connect_tcp(host, port, self._timeout_s, self._local_address)
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise OSError(str(error) or type(error).__name__) from None
        await stream.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, allowed: Sequence[Network] | None) -> None:
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's interface)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        if self._allowed is not None:
            for address in addresses:  # one private address among them is enough: no luck of the draw
                if why := why_refused(address, self._allowed):
                    raise Forbidden(f"{host} leads to a private place ({why})")
        last: Exception | None = None
        for address in addresses[:4]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
                last = error
        raise last or OSError(f"{host} has no address")

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise Forbidden("no sockets in the file system")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolve(host: str, port: int) -> list[Address]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(one[4][0]).partition("%")[0]) for one in found))
