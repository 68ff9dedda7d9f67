"""The target table: who is probed, where, and in which order; and how much may be asked at once."""

from pathlib import Path

import numpy as np
import pytest

from collectors.icmp.budget import Budget
from collectors.icmp.settings import IcmpSettings
from collectors.icmp.targets import KINDS, build, check_references, line_addresses
from monitor.inventory import Bindings
from monitor.records import Event, Reference, TargetKind
from tests.collectors.icmp.helpers import NS, inventory_of, simple_rows

SETTINGS = IcmpSettings(references=(Reference("near", "192.0.2.1"), Reference("far", "2001:db8::1")))
NODES = "north/ex-1/olt-0,10.0.0.1\nnorth/ex-1/olt-1,fd00::1\n"


def test_everything_that_can_be_probed_is_in_the_table_once(tmp_path: Path) -> None:
    """Every line and every node with an address stands once before the references, and can be found again."""
    inventory = inventory_of(tmp_path, simple_rows(200), NODES)
    targets = build(inventory, Bindings(inventory), SETTINGS)
    assert len(targets) == 200 + 2 + 2
    assert targets.round_rows == 202
    assert sorted(targets.index[targets.kind == 0].tolist()) == list(range(200))
    for kind, code, count in ((TargetKind.LINE, 0, 200), (TargetKind.REFERENCE, 2, 2)):
        wanted = np.arange(count, dtype=np.int32)
        at = targets.positions(kind, wanted)
        assert (targets.kind[at] == code).all()
        assert (targets.index[at] == wanted).all()
        assert KINDS[code] is kind
    olt = inventory.elements.index_of("north/ex-1/olt-1")
    assert olt is not None
    at = targets.positions(TargetKind.ELEMENT, np.array([olt, 0, 9999, -1], np.int32))
    assert targets.index[at].tolist() == [olt]
    assert targets.family[at].tolist() == [6]
    assert (int(targets.high[at[0]]), int(targets.low[at[0]])) == (0xFD00 << 48, 1)
    assert targets.family[-2:].tolist() == [4, 6]


def test_no_node_meets_a_burst(tmp_path: Path) -> None:
    """The lines of one access node are spread over the whole round: between any two of them lie, give or take one
    turn, as many others as an even spread leaves."""
    inventory = inventory_of(tmp_path, simple_rows(1000, per_olt=50))
    targets = build(inventory, Bindings(inventory), SETTINGS)
    for node in np.unique(targets.node[: targets.round_rows]).tolist():
        places = np.flatnonzero(targets.node[: targets.round_rows] == node)
        gaps = np.diff(places)
        assert len(places) == 50
        assert gaps.min() >= 19
        assert gaps.max() <= 21
    again = build(inventory, Bindings(inventory), SETTINGS)
    assert (again.index == targets.index).all()


def test_lines_that_may_not_be_judged_are_not_probed(tmp_path: Path) -> None:
    """No address, a contested address, a released one, an inactive line: the table has no family for them. A line
    with both families is probed over IPv4, one with IPv6 alone over that."""
    rows = [
        "a,127.0.0.1,2001:db8::1,n/e/o,,active",
        "b,,2001:db8::2,n/e/o,,active",
        "c,,,n/e/o,,active",
        "d,127.0.0.9,,n/e/o,,active",
        "e,127.0.0.9,,n/e/o,,active",
        "f,127.0.0.5,,n/e/o,,suspended",
        "g,127.0.0.6,,n/e/o,,active",
    ]
    inventory = inventory_of(tmp_path, rows)
    bindings = Bindings(inventory)
    bindings.apply(Event(1, "g", "session_stop"))
    targets = build(inventory, bindings, IcmpSettings())
    family = {inventory.line_id(i): int(targets.family[targets.line_at[i]]) for i in range(len(inventory))}
    assert family == {"a": 4, "b": 6, "c": 0, "d": 0, "e": 0, "f": 0, "g": 0}
    changed = bindings.apply(Event(2, "c", "address_assigned", "127.0.0.77"))
    got = line_addresses(bindings, np.array(changed))
    assert [column.tolist() for column in got] == [[4], [0], [(127 << 24) + 77]]


