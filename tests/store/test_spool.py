"""The spool: what it took is given back in order until it is acknowledged, whatever happens in between."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monitor.store.problems import DiskFull
from monitor.store.samples import spool as module
from monitor.store.samples.spool import Spool


def payload(number, size=400):
    return f"{number:08d}".encode() * (size // 8)


def fill(spool, numbers, size=400):
    for number in numbers:
        spool.append(1000 + number, number, [(10, payload(number, size))])


def drain(spool, backlog_first=False):
    got = []
    while True:
        one, other = (spool.backlog, spool.live) if backlog_first else (spool.live, spool.backlog)
        record = one() or other()
        if record is None:
            return got
        assert record.payload == payload(int(record.payload[:8]), len(record.payload))
        got.append(int(record.payload[:8]))
        spool.acknowledge(record)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)


def test_batches_come_back_in_order_until_acknowledged(tmp_path):
    """The same batch is given again and again until it is acknowledged, also after a restart; files go when done."""
    spool = Spool(tmp_path, 1 << 20)
    fill(spool, range(20))
    assert spool.live().seq == spool.live().seq == 0
    spool.acknowledge(spool.live())
    spool.close()
    spool = Spool(tmp_path, 1 << 20)
    assert spool.seq == 19
    assert spool.pending()[1] == 1001
    assert drain(spool) == list(range(1, 20))
    assert spool.pending() == (0, 0)
    assert len(list(tmp_path.glob("*.seg"))) == 1
    spool.close()
    spool = Spool(tmp_path, 1 << 20)
    assert spool.seq == 19
    fill(spool, [20])
    assert drain(spool) == [20]


def test_after_an_outage_live_batches_go_first(tmp_path):
    """What waited becomes backlog: new batches overtake it, and it follows in order, also across a restart."""
    spool = Spool(tmp_path, 1 << 20)
    fill(spool, range(5))
    spool.acknowledge(spool.live())
    spool.set_back()
    fill(spool, [10, 11])
    assert spool.live().seq == 10
    spool.acknowledge(spool.live())
    spool.close()
    spool = Spool(tmp_path, 1 << 20)
    assert drain(spool) == [11, 1, 2, 3, 4]


def test_many_outages_lose_nothing(tmp_path):
    """More outages than the spool keeps apart: every batch still comes at least once."""
    spool = Spool(tmp_path, 1 << 20)
    sent = []
    for outage in range(12):
        fill(spool, range(outage * 10, outage * 10 + 3))
        record = spool.live()
        sent.append(record.seq)
        spool.acknowledge(record)
        spool.set_back()
    sent += drain(spool)
    assert set(sent) == {o * 10 + i for o in range(12) for i in range(3)}


def test_a_lost_note_of_what_is_done_sends_again(tmp_path):
    """Without done.json, or with rubbish in it, everything still there comes again; nothing is skipped."""
    spool = Spool(tmp_path, 1 << 20)
    fill(spool, range(3))
    spool.acknowledge(spool.live())
    spool.close()
    for spoil in (lambda p: p.unlink(), lambda p: p.write_text("{"), lambda p: p.write_bytes(b"")):
        spoil(tmp_path / "done.json")
        spool = Spool(tmp_path, 1 << 20)
        assert spool.live().seq == 0
        spool.acknowledge(spool.live())
        spool.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_tail_costs_only_the_torn_batch(tmp_path, cut):
    """The end of the last segment is missing: the batches before it are there, and new ones follow."""
    spool = Spool(tmp_path, 1 << 20)
    fill(spool, range(3))
    spool.close()
    (path,) = tmp_path.glob("*.seg")
    path.write_bytes(path.read_bytes()[:-cut])
    spool = Spool(tmp_path, 1 << 20)
    assert spool.seq == 1
    fill(spool, [7])
    assert drain(spool) == [0, 1, 7]


def test_a_flipped_bit_costs_the_rest_of_its_segment(tmp_path, caplog):
    """A damaged batch is never sent; the next segment is, and the loss is counted and said."""
    spool = Spool(tmp_path, 1 << 20)
    fill(spool, range(12))
    first = min(tmp_path.glob("*.seg"))
    raw = bytearray(first.read_bytes())
    raw[600] ^= 4
    first.write_bytes(raw)
    got = drain(spool)
    assert got[0] == 0
    assert got[-1] == 11
    assert 1 not in got
    assert spool.damaged_bytes > 0
    assert "damaged" in caplog.text


def test_the_cap_drops_by_policy_and_counts(tmp_path):
    """At its cap the spool drops the oldest or refuses the newest, as told, and says how many points went."""
    spool = Spool(tmp_path / "oldest", 8000, drop_oldest=True)
    fill(spool, range(50))
    assert spool.size_bytes <= 8000
    got = drain(spool)
    assert got == list(range(50 - len(got), 50))
    assert spool.dropped_points == 10 * (50 - len(got))
    spool = Spool(tmp_path / "newest", 8000, drop_oldest=False)
    fill(spool, range(50))
    assert spool.seq == 49
    got = drain(spool)
    assert got == list(range(len(got)))
    assert spool.dropped_points == 10 * (50 - len(got))


def test_no_room_is_said_and_nothing_is_half_there(tmp_path, monkeypatch):
    """A write that fails half-way raises DiskFull; with room again, the same batch is taken once."""
    spool = Spool(tmp_path, 1 << 20)
    fill(spool, [0])
    real = os.write

    def full(handle, data):
        real(handle, bytes(data[:9]))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull, match="free some space"):
        fill(spool, [1])
    assert spool.seq == 0
    monkeypatch.setattr(os, "write", real)
    fill(spool, [1])
    spool.close()
    assert drain(Spool(tmp_path, 1 << 20)) == [0, 1]


class Life(RuleBasedStateMachine):
    """Appending, sending, outages, kills with torn tails, in any order: everything is sent, in order within live and
    backlog, and nothing acknowledged comes again."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.spool = Spool(Path(self.folder.name), 1 << 20)
        self.waiting, self.next, self.outages = set(), 0, 0

    @rule(count=st.integers(1, 4), size=st.sampled_from([8, 400, 3000]))
    def append(self, count, size):
        numbers = range(self.next, self.next + count)
        self.spool.append(1, self.next + count, [(1, payload(n, size)) for n in numbers])
        self.waiting |= set(numbers)
        self.next += count

    @rule(live=st.booleans())
    def send(self, live):
        record = self.spool.live() if live else self.spool.backlog()
        if record is not None:
            number = int(record.payload[:8])
            assert number in self.waiting
            self.spool.acknowledge(record)
            self.waiting.discard(number)

    @precondition(lambda self: self.outages < module.MAX_SPANS - 1)  # beyond, some are sent again
    @rule()
    def outage(self):
        self.outages += 1
        self.spool.set_back()

    @rule(rubbish=st.binary(max_size=30))
    def kill(self, rubbish):
        self.spool.close()
        segments = sorted(Path(self.folder.name).glob("*.seg"))
        if segments:
            with segments[-1].open("ab") as file:
                file.write(rubbish)
        self.spool = Spool(Path(self.folder.name), 1 << 20)

    @invariant()
    def nothing_waits_unseen(self):
        if hasattr(self, "spool"):
            assert bool(self.spool.pending()[0]) == bool(self.waiting)

    def teardown(self):
        if hasattr(self, "spool"):
            assert set(drain(self.spool)) == self.waiting
            self.spool.close()
            self.folder.cleanup()


Life.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
