"""Rounds and values as columns of a segment, and back: names become numbers, times milliseconds, RTT microseconds."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.records import LineValues, ProbeRound, TargetKind, ValueKind
from monitor.records.rounds import F32, I32
from monitor.store.samples.base import MS
from monitor.store.samples.bins import Rows
from monitor.store.samples.parquet import COLUMNS, floats
from monitor.store.samples.writer import Rounds

HOUR_MS = 3_600_000
NONE_US = -1
Columns = dict[str, npt.NDArray[Any]]
Numbers = Callable[[Sequence[str]], dict[str, int]]


def target_name(kind: TargetKind, name: str) -> str:
    return f"{kind.value}:{name}"


class Tables:
    """Collects columns per kind of segment."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Columns]] = {}

    def add(self, kind: str, columns: Columns) -> None:
        if len(columns["number"]):
            self._parts.setdefault(kind, []).append(columns)

    def by_hour(self) -> Iterator[tuple[str, int, Columns]]:
        """`(kind, hour, columns)`, each sorted by number and time."""
        for kind, parts in self._parts.items():
            whole = {name: np.concatenate([p[name] for p in parts]) for name in COLUMNS[kind]}
            hour = whole["at_ms"] // HOUR_MS
            if hour.min() == hour.max():
                yield kind, int(hour[0]), _sorted(whole)
                continue
            for one in np.unique(hour).tolist():
                yield kind, one, _sorted({name: column[hour == one] for name, column in whole.items()})


def _sorted(columns: Columns) -> Columns:
    """By number, then time. Rounds come in order of both, which makes the stable sort of their runs cheap."""
    number, at = columns["number"], columns["at_ms"]
    order = np.argsort(number, kind="stable")
    late = (np.diff(at[order]) < 0) & (np.diff(number[order]) == 0)
    if late.any():
        order = np.lexsort((at, number))
    return {name: column[order] for name, column in columns.items()}


