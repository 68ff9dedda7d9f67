"""Situations of one line, painted onto a view, and the verdict that each must get."""

from collections.abc import Callable

from monitor.clock import NS
from monitor.records import (
    Coded,
    FlagKind,
    IncidentKind,
    IncidentStatus,
    LineState,
    VerdictCode,
)
from tests.desk.world import NOW, Scene, promised

OLT, PON = "north/ex-1/olt-1", "north/ex-1/olt-1/pon-1"
V = VerdictCode


def healthy(s: Scene) -> None:
    pass


def probe_old(s: Scene) -> None:
    s.probed[:] = s.replied[:] = NOW - 31 * NS


def only_this_probe_old(s: Scene) -> None:
    s.probed[0] = s.replied[0] = NOW - 31 * NS


def never_probed(s: Scene) -> None:
    s.probed[0] = s.replied[0] = s.state[0] = 0


def blind(s: Scene) -> None:
    s.blind["default"] = NOW - NS


def blind_and_down(s: Scene) -> None:
    s.blind["default"] = NOW - 20 * NS
    s.down(*range(20), for_s=20)


def blind_elsewhere(s: Scene) -> None:
    s.blind["other"] = NOW - 60 * NS


def planned(s: Scene) -> None:
    s.incident(f"element:{OLT}", kind=IncidentKind.PLANNED, etr=promised())


def planned_and_explained(s: Scene) -> None:
    said = Coded("maintenance", {"until_ns": NOW + 60 * NS})
    s.incident(f"element:{OLT}", kind=IncidentKind.PLANNED, explanation=(said,))


def planned_over_by_explanation(s: Scene) -> None:
    said = Coded("maintenance", {"until_ns": NOW - 60 * NS})
    s.incident(f"element:{OLT}", kind=IncidentKind.PLANNED, explanation=(said,))


def planned_over(s: Scene) -> None:
    s.incident(f"element:{OLT}", kind=IncidentKind.PLANNED, etr=promised(in_s=-1))


def planned_later(s: Scene) -> None:
    s.incident(f"element:{OLT}", kind=IncidentKind.PLANNED, started_ns=NOW + NS)


def outage(s: Scene) -> None:
    s.down(*range(8))
    s.incident(f"element:{PON}", *range(8))


def outage_recovering(s: Scene) -> None:
    s.down(*range(8))
    s.incident(f"element:{PON}", *range(8), status=IncidentStatus.RECOVERING)


def outage_but_up(s: Scene) -> None:
    s.down(*range(1, 8))
    s.incident(f"element:{PON}", *range(1, 8))


def outage_covers(s: Scene) -> None:
    s.down(*range(8))
    s.incident("group:bng:bng-1", *range(1, 8))


def outage_in_area(s: Scene) -> None:
    s.down(0)
    s.incident("area:52.5,13.4,0.5", 1, 2, 3)


def outage_far_away(s: Scene) -> None:
    s.down(0)
    s.incident("area:48.1,11.5,5.0")


def outage_and_planned(s: Scene) -> None:
    planned(s)
    s.down(*range(8))
    s.incident(f"element:{PON}", *range(8))


def power_cut(s: Scene) -> None:
    s.down(*range(8))
    s.incident("area:52.5,13.4,0.6", *range(8), cause="power_cut")


def gasps_around(s: Scene) -> None:
    s.down(0, 1, 2, for_s=60)
    for line in (0, 1, 2):
        s.sign(line, dying_gasp_ns=60)


def suspected(s: Scene) -> None:
    s.down(*range(8))
    s.incident(f"element:{PON}", *range(8), status=IncidentStatus.SUSPECTED)


def falling_together(s: Scene) -> None:
    s.down(0, 1, 2, 3)


def calls_around(s: Scene) -> None:
    s.down(0)
    for line in (1, 2, 3):
        s.sign(line, call_ns=300)


def nobody_to_compare(s: Scene) -> None:
    s.down(0)
    s.state[1:] = LineState.UNKNOWN


def two_neighbours_up(s: Scene) -> None:
    s.down(0)
    s.state[3:] = LineState.UNKNOWN


def left_behind(s: Scene) -> None:
    s.down(0, for_s=1800)
    ended = NOW - 900 * NS
    s.incident(f"element:{PON}", status=IncidentStatus.RESOLVED, started_ns=NOW - 1800 * NS, resolved_ns=ended)


def down_long_before(s: Scene) -> None:
    s.down(0, for_s=86400)
    ended = NOW - 900 * NS
    s.incident(f"element:{PON}", status=IncidentStatus.RESOLVED, started_ns=NOW - 1800 * NS, resolved_ns=ended)


def own_gasp(s: Scene) -> None:
    s.down(0)
    s.sign(0, dying_gasp_ns=119)


def gasp_then_back(s: Scene) -> None:
    s.sign(0, dying_gasp_ns=119)


def filtered(s: Scene) -> None:
    s.replied[0] = 0
    s.state[0] = LineState.UNKNOWN


def down_alone(s: Scene) -> None:
    s.down(0)


def down_with_one_other(s: Scene) -> None:
    s.down(0, 1)


def los_alone(s: Scene) -> None:
    s.sign(0, los_ns=2)


def silent_alone(s: Scene) -> None:
    s.replied[0] = NOW - 40 * NS


def silent_and_nobody_to_compare(s: Scene) -> None:
    nobody_to_compare(s)
    s.state[0] = LineState.UP
    s.replied[0] = NOW - 40 * NS


