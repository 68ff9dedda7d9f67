"""Between the daemon and its prober: small messages over a socket pair, columns in shared memory beside them.

A message is a msgspec struct in one datagram. Its columns (numpy arrays by name) are written one after the other into
an anonymous memory file whose descriptor travels with the message; the receiver copies them out and closes it. So
nothing is shared for longer than one message, and whoever dies leaves nothing behind. The pair tells each side when
the other is gone.
"""

import errno
import mmap
import os
import socket
import tempfile
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from collectors.icmp.messages import Message, decode, encode

Columns = Mapping[str, npt.NDArray[Any]]
MESSAGE_MAX = 60_000
ALIGN = 8
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS)  # the last: too many descriptors on their way


class Closed(Exception):
    """The other side is gone."""


class Malformed(Exception):
    """What came is no message: the two sides are not of the same version."""


class _Layout(msgspec.Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    body: bytes
    size: int
    columns: tuple[_Layout, ...]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that keep messages apart; the end of one is told to the other."""
    try:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:  # macOS has none: datagrams keep messages apart as well, but tell of the end by an error only
        both = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for sock in both:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_MAX)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * MESSAGE_MAX)
        return both


class Channel:
    """One end. `send` does not block when the socket does not; `receive` returns None when nothing waits."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message, columns: Columns | None = None) -> None:
        """Raises BlockingIOError when the other side does not read (nothing was sent), Closed when it is gone."""
        layouts, size = [], 0
        for name, column in (columns or {}).items():
            layouts.append(_Layout(name, column.dtype.str, column.shape, size))
            size += -(-column.nbytes // ALIGN) * ALIGN
        envelope = msgspec.msgpack.encode(_Envelope(encode(message), size, tuple(layouts)))
        if len(envelope) > MESSAGE_MAX:
            raise ValueError(f"a message of {len(envelope)} bytes is too long: give what is long as columns")
        fds = [_write(columns or {}, layouts, size)] if layouts else []
        try:
            socket.send_fds(self._sock, [envelope], fds)
        except (BrokenPipeError, ConnectionError) as error:
            raise Closed from error
        except OSError as error:
            if error.errno in _FULL:
                raise BlockingIOError(error.errno, "the other side does not read") from None
            raise
        finally:
            for fd in fds:
                os.close(fd)

    def receive(self) -> tuple[Message, dict[str, npt.NDArray[Any]]] | None:
        """Raises Closed when the other side is gone, Malformed."""
        try:
            data, fds = self._next()
        except (BlockingIOError, InterruptedError):
            return None
        try:
            if not data:
                raise Closed
            envelope = msgspec.msgpack.decode(data, type=_Envelope)
            columns = _read(fds[0], envelope) if envelope.columns else {}
            return decode(envelope.body), columns
        except (msgspec.MsgspecError, IndexError, TypeError, ValueError) as error:
            raise Malformed(str(error)) from error
        finally:
            for fd in fds:
                os.close(fd)

    def _next(self) -> tuple[bytes, list[int]]:
        try:
            return socket.recv_fds(self._sock, MESSAGE_MAX, 1)[:2]
        except ConnectionError:  # it went without reading all we sent, but its last words may still be here
            try:
                return socket.recv_fds(self._sock, MESSAGE_MAX, 1)[:2]
            except BlockingIOError:
                raise Closed from None

    def close(self) -> None:
        self._sock.close()


def _write(columns: Columns, layouts: list[_Layout], size: int) -> int:
    fd = _memory_file()
    try:
        if size:
            os.ftruncate(fd, size)
            with mmap.mmap(fd, size) as memory:
                for layout, column in zip(layouts, columns.values(), strict=True):
                    memory[layout.offset : layout.offset + column.nbytes] = np.ascontiguousarray(column).tobytes()
    except BaseException:
        os.close(fd)
        raise
    return fd


def _read(fd: int, envelope: _Envelope) -> dict[str, npt.NDArray[Any]]:
    if os.fstat(fd).st_size < envelope.size:
        raise Malformed("the shared memory is shorter than the message says")
    data = bytearray(os.pread(fd, envelope.size, 0)) if envelope.size else bytearray()
    return {
        c.name: np.frombuffer(data, c.dtype, int(np.prod(c.shape)), c.offset).reshape(c.shape)
        if data
        else np.zeros(c.shape, c.dtype)
        for c in envelope.columns
    }


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("faultline")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
