"""Slices of the inventory: the same everywhere, of even size, and hardly moved by a prober more."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.inventory import StringColumn
from monitor.inventory.slices import NAMES_MAX, Slices, hashes

IDS = [f"L{i:07d}" for i in range(20_000)]


def owners(names: list[str], ids: list[str] = IDS) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    return Slices(names)._owners(hashes(StringColumn.of(ids)))


def test_shares_are_even_and_do_not_hang_on_the_order_of_names() -> None:
    """Five probers get a fifth each, give or take what chance gives, however the names are ordered."""
    owner = owners(["a", "b", "c", "d", "e"])
    counts = np.bincount(owner, minlength=5)
    assert (np.abs(counts - 4000) < 5 * np.sqrt(4000)).all()
    assert (owners(["e", "d", "c", "b", "a"]) == owner).all()


def test_a_prober_more_moves_only_its_own_share() -> None:
    """Lines that change hands all go to the new prober, and about a fourth of them do."""
    before, after = owners(["a", "b", "c"]), owners(["a", "b", "c", "d"])
    moved = before != after
    assert (after[moved] == 3).all()
    assert 0.22 < moved.mean() < 0.28


def test_every_machine_comes_to_the_same_slices() -> None:
    """Unlike Python's own, the hash is the same in another process with another seed."""
    code = (
        "from monitor.inventory import StringColumn; from monitor.inventory.slices import hashes;"
        "print(hashes(StringColumn.of(['L1', '', 'Zürich-7'])).tolist())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{hashes(StringColumn.of(['L1', '', 'Zürich-7'])).tolist()}\n"}


@given(st.lists(st.text(max_size=30), min_size=1, max_size=40))
def test_a_text_has_one_hash_wherever_it_stands(texts: list[str]) -> None:
    """The columns' hash of a text is that of the text alone."""
    together = hashes(StringColumn.of(texts)).tolist()
    assert together == [int(hashes(StringColumn.of([text]))[0]) for text in texts]


def test_names_must_be_told_apart() -> None:
    """None, one twice, an empty one, or too many are refused."""
    for names in ([], ["a", "a"], ["a", ""], [str(i) for i in range(NAMES_MAX + 1)]):
        with pytest.raises(ValueError, match="name of its own"):
            Slices(names)
