"""A copy of everything in the store's folder while the daemon goes on writing: one tar file.

What is copied when decides whether the copy fits together. Snapshots come first, then the SQL state, the samples (or
the spool), and the journal last: whatever the others know is then in the journal's copy, and a start from the copy
replays its tail as after a crash. The manifest at the end has size and CRC-32 of every file; without it the archive was
cut off.
"""

import io
import logging
import os
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO

import msgspec

from monitor import __version__
from monitor.store.files import written_aside
from monitor.store.problems import StoreProblem
from monitor.store.settings import StoreSettings

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "state.sqlite"
CATALOG = "samples/catalog.sqlite"
RUNNING = ("samples/rollups.running", "rollups.running")
TRIES = 5
log = logging.getLogger("faultline.backup")
Progress = Callable[[str, int], None]  # name and bytes of each file that is in the archive


class Entry(msgspec.Struct, frozen=True):
    bytes: int
    crc32: int


class Manifest(msgspec.Struct, frozen=True):
    """`state`: "sqlite", or "elsewhere" when the SQL state is in a database of its own and not in the archive."""

    format: int
    faultline: str
    made_at: str
    engine: str
    state: str
    files: dict[str, Entry]


class _Moved(Exception):
    """The daemon replaced something between two of our looks: look again."""


def backup(settings: StoreSettings, out: Path, made_at: str, progress: Progress = lambda name, size: None) -> Manifest:
    """Write the archive `out` (gzip when the name ends in .gz or .tgz); it is there whole or not at all.

    Raises StoreProblem: no store, or one that moves too fast; OSError for the archive's own place.
    """
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise StoreProblem(f"{folder} does not exist: is store.folder right? (nothing was backed up)")
    for attempt in range(TRIES):
        try:
            return _attempt(settings, folder, out, made_at, progress)
        except _Moved as moved:
            log.info("the store changed while it was copied (%s): once more", moved)
            if attempt == TRIES - 1:
                raise StoreProblem(f"{folder} changed faster than it could be copied ({moved}): try again") from None
    raise AssertionError("unreachable")


def _attempt(settings: StoreSettings, folder: Path, out: Path, made_at: str, progress: Progress) -> Manifest:
    gzip = out.name.endswith((".gz", ".tgz"))
    with (
        tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}.") as aside,
        written_aside(out) as file,
    ):
        os.fchmod(file.fileno(), 0o600)  # it holds what customers said
        packed = GzipFile(fileobj=file, mode="wb", compresslevel=1) if gzip else nullcontext(file)
        with packed as target, tarfile.open(fileobj=target, mode="w|") as tar:
            archive = _Archive(tar, progress)
            newest = _snapshots(folder, archive)
            if not settings.state_url:
                archive.add_sqlite(folder / STATE, STATE, Path(aside))
            _samples(folder, archive, Path(aside))
            _spool(folder, archive)
            for name in RUNNING:
                archive.add(folder / name, name)
            _journal(folder, archive, newest)
            manifest = Manifest(
                format=FORMAT,
                faultline=__version__,
                made_at=made_at,
                engine=settings.engine,
                state="elsewhere" if settings.state_url else "sqlite",
                files=archive.files,
            )
            archive.add_bytes(msgspec.json.format(msgspec.json.encode(manifest)), MANIFEST)
    return manifest


class _Archive:
    def __init__(self, tar: tarfile.TarFile, progress: Progress) -> None:
        self._tar = tar
        self._progress = progress
        self.files: dict[str, Entry] = {}

    def add(self, path: Path, name: str) -> bool:
        """Add a file as long as it is now (a journal grows); False when it is gone."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            self._add(file, name, os.fstat(file.fileno()).st_size, int(os.fstat(file.fileno()).st_mtime))
        return True

    def add_bytes(self, data: bytes, name: str) -> None:
        self._add(io.BytesIO(data), name, len(data), 0)

    def add_sqlite(self, path: Path, name: str, aside: Path) -> None:
        """Add one consistent state of a database that others write to."""
        if path.exists():
            self.add(copy_sqlite(path, aside), name)

    def _add(self, file: BinaryIO, name: str, size: int, mtime: int) -> None:
        head = tarfile.TarInfo(name)
        head.size, head.mtime, head.mode = size, mtime, 0o640
        summing = _Summing(file)
        self._tar.addfile(head, summing)
        self.files[name] = Entry(size, summing.crc)
        self._progress(name, size)


class _Summing:
    """A file for reading that keeps the CRC-32 of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.crc = zlib.crc32(data, self.crc)
        return data


def copy_sqlite(path: Path, aside: Path) -> Path:
    """A copy of the database as one transaction sees it, in the folder `aside`. Raises StoreProblem."""
    copy = aside / path.name
    copy.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        raise StoreProblem(f"{path} cannot be copied: {error}") from None
    return copy


def _snapshots(folder: Path, archive: _Archive) -> int:
    """Adds them, and returns the journal entry after which the newest of them was written; 0 without one."""
    paths = sorted((folder / "snapshots").glob("snapshot-*.fls"))
    added = [path for path in paths if archive.add(path, f"snapshots/{path.name}")]
    if paths and not added:
        raise _Moved("snapshots")
    return max((int(path.stem.removeprefix("snapshot-")) for path in added), default=0)


def _samples(folder: Path, archive: _Archive, aside: Path) -> None:
    """The segments that one state of the catalog names, and that catalog; joined segments make us look once more."""
    catalog = folder / CATALOG
    if not catalog.exists():
        return
    for _ in range(TRIES):
        copy = copy_sqlite(catalog, aside)
        missing = [
            name
            for name in _segments(copy)
            if f"samples/{name}" not in archive.files and not archive.add(folder / "samples" / name, f"samples/{name}")
        ]
        if not missing:
            archive.add(copy, CATALOG)
            return
    raise _Moved(f"samples/{missing[0]}")


def _segments(catalog: Path) -> Iterator[str]:
    with closing(sqlite3.connect(catalog)) as connection:
        yield from (name for (name,) in connection.execute("SELECT name FROM segments ORDER BY hour, name"))


def _spool(folder: Path, archive: _Archive) -> None:
    """What is acknowledged first: a segment that goes meanwhile is then merely sent again, or was stored already."""
    archive.add(folder / "spool" / "done.json", "spool/done.json")
    for path in sorted((folder / "spool").rglob("*")):
        if path.is_file() and path.name != "done.json" and not path.name.startswith("."):
            archive.add(path, f"spool/{path.relative_to(folder / 'spool')}")


def _journal(folder: Path, archive: _Archive, newest: int) -> None:
    segments = sorted((folder / "journal").glob("journal-*.log"))
    added = [path for path in segments if archive.add(path, f"journal/{path.name}")]
    if added != segments:
        raise _Moved("journal")
    if segments and int(segments[0].stem.removeprefix("journal-")) > newest + 1:
        raise _Moved("journal")
