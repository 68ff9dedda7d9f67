"""A failure arrives slice by slice, as the round goes on: one incident in the end, whatever was named on the way."""

from pathlib import Path

import numpy as np
import pytest

from correlation.areas import distance_km
from monitor.records import ScopeKind
from tests.correlation.net import rows
from tests.correlation.test_scenarios import SPEEDS, net_of


@pytest.mark.parametrize("slices", [4, 10, 25])
@pytest.mark.parametrize(
    "path", ["north/ex-1/olt-2", "north/ex-2", "north/ex-1/olt-1/pon-3", "north/ex-2/olt-1/pon-2/split-1"]
)
@pytest.mark.parametrize("ordered", [False, True], ids=["shuffled", "in order"])
@SPEEDS
def test_a_fall_seen_slice_by_slice_is_one_incident(
    tmp_path: Path, interval_s: float, answer: bool, ordered: bool, path: str, slices: int
) -> None:
    """Whatever part of the lines has been asked so far, and in whatever order: one incident, which ends up at the
    element that fell and keeps its id on the way there."""
    table = rows(exchanges=3, groups=lambda i: f"duct:d-{i // 24};bng:bng-{i // 300}")
    net = net_of(tmp_path, interval_s, answer, table=table, slices=slices)
    if ordered:
        net.order = np.arange(len(net.inventory), dtype=np.int32)
        net.blocks = True
    net.run(6 * interval_s)
    fallen = net.cut(path)
    net.run(4 * interval_s)
    assert [i.scope.name for i in net.living()] == [path]
    assert list(net.ever()) == [net.living()[0].incident_id]
    assert len(net.engine.lines_of(net.living()[0].incident_id)) >= 0.98 * fallen.size


@SPEEDS
def test_a_power_cut_seen_slice_by_slice_is_one_incident(tmp_path: Path, interval_s: float, answer: bool) -> None:
    """The lines of a quarter fall while the round goes on: an area in the end, all else part of it."""
    net = net_of(tmp_path, interval_s, answer, slices=10)
    net.run(6 * interval_s)
    inv = net.inventory
    net.down[distance_km(inv.lat, inv.lon, 52.506, 13.4062) < 0.45] = True
    net.run(4 * interval_s)
    assert [i.scope.kind for i in net.living()] == [ScopeKind.AREA]
    assert {i.parent_id for k, i in net.ever().items() if k != net.living()[0].incident_id} <= {
        net.living()[0].incident_id
    }


@pytest.mark.parametrize("slices", [1, 10, 25])
@pytest.mark.parametrize("path", ["north/ex-1/olt-2", "north/ex-2"])
@SPEEDS
def test_what_comes_back_port_by_port_was_still_one_failure(
    tmp_path: Path, interval_s: float, answer: bool, path: str, slices: int
) -> None:
    """Soon after the fall, ports come back one after the other: who is back speaks against no cause, so the incident
    keeps its scope to the end; what is told beside it is its last ports, as its part."""
    net = net_of(tmp_path, interval_s, answer, table=rows(exchanges=3), slices=slices)
    net.run(6 * interval_s)
    fallen = net.cut(path)
    net.run(3 * interval_s)
    (incident,) = net.living()
    for port in np.array_split(fallen, 12):  # in order of the path
        net.down[port] = False
        net.run(interval_s / 4)
        assert [i.scope.name for i in net.living() if i.incident_id == incident.incident_id] in ([path], [])
    net.run(20 * interval_s + 300)
    others = [i for key, i in net.ever().items() if key != incident.incident_id]
    assert {i.parent_id for i in others} <= {incident.incident_id}
    assert net.living() == []
