"""The virtual provider: credible sizes, valid files, and quarters that no element or group covers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.inventory import Bindings, Inventory, Observability, load_inventory
from monitor.lab.isp import MIN_LINES, Isp, _splitters, make_isp
from monitor.lab.isp_files import write_elements, write_inventory

FOLDERS = "inventory.csv", "elements.csv"


def written(isp: Isp, folder: Path) -> Inventory:
    """The provider as the daemon would load it."""
    inventory, elements = (folder / name for name in FOLDERS)
    write_inventory(isp, inventory)
    write_elements(isp, elements)
    return load_inventory(inventory, elements_path=elements)


@pytest.fixture(scope="module")
def isp() -> Isp:
    return make_isp(5000, seed=3)


@pytest.fixture(scope="module")
def inventory(isp: Isp, tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return written(isp, tmp_path_factory.mktemp("isp"))


def test_the_files_load_and_say_what_the_provider_says(isp: Isp, inventory: Inventory) -> None:
    """Every line is in the inventory with its path, address and serial; nodes have their management address."""
    assert len(inventory) == len(isp) == 5000
    for i in range(0, 5000, 37):
        row = inventory.index_of(isp.line_id(i))
        assert row is not None
        line = inventory.line(row)
        assert line.path == isp.leaf_paths[isp.leaf[i]]
        assert [line.address] == (isp.addresses(np.array([i])) or [""])
        assert line.cpe_serial == isp.serial(i)
        assert (line.status == "active") == bool(isp.active[i])
        assert line.technology == ("gpon" if isp.gpon[i] else "dsl")
        assert line.lat == pytest.approx(isp.lat[i], abs=2e-6)
    for node in isp.nodes:
        element = inventory.elements.index_of(node.path)
        assert element is not None
        assert inventory.elements.address[element] == node.address
        assert inventory.elements.kinds[element] == node.kind


def test_everybody_is_somebody(inventory: Inventory) -> None:
    """Line ids, addresses, customers, phones, logins, serials and street addresses are unique."""
    for name in ("line_id", "customer_id", "phone", "login", "cpe_serial", "cpe_endpoint"):
        column = inventory.texts[name]
        assert len({column[i] for i in range(len(inventory))}) == len(inventory), name
    used = inventory.address4[inventory.address4 != 0]
    assert len(np.unique(used)) == len(used)
    assert set((used >> 24).tolist()) == {10}
    assert not ((used >> 16 & 255) == 255).any()
    homes = {tuple(inventory.texts[k][i] for k in ("street", "postcode")) for i in range(len(inventory))}
    assert len(homes) == len(inventory)
    reasons = np.bincount(Bindings(inventory).reason, minlength=5)
    assert reasons[Observability.OBSERVABLE] > 4800
    assert reasons[Observability.CONTESTED] == reasons[Observability.NO_ADDRESS] == 0
    assert inventory.find("+49 30 2312500001")[0].by == "phone"


def test_it_is_the_same_for_the_same_seed(isp: Isp, tmp_path: Path) -> None:
    """Same seed, same bytes; another seed, another provider."""

    def digest(one: Isp) -> str:
        write_inventory(one, tmp_path / "i.csv")
        return hashlib.sha256((tmp_path / "i.csv").read_bytes()).hexdigest()

    assert digest(isp) == digest(make_isp(5000, seed=3)) != digest(make_isp(5000, seed=4))


@given(st.integers(16, 1500), st.integers(0, 2**32))
def test_splitters_are_of_real_sizes(lines: int, seed: int) -> None:
    """Whatever an OLT has to carry, its splitters take exactly that, with 8 to 32 lines each."""
    sizes = _splitters(np.random.default_rng(seed), lines)
    assert sum(sizes) == lines
    assert min(sizes) >= 8
    assert max(sizes) <= 32


@settings(max_examples=25, deadline=None)
@given(st.integers(MIN_LINES, 4000), st.integers(0, 2**32))
def test_any_size_is_a_network(lines: int, seed: int) -> None:
    """Any number of lines gives several regions, exchanges and OLTs, and every line a place in the tree."""
    isp = make_isp(lines, seed)
    assert len(isp) == lines
    assert len(isp.exchange_paths) >= 3
    assert len(set(isp.exchange_region.tolist())) >= 2
    olts = [node for node in isp.nodes if node.kind == "olt"]
    assert all(sum(node.exchange == e for node in olts) >= 2 for e in range(len(isp.exchange_paths)))
    paths = np.array(isp.leaf_paths)[isp.leaf]
    assert (np.diff(isp.leaf) >= 0).all()
    assert all(p.startswith(isp.nodes[n].path + "/") for p, n in zip(paths.tolist(), isp.node.tolist(), strict=True))


def test_too_few_lines_are_refused() -> None:
    """A handful of lines is no network."""
    with pytest.raises(ValueError, match="at least 300 lines, not 10"):
        make_isp(10)


def test_the_network_is_uneven_as_real_ones_are(isp: Isp) -> None:
    """Splitters, PON ports and OLTs differ in size; a minority of lines is DSL."""
    gpon = isp.gpon
    splitters = np.bincount(isp.leaf[gpon])
    splitters = splitters[splitters > 0]
    assert splitters.std() > 5
    assert np.bincount(isp.port[gpon]).max() > 64
    olts = np.bincount(isp.node[gpon])
    olts = olts[olts > 0]
    assert len(olts) >= 10
    assert olts.max() > 1.5 * olts.min()
    assert 0.08 < 1 - gpon.mean() < 0.16


def test_a_quarter_has_no_element_or_group_of_its_own(isp: Isp) -> None:
    """Quarters hang on several splitters, ports and OLTs and two feeders, and no feeder or duct is one quarter."""
    edge = large = 0
    for quarter in np.unique(isp.quarter):
        inside = isp.quarter == quarter
        assert len(np.unique(isp.feeder[inside])) <= 2
        radius = np.hypot(isp.lat[inside] - isp.lat[inside].mean(), isp.lon[inside] - isp.lon[inside].mean())
        assert np.median(radius) * 111 < 0.5
        if inside.sum() < 150:
            continue
        large += 1
        edge += len(np.unique(isp.exchange[inside])) == 2
        assert len(np.unique(isp.leaf[inside])) >= 6
        assert len(np.unique(isp.node[inside])) >= 2
        assert len(np.unique(isp.feeder[inside])) == 2
    assert large >= 10
    assert edge >= 2
    for feeder in np.unique(isp.feeder):
        assert len(np.unique(isp.quarter[isp.feeder == feeder])) <= 2
    # Ducts cross nodes somewhere.
    assert any(len(np.unique(isp.node[isp.duct == d])) > 1 for d in np.unique(isp.duct))
