"""Backup while everything moves, and restore: whole, or nothing."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.store import snapshot
from monitor.store.backup import MANIFEST, backup
from monitor.store.database import UNFINISHED
from monitor.store.journal import Journal
from monitor.store.problems import StoreLocked, StoreProblem
from monitor.store.restore import restore
from monitor.store.samples import open_sample_store
from monitor.store.settings import InfluxSettings, StoreSettings
from monitor.store.state import StateStore
from tests.store import world
from tests.store.incidents import change

ROOT = Path(__file__).parents[2]
# What the core loop does, as fast as it can: journal, state, samples, every 20 entries a snapshot; joining meanwhile.
WRITER = """
import sys, threading
from pathlib import Path
import numpy as np
from monitor.clock import ManualClock
from monitor.metrics import Metrics
from monitor.store import snapshot
from monitor.store.journal import Journal
from monitor.store.samples import open_sample_store
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.store import world
from tests.store.incidents import change
own = StoreSettings(folder=sys.argv[1])
folder = Path(own.folder)
samples = open_sample_store(own, Metrics(), ManualClock(world.T0 + 10**13))
journal, state = Journal(folder / "journal", segment_bytes=20_000), StateStore.open(own)
inventory = world.inventory(Path(sys.argv[2]), 200)
def keep():
    while True:
        samples.keep()
threading.Thread(target=keep, daemon=True).start()
while True:
    at_ns = world.T0 + (journal.seq + 1) * 60 * 10**9
    rounds = [world.probes(inventory, at_ns, 5.0)]
    seq = journal.append(at_ns, rounds, [])
    state.apply(seq, [change("opened", seq)])
    samples.append(seq, rounds, inventory)
    if seq % 5 == 0:
        samples.flush()
    if seq % 20 == 0:
        samples.flush()
        journal.discard_through(snapshot.save(folder / "snapshots", seq, {"seq": np.array([seq])}))
    print(seq, flush=True)
