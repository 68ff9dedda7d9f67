"""One packet a system call, with nothing but the standard library: other systems, and the wire to a simulated network.

About twice the CPU of batches. `SingleTransport` does ICMP, `WireTransport` the frames of `collectors.icmp.wire`.
"""

import errno
import socket
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

from collectors.icmp import sockets, wire
from collectors.icmp.codec import PACKET, PACKET_SIZE
from collectors.icmp.siphash import U64
from collectors.icmp.transport import BLOCK, RECEIVE, Received, Stamps

ROOM = 2048
ANCILLARY = 64
READS = 4
NOTHING = (errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNRESET)


class SingleTransport(sockets.OnSocket):
    """ICMP of one family over one socket, packet by packet."""

    wakes = False

    def __init__(self, sock: socket.socket, family: int, raw: bool, stamps: Stamps | None = None) -> None:
        super().__init__(sock, family, raw)
        self.packets = np.zeros(BLOCK, PACKET)
        self._stamps = stamps or Stamps()
        self._held: list[tuple[bytes, int, tuple[str, int]]] = []

    def send(self, first: int, count: int, high: U64, low: U64) -> tuple[int, int]:
        data = memoryview(self.packets[first : first + count].tobytes())
        for i, (a, b) in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
            address = b.to_bytes(4, "big") if self.family == 4 else a.to_bytes(8, "big") + b.to_bytes(8, "big")
            try:
                self._write(data[i * PACKET_SIZE : (i + 1) * PACKET_SIZE], address)
            except OSError as error:
                return i, error.errno or errno.EIO
        return count, 0

    def collect(self) -> None:
        errors = 0
        while len(self._held) < RECEIVE and errors < READS:
            try:
                data, ancillary, _, sender = self._sock.recvmsg(ROOM, ANCILLARY)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno not in NOTHING:
                    raise
                errors += 1  # about an earlier packet; behind it may be replies
                continue
            self._held.append((data, _stamp(ancillary), sender))

    def receive(self) -> Received | None:
        self.collect()
        held, self._held = self._held, []
        if not held:
            return None
        packets, sources, stamps, strange = [], [], [], 0
        for data, stamp, sender in held:
            read = self._read(data, sender)
            if read is None:
                strange += 1
                continue
            packets.append(read[0][:PACKET_SIZE])
            sources.append(read[1].rjust(16, b"\0"))
            stamps.append(stamp)
        table = np.frombuffer(b"".join(packets), PACKET)
        source = np.frombuffer(b"".join(sources), ">u8").reshape(-1, 2).astype(np.uint64)
        return Received(
            type=table["type"].copy(),
            ident=table["ident"].astype(np.uint16),
            serial=table["serial"].astype(np.uint64),
            nonce=table["nonce"].astype(np.uint64),
            high=source[:, 0].copy(),
            low=source[:, 1].copy(),
            at_ns=self._stamps.steady(np.array(stamps, np.int64)),
            strange=strange,
        )

    def _write(self, packet: memoryview, address: bytes) -> None:
        host = socket.inet_ntop(self._sock.family, address)
        self._sock.sendto(packet, (host, 0))

    def _read(self, data: bytes, sender: tuple[str, int]) -> tuple[bytes, bytes] | None:
        """The ICMP packet and its source address, or None for what is too short to be ours."""
        if self._raw and self.family == 4:
            data = data[(data[0] & 15) * 4 :] if data else data
        if len(data) < PACKET_SIZE:
            return None
        return data, socket.inet_pton(self._sock.family, sender[0].partition("%")[0])


class WireTransport(SingleTransport):
    """The same over frames to a responder's Unix socket."""

    wakes = True

    def __init__(self, path: str, family: int, stamps: Stamps | None = None) -> None:
        """Raises OSError, naming the path, when nobody answers there."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._own = ""
        try:
            if sys.platform == "linux":
                sock.bind("")  # an abstract address that the kernel chooses: nothing to clean up
            else:
                self._own = tempfile.mktemp(prefix="faultline-wire-")
                sock.bind(self._own)
            sock.connect(path)
            sock.setblocking(False)
            sockets.stamp(sock)
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"icmp.wire: no network answers at {path}: {error.strerror}") from None
        super().__init__(sock, family, raw=False, stamps=stamps)

    def use_idents(self, idents: tuple[int, ...]) -> int:
        return idents[0]

    def _write(self, packet: memoryview, address: bytes) -> None:
        self._sock.send(wire.encode(self.family, address, bytes(packet)))

    def _read(self, data: bytes, sender: object) -> tuple[bytes, bytes] | None:
        try:
            frame = wire.decode(data)
        except ValueError:
            return None
        if frame.family != self.family or len(frame.packet) < PACKET_SIZE:
            return None
        return frame.packet, frame.address

    def close(self) -> None:
        super().close()
        if self._own:
            Path(self._own).unlink(missing_ok=True)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp in ns, or 0."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == sockets.SO_TIMESTAMPNS and len(data) >= 16:
            seconds, rest = struct.unpack("qq", data[:16])
            return int(seconds) * 1_000_000_000 + int(rest)
    return 0
