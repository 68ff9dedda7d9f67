"""What may happen to the embedded store: kills, damaged and missing segments, full disks, old data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import ValueKind
from monitor.store.journal import Journal
from monitor.store.outbox import Outbox
from monitor.store.problems import DiskFull, StoreProblem
from monitor.store.samples import keeper, open_sample_store
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.store import world
from tests.store.incidents import change

T0, HOUR = world.T0, 3600 * NS
ROOT = Path(__file__).parents[2]


class MovedClock(ManualClock):
    def move(self, at_ns):
        self._now = at_ns


@pytest.fixture
def inventory(tmp_path):
    return world.inventory(tmp_path, 200)


@pytest.fixture
def clock():
    return MovedClock(T0)


@pytest.fixture
def own(tmp_path):
    return StoreSettings(folder=str(tmp_path / "data"))


def opened(own, clock=None, metrics=None):
    return open_sample_store(own, metrics or Metrics(), clock or ManualClock(T0))


def fill(store, inventory, seqs, step_s=60):
    for seq in seqs:
        rounds = [
            world.probes(inventory, T0 + seq * step_s * NS, np.arange(len(inventory)) + seq),
            world.values(inventory, T0 + seq * step_s * NS, ValueKind.SNR_DB, seq),
        ]
        store.append(seq, rounds, inventory)
        assert store.flush()


def segments(own):
    return sorted(Path(own.folder).rglob("*.parquet"))


def everything(store, inventory, hours=60):
    return [store.line_history(inventory.line_id(i), T0, T0 + hours * HOUR, 10**5) for i in (0, 77, 199)]


def same(one, other):
    for a, b in zip(one, other, strict=True):
        for name in ("at_ns", "sent", "received", "rtt_ms", "rtt_min_ms"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_joining_segments_changes_no_answer(own, inventory, clock):
    """Small segments are joined, a finished hour becomes one per kind; every history stays as it was, for lines as for
    values, and late rounds for a finished hour are found too."""
    store = opened(own, clock)
    fill(store, inventory, range(1, 31))
    before, many = everything(store, inventory), len(segments(own))
    store.keep()
    assert len(segments(own)) < many
    same(everything(store, inventory), before)
    clock.move(T0 + 5 * HOUR)
    store.keep()
    assert len(segments(own)) == 2
    same(everything(store, inventory), before)
    fill(store, inventory, [31])
    late = world.probes(inventory, T0 + 90 * NS, 1.0)
    store.append(32, [late], inventory)
    assert store.flush()
    store.keep()
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR, 10**5).sent.sum() == 32
    assert len(store.values_history(inventory.line_id(0), ValueKind.SNR_DB, T0, T0 + HOUR, 10**5)) == 31
    store.close()


def test_a_large_hour_is_joined_by_ranges_of_lines(own, inventory, clock, monkeypatch):
    """When an hour has too many rows to be sorted at once, it becomes several segments; a line is read from one."""
    monkeypatch.setattr(keeper, "SEGMENT_ROWS", 1000)
    store = opened(own, clock)
    fill(store, inventory, range(1, 21))
    before = everything(store, inventory)
    clock.move(T0 + 5 * HOUR)
    store.keep()
    assert len([p for p in segments(own) if "probes" in str(p)]) == 5
    same(everything(store, inventory), before)
    store.close()
    store = opened(own, clock)
    same(everything(store, inventory), before)
    store.close()


def test_old_hours_and_roll_ups_are_forgotten(own, inventory, clock):
    """What is older than its retention is unlinked, with nothing left in the folders; the rest stays."""
    own = msgspec.structs.replace(own, retention_days=0.5, rollup_1m_days=0.5, rollup_1h_days=0)
    store = opened(own, clock)
    fill(store, inventory, [1, 2])
    store.append(3, [world.probes(inventory, T0 + 20 * HOUR, 5.0)], inventory)
    for at in (T0, T0 + HOUR, T0 + 20 * HOUR):
        store.rollup(at, inventory, np.ones(200, np.uint8), np.ones(200, np.float32))
    assert store.flush()
    clock.move(T0 + 21 * HOUR)
    store.keep()
    assert len(segments(own)) == 1
    assert store.line_history(inventory.line_id(0), T0, T0 + 30 * HOUR, 10**5).sent.tolist() == [1]
    assert len(store.element_history("", T0, T0 + 24 * HOUR, 10**4)) == 1
    assert len(store.element_history("", T0 - HOUR, T0 + 24 * HOUR, 25)) == 2
    assert store.last_seq() == 3
    store.close()


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_segment_is_set_aside_and_the_rest_is_read(own, inventory, caplog, damage):
    """The damaged file is named in the log and kept under another name; every other round is answered."""
    store = opened(own)
    fill(store, inventory, range(1, 6))
    victim = next(p for p in segments(own) if "probes" in str(p) and "000003-" in p.name)
    raw = victim.read_bytes()
    flipped = bytes([*raw[:300], raw[300] ^ 1, *raw[301:]])
    victim.write_bytes({"cut": raw[:-20], "bit": flipped, "empty": b""}[damage])
    store.close()
    store = opened(own)
    if damage == "bit":  # it decodes, and only the checksum tells
        store.keep()
    got = store.line_history(inventory.line_id(0), T0, T0 + HOUR, 10**5)
    assert got.sent.sum() == 4
    assert victim.name.removesuffix(".parquet") in caplog.text
    assert victim.with_suffix(".damaged").exists()
    fill(store, inventory, [6])
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR, 10**5).sent.sum() == 5
    store.close()


def test_a_damaged_segment_does_not_stop_the_keeper(own, inventory, clock, caplog):
    """Found while joining, it is set aside, and the next pass joins the others."""
    store = opened(own, clock)
    fill(store, inventory, range(1, 10))
    victim = next(p for p in segments(own) if "probes" in str(p))
    victim.write_bytes(b"PAR1 nothing PAR1")
    clock.move(T0 + 5 * HOUR)
    store.keep()
    store.keep()
    assert "set aside" in caplog.text
    assert len(segments(own)) == 2
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR, 10**5).sent.sum() == 8
    store.close()


def test_a_flipped_bit_is_not_joined_into_what_is_whole(own, inventory, clock, caplog):
    """A segment that still decodes, but not to what was written, is recognised by its checksum before it is joined."""
    store = opened(own, clock)
    fill(store, inventory, range(1, 10))
    victim = next(p for p in segments(own) if "probes" in str(p))
    raw = victim.read_bytes()
    victim.write_bytes(raw[:300] + bytes([raw[300] ^ 1]) + raw[301:])
    clock.move(T0 + 5 * HOUR)
    store.keep()
    store.keep()
    assert "wrong checksum" in caplog.text
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR, 10**5).sent.sum() == 8
    store.close()


def test_a_missing_segment_is_said_at_start(own, inventory, caplog):
    """A file that somebody removed is named; what a crash left unfinished is cleaned away."""
    store = opened(own)
    fill(store, inventory, [1, 2])
    store.close()
    gone, kept = (p for p in segments(own) if "probes" in str(p))
    gone.unlink()
    left_over = kept.with_name("000000000000099-000000000000099-0-00000000.parquet")
    shutil.copy(kept, left_over)
    half = kept.with_name(".half.parquet.new")
    half.write_bytes(b"x")
    store = opened(own)
    assert gone.name in caplog.text
    assert not left_over.exists()
    assert not half.exists()
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR, 10**5).sent.sum() == 1
    store.close()


def test_a_damaged_catalog_says_what_to_do(own):
    """Without the catalog the segments have no names: the start is refused with the ways out."""
    opened(own).close()
    for path in (Path(own.folder) / "samples").glob("catalog.sqlite*"):
        path.write_bytes(b"no database at all, " * 500)
    with pytest.raises(StoreProblem, match="restore it from a backup, or move"):
        opened(own)


WRITER = """
import sys, threading
from pathlib import Path
from monitor.clock import ManualClock
from monitor.metrics import Metrics
from monitor.store.samples import open_sample_store
from monitor.store.outbox import Outbox
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.store import world
store = open_sample_store(StoreSettings(folder=sys.argv[1]), Metrics(), ManualClock(world.T0 + 10**13))
inventory = world.inventory(Path(sys.argv[2]), 200)
def keep():
    while True:
        store.keep()
