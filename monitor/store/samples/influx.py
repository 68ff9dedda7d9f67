"""The InfluxDB engine: line protocol through a spool on disk, so that no outage of the database loses a sample.

The writer's thread turns what was appended into compressed batches and syncs them into the spool (that is what `flush`
waits for); the sender's thread brings them to the database. Histories are asked of the database by InfluxQL.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from monitor.clock import NS, Clock
from monitor.inventory import Inventory
from monitor.metrics import Metrics
from monitor.records import Change, IncidentStatus, LineValues, ProbeRound, TargetKind, ValueKind
from monitor.records.rounds import F32, U8
from monitor.store.samples import lines, queries
from monitor.store.samples.base import (
    ElementHistory,
    Field,
    LineHistory,
    ValuesHistory,
)
from monitor.store.samples.influx_client import InfluxClient
from monitor.store.samples.rollup import Condenser, figures
from monitor.store.samples.sender import Sender
from monitor.store.samples.spool import Spool
from monitor.store.samples.writer import Changes, Entry, Minute, Point, Rounds, Writer
from monitor.store.settings import StoreSettings

MAX_WAITING_ROWS = 4_000_000
MAX_SUSPECTED = 1000  # incidents
MAX_FLUSH_S = 5.0  # what is asked of the database should be there soon, and the spool makes small writes cheap
MEASUREMENTS = {
    TargetKind.ELEMENT: ("element", "element"),
    TargetKind.REFERENCE: ("reference", "reference"),
    TargetKind.RESOLVER: ("resolver", "resolver"),
}


class InfluxStore:
    """A SampleStore. Raises StoreProblem (the spool's folder) or SecretProblem; an unreachable server is a trouble."""

    def __init__(
        self,
        settings: StoreSettings,
        metrics: Metrics,
        clock: Clock,
        resolvers: Sequence[str] = (),
        references: Sequence[str] = (),
    ) -> None:
        self._settings = settings.influxdb
        self._clock = clock
        self._client = InfluxClient(self._settings)
        self._names = {TargetKind.RESOLVER: tuple(resolvers), TargetKind.REFERENCE: tuple(references)}
        cap, drop_oldest = self._settings.spool_max_mb << 20, self._settings.spool_full == "drop_oldest"
        self._spool = Spool(Path(settings.folder) / "spool", cap, drop_oldest)
        self._refused = metrics.counter("samples_refused_rows_total", "rows of another inventory's generation")
        self._tagged: tuple[Inventory, lines.LineTags] | None = None
        self._condenser = Condenser(Path(settings.folder) / "rollups.running")
        self._suspected: dict[str, list[Change]] = {}
        self._sender = Sender(self._settings, self._client, self._spool, metrics, clock)
        flush_s = min(settings.flush_s, MAX_FLUSH_S)
        self._writer = Writer(self._write, flush_s, MAX_WAITING_ROWS, metrics, clock)

    # -- writing

    def append(self, seq: int, rounds: Sequence[ProbeRound | LineValues], inventory: Inventory) -> None:
        if seq > self._spool.seq:
            self._writer.put(Rounds(seq, rounds, inventory))

    def rollup(self, at_ns: int, inventory: Inventory, state: U8, rtt_ms: F32) -> None:
        self._writer.put(Minute(at_ns, inventory, state, rtt_ms))

    def status(self, at_ns: int, name: str, tags: Mapping[str, str], fields: Mapping[str, Field]) -> None:
        self._writer.put(Point(at_ns, name, dict(tags), dict(fields)))

    def changes(self, changes: Sequence[Change]) -> None:
        if changes:
            self._writer.put(Changes(tuple(changes)))

    def flush(self) -> bool:
        return self._writer.flush()

    def last_seq(self) -> int:
        return self._spool.seq

    def close(self) -> None:
        """What the database has not acknowledged stays in the spool, for the next run."""
        self._writer.close()
        self._sender.close()
        self._spool.close()
        self._client.close()

    def _write(self, batch: list[Entry]) -> None:
        known = self._spool.seq
        fresh = [e for e in batch if not isinstance(e, Rounds) or e.seq > known]
        seq = max((e.seq for e in fresh if isinstance(e, Rounds)), default=known)
        batches = [(points, _compress(text)) for points, text in self._batches(fresh)]
        self._spool.append(self._clock.now_ns(), seq, batches)
        if any(isinstance(e, Minute) for e in fresh):
            self._condenser.keep()
        self._sender.wake()

    def _batches(self, entries: Iterable[Entry]) -> Iterator[tuple[int, str]]:
        """`(points, text)` of at most about `batch_points` each."""
        texts: list[str] = []
        points = 0
        for entry in entries:
            for text in self._texts(entry):
                texts.append(text)
                points += text.count("\n")
                if points >= self._settings.batch_points:
                    yield points, "".join(texts)
                    texts, points = [], 0
        if points:
            yield points, "".join(texts)

    def _texts(self, entry: Entry) -> Iterator[str]:
        if isinstance(entry, Rounds):
            for item in entry.rounds:
                yield from self._round_texts(item, entry.inventory)
        elif isinstance(entry, Minute):
            at_ns = entry.at_ns // (60 * NS) * 60 * NS
            now = figures(entry.inventory, entry.state, entry.rtt_ms)
            for level in now:
                yield from lines.rollup_lines("1m", at_ns, level)
            for step, start_ns, level in self._condenser.add(at_ns, now):
                yield from lines.rollup_lines(step, start_ns, level)
        elif isinstance(entry, Point):
            if text := lines.point(entry.at_ns, entry.name, entry.tags, entry.fields):
                yield text + "\n"
        else:
            for change in entry.changes:
                yield from (f"{text}\n" for text in self._change_texts(change))

    def _round_texts(self, item: ProbeRound | LineValues, inventory: Inventory) -> Iterator[str]:
        size = self._settings.batch_points
        of_lines = isinstance(item, LineValues) or item.kind in (TargetKind.LINE, TargetKind.ELEMENT)
        if of_lines and item.generation != inventory.generation:
            self._refused.inc(len(item))
            return
        tags = self._tags(inventory)
        if isinstance(item, LineValues):
            found = lines.value_lines(item, tags, size)
        elif item.kind is TargetKind.LINE:
            found = lines.probe_lines(item, "probe", "line_id", tags.many(item.target), size)
        else:
            table = inventory.elements.paths if item.kind is TargetKind.ELEMENT else self._names[item.kind]
            names = [table[i] if 0 <= i < len(table) else str(i) for i in item.target.tolist()]
            measurement, tag = MEASUREMENTS[item.kind]
            found = lines.probe_lines(item, measurement, tag, [lines.escape_tag(n) for n in names], size)
        for texts in found:
            yield from texts

    def _change_texts(self, change: Change) -> Iterator[str]:
        """The lines of an incident that is only suspected are written once it is more, and forgotten if it never is."""
        incident = change.incident
        if incident is not None and incident.status is IncidentStatus.SUSPECTED:
            if change.lines_added:
                self._suspected.setdefault(incident.incident_id, []).append(change)
                while len(self._suspected) > MAX_SUSPECTED:
                    self._suspected.pop(next(iter(self._suspected)))
            return
        if incident is not None and change.what == "withdrawn" and incident.incident_id in self._suspected:
            del self._suspected[incident.incident_id]
            return
        if incident is not None:
            for earlier in self._suspected.pop(incident.incident_id, ()):
                yield from lines.joined_lines(earlier)
        yield from lines.change_lines(change)

    def _tags(self, inventory: Inventory) -> lines.LineTags:
        if self._tagged is None or self._tagged[0] is not inventory:
            self._tagged = inventory, lines.LineTags(inventory)
        return self._tagged[1]

    # -- reading

    def line_history(self, line_id: str, start_ns: int, end_ns: int, max_points: int = 500) -> LineHistory:
        return self._probes("probe", "line_id", line_id, start_ns, end_ns, max_points)

    def target_history(
        self, kind: TargetKind, name: str, start_ns: int, end_ns: int, max_points: int = 500
    ) -> LineHistory:
        return self._probes(*MEASUREMENTS[kind], name, start_ns, end_ns, max_points)

    def _probes(self, measurement: str, tag: str, name: str, start_ns: int, end_ns: int, points: int) -> LineHistory:
        return queries.line_history(self._client.query, measurement, tag, name, start_ns, end_ns, points)

    def values_history(
        self, line_id: str, kind: ValueKind, start_ns: int, end_ns: int, max_points: int = 500
    ) -> ValuesHistory:
        return queries.values_history(self._client.query, line_id, kind, start_ns, end_ns, max_points)

    def element_history(self, path: str, start_ns: int, end_ns: int, max_points: int = 500) -> ElementHistory:
        return queries.element_history(self._client.query, path, start_ns, end_ns, max_points)


def _compress(text: str) -> bytes:
    # Level 1: a fifth of the size at a tenth of the cost of the client's own level 9.
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(text.encode()) + packer.flush()
