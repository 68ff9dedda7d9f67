"""Pacing of a job, and the figures of its rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.icmp.job import Job, jitter

MS = 1_000_000


def job_of(count: int, probes: int = 1, rate: float = 1000.0, spacing_ms: int = 200) -> Job:
    positions = np.arange(count, dtype=np.int32)
    return Job(1, positions, probes=probes, rate_pps=rate, spacing_ns=spacing_ms * MS, start_ns=0)


def test_an_even_rate_and_no_burst() -> None:
    """At 1,000 a second and ticks of 10 ms, ten targets are due at a time, and the end is after a second."""
    job = job_of(1000)
    sizes = [sum(high - low for _, low, high in job.due(tick * 10 * MS, 10_000)) for tick in range(1, 100)]
    assert set(sizes[1:]) == {10}
    assert job.next_due_ns() == (sum(sizes)) * MS


def test_after_a_pause_little_is_caught_up() -> None:
    """A process that could not run for two seconds sends a few ticks' worth, and the rest later at the old pace."""
    job = job_of(5000)
    job.due(10 * MS, 10_000)
    burst = sum(high - low for _, low, high in job.due(2010 * MS, 10_000))
    assert burst <= 40
    after = sum(high - low for _, low, high in job.due(2020 * MS, 10_000))
    assert after == 10


def test_the_second_probe_follows_the_first() -> None:
    """With a spacing of 200 ms a target's second probe is due 200 ms after its first, not a round later."""
    job = job_of(1000, probes=2, rate=1000)
    first: dict[tuple[int, int], int] = {}
    for ms in range(0, 5000, 10):
        for probe, low, high in job.due(ms * MS, 10_000):
            first.update({(probe, row): ms for row in range(low, high)})
    assert len(first) == 2000
    gaps = [first[1, row] - first[0, row] for row in range(1000)]
    assert min(gaps) >= 190
    assert max(gaps) <= 220


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 300),
    probes=st.integers(1, 4),
    rate=st.floats(10, 1e6),
    pauses=st.lists(st.integers(1, 400), min_size=1, max_size=10),
    limit=st.integers(1, 50),
)
def test_every_probe_is_due_once(count: int, probes: int, rate: float, pauses: list[int], limit: int) -> None:
    """Whatever the rate, the pauses and the limit: each probe of each row comes once, in order."""
    job = job_of(count, probes, rate, spacing_ms=5)
    seen: list[list[int]] = [[] for _ in range(probes)]
    now = 0
    for turn in range(100_000):
        if job.next_due_ns() is None:
            break
        now += pauses[turn % len(pauses)] * MS
        for probe, low, high in job.due(now, limit):
            seen[probe].extend(range(low, high))
    assert seen == [list(range(count))] * probes


def test_figures_of_a_row() -> None:
    """Three replies of four probes give their median, least, greatest and jitter; rows leave once."""
    job = job_of(2, probes=4, rate=1e6, spacing_ms=0)
    job.due(10**9, 100)
    rows = np.zeros(3, np.int32)
    job.was_sent(np.array([0, 1], np.int32), np.array([5, 6]))
    job.was_answered(rows, np.array([0, 1, 3], np.uint16), np.array([4.0, 1.0, 2.0], np.float32))
    assert job.take() is None
    job.was_lost(np.zeros(1, np.int32))
    results = job.take()
    assert results is not None
    assert results.rtt_min_ms is not None
    assert results.rtt_max_ms is not None
    assert results.jitter_ms is not None
    assert (results.position.tolist(), results.sent.tolist(), results.received.tolist()) == ([0], [4], [3])
    assert [float(c[0]) for c in (results.rtt_ms, results.rtt_min_ms, results.rtt_max_ms)] == [2.0, 1.0, 4.0]
    assert float(results.jitter_ms[0]) == pytest.approx(2.0)
    assert job.take() is None
    job.is_unknown(np.array([1, 1, 1, 1], np.int32))
    nothing = job.take()
    assert nothing is not None
    assert (nothing.sent.tolist(), nothing.received.tolist()) == ([0], [0])
    assert np.isnan(nothing.rtt_ms[0])
    assert job.finished


@given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), min_size=1, max_size=8))
def test_jitter_is_the_mean_difference_of_neighbours(values: list[float | None]) -> None:
    """Lost probes are skipped over; fewer than two replies have no jitter."""
    row = np.array([[np.nan if v is None else v for v in values]], np.float32)
    replies = [np.float32(v) for v in values if v is not None]
    if len(replies) < 2:
        assert np.isnan(jitter(row)[0])
    else:
        assert float(jitter(row)[0]) == pytest.approx(float(np.abs(np.diff(replies)).mean()), rel=1e-4, abs=1e-4)


def test_a_dropped_row_leaves_nothing() -> None:
    """A row that was taken out gives no result, and the job ends without it."""
    job = job_of(2, rate=1e6)
    job.due(10**9, 100)
    job.drop(np.array([1], np.int32))
    job.was_answered(np.array([0, 1], np.int32), np.zeros(2, np.uint16), np.ones(2, np.float32))
    results = job.take()
    assert results is not None
    assert results.position.tolist() == [0]
    assert job.finished