threading.Thread(target=keep, daemon=True).start()
seq = max(store.last_seq(), 0)
while True:
    seq += 1
    store.append(seq, [world.probes(inventory, world.T0 + seq * 60 * 10**9, 5.0)], inventory)
    assert store.flush()
    print(store.last_seq(), flush=True)
"""


def test_kill_9_while_writing_and_joining_loses_and_doubles_nothing(tmp_path, own, inventory):
    """A process that writes and joins segments all the time is killed twice; afterwards every round up to `last_seq`
    is there exactly once, and `last_seq` is at least what the process had said."""
    said = 0
    for _ in range(2):
        command = [sys.executable, "-c", WRITER, own.folder, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        for _ in range(25):
            said = int(process.stdout.readline())
        process.kill()
        rest, _ = process.communicate()
        whole = rest.rpartition(b"\n")[0].split()
        said = int(whole[-1]) if whole else said
    store = opened(own)
    last = store.last_seq()
    assert last >= said >= 50
    got = store.line_history(inventory.line_id(50), T0, T0 + 100 * HOUR, 10**5)
    assert got.at_ns.tolist() == [T0 + i * 60 * NS for i in range(1, last + 1)]
    assert got.sent.sum() == last
    store.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB; needs root on Linux."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("mounting a small file system needs root on Linux")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], check=False).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def eat(place):
    """Fill the disk; returns the file to remove."""
    glutton = place / "glutton"
    with glutton.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return glutton


def test_a_full_disk_stops_no_one_and_loses_nothing_kept_in_the_journal(small_disk, inventory, caplog):
    """The samples' trouble is said once, `last_seq` stays where it was; with room again everything is written."""
    own, metrics = StoreSettings(folder=str(small_disk / "data")), Metrics()
    store = opened(own, metrics=metrics)
    fill(store, inventory, [1])
    glutton = eat(small_disk)
    for seq in (2, 3):
        store.append(seq, [world.probes(inventory, T0 + seq * 60 * NS, 5.0)], inventory)
        assert not store.flush()
    assert store.last_seq() == 1
    assert [t.name for t in metrics.troubles.current()] == ["samples"]
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR).sent.sum() == 3  # what waits is answered too
    glutton.unlink()
    assert store.flush()
    assert store.last_seq() == 3
    assert metrics.troubles.current() == []
    assert caplog.text.count("samples are not written") == 1
    store.close()
    store = opened(own)
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR).sent.sum() == 3
    store.close()


