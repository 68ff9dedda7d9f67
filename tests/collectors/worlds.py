"""For each collector a small world to run in: a source that works, one that cannot be reached, and a wrong setting.

A new collector joins the conformance suite with a world here.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import aiomqtt
import pytest

from collectors.cpe.settings import CpeSettings
from collectors.dns.settings import DnsSettings, NameSettings, ResolverSettings
from collectors.icmp.settings import IcmpSettings
from monitor.lab.process import free_port
from monitor.lab.servers import Mosquitto, Unbound
from monitor.records import Reference


class World(Protocol):
    def works(self, folder: Path) -> contextlib.AbstractContextManager[Any]:
        """Settings whose source is there for as long as the context."""
        ...

    def away(self, folder: Path) -> Any:
        """Settings whose source cannot be reached from here."""
        ...

    def wrong(self) -> Any:
        """Settings that only the constructor can find wrong."""
        ...

    def speaking(self, settings: Any) -> contextlib.AbstractAsyncContextManager[None]:
        """Makes the source say something about line L1, again and again, if it does not by being asked."""
        ...


class IcmpWorld:
    """The loopback's own answers, over whichever ICMP socket this machine permits."""

    @contextlib.contextmanager
    def works(self, folder: Path) -> Iterator[IcmpSettings]:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
        except PermissionError:
            try:
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
            except PermissionError:
                pytest.skip("neither raw nor unprivileged ICMP sockets are permitted here")
        yield IcmpSettings(interval_s=0.8, timeout_s=0.3)

    def away(self, folder: Path) -> IcmpSettings:
        return IcmpSettings(netns=str(folder / "no-such-namespace"))

    def wrong(self) -> IcmpSettings:
        return IcmpSettings(references=(Reference("one", "no address"),))

    @contextlib.asynccontextmanager
    async def speaking(self, settings: IcmpSettings) -> AsyncIterator[None]:
        yield


class DnsWorld:
    """Debian's unbound."""

    names = (NameSettings("probe.example", expect=("192.0.2.53",)),)

    def _settings(self, address: str, port: int, **more: Any) -> DnsSettings:
        resolvers = (ResolverSettings("r1", address, port),)
        return DnsSettings(interval_s=0.3, timeout_s=1.0, resolvers=resolvers, names=self.names, **more)

    @contextlib.contextmanager
    def works(self, folder: Path) -> Iterator[DnsSettings]:
        with Unbound(folder) as server:
            yield self._settings("127.0.0.1", server.port)

    def away(self, folder: Path) -> DnsSettings:
        return self._settings("255.255.255.255", 53)  # the kernel refuses to send there

    def wrong(self) -> DnsSettings:
        return DnsSettings(names=self.names)

    @contextlib.asynccontextmanager
    async def speaking(self, settings: DnsSettings) -> AsyncIterator[None]:
        yield


class CpeWorld:
    """Debian's mosquitto, and a router that reports five times a second."""

    @contextlib.contextmanager
    def works(self, folder: Path) -> Iterator[CpeSettings]:
        with Mosquitto(folder) as server:
            yield CpeSettings(host="127.0.0.1", port=server.port, batch_s=0.1, max_messages=10_000)

    def away(self, folder: Path) -> CpeSettings:
        return CpeSettings(host="127.0.0.1", port=free_port())

    def wrong(self) -> CpeSettings:
        return CpeSettings(tls=True, ca_file="/no/such/file")

    @contextlib.asynccontextmanager
    async def speaking(self, settings: CpeSettings) -> AsyncIterator[None]:
        async def report() -> None:
            async with aiomqtt.Client(settings.host, settings.port) as client:
                while True:
                    await client.publish("cpe/S1/telemetry/state", b'{"snr_db":31.5}', 1)
                    await asyncio.sleep(0.2)

        reporting = asyncio.create_task(report())
        try:
            yield
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)


WORLDS: dict[str, World] = {"icmp": IcmpWorld(), "dns": DnsWorld(), "cpe": CpeWorld()}
