"""What is done for many elements or many numbers at once is what would be done for each by itself."""

import numpy as np
import pytest

from correlation.areas import MANY, _cells, _climb, _edges, distance_km
from correlation.evidence import Chance, Evidence, struck
from correlation.sets import all_distinct, contained, distinct, distinct_lines
from correlation.settings import CauseSettings
from correlation.spans import SMALL, heard_each, struck_each

NS = 1_000_000_000


def evidence(lines: int, rng: np.random.Generator, asked: bool) -> Evidence:
    return Evidence(
        lines=np.arange(lines, dtype=np.int32),
        at_ns=rng.integers(0, lines, lines).astype(np.int64) * NS,
        seen_ns=rng.integers(0, lines, lines).astype(np.int64) * NS,
        window_s=300.0,
        now_ns=lines * NS,
        network_rate=0.002,
        element_rate=lambda elements: np.full(elements.size, 0.002),
        asked_ns=rng.integers(0, lines, lines) * (rng.random(lines) < 0.7) * NS if asked else None,
    )


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_slices_of_elements_are_counted_as_one_by_one(seed: int, asked: bool) -> None:
    """Small slices, counted together, and large ones, counted alone, give what each slice gives by itself."""
    rng = np.random.default_rng(seed)
    lines = int(rng.integers(5, 6 * SMALL))
    told = evidence(lines, rng, asked)
    low = rng.integers(0, lines - 1, 60)
    high = np.minimum(low + rng.integers(1, 3 * SMALL, 60), lines)
    middle, early = struck_each(told.at_ns, low, high)
    settings = CauseSettings()
    spared, covered = heard_each(told, low, high, middle, early, settings)
    for i, (begin, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        assert (middle[i], early[i]) == struck(told.at_ns[begin:end])
        assert spared[i] == np.count_nonzero(told.seen_ns[begin:end] >= middle[i])
        least = settings.min_coverage
        assert covered[i] == told.covered(slice(begin, end), int(middle[i]), int(early[i]), least)


def test_chance_of_one_is_chance_among_many() -> None:
    """A single candidate is weighed by exactly the number that a table of candidates would have."""
    rng = np.random.default_rng(1)
    chance = Chance(evidence(500, rng, True), 40, 9000)
    counted = rng.integers(1, 3000, 300)
    fell = (counted * rng.random(300)).astype(np.int64)
    assert chance.among(fell, counted).tolist() == [
        chance.of(k, n) for k, n in zip(fell.tolist(), counted.tolist(), strict=True)
    ]


@pytest.mark.parametrize("size", [0, 1, 2, 50, 3000])
def test_sets_are_those_of_numpy(size: int) -> None:
    """Distinct numbers and membership are what numpy's own functions say, for none and for many."""
    rng = np.random.default_rng(size)
    values = rng.integers(0, 2000, size).astype(np.int32)
    among = np.unique(rng.integers(0, 2000, size)).astype(np.int32)
    assert distinct(values).tolist() == np.unique(values).tolist()
    assert contained(values, among).tolist() == np.isin(values, among).tolist()
    assert not contained(values, among[:0]).any()


@pytest.mark.parametrize(("size", "among"), [(0, 10), (1, 5), (40, 4000), (3000, 4000)])
def test_lines_of_several_parts_once_each(size: int, among: int) -> None:
    """Lines of several parts come out once each and ascending, whether they are marked in a table or sorted."""
    rng = np.random.default_rng(size)
    parts = [rng.integers(0, among, size).astype(np.int32) for _ in range(3)]
    assert distinct_lines(parts, among).tolist() == sorted(set(np.concatenate(parts).tolist()))
    once = rng.permutation(among)[:size].astype(np.int32)
    assert all_distinct(once, among)
    if size > 1:
        once[0] = once[-1]
        assert not all_distinct(once, among)


def test_the_disc_of_a_crowd_is_found_on_cells() -> None:
    """Of so many lines that centres are tried on cells, the disc around those that fell is the one that was struck."""
    rng = np.random.default_rng(4)
    lat, lon = 48 + rng.random(MANY + 5000) * 0.2, 8 + rng.random(MANY + 5000) * 0.3
    hit = distance_km(lat, lon, 48.1, 8.15) <= 3.0
    cells_lat, cells_lon, weights = _cells(lat, lon, hit)
    assert weights[0].sum() == lat.size
    assert weights[1].sum() == np.count_nonzero(hit)
    off = np.array([48.108]), np.array([8.14])
    start = _edges(cells_lat, cells_lon, weights[1] > 0, *off, 8.0, weights)
    found = _climb(cells_lat, cells_lon, weights[1] > 0, weights, start, 8.0)
    assert float(distance_km(found[1], found[2], 48.1, 8.15)) < 0.15
    score, _, _, radius = _edges(lat, lon, hit, np.array([found[1]]), np.array([found[2]]), 8.0)
    assert score > _edges(lat, lon, hit, *off, 8.0)[0]
    assert abs(radius - 3.0) < 0.25
