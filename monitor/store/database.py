"""One SQL database (SQLite file or PostgreSQL): opened, migrated, locked; many readers and one writer at a time.

SQLite runs in WAL with synchronous=FULL: a committed row survives kill -9 and power loss; a commit costs one fsync,
and commits happen only when something changed. `read()` gives a consistent snapshot; `write()` a transaction that
holds the write lock from its start, so that it never fails half-way because somebody else wrote. Any thread may call.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from monitor.store.problems import DiskFull, StoreLocked, StoreProblem
from monitor.store.tables import HEAD

BUSY_S = 30
LOCK_NAME = "faultline.lock"
UNFINISHED = "restore-unfinished"  # stands in the folder while an archive takes the place of what was there
ADVISORY_KEY = 0x6661756C74  # "fault", for PostgreSQL's advisory lock


class SqlFile:
    """An SQLite file without a schema of its own: `read`, `write`, `close` as in Database."""

    _writes: Mapping[str, Any] = {"writes": True}

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.engine = open_sqlite(URL.create("sqlite", database=str(path)))
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot for as long as the block lasts."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction; committed when the block ends, rolled back when it raises. Raises DiskFull."""
        try:
            with self._writing, self.engine.connect() as connection:
                connection.execution_options(**self._writes)
                with connection.begin():
                    yield connection
        except OperationalError as error:
            if "is full" in str(error.orig):
                raise DiskFull(f"no room left for {self.engine.url.database}: free some space") from None
            raise

    def close(self) -> None:
        self.engine.dispose()


def open_sqlite(url: URL) -> Engine:
    # Enough connections for all threads of the API: a reader must never wait for another.
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, pool_size=10, max_overflow=90)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions on its own
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        mode = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


class Database(SqlFile):
    """`url` is an SQLAlchemy URL ("sqlite:////var/lib/faultline/state.sqlite", "postgresql+pg8000://...") or the path
    of an SQLite file, whose folder is made when missing. The schema is brought up to date.

    Raises StoreProblem: not reachable, not a database, not writable, or made by a newer version.
    """

    def __init__(self, url: str | Path | URL) -> None:
        self.url = parse_url(url)
        self.file = Path(self.url.database) if self.is_sqlite and self.url.database else None
        if self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreProblem(f"the folder of {self.file} cannot be made: {error.strerror}") from None
        self.engine = self._open()
        if not self.is_sqlite:  # a writer waits for another's row instead of failing
            self._writes = {"isolation_level": "READ COMMITTED"}
        self._writing = threading.Lock()
        self._lock_file: int | None = None
        self._lock_connection: Connection | None = None
        try:
            self._migrate()
        except (SQLAlchemyError, TypeError) as error:  # TypeError: the driver misses a part of the URL
            self.engine.dispose()
            cause = getattr(error, "orig", None) or error
            raise StoreProblem(f"the database {self.name} cannot be used: {cause}") from None

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def name(self) -> str:
        """For messages: never holds the password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)

    def _open(self) -> Engine:
        try:
            if self.is_sqlite:
                return open_sqlite(self.url)
            # Reads see one snapshot, as in SQLite.
            return create_engine(self.url, pool_pre_ping=True, isolation_level="REPEATABLE READ")
        except ModuleNotFoundError as error:
            raise StoreProblem(f"{self.name}: the driver {error.name} is not installed") from None
        except (ArgumentError, NoSuchModuleError) as error:
            raise StoreProblem(f"{self.name} is not a database Faultline knows: {error}") from None

    def _migrate(self) -> None:
        with self.engine.connect() as connection:
            known = inspect(connection).has_table("alembic_version")
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if known else None
        if found == HEAD:
            return
        from monitor.store.migrate import upgrade  # alembic costs 10 MB, and is needed once per version

        with self.write() as connection:
            upgrade(connection, self.name)

    def insert_new(self, table: Table) -> Any:
        """INSERT that leaves rows alone whose key is already there."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        return insert(table).on_conflict_do_nothing()

    def upsert(self, table: Table, where: Any = None, keep: tuple[str, ...] = ()) -> Any:
        """INSERT that replaces every column but the key and `keep` of a row that is there, if `where` allows."""
        insert = (sqlite.insert if self.is_sqlite else postgresql.insert)(table)
        keys = [c.name for c in table.primary_key.columns]
        values = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in (*keys, *keep)}
        condition = where(insert.excluded) if where is not None else None
        return insert.on_conflict_do_update(index_elements=keys, set_=values, where=condition)

    def lock(self, folder: Path | None = None) -> None:
        """Claim the store for this process until it closes or dies. `folder`: the data folder (default: the file's).

        Raises StoreLocked, naming the process that has it.
        """
        place = folder or (self.file.parent if self.file else None)
        if place is not None and self._lock_file is None:
            place.mkdir(parents=True, exist_ok=True)
            self._lock_file = lock_folder(place)
            if (place / UNFINISHED).exists():
                raise StoreProblem(f"{place} is half restored: run `faultline restore` again, to its end")
        if not self.is_sqlite and self._lock_connection is None:
            self._lock_advisory()

    def _lock_advisory(self) -> None:
        connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if connection.scalar(select(text(f"pg_try_advisory_lock({ADVISORY_KEY})"))):
            self._lock_connection = connection
            return
        holder = connection.execute(
            text(
                "SELECT a.pid, a.client_addr FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = :key"
            ),
            {"key": ADVISORY_KEY},
        ).first()
        connection.close()
        who = f"database session {holder[0]} from {holder[1] or 'this machine'}" if holder else "another daemon"
        raise StoreLocked(f"{self.name} is in use by {who}: one store serves one daemon; stop the other one first")

    def close(self) -> None:
        if self._lock_connection is not None:
            self._lock_connection.close()
            self._lock_connection = None
        super().close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


def parse_url(url: str | Path | URL) -> URL:
    """Raises StoreProblem."""
    if isinstance(url, URL):
        return url
    text_url = str(url)
    if "://" not in text_url:
        return URL.create("sqlite", database=str(Path(text_url)))
    try:
        return make_url(text_url)
    except ArgumentError:
        raise StoreProblem("store.url is not a database URL: write sqlite:////path/file or postgresql+...") from None


def lock_folder(folder: Path) -> int:
    """The open lock file of a store's folder: closing it gives the folder back. Raises StoreLocked, naming the process
    that has it."""
    path = folder / LOCK_NAME
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise StoreLocked(
            f"{folder} is in use by process {holder}: one store serves one daemon; stop the other one first"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
