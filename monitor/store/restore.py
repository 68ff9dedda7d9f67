"""An archive of `backup` becomes the store's folder again: checked whole first, then put in place by renaming.

What was in the folder before is not touched but set aside beside it. A half-read, altered or foreign archive changes
nothing; a restore that is killed between the renames leaves a mark, and no daemon starts until it was run again.
"""

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import msgspec

from monitor.store.backup import FORMAT, MANIFEST, Entry, Manifest, Progress
from monitor.store.database import UNFINISHED, lock_folder
from monitor.store.files import fsync_file, fsync_folder
from monitor.store.problems import StoreProblem
from monitor.store.settings import StoreSettings

KNOWN = ("journal", "rollups.running", "samples", "snapshots", "spool", "state.sqlite")
STAGED = ".restoring"


def restore(
    settings: StoreSettings, archive: Path, stamp: str, progress: Progress = lambda name, size: None
) -> tuple[Manifest, Path | None]:
    """Put the archive's content in `store.folder`; returns its manifest and where the old content lies now (None: there
    was none). `stamp` goes into that name.

    Raises StoreProblem (not an archive of ours, damaged, made by a newer version), StoreLocked (a daemon runs).
    """
    folder = Path(settings.folder)
    staged = folder / STAGED  # inside, because the folder may be a mount point
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(folder)
        try:
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            manifest = _unpack(archive, staged, progress)
            if manifest.state == "sqlite" and settings.state_url:
                raise StoreProblem(
                    f"{archive} holds the SQL state as SQLite, but store.state_url names another database: restore with"
                    " state_url empty. Nothing was changed"
                )
            return manifest, _swap(folder, staged, stamp)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
            os.close(lock)
    except OSError as error:
        raise StoreProblem(f"{error.filename or archive}: {error.strerror or error}") from None


def _unpack(archive: Path, staged: Path, progress: Progress) -> Manifest:
    """Everything into the folder `staged`, and only if all of it is as the manifest says."""
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is None or not _is_ours(member.name):
                    raise StoreProblem(f"{archive} is not a backup of Faultline: it holds {member.name!r}")
                if member.name == MANIFEST:
                    manifest = msgspec.json.decode(file.read(), type=Manifest)
                    continue
                path = staged / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                crc = 0
                with path.open("wb") as out:
                    while piece := file.read(1 << 20):
                        crc = zlib.crc32(piece, crc)
                        out.write(piece)
                fsync_file(path)
                found[member.name] = Entry(member.size, crc)
                progress(member.name, member.size)
    except (tarfile.TarError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise StoreProblem(f"{archive} cannot be read ({error}): is it damaged? Nothing was changed") from None
    if manifest is None:
        raise StoreProblem(f"{archive} ends before its manifest: it was cut off. Nothing was changed")
    if manifest.format > FORMAT:
        raise StoreProblem(f"{archive} was made by a newer Faultline ({manifest.faultline}): run that version")
    for name, entry in manifest.files.items():
        if found.get(name) != entry:
            raise StoreProblem(f"{archive} is damaged: {name} is not as its manifest says. Nothing was changed")
    return manifest


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name == MANIFEST or (bool(parts) and parts[0] in KNOWN and ".." not in parts)


def _swap(folder: Path, staged: Path, stamp: str) -> Path | None:
    """The staged content takes the place of the old, entry by entry; the old is set aside."""
    old = [p for p in sorted(folder.iterdir()) if p.name.startswith(KNOWN)]  # with SQLite's own -wal and -shm
    (folder / UNFINISHED).touch()
    fsync_folder(folder)
    kept = folder / f"before-restore-{stamp}" if old else None
    if kept is not None:
        kept.mkdir(exist_ok=True)
        for path in old:
            path.rename(kept / path.name)
    for path in sorted(staged.iterdir()):
        path.rename(folder / path.name)
    fsync_folder(folder)
    (folder / UNFINISHED).unlink()
    fsync_folder(folder)
    return kept
