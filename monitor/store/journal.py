"""What came in, on disk before anything else happens: length, CRC-32 and sequence number, then the entry.

    segment  "FLJ", version (1 byte), reserved (4), then records
    record   payload length u32, CRC-32 u32 (of sequence number and payload), sequence number u64, payload, padding to 8

An append is one write and one fdatasync; entries are numbered from 1 without gaps. A record that was torn by a crash is
cut off when the journal is opened, and reported: nobody was ever told that it was safe. One writer.
"""

import errno
import itertools
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from monitor.records import Event, LineValues, ProbeRound
from monitor.store import codec
from monitor.store.files import fsync_folder, hint
from monitor.store.problems import DiskFull, StoreProblem

VERSION = 1
MAGIC = b"FLJ"
SEGMENT_HEAD = MAGIC + bytes([VERSION, 0, 0, 0, 0])
RECORD = struct.Struct("<IIQ")
MAX_PAYLOAD = 1 << 31
log = logging.getLogger("faultline.journal")

Entry = tuple[int, int, list[ProbeRound | LineValues], list[Event]]


class Journal:
    """`folder` is made when missing. Raises StoreProblem when it cannot be read or was written by a newer version.

    `torn_bytes`: what was cut off at opening. `seq`: the newest entry, 0 when there was never one.
    """

    def __init__(self, folder: str | Path, segment_bytes: int = 64 << 20) -> None:
        self._folder = Path(folder)
        self._segment_bytes = segment_bytes
        self.torn_bytes = 0
        self.seq = 0
        self._file = -1
        self._size = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._segments()[-1:]:
                self._open_last(path)
        except OSError as error:
            raise StoreProblem(f"the journal in {self._folder} cannot be used: {error.strerror}") from None

    def append(self, now_ns: int, rounds: Sequence[ProbeRound | LineValues], events: Sequence[Event]) -> int:
        """Durable when it returns the entry's sequence number.

        Raises DiskFull or StoreProblem; then nothing was added, and the same can be tried again.
        """
        seq = self.seq + 1
        parts = codec.encode(now_ns, rounds, events)
        length = sum(len(p) for p in parts)
        if length >= MAX_PAYLOAD:
            raise StoreProblem(f"a journal entry of {length} bytes is too large: the limit is {MAX_PAYLOAD}")
        crc = zlib.crc32(seq.to_bytes(8, "little"))
        for part in parts:
            crc = zlib.crc32(part, crc)
        parts = [RECORD.pack(length, crc, seq), *parts, bytes(-length % 8)]
        try:
            if self._file < 0 or self._size >= self._segment_bytes:
                self._begin_segment(seq)
            self._write(parts)
        except OSError as error:
            self._undo()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    f"no room left for the journal in {self._folder}: free some space{hint(self._folder)};"
                    " what was acknowledged is safe"
                ) from None
            raise StoreProblem(f"the journal in {self._folder} cannot be written: {error.strerror}") from None
        self.seq = seq
        return seq

    def replay(self, after_seq: int) -> Iterator[Entry]:
        """`(seq, now_ns, rounds, events)` of every entry after `after_seq`, in order.

        A damaged record ends its segment; the next segment is still read, and the gap is logged.
        """
        if self.seq and after_seq > self.seq:
            log.warning(
                "the journal ends at %d, before the snapshot at %d: it was lost or restored", self.seq, after_seq
            )
        segments = self._segments()
        expected = max(after_seq, 0) + 1
        for path, following in itertools.zip_longest(segments, segments[1:]):
            if following is not None and _first_seq(following) <= expected:
                continue
            data = path.read_bytes()
            whole = len(SEGMENT_HEAD)
            for seq, at, length, end in _records(data):
                whole = end
                if seq < expected:
                    continue
                if seq > expected:
                    log.error("the journal has a gap: entries %d to %d are missing", expected, seq - 1)
                expected = seq + 1
                try:
                    entry = codec.decode(data[at : at + length])
                except ValueError as error:
                    log.error("entry %d of the journal cannot be used: %s", seq, error)
                    continue
                yield seq, *entry
            if following is not None and whole < len(data):
                log.error("%s is damaged after byte %d: the rest of this segment is lost", path, whole)

    def continue_after(self, seq: int) -> None:
        """Number the next entry higher than `seq`, which others have seen (for when the journal was lost)."""
        if seq > self.seq:
            self.seq = seq
            self._close_file()

    def discard_through(self, seq: int) -> None:
        """Remove the segments that hold only entries up to `seq`. The newest segment always stays."""
        segments = self._segments()
        removed = False
        for path, following in itertools.pairwise(segments):
            if _first_seq(following) > seq + 1:
                break
            path.unlink(missing_ok=True)
            removed = True
        if removed:
            fsync_folder(self._folder)
        if len(segments) == 1 or removed:
            self._rotate_if_through(seq)

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._segments())

    def close(self) -> None:
        self._close_file()

    # -- inside

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("journal-*.log"))

    def _rotate_if_through(self, seq: int) -> None:
        """Begin the next entry in a new segment when all of this one is settled and it is worth it, so that a
        snapshot every few minutes keeps the journal small although segments are large."""
        if self.seq <= seq and self._size > self._segment_bytes // 16:
            self._close_file()

    def _begin_segment(self, seq: int) -> None:
        self._close_file()
        path = self._folder / f"journal-{seq:020d}.log"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        self._size = 0
        self._write([SEGMENT_HEAD])
        fsync_folder(self._folder)

    def _write(self, parts: Sequence[codec.Buffer]) -> None:
        total = sum(len(p) for p in parts)
        done = 0
        pending = [memoryview(p) for p in parts if len(p)]
        while pending:
            count = os.writev(self._file, pending[:512])
            done += count
            while pending and count >= len(pending[0]):
                count -= len(pending.pop(0))
            if count:
                pending[0] = pending[0][count:]
        assert done == total
        os.fdatasync(self._file)
        self._size += total

    def _undo(self) -> None:
        """Cut off what a failed write left, so that the next entry does not stand behind rubbish."""
        if self._file < 0:
            return
        if self._size < len(SEGMENT_HEAD):
            self._close_file()  # the next entry makes this segment anew
            return
        try:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
        except OSError:
            self._close_file()

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open_last(self, path: Path) -> None:
        """Find the newest entry and cut off a torn tail."""
        data = path.read_bytes()
        size = len(SEGMENT_HEAD) if data[:3] == MAGIC else 0
        self.seq = _first_seq(path) - 1
        for seq, _, _, end in _records(data):
            self.seq, size = seq, end
        self.torn_bytes = max(len(data) - size, 0)
        if self.torn_bytes:
            log.warning("%s: the last %d bytes were torn by a crash and are cut off", path, self.torn_bytes)
        if data[:3] != MAGIC:  # its head was not written yet, or is damaged
            path.rename(path.with_suffix(".damaged"))
            return
        self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.ftruncate(self._file, size)
        os.lseek(self._file, size, os.SEEK_SET)
        os.fdatasync(self._file)
        self._size = size


def _first_seq(path: Path) -> int:
    return int(path.stem.removeprefix("journal-"))


def _records(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """`(seq, start of the payload, its length, end of the record)` of every whole record, up to the first damage."""
    if len(data) < len(SEGMENT_HEAD):
        return
    if data[:3] == MAGIC and data[3] > VERSION:
        raise StoreProblem(f"the journal was written by a newer Faultline (format {data[3]}): run that version")
    if data[:3] != MAGIC:
        return
    at = len(SEGMENT_HEAD)
    view = memoryview(data)
    while at + RECORD.size <= len(data):
        length, crc, seq = RECORD.unpack_from(data, at)
        start = at + RECORD.size
        end = start + length + (-length % 8)
        if end > len(data) or length >= MAX_PAYLOAD:
            return
        if zlib.crc32(view[start : start + length], zlib.crc32(seq.to_bytes(8, "little"))) != crc:
            return
        yield seq, start, length, end
        at = end
