"""The engine on a small virtual network: every kind of failure, named right; every kind of calm, left alone."""

from pathlib import Path

import numpy as np
import pytest

from correlation.areas import distance_km, parse_area
from monitor.records import IncidentStatus, LineState, ScopeKind
from tests.correlation.net import NS, Net, inventory, rows

SPEEDS = pytest.mark.parametrize(
    ("interval_s", "answer"), [(10.0, True), (60.0, False)], ids=["10s confirmed", "60s replay"]
)


def net_of(tmp_path: Path, interval_s: float = 10.0, answer: bool = True, **more: object) -> Net:
    table = more.pop("table", None) or rows()
    return Net(inventory(tmp_path, table), interval_s, answer=answer, **more)  # type: ignore[arg-type]


@SPEEDS
@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("north/ex-1/olt-1/pon-2/split-1", 1.0),
        ("north/ex-1/olt-1/pon-2", 1.0),
        ("north/ex-1/olt-2", 1.0),
        ("north/ex-2", 1.0),
        ("north/ex-2/olt-1/pon-3", 0.3),
        ("north/ex-1/olt-2", 0.5),
    ],
)
def test_names_the_element_that_failed(
    tmp_path: Path, interval_s: float, answer: bool, path: str, share: float
) -> None:
    """Whatever level fails, wholly or in part: one incident, at that element, holding the lines that fell."""
    net = net_of(tmp_path, interval_s, answer)
    net.run(8 * interval_s)
    began = net.now
    cut = net.cut(path, share)
    net.run(5 * interval_s)
    found = net.living()
    assert [i.scope.name for i in found] == [path]
    assert found[0].lines_affected == cut.size
    assert found[0].status is IncidentStatus.OPEN
    assert found[0].confidence > 0.8
    assert 0 <= found[0].started_ns - began <= interval_s * NS
    assert found[0].detected_ns - began <= (20 if answer else 150) * NS
    net.mend(path)
    net.run(3 * interval_s + 240)
    assert net.living() == []
    assert len(net.ever()) == 1
    assert next(iter(net.ever().values())).status is IncidentStatus.RESOLVED


@SPEEDS
def test_two_outages_at_once_are_two(tmp_path: Path, interval_s: float, answer: bool) -> None:
    """A splitter and, elsewhere, an OLT in the same minute are two incidents with their own lines."""
    net = net_of(tmp_path, interval_s, answer)
    net.run(8 * interval_s)
    small, large = net.cut("north/ex-1/olt-1/pon-1/split-1"), net.cut("north/ex-2/olt-2")
    net.run(5 * interval_s)
    assert net.scopes() == ["north/ex-1/olt-1/pon-1/split-1", "north/ex-2/olt-2"]
    assert {i.lines_affected for i in net.living()} == {small.size, large.size}


@SPEEDS
def test_a_power_cut_by_street_is_an_area(tmp_path: Path, interval_s: float, answer: bool) -> None:
    """Lines of one quarter on several ports, none of them whole: a disc, not an element."""
    net = net_of(tmp_path, interval_s, answer)
    net.run(8 * interval_s)
    inv = net.inventory
    inside = distance_km(inv.lat, inv.lon, 52.506, 13.4062) < 0.45
    net.down[inside] = True
    assert np.unique(inv.leaf[inside]).size >= 3
    net.run(6 * interval_s)
    found = net.living()
    assert [i.scope.kind for i in found] == [ScopeKind.AREA]
    lat, lon, radius = parse_area(found[0].scope.name)
    assert distance_km(lat, lon, 52.506, 13.4062) <= max(radius, 0.45)
    assert found[0].lines_affected == np.count_nonzero(inside)


@SPEEDS
def test_a_group_across_the_tree_is_named(tmp_path: Path, interval_s: float, answer: bool) -> None:
    """A BNG that serves every third line of the whole network fails: the group, not a hundred ports."""
    table = rows(groups=lambda i: f"bng:bng-{i % 3}")
    net = net_of(tmp_path, interval_s, answer, table=table)
    net.run(8 * interval_s)
    group = net.inventory.groups.index_of("bng:bng-1")
    assert group is not None
    net.down[net.inventory.groups.lines_of(group)] = True
    net.run(6 * interval_s)
    assert [(i.scope.kind, i.scope.name) for i in net.living()] == [(ScopeKind.GROUP, "bng:bng-1")]


