"""The access network without root: a process on a Unix datagram socket that answers echo requests.

Frames are those of `collectors.icmp.wire`; a reply goes to the address that the sender's socket is bound to. Who is
dead, slow or lossy is told over the control socket and decided by the very logic that answers on the TUN device.
"""

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from collectors.icmp.wire import HEADER_SIZE, decode
from monitor.lab.control import Controlled, serve
from monitor.lab.process import LabError, wait_until
from monitor.lab.responder import Conditions, Shape, echo_reply, packed

RETRY_S = 0.001  # a Unix datagram queue is short (net.unix.max_dgram_qlen): a full one is tried again
MAX_WAITING = 200_000


class Wire:
    """The parent's side; see AccessNetwork. `socket_path` is where the prober sends its frames.

    `base_ms`: the round-trip times of healthy lines, spread over the addresses.
    """

    def __init__(self, folder: Path, base_ms: tuple[float, float] = (0.0, 0.0), seed: int = 1) -> None:
        self.folder = folder
        self.base_ms = base_ms
        self.seed = seed
        self.socket_path = folder / "wire.sock"
        self._side: Controlled | None = None

    def start(self) -> None:
        if len(str(self.socket_path).encode()) > 100:
            raise LabError(f"{self.socket_path}: a socket's path has at most 100 bytes: use a shorter folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket_path.unlink(missing_ok=True)
        low, high = self.base_ms
        args = [str(self.socket_path), "--base-ms", str(low), str(high), "--seed", str(self.seed)]
        self._side = Controlled("wire", "monitor.lab.wire", args, self.folder / "wire.log")
        wait_until(self.socket_path.exists, self._side.child, f"{self.socket_path} was there")
        self._side.call("ping")

    def stop(self) -> None:
        if self._side is not None:
            self._side.stop()
            self._side = None
        self.socket_path.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        return self._running().child.pid

    def fail(self, addresses: Sequence[str], for_s: float | None = None) -> None:
        self._running().call("fail", addresses=list(addresses), for_s=for_s)

    def mend(self, addresses: Sequence[str]) -> None:
        self._running().call("mend", addresses=list(addresses))

    def fail_networks(self, networks: Sequence[str]) -> None:
        self._running().call("fail_networks", networks=list(networks))

    def shape(self, addresses: Sequence[str], shape: Shape) -> None:
        self._running().call(
            "shape",
            addresses=list(addresses),
            delay_ms=shape.delay_ms,
            jitter_ms=shape.jitter_ms,
            loss_ratio=shape.loss_ratio,
            burst=shape.burst,
        )

    def unshape(self, addresses: Sequence[str]) -> None:
        self._running().call("unshape", addresses=list(addresses))

    def blind(self) -> None:
        self._running().call("blind", on=True)

    def see(self) -> None:
        self._running().call("blind", on=False)

    def mend_all(self) -> None:
        self._running().call("mend_all")

    def counts(self) -> dict[str, int]:
        """Frames since the start: requests, replies, malformed, dropped (no room with the prober)."""
        counts: dict[str, int] = self._running().call("counts")
        return counts

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _running(self) -> Controlled:
        if self._side is None:
            raise LabError("the wire is not running: start() it first")
        return self._side


class WireSide:
    """The child's side: answers on `sock`."""

    def __init__(self, sock: socket.socket, conditions: Conditions) -> None:
        self._socket = sock
        self._conditions = conditions
        self._waiting = 0
        self.counts = {"requests": 0, "replies": 0, "malformed": 0, "dropped": 0}

    def on_readable(self) -> None:
        loop = asyncio.get_running_loop()
        answer_after = self._conditions.answer_after
        counts = self.counts
        for _ in range(256):  # then let commands and delayed replies through
            try:
                frame, sender = self._socket.recvfrom(65_536)
            except BlockingIOError:
                return
            try:
                version, address, packet = decode(frame)
                icmp = echo_reply(packet, version)
            except ValueError:
                icmp = None
            if icmp is None or not sender:
                counts["malformed"] += 1
                continue
            counts["requests"] += 1
            delay_s = answer_after(address)
            if delay_s is None:
                continue
            reply = frame[:HEADER_SIZE] + icmp
            if delay_s:
                loop.call_later(delay_s, self._send, reply, sender)
            else:
                self._send(reply, sender)

    def _send(self, reply: bytes, to: str | bytes, again: bool = False) -> None:
        if again:
            self._waiting -= 1
        try:
            self._socket.sendto(reply, to)
            self.counts["replies"] += 1
        except BlockingIOError:
            if self._waiting >= MAX_WAITING:
                self.counts["dropped"] += 1
                return
            self._waiting += 1
            asyncio.get_running_loop().call_later(RETRY_S, self._send, reply, to, True)
        except OSError:  # the prober is gone
            self.counts["dropped"] += 1


async def run(path: Path, conditions: Conditions) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 8 * 1024 * 1024)
        sock.setblocking(False)
        sock.bind(str(path))
        side = WireSide(sock, conditions)
        asyncio.get_running_loop().add_reader(sock, side.on_readable)
        await serve(
            {
                "ping": lambda: "pong",
                "fail": lambda addresses, for_s: conditions.fail(map(packed, addresses), for_s),
                "mend": lambda addresses: conditions.mend(map(packed, addresses)),
                "fail_networks": conditions.fail_networks,
                "shape": lambda addresses, **shape: conditions.shape(map(packed, addresses), Shape(**shape)),
                "unshape": lambda addresses: conditions.unshape(map(packed, addresses)),
                "blind": lambda on: setattr(conditions, "blind", on),
                "mend_all": conditions.mend_all,
                "counts": lambda: side.counts,
            }
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers echo requests on a Unix datagram socket.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--base-ms", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    low, high = args.base_ms
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(args.path, Conditions(args.seed, (low, high))))


if __name__ == "__main__":
    main()
