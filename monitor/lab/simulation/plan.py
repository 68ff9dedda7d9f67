"""What kind of network is generated: sizes, depths and shares. Two plans, so that nothing is fitted to one of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a technology's tree: how many children an element has (uneven, from low to high)."""

    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Technology:
    """`levels` below the exchange, coarse to fine; `leaf` lines on the finest element (low, high); `share` of the
    exchanges; `rtt_ms` (low, high); `models` of CPE; `sessions`: the share of lines with accounting (PPPoE)."""

    name: str
    share: float
    levels: tuple[Level, ...]
    leaf: tuple[int, int]
    rtt_ms: tuple[float, float]
    models: tuple[str, ...]
    sessions: float
    rates: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Nature:
    """How things go, not how much of them there is: another plan has other laws, not the same ones with other figures.

    `by_size`: large elements fail more often than small ones, else every element alike. `settling`: lines come back
    exponentially, most at once and some late, else evenly. `bursts`: lost probes come in runs (Gilbert's two states),
    else one by one. `skewed`: round-trip times have a long upper tail (gamma), else they are normal with spikes.
    `long_tail`: faults last lognormally, else log-uniformly. `partial` (low, high): share of a partial failure.
    """

    by_size: bool = False
    settling: bool = False
    bursts: bool = False
    skewed: bool = False
    long_tail: bool = False
    partial: tuple[float, float] = (0.22, 0.45)


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """`prefix` levels above the exchange (regions first); `exchange_lines` median size; `sigma` its spread (lognormal);
    `misfiled_ratio` of the lines are recorded on another leaf, `misfiled_exchange_ratio` in one exchange.
    """

    name: str
    technologies: tuple[Technology, ...]
    prefix: tuple[str, ...] = ("region",)
    lines_per_region: int = 4000
    exchange_lines: int = 700
    sigma: float = 0.75
    misfiled_ratio: float = 0.01
    misfiled_exchange_ratio: float = 0.12
    telemetry_ratio: float = 0.6
    silent_ratio: float = 0.03  # never answer a ping
    suspended_ratio: float = 0.01
    feeder_known_ratio: float = 0.5  # exchanges whose power feeders are on record
    nature: Nature = Nature()


GPON = Technology(
    "gpon",
    0.45,
    (Level("olt", 1, 3), Level("pon", 4, 14), Level("splitter", 1, 4)),
    (4, 28),
    (3, 8),
    ("ONT-G1", "ONT-G2", "ONT-G3"),
    0.5,
    (300, 150),
)
DSL = Technology(
    "dsl",
    0.30,
    (Level("msan", 1, 4), Level("slot", 2, 7)),
    (14, 46),
    (12, 26),
    ("VD10", "VD20", "VD30"),
    1.0,
    (100, 40),
)
DOCSIS = Technology(
    "docsis",
    0.20,
    (Level("cmts", 1, 2), Level("mac-domain", 2, 4), Level("node", 2, 4), Level("amplifier", 2, 6)),
    (8, 40),
    (9, 18),
    ("CM31", "CM40"),
    0.0,
    (500, 50),
)
FWA = Technology("fwa", 0.05, (), (40, 160), (24, 45), ("FW5",), 0.0, (150, 30))

STANDARD = NetworkPlan("standard", (GPON, DSL, DOCSIS, FWA))

# Another depth, other sizes and other laws, ten per cent of the lines filed wrong.
OTHER = NetworkPlan(
    "other",
    (
        Technology(
            "gpon",
            0.7,
            (
                Level("olt", 1, 2),
                Level("shelf", 1, 2),
                Level("card", 2, 4),
                Level("pon", 2, 6),
                Level("splitter", 2, 8),
            ),
            (3, 14),
            (2, 6),
            ("ONT-X1", "ONT-X2"),
            0.3,
            (1000, 500),
        ),
        Technology("dsl", 0.3, (Level("msan", 3, 9),), (20, 110), (14, 32), ("VX1", "VX2"), 1.0, (50, 10)),
    ),
    prefix=("region", "metro"),
    lines_per_region=6000,
    exchange_lines=450,
    sigma=1.0,
    misfiled_ratio=0.10,
    misfiled_exchange_ratio=0.10,
    telemetry_ratio=0.45,
    silent_ratio=0.05,
    nature=Nature(by_size=True, settling=True, bursts=True, skewed=True, long_tail=True, partial=(0.2, 0.6)),
)
PLANS = {plan.name: plan for plan in (STANDARD, OTHER)}
