"""From what a caller says to a line: every kind of key, several matches, and addresses that move."""

from pathlib import Path

import msgspec
import pytest

from monitor.desk import look_up
from monitor.desk.lookup import IDS, MAX_CANDIDATES
from monitor.inventory import Bindings, Inventory, MatchedBy
from monitor.records import Event, VerdictCode
from tests.desk.world import NOW, Scene, load


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return load(tmp_path_factory.mktemp("inventory"))


@pytest.mark.parametrize(
    ("key", "by"),
    [
        ("L003", MatchedBy.LINE_ID),
        (" L003 ", MatchedBy.LINE_ID),
        ("C103", MatchedBy.CUSTOMER_ID),
        ("SN003", MatchedBy.CPE_SERIAL),
        ("user3@isp.example", MatchedBy.LOGIN),
        ("+49 30 555003", MatchedBy.PHONE),
        ("030 / 55 50 03", MatchedBy.PHONE),
        ("0049-30-555003", MatchedBy.PHONE),
        ("10.0.0.4", MatchedBy.ADDRESS),
    ],
)
def test_every_kind_of_key(inventory: Inventory, key: str, by: MatchedBy) -> None:
    """Line, customer, serial, login, phone in any notation and address all lead to the same line."""
    answer = look_up(key, Scene(inventory).view(), inventory, Bindings(inventory), NOW)
    assert (answer.verdict.line_id, answer.matched_by) == ("L003", by)
    assert answer.verdict.code is VerdictCode.NO_FAULT_FOUND


def test_several_matches_give_hints_only(inventory: Inventory) -> None:
    """Two lines in one house: candidates with hints, and nothing that would tell the caller whose they are."""
    answer = look_up("Lindenweg 2, 10115 Berlin", Scene(inventory).view(), inventory, Bindings(inventory), NOW)
    assert answer.verdict.code is VerdictCode.IDENTITY_UNCLEAR
    assert answer.row is None
    assert answer.matches == 2
    text = msgspec.json.encode(answer.candidates).decode()
    assert [c.line_id for c in answer.candidates] == ["L002", "L003"]
    for secret in ("Muster", "Lindenweg", "555002", "C102", "user2"):
        assert secret not in text


def test_no_match(inventory: Inventory) -> None:
    """A key that names nothing gives no candidates."""
    answer = look_up("nobody", Scene(inventory).view(), inventory, Bindings(inventory), NOW)
    assert (answer.verdict.code, answer.matches) == (VerdictCode.IDENTITY_UNCLEAR, 0)


def test_many_matches_are_bounded(tmp_path: Path) -> None:
    """A street name alone cannot list a whole quarter."""
    inventory = load(tmp_path, {f"L{n:03d}": {"customer_id": "ONE"} for n in range(20)})
    answer = look_up("ONE", Scene(inventory).view(), inventory, Bindings(inventory), NOW)
    assert answer.matches == 20
    assert len(answer.candidates) <= MAX_CANDIDATES


def test_address_is_the_one_of_now(inventory: Inventory) -> None:
    """After a lease moved, the address leads to its new line; claimed twice, to both and to no verdict."""
    bindings = Bindings(inventory)
    view = Scene(inventory).view()
    bindings.apply(Event(NOW, "L000", "address_released"))
    bindings.apply(Event(NOW, "L007", "address_assigned", "10.0.0.1"))
    assert look_up("10.0.0.1", view, inventory, bindings, NOW).verdict.line_id == "L007"
    bindings.apply(Event(NOW, "L008", "address_assigned", "10.0.0.1"))
    twice = look_up("10.0.0.1", view, inventory, bindings, NOW)
    assert [c.line_id for c in twice.candidates] == ["L007", "L008"]
    assert look_up("L007", view, inventory, bindings, NOW).verdict.code is VerdictCode.NOT_OBSERVABLE


def test_ids_only(inventory: Inventory) -> None:
    """Where only ids may be asked for, a phone number or a name finds nothing."""
    view, bindings = Scene(inventory).view(), Bindings(inventory)
    assert look_up("+49 30 555003", view, inventory, bindings, NOW, IDS).matches == 0
    assert look_up("C103", view, inventory, bindings, NOW, IDS).matches == 1


def test_reload_under_way_is_no_fault_of_the_line(tmp_path: Path, inventory: Inventory) -> None:
    """A newer inventory with older bindings and view: no statement, no error."""
    newer = load(tmp_path, generation=2)
    answer = look_up("L003", Scene(inventory).view(), newer, Bindings(inventory), NOW)
    assert answer.verdict.code is VerdictCode.DATA_STALE
    assert look_up("10.0.0.4", Scene(inventory).view(), newer, Bindings(inventory), NOW).matches == 0
