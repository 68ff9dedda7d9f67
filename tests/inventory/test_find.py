"""Finding a line by whatever a customer or an agent has at hand, and carrying rows over a reload."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.inventory import Inventory, InventorySettings, MatchedBy
from monitor.inventory.keys import GERMANY, PhoneRule, street_key
from tests.inventory.rig import line, load


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    rows = [
        line(
            "L1",
            customer_id="C1",
            login="u1@isp",
            cpe_serial="S1",
            cpe_endpoint="os::1",
            phone="030 / 123 45 67",
            street="Müllerstraße 5 a",
            postcode="13353",
            city="Berlin",
        ),
        line("L2", customer_id="C1", street="Müllerstraße 5a", postcode="80469", city="München"),
        line("L3", phone="+4915112345678", street="Am Alten Markt 1", postcode="50667", city="Köln"),
        line("L4", customer_id="L3"),
    ]
    return load(tmp_path / "i.csv", rows)


def found(inventory: Inventory, key: str) -> list[tuple[str, MatchedBy]]:
    return [(inventory.line_id(m.row), m.by) for m in inventory.find(key)]


@pytest.mark.parametrize(
    ("key", "by", "ids"),
    [
        ("L1", MatchedBy.LINE_ID, ["L1"]),
        (" L3 ", MatchedBy.LINE_ID, ["L3"]),
        ("C1", MatchedBy.CUSTOMER_ID, ["L1", "L2"]),
        ("u1@isp", MatchedBy.LOGIN, ["L1"]),
        ("S1", MatchedBy.CPE_SERIAL, ["L1"]),
        ("os::1", MatchedBy.CPE_ENDPOINT, ["L1"]),
        ("+49 30 1234567", MatchedBy.PHONE, ["L1"]),
        ("0049301234567", MatchedBy.PHONE, ["L1"]),
        ("+49 (0)30 / 1234567", MatchedBy.PHONE, ["L1"]),
        ("030-1234567", MatchedBy.PHONE, ["L1"]),
        ("tel:+49-30-1234567;ext=5", MatchedBy.PHONE, ["L1"]),
        ("30 1234567", MatchedBy.PHONE, ["L1"]),
        ("0151 12345678", MatchedBy.PHONE, ["L3"]),
        ("4915112345678", MatchedBy.PHONE, ["L3"]),
        ("Muellerstr. 5a", MatchedBy.STREET, ["L1", "L2"]),
        ("MÜLLERSTRASSE 5 A, 13353 Berlin", MatchedBy.STREET, ["L1"]),
        ("Müllerstr. 5a München", MatchedBy.STREET, ["L2"]),
        ("80469 München, Müllerstraße 5a", MatchedBy.STREET, ["L2"]),
        ("am alten markt 1 50667", MatchedBy.STREET, ["L3"]),
    ],
)
def test_find(inventory: Inventory, key: str, by: MatchedBy, ids: list[str]) -> None:
    """Each kind of key finds its lines, in any notation; a line id wins over a customer id."""
    assert found(inventory, key) == [(line_id, by) for line_id in ids]


@pytest.mark.parametrize("key", ["", "  ", "nobody", "Müllerstraße 5a, Hamburg", "99999", "030 1234568", "Berlin"])
def test_find_nothing(inventory: Inventory, key: str) -> None:
    """What names no line finds none."""
    assert found(inventory, key) == []


@pytest.mark.parametrize(
    ("country", "stored", "typed"),
    [
        ("AT", "01 5880012", "+43 1 5880012"),
        ("US", "(212) 555-0123", "+1 212 555 0123"),
        ("US", "011 49 30 1234567", "+49 30 1234567"),
        ("IT", "06 6982 1234", "+39 06 6982 1234"),
        ("GB", "020 7946 0123", "0044 20 7946 0123"),
    ],
)
def test_phones_of_other_countries(tmp_path: Path, country: str, stored: str, typed: str) -> None:
    """National notation is read by the country's own dialling rules."""
    inventory = load(tmp_path / "i.csv", [line("L1", phone=stored)], InventorySettings(country=country))
    assert found(inventory, typed) == [("L1", MatchedBy.PHONE)]


def test_country_rules() -> None:
    """The rule that stands in the code for Germany is the library's."""
    assert PhoneRule.of("DE") == GERMANY
    with pytest.raises(ValueError, match="not a country"):
        PhoneRule.of("QQ")


national = st.text("123456789", min_size=1, max_size=1).flatmap(
    lambda first: st.text("0123456789", min_size=7, max_size=10).map(lambda rest: first + rest)
)


@given(national, st.sampled_from(["", " ", "-", "/", " / "]))
def test_any_notation_of_a_number(number: str, gap: str) -> None:
    """Five notations of one German number have one key, wherever blanks and dashes stand."""
    spread = number[:3] + gap + number[3:]
    texts = [f"+49{gap}{spread}", f"0049 {spread}", f"0{spread}", f"+49 (0){spread}", f"+49 0{spread}"]
    assert {GERMANY.key(text) for text in texts} == {"49" + number}


@given(st.text(max_size=30))
def test_keys_never_fail(text: str) -> None:
    """Whatever stands in a cell, making a key of it gives text."""
    assert isinstance(GERMANY.key(text), str)
    assert isinstance(street_key(text), str)
    assert street_key(street_key(text)) is not None


def test_no_blank_street_matches(tmp_path: Path) -> None:
    """Lines without an address are found by no address."""
    inventory = load(tmp_path / "i.csv", [line("L1", city="Berlin", postcode="10115")])
    assert found(inventory, "10115 Berlin") == []


def test_remap(tmp_path: Path, inventory: Inventory) -> None:
    """After a reload every line is found where it went; those that are gone are -1."""
    newer = load(tmp_path / "new.csv", [line("L0"), line("L3", "a/b"), line("L1", "z/z")])
    expected = [
        newer.index_of(line_id) if newer.index_of(line_id) is not None else -1 for line_id in inventory.line_ids
    ]
    assert inventory.remap(newer).tolist() == expected
    assert expected.count(-1) == 2


def test_indices_of_with_colliding_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When hashes collide the ids themselves decide, and duplicates are still found."""
    monkeypatch.setattr(
        "monitor.inventory.columns._short", lambda hashes: (hashes.view(np.uint64) % np.uint64(3)).astype(np.uint32)
    )
    ids = [f"L{i}" for i in range(50)]
    inventory = load(tmp_path / "i.csv", [line(i, customer_id=f"C{i}") for i in ids])
    assert [inventory.line_id(i) for i in inventory.indices_of(ids).tolist()] == ids
    assert inventory.indices_of(["nobody", "L7"]).tolist() == [-1, inventory.index_of("L7")]
    assert found(inventory, "CL9") == [("L9", MatchedBy.CUSTOMER_ID)]
    assert inventory.duplicates() == []


def test_active(tmp_path: Path) -> None:
    """Only active lines, and those that do not say, should be in service."""
    rows = [line("L1"), line("L2", status="active"), line("L3", status="suspended"), line("L4", status="closed")]
    assert load(tmp_path / "i.csv", rows).active.tolist() == [True, True, False, False]


def test_warm_builds_every_index(inventory: Inventory) -> None:
    """After warm() no lookup has to build an index."""
    inventory.warm()
    before = set(inventory._indexes)
    for key in ("x", "+49 30 1", "Hauptstr. 1, Berlin"):
        inventory.find(key)
    assert set(inventory._indexes) == before