def test_firmware_waits_until_a_campaign_would_be_over(tmp_path: Path) -> None:
    """A firmware whose lines stay dead is named, but only after the time of a reboot."""
    net = net_of(tmp_path, slices=2)
    net.run(80)
    group = net.inventory.groups.index_of("firmware:AX200-7.1")
    assert group is not None
    net.down[net.inventory.groups.lines_of(group)] = True
    net.run(120)
    assert "firmware:AX200-7.1" not in net.scopes()
    net.run(400)
    assert net.scopes() == ["firmware:AX200-7.1"]


def test_lines_that_reboot_in_turn_are_no_outage(tmp_path: Path) -> None:
    """A firmware campaign reboots the lines of a model over half an hour, two minutes each: nothing opens."""
    net = net_of(tmp_path, slices=1)
    net.run(80)
    group = net.inventory.groups.index_of("firmware:AX200-7.1")
    assert group is not None
    members = net.rng.permutation(net.inventory.groups.lines_of(group))
    back: list[tuple[int, int]] = []
    for line in members.tolist():
        net.down[line] = True
        back.append((net.now + 120 * NS, line))
        while back and back[0][0] <= net.now:
            net.down[back.pop(0)[1]] = False
        net.run(1800 / members.size)
    assert net.ever() == {}


