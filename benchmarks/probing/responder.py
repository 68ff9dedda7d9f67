"""A network on a TUN device that dwells and loses, and keeps a log of what it really did: the truth to compare with.

    python -m benchmarks.probing.responder BASE COUNT LOG [--dwell MS] [--jitter MS] [--loss RATIO] [--seed N]

Runs in a namespace of its own making: makes the device, routes BASE's network to it, prints "ready PID", answers echo
requests until its input ends, then writes LOG (npz): by address `read_ns`, `write_ns` (monotonic; 0: it did not),
`asked` and `dropped` counts. A real-time priority, where it may have one: else its own waiting for a core would stand
in the results of whom it judges.
"""

import argparse
import contextlib
import fcntl
import ipaddress
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque

import numpy as np

from monitor.lab.process import LabError, run
from monitor.lab.responder import echo_reply

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
AT_ONCE = 256
SLOT_NS = 100_000  # replies are due in slots of this


class Responder:
    def __init__(self, device: int, first: int, count: int, size: int) -> None:
        self.device, self.first, self.size = device, first, size
        self.read_ns = np.zeros(count, np.int64)
        self.write_ns = np.zeros(count, np.int64)
        self.asked = np.zeros(count, np.uint16)
        self.dropped = np.zeros(count, np.uint16)
        self.slots: dict[int, list[tuple[int, bytes]]] = {}
        self.order: deque[int] = deque()
        self.next_slot = time.monotonic_ns() // SLOT_NS

    def run(self, dwell_ns: int, jitter_ns: int, loss: float, rng: random.Random) -> None:
        """Until standard input ends."""
        poller = select.poll()
        poller.register(self.device, select.POLLIN)
        poller.register(0, select.POLLIN | select.POLLHUP)
        while True:
            pause_ms = 0.05 if self.slots else 200.0
            # poll waits whole milliseconds: select waits as long as it is told
            ready, _, _ = select.select([self.device, 0], [], [], pause_ms / 1000)
            if 0 in ready and not os.read(0, 1):
                return
            if self.device in ready:
                self._take(dwell_ns, jitter_ns, loss, rng)
            self._give()

    def _take(self, dwell_ns: int, jitter_ns: int, loss: float, rng: random.Random) -> None:
        # First the time of each, then the work: else the last of many would seem to have come when its turn came.
        arrived: list[tuple[int, bytes]] = []
        with contextlib.suppress(BlockingIOError):
            while len(arrived) < AT_ONCE:
                packet = os.read(self.device, 2048)
                arrived.append((time.monotonic_ns(), packet))
        for now, packet in arrived:
            answer = self._answer(packet)
            if answer is None:
                continue
            index, reply = answer
            self.asked[index] += 1
            if loss and rng.random() < loss:
                self.dropped[index] += 1
                continue
            self.read_ns[index] = now
            due = (now + dwell_ns + int((2 * rng.random() - 1) * jitter_ns)) // SLOT_NS
            self.slots.setdefault(max(due, self.next_slot), []).append((index, reply))

    def _answer(self, packet: bytes) -> tuple[int, bytes] | None:
        if packet[0] >> 4 == 4 and self.size == 4:
            head = (packet[0] & 15) * 4
            source, target = packet[12:16], packet[16:20]
            icmp = echo_reply(packet[head:], 4)
            front = packet[:12] + target + source + packet[20:head]  # swapping them leaves the checksum as it is
        elif packet[0] >> 4 == 6 and self.size == 16 and packet[6] == 58:
            source, target = packet[8:24], packet[24:40]
            icmp = echo_reply(packet[40:], 6)
            front = packet[:8] + target + source
        else:
            return None
        index = int.from_bytes(target, "big") - self.first
        return (index, front + icmp) if icmp is not None and 0 <= index < len(self.asked) else None

    def _give(self) -> None:
        now = time.monotonic_ns() // SLOT_NS
        while self.next_slot <= now:
            for index, reply in self.slots.pop(self.next_slot, ()):
                with contextlib.suppress(BlockingIOError):
                    os.write(self.device, reply)
                    self.write_ns[index] = time.monotonic_ns()
            self.next_slot += 1


def open_device(network: str) -> int:
    """The device `tn0` in a new namespace, up, with a route to the network."""
    os.unshare(0x40000000) if hasattr(os, "unshare") else _unshare()
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"tn0", IFF_TUN | IFF_NO_PI))
    six = ":" in network
    own = "fd99::1/64" if six else "192.168.99.1/24"
    commands = ["link set lo up", "link set tn0 txqueuelen 200000 up", f"addr add {own} dev tn0{' nodad' * six}"]
    commands += [f"route add {network} dev tn0"]
    run("tun", ["ip", "-batch", "-"], "\n".join(commands) + "\n")
    return device


def _unshare() -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        raise LabError(f"a namespace of its own: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("count", type=int)
    parser.add_argument("log")
    parser.add_argument("--dwell", type=float, default=20.0)
    parser.add_argument("--jitter", type=float, default=2.0)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    base = ipaddress.ip_address(args.base)
    network = ipaddress.ip_network(f"{base}/{8 if base.version == 4 else 16}", strict=False)
    device = open_device(str(network))
    responder = Responder(device, int(base), args.count, base.max_prefixlen // 8)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    print(f"ready {os.getpid()}", flush=True)
    responder.run(int(args.dwell * 1e6), int(args.jitter * 1e6), args.loss, random.Random(args.seed))
    np.savez(
        args.log,
        read_ns=responder.read_ns,
        write_ns=responder.write_ns,
        asked=responder.asked,
        dropped=responder.dropped,
    )


class Running:
    """The responder as a child: `netns` is where to probe from."""

    def __init__(self, base: str, count: int, log: str, *options: str) -> None:
        command = [sys.executable, "-m", "benchmarks.probing.responder", base, str(count), log, *options]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        said = self._child.stdout.readline().split()
        if said[:1] != ["ready"]:
            raise LabError("the responder did not start; its own message says why")
        self.netns = f"/proc/{said[1]}/ns/net"
        self._log = log

    def stop(self) -> "np.lib.npyio.NpzFile":
        """End it; returns its log."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()
        return np.load(self._log)


if __name__ == "__main__":
    main()
