"""What InfluxDB has not acknowledged yet, on disk: batches of compressed line protocol in segments.

    record   "FLR1", payload length u32, CRC-32 u32 (of the rest of the head and the payload), journal sequence number
             i64, time i64 ns, points u32, then the payload (gzip)

`append` is durable when it returns. `done.json` (replaced atomically) says what is acknowledged: a list of spans still
to be sent, the last one open-ended. After an outage what waits becomes a backlog span, so that live batches go first.
When `done.json` is lost everything is sent again, which changes nothing: a point is keyed by series and time.
"""

import errno
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from monitor.store.files import fsync_folder, hint
from monitor.store.problems import DiskFull, StoreProblem

MAGIC = b"FLR1"
HEAD = struct.Struct("<4sIIqqI")
SEGMENT_BYTES = 8 << 20
MAX_SPANS = 8
log = logging.getLogger("faultline.spool")
Position = tuple[int, int]  # segment number, byte offset


class Record(msgspec.Struct, frozen=True):
    seq: int
    at_ns: int
    points: int
    payload: bytes
    start: Position
    end: Position


class _Span(msgspec.Struct, array_like=True):
    """Batches from `start` up to `end` (None: whatever comes) are still to be sent."""

    start: Position
    end: Position | None


class _Done(msgspec.Struct):
    spans: list[_Span]
    seq: int


