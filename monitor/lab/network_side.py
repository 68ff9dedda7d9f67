"""The provider's side of the namespaces: a process that stands in its own one, kills lines and answers for slow ones.

Dead lines are elements of nftables sets, in the kernel. A line that is slow or lossy is routed to a TUN device, where
this process answers after the delay it should have. Commands come from `monitor.lab.network`.
"""

import argparse
import asyncio
import fcntl
import ipaddress
import os
import struct
from collections.abc import Iterable, Sequence

from monitor.lab.control import serve
from monitor.lab.responder import Conditions, Shape, echo_reply, packed

TUN = "tn0"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
LOSSES = range(5, 100, 5)  # percent
_BATCH = 256

_TABLE = """
table inet lab {
 set dead4 { type ipv4_addr; flags timeout; }
 set dead6 { type ipv6_addr; flags timeout; }
 set deadnet4 { type ipv4_addr; flags interval; }
 set deadnet6 { type ipv6_addr; flags interval; }
 map lossy4 { type ipv4_addr : verdict; }
 map lossy6 { type ipv6_addr : verdict; }
 chain cut { }
 %s
 chain requests {
  type filter hook prerouting priority raw;
  jump cut
  ip daddr @dead4 drop
  ip6 daddr @dead6 drop
  ip daddr @deadnet4 drop
  ip6 daddr @deadnet6 drop
  ip daddr vmap @lossy4
  ip6 daddr vmap @lossy6
 }
}
"""


def open_tun() -> int:
    """A new TUN device's file descriptor; opened before the device is set up, so that no packet is lost."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", TUN.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def split(addresses: Iterable[str]) -> list[tuple[str, list[str]]]:
    """("4", ...) and ("6", ...), without empty ones. Raises ValueError for what is no address or network."""
    found: dict[str, list[str]] = {"4": [], "6": []}
    for address in addresses:
        network = ipaddress.ip_network(address)
        found[str(network.version)].append(address)
    return [(version, some) for version, some in found.items() if some]


async def command(words: Sequence[str], text: str) -> None:
    """Run ip or nft on a text. Raises RuntimeError with its words."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate(text.encode())
    if process.returncode:
        raise RuntimeError(f"{words[0]}: {said.decode(errors='replace').strip()[:500]}")


async def nft(text: str) -> None:
    await command(["nft", "-f", "-"], text)


