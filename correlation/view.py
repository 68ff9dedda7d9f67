"""What the engine knows after a step, as others may read it: arrays that nobody changes any more."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.records import Flag, Incident
from monitor.records.rounds import F32, I32, I64, U8


@dataclass(frozen=True, slots=True, eq=False)
class LineSigns:
    """The newest single signs of one line, 0 where there was none (ns UTC)."""

    cpe_online_ns: int = 0
    cpe_offline_ns: int = 0
    cpe_boot_ns: int = 0
    boots_24h: int = 0
    dying_gasp_ns: int = 0
    los_ns: int = 0
    los_cleared_ns: int = 0
    login_accepted_ns: int = 0
    login_rejected_ns: int = 0
    login_reason: str = ""
    login_timeout_ns: int = 0
    call_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class EngineView:
    """All per-line arrays have n rows (the inventory's lines at `generation`).

    `state` uint8 LineState; `since_ns` int64 when that state began (backdated; 0: never known); `probed_ns` int64 last
    time a probe's fate was known (0: never); `replied_ns` int64 last reply; `rtt_ms` float32 last median (NaN);
    `baseline_ms` float32 (NaN: not learned yet); `loss_ratio` float32 smoothed; `flaps_24h` uint8/uint16;
    `incident` int32 index into `incidents` of the unresolved incident that holds the line, or -1.
    `incidents`: unresolved ones and those resolved within the last day, newest first. `flags`: open flags by subject.
    `blind` : sources that cannot see now -> since ns. `resolvers_down`: resolver name -> since ns.
    `round_interval_s`: learned interval between scheduled rounds, for judging what is stale.
    """

    at_ns: int
    generation: int
    state: U8
    since_ns: I64
    probed_ns: I64
    replied_ns: I64
    rtt_ms: F32
    baseline_ms: F32
    loss_ratio: F32
    flaps_24h: npt.NDArray[np.integer]
    incident: I32
    incidents: tuple[Incident, ...] = ()
    flags: Mapping[str, tuple[Flag, ...]] = field(default_factory=dict)
    signs: Mapping[int, LineSigns] = field(default_factory=dict)
    blind: Mapping[str, int] = field(default_factory=dict)
    resolvers_down: Mapping[str, int] = field(default_factory=dict)
    round_interval_s: float = 60.0

    def incident_of(self, line: int) -> Incident | None:
        index = int(self.incident[line])
        return self.incidents[index] if index >= 0 else None

    @classmethod
    def empty(cls, lines: int, at_ns: int = 0, generation: int = 1) -> "EngineView":
        """Nothing is known of any line."""
        zero64, nan = np.zeros(lines, np.int64), np.full(lines, np.nan, np.float32)
        return cls(
            at_ns=at_ns,
            generation=generation,
            state=np.zeros(lines, np.uint8),
            since_ns=zero64,
            probed_ns=zero64,
            replied_ns=zero64,
            rtt_ms=nan,
            baseline_ms=nan,
            loss_ratio=nan,
            flaps_24h=np.zeros(lines, np.uint16),
            incident=np.full(lines, -1, np.int32),
        )
