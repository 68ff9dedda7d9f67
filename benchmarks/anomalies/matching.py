"""How good detected changes are: matched one to one within two rows, decided within fifteen, counted over all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WINDOW = 2
LATEST = 15


@dataclass(frozen=True)
class Score:
    hits: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        return self.hits / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.hits / self.true if self.true else 0.0

    def f(self, beta: float = 1.0) -> float:
        p, r = self.precision, self.recall
        return (1 + beta**2) * p * r / (beta**2 * p + r) if p + r else 0.0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.hits + other.hits, self.found + other.found, self.true + other.true)


def score(found: Iterable[tuple[int, int]], true: Sequence[int]) -> Score:
    """`found`: (index, decided_index). All windows are alike: the earliest free partner is best."""
    places = sorted(found)
    wanted = sorted(int(t) for t in true)
    hits = i = 0
    for index, decided in places:
        while i < len(wanted) and wanted[i] < index - WINDOW:
            i += 1
        if i < len(wanted) and wanted[i] <= index + WINDOW and decided - wanted[i] <= LATEST:
            hits += 1
            i += 1
    return Score(hits, len(places), len(wanted))
