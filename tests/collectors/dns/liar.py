"""A DNS server that answers as a test tells it, over UDP and TCP on one port, correctly or not."""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from monitor.lab.process import free_port

# Gets the parsed query and "udp" or "tcp"; gives the datagrams to send back (none: silence).
Behaviour = Callable[[dns.message.Message, str], list[bytes]]


def reply(
    query: dns.message.Message, *records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, flags: int = 0
) -> bytes:
    """A well-formed answer; each record is "TTL TYPE VALUE" for the name that was asked."""
    answer = dns.message.make_response(query)
    answer.set_rcode(rcode)
    answer.flags |= flags
    name = query.question[0].name
    for record in records:
        ttl, rtype, value = record.split(" ", 2)
        answer.answer.append(dns.rrset.from_text(name, int(ttl), "IN", rtype, value))
    return answer.to_wire()


class Liar(asyncio.DatagramProtocol):
    """`async with Liar(behaviour) as liar:` listens on 127.0.0.1:`liar.port`. `queries` is what came in."""

    def __init__(self, behaviour: Behaviour, tcp: bool = True, tcp_hold_s: float = 0.0) -> None:
        self.behaviour = behaviour
        self.port = free_port()
        self.queries: list[tuple[dns.message.Message, str, object]] = []
        self._tcp = tcp
        self._tcp_hold_s = tcp_hold_s
        self._serving: set[asyncio.Task[object]] = set()
        self._stack = contextlib.AsyncExitStack()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> "Liar":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", self.port))
        self._stack.callback(self._transport.close)
        if self._tcp:
            server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self._stack.callback(server.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        for task in (tasks := list(self._serving)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.queries.append((query, "udp", addr))
        assert self._transport is not None
        for wire in self.behaviour(query, "udp"):
            self._transport.sendto(wire, addr)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            query = dns.message.from_wire(await reader.readexactly(size))
            self.queries.append((query, "tcp", writer.get_extra_info("peername")))
            for wire in self.behaviour(query, "tcp"):
                writer.write(struct.pack("!H", len(wire)) + wire)
            await writer.drain()
            async with asyncio.timeout(self._tcp_hold_s):
                await reader.read()
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass
        finally:
            self._serving.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
