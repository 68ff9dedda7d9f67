"""A clock that the test moves, a store on disk, and what is said about troubles."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.clock import ManualClock
from monitor.metrics import Metrics
from tests.alerts.samples import START_NS, Desk


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock) -> Iterator[Desk]:
    desk = Desk(tmp_path, clock)
    yield desk
    desk.close()