def test_a_full_disk_under_the_state_is_said_and_passes(small_disk):
    """A change that cannot be written is DiskFull, leaves nothing behind, and is written once there is room."""
    store = StateStore(small_disk / "state.sqlite")
    lines = tuple(f"line-{i:06d}" for i in range(3000))
    store.apply(1, [change("opened", 1)])
    glutton = eat(small_disk)
    with pytest.raises(DiskFull, match="free some space"):
        store.apply(2, [change("grew", 2, lines=lines)])
    assert store.incident("i1").revision == 1
    glutton.unlink()
    store.apply(2, [change("grew", 2, lines=lines)])
    assert len(store.incident_lines("i1")) == 3000
    assert Outbox(store).pending("slack", 0)[0].revision == 2
    store.close()


def test_a_full_disk_under_the_journal_is_said_and_passes(small_disk, inventory):
    """The real thing: DiskFull with what to do, nothing half-written, and the same append works once there is room."""
    journal = Journal(small_disk / "journal")
    rounds = [world.probes(inventory, T0, 5.0)]
    assert journal.append(T0, rounds, []) == 1
    glutton = eat(small_disk)
    one_page = [world.probes(inventory, T0, 5.0, round_id=i) for i in range(3)]  # more than what the last page has left
    with pytest.raises(DiskFull, match="free some space"):
        journal.append(T0, one_page, [])
    reached = journal.seq
    glutton.unlink()
    assert journal.append(T0, rounds, []) == reached + 1
    journal.close()
    journal = Journal(small_disk / "journal")
    assert journal.torn_bytes == 0
    assert [seq for seq, *_ in journal.replay(0)] == list(range(1, reached + 2))
    journal.close()