def test_access_nodes_are_found_by_kind_or_depth(tmp_path: Path) -> None:
    """The node of a line is the level named as one; without such a level, the third of its path or what there is."""
    rows = [
        "a,127.0.0.1,,r/e/s/t/deep/deeper,,active",
        "b,127.0.0.2,,r/e,,active",
        "c,127.0.0.3,,r/e/s/t,,active",
    ]
    inventory = inventory_of(tmp_path, rows)
    targets = build(inventory, Bindings(inventory), IcmpSettings(node_kinds=()))
    paths = {inventory.line_id(i): inventory.elements.paths[targets.node[targets.line_at[i]]] for i in range(3)}
    assert paths == {"a": "r/e/s", "b": "r/e", "c": "r/e/s"}


def test_an_empty_inventory_has_an_empty_round(tmp_path: Path) -> None:
    """No lines: only the references are probed."""
    inventory = inventory_of(tmp_path, simple_rows(1))
    targets = build(inventory, Bindings(inventory), IcmpSettings(elements=False))
    assert (targets.round_rows, len(targets)) == (1, 1)


def test_budget_caps_a_node_a_bng_and_all(tmp_path: Path) -> None:
    """Of twenty thousand targets at once only as many are admitted as node, BNG and total allow, and what is refused
    is counted by the cap that refused it; time fills the buckets again."""
    inventory = inventory_of(tmp_path, simple_rows(1000, per_olt=100))
    targets = build(inventory, Bindings(inventory), IcmpSettings())
    budget = Budget(IcmpSettings(confirm_node_pps=30, confirm_bng_pps=120, confirm_pps=200), 0)
    budget.use(len(inventory.elements), len(inventory.groups))
    every = targets.positions(TargetKind.LINE, np.arange(1000, dtype=np.int32))
    admitted, refused = budget.admit(targets, every, 3, False, 0)
    assert np.bincount(targets.node[admitted]).max() <= 20
    assert np.bincount(targets.bng[admitted]).max() <= 80
    assert 130 <= len(admitted) <= 133
    assert refused["node"] == 800
    assert sum(refused.values()) + len(admitted) == 1000
    assert len(budget.admit(targets, every, 3, False, 0)[0]) <= 1
    later, _ = budget.admit(targets, every, 3, False, NS)
    assert 60 <= len(later) <= 67
    forever, _ = budget.admit(targets, every, 3, False, 3600 * NS)
    assert len(forever) <= 133


def test_a_lookup_is_always_admitted(tmp_path: Path) -> None:
    """When the budget is spent an agent's lookup is still asked, but not a thousand lines in its name."""
    inventory = inventory_of(tmp_path, simple_rows(1000))
    targets = build(inventory, Bindings(inventory), IcmpSettings())
    budget = Budget(IcmpSettings(confirm_pps=1), 0)
    budget.use(len(inventory.elements), len(inventory.groups))
    every = targets.positions(TargetKind.LINE, np.arange(1000, dtype=np.int32))
    assert len(budget.admit(targets, every, 3, False, 0)[0]) == 0
    assert len(budget.admit(targets, every[:9], 3, True, 0)[0]) == 9
    assert len(budget.admit(targets, every, 3, True, 0)[0]) == 256


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"interval_s": 0}, "icmp.interval_s must be above 0"),
        ({"rate_max_pps": -1}, "icmp.rate_max_pps"),
        ({"probes": 0}, "icmp.probes must be from 1"),
        ({"interval_s": 1.0}, "must be longer than the probes of one line take"),
        ({"mode": "both"}, "icmp.mode"),
        ({"netns": "/a", "wire": "/b"}, "exclude each other"),
        ({"references": (Reference("a", "1.1.1.1"), Reference("a", "1.1.1.2"))}, "a name of its own"),
    ],
)
def test_wrong_settings_are_refused_by_name(change: dict[str, object], text: str) -> None:
    """Each wrong value names its setting."""
    with pytest.raises(ValueError, match=text):
        IcmpSettings(**change)  # type: ignore[arg-type]


def test_a_reference_needs_an_address() -> None:
    """A name is not resolved."""
    with pytest.raises(ValueError, match=r"google: 'dns\.google' is not an IP address \(names are not resolved\)"):
        check_references((Reference("google", "dns.google"),))
