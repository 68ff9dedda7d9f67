"""The journal: what was acknowledged comes back, bit for bit, whatever happened to the end of the file."""

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.records import EVENT_KINDS, Event, LineValues, ProbeRound, TargetKind
from monitor.store import codec
from monitor.store.journal import SEGMENT_HEAD, Journal
from monitor.store.problems import DiskFull, StoreProblem

INTS = st.integers(-(2**63), 2**63 - 1)


def column(draw, dtype, rows):
    info = np.dtype(dtype)
    return np.frombuffer(draw(st.binary(min_size=rows * info.itemsize, max_size=rows * info.itemsize)), dtype)


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 7))
    names = codec.VALUE_COLUMNS if (values := draw(st.booleans())) else codec.ROUND_COLUMNS
    columns = {name: column(draw, dtype, rows) for name, dtype in names.items()}
    source, generation = draw(st.text()), draw(st.integers(0, 2**31))
    if values:
        return LineValues(source=source, generation=generation, **columns)
    for name in ("rtt_min_ms", "rtt_max_ms", "jitter_ms"):
        if draw(st.booleans()):
            columns[name] = None
    kind, round_id, request_id = draw(st.sampled_from(TargetKind)), draw(INTS), draw(INTS)
    return ProbeRound(
        source=source, generation=generation, kind=kind, round_id=round_id, request_id=request_id, **columns
    )


events = st.builds(
    Event, at_ns=INTS, subject=st.text(), kind=st.sampled_from(sorted(EVENT_KINDS)), value=st.text(), event_id=st.text()
)


def same(one, other):
    """Equal records, columns compared bit for bit (NaN is equal to NaN)."""
    assert type(one) is type(other)
    for name in one.__slots__:
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            assert left.tobytes() == right.tobytes()
        else:
            assert left == right


@settings(max_examples=150, deadline=None)
@given(INTS, st.lists(tables(), max_size=4), st.lists(events, max_size=4))
def test_an_entry_survives_the_codec(now_ns, rounds, happened):
    """Any rounds, values and events come back as they went in, bit for bit."""
    got = codec.decode(b"".join(codec.encode(now_ns, rounds, happened)))
    assert got[0] == now_ns
    assert got[2] == happened
    assert len(got[1]) == len(rounds)
    for one, other in zip(rounds, got[1], strict=True):
        same(one, other)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_rubbish_is_refused(data):
    """Bytes that are no entry raise ValueError and nothing else."""
    with contextlib.suppress(ValueError):
        codec.decode(data)


def a_round(number, rows=5):
    full = np.full(rows, number)
    return ProbeRound(
        source="p",
        generation=1,
        target=np.arange(rows, dtype=np.int32),
        at_ns=full.astype(np.int64),
        sent=full.astype(np.uint16),
        received=full.astype(np.uint16),
        rtt_ms=full.astype(np.float32),
        round_id=number,
    )


def fill(journal, first, count):
    for number in range(first, first + count):
        assert journal.append(number, [a_round(number)], [Event(number, "line-1", "call", "ü")]) == number


def replayed(journal, after=0):
    got = list(journal.replay(after))
    assert all(seq == now_ns == rounds[0].round_id == events[0].at_ns for seq, now_ns, rounds, events in got)
    return [seq for seq, *_ in got]


