"""The SQL store: changes are applied once, whole or not at all, and read back as they were."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.clock import NS
from monitor.records import Change, Event
from monitor.store import tables
from monitor.store.migrate import config
from monitor.store.problems import StoreLocked, StoreProblem
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.store.incidents import change, flag, incident

ROOT = Path(__file__).parents[2]


def everything(store):
    """All rows of all tables, for comparing two stores; of the outbox's numbers only the order counts."""
    with store.read() as connection:
        rows = {
            table.name: sorted(connection.execute(sa.select(table)).all(), key=repr)
            for table in tables.metadata.sorted_tables
        }
    return {**rows, "outbox": [row[1:] for row in sorted(rows["outbox"])]}


def everything_of(store, table):
    with store.read() as connection:
        return connection.execute(sa.select(table)).all()


def test_a_life_of_an_incident_is_kept(store):
    """The newest revision, every change and the lines in the order they joined come back as they were given."""
    store.apply(1, [change("suspected", 1, "suspected", ("b", "a"))])
    store.apply(2, [change("opened", 2, lines=("c",)), change("grew", 3, lines=("a", "d"))])
    store.apply(5, [change("resolved", 4, "resolved")])
    assert store.incident("i1") == incident(4, "resolved")
    assert store.incident("nix") is None
    assert store.incident_lines("i1") == ["a", "b", "c", "d"]
    history = store.incident_history("i1")
    assert [(h.what, h.revision, h.at_ns) for h in history] == [
        ("suspected", 1, NS),
        ("opened", 2, 2 * NS),
        ("grew", 3, 3 * NS),
        ("resolved", 4, 4 * NS),
    ]
    assert history[1].incident == incident(2)
    assert store.applied_seq == 5
    assert store.incidents_of_line("d")[0].incident_id == "i1"
    assert store.incidents_of_line("d", since_ns=5 * NS) == []


changes = st.lists(
    st.tuples(
        st.sampled_from(["i1", "i2"]),
        st.sampled_from(["suspected", "open", "recovering", "resolved"]),
        st.lists(st.sampled_from("abcdef"), max_size=3),
    ),
    max_size=12,
)


@settings(max_examples=10, deadline=None)
@given(changes, st.data())
def test_doing_it_again_changes_nothing(new_store, steps, data):
    """Any run of changes, cut anywhere and repeated from any earlier step, leaves the very same rows."""
    revisions = {"i1": 0, "i2": 0}
    batches = []
    for number, (name, status, lines) in enumerate(steps):
        revisions[name] += 1
        batches.append((number, [change(status, revisions[name], status, tuple(lines), name=name)]))
    once = new_store()
    for seq, batch in batches:
        once.apply(seq, batch)
    again = new_store()
    cut = data.draw(st.integers(0, len(batches)))
    back = data.draw(st.integers(0, cut))
    for seq, batch in [*batches[:cut], *batches[back:]]:
        again.apply(seq, batch)
    assert everything(again) == everything(once)
    once.close()
    again.close()


def test_what_was_not_told_is_not_told_when_it_is_applied_again(store):
    """An incident that was withdrawn untold, and then opened: its withdrawal gets no outbox row at a replay either."""
    batches = [(1, [change("withdrawn", 1, "resolved")]), (2, [change("opened", 2)])]
    for seq, batch in [*batches, *batches]:
        store.apply(seq, batch)
    assert [row.revision for row in everything_of(store, tables.outbox)] == [2]


def test_a_writer_holds_the_lock_from_its_start(store):
    """Nobody can write between what a writer reads and what it then writes."""
    other = sqlite3.connect(store.file, timeout=0, isolation_level=None)
    with store.write() as connection:
        connection.execute(sa.select(tables.meta)).all()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO meta VALUES ('x', 'y')")
    other.execute("INSERT INTO meta VALUES ('x', 'y')")
    other.close()
    assert store.meta("x") == "y"


def test_a_batch_is_applied_whole_or_not_at_all(store):
    """When one change of a batch cannot be written, none is."""
    bad = Change(None, "opened", incident(1, name="i2"))  # at_ns must not be NULL
    before = everything(store)
    with pytest.raises(sa.exc.DBAPIError):
        store.apply(1, [change("opened", 1), bad])
    assert everything(store) == before


