"""What InfluxDB may do to us, done by the real servers: acknowledged is stored, exactly; each failure is said once."""

import json
import logging
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor.clock import NS, ManualClock
from monitor.lab.process import free_port, start, wait_until
from monitor.lab.servers import InfluxDB, require
from monitor.metrics import Metrics
from monitor.secret import SecretProblem
from monitor.store.problems import StoreProblem
from monitor.store.samples import open_sample_store
from monitor.store.samples.influx_client import InfluxClient
from monitor.store.samples.sender import quarantined
from monitor.store.settings import InfluxSettings, StoreSettings
from tests.store import world

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[2]
LINES = 500


@pytest.fixture
def inventory(tmp_path):
    return world.inventory(tmp_path, LINES)


@pytest.fixture
def server(tmp_path):
    """A server of one's own, to be killed."""
    with InfluxDB(tmp_path / "influxdb") as made:
        yield made


def settings_for(tmp_path, url, **more):
    influx = InfluxSettings(**{"url": url, "api": "v1", "retry_s": 0.05, "batch_points": 1000, "timeout_s": 5, **more})
    return StoreSettings(folder=str(tmp_path / "data"), engine="influxdb", flush_s=0.1, influxdb=influx)


def opened(store_settings, metrics=None):
    return open_sample_store(store_settings, metrics or Metrics(), ManualClock(world.T0))


def drained(store, seconds=40):
    deadline = time.monotonic() + seconds
    while store._spool.pending()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.01)


def stored(server, what="count(sent)", measurement="probe"):
    answer = json.loads(server.query(f"SELECT {what} FROM faultline..{measurement}"))
    series = answer["results"][0].get("series")
    return series[0]["values"][0][1] if series else 0


def rounds(inventory, seq):
    return [world.probes(inventory, world.T0 + seq * NS, float(seq))]


def test_a_server_killed_under_load_loses_nothing(tmp_path, inventory, server, caplog):
    """Killed twice while 40 rounds are written: in the end exactly what was appended is stored, and both the failure
    and its end were said once each time."""
    metrics = Metrics()
    store = opened(settings_for(tmp_path, server.url, drain_points_per_s=100_000), metrics)
    for seq in range(1, 41):
        store.append(seq, rounds(inventory, seq), inventory)
        if seq in (10, 25):
            assert store.flush()
            server.kill()
            time.sleep(0.2)
        if seq in (15, 30):
            until(lambda: [t.name for t in metrics.troubles.current()] == ["influxdb"])
            server.start()
            until(lambda: not metrics.troubles.current())
        time.sleep(0.01)
    assert store.flush()
    assert drained(store)
    store.close()
    assert stored(server) == 40 * LINES
    assert stored(server, "sum(rtt_ms)") == sum(range(1, 41)) * LINES
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("influxdb:")]
    assert len(said) == 4
    assert sum("works again" in s for s in said) == 2


WRITER = """
import sys, msgspec
from pathlib import Path
from monitor.clock import ManualClock
from monitor.metrics import Metrics
from monitor.store.samples import open_sample_store
from monitor.store.settings import StoreSettings
from tests.store import world
settings = msgspec.json.decode(sys.argv[1], type=StoreSettings)
inventory = world.inventory(Path(sys.argv[2]), 500)
store = open_sample_store(settings, Metrics(), ManualClock(world.T0))
seq = store.last_seq()
while True:
    seq = max(seq, 0) + 1
    store.append(seq, [world.probes(inventory, world.T0 + seq * 10**9, float(seq))], inventory)
    store.flush()
    print(store.last_seq(), flush=True)
"""


