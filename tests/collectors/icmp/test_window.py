"""The sequence table against a dictionary that does the same slowly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.icmp.window import ANSWERED, PENDING, Window

STARTS = (0, 2**16 - 3, 2**32 - 5, 2**64 - 10_000)


def push(window: Window, count: int, at_ns: int, first_row: int = 0) -> None:
    serials = np.arange(window.next, window.next + count, dtype=np.uint64)
    window.push(
        1, np.arange(first_row, first_row + count, dtype=np.int32), 0, np.full(count, at_ns), serials, serials, serials
    )


def started_at(serial: int, capacity: int = 4) -> Window:
    window = Window(capacity)
    window.head = window.next = serial
    return window


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 40)),
        st.tuples(st.just("answer"), st.integers(0, 10**6)),
        st.tuples(st.just("taint"), st.just(0)),
        st.tuples(st.just("expire"), st.integers(0, 30)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(STARTS), st.sampled_from([1, 4, 64]), steps)
def test_the_table_behaves_like_a_dictionary(start: int, capacity: int, script: list[tuple[str, int]]) -> None:
    """Whatever is entered, answered, tainted and expired, in any order, around any wrap, with a ring too small for
    it: every probe leaves exactly once, with its own row and the right fate."""
    window = started_at(start, capacity)
    model: dict[int, list[int]] = {}  # serial -> [sent_ns, row, answered, tainted]
    for now, (what, amount) in enumerate(script, 1):
        if what == "push":
            for i in range(amount):
                model[window.next + i] = [now, (window.next + i) % 1000, 0, 0]
            serials = np.arange(window.next, window.next + amount, dtype=np.uint64)
            rows = (serials % np.uint64(1000)).astype(np.int32)
            window.push(1, rows, 0, np.full(amount, now), serials, serials, serials)
        elif what == "answer" and model:
            serial = sorted(model)[amount % len(model)]
            inside, at = window.find(np.array([serial], np.uint64))
            assert inside[0]
            assert window.row[at[0]] == model[serial][1]
            window.state[at[0]] = ANSWERED
            model[serial][2] = 1
        elif what == "taint":
            window.taint()
            for entry in model.values():
                entry[3] |= not entry[2]
        elif what == "expire":
            gone = [serial for serial, entry in sorted(model.items()) if entry[0] <= now - amount]
            lost = [model[serial] for serial in gone if not model[serial][2]]
            expired = window.expire(now - amount)
            assert (expired.row.tolist() if expired else []) == [entry[1] for entry in lost]
            assert (expired.uncertain.tolist() if expired else []) == [bool(entry[3]) for entry in lost]
            for serial in gone:
                del model[serial]
        assert len(window) == len(model)
    outside = np.array([window.head - 1 if window.head else window.next, window.next], np.uint64)
    assert not window.find(outside)[0].any()


def test_it_does_not_run_out() -> None:
    """A hundred thousand probes on their way at once, far beyond 65,536, are all found again."""
    window = started_at(2**32 - 50_000)
    for block in range(100):
        push(window, 1000, block, block * 1000)
    assert window.capacity >= len(window) == 100_000
    inside, at = window.find(np.arange(2**32 - 50_000, 2**32 + 50_000, dtype=np.uint64))
    assert inside.all()
    assert (window.row[at] == np.arange(100_000)).all()
    assert (window.state[at] == PENDING).all()


def test_it_does_not_grow_for_nothing() -> None:
    """A million probes of which few are on their way at once leave the ring as it was."""
    window = Window(1024)
    for block in range(1000):
        push(window, 1000, block)
        window.expire(block)
    assert window.capacity == 1024
    assert window.next == 1_000_000


def test_a_serial_number_from_far_away_is_not_found() -> None:
    """Numbers that were never given, or wrap to a place in the ring, do not match."""
    window = Window(8)
    push(window, 5, 0)
    assert not window.find(np.array([5, 8, 13, 2**63, 2**64 - 1], np.uint64))[0].any()
