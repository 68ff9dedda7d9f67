"""Keeps scenarios apart: no two in the same exchange at the same time, unless one is meant to overlap another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.lab.simulation.world import MINUTE

MARGIN = 10 * MINUTE
WARM_UP = 30 * MINUTE
COOL_DOWN = 15 * MINUTE
ATTEMPTS = 400


class NoRoom(Exception):
    """A scenario found no place or no time in this network; the text says what was missing."""


@dataclass(slots=True)
class Booked:
    start_ns: int
    end_ns: int
    exchanges: frozenset[int] | None  # None: everywhere


class Booking:
    def __init__(self, start_ns: int, end_ns: int) -> None:
        self._start = start_ns
        self._end = end_ns
        self._booked: list[Booked] = []

    def booked_since(self, count: int) -> list[Booked]:
        """What was booked after the first `count` bookings."""
        return self._booked[count:]

    def __len__(self) -> int:
        return len(self._booked)

    def find(
        self, exchanges: npt.NDArray[np.integer], duration_ns: int, rng: np.random.Generator, alone: bool = False
    ) -> int:
        """A free start for something in these exchanges (`alone`: nothing else anywhere); it is booked.

        Raises NoRoom.
        """
        span = self._end - self._start
        low = self._start + min(WARM_UP, span // 6)
        high = self._end - min(COOL_DOWN, span // 8) - duration_ns
        if high <= low:
            raise NoRoom("the run is too short for it")
        wanted = None if alone else frozenset(int(e) for e in np.unique(exchanges))
        for _ in range(ATTEMPTS):
            start = int(rng.integers(low, high))
            if self._free(start - MARGIN, start + duration_ns + MARGIN, wanted):
                self._booked.append(Booked(start, start + duration_ns, wanted))
                return start
        raise NoRoom("every time and place is taken")

    def _free(self, start: int, end: int, exchanges: frozenset[int] | None) -> bool:
        for other in self._booked:
            apart = end <= other.start_ns or start >= other.end_ns
            if not apart and (exchanges is None or other.exchanges is None or exchanges & other.exchanges):
                return False
        return True
