"""Snapshots: whole or not there, the last two kept, no pickles."""

import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.store import files, snapshot
from monitor.store.problems import DiskFull, StoreProblem

ARRAYS = {"engine/belief": np.arange(12.0).reshape(3, 4), "n": np.array([7], np.int64), "text": np.array([b"a", b"bc"])}


def equal(one, other):
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and one[k].tobytes() == other[k].tobytes() for k in one
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**40),
    st.dictionaries(st.text(), hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)), max_size=4),
)
def test_any_arrays_come_back(tmp_path_factory, seq, arrays):
    """Every type and shape comes back bit for bit under any name."""
    folder = tmp_path_factory.mktemp("snapshot")
    snapshot.save(folder, seq, arrays)
    got_seq, got = snapshot.load(folder)
    assert got_seq == seq
    assert equal(got, arrays)


def test_the_last_two_are_kept_and_the_newest_is_loaded(tmp_path):
    """`save` tells up to where the journal may go: the older of the two snapshots kept."""
    assert [snapshot.save(tmp_path, seq, ARRAYS) for seq in (5, 9, 30)] == [-1, 5, 9]
    assert len(list(tmp_path.iterdir())) == 2
    assert snapshot.load(tmp_path)[0] == 30


@pytest.mark.parametrize("damage", ["cut", "bit in the head", "bit in an array", "empty"])
def test_a_damaged_snapshot_falls_back_to_the_one_before(tmp_path, caplog, damage):
    """The damaged file is set aside and named in the log; the older one serves."""
    snapshot.save(tmp_path, 5, ARRAYS)
    snapshot.save(tmp_path, 9, {"x": np.zeros(99)})
    path = max(tmp_path.glob("*.fls"))
    raw = path.read_bytes()
    head = raw[:8] + bytes([raw[8] ^ 1]) + raw[9:]
    array = raw[:-50] + bytes([raw[-50] ^ 1]) + raw[-49:]
    path.write_bytes({"cut": raw[:-3], "bit in the head": head, "bit in an array": array, "empty": b""}[damage])
    seq, arrays = snapshot.load(tmp_path)
    assert seq == 5
    assert equal(arrays, ARRAYS)
    assert path.name in caplog.text
    assert snapshot.load(tmp_path)[0] == 5


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    """A snapshot that was being written when the process died is never loaded, and goes with the next one."""
    snapshot.save(tmp_path, 5, ARRAYS)
    (tmp_path / f".snapshot-{6:020d}.fls.new").write_bytes(b"FLS\x01half")
    assert snapshot.load(tmp_path)[0] == 5
    snapshot.save(tmp_path, 7, ARRAYS)
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_there_is_none(tmp_path):
    """A first start finds no snapshot."""
    assert snapshot.load(tmp_path / "none") is None


def test_a_newer_format_is_refused(tmp_path):
    """A snapshot of a later version is not taken for damage."""
    snapshot.save(tmp_path, 5, ARRAYS)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"FLS\x63" + path.read_bytes()[4:])
    with pytest.raises(StoreProblem, match="newer Faultline"):
        snapshot.load(tmp_path)
    assert path.exists()


def test_objects_are_refused(tmp_path):
    """An array of Python objects would need pickle: it is an error, and the snapshot before stays."""
    snapshot.save(tmp_path, 5, ARRAYS)
    with pytest.raises(ValueError):
        snapshot.save(tmp_path, 6, {"x": np.array([{}], object)})
    assert snapshot.load(tmp_path)[0] == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_no_room_leaves_the_old_one(tmp_path, monkeypatch):
    """A disk that is full when the file is synced: DiskFull, nothing half-written stays, the old snapshot serves."""
    snapshot.save(tmp_path, 5, ARRAYS)

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DiskFull, match="free some space"):
        snapshot.save(tmp_path, 6, ARRAYS)
    assert [p.name for p in tmp_path.iterdir()] == [f"snapshot-{5:020d}.fls"]
