"""What the engine asks of a socket: send a run of prepared packets, hand over what has arrived.

Two make the same from different means: `collectors.icmp.batch` (sendmmsg and recvmmsg, many packets a system call)
and `collectors.icmp.single` (one packet a call: other systems, and the wire to a simulated network).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from collectors.icmp.codec import Packets
from collectors.icmp.siphash import U64
from monitor.records.rounds import I64, U8, U16

BLOCK = 2048  # packets prepared at once; sent in batches, so that a preempted batch is short
BATCH = 64
RECEIVE = 2048  # packets looked at in one go
STEP_NS = 2_000_000  # the wall clock drifts by microseconds between two drains: more than this is a jump


@dataclass(slots=True)
class Received:
    """What arrived, n echo packets of at least our size. `high`, `low` is the source (an IPv4 address in `low`),
    `at_ns` the monotonic time of arrival. `strange` counts packets that were too short to be any of ours."""

    type: U8
    ident: U16
    serial: U64
    nonce: U64
    high: U64
    low: U64
    at_ns: I64
    strange: int = 0


class Transport(Protocol):
    """One non-blocking socket of one family. `packets` (PACKET [BLOCK]) is where the packets to send are written."""

    family: int
    packets: Packets
    wakes: bool  # its queue is so short that it must be read as soon as something is there

    def fileno(self) -> int: ...

    def use_idents(self, idents: tuple[int, ...]) -> int:
        """Prefer the first identifier and accept all; returns the one that replies will carry."""
        ...

    def send(self, first: int, count: int, high: U64, low: U64) -> tuple[int, int]:
        """Send packets first:first+count of the block to these addresses (uint64 [count]).

        Returns how many went out and, if that is less, the errno of the one that did not.
        """
        ...

    def collect(self) -> None:
        """Empty the socket without looking, up to RECEIVE packets in all; they are held for `receive`.

        Raises OSError if the socket itself is unusable.
        """
        ...

    def receive(self) -> Received | None:
        """At most RECEIVE packets, first those that are held; None when nothing waits. Raises as `collect`."""
        ...

    def drops(self) -> int:
        """Packets the socket had no room for, ever."""
        ...

    def close(self) -> None: ...


class Stamps:
    """The kernel's stamps are in wall-clock time; here they become monotonic, also when the wall clock jumps.

    What was stamped before a jump and read after it cannot be told apart: that one read uses the time of reading,
    which is at most a tick late. `jumps` counts.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._offset = wall_ns() - steady_ns()
        self.jumps = 0

    def steady(self, stamps_ns: I64) -> I64:
        """Monotonic times for kernel stamps (int64 [n] ns; 0: none was given), read just now."""
        now = self._steady_ns()
        offset = self._wall_ns() - now
        jumped = abs(offset - self._offset) > STEP_NS
        self._offset = offset
        if jumped:
            self.jumps += 1
            stamps_ns = stamps_ns * 0
        at = stamps_ns - offset
        at[(stamps_ns == 0) | (at > now)] = now
        return at