def test_entries_come_back_in_order_across_segments_and_restarts(tmp_path):
    """Small segments, reopened in between: every entry after the asked one comes back once, in order."""
    journal = Journal(tmp_path, segment_bytes=1500)
    fill(journal, 1, 10)
    journal.close()
    journal = Journal(tmp_path, segment_bytes=1500)
    assert journal.seq == 10
    assert journal.torn_bytes == 0
    fill(journal, 11, 5)
    assert len(list(tmp_path.glob("*.log"))) > 2
    assert replayed(journal) == list(range(1, 16))
    assert replayed(journal, 7) == list(range(8, 16))
    assert replayed(journal, 15) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_tail_torn_anywhere_costs_only_the_torn_entries(data):
    """Cut the file at any byte, or leave rubbish after it: the whole entries before are there, and new ones follow."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        fill(journal, 1, 4)
        journal.close()
        (path,) = Path(folder).glob("*.log")
        whole = path.read_bytes()
        one = (len(whole) - len(SEGMENT_HEAD)) // 4
        cut = data.draw(st.integers(0, len(whole)))
        rubbish = data.draw(st.binary(max_size=40)) if cut >= len(SEGMENT_HEAD) else bytes(data.draw(st.integers(0, 9)))
        path.write_bytes(whole[:cut] + rubbish)
        survivors = max(0, (cut - len(SEGMENT_HEAD)) // one)
        journal = Journal(folder)
        assert replayed(journal) == list(range(1, survivors + 1))
        fill(journal, journal.seq + 1, 2)
        journal.close()
        assert replayed(Journal(folder)) == list(range(1, survivors + 3))


def test_a_flipped_bit_is_found(tmp_path, caplog):
    """A record whose checksum is wrong ends its segment; the next segment is read, and the gap is said."""
    journal = Journal(tmp_path, segment_bytes=700)
    fill(journal, 1, 6)
    first = min(tmp_path.glob("*.log"))
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 1
    first.write_bytes(raw)
    got = replayed(journal)
    assert got[-1] == 6
    assert len(got) < 6
    assert "damaged" in caplog.text
    assert "missing" in caplog.text


def test_discarding_keeps_what_is_still_needed(tmp_path):
    """Segments go once all their entries are settled; numbering goes on, also after a restart with nothing left."""
    journal = Journal(tmp_path, segment_bytes=700)
    fill(journal, 1, 9)
    before = journal.size_bytes
    journal.discard_through(5)
    assert journal.size_bytes < before
    assert set(range(6, 10)) <= set(replayed(journal, 5))
    journal.discard_through(9)
    journal.close()
    journal = Journal(tmp_path, segment_bytes=700)
    assert journal.seq == 9
    fill(journal, 10, 1)
    assert replayed(journal, 9) == [10]


def test_a_lost_journal_does_not_start_over(tmp_path):
    """When others have seen higher numbers, the next entry is numbered after them."""
    journal = Journal(tmp_path)
    journal.continue_after(41)
    assert journal.append(1, [], []) == 42
    journal.close()
    assert Journal(tmp_path).seq == 42


def test_a_newer_format_is_refused_with_what_to_do(tmp_path):
    """A journal of a later version is never cut or overwritten."""
    path = tmp_path / "journal-00000000000000000001.log"
    path.write_bytes(b"FLJ\x09\0\0\0\0rest")
    with pytest.raises(StoreProblem, match="newer Faultline"):
        Journal(tmp_path)
    assert path.read_bytes().endswith(b"rest")


def test_no_room_is_said_and_nothing_is_half_there(tmp_path, monkeypatch):
    """A write that fails half-way raises DiskFull, and the same append works once there is room again."""
    journal = Journal(tmp_path)
    fill(journal, 1, 2)
    real = os.writev

    def full(handle, parts):
        os.write(handle, bytes(parts[0])[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(DiskFull, match="free some space"):
        journal.append(3, [a_round(3)], [])
    monkeypatch.setattr(os, "writev", real)
    fill(journal, 3, 1)
    journal.close()
    assert replayed(Journal(tmp_path)) == [1, 2, 3]


def test_an_entry_is_synced_before_its_number_is_given(tmp_path, monkeypatch):
    """What a power loss would take is not acknowledged: each append syncs the very file it wrote."""
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(os.fstat(handle).st_size))
    journal = Journal(tmp_path)
    sizes = []
    for number in (1, 2, 3):
        fill(journal, number, 1)
        sizes.append(journal.size_bytes)
    assert synced[-3:] == sizes


WRITER = """
import sys
import numpy as np
from monitor.records import Event, ProbeRound
from monitor.store.journal import Journal
journal = Journal(sys.argv[1], segment_bytes=5000)
number = journal.seq
while True:
    number += 1
    column = np.full(5, number)
    sent = column.astype(np.uint16)
    line, rtt = np.arange(5, dtype=np.int32), column.astype(np.float32)
    one = ProbeRound("p", 1, line, column, sent, sent, rtt, round_id=number)
    assert journal.append(number, [one], [Event(number, "line-1", "call", "")]) == number
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_acknowledged(tmp_path):
    """A process that appends is killed twice; each entry whose number it said is there afterwards."""
    said = 0
    for _ in range(2):
        root = Path(__file__).parents[2]
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
        try:
            for _ in range(40):
                said = int(process.stdout.readline())
        finally:
            process.kill()
            rest = process.stdout.read()
            process.stdout.close()
            process.wait()
        whole = rest.rpartition(b"\n")[0].split()
        said = int(whole[-1]) if whole else said
        journal = Journal(tmp_path)
        got = replayed(journal)
        journal.close()
        assert got == list(range(1, len(got) + 1))
        assert len(got) >= said
