"""Files that are there whole or not at all: written aside, synced, renamed, and the folder synced too."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def fsync_folder(folder: Path) -> None:
    """Make names that were added, renamed or removed in `folder` survive a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """Write a file that takes the place of `path` when the block ends; when it raises, `path` is as it was."""
    aside = path.with_name(f".{path.name}.new")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def hint(folder: Path) -> str:
    """How much room there is, for messages; "" when that cannot be found out."""
    try:
        return f" (now {shutil.disk_usage(folder).free >> 20} MB free)"
    except OSError:
        return ""
