"""Which line has which address now: events, two claimants, reloads and snapshots, against a naive model."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.inventory import Bindings, Inventory, Observability
from monitor.inventory.address import AddressRules, parse_address
from monitor.records import Event
from monitor.records.events import EventKind
from tests.inventory.rig import line, load

LINES = ("A", "B", "C", "D", "E")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1", "2001:db8::2")
GIVES = ("session_start", "address_assigned")


def said(kind: EventKind, subject: str, value: str = "") -> Event:
    return Event(1, subject, kind, value)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    rows = [
        line("A", address="10.0.0.1"),
        line("B", address="10.0.0.2", address6="2001:db8::1"),
        line("C", address="10.0.0.2"),
        line("D"),
        line("E", address="10.0.0.9", status="suspended"),
    ]
    return load(tmp_path_factory.mktemp("b") / "i.csv", rows)


class Model:
    """The same in plain dicts: address per line and family."""

    def __init__(self, inventory: Inventory) -> None:
        self.ids = list(inventory.line_ids)
        self.held: dict[tuple[str, int], str] = {}
        self.released: set[str] = set()
        for i, name in enumerate(self.ids):
            written = inventory.line(i)
            for family, address in ((4, written.address), (16, written.address6)):
                if address:
                    self.held[name, family] = address

    def apply(self, event: Event) -> None:
        if event.subject not in self.ids:
            return
        raw = parse_address(event.value) if event.value else None
        if event.kind in GIVES:
            if raw:
                self.released.discard(event.subject)
                self.held[event.subject, len(raw)] = event.value
            return
        for family in (4, 16):
            held = self.held.get((event.subject, family))
            if held and event.value in ("", held):
                del self.held[event.subject, family]
                self.released.add(event.subject)

    def reason(self, name: str, status: str) -> Observability:
        mine = {a for (n, _), a in self.held.items() if n == name}
        others = {a for (n, _), a in self.held.items() if n != name}
        if status != "active" and status:
            return Observability.NOT_ACTIVE
        if not mine:
            return Observability.RELEASED if name in self.released else Observability.NO_ADDRESS
        return Observability.CONTESTED if mine & others else Observability.OBSERVABLE


events = st.builds(
    said,
    st.sampled_from(["session_start", "address_assigned", "session_stop", "address_released"]),
    st.sampled_from([*LINES, "nobody"]),
    st.sampled_from([*ADDRESSES, ""]),
)


def compare(bindings: Bindings, model: Model) -> None:
    inventory = bindings.inventory
    reasons = bindings.reason
    for i, name in enumerate(inventory.line_ids):
        expected = model.reason(name, inventory.texts["status"][i])
        assert reasons[i] == expected == bindings.reason_of(i)
        assert bindings.address_of(i) == model.held.get((name, 4), model.held.get((name, 16), ""))
    for address in ADDRESSES:
        holders = sorted(
            i for i, n in enumerate(inventory.line_ids) if address in {model.held.get((n, f)) for f in (4, 16)}
        )
        assert bindings.claimants(address) == holders
        assert bindings.line_of(address) == (holders[0] if len(holders) == 1 else None)


@given(st.lists(events, max_size=25))
@settings(max_examples=150)
def test_like_the_model(inventory: Inventory, happened: list[Event]) -> None:
    """After any events the bindings say what plain dicts say; `apply` names every line whose state changed."""
    bindings, model = Bindings(inventory), Model(inventory)
    compare(bindings, model)
    for event in happened:
        before = bindings.reason.copy(), bindings.address4.copy(), bindings.address6.copy(), bindings.epoch
        changed = bindings.apply(event)
        model.apply(event)
        compare(bindings, model)
        differs = (
            (bindings.reason != before[0])
            | (bindings.address4 != before[1])
            | (bindings.address6 != before[2]).any(axis=1)
        )
        assert set(np.flatnonzero(differs).tolist()) <= set(changed)
        assert (bindings.epoch > before[3]) == bool(changed)


@given(st.lists(events, max_size=15))
@settings(max_examples=60)
def test_snapshot_goes_on(inventory: Inventory, happened: list[Event]) -> None:
    """A restored snapshot is the same, and answers the next events the same."""
    bindings = Bindings(inventory)
    for event in happened[:10]:
        bindings.apply(event)
    again = Bindings.restore(inventory, bindings.snapshot())
    assert again.epoch == bindings.epoch
    for event in happened[10:]:
        assert again.apply(event) == bindings.apply(event)
    assert np.array_equal(again.address4, bindings.address4)
    assert np.array_equal(again.address6, bindings.address6)
    assert np.array_equal(again.reason, bindings.reason)


def test_two_claimants_are_not_observable(inventory: Inventory) -> None:
    """Two lines with one address: neither can be judged by its replies, until one has given it up."""
    bindings = Bindings(inventory)
    a, b, c = (inventory.index_of(n) for n in "ABC")
    assert a is not None
    assert bindings.reason[b] == bindings.reason[c] == Observability.CONTESTED
    assert bindings.line_of("10.0.0.2") is None
    assert bindings.apply(said("session_start", "D", "10.0.0.1")) == [a, inventory.index_of("D")]
    assert bindings.reason_of(a) == Observability.CONTESTED
    assert bindings.apply(said("session_stop", "D")) == [a, inventory.index_of("D")]
    assert bindings.reason_of(a) == Observability.OBSERVABLE


def test_addresses_that_may_not_be_probed(inventory: Inventory) -> None:
    """Multicast, zero, nonsense and what lies outside the allowed prefixes is refused and counted."""
    bindings = Bindings(inventory, AddressRules(("10.0.0.0/8",)))
    for address in ("224.0.0.1", "0.0.0.0", "host", "11.0.0.1", "ff02::1"):
        assert bindings.apply(said("session_start", "A", address)) == []
    assert bindings.refused == 5
    assert bindings.address_of(0) == "10.0.0.1"


def test_other_events_change_nothing(inventory: Inventory) -> None:
    """Events of other kinds, without an address, or about elements are not for the bindings."""
    bindings = Bindings(inventory)
    assert bindings.apply(said("call", "A")) == []
    assert bindings.apply(said("session_start", "A")) == []
    assert bindings.apply(said("session_stop", "element:north")) == []
    assert bindings.epoch == 0


def test_carried_over_a_reload(inventory: Inventory, tmp_path: Path) -> None:
    """What events said goes with the line_id; what only the file said is the new file's."""
    bindings = Bindings(inventory)
    bindings.apply(said("session_start", "A", "10.0.0.77"))
    bindings.apply(said("session_stop", "B"))
    newer = load(
        tmp_path / "new.csv",
        [
            line("A", "z/z", address="10.0.0.5"),
            line("B", "a/a", address="10.0.0.6"),
            line("C", address="10.0.0.7"),
            line("N", address="10.0.0.77"),
        ],
    )
    carried = bindings.carried(newer)
    by_id = {name: (carried.address_of(i), carried.reason_of(i)) for i, name in enumerate(newer.line_ids)}
    assert by_id == {
        "A": ("10.0.0.77", Observability.CONTESTED),
        "B": ("", Observability.RELEASED),
        "C": ("10.0.0.7", Observability.OBSERVABLE),
        "N": ("10.0.0.77", Observability.CONTESTED),
    }
    assert carried.epoch > bindings.epoch
    assert carried.snapshot()["flags"].size == 2


def test_memory_of_touched_addresses_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year of changing leases leaves no trail: the addresses touched are folded into the sorted ones."""
    inventory = load(tmp_path / "i.csv", [line(f"L{i:02d}", address=f"10.0.0.{i + 1}") for i in range(20)])
    bindings = Bindings(inventory)
    most = 0
    for i in range(12_000):
        bindings.apply(said("session_start", f"L{i % 20:02d}", f"10.{1 + i // 60000}.{i // 250}.{1 + i % 250}"))
        most = max(most, len(bindings._claims))
    assert most <= 10_001
    assert bindings.line_of("10.1.47.250") == 19
    assert bindings.claimants("10.0.0.1") == []
