"""Time, in one place: everything that needs "now" is given a Clock, so tests and replays can own time.

`now_ns` is UTC in nanoseconds and never goes backwards within a process, whatever the system clock does.
"""

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

NS = 1_000_000_000


class Clock(Protocol):
    def now_ns(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock, made monotonic: carried on by the steady clock when the wall clock is set back, and
    following it when it is ahead by more than `FOLLOW_S` (a correction, or the machine was suspended)."""

    FOLLOW_S = 0.1

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        steady = time.monotonic_ns() + self._offset
        wall = time.time_ns()
        if wall - steady > self.FOLLOW_S * NS:
            self._offset += wall - steady
            return wall
        return steady

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that a test moves. `sleep` returns once `advance` has carried the time past its end."""

    def __init__(self, start_ns: int = 1_700_000_000 * NS) -> None:
        self._now = start_ns
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    def now_ns(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done = asyncio.Event()
        self._sleepers.append((self._now + int(seconds * NS), done))
        await done.wait()

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers in order; each gets the loop before the next is woken."""
        end = self._now + int(seconds * NS)
        while due := [s for s in self._sleepers if s[0] <= end]:
            first = min(due, key=lambda s: s[0])
            self._sleepers.remove(first)
            self._now = max(self._now, first[0])
            first[1].set()
            for _ in range(10):
                await asyncio.sleep(0)
        self._now = end


def rfc3339(at_ns: int) -> str:
    """UTC with milliseconds, as in every file and answer: 2026-11-23T08:15:30.250Z."""
    seconds, rest = divmod(at_ns, NS)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def parse_time(text: str) -> int:
    """Nanoseconds UTC from a number (below 1e12 seconds, below 1e15 milliseconds, else ns) or RFC 3339.

    Raises ValueError, saying what was read, when it is neither, or has no time zone.
    """
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return number_to_ns(int(text)) if text.lstrip("+-").isdigit() else number_to_ns(number)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: give epoch seconds or RFC 3339, as 2026-11-23T08:15:30Z") from None
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: end it with Z for UTC")
    delta = when - datetime(1970, 1, 1, tzinfo=UTC)
    return _storable((delta.days * 86400 + delta.seconds) * NS + delta.microseconds * 1000, text)


def number_to_ns(number: int | float) -> int:
    """The rule of the observation files: < 1e12 seconds, < 1e15 milliseconds, else nanoseconds."""
    if not abs(number) < 9.2e18:
        raise ValueError(f"{number} is out of range for a time")
    if abs(number) < 1e12:
        return _storable(int(number * NS), number)
    if abs(number) < 1e15:
        return int(number * 1_000_000)
    return int(number)


def _storable(at_ns: int, given: object) -> int:
    """Times are kept as 64 bits of ns, which reach from 1678 to 2262."""
    if not abs(at_ns) < 9.2e18:
        raise ValueError(f"{given!r} is out of range for a time")
    return at_ns
