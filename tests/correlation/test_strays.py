"""Lines whose record is wrong, causes that compete, and when a slow failure began."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlation.evidence import Evidence
from correlation.explain import Explainer
from correlation.onset import change_ns
from correlation.settings import CauseSettings
from correlation.strays import Falls, strays_of_work
from correlation.verdict.reach import covers
from monitor.records import Scope, ScopeKind
from tests.correlation.net import NS, Net, inventory, rows

PORT = "north/ex-1/olt-1/pon-2"


def misfiled(tmp_path: Path, every: int = 8) -> tuple[Net, np.ndarray]:
    """A network in which every `every`-th line of PORT is filed under another port of the exchange; those lines."""
    table = rows()
    moved = [row for row in table if row["path"].startswith(PORT + "/")][::every]
    for i, row in enumerate(moved):
        row["path"] = f"north/ex-1/olt-2/pon-{i % 4 + 1}/split-{i // 4 % 2 + 1}"
    net = Net(inventory(tmp_path, table))
    return net, np.array(sorted(net.inventory.index_of(row["line_id"]) for row in moved))


def test_misfiled_lines_are_told_with_the_port_they_hang_on(tmp_path: Path) -> None:
    """Four lines of a failed port that are filed elsewhere join its incident and are its suspects; no area is named."""
    net, wrong = misfiled(tmp_path)
    net.run(80)
    net.cut(PORT)
    net.down[wrong] = True
    net.run(60)
    (incident,) = net.living()
    assert incident.scope.name == PORT
    lines = set(net.engine.lines_of(incident.incident_id))
    assert {net.inventory.line_id(int(i)) for i in wrong} <= lines
    assert {net.inventory.line_id(int(i)) for i in wrong} <= set(incident.suspects)
    net.mend("north")
    net.run(240)
    assert len(net.ever()) == 1


def test_misfiled_lines_of_announced_work_are_no_outage(tmp_path: Path) -> None:
    """Work on a port takes its misfiled lines too: they belong to the work, and nothing else is opened."""
    net, wrong = misfiled(tmp_path, every=5)
    net.run(80)
    net.say("maintenance_start", f"element:{PORT}")
    net.run(20)
    net.cut(PORT)
    net.down[wrong] = True
    net.run(120)
    assert net.ever() == {}
    (incident,) = net.living("planned")
    assert {net.inventory.line_id(int(i)) for i in wrong} <= set(net.engine.lines_of(incident.incident_id))


def test_many_lines_beside_a_port_are_another_failure(tmp_path: Path) -> None:
    """A second port that fails in the same minute is not taken for wrong records of the first."""
    net = Net(inventory(tmp_path, rows()))
    net.run(80)
    net.cut(PORT)
    net.cut("north/ex-1/olt-2/pon-2")
    net.run(60)
    assert net.scopes() == [PORT, "north/ex-1/olt-2/pon-2"]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_order_of_falls_changes_no_strays(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Whatever moments the lines fell in, strays are fallen lines outside the work's own, each once, ascending."""
    folder = tmp_path_factory.mktemp("strays")
    net = Net(inventory(folder, rows()))
    rng = np.random.default_rng(seed)
    span = net.under(PORT)
    dead = np.arange(span.start, span.stop, dtype=np.int32)[: int(rng.integers(2, 33))]
    others = np.setdiff1d(rng.integers(0, len(net.inventory), 12), dead).astype(np.int32)
    lines = np.union1d(dead, others).astype(np.int32)
    at = (1_000 * NS + rng.integers(0, 90, lines.size) * NS).astype(np.int64)
    seen = np.full(len(net.inventory), 2_000 * NS, np.int64)
    seen[lines] = 0
    found = strays_of_work(Scope(ScopeKind.ELEMENT, PORT), dead, Falls(lines, at, seen, net.inventory))
    assert np.all(np.diff(found) > 0)
    assert not np.isin(found, dead).any()
    assert np.isin(found, others).all()


def test_a_feeder_is_found_beside_a_large_failure(tmp_path: Path) -> None:
    """While an exchange fails, a power feeder that takes parts of three ports elsewhere is told as well: the many
    groups that the exchange's lines happen to share explain more lines than it does, and do not stand in its way."""

    def groups(i: int) -> str:
        fed = i >= 256 and i % 32 in (0, 5, 9, 13, 20, 27) and i < 256 + 96
        return f"dhcp:d{i % 3};bng:b{i % 2};batch:{i % 7}" + (";power:feeder-1" if fed else "")

    net = Net(inventory(tmp_path, rows(groups=groups)))
    feeder = net.inventory.groups.index_of("power:feeder-1")
    assert feeder is not None
    dead = np.union1d(np.arange(256), net.inventory.groups.lines_of(feeder)).astype(np.int32)
    seen = np.full(len(net.inventory), 990 * NS, np.int64)
    seen[dead] = 0
    evidence = Evidence(
        lines=dead,
        at_ns=np.full(dead.size, 900 * NS, np.int64),
        seen_ns=seen,
        window_s=300.0,
        now_ns=1000 * NS,
        network_rate=0.002,
        element_rate=lambda elements: np.full(elements.size, 0.002),
        use_areas=False,
    )
    causes = Explainer(net.inventory, CauseSettings()).explain(evidence)
    assert sorted((c.scope.name, c.missing) for c in causes) == [("north/ex-1", 256), ("power:feeder-1", 18)]