"""


def test_a_backup_of_a_store_in_motion_is_as_after_a_crash(tmp_path):
    """Archives taken while a process writes, joins and snapshots all the time: in each, the journal goes from the
    snapshot without a gap to beyond what state and samples know, and every sample they say they have is there once."""
    own = StoreSettings(folder=str(tmp_path / "data"))
    command = [sys.executable, "-c", WRITER, own.folder, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        archives = []
        for number in range(3):
            for _ in range(30):
                assert process.stdout is not None
                said = int(process.stdout.readline())
            archives.append((tmp_path / f"{number}.tar{'.gz' if number else ''}", said))
            backup(own, archives[-1][0], "now")
        process.kill()
    for path, said in archives:
        copy = StoreSettings(folder=str(tmp_path / path.name.split(".")[0]))
        restore(copy, path, "x")
        folder = Path(copy.folder)
        found = snapshot.load(folder / "snapshots")
        assert found is not None
        after, arrays = found
        assert arrays["seq"].tolist() == [after]
        journal, state = Journal(folder / "journal"), StateStore.open(copy)
        entries = [seq for seq, *_ in journal.replay(after)]
        assert entries == list(range(after + 1, journal.seq + 1))
        assert journal.seq >= state.applied_seq
        assert state.applied_seq >= said - 1
        incident = state.incident("i1")
        assert incident is not None
        assert incident.revision == state.applied_seq
        samples = open_sample_store(copy, Metrics(), ManualClock(world.T0))
        last = samples.last_seq()
        assert after <= last <= journal.seq
        history = samples.line_history("line-00050", world.T0, world.T0 + 10**5 * NS, 10**5)
        assert history.at_ns.tolist() == [world.T0 + i * 60 * NS for i in range(1, last + 1)]
        assert history.sent.sum() == last
        samples.close()
        state.close()


@pytest.fixture
def made(tmp_path, clock):
    """A small store that is at rest, its settings and an archive of it."""
    own = StoreSettings(folder=str(tmp_path / "data"))
    inventory = world.inventory(tmp_path, 20)
    state, journal = StateStore.open(own), Journal(tmp_path / "data" / "journal")
    samples = open_sample_store(own, Metrics(), clock)
    seq = journal.append(world.T0, [world.probes(inventory, world.T0)], [])
    state.apply(seq, [change("opened", 1)])
    samples.append(seq, [world.probes(inventory, world.T0)], inventory)
    samples.close()
    state.close()
    archive = tmp_path / "a.tar"
    backup(own, archive, "2026-01-01T00:00:00Z")
    return own, archive


def content(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file() and p.name != "faultline.lock"
    }


def test_what_was_there_is_set_aside(made):
    """Restoring over a store keeps the old files under before-restore-STAMP, and says where."""
    own, archive = made
    before = content(own.folder)
    _, kept = restore(own, archive, "20260101T000000")
    assert kept == Path(own.folder) / "before-restore-20260101T000000"
    assert content(kept) == before
    state = StateStore.open(own)
    assert state.incident("i1") is not None
    state.close()


def test_a_running_daemon_is_not_restored_under(made):
    """With the store locked by a daemon, restore refuses, names the process, and changes nothing."""
    own, archive = made
    state = StateStore.open(own)
    state.lock(Path(own.folder))
    before = content(own.folder)
    with pytest.raises(StoreLocked, match="process"):
        restore(own, archive, "x")
    assert content(own.folder) == before
    state.close()


def test_an_interrupted_restore_keeps_the_daemon_from_starting(made):
    """While the mark of an unfinished restore stands in the folder no daemon gets the store; restoring to the end
    removes it."""
    own, archive = made
    (Path(own.folder) / UNFINISHED).touch()
    state = StateStore.open(own)
    with pytest.raises(StoreProblem, match="half restored"):
        state.lock(Path(own.folder))
    state.close()
    restore(own, archive, "x")
    state = StateStore.open(own)
    state.lock(Path(own.folder))
    state.close()


def foreign(path, members, **kinds):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            head = tarfile.TarInfo(name)
            head.size = len(data)
            head.type = kinds.get("type", tarfile.REGTYPE)
            tar.addfile(head, io.BytesIO(data))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"../../etc/cron.d/x": b"x"}, "is not a backup"),
        ({"/etc/passwd": b"x"}, "is not a backup"),
        ({"journal/../../x": b"x"}, "is not a backup"),
        ({"notes.txt": b"x"}, "is not a backup"),
        ({"journal/journal-1.log": b"x"}, "ends before its manifest"),
        ({MANIFEST: b"{}"}, "cannot be read"),
    ],
)
def test_foreign_archives_change_nothing(tmp_path, members, words):
    """Names that lead outside, unknown files, missing and senseless manifests are refused before anything is moved."""
    archive = tmp_path / "x.tar"
    foreign(archive, members)
    own = StoreSettings(folder=str(tmp_path / "data"))
    with pytest.raises(StoreProblem, match=words):
        restore(own, archive, "x")
    assert content(own.folder) == {}
    assert not (tmp_path / "etc").exists()


def test_links_in_an_archive_are_refused(tmp_path):
    """A symbolic link under one of our names is not followed but refused."""
    archive = tmp_path / "x.tar"
    foreign(archive, {"journal/journal-1.log": b""}, type=tarfile.SYMTYPE)
    with pytest.raises(StoreProblem, match="is not a backup"):
        restore(StoreSettings(folder=str(tmp_path / "data")), archive, "x")


@given(st.data())
def test_every_damage_is_found(tmp_path_factory, data):
    """Whatever byte of an archive is changed, and wherever it is cut off: refused, and nothing in the folder."""
    base = tmp_path_factory.getbasetemp() / "damage"
    own = StoreSettings(folder=str(base / "data"))
    archive = base / "a.tar"
    if not archive.exists():
        journal = Journal(base / "data" / "journal")
        for _ in range(3):
            journal.append(world.T0, [], [])
        snapshot.save(base / "data" / "snapshots", 2, {"x": np.arange(100)})
        backup(own, archive, "now")
    raw = bytearray(archive.read_bytes())
    if data.draw(st.booleans()):
        with tarfile.open(archive) as tar:
            spans = [(m.offset_data, m.size) for m in tar if m.name != MANIFEST]
        start, size = data.draw(st.sampled_from(spans))
        raw[start + data.draw(st.integers(0, size - 1))] ^= data.draw(st.integers(1, 255))
    else:
        with tarfile.open(archive) as tar:
            end = max(m.offset_data + m.size for m in tar)
        del raw[data.draw(st.integers(0, end - 1)) :]
    bad = base / "bad.tar"
    bad.write_bytes(raw)
    target = StoreSettings(folder=str(base / "target"))
    with pytest.raises(StoreProblem):
        restore(target, bad, "x")
    assert content(target.folder) == {}


def test_a_newer_archive_is_refused(made, tmp_path):
    """An archive whose manifest has a newer format says which version to run."""
    own, archive = made
    newer = tmp_path / "newer.tar"
    with tarfile.open(archive) as old, tarfile.open(newer, "w") as tar:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            body = file.read()
            if member.name == MANIFEST:
                manifest = msgspec.json.decode(body)
                body = msgspec.json.encode({**manifest, "format": 99, "faultline": "9.9"})
                member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    with pytest.raises(StoreProblem, match=r"newer Faultline \(9.9\)"):
        restore(own, newer, "x")


def test_state_elsewhere_is_said(made, tmp_path):
    """With the SQL state in PostgreSQL the archive has no state and says so; one with state is not restored there."""
    own, archive = made
    elsewhere = StoreSettings(
        folder=own.folder, state_url="postgresql+pg8000://u@127.0.0.1/x", influxdb=InfluxSettings()
    )
    manifest = backup(elsewhere, tmp_path / "b.tar", "now")
    assert manifest.state == "elsewhere"
    assert "state.sqlite" not in manifest.files
    with pytest.raises(StoreProblem, match="state_url"):
        restore(elsewhere, archive, "x")


def test_no_store_no_archive(tmp_path):
    """A folder that does not exist gives an error and no file."""
    with pytest.raises(StoreProblem, match="does not exist"):
        backup(StoreSettings(folder=str(tmp_path / "none")), tmp_path / "a.tar", "now")
    assert list(tmp_path.iterdir()) == []
