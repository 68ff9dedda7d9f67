"""Opening the sockets: raw or unprivileged ICMP, per family, with a filter, kernel time stamps and a large buffer.

Raw needs CAP_NET_RAW; the unprivileged kind needs the group in `net.ipv4.ping_group_range`. A raw socket is given
every ICMP packet of the machine: a BPF filter lets only echo replies with our identifiers wake the process. The
unprivileged socket is given its own by the kernel, which also chooses the identifier.
"""

import ctypes
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Literal

from collectors.icmp.codec import ECHO_REPLY

SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SO_ATTACH_FILTER = 26
SO_MEMINFO = 55
IP_MTU_DISCOVER = 10
IP_PMTUDISC_DO = 2
MEMINFO_DROPS = 8
CLONE_NEWNET = 0x40000000
BUFFER_BYTES = 8 << 20
Mode = Literal["auto", "raw", "datagram"]


class NotPermitted(PermissionError):
    """This process may open no ICMP socket; the text says what to do."""


def permission_text() -> str:
    python = Path(sys.executable).resolve()
    return (
        "this process may not open an ICMP socket. Either run it as a service with AmbientCapabilities=CAP_NET_RAW, "
        f"or allow it to the interpreter: setcap cap_net_raw+ep {python} , or allow unprivileged ping to its group "
        f"({os.getegid()}): sysctl -w net.ipv4.ping_group_range='0 2147483647'"
    )


def enter_namespace(path: str) -> None:
    """Move this thread into the network namespace at `path`, e.g. /proc/PID/ns/net. Raises OSError, saying why."""
    try:
        with Path(path).open("rb") as file:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(file.fileno(), CLONE_NEWNET):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
    except OSError as error:
        hint = "; this needs root (CAP_SYS_ADMIN)" if isinstance(error, PermissionError) else ""
        raise OSError(error.errno, f"icmp.netns: cannot enter {path}: {error.strerror}{hint}") from None


def open_socket(family: int, mode: Mode = "auto") -> tuple[socket.socket, bool]:
    """A non-blocking ICMP socket for family 4 or 6, and whether it is raw.

    Raises NotPermitted, or OSError when the system has no such family.
    """
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
    kinds = {"auto": (True, False), "raw": (True,), "datagram": (False,)}[mode]
    for raw in kinds:
        try:
            sock = socket.socket(domain, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, protocol)
        except PermissionError:
            continue
        try:
            _prepare(sock, family, raw)
        except BaseException:
            sock.close()
            raise
        return sock, raw
    raise NotPermitted(permission_text())


def _prepare(sock: socket.socket, family: int, raw: bool) -> None:
    sock.setblocking(False)
    if not raw:
        sock.bind(("0.0.0.0" if family == 4 else "::", 0))
    if family == 4 and sys.platform == "linux":
        # "Do not fragment": packets of 44 bytes never are, and the kernel need not look for an IP identification.
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    grow_buffer(sock)
    stamp(sock)


def grow_buffer(sock: socket.socket) -> None:
    """8 MiB for what arrives while the process does something else; less where the system does not allow it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)


def stamp(sock: socket.socket) -> None:
    """Ask the kernel to say when each packet arrived, where it can."""
    if sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def drops(sock: socket.socket) -> int:
    """How many packets this socket had no room for, ever (0 where the system does not say).

    The counter that SO_RXQ_OVFL attaches to the next packet that arrives, asked for directly: it also tells of drops
    that no packet came after, and costs nothing per packet.
    """
    if sys.platform != "linux":
        return 0
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (MEMINFO_DROPS + 1))
    except OSError:
        return 0
    return int.from_bytes(data[4 * MEMINFO_DROPS : 4 * MEMINFO_DROPS + 4], sys.byteorder)


def attach_filter(sock: socket.socket, family: int, idents: tuple[int, ...]) -> None:
    """Let only echo replies with one of these identifiers through (raw sockets on Linux; else nothing is done)."""
    if sys.platform != "linux":
        return
    reply = ECHO_REPLY[family]
    load_byte, load_half, equal, give = (0x50, 0x48, 0x15, 0x06) if family == 4 else (0x30, 0x28, 0x15, 0x06)
    program: list[tuple[int, int, int, int]] = []
    if family == 4:
        program.append((0xB1, 0, 0, 0))  # X = length of the IP header: a raw IPv4 socket is given it too
    program.append((load_byte, 0, 0, 0))
    program.append((equal, 0, len(idents) + 1, reply))
    program.append((load_half, 0, 0, 4))
    program += [(equal, len(idents) - i, 0, ident) for i, ident in enumerate(idents)]
    program.append((give, 0, 0, 0))
    program.append((give, 0, 0, 0xFFFF))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    filter_ = struct.pack("HL", len(program), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)


class OnSocket:
    """What every transport does with its socket, however it sends and receives."""

    def __init__(self, sock: socket.socket, family: int, raw: bool) -> None:
        self.family = family
        self._sock = sock
        self._raw = raw

    def fileno(self) -> int:
        return self._sock.fileno()

    def use_idents(self, idents: tuple[int, ...]) -> int:
        if not self._raw:
            return int(self._sock.getsockname()[1])
        attach_filter(self._sock, self.family, idents)
        return idents[0]

    def drops(self) -> int:
        return drops(self._sock)

    def close(self) -> None:
        self._sock.close()
