"""One line's round trips, row by row, through the very code that the engine runs over all lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.baselines.likelihood import Rule
from correlation.baselines.regimes import Regimes

UNSTEADY = 3.0  # spread grew so many times, and hides the step: it is the stability that changed


@dataclass(frozen=True, slots=True)
class SeriesChange:
    """`index`: first row (from 0) of the new regime; `decided_index`: the row that settled it, at most 15 later.
    `before_ms`, `after_ms`: medians, None where nothing replied. `score`: log-likelihood ratio in nats."""

    kind: str  # "shift" | "unstable"
    index: int
    decided_index: int
    before_ms: float | None
    after_ms: float | None
    score: float


def changes(rtt_ms: npt.NDArray[np.floating] | Iterable[float], rule: Rule | None = None) -> Iterator[SeriesChange]:
    """Every change, as soon as it is known. A row that is not a number above 0 is a lost probe."""
    regimes = Regimes(1, rule)
    line = np.zeros(1, np.int32)
    for row, value in enumerate(np.asarray(rtt_ms, np.float32)):
        found = regimes.step(line, np.array([value], np.float32))
        for i in range(len(found)):
            before, after = float(found.before_ms[i]), float(found.after_ms[i])
            yield SeriesChange(
                kind=_kind(before, after, float(found.before_spread[i]), float(found.after_spread[i])),
                index=row - int(found.rows[i]) + 1,
                decided_index=row,
                before_ms=_known(before),
                after_ms=_known(after),
                score=round(float(found.nats[i]), 2),
            )


def _kind(before: float, after: float, before_spread: float, after_spread: float) -> str:
    if np.isnan(after):
        return "unstable"
    wider = after_spread >= UNSTEADY * before_spread and abs(after - before) < UNSTEADY * after_spread
    return "unstable" if wider else "shift"


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 3)
