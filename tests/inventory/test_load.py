"""inventory.csv and elements.csv: what is read, and what is refused with which words."""

from pathlib import Path

import numpy as np
import pytest

from monitor.inventory import InputProblems, InventorySettings, load_inventory
from monitor.inventory.problems import InputProblem
from tests.inventory.rig import csv_of, line, load, write


def refused(path: Path, **settings: object) -> tuple[InputProblem, ...]:
    with pytest.raises(InputProblems) as caught:
        load_inventory(path, InventorySettings(**settings))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return caught.value.problems


def test_every_column_arrives(tmp_path: Path) -> None:
    """A full row comes out as it was written, unknown columns as attributes."""
    row = line(
        "L1",
        address="10.0.0.1",
        address6="2001:db8::1",
        groups="bng:bng-1; power:f-2",
        lat="52.5",
        lon="13.4",
        technology="gpon",
        cpe_model="AX",
        cpe_firmware="7.1",
        cpe_endpoint="os::1",
        cpe_serial="S1",
        down_mbps="100",
        up_mbps="40.5",
        customer_id="C1",
        name="Jörg Müller",
        phone="+49 30 1234567",
        street="Hauptstr. 5",
        postcode="10115",
        city="Berlin",
        login="u@isp",
        status="active",
        service_class="sla",
        sla_restore_h="8",
        access_partner="p1",
        backup_of="L0",
        tenant="t1",
        duct="d-4",
    )
    inventory = load(tmp_path / "i.csv", [row])
    got = inventory.line(0)
    assert (got.line_id, got.path, got.address, got.address6) == ("L1", row["path"], "10.0.0.1", "2001:db8::1")
    assert got.groups == ("bng:bng-1", "cpe:AX", "firmware:AX-7.1", "power:f-2")
    assert (got.lat, got.lon, got.down_mbps, got.up_mbps) == (52.5, 13.4, 100.0, 40.5)
    assert got.attributes == {"duct": "d-4"}
    for name in ("technology", "cpe_endpoint", "cpe_serial", "customer_id", "name", "phone", "street", "city", "login"):
        assert getattr(got, name) == row[name]
    assert float(inventory.numbers["sla_restore_h"][0]) == 8
    assert [inventory.texts[n][0] for n in ("access_partner", "backup_of", "tenant")] == ["p1", "L0", "t1"]
    assert inventory.elements.kinds == ("region", "exchange", "olt")


def test_the_least_is_enough(tmp_path: Path) -> None:
    """Two columns are enough; whatever is not given is empty or None."""
    got = load(tmp_path / "i.csv", [line("L1", "only")]).line(0)
    assert (got.path, got.address, got.groups, got.lat, got.attributes) == ("only", "", (), None, {})


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spellings_of_a_csv(tmp_path: Path, separator: str, mark: str, end: str) -> None:
    """Comma or semicolon, with or without BOM, either line end, blank rows, blanks around cells: the same inventory."""
    rows = [line(" L1 ", name='A "B", C'), line("L2", name="D;E\nF")]
    text = csv_of(rows, separator).replace("\nL2", "\n\n" + separator * 2 + "\nL2")
    path = tmp_path / "i.csv"
    path.write_bytes((mark + text.replace("\n", end)).encode())
    inventory = load_inventory(path)
    assert list(inventory.line_ids) == ["L1", "L2"]
    assert list(inventory.texts["name"]) == ['A "B", C', "D;E" + end + "F"]


def test_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    """The same lines in another order give the same rows, elements and groups."""
    rows = [line(f"L{i:03d}", f"r{i % 3}/e{i % 7}", groups=f"bng:b{i % 4}", cpe_model=f"M{i % 5}") for i in range(200)]
    one = load(tmp_path / "a.csv", rows)
    two = load(tmp_path / "b.csv", [rows[i] for i in np.random.default_rng(1).permutation(200)])
    assert list(one.line_ids) == list(two.line_ids)
    assert one.elements.paths == two.elements.paths
    assert one.groups.names == two.groups.names
    for name in ("lines", "lines_ptr", "groups", "groups_ptr"):
        assert np.array_equal(getattr(one.groups, name), getattr(two.groups, name))
    assert np.array_equal(one.texts["cpe_model"].codes, two.texts["cpe_model"].codes)  # type: ignore[union-attr]