class Packing:
    """`resolvers`, `references`: their names in configured order."""

    def __init__(self, resolvers: Sequence[str], references: Sequence[str]) -> None:
        self._names = {TargetKind.RESOLVER: tuple(resolvers), TargetKind.REFERENCE: tuple(references)}

    def pack(self, entry: Rounds, numbers: I32, name_numbers: Numbers, tables: Tables) -> int:
        """Add an entry's rows; returns how many were of another generation and left out. `numbers` per line."""
        refused = 0
        for item in entry.rounds:
            of_lines = isinstance(item, LineValues) or item.kind in (TargetKind.LINE, TargetKind.ELEMENT)
            if of_lines and item.generation != entry.inventory.generation:
                refused += len(item)
                continue
            source = "source:" + item.source
            code = name_numbers([source])[source]
            if isinstance(item, LineValues):
                tables.add("values", _values(item, numbers[item.line], code))
            elif item.kind is TargetKind.LINE:
                tables.add("probes", _probes(item, numbers[item.target], code))
            else:
                names = self.target_names(item, entry)
                known = name_numbers(sorted(set(names)))
                coded = np.fromiter((known[n] for n in names), np.int32, len(names))
                tables.add("targets", _probes(item, coded, code))
        return refused

    def target_names(self, item: ProbeRound, entry: Rounds) -> list[str]:
        """KIND:NAME of each row's target (elements by path; resolvers and references by name, else by number)."""
        table = entry.inventory.elements.paths if item.kind is TargetKind.ELEMENT else self._names[item.kind]
        return [target_name(item.kind, table[i] if 0 <= i < len(table) else str(i)) for i in item.target.tolist()]

    # -- what waits in memory, for readers

    @staticmethod
    def waiting_line(entry: Rounds, line_id: str) -> list[Rows]:
        line = entry.inventory.index_of(line_id)
        return [
            _plain(item, np.flatnonzero((item.target == line) & (item.sent > 0)))
            for item in entry.rounds
            if isinstance(item, ProbeRound)
            and item.kind is TargetKind.LINE
            and line is not None
            and item.generation == entry.inventory.generation
        ]

    def waiting_target(self, entry: Rounds, kind: TargetKind, name: str) -> list[Rows]:
        wanted = target_name(kind, name)
        found: list[Rows] = []
        for item in entry.rounds:
            if isinstance(item, ProbeRound) and item.kind is kind and len(item):
                same = np.array([n == wanted for n in self.target_names(item, entry)])
                found.append(_plain(item, np.flatnonzero(same & (item.sent > 0))))
        return found

    @staticmethod
    def waiting_values(entry: Rounds, line_id: str, kind: ValueKind) -> list[Rows]:
        line = entry.inventory.index_of(line_id)
        found: list[Rows] = []
        for item in entry.rounds:
            if isinstance(item, LineValues) and item.generation == entry.inventory.generation:
                rows = np.flatnonzero((item.line == line) & (item.kind == kind))
                found.append({"at_ms": item.at_ns[rows] // MS, "value": item.value[rows].astype(np.float64)})
        return found


def _probes(item: ProbeRound, number: I32, source: int) -> Columns:
    rows = np.flatnonzero(item.sent > 0)  # of the others nothing is known
    return {
        "number": number[rows],
        "at_ms": item.at_ns[rows] // MS,
        "source": np.full(len(rows), source, np.int32),
        "sent": item.sent[rows],
        "received": item.received[rows],
        "rtt_us": _us(item.rtt_ms, rows),
        "rtt_min_us": _us(item.rtt_min_ms, rows),
        "rtt_max_us": _us(item.rtt_max_ms, rows),
        "jitter_us": _us(item.jitter_ms, rows),
    }


def _values(item: LineValues, number: I32, source: int) -> Columns:
    good = np.flatnonzero(np.isfinite(item.value))
    return {
        "number": number[good],
        "at_ms": item.at_ns[good] // MS,
        "source": np.full(len(good), source, np.int32),
        "kind": item.kind[good],
        "value": item.value[good],
    }


def _us(column: F32 | None, rows: npt.NDArray[np.intp]) -> I32:
    if column is None:
        return np.full(len(rows), NONE_US, np.int32)
    values = column[rows].astype(np.float64) * 1000
    good = np.isfinite(values) & (values >= 0) & (values < 2**31 - 1)
    return np.where(good, np.round(np.where(good, values, 0)), NONE_US).astype(np.int32)


def _plain(item: ProbeRound, rows: npt.NDArray[np.intp]) -> Rows:
    def ms(column: F32 | None) -> npt.NDArray[np.float64]:
        us = _us(column, rows)
        return np.where(us == NONE_US, np.nan, us / 1000)

    return {
        "at_ms": item.at_ns[rows] // MS,
        "sent": item.sent[rows].astype(np.int64),
        "received": item.received[rows].astype(np.int64),
        "rtt_ms": ms(item.rtt_ms),
        "rtt_min_ms": ms(item.rtt_min_ms),
        "rtt_max_ms": ms(item.rtt_max_ms),
    }


def unpack(found: dict[str, Any]) -> Rows:
    """A segment's rows as read, in the units of a history."""
    if "value" in found:
        return {"at_ms": np.asarray(found["at_ms"]), "value": floats(found["value"])}
    times = {f"{name}_ms": floats(found[f"{name}_us"], 1e-3) for name in ("rtt", "rtt_min", "rtt_max")}
    whole = {name: np.asarray(found[name]).astype(np.int64) for name in ("at_ms", "sent", "received")}
    return {**whole, **times}


def within(rows: Rows, start_ms: int, end_ms: int) -> Rows:
    keep = (rows["at_ms"] >= start_ms) & (rows["at_ms"] < end_ms)
    return {name: column[keep] for name, column in rows.items()}


def concat(kind: str, parts: Sequence[Rows]) -> Rows:
    whole = ("at_ms",) if kind == "values" else ("at_ms", "sent", "received")
    names = (*whole, *(("value",) if kind == "values" else ("rtt_ms", "rtt_min_ms", "rtt_max_ms")))
    if not parts:
        return {name: np.zeros(0, np.int64 if name in whole else np.float64) for name in names}
    return {name: np.concatenate([p[name] for p in parts]) for name in names}
