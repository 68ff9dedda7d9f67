"""States of unknown age, and telemetry that is away: no onset, no sign of life, no doubt about what probing sees."""

from pathlib import Path

from monitor.records import LineState, ScopeKind
from tests.correlation.net import Net, inventory, rows


def net_of(folder: Path) -> Net:
    return Net(inventory(folder, rows()), resolvers=("r1", "r2"))


def test_a_kept_offline_is_no_onset(tmp_path: Path) -> None:
    """Offline states that the broker had kept say nothing about now: no line falls, no incident opens."""
    net = net_of(tmp_path)
    net.run(80)
    for line in range(16):
        net.say("cpe_offline", net.inventory.line_id(line), "retained")
    net.run(30)
    assert net.living() == []
    assert net.states() == {LineState.UP: len(net.inventory)}


def test_a_kept_online_is_no_life(tmp_path: Path) -> None:
    """Online states that the broker had kept do not hold a dead splitter up."""
    net = net_of(tmp_path)
    net.run(80)
    span = net.cut("north/ex-1/olt-1/pon-1/split-1")
    for _ in range(4):
        for line in span.tolist():
            net.say("cpe_online", net.inventory.line_id(line), "retained")
        net.run(10)
    assert net.scopes() == ["north/ex-1/olt-1/pon-1/split-1"]


def test_a_resolver_is_found_while_the_broker_is_away(tmp_path: Path) -> None:
    """Telemetry that cannot be reached does not keep a dead resolver from being told."""
    net = net_of(tmp_path)
    net.run(80)
    net.say("source_down", "source:mqtt", "connection refused")
    net.run(20)
    net.say("resolver_down", "group:resolver:r1", "timeout")
    net.run(20)
    assert [(i.scope.kind, i.scope.name) for i in net.living("resolver")] == [(ScopeKind.GROUP, "resolver:r1")]
