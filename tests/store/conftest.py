import itertools
import shutil
import zlib

import pytest

from monitor.clock import ManualClock
from monitor.lab.servers import InfluxDB
from monitor.store.outbox import Outbox
from monitor.store.settings import InfluxSettings
from monitor.store.state import StateStore


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """The file of a store that was migrated and holds nothing: copying it is faster than migrating again."""
    path = tmp_path_factory.mktemp("empty") / "state.sqlite"
    StateStore(path).close()
    return path


@pytest.fixture
def store(tmp_path, clock, empty_database):
    shutil.copy(empty_database, tmp_path / "state.sqlite")
    made = StateStore(tmp_path / "state.sqlite", clock)
    yield made
    made.close()


@pytest.fixture(scope="session")
def new_store(tmp_path_factory, empty_database):
    """Makes one empty store after the other."""
    folder, numbers = tmp_path_factory.mktemp("stores"), itertools.count()

    def make(path=None):
        path = path or folder / f"{next(numbers)}.sqlite"
        shutil.copy(empty_database, path)
        return StateStore(path)

    return make


@pytest.fixture
def outbox(store):
    return Outbox(store)


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory):
    """Debian's InfluxDB on loopback, for tests that leave it running."""
    with InfluxDB(tmp_path_factory.mktemp("influxdb")) as server:
        yield server


@pytest.fixture
def influx_settings(influxdb, request):
    """Settings for a database of one's own on that server."""
    name = f"d{zlib.crc32(request.node.nodeid.encode())}"
    yield InfluxSettings(url=influxdb.url, api="v1", database=name, retry_s=0.05)
    influxdb.query(f"DROP DATABASE {name}")