def login_rejected(s: Scene) -> None:
    s.down(0)
    s.sign(0, login_rejected_ns=30, login_reason="authentication failed")


def login_long_ago(s: Scene) -> None:
    s.down(0)
    s.sign(0, login_rejected_ns=3 * 3600, login_reason="authentication failed")


def login_accepted_since(s: Scene) -> None:
    s.down(0)
    s.sign(0, login_rejected_ns=30, login_accepted_ns=10)


def radius_silent(s: Scene) -> None:
    s.down(0)
    s.sign(0, login_timeout_ns=30)


def resolver_down(s: Scene) -> None:
    s.resolvers_down["r1"] = NOW - 300 * NS


def other_resolver_down(s: Scene) -> None:
    s.resolvers_down["r2"] = NOW - 300 * NS


def resolver_and_line_down(s: Scene) -> None:
    resolver_down(s)
    s.down(0)


def unstable_flag(s: Scene) -> None:
    s.flag("L000", FlagKind.UNSTABLE, "loss", 0.12, "")


def flapping(s: Scene) -> None:
    s.flaps[0] = 5


def lossy(s: Scene) -> None:
    s.state[0], s.loss[0] = LineState.DEGRADED, 0.2


def degraded_only(s: Scene) -> None:
    s.state[0] = LineState.DEGRADED


def fading(s: Scene) -> None:
    s.flag("L000", FlagKind.DEGRADING, "rx_power_falling", -27.5, "dBm")


def slow_flag(s: Scene) -> None:
    s.flag("L000", FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms")


def slow_segment(s: Scene) -> None:
    s.flag(f"element:{OLT}", FlagKind.SEGMENT_SLOW, "rtt_above_baseline", 40.0, "ms")


def slow_incident(s: Scene) -> None:
    s.incident(f"element:{OLT}", *range(16), kind=IncidentKind.DEGRADED)


def slow_state(s: Scene) -> None:
    s.state[0], s.rtt[0] = LineState.DEGRADED, 60.0


def restarting(s: Scene) -> None:
    s.sign(0, boots_24h=6, cpe_boot_ns=300)


def unmanaged(s: Scene) -> None:
    s.sign(0, cpe_online_ns=9000, cpe_offline_ns=3600)


CASES: list[tuple[Callable[[Scene], None], VerdictCode]] = [
    (healthy, V.NO_FAULT_FOUND),
    (probe_old, V.DATA_STALE),
    (only_this_probe_old, V.DATA_STALE),
    (never_probed, V.DATA_STALE),
    (blind, V.DATA_STALE),
    (blind_and_down, V.DATA_STALE),
    (blind_elsewhere, V.NO_FAULT_FOUND),
    (planned, V.PLANNED_WORK),
    (planned_and_explained, V.PLANNED_WORK),
    (planned_over_by_explanation, V.NO_FAULT_FOUND),
    (planned_over, V.NO_FAULT_FOUND),
    (planned_later, V.NO_FAULT_FOUND),
    (outage, V.KNOWN_OUTAGE),
    (outage_recovering, V.KNOWN_OUTAGE),
    (outage_but_up, V.NO_FAULT_FOUND),
    (outage_covers, V.KNOWN_OUTAGE),
    (outage_in_area, V.KNOWN_OUTAGE),
    (outage_far_away, V.LINE_DOWN_ONLY_HERE),
    (outage_and_planned, V.PLANNED_WORK),
    (power_cut, V.AREA_POWER_CUT),
    (gasps_around, V.AREA_POWER_CUT),
    (suspected, V.OUTAGE_FORMING),
    (falling_together, V.OUTAGE_FORMING),
    (calls_around, V.OUTAGE_FORMING),
    (nobody_to_compare, V.OUTAGE_FORMING),
    (two_neighbours_up, V.OUTAGE_FORMING),
    (left_behind, V.NESTED_FAULT),
    (down_long_before, V.LINE_DOWN_ONLY_HERE),
    (own_gasp, V.POWER_AT_HOME),
    (gasp_then_back, V.NO_FAULT_FOUND),
    (filtered, V.NOT_OBSERVABLE),
    (down_alone, V.LINE_DOWN_ONLY_HERE),
    (down_with_one_other, V.LINE_DOWN_ONLY_HERE),
    (los_alone, V.LINE_DOWN_ONLY_HERE),
    (silent_alone, V.LINE_DOWN_ONLY_HERE),
    (silent_and_nobody_to_compare, V.OUTAGE_FORMING),
    (login_rejected, V.LOGIN_FAILED),
    (login_long_ago, V.LINE_DOWN_ONLY_HERE),
    (login_accepted_since, V.LINE_DOWN_ONLY_HERE),
    (radius_silent, V.LOGIN_FAILED),
    (resolver_down, V.DNS_FAULT),
    (other_resolver_down, V.NO_FAULT_FOUND),
    (resolver_and_line_down, V.LINE_DOWN_ONLY_HERE),
    (unstable_flag, V.UNSTABLE),
    (flapping, V.UNSTABLE),
    (lossy, V.UNSTABLE),
    (degraded_only, V.UNSTABLE),
    (fading, V.UNSTABLE),
    (slow_flag, V.SLOW_VS_BASELINE),
    (slow_segment, V.SLOW_VS_BASELINE),
    (slow_incident, V.SLOW_VS_BASELINE),
    (slow_state, V.SLOW_VS_BASELINE),
    (restarting, V.CPE_FAULT),
    (unmanaged, V.CPE_FAULT),
]