class Spool:
    """`folder` is made when missing. One appending and one sending thread. Raises StoreProblem."""

    def __init__(self, folder: Path, max_bytes: int, drop_oldest: bool = True) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._drop_oldest = drop_oldest
        self._lock = threading.Lock()
        self.dropped_points = 0
        self.damaged_bytes = 0
        self.seq = -1  # newest journal entry that is in the spool, or was
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._sizes = {_number(p): p.stat().st_size for p in self._files()}
            self._file, self._end = -1, (1, 0)
            self._open_last()
            self._spans = self._read_done()
        except OSError as error:
            raise StoreProblem(f"the spool in {folder} cannot be used: {error.strerror}") from None

    # -- appending

    def append(self, at_ns: int, seq: int, batches: Sequence[tuple[int, bytes]]) -> None:
        """Write `(points, payload)` batches that bring the spool up to journal entry `seq`; on disk when it returns.

        Raises DiskFull or StoreProblem; then none of them was added. When the spool is at its cap, either the oldest
        segment or these batches go, by policy, counted in `dropped_points`.
        """
        data = b"".join(_record(seq, at_ns, points, payload) for points, payload in batches)
        with self._lock:
            if self.size_bytes + len(data) > self._max_bytes and not self._make_room(len(data)):
                self.dropped_points += sum(points for points, _ in batches)
                self.seq = max(self.seq, seq)
                return
            try:
                self._append(data)
            except OSError as error:
                self._undo()
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise DiskFull(
                        f"no room left for the spool in {self.folder}: free some space{hint(self.folder)}"
                    ) from None
                raise StoreProblem(f"the spool in {self.folder} cannot be written: {error.strerror}") from None
            self.seq = max(self.seq, seq)

    def _append(self, data: bytes) -> None:
        if self._file < 0 or self._end[1] >= SEGMENT_BYTES:
            self._begin_segment()
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)
        segment, offset = self._end
        self._end = segment, offset + len(data)
        self._sizes[segment] = offset + len(data)

    def _begin_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._end = self._end[0] + 1, 0
        number = self._end[0]
        self._file = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        self._end = number, 0
        self._sizes[number] = 0
        fsync_folder(self.folder)

    def _undo(self) -> None:
        if self._file >= 0:
            try:
                os.ftruncate(self._file, self._end[1])
                os.lseek(self._file, self._end[1], os.SEEK_SET)
            except OSError:
                os.close(self._file)
                self._file = -1
                self._end = self._end[0] + 1, 0  # the rubbish stays behind as the damaged end of its segment

    def _make_room(self, size: int) -> bool:
        if not self._drop_oldest or size > self._max_bytes:
            return False
        while self.size_bytes + size > self._max_bytes:
            oldest = min(self._sizes)
            if oldest == self._end[0]:
                if self._file < 0 or not self._end[1]:
                    break
                self._begin_segment()
            self.dropped_points += self._pending_points(oldest)
            self._forget(oldest)
        return True

    def _pending_points(self, segment: int) -> int:
        return sum(r.points for r in _records(self._path(segment), segment) if self._is_pending(r.start))

    def _is_pending(self, at: Position) -> bool:
        return any(span.start <= at and (span.end is None or at < span.end) for span in self._spans)

    def _forget(self, segment: int) -> None:
        self._path(segment).unlink(missing_ok=True)
        del self._sizes[segment]
        after = (segment + 1, 0)
        for span in self._spans:
            span.start = max(span.start, after)
        self._spans = [s for s in self._spans if s.end is None or s.start < s.end]
        self._write_done()

    # -- sending

    def live(self) -> Record | None:
        """The next batch of what came since the last outage, or None."""
        with self._lock:
            return self._next(self._spans[-1])

    def backlog(self) -> Record | None:
        """The oldest batch of what was left over by an outage, or None."""
        with self._lock:
            while len(self._spans) > 1:
                if found := self._next(self._spans[0]):
                    return found
                self._spans.pop(0)
            return None

    def acknowledge(self, record: Record) -> None:
        """The database has it (or refused it for good): it is not given again."""
        with self._lock:
            for span in self._spans:
                if span.start <= record.start and (span.end is None or record.start < span.end):
                    span.start = record.end
            self._spans = [s for s in self._spans if s.end is None or s.start < s.end]
            self._write_done()
            first = self._spans[0].start[0]
            for segment in [n for n in self._sizes if n < first and n != self._end[0]]:
                self._path(segment).unlink(missing_ok=True)
                del self._sizes[segment]

    def set_back(self) -> None:
        """The database is back: what waits now becomes backlog, and what comes from now on is live."""
        with self._lock:
            last = self._spans[-1]
            if last.start < self._end and self._next(last):
                last.end = self._end
                self._spans.append(_Span(self._end, None))
                if len(self._spans) > MAX_SPANS:  # the oldest two in one; what lies between is sent again
                    oldest = self._spans.pop(0)
                    self._spans[0].start = oldest.start
                self._write_done()

    def _next(self, span: _Span) -> Record | None:
        while span.start < (span.end or self._end):
            segment, offset = span.start
            if segment not in self._sizes:
                span.start = (segment + 1, 0)
                continue
            if offset >= self._sizes[segment]:
                if segment == self._end[0]:
                    return None
                span.start = (segment + 1, 0)
                continue
            found = next(_records(self._path(segment), segment, offset), None)
            if found is not None:
                return found
            lost = self._sizes[segment] - offset
            self.damaged_bytes += lost
            log.error("%s is damaged after byte %d: %d bytes are lost", self._path(segment), offset, lost)
            span.start = (segment, self._sizes[segment])
        return None

    # -- figures

    @property
    def size_bytes(self) -> int:
        return sum(self._sizes.values())

    def pending(self) -> tuple[int, int]:
        """`(bytes still to be sent, time in ns of the oldest batch or 0)`."""
        with self._lock:
            total = 0
            for span in self._spans:
                end = span.end or self._end
                for segment, size in self._sizes.items():
                    low = span.start[1] if segment == span.start[0] else 0
                    high = end[1] if segment == end[0] else size
                    if span.start[0] <= segment <= end[0]:
                        total += max(high - low, 0)
            return total, self._oldest_ns() if total else 0

    def _oldest_ns(self) -> int:
        for span in self._spans:
            segment, offset = span.start
            if offset >= self._sizes.get(segment, 0):
                segment, offset = segment + 1, 0
            if (segment, offset) < (span.end or self._end) and segment in self._sizes:
                with self._path(segment).open("rb") as file:
                    file.seek(offset)
                    head = file.read(HEAD.size)
                if len(head) == HEAD.size:
                    return int(HEAD.unpack(head)[4])
        return 0

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    # -- files

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("spool-*.seg"))

    def _path(self, number: int) -> Path:
        return self.folder / f"spool-{number:012d}.seg"

    def _open_last(self) -> None:
        """Cut off a torn tail, and go on in the last segment."""
        if not self._sizes:
            return
        number = max(self._sizes)
        path = self._path(number)
        end = 0
        for record in _records(path, number):
            end = record.end[1]
            self.seq = max(self.seq, record.seq)
        if end < self._sizes[number]:
            log.warning("%s: the last %d bytes were torn by a crash and are cut off", path, self._sizes[number] - end)
        self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)
        self._sizes[number] = end
        self._end = number, end

    def _read_done(self) -> list[_Span]:
        path = self.folder / "done.json"
        first = (min(self._sizes, default=1), 0)
        try:
            done = msgspec.json.decode(path.read_bytes(), type=_Done)
        except FileNotFoundError:
            return [_Span(first, None)]
        except msgspec.MsgspecError:
            log.warning("%s cannot be read: everything in the spool is sent again", path)
            return [_Span(first, None)]
        self.seq = max(self.seq, done.seq)
        newest = max((s.start for s in done.spans), default=first)
        if self._file < 0 and newest >= self._end:  # all segments are gone: go on behind what was acknowledged
            self._end = (newest[0] + 1, 0)
        return done.spans or [_Span(first, None)]

    def _write_done(self) -> None:
        # Not synced, for it comes with every batch: kill -9 cannot hurt it, and after a power loss an older one, or
        # none, only means that some batches are sent again.
        aside = self.folder / ".done.json.new"
        try:
            aside.write_bytes(msgspec.json.encode(_Done(self._spans, self.seq)))
            aside.replace(self.folder / "done.json")
        except OSError as error:
            log.warning("%s: %s; batches may be sent twice", self.folder / "done.json", error.strerror)


def _record(seq: int, at_ns: int, points: int, payload: bytes) -> bytes:
    rest = struct.pack("<qqI", seq, at_ns, points)
    crc = zlib.crc32(payload, zlib.crc32(rest))
    return HEAD.pack(MAGIC, len(payload), crc, seq, at_ns, points) + payload


def _records(path: Path, segment: int, offset: int = 0) -> Iterator[Record]:
    """Every whole record from `offset` on, up to the first damage."""
    with path.open("rb") as file:
        file.seek(offset)
        while len(head := file.read(HEAD.size)) == HEAD.size:
            magic, length, crc, seq, at_ns, points = HEAD.unpack(head)
            if magic != MAGIC:
                return
            payload = file.read(length)
            rest = head[12:]
            if len(payload) < length or zlib.crc32(payload, zlib.crc32(rest)) != crc:
                return
            end = offset + HEAD.size + length
            yield Record(seq, at_ns, points, payload, (segment, offset), (segment, end))
            offset = end


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("spool-"))
