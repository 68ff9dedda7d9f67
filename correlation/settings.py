"""The correlation's part of the configuration file: `[correlation]` and its tables.

Likelihood ratios are natural logarithms ("nats"): 2.3 means ten times likelier, 4.6 a hundred times. None of them is
fitted to a particular network; what a network does by itself (reply rates, intervals, onset rates) is learned.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec


class EvidenceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one sign says about "this line is down" against "it is up"; positive speaks for down.

    The belief is clipped to -`clip_up`..`clip_down`; a line is down from `down_at`, and up again from `up_at`. A missed
    probe counts -ln(1 - reply rate of this line), which is learned between `reply_min` and `reply_max`; further probes
    missed in the same row count `repeat_weight` each, because losses come in bursts.
    """

    clip_up: float = 6.0
    clip_down: float = 8.0
    down_at: float = 2.5
    up_at: float = -0.5
    reply: float = -9.2  # a reply of a line that is down: one in ten thousand (somebody else's address)
    reply_prior: float = 0.99
    reply_min: float = 0.3
    reply_max: float = 0.995
    reply_learning: float = 0.02
    repeat_weight: float = 0.5
    life: float = -7.5  # telemetry, an accepted login, a boot report: it talks to us
    last_will: float = 5.0  # alone not enough while the line is pinged
    last_will_unpinged: float = 9.0  # nothing else is known of the line
    dying_gasp: float = 9.0
    los: float = 8.5
    session_stop: float = 1.5
    login_timeout: float = 1.0
    call: float = 1.0
    stale_intervals: float = 3.0
    life_grace_s: float = 2.0  # a message may have been on its way when the line fell
    default_interval_s: float = 60.0  # until a source's own is learned


class CauseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When do lines that went down have a cause in common?

    `windows_s`: how far back onsets are looked at together. `rate_per_line_h`: lines that fall on their own, before it
    is learned. `dispersion`: intra-class correlation of the beta-binomial background (0.002: chance piles up more than
    coin tosses do). `caution`: nats that every cause pays on top of ln(number of elements and groups).
    `group_price`: what a group pays more than an element; `area_price`: what a disc pays on top of
    `caution` and ln(number of lines), because it may lie anywhere. `open_nats`: log-odds needed to open;
    from 0 on a cause is suspected. `min_share`: smallest share of an element's lines that is called its failure.
    `retrain_s`: how long a partial failure is held as suspected, by technology, because modems retrain together.
    `reboot_s`: the same for causes of the kinds `campaign_kinds`, whose lines also reboot together for an upgrade.
    `whole_share`: from this share on nothing is held: no campaign takes nearly all lines of an element at once.
    """

    windows_s: tuple[float, ...] = (300.0, 3600.0, 21600.0)
    slow_every_s: float = 60.0  # the longer windows are tested this often
    rate_per_line_h: float = 0.0018
    dispersion: float = 0.002
    caution: float = 6.9
    group_price: float = 2.0
    area_price: float = 5.0
    area_share: float = 0.4  # smallest share of a disc's lines
    open_nats: float = 3.0
    min_lines: int = 3
    min_share: float = 0.1
    slow_share: float = 0.03  # the same in the longer windows: what takes its lines one by one begins with few
    min_coverage: float = 0.3  # of the lines under a scope must have been asked since it struck
    keep_nats: float = 2.0  # what a scope that is an incident's already has over others
    whole_share: float = 0.8
    retrain_s: Mapping[str, float] = msgspec.field(default_factory=lambda: {"dsl": 180.0, "docsis": 300.0})
    reboot_s: float = 300.0
    campaign_kinds: tuple[str, ...] = ("cpe", "firmware")
    never_groups: tuple[str, ...] = ("resolver",)
    node_dead: float = 5.0  # the element's own management address stopped answering
    node_alive: float = -2.0
    alarm: float = 3.0  # its equipment raised an alarm
    call: float = 1.0  # each caller whose line fell under the element, at most `calls_max`
    calls_max: float = 4.0
    call_published: float = 0.25  # share of it that a call counts after the incident was opened
    witness_wait_s: float = 40.0  # longest wait for telemetry that is due, to see whether it goes on
    will_wait_s: float = 100.0  # longest wait for the last wills of devices that have a session with the broker
    area_scales_km: tuple[float, ...] = (0.15, 0.3, 0.6, 1.2, 2.4)
    area_min_lines: int = 5

    def __post_init__(self) -> None:
        for name in ("windows_s", "area_scales_km"):
            values = getattr(self, name)
            if not values or any(not 0 < v < float("inf") for v in values):
                raise ValueError(f"{name} is {list(values)}: give at least one number above 0")
        if list(self.windows_s) != sorted(self.windows_s):
            raise ValueError(f"windows_s is {list(self.windows_s)}: give the shortest window first")


class LifeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How incidents live. `reopen_s`: the same scope within this time after its end is the same incident."""

    reopen_s: float = 900.0
    resolve_after_s: float = 60.0  # and at least two rounds
    resolve_lines: int = 3
    resolve_ratio: float = 0.01
    recovering_ratio: float = 0.5
    suspected_s: float = 900.0
    keep_resolved_s: float = 86_400.0
    tell_every_s: float = 30.0  # growth is told at most this often
    restore_every_s: float = 60.0
    let_go_s: float = 300.0  # a line that has been back for so long no longer belongs to the incident
    planned_grace_s: float = 300.0
    etr_history: int = 200
    etr_at_least: int = 5
    critical_lines: int = 5000
    major_lines: int = 500
    minor_lines: int = 25


class ConfirmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probes asked for when a line misses: `count` probes within `deadline_s`, of at most `max_lines` lines a step."""

    count: int = 3
    deadline_s: float = 3.0
    max_lines: int = 2000
    per_leaf: int = 8


class SlowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Slow and unstable lines. `warm_samples` rounds with a reply before a line is judged at all.

    A line is slow when its round-trip time has left its own baseline by `slow_spreads` of its spread and by
    `slow_min_ms`, beyond what its siblings do, for as long as the sum of evidence takes to pass `decide`.
    """

    warm_samples: int = 6
    slow_spreads: float = 6.0
    slow_min_ms: float = 10.0
    slow_min_ratio: float = 0.3
    decide: float = 14.0
    step_max: float = 3.0
    unstable_loss: float = 0.2
    unstable_decide: float = 11.0
    unstable_flaps: int = 6
    segment_share: float = 0.5
    segment_lines: int = 5
    recover_samples: int = 12


class CorrelationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything the engine can be told. `timezone`: the hour of week is counted by the clock of this place, daylight
    saving included (a name of the tz database)."""

    evidence: EvidenceSettings = msgspec.field(default_factory=EvidenceSettings)
    causes: CauseSettings = msgspec.field(default_factory=CauseSettings)
    life: LifeSettings = msgspec.field(default_factory=LifeSettings)
    confirm: ConfirmSettings = msgspec.field(default_factory=ConfirmSettings)
    slow: SlowSettings = msgspec.field(default_factory=SlowSettings)
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"timezone is {self.timezone!r}: give a time zone's name, as Europe/Berlin") from None
