"""What comes by the million, as columns: probe rounds and numeric line values, and the request for a probe.

A row of a round is one target in one round, never one packet. `sent` counts the probes whose fate is *known*:
a probe the socket dropped, or that the prober could not send, is not in it, so `sent == 0` means "nothing is
known" and `sent > 0, received == 0` means "asked, and did not answer".
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import msgspec
import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]


class TargetKind(StrEnum):
    """Which table the index column of a round points into."""

    LINE = "line"  # Inventory lines
    ELEMENT = "element"  # Inventory elements (nodes with a management address)
    REFERENCE = "reference"  # the configured reference targets, in their configured order
    RESOLVER = "resolver"  # the configured resolvers, in their configured order


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target that must answer while the prober can see. `element`: the exchange it stands in; empty: outside the
    network.."""

    name: str
    address: str
    element: str = ""


class LineState(IntEnum):
    """State of one line. UNKNOWN is "not measured" and is never shown as fine or as down."""

    UNKNOWN = 0
    UP = 1
    DEGRADED = 2
    DOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class ProbeRound:
    """One slice of one source's round, n rows.

    `target`   int32 [n]  index into the table named by `kind` at inventory `generation`
    `at_ns`    int64 [n]  when the (last) probe of this row was sent, UTC
    `sent`     uint16 [n] probes whose fate is known; 0: nothing known
    `received` uint16 [n] valid replies, at most `sent`
    `rtt_ms`   float32 [n] median of the replies; NaN if none
    `rtt_min_ms`, `rtt_max_ms`, `jitter_ms` float32 [n] or None: jitter is the mean absolute difference of
    consecutive replies (RFC 3550's D without the smoothing).
    `request_id` is 0 for the regular round, else that of the ProbeRequest answered.
    `family` is 6 where these rows are the IPv6 of lines that have an IPv4 address as well (a second witness), else 0.
    """

    source: str
    generation: int
    target: I32
    at_ns: I64
    sent: U16
    received: U16
    rtt_ms: F32
    kind: TargetKind = TargetKind.LINE
    round_id: int = 0
    request_id: int = 0
    rtt_min_ms: F32 | None = None
    rtt_max_ms: F32 | None = None
    jitter_ms: F32 | None = None
    family: int = 0

    def __len__(self) -> int:
        return int(self.target.shape[0])


class ValueKind(IntEnum):
    """Numeric telemetry of a line. The unit is in the name."""

    RX_POWER_DBM = 1
    TX_POWER_DBM = 2
    SNR_DB = 3
    ATTENUATION_DB = 4
    SYNC_DOWN_MBPS = 5
    SYNC_UP_MBPS = 6
    CRC_ERRORS = 7  # since boot
    FEC_ERRORS = 8  # since boot
    RETRAINS = 9  # since boot
    UPTIME_S = 10
    WIFI_RSSI_DBM = 11
    WIFI_CLIENTS = 12
    CPE_RTT_MS = 13
    CPU_RATIO = 14
    MEMORY_RATIO = 15
    WAN_UPTIME_S = 16
    RX_LEVEL_DBMV = 17  # DOCSIS: the weakest channel; DSL
    TX_LEVEL_DBMV = 18  # DOCSIS: the loudest channel; DSL
    SNR_UP_DB = 19
    ATTENUATION_UP_DB = 20
    RSRQ_DB = 21
    CELL_RSSI_DBM = 22
    WIFI_NOISE_DBM = 23
    TEMPERATURE_C = 24
    VOLTAGE_V = 25
    BIAS_MA = 26
    UNCORRECTABLES = 27  # codewords that FEC could not mend, since boot
    ERRORED_S = 28  # since the last synchronisation
    SEVERELY_ERRORED_S = 29
    T3_TIMEOUTS = 30  # since boot
    T4_TIMEOUTS = 31


@dataclass(frozen=True, slots=True, eq=False)
class LineValues:
    """Numeric telemetry, n rows: `line` int32 [n] inventory index, `kind` uint8 [n] ValueKind, `value` float32
    [n] in the unit of the kind, `at_ns` int64 [n] UTC (the collector's clock where the router's is not credible)."""

    source: str
    generation: int
    line: I32
    kind: U8
    value: F32
    at_ns: I64

    def __len__(self) -> int:
        return int(self.line.shape[0])


class RequestReason(StrEnum):
    CONFIRM = "confirm"  # a line missed: is it really down?
    LOOKUP = "lookup"  # an agent is looking at it now
    RESTORE = "restore"  # an incident recovers: who is still dead?


@dataclass(frozen=True, slots=True, eq=False)
class ProbeRequest:
    """Please probe `target` (int32 [n], table `kind`) `count` times each, done by `deadline_ns`.

    The collector enforces budgets and caps; what it does not answer is no evidence."""

    request_id: int
    target: I32
    count: int
    deadline_ns: int
    reason: RequestReason
    kind: TargetKind = TargetKind.LINE
    generation: int = 0


class RoundNote(msgspec.Struct, frozen=True):
    """What a prober says about one finished round: what it could not do is said, not hidden."""

    source: str
    round_id: int
    targets: int
    sent: int
    received: int
    uncertain: int  # rows whose fate is unknown (socket overflow, send errors)
    duration_s: float
    overran: bool
    faults: dict[str, int] = {}  # named reason -> count