def test_night_switch_off_is_no_outage(tmp_path: Path) -> None:
    """One line in ten is switched off over two hours of the evening: line states, no incident."""
    net = net_of(tmp_path, 60.0, answer=False, table=rows(exchanges=3), slices=1)
    net.run(600)
    off = net.rng.permutation(len(net.inventory))[: len(net.inventory) // 10]
    for line in off.tolist():
        net.down[line] = True
        net.run(7200 / off.size)
    net.run(600)
    assert net.ever() == {}
    assert net.states()[LineState.DOWN] == off.size


@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_random_loss_for_hours_is_no_incident(tmp_path: Path, loss: float) -> None:
    """Packets lost at random for an hour open nothing, and with confirmation no line is called down for long."""
    net = net_of(tmp_path, loss=loss, slices=1)
    net.run(3600)
    assert net.ever() == {}
    assert net.states().get(LineState.DOWN, 0) <= 1
    assert not [c for c in net.changes if c.flag is not None]


def test_random_loss_in_a_replay_is_no_incident(tmp_path: Path) -> None:
    """The same at one probe a minute with nobody to ask again, for eight hours."""
    net = net_of(tmp_path, 60.0, answer=False, loss=0.02, slices=1)
    net.run(8 * 3600)
    assert net.ever() == {}


def test_a_single_line_is_a_state_not_an_incident(tmp_path: Path) -> None:
    """One dead line: down within seconds, since when it fell, and no incident."""
    net = net_of(tmp_path)
    net.run(80)
    net.down[17] = True
    began = net.now
    net.run(40)
    view = net.engine.view()
    assert view.state[17] == LineState.DOWN
    assert 0 <= view.since_ns[17] - began <= 10 * NS
    assert view.incident[17] == -1
    assert net.changes == []


@SPEEDS
def test_a_blind_prober_is_one_incident_and_no_outage(tmp_path: Path, interval_s: float, answer: bool) -> None:
    """All lines and the references are lost: kind source, lines unknown, no outage; it ends when they answer."""
    net = net_of(tmp_path, interval_s, answer)
    net.run(8 * interval_s)
    net.cut("north/ex-1/olt-1/pon-1/split-1")
    net.run(5 * interval_s)
    net.blind = True
    net.run(6 * interval_s)
    assert [i.scope.name for i in net.living("source")] == ["default"]
    assert net.states() == {LineState.UNKNOWN: len(net.inventory)}
    assert net.engine.view().blind
    net.blind = False
    net.run(6 * interval_s)
    assert net.living("source") == []
    assert net.scopes() == ["north/ex-1/olt-1/pon-1/split-1"]
    assert len(net.ever()) == 1
    assert net.states() == {LineState.UP: len(net.inventory) - 16, LineState.DOWN: 16}


@SPEEDS
def test_an_exchange_is_not_swallowed_by_the_guard(tmp_path: Path, interval_s: float, answer: bool) -> None:
    """Half of the network is gone but the references answer: an outage, not a blind prober."""
    net = net_of(tmp_path, interval_s, answer)
    net.run(8 * interval_s)
    net.cut("north/ex-2")
    net.run(5 * interval_s)
    assert net.scopes() == ["north/ex-2"]
    assert net.living("source") == []


def test_all_exchanges_without_references_is_an_outage(tmp_path: Path) -> None:
    """Without reference targets loss alone does not make a prober blind: it is told as an outage of the region."""
    net = net_of(tmp_path, references=0)
    net.run(80)
    net.cut("north")
    net.run(60)
    assert net.scopes() == ["north"]


def test_a_resolver_is_its_own_incident(tmp_path: Path) -> None:
    """resolver_down opens kind resolver, resolver_up ends it, no line is touched."""
    net = net_of(tmp_path, resolvers=("r1", "r2"))
    net.run(80)
    net.say("resolver_down", "group:resolver:r1", "timeout")
    net.run(30)
    assert [(i.scope.kind, i.scope.name) for i in net.living("resolver")] == [(ScopeKind.GROUP, "resolver:r1")]
    assert net.living() == []
    assert dict(net.engine.view().resolvers_down).keys() == {"r1"}
    net.say("resolver_up", "group:resolver:r1")
    net.run(30)
    assert net.living("resolver") == []
    assert net.states() == {LineState.UP: len(net.inventory)}


def test_maintenance_is_planned_and_hides_nothing_else(tmp_path: Path) -> None:
    """Announced work on an OLT is planned; a splitter elsewhere that fails meanwhile is an outage."""
    net = net_of(tmp_path)
    net.run(80)
    net.say("maintenance_start", "element:north/ex-1/olt-1", str((net.now + 3600 * NS) // NS))
    net.cut("north/ex-1/olt-1")
    net.cut("north/ex-2/olt-1/pon-1/split-1")
    net.run(60)
    assert net.scopes("planned") == ["north/ex-1/olt-1"]
    assert net.scopes() == ["north/ex-2/olt-1/pon-1/split-1"]
    net.mend("north/ex-1/olt-1")
    net.say("maintenance_end", "element:north/ex-1/olt-1")
    net.run(240)
    assert net.scopes("planned") == []


def test_work_that_leaves_lines_dead_becomes_an_outage(tmp_path: Path) -> None:
    """Announced work ends and the lines do not come back: the same incident is an outage now."""
    net = net_of(tmp_path)
    net.run(80)
    net.say("maintenance_start", "element:north/ex-1/olt-1")
    net.cut("north/ex-1/olt-1")
    net.run(60)
    planned = net.living("planned")[0].incident_id
    net.say("maintenance_end", "element:north/ex-1/olt-1")
    net.run(500)
    assert [i.incident_id for i in net.living()] == [planned]


def test_what_stays_dead_after_a_restore_is_a_nested_fault(tmp_path: Path) -> None:
    """The OLT comes back, one of its splitters does not: a second incident below the first, which ends."""
    net = net_of(tmp_path)
    net.run(80)
    net.cut("north/ex-1/olt-1")
    net.run(120)
    outer = net.living()[0].incident_id
    net.mend("north/ex-1/olt-1")
    net.cut("north/ex-1/olt-1/pon-3/split-2")
    net.run(400)
    assert net.scopes() == ["north/ex-1/olt-1/pon-3/split-2"]
    assert net.living()[0].parent_id == outer
    assert net.ever()[outer].status is IncidentStatus.RESOLVED


def test_flapping_is_one_incident(tmp_path: Path) -> None:
    """A port that goes down and up five times within the hour keeps its id."""
    net = net_of(tmp_path, slices=2)
    net.run(80)
    for _ in range(5):
        net.cut("north/ex-1/olt-1/pon-1")
        net.run(180)
        net.mend("north/ex-1/olt-1/pon-1")
        net.run(240)
    assert len(net.ever()) == 1
    assert next(iter(net.ever().values())).scope.name == "north/ex-1/olt-1/pon-1"
    assert not [c for c in net.changes if c.flag is not None and c.flag.kind != "unstable"]


def test_lines_under_the_wrong_port_do_not_break_it(tmp_path: Path) -> None:
    """One line in ten is filed under another port: the port that failed is still named, and the lines are listed."""
    net = net_of(tmp_path)
    net.run(80)
    span = net.cut("north/ex-1/olt-1/pon-2")
    net.down[span[::10]] = False
    beside = net.under("north/ex-1/olt-1/pon-4").start + np.array([3, 20])
    net.down[[300, 350, 400, 450, *beside]] = True
    net.run(200)
    assert net.scopes() == ["north/ex-1/olt-1/pon-2"]
    net.mend("north")
    net.run(120)
    known = {c.incident.incident_id: c.incident for c in net.changes if c.incident is not None}
    (over,) = [i for i in known.values() if i.scope.name == "north/ex-1/olt-1/pon-2"]
    assert set(over.suspects) == {net.inventory.line_id(int(i)) for i in [*span[::10], *beside]}


def test_telemetry_that_goes_on_vetoes_the_pings(tmp_path: Path) -> None:
    """A filter eats the pings of an OLT while its routers go on reporting: no outage."""
    net = net_of(tmp_path)
    span = net.under("north/ex-1/olt-1")
    ids = [net.inventory.line_id(i) for i in range(span.start, span.stop)]
    for minute in range(20):
        if minute == 6:
            net.down[span] = True
        for line in ids:
            net.say("session_start", line)
        net.run(30)
    assert net.ever() == {}


def test_probes_lost_together_with_telemetry_are_an_outage(tmp_path: Path) -> None:
    """The same OLT with its routers silent too is an outage."""
    net = net_of(tmp_path)
    span = net.under("north/ex-1/olt-1")
    ids = [net.inventory.line_id(i) for i in range(span.start, span.stop)]
    for minute in range(8):
        if minute < 6:
            for line in ids:
                net.say("session_start", line)
        else:
            net.down[span] = True
        net.run(30)
    assert net.scopes() == ["north/ex-1/olt-1"]


def test_a_broker_that_loses_everybody_is_no_outage(tmp_path: Path) -> None:
    """All last wills at once while the lines go on answering: the broker is told, no line is down."""
    net = net_of(tmp_path)
    for i in range(0, len(net.inventory), 2):
        net.say("cpe_online", net.inventory.line_id(i))
    net.run(80)
    for i in range(0, len(net.inventory), 2):
        net.say("cpe_offline", net.inventory.line_id(i))
    net.run(60)
    assert net.living("source") == []  # it may only be restarting
    net.run(300)
    assert net.ever() == {}
    assert [i.cause for i in net.living("source")] == ["broker_silent"]
    assert net.states() == {LineState.UP: len(net.inventory)}


def test_calls_alone_open_nothing(tmp_path: Path) -> None:
    """A hundred calls from one OLT while the lines answer are counted, not an outage."""
    net = net_of(tmp_path)
    net.run(80)
    for i in range(100):
        net.say("call", net.inventory.line_id(i))
    net.run(120)
    assert net.ever() == {}


def test_a_slow_failure_is_found_in_the_longer_window(tmp_path: Path) -> None:
    """A dead DHCP server takes the lines of one OLT one lease at a time, over two hours."""
    net = net_of(tmp_path, 60.0, answer=False, slices=1)
    net.run(600)
    span = net.under("north/ex-1/olt-2")
    for line in net.rng.permutation(np.arange(span.start, span.stop)).tolist():
        net.down[line] = True
        net.run(7200 / (span.stop - span.start))
    assert net.scopes() == ["north/ex-1/olt-2"]


def test_a_slow_line_and_an_unstable_line_get_flags(tmp_path: Path) -> None:
    """+80 ms and 35 % loss are each flagged within two minutes; nothing else is, and both end when the line is well."""
    net = net_of(tmp_path, slices=2)
    net.run(60)
    net.slow_ms[10] = 80
    net.loss[200] = 0.35
    net.run(120)
    flags = {f.subject: f.kind for group in net.engine.view().flags.values() for f in group}
    assert flags == {"L00010": "slow", "L00200": "unstable"}
    net.slow_ms[10] = 0
    net.loss[200] = 0
    net.run(900)
    assert net.engine.view().flags == {}
    assert net.ever() == {}


def test_a_congested_olt_is_one_segment(tmp_path: Path) -> None:
    """All lines of an OLT become slow: one flag on the element and one degraded incident, no flag per line."""
    net = net_of(tmp_path)
    net.run(120)
    span = net.under("north/ex-2/olt-1")
    net.slow_ms[span] = net.rng.uniform(20, 60, span.stop - span.start)
    net.run(180)
    flags = [f for group in net.engine.view().flags.values() for f in group]
    assert [(f.subject, f.kind) for f in flags] == [("element:north/ex-2/olt-1", "segment_slow")]
    assert net.scopes("degraded") == ["north/ex-2/olt-1"]
    net.slow_ms[span] = 0
    net.run(600)
    assert net.engine.view().flags == {}
    assert net.living("degraded") == []
