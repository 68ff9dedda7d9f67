"""Many packets a system call: sendmmsg and recvmmsg through ctypes, over arrays that are laid out once.

Every packet of the block has its message header, vector and address at a fixed place in numpy arrays, so a send is
one assignment of addresses and one call, and a receive is one call whose columns are views: nothing is copied or made
per packet. Linux only; `available()` says whether.
"""

import ctypes
import errno
import socket
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.icmp import sockets
from collectors.icmp.codec import PACKET, PACKET_SIZE
from collectors.icmp.siphash import U64
from collectors.icmp.transport import BATCH, BLOCK, RECEIVE, Received, Stamps

MSG_DONTWAIT = 0x40
ROOM = 96  # an IPv4 header with options is 60 bytes, ours 24
CONTROL = 64
STAMP_SIZE = 32
# What a read says about an earlier packet that could not be delivered; behind it may be replies: it is read again.
READS = 4
NOTHING = (0, errno.EINTR, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED)

_HEADER = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_VECTOR = np.dtype([("base", "u8"), ("length", "u8")])
_ADDRESS = {
    4: np.dtype({"names": ["family", "low"], "formats": ["=u2", ">u4"], "offsets": [0, 4], "itemsize": 16}),
    6: np.dtype(
        {"names": ["family", "high", "low"], "formats": ["=u2", ">u8", ">u8"], "offsets": [0, 8, 16], "itemsize": 28}
    ),
}
_STAMP = np.dtype(
    {
        "names": ["length", "level", "type", "s", "ns"],
        "formats": ["u8", "i4", "i4", "i8", "i8"],
        "offsets": [0, 8, 12, 16, 24],
        "itemsize": CONTROL,
    }
)


def available() -> bool:
    libc = _libc()
    return libc is not None and hasattr(libc, "sendmmsg") and hasattr(libc, "recvmmsg")


def _libc() -> Any:
    # The layouts above are those of 64-bit Linux.
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        return ctypes.CDLL(None, use_errno=True)
    except OSError:
        return None


def _headers(count: int, address: npt.NDArray[Any], data: npt.NDArray[Any], size: int) -> tuple[Any, Any]:
    vectors = np.zeros(count, _VECTOR)
    vectors["base"] = data.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(data.strides[0])
    vectors["length"] = size
    headers = np.zeros(count, _HEADER)
    headers["name"] = address.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(address.itemsize)
    headers["namelen"] = address.itemsize
    headers["iov"] = vectors.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(_VECTOR.itemsize)
    headers["iovlen"] = 1
    return headers, vectors


class BatchTransport(sockets.OnSocket):
    """ICMP of one family over one socket, in batches."""

    wakes = False

    def __init__(self, sock: socket.socket, family: int, raw: bool, stamps: Stamps | None = None) -> None:
        super().__init__(sock, family, raw)
        self._fd = sock.fileno()
        self._stamps = stamps or Stamps()
        libc = _libc()
        self._sendmmsg, self._recvmmsg = libc.sendmmsg, libc.recvmmsg
        for call in (self._sendmmsg, self._recvmmsg):
            call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
            call.restype = ctypes.c_int
        self._recvmmsg.argtypes = [*self._recvmmsg.argtypes, ctypes.c_void_p]

        layout = _ADDRESS[family]
        self.packets = np.zeros(BLOCK, PACKET)
        self._to = np.zeros(BLOCK, layout)
        self._to["family"] = sock.family
        self._out, self._out_vectors = _headers(BLOCK, self._to, self.packets, PACKET_SIZE)
        self._out_at = self._out.ctypes.data

        self._data = np.zeros((RECEIVE, ROOM), np.uint8)
        self._from = np.zeros(RECEIVE, layout)
        self._in, self._in_vectors = _headers(RECEIVE, self._from, self._data, ROOM)
        self._in_at = self._in.ctypes.data
        self._held = 0  # packets that were read and not looked at
        self._control = np.zeros(RECEIVE, _STAMP)
        self._in["control"] = self._control.ctypes.data + np.arange(RECEIVE, dtype=np.uint64) * np.uint64(CONTROL)
        self._in["controllen"] = CONTROL
        # The same bytes seen with and without the usual 20 bytes of IP header before them.
        self._ip = 20 if raw and family == 4 else 0
        self._view = np.ndarray((RECEIVE,), PACKET, self._data, self._ip, (ROOM,))

    def send(self, first: int, count: int, high: U64, low: U64) -> tuple[int, int]:
        to = self._to[first : first + count]
        to["low"] = low
        if self.family == 6:
            to["high"] = high
        done = 0
        while done < count:
            want = min(BATCH, count - done)
            at = self._out_at + (first + done) * _HEADER.itemsize
            sent = self._sendmmsg(self._fd, at, want, MSG_DONTWAIT)
            if sent < 0:
                code = ctypes.get_errno()
                if code == errno.EINTR:
                    continue
                return done, code
            done += sent
        return done, 0

    def collect(self) -> None:
        room = RECEIVE - self._held
        at = self._in_at + self._held * _HEADER.itemsize
        for _ in range(READS if room else 0):
            count = self._recvmmsg(self._fd, at, room, MSG_DONTWAIT, None)
            if count >= 0:
                self._held += count
                return
            code = ctypes.get_errno()
            if code == errno.EAGAIN:
                return
            if code not in NOTHING:
                raise OSError(code, f"the ICMP socket cannot be read: errno {code}")

    def receive(self) -> Received | None:
        self.collect()
        count, self._held = self._held, 0
        if not count:
            return None
        head, control, source = self._in[:count], self._control[:count], self._from[:count]
        stamped = (control["type"] == sockets.SO_TIMESTAMPNS) & (head["controllen"] >= STAMP_SIZE)
        stamps = np.where(stamped, control["s"] * 1_000_000_000 + control["ns"], 0)
        packets = self._view[:count]
        keep = head["length"] >= self._ip + PACKET_SIZE
        if self._ip:
            plain = self._data[:count, 0] == 0x45
            if not plain.all():  # options in the IP header: a rare packet is moved to where the others are
                for i in np.flatnonzero(~plain).tolist():
                    shift = (int(self._data[i, 0]) & 15) * 4
                    keep[i] = head["length"][i] >= shift + PACKET_SIZE and shift >= 20
                    self._data[i, 20 : 20 + PACKET_SIZE] = self._data[i, shift : shift + PACKET_SIZE].copy()
        low = source["low"].astype(np.uint64)
        high = source["high"].astype(np.uint64) if self.family == 6 else np.zeros(count, np.uint64)
        got = Received(
            type=packets["type"].copy(),
            ident=packets["ident"].astype(np.uint16),
            serial=packets["serial"].astype(np.uint64),
            nonce=packets["nonce"].astype(np.uint64),
            high=high,
            low=low,
            at_ns=self._stamps.steady(stamps),
        )
        # The kernel has written what it used: the next call must find what there is room for.
        head["namelen"] = self._from.itemsize
        head["controllen"] = CONTROL
        return got if keep.all() else _select(got, keep)


def _select(got: Received, keep: npt.NDArray[np.bool_]) -> Received:
    return Received(
        got.type[keep],
        got.ident[keep],
        got.serial[keep],
        got.nonce[keep],
        got.high[keep],
        got.low[keep],
        got.at_ns[keep],
        int((~keep).sum()),
    )
