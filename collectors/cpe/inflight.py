"""Which messages are still owed an acknowledgement, and the columns of values that wait to be handed over.

A message is acknowledged to the broker once everything it led to is on disk, and in the order in which it came, as
MQTT asks. Until then the broker keeps it: killed at any moment, we are given it again.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from monitor.inventory import Inventory
from monitor.records import LineValues, ValueKind


class Ticket:
    """One message with QoS 1. `pending` counts what has not been handed over; `waits` is what is not on disk."""

    __slots__ = ("mid", "pending", "qos", "waits")

    def __init__(self, mid: int, qos: int) -> None:
        self.mid = mid
        self.qos = qos
        self.pending = 0
        self.waits: list[Future[None]] = []

    def done(self) -> bool:
        # A future that was cancelled had to go for newer rows; the intake has counted it.
        return not self.pending and all(future.done() for future in self.waits)


class InFlight:
    """Tickets of one connection: message ids mean nothing on the next one."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()

    def __len__(self) -> int:
        return len(self._tickets)

    def open(self, mid: int, qos: int) -> Ticket:
        ticket = Ticket(mid, qos)
        self._tickets.append(ticket)
        return ticket

    def settle(self, acknowledge: Callable[[int, int], None]) -> int:
        """Acknowledge from the oldest on, up to the first that is not done; returns how many."""
        count = 0
        while self._tickets and self._tickets[0].done():
            ticket = self._tickets.popleft()
            acknowledge(ticket.mid, ticket.qos)
            count += 1
        return count

    def forget(self) -> None:
        """The connection is gone: the broker will send what was not acknowledged again."""
        self._tickets.clear()


class Columns:
    """Values gathered for one LineValues. `tickets` are the messages they came in."""

    def __init__(self) -> None:
        self._lines: list[int] = []
        self._kinds: list[int] = []
        self._values: list[float] = []
        self._at_ns: list[int] = []
        self.tickets: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: int, values: list[tuple[ValueKind, float]], at_ns: int, ticket: Ticket | None) -> None:
        for kind, value in values:
            self._lines.append(line)
            self._kinds.append(kind)
            self._values.append(value)
            self._at_ns.append(at_ns)
        if ticket is not None and values:
            ticket.pending += 1
            self.tickets.append(ticket)

    def take(self, source: str, inventory: Inventory, gathered: Inventory) -> LineValues:
        """The rows as columns for `inventory`, remapped if they were `gathered` for another; rows of lines that are
        gone are left out. The tickets stay."""
        line = np.array(self._lines, np.int32)
        kind = np.array(self._kinds, np.uint8)
        value = np.array(self._values, np.float32)
        at_ns = np.array(self._at_ns, np.int64)
        self._lines, self._kinds, self._values, self._at_ns = [], [], [], []
        if inventory is not gathered and inventory.generation != gathered.generation:
            line = inventory.indices_of([gathered.line_id(int(i)) for i in line])
            kept = line >= 0
            line, kind, value, at_ns = line[kept], kind[kept], value[kept], at_ns[kept]
        return LineValues(source, inventory.generation, line, kind, value, at_ns)
