"""Keeps the embedded store's segments few and young: joins, closes hours, forgets, sets damaged ones aside.

Small segments of the running hour are joined eight at a time; when an hour has been over for a while, it becomes one
sorted segment (or several, by ranges of lines, when it is large, so that joining needs little memory).
"""

import logging
import threading
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from monitor.clock import NS
from monitor.store.problems import StoreProblem
from monitor.store.samples.base import STEPS_S
from monitor.store.samples.catalog import Catalog, Segment
from monitor.store.samples.parquet import Damaged, Missing, Parquet, crc_of
from monitor.store.settings import StoreSettings

JOIN_AT = 8
CLOSE_AFTER_S = 600
SEGMENT_ROWS = 1_200_000  # a line's hour is read in 2 ms; from 12 million rows it would take five times as long
VERIFY_BYTES = 256 << 20  # a pass, that is each half minute
log = logging.getLogger("faultline.samples")


def segment_name(kind: str, hour: int, first_seq: int, last_seq: int, generation: int, low: int) -> str:
    """Relative path of a segment; the sequence numbers of the journal are in it for people who look."""
    when = datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y%m%dT%H")
    return f"{kind}/{when}/{first_seq:015d}-{last_seq:015d}-{generation}-{low:08d}.parquet"


def tidy(folder: Path, catalog: Catalog) -> None:
    """At start: remove what a crash left behind, and forget segments whose file is gone."""
    known = {s.name: s for s in catalog.segments()}
    for path in [*folder.rglob("*.parquet"), *folder.rglob(".*.new")]:
        if str(path.relative_to(folder)) not in known:
            path.unlink()
    for name in known:
        if not (folder / name).exists():
            log.error("the segment %s is gone: its samples are lost", folder / name)
            catalog.replace([name], [])


def expire(folder: Path, catalog: Catalog, settings: StoreSettings, now_ns: int) -> None:
    """Unlink the hours, and delete the roll-ups, that are older than their retention."""
    if settings.retention_days:
        oldest = int((now_ns / NS - settings.retention_days * 86400) // 3600)
        old = catalog.segments(hours=(0, oldest - 1))
        if old and catalog.replace([s.name for s in old], []):
            _remove(folder, old)
    days = {"1m": settings.rollup_1m_days, "5m": settings.rollup_5m_days, "1h": settings.rollup_1h_days}
    for step, keep in days.items():
        if keep:
            catalog.forget_rollups(STEPS_S[step], int(now_ns / NS - keep * 86400))


def compact(folder: Path, catalog: Catalog, parquet: Parquet, now_ns: int, stop: threading.Event) -> None:
    """One pass over all hours. Raises Damaged (set it aside, and the next pass goes on)."""
    hours: dict[tuple[str, int], list[Segment]] = defaultdict(list)
    for segment in catalog.segments():
        hours[segment.kind, segment.hour].append(segment)
    for (_, hour), found in hours.items():
        if stop.is_set():
            return
        closed = now_ns >= ((hour + 1) * 3600 + CLOSE_AFTER_S) * NS
        parts = [s for s in found if s.generation == 0]
        whole = any(s.generation == 2 for s in found)
        try:
            if closed and (parts or not whole) and (not whole or len(parts) >= JOIN_AT):
                _join(folder, catalog, parquet, found, 2)
            elif not closed and len(parts) >= JOIN_AT:
                _join(folder, catalog, parquet, parts, 1)
        except Missing:
            continue  # replaced or set aside meanwhile


def _join(folder: Path, catalog: Catalog, parquet: Parquet, old: list[Segment], generation: int) -> None:
    kind, hour = old[0].kind, old[0].hour
    first, last = min(s.first_seq for s in old), max(s.last_seq for s in old)
    low, high = min(s.low for s in old), max(s.high for s in old)
    count = 1 + sum(s.rows for s in old) // SEGMENT_ROWS if generation == 2 else 1
    width = (high - low) // count + 1
    new: list[Segment] = []
    for segment in old:  # what is damaged must not be joined into what is whole
        verify(folder, segment)
    try:
        for begin in range(low, high + 1, width):
            end = min(begin + width - 1, high)
            name = segment_name(kind, hour, first, last, generation, begin)
            sources = [folder / s.name for s in old if s.high >= begin and s.low <= end]
            if not sources:
                continue
            rows, lowest, highest, crc = parquet.join(sources, folder / name, begin, end)
            made = Segment(name, kind, hour, lowest, highest, rows, first, last, generation, crc)
            if rows:
                new.append(made)
            else:
                (folder / name).unlink()
        if sum(s.rows for s in new) != sum(s.rows for s in old):
            raise StoreProblem(f"joining the {kind} of one hour would lose rows: left as they are")
        done = catalog.replace([s.name for s in old], new)
    except BaseException:
        _remove(folder, new)
        raise
    _remove(folder, old if done else new)


class Verifier:
    """Reads every segment that an earlier run left, newest first and a little at a time, and compares its checksum:
    a flipped bit may decode well, and would only show as a wrong figure."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder
        self._left = sorted(catalog.segments(), key=lambda s: (s.hour, s.first_seq))

    def step(self, stop: threading.Event) -> None:
        """Raises Damaged."""
        done = 0
        while self._left and done < VERIFY_BYTES and not stop.is_set():
            segment = self._left.pop()
            try:
                done += verify(self._folder, segment)
            except Missing:
                continue  # joined or expired meanwhile


def verify(folder: Path, segment: Segment) -> int:
    """The segment's size in bytes. Raises Damaged, Missing."""
    path = folder / segment.name
    try:
        if crc_of(path) != segment.crc32:
            raise Damaged(path, "wrong checksum")
        return path.stat().st_size
    except FileNotFoundError:
        raise Missing(f"{path} is gone") from None


def set_aside(folder: Path, catalog: Catalog, damage: Damaged) -> None:
    """Take a damaged segment out of use, under a name that says so; everything else goes on."""
    name = str(damage.path.relative_to(folder))
    if catalog.replace([name], []):
        aside = damage.path.with_suffix(".damaged")
        damage.path.rename(aside)
        log.error("%s; set aside as %s, the rest is used", damage, aside.name)


def _remove(folder: Path, segments: list[Segment]) -> None:
    for segment in segments:
        path = folder / segment.name
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