def test_the_writer_killed_with_the_server_down_loses_nothing(tmp_path, inventory, server):
    """The server is down, the writing process is killed -9 and its spool gets a torn tail; when both are
    back, every round that was on disk is stored, exactly once, and a replayed journal adds nothing twice."""
    own = settings_for(tmp_path, server.url)
    server.kill()
    command = [sys.executable, "-c", WRITER, msgspec.json.encode(own).decode(), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    for _ in range(5):
        said = int(process.stdout.readline())
    process.kill()
    rest, _ = process.communicate()
    whole = rest.rpartition(b"\n")[0].split()
    said = int(whole[-1]) if whole else said
    with max((tmp_path / "data" / "spool").glob("*.seg")).open("ab") as tail:
        tail.write(b"FLR1\x99torn")
    server.start()
    store = opened(own)
    last = store.last_seq()
    assert last >= said
    for seq in range(1, last + 4):  # the journal is replayed from an old snapshot, and three more rounds come
        store.append(seq, rounds(inventory, seq), inventory)
    assert store.flush()
    assert drained(store)
    store.close()
    assert stored(server) == (last + 3) * LINES
    assert stored(server, "sum(rtt_ms)") == sum(range(1, last + 4)) * LINES


def test_live_samples_do_not_wait_for_the_backlog(tmp_path, inventory, server):
    """After an outage the newest round is in the database while the slowly drained backlog is still on its way."""
    store = opened(settings_for(tmp_path, server.url, drain_points_per_s=2000))
    server.kill()
    for seq in range(1, 31):
        store.append(seq, rounds(inventory, seq), inventory)
        store.flush()
    server.start()
    until(lambda: not store._sender._failing)
    store.append(31, rounds(inventory, 31), inventory)
    store.flush()
    until(lambda: stored(server, "last(rtt_ms)") == 31)
    assert store._spool.pending()[0] > 0
    assert drained(store)
    store.close()
    assert stored(server) == 31 * LINES


def test_a_server_that_is_not_there_at_start_is_a_trouble_not_an_error(tmp_path, inventory, caplog):
    """The store opens, says once what is wrong and what to do, and delivers when the server has come."""
    server = InfluxDB(tmp_path / "influxdb", free_port())
    metrics = Metrics()
    store = opened(settings_for(tmp_path, server.url), metrics)
    store.append(1, rounds(inventory, 1), inventory)
    assert store.flush()
    assert store.last_seq() == 1
    until(lambda: metrics.troubles.current())
    time.sleep(0.3)
    assert caplog.text.count("does not answer") == 1
    with pytest.raises(StoreProblem, match="is it running"):
        store.line_history(inventory.line_id(0), world.T0, world.T0 + NS)
    with server:
        assert drained(store)
        assert not metrics.troubles.current()
        store.close()
        assert stored(server) == LINES


def test_refused_points_go_into_quarantine_and_stop_nobody(tmp_path, inventory, server):
    """A batch that conflicts with a field's type is set aside with the server's reason; what comes after is stored."""
    server.query("CREATE DATABASE faultline")
    body = f'probe,line_id={inventory.line_id(0)},source=p1 sent="text" 1'.encode()
    urllib.request.urlopen(f"{server.url}/write?db=faultline", data=body, timeout=5).close()
    metrics = Metrics()
    store = opened(settings_for(tmp_path, server.url), metrics)
    wrong = [world.probes(inventory, 0, 1.0, rows=np.arange(5))]
    store.append(1, wrong, inventory)  # in the very shard that holds the text
    store.flush()
    store.append(2, rounds(inventory, 2), inventory)
    store.flush()
    assert drained(store)
    store.close()
    ((name, reason),) = quarantined(tmp_path / "data" / "spool")
    assert "conflict" in reason
    assert name.endswith(".lp.gz")
    assert not metrics.troubles.current()
    assert metrics.registry.get_sample_value("faultline_influxdb_quarantined_points_total") == 5
    assert stored(server, "count(received)") >= LINES  # 1.6 stores the good points of a refused batch


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A server that wants a password."""
    monkeypatch.setenv("INFLUXDB_HTTP_AUTH_ENABLED", "true")
    monkeypatch.setenv("RIGHT", "secret one")
    monkeypatch.setenv("WRONG", "secret two")
    with InfluxDB(tmp_path / "locked") as made:
        made.query("CREATE USER jo WITH PASSWORD 'secret one' WITH ALL PRIVILEGES")
        yield made


def test_a_wrong_password_is_named_and_nothing_is_lost(tmp_path, inventory, locked, caplog):
    """The trouble names the setting, never the secret; with the right password everything arrives."""
    metrics = Metrics()
    own = settings_for(tmp_path, locked.url, username="jo", password_env="WRONG")
    store = opened(own, metrics)
    store.append(1, rounds(inventory, 1), inventory)
    store.flush()
    until(lambda: metrics.troubles.current())
    assert "check store.influxdb.username and password_file" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(StoreProblem, match="password_file"):
        store.line_history(inventory.line_id(0), world.T0, world.T0 + NS)
    store.close()
    store = opened(msgspec.structs.replace(own, influxdb=msgspec.structs.replace(own.influxdb, password_env="RIGHT")))
    assert drained(store)
    assert store.line_history(inventory.line_id(0), world.T0, world.T0 + 9 * NS).sent.tolist() == [1]
    store.close()


def test_the_wrong_api_is_named(tmp_path, inventory, server, caplog):
    """InfluxDB 1.6 has no /api/v2/write: the trouble says which setting to change."""
    metrics = Metrics()
    store = opened(settings_for(tmp_path, server.url, api="v2"), metrics)
    store.append(1, rounds(inventory, 1), inventory)
    store.flush()
    until(lambda: metrics.troubles.current())
    assert "store.influxdb.api = v1" in caplog.text
    store.close()


def test_a_database_that_is_missing_is_named(tmp_path, inventory, server, caplog):
    """Without leave to create it, the missing database is named; once it is there, nothing was lost."""
    metrics = Metrics()
    store = opened(settings_for(tmp_path, server.url, create_database=False), metrics)
    store.append(1, rounds(inventory, 1), inventory)
    store.flush()
    until(lambda: metrics.troubles.current())
    assert "has no 'faultline'" in caplog.text
    server.query("CREATE DATABASE faultline")
    assert drained(store)
    store.close()
    assert stored(server) == LINES


def test_a_frozen_server_holds_up_nobody(tmp_path, inventory, server):
    """A server that accepts and never answers: appending and flushing go on, and all arrives once it thaws."""
    store = opened(settings_for(tmp_path, server.url, timeout_s=0.5))
    store.append(1, rounds(inventory, 1), inventory)
    assert store.flush()
    assert drained(store)
    server.freeze()
    try:
        for seq in range(2, 12):
            store.append(seq, rounds(inventory, seq), inventory)
            assert store.flush()
        assert store.last_seq() == 11
    finally:
        server.thaw()
    assert drained(store)
    store.close()
    assert stored(server) == 11 * LINES


def test_settings_that_cannot_be_are_refused(monkeypatch):
    """A secret that is missing or in the wrong place stops the start with the setting's name."""
    monkeypatch.setenv("T", "x")
    for wrong, name in (
        ({"token_env": "NOT_SET_ANYWHERE"}, "token_env"),
        ({"api": "v1", "token_env": "T"}, "token_"),
        ({"username": "jo"}, "password_file"),
    ):
        with pytest.raises(SecretProblem, match=name):
            InfluxClient(InfluxSettings(**wrong))


def test_the_clock_set_back_an_hour_loses_and_doubles_nothing(tmp_path, inventory, server):
    """Rounds stamped an hour earlier than those before them are stored beside them."""
    store = opened(settings_for(tmp_path, server.url))
    for seq, at in enumerate([7200, 7210, 3600, 3610, 7220], start=1):
        store.append(seq, [world.probes(inventory, world.T0 + at * NS, 1.0)], inventory)
    store.flush()
    assert drained(store)
    got = store.line_history(inventory.line_id(0), world.T0, world.T0 + 3 * 3600 * NS)
    assert got.sent.sum() == 5
    store.close()


def test_the_v2_write_api_is_spoken(tmp_path, inventory):
    """VictoriaMetrics, which has /api/v2/write, takes what is sent to 2 and 3, and gives the same values back."""
    try:
        program = require("victoria-metrics", "victoria-metrics")
    except Exception as error:
        pytest.skip(str(error))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={tmp_path}/vm", "-retentionPeriod=100y"]
    child = start("victoria-metrics", command, log=tmp_path / "vm.log", cwd=tmp_path)

    def answers():
        try:
            return urllib.request.urlopen(f"{url}/health", timeout=1).read() == b"OK"
        except OSError:
            return False

    def ask(query):
        with urllib.request.urlopen(f"{url}/api/v1/export?match[]={query}", timeout=5) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    try:
        wait_until(answers, child, "it answered")
        store = opened(settings_for(tmp_path, url, api="v2", organisation="us"))
        store.append(1, rounds(inventory, 7), inventory)
        store.status(world.T0, "prober", {"source": "pröber 1"}, {"sent": 5})
        assert store.flush()
        assert drained(store)
        store.close()
        # Asked too early, it would remember for a while that there was nothing.
        urllib.request.urlopen(f"{url}/internal/force_flush", timeout=10).close()
        assert len(ask("probe_rtt_ms")) == LINES
        (one,) = ask(f'probe_rtt_ms%7Bline_id="{inventory.line_id(3)}"%7D')
        assert (one["values"], one["timestamps"]) == ([7], [(world.T0 + 7 * NS) // 10**6])
        assert ask("prober_sent")[0]["metric"]["source"] == "pröber 1"
    finally:
        child.stop()


@pytest.fixture(autouse=True)
def heard(caplog):
    caplog.set_level(logging.WARNING)
