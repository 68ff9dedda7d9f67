"""Messages with columns between two processes."""

import contextlib
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from collectors.icmp.channel import Channel, Closed, Malformed, pair
from collectors.icmp.messages import Ready, Rebind, Slice

columns = st.dictionaries(
    st.text("abcdefgh_", min_size=1, max_size=8),
    st.sampled_from(["u1", "i4", "i8", "u8", "f4", "u2"]).flatmap(lambda t: hnp.arrays(t, st.integers(0, 50))),
    max_size=6,
)


def ends() -> tuple[Channel, Channel]:
    ours, theirs = pair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return Channel(ours), Channel(theirs)


@settings(max_examples=60, deadline=None)
@given(columns)
def test_columns_come_back_as_they_went(sent: dict[str, npt.NDArray[Any]]) -> None:
    """Any columns of any length and type arrive equal, and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    one, other = ends()
    one.send(Slice(1, 2, 3), sent)
    got = other.receive()
    assert got is not None
    message, received = got
    assert message == Slice(1, 2, 3)
    assert received.keys() == sent.keys()
    for name, column in sent.items():
        assert received[name].dtype == column.dtype
        assert received[name].tobytes() == column.tobytes()
    assert other.receive() is None
    one.close()
    other.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_million_rows_are_one_message() -> None:
    """A table of a million targets passes at once."""
    one, other = ends()
    one.send(Rebind(1), {"low": np.arange(1_000_000, dtype=np.uint64)})
    got = other.receive()
    assert got is not None
    assert int(got[1]["low"][-1]) == 999_999
    one.close()
    other.close()


def test_the_end_is_told() -> None:
    """When one side closes, the other is told by reading and by writing."""
    one, other = ends()
    other.close()
    with pytest.raises(Closed):
        one.receive()
    with pytest.raises(Closed):
        one.send(Ready("x"))
    one.close()


def test_last_words_are_heard() -> None:
    """What a side said before it went is read even if it left without reading what it was sent."""
    one, other = ends()
    one.send(Ready("unread"))
    other.send(Ready("last words"))
    other.close()
    got = one.receive()
    assert got is not None
    assert got[0] == Ready("last words")
    with pytest.raises(Closed):
        one.receive()
    one.close()


def test_a_side_that_does_not_read_blocks_nobody() -> None:
    """Sending to a side that never reads ends with BlockingIOError; what was sent before is whole."""
    one, other = ends()
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 100_000:
            one.send(Slice(sent, 0, 0), {"x": np.zeros(10, np.int32)})
            sent += 1
    assert 0 < sent < 100_000
    for i in range(sent):
        got = other.receive()
        assert got is not None
        assert got[0] == Slice(i, 0, 0)
    one.close()
    other.close()


def test_noise_is_refused() -> None:
    """Bytes that are no message raise Malformed."""
    ours, theirs = pair()
    ours.send(b"\x93\x01\x02")
    with pytest.raises(Malformed):
        Channel(theirs).receive()
    ours.close()
    theirs.close()
