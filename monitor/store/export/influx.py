"""From InfluxDB, by the InfluxQL that all versions share: a few minutes of all lines at a time, so that neither side
needs much memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from monitor.clock import NS
from monitor.records import ValueKind
from monitor.store.export.sheet import Sheet
from monitor.store.export.wanted import Wanted
from monitor.store.samples.base import LEVELS, MS, STEPS_S
from monitor.store.samples.influx_client import InfluxClient
from monitor.store.samples.lines import from_tag, tag_text
from monitor.store.samples.queries import named, quoted
from monitor.store.samples.rollup import FIELDS
from monitor.store.settings import StoreSettings

PROBE = ("sent", "received", "rtt_ms", "rtt_min_ms", "rtt_max_ms", "jitter_ms")
WINDOW_NS = 300 * NS
DAY_NS = 86400 * NS
LINES_A_QUERY = 50


def fill(settings: StoreSettings, wanted: Wanted, sheet: Sheet) -> None:
    client = InfluxClient(settings.influxdb)
    try:
        if wanted.kind == "samples":
            _probes(client, wanted, sheet, "probe", "line_id", "")
        elif wanted.kind == "targets":
            for name in ("element", "reference", "resolver"):
                _probes(client, wanted, sheet, name, name, f"{name}:")
        elif wanted.kind == "values":
            _values(client, wanted, sheet)
        else:
            _rollups(client, wanted, sheet)
    finally:
        client.close()


def _asked(
    client: InfluxClient, wanted: Wanted, what: str, measurement: str, tags: tuple[str, ...], filtered: bool
) -> Iterator[dict[str, Any]]:
    """Series by tags, window by window; `filtered`: only the lines that are wanted."""
    by = ", ".join(named(tag) for tag in tags)
    lines = list(wanted.lines) if filtered else []
    groups = [lines[i : i + LINES_A_QUERY] for i in range(0, len(lines), LINES_A_QUERY)] or [[]]
    step_ns = DAY_NS if lines or measurement not in ("probe", "cpe") else WINDOW_NS
    for start_ns in range(wanted.start_ns, wanted.end_ns, step_ns):
        span = f"time >= {-(-start_ns // MS)}ms AND time < {-(-min(start_ns + step_ns, wanted.end_ns) // MS)}ms"
        for group in groups:
            some = " OR ".join(f'"line_id" = {quoted(tag_text(line))}' for line in group)
            where = f"{span} AND ({some})" if group else span
            yield from client.query(f"SELECT {what} FROM {named(measurement)} WHERE {where} GROUP BY {by}")


def _table(series: dict[str, Any]) -> np.ndarray:
    return np.array(series["values"], np.float64).reshape(len(series["values"]), -1)


def _probes(client: InfluxClient, wanted: Wanted, sheet: Sheet, measurement: str, tag: str, prefix: str) -> None:
    asked = ", ".join(named(f) for f in PROBE)
    for series in _asked(client, wanted, asked, measurement, (tag, "source"), measurement == "probe"):
        tags = series["tags"]
        sheet.add(_probe_columns(prefix + from_tag(tags[tag]), tags["source"], _table(series)))


def _probe_columns(name: str, source: str, table: np.ndarray) -> dict[str, np.ndarray]:
    counts = np.nan_to_num(table[:, 1:3]).astype(np.int64)
    return {
        "at": table[:, 0].astype(np.int64) * 1000,
        "line_id": np.full(len(table), name, object),
        "sent": counts[:, 0],
        "received": counts[:, 1],
        **{field: table[:, i + 1] for i, field in enumerate(PROBE) if i >= 2},
        "source": np.full(len(table), source, object),
    }


def _values(client: InfluxClient, wanted: Wanted, sheet: Sheet) -> None:
    names = [kind.name.lower() for kind in ValueKind]
    asked = ", ".join(named(name) for name in names)
    for series in _asked(client, wanted, asked, "cpe", ("line_id", "source"), True):
        table = _table(series)
        for i, name in enumerate(names, start=1):
            if (known := ~np.isnan(table[:, i])).any():
                tags = series["tags"]
                sheet.add(_value_columns(from_tag(tags["line_id"]), tags["source"], name, table[known][:, [0, i]]))


def _value_columns(line: str, source: str, kind: str, table: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "at": table[:, 0].astype(np.int64) * 1000,
        "line_id": np.full(len(table), line, object),
        "kind": np.full(len(table), kind, object),
        "value": table[:, 1].astype(np.float32),
        "source": np.full(len(table), source, object),
    }


def _rollups(client: InfluxClient, wanted: Wanted, sheet: Sheet) -> None:
    asked = ", ".join(named(f) for f in FIELDS)
    for step, step_s in STEPS_S.items():
        for level in LEVELS:
            tag = level if level != LEVELS[0] else "scope"
            for series in _asked(client, wanted, asked, f"{level}_{step}", (tag,), False):
                name = from_tag(series["tags"][tag]) if level != LEVELS[0] else ""
                sheet.add(_rollup_columns(step_s, name, _table(series)))


def _rollup_columns(step_s: int, element: str, table: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "at": table[:, 0].astype(np.int64) * 1000,
        "step_s": np.full(len(table), step_s, np.int32),
        "element": np.full(len(table), element, object),
        **{name: table[:, i + 1] for i, name in enumerate(FIELDS)},
    }
