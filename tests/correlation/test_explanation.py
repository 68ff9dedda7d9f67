"""The parts of an explanation: clusters, when a failure began, what chance does, what is refused as a setting."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.areas import cluster
from correlation.background import HOUR_NS, Background
from correlation.evidence import start_of, struck
from correlation.settings import CorrelationSettings

NS = 1_000_000_000


def test_two_crowds_are_two_clusters_and_a_loner_is_noise() -> None:
    """Points a street apart are one cluster, points across town another, one far away belongs to none."""
    rng = np.random.default_rng(1)
    lat = np.concatenate([52.5 + rng.normal(0, 0.0005, 30), 52.6 + rng.normal(0, 0.0005, 20), [52.9]])
    lon = np.concatenate([np.full(30, 13.4), np.full(20, 13.4), [13.9]])
    labels = cluster(lat, lon, np.ones(lat.size), 0.3, 5)
    assert len({*labels[:30].tolist()}) == 1
    assert len({*labels[30:50].tolist()}) == 1
    assert labels[0] != labels[40]
    assert labels[50] == -1


@given(st.permutations(list(range(24))))
def test_clusters_do_not_depend_on_the_order(order: list[int]) -> None:
    """The same points in another order are the same clusters."""
    lat = np.concatenate([52.5 + np.arange(12) * 1e-4, 52.7 + np.arange(12) * 1e-4])
    lon = np.full(24, 13.4)
    first = cluster(lat, lon, np.ones(24), 0.3, 5)
    again = cluster(lat[order], lon[order], np.ones(24), 0.3, 5)
    assert (again == first[order]).all()


def test_a_few_early_falls_are_not_the_beginning() -> None:
    """Two lines fell by themselves minutes before the thirty that fell together: those thirty are the failure."""
    at = np.array([0, 90 * NS, *(300 * NS + np.arange(30) * NS // 10).tolist()], np.int64)
    start, spread = start_of(at)
    assert start == 300 * NS
    assert spread == pytest.approx(2.9)


@given(st.lists(st.integers(1, 10**18), min_size=1, max_size=60))
def test_a_failure_begins_at_one_of_its_falls(times: list[int]) -> None:
    """Start, first tenth and middle are times at which lines fell, in this order of time, whatever the falls."""
    at = np.array(times, np.int64)
    start, spread = start_of(at)
    middle, early = struck(at)
    assert start in times
    assert middle in times
    assert early in times
    assert min(times) <= early <= middle <= max(times)
    assert 0 <= spread <= (max(times) - min(times)) / NS + 1


def test_the_hour_of_week_follows_the_clock_on_the_wall() -> None:
    """Three in the afternoon of a Saturday and of the Sunday after the clock went forward are both hour 15."""
    zone = ZoneInfo("Europe/Berlin")
    background = Background(1, 0.001, "Europe/Berlin")
    for day, number in ((28, 5), (29, 6)):
        at = int(datetime(2026, 3, day, 15, 30, tzinfo=zone).timestamp()) * NS
        assert background.hour(at) == 24 * number + 15
        assert background.hour(at - HOUR_NS) == 24 * number + 14


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"causes": {"windows_s": []}}', "windows_s"),
        (b'{"causes": {"windows_s": [3600, 300]}}', "shortest"),
        (b'{"causes": {"area_scales_km": [-1]}}', "area_scales_km"),
        (b'{"timezone": "Mars/Olympus"}', "Mars/Olympus"),
    ],
)
def test_settings_that_mean_nothing_are_refused(text: bytes, says: str) -> None:
    """No window, windows in disorder, a negative distance, an unknown place: an error that names it."""
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.json.decode(text, type=CorrelationSettings)