class ProviderSide:
    """Commands, and the packets of the TUN device."""

    def __init__(self, tun: int, conditions: Conditions) -> None:
        self._tun = tun
        self._conditions = conditions
        self._shaped: set[str] = set()
        self._lossy: set[tuple[str, str]] = set()

    async def set_up(self) -> None:
        chains = "\n ".join(f"chain loss{p} {{ numgen random mod 100 < {p} drop; }}" for p in LOSSES)
        await nft(_TABLE % chains)
        await command(["ip", "-batch", "-"], f"link set {TUN} txqueuelen 10000 up\n")
        asyncio.get_running_loop().add_reader(self._tun, self._on_readable)

    async def fail(self, addresses: list[str], for_s: float | None) -> None:
        timeout = "" if for_s is None else f" timeout {max(1, round(for_s * 1000))}ms"
        text = []
        for version, some in split(addresses):
            plain = ", ".join(some)
            timed = ", ".join(f"{one}{timeout}" for one in some) if timeout else plain
            # Adding what is there keeps its old timeout, deleting what is not there fails: so all three, in one step.
            text += [
                f"add element inet lab dead{version} {{ {plain} }}",
                f"delete element inet lab dead{version} {{ {plain} }}",
                f"add element inet lab dead{version} {{ {timed} }}",
            ]
        await nft("\n".join(text))

    async def mend(self, addresses: list[str]) -> None:
        text = []
        for version, some in split(addresses):
            plain = ", ".join(some)
            text += [
                f"add element inet lab dead{version} {{ {plain} }}",
                f"delete element inet lab dead{version} {{ {plain} }}",
            ]
        await nft("\n".join(text))

    async def fail_networks(self, networks: list[str]) -> None:
        parts = split(networks)
        await nft("\n".join(f"add element inet lab deadnet{v} {{ {', '.join(some)} }}" for v, some in parts))

    async def lose(self, addresses: list[str], percent: int) -> None:
        if percent and percent not in LOSSES:
            raise ValueError(f"{percent} % is not a multiple of 5 from 5 to 95")
        text = []
        for version, some in split(addresses):
            # A map refuses a second verdict for a key that it has; flushing it would touch other lines.
            text += [f"delete element inet lab lossy{version} {{ {a} }}" for a in some if (version, a) in self._lossy]
            self._lossy.difference_update((version, a) for a in some)
            if percent:
                pairs = ", ".join(f"{a} : jump loss{percent}" for a in some)
                text.append(f"add element inet lab lossy{version} {{ {pairs} }}")
        await nft("\n".join(text))
        if percent:
            self._lossy.update((version, a) for version, some in split(addresses) for a in some)

    async def shape(self, addresses: list[str], **shape: float) -> None:
        self._conditions.shape(map(packed, addresses), Shape(**shape))
        await self._route("add", [a for a in addresses if a not in self._shaped])
        self._shaped.update(addresses)

    async def unshape(self, addresses: list[str]) -> None:
        known = [a for a in addresses if a in self._shaped]
        await self._route("del", known)
        self._shaped.difference_update(known)
        self._conditions.unshape(map(packed, known))

    async def blind(self, on: bool) -> None:
        drop = "add rule inet lab cut meta nfproto ipv4 drop\nadd rule inet lab cut icmpv6 type echo-request drop"
        await nft("flush chain inet lab cut\n" + (drop if on else ""))

    async def mend_all(self) -> None:
        sets = [f"flush set inet lab {name}{v}" for name in ("dead", "deadnet") for v in "46"]
        maps = [f"flush map inet lab lossy{v}" for v in "46"]
        await nft("\n".join(["flush chain inet lab cut", *sets, *maps]))
        self._lossy.clear()
        await self.unshape(list(self._shaped))

    async def _route(self, what: str, addresses: list[str]) -> None:
        # In the table "local", which is asked first and would else answer for the whole prefix.
        lines = [f"route {what} unicast {address} dev {TUN} table local" for address in addresses]
        if lines:
            await command(["ip", "-batch", "-"], "\n".join(lines) + "\n")

    def _on_readable(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_BATCH):
            try:
                packet = os.read(self._tun, 65_536)
            except BlockingIOError:
                return
            reply = answer(packet)
            if reply is None:
                continue
            source = reply[12:16] if reply[0] >> 4 == 4 else reply[8:24]
            delay_s = self._conditions.answer_after(source)
            if delay_s is not None:
                loop.call_later(delay_s, self._send, reply)

    def _send(self, reply: bytes) -> None:
        try:
            os.write(self._tun, reply)
        except OSError as error:  # the device's queue is full: a lost packet, as in any network
            print(f"{TUN}: {error}", flush=True)


def answer(packet: bytes) -> bytes | None:
    """The IP packet that answers an IP packet with an echo request in it; None for all else."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        size = (packet[0] & 0x0F) * 4
        if packet[9] != 1 or int.from_bytes(packet[6:8], "big") & 0x3FFF:  # not ICMP, or a fragment
            return None
        icmp = echo_reply(packet[size:], 4)
        # Swapping the addresses leaves the header's checksum as it is.
        return None if icmp is None else packet[:12] + packet[16:20] + packet[12:16] + packet[20:size] + icmp
    if version == 6 and len(packet) >= 40 and packet[6] == 58:
        icmp = echo_reply(packet[40:], 6)
        return None if icmp is None else packet[:8] + packet[24:40] + packet[8:24] + icmp
    return None


async def run(seed: int) -> None:
    side = ProviderSide(open_tun(), Conditions(seed))
    names = ("set_up", "fail", "mend", "fail_networks", "lose", "shape", "unshape", "blind", "mend_all")
    await serve({"ready": lambda: True, **{name: getattr(side, name) for name in names}})


def main() -> None:
    parser = argparse.ArgumentParser(description="Holds the provider's network namespace.")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(run(parser.parse_args().seed))


if __name__ == "__main__":
    main()
