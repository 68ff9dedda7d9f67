"""What every sample engine answers to: append without waiting, read one line's or one element's history.

`append`, `rollup`, `status` and `changes` only queue: a writer thread does all work with disk and database, so nothing
here ever waits for one. What could not be written yet stands in the journal (`last_seq` says up to where it is safe).
Histories come in bins on a fixed ladder of widths, so both engines give the same answer for the same question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from monitor.clock import NS
from monitor.inventory import Inventory
from monitor.records import Change, LineValues, ProbeRound, TargetKind, ValueKind
from monitor.records.rounds import F32, I64, U8

MS = 1_000_000
F64 = npt.NDArray[np.float64]
BINS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
LEVELS = ("network", "region", "exchange", "access_node")
STEPS_S = {"1m": 60, "5m": 300, "1h": 3600}
Field = str | int | float


@dataclass(frozen=True, slots=True, eq=False)
class LineHistory:
    """m bins, oldest first; bins without data are left out.

    `at_ns` int64 [m] start of the bin (a multiple of `bin_s` since the epoch); `sent`, `received` int64 [m] sums;
    `rtt_ms` float64 [m] median of the rounds' medians, `rtt_min_ms`, `rtt_max_ms` the extremes (of the single probes
    where the rounds have them), NaN without a reply.
    """

    bin_s: int
    at_ns: I64
    sent: I64
    received: I64
    rtt_ms: F64
    rtt_min_ms: F64
    rtt_max_ms: F64

    def __len__(self) -> int:
        return int(self.at_ns.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class ValuesHistory:
    """m bins as in LineHistory; `mean`, `low`, `high` float64 [m] in the unit of the kind."""

    kind: ValueKind
    bin_s: int
    at_ns: I64
    mean: F64
    low: F64
    high: F64

    def __len__(self) -> int:
        return int(self.at_ns.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class ElementHistory:
    """m intervals of `step_s`, oldest first: numbers of lines, float64 [m] means over the interval (`down_max` the
    maximum), `rtt_ms` NaN when none is known."""

    step_s: int
    at_ns: I64
    lines: F64
    up: F64
    degraded: F64
    down: F64
    unknown: F64
    down_max: F64
    rtt_ms: F64

    def __len__(self) -> int:
        return int(self.at_ns.shape[0])


class SampleStore(Protocol):
    def append(self, seq: int, rounds: Sequence[ProbeRound | LineValues], inventory: Inventory) -> None:
        """Queue the rounds of journal entry `seq`; entries up to `last_seq()` are known already and left out."""
        ...

    def rollup(self, at_ns: int, inventory: Inventory, state: U8, rtt_ms: F32) -> None:
        """Figures per region, exchange and access node as of now, once a minute. state uint8 [n], rtt_ms [n]."""
        ...

    def status(self, at_ns: int, name: str, tags: Mapping[str, str], fields: Mapping[str, Field]) -> None:
        """One point of measurement `name` (docs/schema.md), for dashboards; the embedded engine keeps none."""
        ...

    def changes(self, changes: Sequence[Change]) -> None:
        """Incident changes, for annotations; the embedded engine has them in SQL already."""
        ...

    def flush(self) -> bool:
        """Wait until everything appended so far is on this machine's disk; False when it cannot be (a trouble says
        why): then `last_seq` tells what the journal must still keep."""
        ...

    def last_seq(self) -> int:
        """The newest journal entry whose samples (and all before) are on disk; -1: none."""
        ...

    def line_history(self, line_id: str, start_ns: int, end_ns: int, max_points: int = 500) -> LineHistory:
        """start <= at < end, all sources together. Raises StoreProblem when the database does not answer."""
        ...

    def values_history(
        self, line_id: str, kind: ValueKind, start_ns: int, end_ns: int, max_points: int = 500
    ) -> ValuesHistory: ...

    def target_history(
        self, kind: TargetKind, name: str, start_ns: int, end_ns: int, max_points: int = 500
    ) -> LineHistory:
        """Of a resolver or reference (by name) or a probed element (by path)."""
        ...

    def element_history(self, path: str, start_ns: int, end_ns: int, max_points: int = 500) -> ElementHistory:
        """Of a region, exchange or access node ("": the whole network), from the finest roll-up that fits."""
        ...

    def close(self) -> None:
        """Write what waits (as `flush`, but a failure is only logged), and end the threads."""
        ...


def bin_s(start_ns: int, end_ns: int, max_points: int) -> int:
    """The narrowest bin of the ladder that gives at most `max_points` over the span; the widest when none does."""
    span_s = max(end_ns - start_ns, 0) / NS
    return next((width for width in BINS_S if span_s / width <= max_points), BINS_S[-1])


def step_for(start_ns: int, end_ns: int, max_points: int) -> str:
    """Which roll-up answers: "1m", "5m" or "1h"."""
    span_s = max(end_ns - start_ns, 0) / NS
    return next((name for name, width in STEPS_S.items() if span_s / width <= max_points), "1h")


def level_of(path: str) -> str:
    """network, region, exchange or access_node. Raises ValueError for what is finer: no roll-ups are kept of that."""
    depth = path.count("/") + 1 if path else 0
    if depth >= len(LEVELS):
        raise ValueError(f"{path!r}: history is kept of regions, exchanges and access nodes, not below")
    return LEVELS[depth]