def test_pages_go_through_all_incidents_newest_first(store):
    """Filters narrow, the cursor continues where the page ended, and nothing comes twice."""
    for i in range(25):
        status, scope = ("resolved" if i % 5 == 0 else "open"), f"north/ex-{i % 3}/olt-{i}"
        store.apply(i, [change("opened", 1, status, name=f"i{i:02d}", scope=scope, started_ns=(i // 2) * NS)])
    seen, cursor = [], ""
    while True:
        page = store.incidents(limit=4, cursor=cursor)
        seen += [(i.started_ns, i.incident_id) for i in page.items]
        cursor = page.cursor
        if not cursor:
            break
    assert len(seen) == 25
    assert seen == sorted(seen, reverse=True)
    assert len(store.incidents(status="resolved").items) == 5
    assert len(store.incidents(status=["open", "recovering"]).items) == 20
    assert {i.scope.name for i in store.incidents(element="north/ex-1/olt-1").items} == {"north/ex-1/olt-1"}
    assert all(i.scope.name.startswith("north/ex-1/") for i in store.incidents(element="north/ex-1").items)
    assert store.incidents(element="north/ex").items == []
    assert store.incidents(element="north/ex-_").items == []
    assert store.incidents(kind="planned").items == []
    assert len(store.incidents(since_ns=2 * NS).items) == 20
    assert len(store.open_incidents()) == 20
    with pytest.raises(ValueError, match="cursor"):
        store.incidents(cursor="rubbish")


def test_flags_are_kept_with_their_end(store):
    """An open flag is listed until it ends; a late repetition does not reopen it."""
    raised, ended = Change(10 * NS, "flag_raised", flag=flag()), Change(20 * NS, "flag_ended", flag=flag(ended_s=20))
    store.apply(1, [raised])
    assert store.flags() == [flag()]
    store.apply(2, [ended])
    store.apply(1, [raised])
    assert store.flags() == []
    assert store.flags(open_only=False, subject="line-1") == [flag(ended_s=20)]
    assert store.flags(open_only=False, since_ns=21 * NS) == []


def test_a_repeated_event_is_known(store):
    """The same event id is recorded once."""
    event = Event(5, "incident:i1", "ack", by="jo", event_id="e-1")
    assert store.record_event(event)
    assert not store.record_event(event)
    assert store.known_event("e-1") == event
    assert store.known_event("e-2") is None
    assert store.events(subject="incident:i1") == [event]


def test_events_of_a_kind_are_found_beneath_many_others(store):
    """What outside systems send all day does not push announced work out of sight."""
    work = Event(5, "element:north", "maintenance_start", "x", event_id="w")
    store.record_event(work)
    for n in range(4):
        store.record_event(Event(10 + n, "line-1", "login_accepted", event_id=f"radius:{n}"))
    assert work not in store.events(limit=3)
    assert store.events(limit=3, kinds=("maintenance_start", "maintenance_end")) == [work]


def test_old_incidents_are_pruned(store):
    """Only what was resolved before goes, with its lines, history and outbox rows."""
    store.apply(1, [change("opened", 1, lines=("a",)), change("opened", 1, name="i2", lines=("a",))])
    store.apply(2, [change("resolved", 2, "resolved")])
    assert store.prune(2 * NS) == 0
    assert store.prune(3 * NS) == 1
    rows = everything(store)
    assert [len(rows[n]) for n in ("incidents", "incident_history", "incident_lines", "outbox")] == [1, 1, 1, 1]


def test_listeners_hear_of_committed_changes(store):
    """A subscriber is called after the commit, so what it reads is there."""
    heard = []
    store.subscribe(lambda batch: heard.append((len(batch), store.incident("i1").revision)))
    store.apply(1, [change("opened", 1)])
    store.apply(2, [])
    assert heard == [(1, 1)]


def test_the_migrations_make_the_schema_that_the_code_has(store):
    """Alembic finds no difference between the migrated database and the tables, and HEAD is its newest version."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    assert ScriptDirectory.from_config(config()).get_current_head() == tables.HEAD


def test_opening_again_does_not_load_alembic(tmp_path):
    """A database that is up to date is opened without the migration library."""
    StateStore(tmp_path / "s.sqlite").close()
    code = (
        "import sys\nfrom monitor.store.state import StateStore\nStateStore(sys.argv[1])\n"
        "assert not {'alembic', 'duckdb', 'pandas', 'influxdb_client'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.sqlite")], check=True, cwd=ROOT)


def test_a_second_daemon_is_refused_by_name(tmp_path):
    """The second one is told which process holds the store; when that one is killed, the store is free again."""
    code = (
        "import sys, time\nfrom monitor.store.state import StateStore\n"
        "s = StateStore(sys.argv[1]); s.lock(); print('locked', flush=True); time.sleep(60)"
    )
    path = tmp_path / "state.sqlite"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    store = StateStore(path)
    try:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StoreLocked, match=f"process {holder.pid}.*stop the other"):
            store.lock()
    finally:
        holder.kill()
        holder.communicate()
    store.lock()
    store.lock()
    store.close()


def test_what_is_no_database_is_said(tmp_path):
    """A file that is something else is refused with its name and left as it was."""
    content = b"no database at all, " * 100
    path = tmp_path / "state.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreProblem, match=r"state\.sqlite"):
        StateStore(path)
    assert path.read_bytes() == content


def test_a_newer_schema_is_refused(tmp_path):
    """A database of a later version is not touched."""
    store = StateStore(tmp_path / "s.sqlite")
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreProblem, match="newer Faultline"):
        StateStore(tmp_path / "s.sqlite")


@pytest.mark.parametrize("url", ["nix://x/y", "postgresql+pg8000:///x?y", "sqlite+nix:///x"])
def test_a_wrong_url_is_said(url):
    """A URL that leads nowhere is a StoreProblem, never a stack trace."""
    with pytest.raises(StoreProblem):
        StateStore(url)


def test_the_settings_choose_the_place(tmp_path):
    """Without a URL the state lies in the store's folder, which is made."""
    store = StateStore.open(StoreSettings(folder=str(tmp_path / "deep" / "data")))
    assert store.file == tmp_path / "deep" / "data" / "state.sqlite"
    assert store.meta("x") is None
    store.set_meta({"x": "1", "y": "ü"})
    store.set_meta({"x": "2"})
    assert (store.meta("x"), store.meta("y")) == ("2", "ü")
    store.close()


def test_many_threads_read_and_write(store):
    """Readers never see half a batch, and writers do not disturb each other."""
    wrong, done = [], threading.Event()

    def read():
        while not done.is_set():
            with store.read() as connection:
                revision = connection.scalar(sa.select(tables.incidents.c.revision)) or 0
                lines = connection.scalar(sa.select(sa.func.count()).select_from(tables.incident_lines))
            if lines != 3 * revision:
                wrong.append((revision, lines))

    def keys():
        for i in range(10):
            store.audit("x", "y", str(i))

    threads = [threading.Thread(target=read) for _ in range(3)] + [threading.Thread(target=keys) for _ in range(2)]
    for thread in threads:
        thread.start()
    for revision in range(1, 40):
        store.apply(revision, [change("grew", revision, lines=tuple(f"{revision}-{i}" for i in range(3)))])
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(store.audit_trail(limit=100)) == 20


def test_kill_9_keeps_every_committed_outbox_row(tmp_path):
    """A process that applies changes is killed; each whose apply had returned stands in the outbox."""
    code = (
        "import sys\nfrom tests.store.incidents import change\nfrom monitor.store.state import StateStore\n"
        "s = StateStore(sys.argv[1])\n"
        "for i in range(1, 10**6):\n    s.apply(i, [change('opened', 1, name=f'i{i}')]); print(i, flush=True)"
    )
    path = tmp_path / "state.sqlite"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    said = [int(process.stdout.readline()) for _ in range(30)][-1]
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    whole = rest.rpartition(b"\n")[0].split()
    said = int(whole[-1]) if whole else said
    store = StateStore(path)
    rows = everything(store)
    assert len(rows["outbox"]) == len(rows["incidents"]) >= said
    assert store.applied_seq == len(rows["outbox"])
    store.close()
