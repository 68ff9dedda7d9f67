"""The engine's arrays at one journal entry: written aside, synced, renamed; the last two are kept.

    file  "FLS", version (1 byte), header length u32, header (msgpack: seq, names), one .npy after the other, CRC-32 u32

No pickled objects are written or read. When the newest file is damaged, the one before it serves: therefore the journal
may be discarded only through what `save` returns.
"""

import errno
import io
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.store.files import hint, written_aside
from monitor.store.problems import DiskFull, StoreProblem

VERSION = 1
MAGIC = b"FLS"
KEEP = 2
log = logging.getLogger("faultline.snapshot")
Arrays = dict[str, npt.NDArray[np.generic]]


class _Header(msgspec.Struct):
    seq: int
    names: list[str]


class _Summing:
    """A file for writing that keeps the CRC-32 of what went through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc = 0

    def write(self, data: Any) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self._file.write(data)


def save(folder: str | Path, seq: int, arrays: Mapping[str, npt.NDArray[np.generic]]) -> int:
    """Write the state after journal entry `seq`; returns the sequence number through which the journal is no longer
    needed (that of the oldest snapshot kept). Raises DiskFull, StoreProblem, and ValueError for arrays of objects."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(".snapshot-*.new"):  # of a run that was killed while writing
            left_over.unlink()
        with written_aside(folder / f"snapshot-{seq:020d}.fls") as file:
            out = _Summing(file)
            header = msgspec.msgpack.encode(_Header(seq, list(arrays)))
            out.write(MAGIC + bytes([VERSION]) + len(header).to_bytes(4, "little") + header)
            for array in arrays.values():
                np.lib.format.write_array(out, np.asanyarray(array), allow_pickle=False)
            file.write(out.crc.to_bytes(4, "little"))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = (
                f"no room left for a snapshot in {folder}: free some space{hint(folder)}; the journal keeps everything"
            )
            raise DiskFull(text) from None
        raise StoreProblem(f"no snapshot can be written in {folder}: {error.strerror}") from None
    kept = _files(folder)[-KEEP:]
    for path in _files(folder)[:-KEEP]:
        path.unlink(missing_ok=True)
    return _seq(kept[0]) if len(kept) == KEEP else -1


def load(folder: str | Path) -> tuple[int, Arrays] | None:
    """`(seq, arrays)` of the newest whole snapshot, None when there is none. A damaged one is set aside and logged.

    Raises StoreProblem when the newest was written by a newer version.
    """
    for path in reversed(_files(Path(folder))):
        try:
            return _read(path.read_bytes())
        except StoreProblem as error:
            raise StoreProblem(f"{path}: {error}") from None
        except (ValueError, OSError) as error:
            aside = path.with_suffix(".damaged")
            log.error("%s is damaged (%s): set aside as %s, the one before it is used", path, error, aside.name)
            path.rename(aside)
    return None


def _read(data: bytes) -> tuple[int, Arrays]:
    if data[:3] != MAGIC or len(data) < 12:
        raise ValueError("not a snapshot")
    if data[3] > VERSION:
        raise StoreProblem(f"written by a newer Faultline (format {data[3]}): run that version")
    if zlib.crc32(memoryview(data)[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError("wrong checksum")
    size = int.from_bytes(data[4:8], "little")
    try:
        header = msgspec.msgpack.decode(memoryview(data)[8 : 8 + size], type=_Header)
    except msgspec.MsgspecError as error:
        raise ValueError(f"unreadable header: {error}") from None
    rest = io.BytesIO(data)
    rest.seek(8 + size)
    return header.seq, {name: np.lib.format.read_array(rest, allow_pickle=False) for name in header.names}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("snapshot-*.fls"))


def _seq(path: Path) -> int:
    return int(path.stem.removeprefix("snapshot-"))
