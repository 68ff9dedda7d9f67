"""The embedded engine: samples in Parquet segments by hour beside a catalog in SQLite; nothing to install or run.

Two threads: the writer turns what was appended into segments (each flush one per hour and kind, in one transaction of
the catalog with the journal's sequence number, so a restart neither loses nor doubles), and the keeper joins small
segments, closes hours and applies the retention. Histories are read through the same DuckDB, what waits in memory
included.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from monitor.clock import NS, Clock
from monitor.inventory import Inventory
from monitor.metrics import Metrics
from monitor.records import Change, LineValues, ProbeRound, TargetKind, ValueKind
from monitor.records.rounds import F32, I32, U8
from monitor.store.problems import StoreProblem
from monitor.store.samples import bins, keeper, packing
from monitor.store.samples.base import (
    STEPS_S,
    ElementHistory,
    Field,
    LineHistory,
    ValuesHistory,
    bin_s,
    level_of,
    step_for,
)
from monitor.store.samples.catalog import Catalog, Segment
from monitor.store.samples.parquet import Damaged, Missing, Parquet
from monitor.store.samples.rollup import FIELDS, Condenser, figures
from monitor.store.samples.writer import Entry, Minute, Rounds, Writer
from monitor.store.settings import StoreSettings

MAX_WAITING_ROWS = 8_000_000
KEEP_EVERY_S = 30.0
TRIES = 5
log = logging.getLogger("faultline.samples")
T = TypeVar("T")


class EmbeddedStore:
    """A SampleStore; lies in `samples/` of the store's folder. Raises StoreProblem when that cannot be used."""

    def __init__(
        self,
        settings: StoreSettings,
        metrics: Metrics,
        clock: Clock,
        resolvers: Sequence[str] = (),
        references: Sequence[str] = (),
    ) -> None:
        self.folder = Path(settings.folder) / "samples"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreProblem(f"{self.folder} cannot be made: {error.strerror}") from None
        self._settings, self._clock = settings, clock
        self._packing = packing.Packing(resolvers, references)
        self._refused = metrics.counter("samples_refused_rows_total", "rows of another inventory's generation")
        self._bytes = metrics.gauge("samples_bytes", "size of the embedded sample store")
        self._catalog = Catalog(self.folder / "catalog.sqlite")
        self._parquet = Parquet(self.folder)
        keeper.tidy(self.folder, self._catalog)
        self._last_seq = self._catalog.last_seq()
        self._numbered: tuple[Inventory, I32] | None = None
        self._condenser = Condenser(self.folder / "rollups.running")
        self._verifier = keeper.Verifier(self.folder, self._catalog)
        self._stop = threading.Event()
        self._writer = Writer(self._write, settings.flush_s, MAX_WAITING_ROWS, metrics, clock)
        self._keeper = threading.Thread(target=self._keep, name="samples-keeper", daemon=True)
        self._keeper.start()

    # -- writing

    def append(self, seq: int, rounds: Sequence[ProbeRound | LineValues], inventory: Inventory) -> None:
        if seq > self._last_seq:
            self._writer.put(Rounds(seq, rounds, inventory))

    def rollup(self, at_ns: int, inventory: Inventory, state: U8, rtt_ms: F32) -> None:
        self._writer.put(Minute(at_ns, inventory, state, rtt_ms))

    def status(self, at_ns: int, name: str, tags: Mapping[str, str], fields: Mapping[str, Field]) -> None:
        """Not kept: the daemon's metrics and the SQL store have it."""

    def changes(self, changes: Sequence[Change]) -> None:
        """Not kept: incidents stand in the SQL store."""

    def flush(self) -> bool:
        return self._writer.flush()

    def last_seq(self) -> int:
        return self._last_seq

    def close(self) -> None:
        self._stop.set()
        self._writer.close()
        self._keeper.join()
        self._parquet.close()
        self._catalog.close()

    def _write(self, batch: list[Entry]) -> None:
        rounds = [e for e in batch if isinstance(e, Rounds) and e.seq > self._last_seq]
        if rounds:
            self._write_rounds(rounds)
        for entry in batch:
            if isinstance(entry, Minute):
                self._write_minute(entry)

    def _write_rounds(self, entries: list[Rounds]) -> None:
        first, last = entries[0].seq, entries[-1].seq
        tables = packing.Tables()
        for entry in entries:
            numbers = self._numbers(entry.inventory)
            self._refused.inc(self._packing.pack(entry, numbers, self._catalog.name_numbers, tables))
        added: list[Segment] = []
        try:
            for kind, hour, columns in tables.by_hour():
                number = columns["number"]
                name = keeper.segment_name(kind, hour, first, last, 0, 0)
                crc = self._parquet.write(self.folder / name, kind, columns)
                low, high = int(number[0]), int(number[-1])
                added.append(Segment(name, kind, hour, low, high, len(number), first, last, 0, crc))
            self._catalog.add(added, last)
        except BaseException:
            for segment in added:
                (self.folder / segment.name).unlink(missing_ok=True)
            raise
        self._last_seq = last

    def _numbers(self, inventory: Inventory) -> I32:
        if self._numbered is None or self._numbered[0] is not inventory:
            self._numbered = inventory, self._catalog.line_numbers(inventory)
        return self._numbered[1]

    def _write_minute(self, entry: Minute) -> None:
        at_ns = entry.at_ns // (60 * NS) * 60 * NS
        now = figures(entry.inventory, entry.state, entry.rtt_ms)
        found = [(STEPS_S["1m"], at_ns // NS, level) for level in now]
        found += [(STEPS_S[step], begin // NS, level) for step, begin, level in self._condenser.add(at_ns, now)]
        self._catalog.add_rollups(found)
        self._condenser.keep()

    # -- keeping

    def _keep(self) -> None:
        while not self._stop.wait(KEEP_EVERY_S):
            try:
                self.keep()
            except (StoreProblem, OSError) as error:
                log.warning("the segments of samples were not tidied: %s; tried again", error)
            except Exception:
                log.exception("the segments of samples were not tidied")

    def keep(self) -> None:
        """Join small segments, close hours that are over, forget what is too old. Called by the keeper's thread."""
        now_ns = self._clock.now_ns()
        keeper.expire(self.folder, self._catalog, self._settings, now_ns)
        try:
            self._verifier.step(self._stop)
            keeper.compact(self.folder, self._catalog, self._parquet, now_ns, self._stop)
        except Damaged as damage:
            keeper.set_aside(self.folder, self._catalog, damage)
        self._bytes.set(sum(p.stat().st_size for p in self.folder.rglob("*.parquet")))

    # -- reading

    def line_history(self, line_id: str, start_ns: int, end_ns: int, max_points: int = 500) -> LineHistory:
        number = self._catalog.line_number(line_id)
        rows = self._read("probes", number, start_ns, end_ns, lambda e: self._packing.waiting_line(e, line_id))
        return bins.line_history(rows, bin_s(start_ns, end_ns, max_points))

    def target_history(
        self, kind: TargetKind, name: str, start_ns: int, end_ns: int, max_points: int = 500
    ) -> LineHistory:
        number = self._catalog.name_number(packing.target_name(kind, name))
        rows = self._read("targets", number, start_ns, end_ns, lambda e: self._packing.waiting_target(e, kind, name))
        return bins.line_history(rows, bin_s(start_ns, end_ns, max_points))

    def values_history(
        self, line_id: str, kind: ValueKind, start_ns: int, end_ns: int, max_points: int = 500
    ) -> ValuesHistory:
        number = self._catalog.line_number(line_id)
        rows = self._read(
            "values",
            number,
            start_ns,
            end_ns,
            lambda e: self._packing.waiting_values(e, line_id, kind),
            f"AND kind = {int(kind)}",
        )
        return bins.values_history(kind, rows, bin_s(start_ns, end_ns, max_points))

    def element_history(self, path: str, start_ns: int, end_ns: int, max_points: int = 500) -> ElementHistory:
        level_of(path)
        step = step_for(start_ns, end_ns, max_points)
        found = self._catalog.rollup(step, path, -(-start_ns // NS), -(-end_ns // NS))
        table = np.array([[np.nan if v is None else v for v in row] for row in found], np.float64)
        table = table.reshape(-1, 1 + len(FIELDS))
        columns = {name: table[:, i + 1] for i, name in enumerate(FIELDS)}
        return ElementHistory(step_s=STEPS_S[step], at_ns=table[:, 0].astype(np.int64) * NS, **columns)

    def _read(
        self,
        kind: str,
        number: int | None,
        start_ns: int,
        end_ns: int,
        pick: Callable[[Rounds], list[bins.Rows]],
        extra: str = "",
    ) -> bins.Rows:
        """Rows of one line or name from the segments and from what waits in memory."""
        start_ms, end_ms = bins.span_ms(start_ns, end_ns)
        # In this order: what is written meanwhile is then in both, and recognised by its sequence number.
        waiting = [e for e in self._writer.waiting() if isinstance(e, Rounds)]

        def ask() -> list[bins.Rows]:
            seq = self._catalog.last_seq()
            hours = start_ms // packing.HOUR_MS, (end_ms - 1) // packing.HOUR_MS
            segments = self._catalog.segments(kind, hours, number) if number is not None else []
            found = []
            if segments and number is not None:
                paths = [self.folder / s.name for s in segments]
                found.append(packing.unpack(self._parquet.select(kind, paths, number, start_ms, end_ms, extra)))
            fresh = [rows for e in waiting if e.seq > seq for rows in pick(e)]
            return found + [packing.within(rows, start_ms, end_ms) for rows in fresh]

        return packing.concat(kind, self._retried(ask))

    def _retried(self, ask: Callable[[], T]) -> T:
        for attempt in range(TRIES):
            try:
                return ask()
            except Missing:
                if attempt == TRIES - 1:
                    raise
            except Damaged as damage:
                keeper.set_aside(self.folder, self._catalog, damage)
        with contextlib.suppress(Damaged):
            return ask()
        raise StoreProblem(f"more than {TRIES} segments in {self.folder} are damaged: check the disk")