def test_a_firmware_on_one_bng_is_both_together(tmp_path: Path) -> None:
    """Lines of one firmware fail, but only those behind one of four BNGs: the scope is what the two have in common, its
    lines are exactly those, and a line of the firmware elsewhere is not under it."""
    net = Net(inventory(tmp_path, rows(groups=lambda i: f"bng:bng-{i // 16 % 4}")))
    groups = net.inventory.groups
    net.run(80)
    name = "bng:bng-2 & firmware:AX200-7.1"
    both = groups.lines_under(name)
    assert both is not None
    assert 20 < both.size < 60
    net.down[both] = True
    net.run(420)
    (incident,) = net.living()
    assert incident.scope == Scope(ScopeKind.GROUP, name)
    assert incident.lines_affected == incident.lines_at_risk == both.size
    elsewhere = groups.lines_under("firmware:AX200-7.1")
    assert elsewhere is not None
    outside = int(np.setdiff1d(elsewhere, both)[0])
    assert covers(net.inventory, incident.scope, int(both[0]))
    assert not covers(net.inventory, incident.scope, outside)


def test_a_firmware_everywhere_is_not_told_by_bng(tmp_path: Path) -> None:
    """The whole of a firmware fails: its own name, not its parts on each BNG."""
    net = Net(inventory(tmp_path, rows(groups=lambda i: f"bng:bng-{i // 16 % 2}")))
    net.run(80)
    lines = net.inventory.groups.lines_under("firmware:AX200-7.1")
    net.down[lines] = True
    net.run(420)
    assert net.scopes() == ["firmware:AX200-7.1"]


def test_a_form_that_recovers_never_opens(tmp_path: Path) -> None:
    """Pings to an OLT are filtered while its devices go on, but for three. When the filter goes, the lines that still
    miss for a moment, those three among them, are no outage."""
    net = Net(inventory(tmp_path, rows()), 60.0, answer=False)
    span = net.under("north/ex-1/olt-1")
    for i in range(span.start, span.stop):
        net.say("cpe_online", net.inventory.line_id(i))
    net.run(8 * 60)
    net.cut("north/ex-1/olt-1")
    net.run(4 * 60)
    for i in range(span.start, span.start + 3):
        net.say("cpe_offline", net.inventory.line_id(i))
    net.run(4 * 60)
    assert net.living(status=("suspected",))
    net.down[span.start + 6 : span.stop] = False
    net.run(2 * 60)
    net.mend("north/ex-1/olt-1")
    net.run(5 * 60)
    assert net.ever() == {}


def test_what_passes_by_opens_nothing(tmp_path: Path) -> None:
    """A BNG hands its sessions over: most lines of an exchange miss one probe, a few miss two, all are back within two
    minutes. Nothing is opened. Were the few still down after three minutes, they would be."""
    for stays in (False, True):
        folder = tmp_path / str(stays)
        folder.mkdir()
        net = Net(inventory(folder, rows()), 60.0, answer=False)
        net.run(8 * 60)
        span = net.under("north/ex-1/olt-1")
        few = np.arange(span.start, span.stop, 4)
        net.down[span] = True
        net.run(60)
        net.down[span] = False
        net.down[few] = True
        net.run(60 if not stays else 360)
        net.mend("north")
        net.run(240)
        assert bool(net.ever()) is stays


def test_an_outage_leaves_no_slow_segment(tmp_path: Path) -> None:
    """A few lines of an OLT are slow; when the OLT fails, they are not called a slow segment."""
    net = Net(inventory(tmp_path, rows()), 10.0)
    net.run(900)
    span = net.under("north/ex-1/olt-1")
    net.slow_ms[span.start : span.stop : 12] = 80
    net.run(20)
    net.down[span] = True
    net.down[span.start : span.stop : 12] = False
    net.run(120)
    assert net.scopes() == ["north/ex-1/olt-1"]
    assert net.ever("degraded") == {}


@given(
    st.lists(st.floats(0, 1800), min_size=0, max_size=15),
    st.lists(st.floats(1800, 3600), min_size=60, max_size=200),
)
@settings(deadline=None)
def test_the_change_of_rate_is_found(before: list[float], after: list[float]) -> None:
    """Few falls in the first half of an hour, many in the second: the change is a fall near the middle or later, never
    one of the few before it that stand alone."""
    at = (np.sort(np.array([*before, *after])) * NS).astype(np.int64)
    change = change_ns(at, 0, 3600 * NS)
    assert change == 0 or change in at
    assert change == 0 or np.count_nonzero(at >= change) >= 0.2 * at.size


def test_a_constant_rate_has_no_change() -> None:
    """Falls at even distances begin with the window: nothing is cut off."""
    assert change_ns((np.arange(1, 60) * 60 * NS).astype(np.int64), 0, 3600 * NS) == 0


def test_a_dead_server_in_the_night_begins_when_leases_run_out() -> None:
    """A hundred lines that are switched off within the hour, then thirty a minute: the start is the server's, not the
    hour's."""
    night = np.linspace(0, 2400, 40)
    leases = np.linspace(2400, 3600, 120)
    at = (np.concatenate([night, leases]) * NS).astype(np.int64)
    assert abs(change_ns(at, 0, 3600 * NS) / NS - 2400) < 120
