"""What an explanation is made of: the lines that fell and those that were spared, a cause, and what chance would do.

All lengths are negative nats: log-probabilities of *which* lines fell, less the price of naming a cause.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from correlation.likelihood import sigmoid
from correlation.sets import contained
from monitor.records import Scope
from monitor.records.rounds import I32, I64

F64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NS = 1_000_000_000
GAP_NS = 30 * NS
TRUST = 0.5  # falls' worth of trust in the learned rate against what the rest of the network shows now


@dataclass(slots=True)
class Evidence:
    """What fell (`lines` ascending, `at_ns` when) and what did not.

    `seen_ns` int64 [n]: last sign of life of each line that counts as spared, 0 for every other line: a line counts as
    spared by a cause only when it was heard after that cause struck. `element_rate`: falls per line and hour of element
    indices; `network_rate` the same for all. `bonus`: extra nats by element (its own probe, calls). `held`: scopes of
    living incidents, which have a small start over others. `asked_ns` int64 [n]: when something was last known of each
    line, up or down, 0: never. Who has not been asked since the cause struck tells nothing about it, and of a scope
    whose lines have mostly not been asked nothing is concluded. None: all have been asked. `firm` bool like `lines`:
    False for those that missed but may have been unlucky; no cause rests on them alone. None: all are down.
    """

    lines: I32
    at_ns: I64
    seen_ns: I64
    window_s: float
    now_ns: int
    network_rate: float
    element_rate: Callable[[npt.NDArray[np.integer]], F64]
    bonus: Mapping[int, float] = field(default_factory=dict)
    held: frozenset[Scope] = frozenset()
    use_groups: bool = True
    use_areas: bool = True
    asked_ns: I64 | None = None
    firm: npt.NDArray[np.bool_] | None = None
    min_share: float | None = None  # smallest share of an element's or group's lines; None: the setting's

    def covered(self, lines: I32 | slice, middle_ns: int, early_ns: int, least: float) -> bool:
        """Was this share of the lines asked since the first of them fell, and half of it since most of them did?"""
        if self.asked_ns is None:
            return True
        asked = self.asked_ns[lines]
        known = int(np.count_nonzero(asked))
        first, later = (int(np.count_nonzero(asked >= max(at, 1))) for at in (early_ns, middle_ns))
        return first >= least * known and later >= least / 2 * known

    def without(self, lines: I32) -> "Evidence":
        keep = ~contained(self.lines, lines)
        firm = None if self.firm is None else self.firm[keep]
        return replace(self, lines=self.lines[keep], at_ns=self.at_ns[keep], firm=firm)

    def firm_of(self, lines: I32) -> I32:
        """Those of `lines`, all of them in the evidence, that are surely down."""
        if self.firm is None or not lines.size:
            return lines
        return lines[self.firm[np.searchsorted(self.lines, lines)]]

    def firmly(self, low: Ints, high: Ints) -> Ints:
        """How many of lines[low:high] are surely down."""
        if self.firm is None:
            return high - low
        total = np.zeros(self.lines.size + 1, np.int64)
        np.cumsum(self.firm, out=total[1:])
        result: Ints = total[high] - total[low]
        return result


@dataclass(slots=True)
class Cause:
    """One cause: `lines`, and `pending` that are not sure yet, of `observable` ones under `scope` went down together;
    chance would explain `expected`. `told`: all lines that it explains, sure or not.

    `strays`: lines filed elsewhere that fell with it (`correlation.strays`); they count in none of the figures.
    `weighed`: slots of the living cases whose lines it could have claimed.
    `gain`: log-odds against chance, price paid. `length`: its own description length (negative nats).
    """

    scope: Scope
    lines: I32
    observable: int
    gain: float
    length: float
    expected: float
    start_ns: int
    spread_s: float
    element: int = -1
    group: int = -1
    runner_up: Scope | None = None
    runner_up_confidence: float = 0.0
    window_s: float = 0.0
    pending: int = 0
    struck_ns: int = 0
    told: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    strays: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    weighed: frozenset[int] = frozenset()

    @property
    def taken(self) -> I32:
        """All lines that are down because of it, ascending."""
        return np.union1d(self.lines, self.strays).astype(np.int32) if self.strays.size else self.lines

    @property
    def missing(self) -> int:
        return len(self.lines) + self.pending

    @property
    def share(self) -> float:
        return self.missing / max(self.observable, 1)

    @property
    def confidence(self) -> float:
        return round(min(sigmoid(self.gain) * (1 - self.runner_up_confidence), 0.999), 3)


def cause_of(
    evidence: Evidence,
    scope: Scope,
    inside: npt.NDArray[np.integer] | slice,
    counted: int,
    length: float,
    by_chance: float,
    p: float,
) -> Cause:
    """`inside`: where the cause's lines stand in the evidence."""
    told = evidence.lines[inside]
    lines = told if evidence.firm is None else told[evidence.firm[inside]]
    start, spread, middle = cause_span(evidence.at_ns[inside])
    return Cause(
        scope=scope,
        lines=lines,
        observable=counted,
        gain=length - by_chance,
        length=length,
        expected=counted * p,
        start_ns=start,
        spread_s=spread,
        window_s=evidence.window_s,
        pending=told.size - lines.size,
        told=told,
        struck_ns=middle,
    )


