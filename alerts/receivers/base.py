"""What every receiver is: it gives one message to one place, or says by exception why it could not.

A receiver keeps no state of incidents: what it must find again (a message's ts, a Message-ID) is its `handle`, which
the chain stores and gives back. It never retries by itself and never waits longer than its timeout.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from alerts.message import Message
from monitor.clock import NS, Clock


class Undelivered(Exception):
    """The message was not taken. The text says what happened, where, and what to do; never a secret."""


class Unreachable(Undelivered):
    """The receiver itself does not work (no connection, wrong token, server error): nothing would be taken now."""


class Later(Undelivered):
    """The receiver works, and asks for `retry_after_s` of quiet."""

    def __init__(self, text: str, retry_after_s: float) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Deferred(Undelivered):
    """This message was not taken this time; others may be."""


class Refused(Undelivered):
    """This message will never be taken."""


class Receiver(Protocol):
    @property
    def name(self) -> str:
        """Stable: the outbox keeps by it what has been told."""
        ...

    @property
    def update_s(self) -> float:
        """An incident that has been told is told again at most this often."""
        ...

    @property
    def in_place(self) -> bool:
        """True: the message can be changed, so every visible change is worth sending; False: only news is."""
        ...

    @property
    def most_per_hour(self) -> int:
        """New messages an hour; 0: no limit."""
        ...

    @property
    def summaries(self) -> bool:
        """True: a storm comes as one summary; False: machines want every incident."""
        ...

    @property
    def repeat_s(self) -> float:
        """What is open must be said again so often, or the receiver takes it for over; 0: never."""
        ...

    @property
    def pacer(self) -> "Pacer": ...

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        """Tell, as something new when `handle` is empty, else as a change of what it points to; the handle to keep.

        Raises Unreachable, Later, Deferred, Refused; sending again after any of them does no harm.
        """
        ...

    async def check(self) -> None:
        """Find out whether it would take a message, telling nobody. Raises as `send` does."""
        ...

    async def close(self) -> None: ...


class Pacer:
    """Keeps calls at least `interval_s` apart, and away until a time the receiver has asked for."""

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self._clock = clock
        self.interval_s = interval_s
        self._interval_ns = int(interval_s * NS)
        self._free_ns = 0
        self._turn = asyncio.Lock()
        self.waiting = False  # somebody waits for a turn

    @property
    def free_ns(self) -> int:
        """From when on a call may be made."""
        return self._free_ns

    async def turn(self) -> None:
        """Wait for one's turn and take it."""
        async with self._turn:
            while (wait_ns := self._free_ns - self._clock.now_ns()) > 0:
                self.waiting = True
                try:
                    await self._clock.sleep(wait_ns / NS)
                finally:
                    self.waiting = False
            self._free_ns = self._clock.now_ns() + self._interval_ns

    def quiet_until(self, at_ns: int) -> None:
        self._free_ns = max(self._free_ns, at_ns)