def test_column_of_many_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown column that turns out to hold a value of its own in every line keeps every one."""
    monkeypatch.setattr("monitor.inventory.columns.MixedBuilder.FEW", 50)
    rows = [line(f"L{i:04d}", contract=f"K-{i}" if i % 3 else "") for i in range(3000)]
    inventory = load(tmp_path / "i.csv", rows)
    assert [inventory.line(i).attributes.get("contract", "") for i in range(3000)] == [r["contract"] for r in rows]


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("line_id", "", "is empty"),
        ("line_id", "element:x", "reserved word"),
        ("line_id", "reference:x", "reserved word"),
        ("path", "", "is empty"),
        ("path", "a//b", "without a name"),
        ("path", "/a", "without a name"),
        ("path", "a/", "without a name"),
        ("path", "a / b", "a blank beside a /"),
        ("groups", "bng", "not written kind:name"),
        ("groups", "bng:;x:y", "not written kind:name"),
        ("lat", "91", "not between -90 and 90"),
        ("lat", "52,5", "write a decimal point"),
        ("lat", "nan", "not between"),
        ("lon", "-inf", "not between"),
        ("lon", "x", "is not a number"),
        ("down_mbps", "1_000", "is not a number"),
        ("up_mbps", "-1", "not between 0"),
        ("sla_restore_h", "soon", "is not a number"),
        ("address", "10.0.0.256", "is not an IP address"),
        ("address", "host.example", "names are not resolved"),
        ("address", "2001:db8::1", "is not an IPv4 address"),
        ("address", "224.0.0.1", "is not a unicast address"),
        ("address", "0.0.0.0", "is not a unicast address"),
        ("address", "255.255.255.255", "is not a unicast address"),
        ("address6", "10.0.0.1", "is not an IPv6 address"),
        ("address6", "::", "is not a unicast address"),
        ("address6", "ff02::1", "is not a unicast address"),
        ("address6", "fe80::1%eth0", "is not an IP address"),
    ],
)
def test_bad_cell(tmp_path: Path, column: str, cell: str, words: str) -> None:
    """Each wrong cell is told with file, line, field and what is wrong; the good lines around it do not hide it."""
    good = {"lat": "1", "lon": "1", "down_mbps": "1", "up_mbps": "1", "sla_restore_h": "1", "groups": "a:b"}
    rows = [line(f"L{i}", **good, address=f"10.0.0.{i + 1}", address6=f"2001:db8::{i + 1}") for i in range(5)]
    rows[3][column] = cell
    problems = refused(write(tmp_path / "i.csv", csv_of(rows)))
    assert [(p.line, p.field) for p in problems] == [(5, column)]
    assert words in problems[0].message


def test_half_a_position(tmp_path: Path) -> None:
    """A latitude without a longitude is a mistake, told at the empty field."""
    problems = refused(write(tmp_path / "i.csv", csv_of([line("L1", lat="1", lon="")])))
    assert [(p.line, p.field) for p in problems] == [(2, "lon")]


def test_allowed_prefixes(tmp_path: Path) -> None:
    """With allowed prefixes an address outside them is refused, in both families."""
    rows = [line("L1", address="10.0.0.1", address6="2001:db8::1"), line("L2", address="11.0.0.1", address6="fd00::1")]
    path = write(tmp_path / "i.csv", csv_of(rows))
    problems = refused(path, allowed_prefixes=("10.0.0.0/8", "2001:db8::/32"))
    assert sorted((p.line, p.field) for p in problems) == [(3, "address"), (3, "address6")]
    assert all("allowed_prefixes" in p.message for p in problems)


def test_duplicates_name_both_lines(tmp_path: Path) -> None:
    """A line_id that is there three times is told twice, each time with the line of the first."""
    rows = [line("L1"), line("L2", "z/y"), line("L1", "a/b"), line("L3"), line("L1")]
    problems = refused(write(tmp_path / "i.csv", csv_of(rows)))
    assert [(p.line, p.field) for p in problems] == [(4, "line_id"), (6, "line_id")]
    assert all("already in line 2" in p.message for p in problems)


def test_many_mistakes_end_early(tmp_path: Path) -> None:
    """A file full of mistakes gives the first twenty, by line, and says that there are more."""
    path = write(tmp_path / "i.csv", csv_of([line(f"L{i}", address="no") for i in range(5000)]))
    with pytest.raises(InputProblems, match="19 or more further") as caught:
        load_inventory(path)
    assert [p.line for p in caught.value.problems] == list(range(2, 22))


@pytest.mark.parametrize(
    ("text", "line_number", "field", "words"),
    [
        ("", 0, "", "the file is empty"),
        ("line_id,path\n", 0, "", "no lines"),
        ("path\na\n", 1, "line_id", "the column is missing"),
        ("Line_ID,path\nL1,a\n", 1, "line_id", "must be written 'line_id'"),
        ("line_id,path,path\nL1,a,b\n", 1, "path", "there twice"),
        ("line_id,path,\nL1,a,b\n", 1, "column 3", "has no name"),
        ("line_id,path\nL1,a\nL2\n", 3, "", "has 1 fields where the header has 2"),
        ("line_id,path\nL1,a\nL2,b,c\n", 3, "", "has 3 fields where the header has 2"),
        ('line_id,path\nL1,a\nL2,"b\nL3,c\n', 3, "", "quoted field"),
        ('line_id,path\nL1,a\nL2,"b"x\n', 3, "", "quoted field"),
        ('line_id,path\n"L\n1",a\nL2\n', 4, "", "has 1 fields"),
        ("line_id,path\nL1,a\nL2,b\0\n", 3, "", "NUL"),
    ],
)
def test_bad_file(tmp_path: Path, text: str, line_number: int, field: str, words: str) -> None:
    """What is wrong with the file itself is told with its line."""
    problems = refused(write(tmp_path / "i.csv", text))
    assert (problems[0].line, problems[0].field) == (line_number, field)
    assert words in problems[0].message


def test_not_utf8(tmp_path: Path) -> None:
    """Latin-1 is refused with the line and the byte; UTF-16 is too."""
    path = tmp_path / "i.csv"
    path.write_bytes("line_id,path,name\nL1,a,x\nL2,b,Müller\n".encode("latin-1"))
    problem = refused(path)[0]
    assert problem.line == 3
    assert "0xfc" in problem.message
    path.write_bytes("line_id,path\nL1,a\n".encode("utf-16"))
    assert "save it as UTF-8" in refused(path)[0].message


def test_unreadable(tmp_path: Path) -> None:
    """A missing file and a folder are told as such."""
    assert "No such file" in refused(tmp_path / "none.csv")[0].message
    assert "cannot be read" in refused(tmp_path)[0].message


def test_unknown_country(tmp_path: Path) -> None:
    """A wrong country setting is refused by its name."""
    with pytest.raises(ValueError, match="'XX' is not a country"):
        load_inventory(write(tmp_path / "i.csv", csv_of([line("L1")])), InventorySettings(country="XX"))


def test_progress(tmp_path: Path) -> None:
    """Progress is told while reading, and ends with all lines."""
    seen: list[int] = []
    path = write(tmp_path / "i.csv", csv_of([line(f"L{i}") for i in range(2500)]))
    load_inventory(path, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 2500


def test_elements_file(tmp_path: Path) -> None:
    """elements.csv gives addresses, positions and kinds, also of elements that have no lines."""
    inventory_path = write(tmp_path / "i.csv", csv_of([line("L1", technology="gpon")]))
    elements = write(
        tmp_path / "e.csv",
        "path;address;kind;lat;lon\nnorth/ex-1/olt-1;10.9.0.1;olt-x;52.5;13.4\n\nsouth/ex-9;;;;\n",
    )
    inventory = load_inventory(inventory_path, elements_path=elements)
    at = inventory.elements.index_of("north/ex-1/olt-1")
    assert at is not None
    assert (inventory.elements.address[at], inventory.elements.kinds[at]) == ("10.9.0.1", "olt-x")
    assert float(inventory.elements.lat[at]) == 52.5
    empty = inventory.elements.index_of("south/ex-9")
    assert empty is not None
    assert inventory.elements.size()[empty] == 0


@pytest.mark.parametrize(
    ("text", "line_number", "field"),
    [
        ("name\nx\n", 1, "path"),
        ("path\na\na\n", 3, "path"),
        ("path\na//b\n", 2, "path"),
        ("path,address\na,x\n", 2, "address"),
        ("path,lat\na,200\n", 2, "lat"),
        ("path,lon\na,nan\n", 2, "lon"),
    ],
)
def test_bad_elements_file(tmp_path: Path, text: str, line_number: int, field: str) -> None:
    """Mistakes in elements.csv name that file, the line and the field."""
    path = write(tmp_path / "e.csv", text)
    with pytest.raises(InputProblems) as caught:
        load_inventory(write(tmp_path / "i.csv", csv_of([line("L1")])), elements_path=path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.field) == (str(path), line_number, field)


def test_levels_by_most_lines(tmp_path: Path) -> None:
    """A level is named as the technology of most lines under it names it; deeper levels than known get a number."""
    rows = [line(f"L{i}", "n/e/a", technology="gpon") for i in range(2)]
    rows += [line(f"M{i}", "n/e/a", technology="dsl") for i in range(3)]
    rows += [line("X", "n/e/b/c/d/e/f/g", technology="docsis"), line("Y", "w/x", technology="steam")]
    elements = load(tmp_path / "i.csv", rows).elements
    kinds = dict(zip(elements.paths, elements.kinds, strict=True))
    assert kinds["n/e/a"] == "msan"
    assert kinds["n/e/b/c/d/e"] == "amplifier"
    assert kinds["n/e/b/c/d/e/f"] == "level-7"
    assert (kinds["w"], kinds["w/x"]) == ("region", "level-2")
