"""Histories asked of InfluxDB, in the part of InfluxQL that 1.x, 2.x and 3 share.

Bins are made by the server (GROUP BY time, aligned to the epoch), so a month is as small an answer as a day.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from monitor.records import ValueKind
from monitor.store.samples.base import (
    F64,
    LEVELS,
    MS,
    STEPS_S,
    ElementHistory,
    LineHistory,
    ValuesHistory,
    bin_s,
    level_of,
    step_for,
)
from monitor.store.samples.bins import span_ms
from monitor.store.samples.lines import tag_text, value_field
from monitor.store.samples.rollup import FIELDS

Ask = Callable[[str], list[dict[str, Any]]]


def quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def named(text: str) -> str:
    """An identifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def line_history(
    ask: Ask, measurement: str, tag: str, name: str, start_ns: int, end_ns: int, max_points: int
) -> LineHistory:
    width_s = bin_s(start_ns, end_ns, max_points)
    asked = (
        'sum("sent"), sum("received"), median("rtt_ms"), min("rtt_ms"), max("rtt_ms"), min("rtt_min_ms"),'
        ' max("rtt_max_ms")'
    )
    table = _binned(ask, asked, measurement, f"{named(tag)} = {quoted(tag_text(name))}", start_ns, end_ns, width_s)
    table = table[~np.isnan(table[:, 1])]
    return LineHistory(
        bin_s=width_s,
        at_ns=table[:, 0].astype(np.int64) * MS,
        sent=table[:, 1].astype(np.int64),
        received=np.nan_to_num(table[:, 2]).astype(np.int64),
        rtt_ms=table[:, 3],
        rtt_min_ms=np.fmin(table[:, 4], table[:, 6]),
        rtt_max_ms=np.fmax(table[:, 5], table[:, 7]),
    )


def values_history(
    ask: Ask, line_id: str, kind: ValueKind, start_ns: int, end_ns: int, max_points: int
) -> ValuesHistory:
    width_s = bin_s(start_ns, end_ns, max_points)
    field = named(value_field(kind))
    where = f'"line_id" = {quoted(tag_text(line_id))}'
    table = _binned(ask, f"mean({field}), min({field}), max({field})", "cpe", where, start_ns, end_ns, width_s)
    table = table[~np.isnan(table[:, 1])]
    return ValuesHistory(kind, width_s, table[:, 0].astype(np.int64) * MS, table[:, 1], table[:, 2], table[:, 3])


def element_history(ask: Ask, path: str, start_ns: int, end_ns: int, max_points: int) -> ElementHistory:
    level, step = level_of(path), step_for(start_ns, end_ns, max_points)
    start_ms, end_ms = span_ms(start_ns, end_ns)
    asked = ", ".join(named(f) for f in FIELDS)
    where = f"{named(level)} = {quoted(tag_text(path))}" if level != LEVELS[0] else "\"scope\" = 'all'"
    statement = (
        f"SELECT {asked} FROM {named(f'{level}_{step}')} WHERE {where} AND time >= {start_ms}ms AND time < {end_ms}ms"
    )
    table = _table(ask(statement), 1 + len(FIELDS))
    columns = {name: table[:, i + 1] for i, name in enumerate(FIELDS)}
    return ElementHistory(step_s=STEPS_S[step], at_ns=table[:, 0].astype(np.int64) * MS, **columns)


def _binned(ask: Ask, asked: str, measurement: str, where: str, start_ns: int, end_ns: int, width_s: int) -> F64:
    start_ms, end_ms = span_ms(start_ns, end_ns)
    statement = (
        f"SELECT {asked} FROM {named(measurement)} WHERE {where} AND time >= {start_ms}ms AND time < {end_ms}ms"
        f" GROUP BY time({width_s}s) fill(none)"
    )
    return _table(ask(statement), asked.count("(") + 1)


def _table(series: list[dict[str, Any]], width: int) -> F64:
    rows = [row for one in series for row in one["values"]]
    return np.array(rows, dtype=np.float64).reshape(-1, width)  # None becomes NaN
