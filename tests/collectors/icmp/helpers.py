"""What the tests of the prober share: a socket that is a test's own, a network in a thread, small inventories."""

import errno
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from collectors.icmp import wire
from collectors.icmp.codec import ECHO_REPLY, PACKET
from collectors.icmp.siphash import U64
from collectors.icmp.transport import BLOCK, RECEIVE, Received
from monitor.inventory import Inventory, load_inventory

NS = 1_000_000_000


class ManualTime:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.ns = 5 * NS

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += int(seconds * NS)


class FakeTransport:
    """A socket without a system: `out` holds what was sent, `arrive` queues what comes back, `fails` gives errors."""

    wakes = False

    def __init__(self, clock: ManualTime, family: int = 4) -> None:
        self.family = family
        self.packets = np.zeros(BLOCK, PACKET)
        self.out: list[tuple[np.void, int, int]] = []
        self.waiting: list[Received] = []
        self.dropped = 0
        self.fails: Callable[[int], int] = lambda low: 0  # errno for an address
        self.idents: tuple[int, ...] = ()
        self._clock = clock
        self._pair = socket.socketpair()

    def fileno(self) -> int:
        return self._pair[0].fileno()

    def use_idents(self, idents: tuple[int, ...]) -> int:
        self.idents = idents
        return idents[0]

    def send(self, first: int, count: int, high: U64, low: U64) -> tuple[int, int]:
        for i in range(count):
            if code := self.fails(int(low[i])):
                return i, code
            self.out.append((self.packets[first + i].copy(), int(high[i]), int(low[i])))
        return count, 0

    def arrive(self, sent: list[tuple[np.void, int, int]], at_ns: int | None = None, **changes: int) -> None:
        """Queue replies to these packets, with some fields changed."""
        n = len(sent)

        def column(name: str, values: list[int], kind: str) -> "np.ndarray[tuple[int], np.dtype[np.generic]]":
            return np.full(n, changes[name], kind) if name in changes else np.array(values, kind)

        self.waiting.append(
            Received(
                type=column("type", [ECHO_REPLY[self.family]] * n, "u1"),
                ident=column("ident", [int(p["ident"]) for p, _, _ in sent], "u2"),
                serial=column("serial", [int(p["serial"]) for p, _, _ in sent], "u8"),
                nonce=column("nonce", [int(p["nonce"]) for p, _, _ in sent], "u8"),
                high=column("high", [h for _, h, _ in sent], "u8"),
                low=column("low", [a for _, _, a in sent], "u8"),
                at_ns=np.full(n, self._clock() if at_ns is None else at_ns, np.int64),
            )
        )

    def collect(self) -> None:
        """What waits stays where it is."""

    def receive(self) -> Received | None:
        taken, rows = [], 0
        while self.waiting and rows + len(self.waiting[0].type) <= RECEIVE:  # as many as one call takes
            taken.append(self.waiting.pop(0))
            rows += len(taken[-1].type)
        if not taken:
            return None
        names = ("type", "ident", "serial", "nonce", "high", "low", "at_ns")
        return Received(*(np.concatenate([getattr(part, name) for part in taken]) for name in names))

    def drops(self) -> int:
        return self.dropped

    def close(self) -> None:
        for sock in self._pair:
            sock.close()


class Responder:
    """A network in a thread, at a Unix socket: answers every echo request unless its address is in `dead`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dead: set[bytes] = set()
        self.asked: list[bytes] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                data, sender = self._sock.recvfrom(2048)
            except TimeoutError:
                continue
            frame = wire.decode(data)
            self.asked.append(frame.address)
            if frame.address not in self.dead and (reply := wire.echo_reply(frame)) is not None:
                try:
                    self._sock.sendto(reply, sender)
                except OSError as error:  # the prober was ended meanwhile
                    assert error.errno in (errno.ECONNREFUSED, errno.ENOENT)  # noqa: PT017

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._sock.close()


HEADER = "line_id,address,address6,path,groups,status\n"


def inventory_of(folder: Path, rows: list[str], elements: str = "", generation: int = 1) -> Inventory:
    """Rows as in HEADER; `elements` as rows of `path,address`."""
    file = folder / f"inventory-{generation}.csv"
    file.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    nodes = None
    if elements:
        nodes = folder / "elements.csv"
        nodes.write_text("path,address\n" + elements)
    return load_inventory(file, elements_path=nodes, generation=generation)


def simple_rows(count: int, network: str = "127.9", per_olt: int = 50) -> list[str]:
    return [
        f"L{i:05d},{network}.{i // 250}.{i % 250 + 1},,north/ex-1/olt-{i // per_olt}/pon-{i // 10},bng:b{i % 2},active"
        for i in range(count)
    ]