def cause_span(at_ns: I64) -> tuple[int, float, int]:
    """When a failure began, how long its lines took to fall (s), and when half of them had fallen."""
    return (*start_of(at_ns), struck(at_ns)[0])


def struck(at_ns: I64) -> tuple[int, int]:
    """When lines fell, in the middle (who was heard after that was spared) and the first tenth of them (who was asked
    after that can tell). At least 1."""
    middle, early = at_ns.size // 2, at_ns.size // 10
    ordered = np.partition(at_ns, (early, middle))
    return max(int(ordered[middle]), 1), max(int(ordered[early]), 1)


def start_of(at_ns: I64) -> tuple[int, float]:
    """When a failure began and how long its lines took to fall (s), without the few that had fallen by themselves.

    The densest half of the falls is its core; from there the failure reaches as far as no gap is longer than the core.
    """
    ordered = np.sort(at_ns)
    half = max(1, (ordered.size + 1) // 2)
    widths = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
    core = int(np.argmin(widths))
    gap = max(int(widths[core]), GAP_NS)
    wide = np.diff(ordered) > gap
    before, after = np.flatnonzero(wide[:core]), np.flatnonzero(wide[core + half - 1 :])
    low = int(before[-1]) + 1 if before.size else 0
    high = core + half - 1 + int(after[0]) if after.size else ordered.size - 1
    return int(ordered[low]), float(ordered[high] - ordered[low]) / NS


class Chance:
    """How likely a line falls by chance within the window: the learned rate, or what the rest of the network shows.

    The rest counts so that what happens everywhere (a nightly reconnect, modems switched off) blames no element.
    """

    def __init__(self, evidence: Evidence, explained: int, total_up: int) -> None:
        self.window_h = evidence.window_s / 3600.0
        self.evidence = evidence
        self.loose = max(evidence.lines.size - explained, 0)
        self.total = total_up + evidence.lines.size
        self.floor = max(evidence.network_rate * self.window_h, 1e-7)

    def at(self, elements: npt.NDArray[np.int64], fell: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> F64:
        learned = self.evidence.element_rate(elements) * self.window_h
        return self._bounded(np.maximum(learned, self._outside(fell, counted)), fell, counted)

    def among(self, fell: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> F64:
        """Where no element tells its own rate."""
        return self._bounded(np.maximum(self.floor, self._outside(fell, counted)), fell, counted)

    def of(self, fell: int, counted: int) -> float:
        """`among` for a single one: with plain numbers, since hundreds of candidates are asked about one by one."""
        outside = (TRUST + max(self.loose - fell, 0)) / (TRUST / self.floor + max(self.total - counted, 0))
        return min(max(self.floor, outside), (fell + 0.5) / (counted + 1.0), 0.5)

    def _bounded(self, p: F64, fell: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> F64:
        # Fewer than by chance is no failure: then chance explains them at their own rate.
        own = (fell + 0.5) / (counted + 1.0)
        result: F64 = np.minimum(p, np.minimum(own, 0.5))
        return result

    def _outside(self, fell: npt.NDArray[np.int64], counted: npt.NDArray[np.int64]) -> F64:
        """Mean rate elsewhere, drawn to the learned one while there is little of it (Gamma-Poisson)."""
        elsewhere = np.maximum(self.loose - fell, 0)
        lines = np.maximum(self.total - counted, 0)
        result: F64 = (TRUST + elsewhere) / (TRUST / self.floor + lines)
        return result
