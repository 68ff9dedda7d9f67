"""The SQL store on a real PostgreSQL: the very tests of the SQLite one, and its own lock."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from monitor.lab.process import free_port
from monitor.store.outbox import Outbox
from monitor.store.problems import StoreLocked, StoreProblem
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.store import test_access, test_outbox, test_state

SHARED = (
    test_access.test_a_key_works_until_it_expires_or_is_revoked,
    test_access.test_a_session_ends_with_its_key_its_time_or_by_hand,
    test_access.test_last_use_is_noted_once_a_minute,
    test_access.test_the_audit_trail_only_grows,
    test_outbox.test_a_burst_is_one_delivery_with_the_newest_revision,
    test_outbox.test_a_failure_waits_and_then_tells_the_newest,
    test_outbox.test_a_new_receiver_is_not_told_of_the_past,
    test_outbox.test_each_receiver_has_its_own_state_and_order_is_by_waiting,
    test_outbox.test_postponed_is_due_at_once_when_there_is_news,
    test_outbox.test_skipped_and_dead_need_news_to_come_again,
    test_outbox.test_suspicions_are_not_told,
    test_state.test_a_batch_is_applied_whole_or_not_at_all,
    test_state.test_a_life_of_an_incident_is_kept,
    test_state.test_a_repeated_event_is_known,
    test_state.test_flags_are_kept_with_their_end,
    test_state.test_listeners_hear_of_committed_changes,
    test_state.test_many_threads_read_and_write,
    test_state.test_old_incidents_are_pruned,
    test_state.test_pages_go_through_all_incidents_newest_first,
    test_state.test_the_migrations_make_the_schema_that_the_code_has,
)
globals().update({test.__name__: test for test in SHARED})
pytestmark = pytest.mark.server


@pytest.fixture(scope="session")
def postgresql():
    """A server of Debian's PostgreSQL on loopback, as user postgres when we are root; yields the URL without a name."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    pytest.importorskip("pg8000")
    programs, drop = found[-1].parent, []
    folder = Path(tempfile.mkdtemp(prefix="faultline-pg-", dir="/tmp"))  # its user cannot enter pytest's folders
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        drop = ["setpriv", "--reuid=postgres", f"--regid={user.pw_gid}", "--clear-groups"]
    data, port = folder / "data", free_port()
    subprocess.run(
        [*drop, programs / "initdb", "-D", data, "-U", "faultline", "-A", "trust", "-N", "-E", "UTF8"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    dies = ["--pdeathsig=KILL"] if drop else []
    options = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*drop, *dies, programs / "postgres", *options], stdout=log, stderr=log, cwd=folder)
    url = f"postgresql+pg8000://faultline@127.0.0.1:{port}"
    engine = sa.create_engine(f"{url}/postgres", isolation_level="AUTOCOMMIT")
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                engine.connect().close()
                break
            except sa.exc.DBAPIError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield url, engine
    finally:
        engine.dispose()
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder)


@pytest.fixture
def database(postgresql, request):
    """The URL of an empty database."""
    url, engine = postgresql
    name = f"t{abs(hash(request.node.nodeid))}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield f"{url}/{name}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def store(database, clock):
    made = StateStore(database, clock)
    yield made
    made.close()


@pytest.fixture
def outbox(store):
    return Outbox(store)


def test_one_daemon_per_database(store, database, tmp_path):
    """Two daemons with folders of their own on one database: the second is refused; afterwards it is free."""
    store.lock(tmp_path / "one")
    other = StateStore(database)
    with pytest.raises(StoreLocked, match=r"database session \d+ from 127"):
        other.lock(tmp_path / "two")
    store.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            other.lock(tmp_path / "two")
            break
        except StoreLocked:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    other.close()


def test_the_settings_name_it_without_a_password(database, tmp_path, monkeypatch):
    """The password comes from its own setting, and stands in no message."""
    monkeypatch.setenv("PW", "geheim")
    settings = StoreSettings(folder=str(tmp_path), state_url=database, state_password_env="PW")
    store = StateStore.open(settings)
    assert "geheim" not in store.name
    store.close()


def test_a_server_that_is_not_there_is_said():
    """An unreachable PostgreSQL is a StoreProblem that names it."""
    pytest.importorskip("pg8000")
    with pytest.raises(StoreProblem, match=r"127\.0\.0\.1"):
        StateStore(f"postgresql+pg8000://jo:geheim@127.0.0.1:{free_port()}/x")
