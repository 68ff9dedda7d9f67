"""From the embedded engine: Parquet segments joined with the names of the catalog.

The catalog is read as one transaction sees it; when the daemon joins segments meanwhile, the files that it named are
gone, and everything is asked once more.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from monitor.clock import NS
from monitor.records import ValueKind
from monitor.store.export.sheet import Sheet
from monitor.store.export.wanted import COLUMNS, Wanted
from monitor.store.problems import StoreProblem
from monitor.store.samples.base import MS
from monitor.store.samples.packing import HOUR_MS
from monitor.store.samples.rollup import FIELDS
from monitor.store.settings import StoreSettings

TRIES = 5
RTT = ", ".join(f"{name}_us / 1000.0 AS {name}_ms" for name in ("rtt", "rtt_min", "rtt_max", "jitter"))
FIGURES = {
    "samples": ("probes", "lines", f"sent, received, {RTT}"),
    "targets": ("targets", "names", f"sent, received, {RTT}"),
    "values": ("values", "lines", "kinds.name AS kind, value"),
}


def fill(settings: StoreSettings, wanted: Wanted, sheet: Sheet) -> None:
    folder = Path(settings.folder) / "samples"
    catalog = folder / "catalog.sqlite"
    if not catalog.exists():
        raise StoreProblem(f"{folder} holds no samples: is store.folder right?")
    with closing(sqlite3.connect(f"{catalog.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        if wanted.kind == "rollups":
            _rollups(connection, wanted, sheet)
        else:
            _segments(connection, folder, wanted, sheet)


def _segments(catalog: sqlite3.Connection, folder: Path, wanted: Wanted, sheet: Sheet) -> None:
    kind, table, figures = FIGURES[wanted.kind]
    start_ms, end_ms = -(-wanted.start_ns // MS), -(-wanted.end_ns // MS)
    hours = start_ms // HOUR_MS, (end_ms - 1) // HOUR_MS
    _names(catalog, table, wanted.lines if table == "lines" else (), sheet)
    kinds = list(ValueKind)
    sheet.lookup(
        "kinds",
        {"code": np.array(kinds, np.int32), "name": np.array([k.name.lower() for k in kinds], object)},
    )
    extra = "LEFT JOIN kinds ON kinds.code = p.kind" if kind == "values" else ""
    sql = (
        f'SELECT p.at_ms * 1000 AS "at", who.name AS line_id, {figures}, sources.name AS source FROM read_parquet(?) p'
        f" JOIN who ON who.number = p.number LEFT JOIN sources ON sources.number = p.source {extra}"
        " WHERE p.at_ms >= ? AND p.at_ms < ?"
    )
    for attempt in range(TRIES):
        query = "SELECT name FROM segments WHERE kind = ? AND hour BETWEEN ? AND ? ORDER BY hour, first_seq"
        paths = [str(folder / name) for (name,) in catalog.execute(query, (kind, *hours))]
        try:
            if paths:
                sheet.query(sql, [paths, start_ms, end_ms])
        except StoreProblem as error:
            if attempt == TRIES - 1 or all(Path(path).exists() for path in paths):
                raise StoreProblem(f"the samples in {folder} cannot be read: {error}") from None
            sheet.begin(COLUMNS[wanted.kind])
        else:
            return


def _names(catalog: sqlite3.Connection, table: str, only: Sequence[str], sheet: Sheet) -> None:
    column = "line_id" if table == "lines" else "name"
    rows = catalog.execute(f"SELECT number, {column} FROM {table}").fetchall()
    if only:
        chosen = set(only)
        rows = [row for row in rows if row[1] in chosen]
        if missing := chosen - {row[1] for row in rows}:
            raise StoreProblem(f"no samples were ever stored of {', '.join(sorted(missing))}")
    rows = [row for row in rows if not row[1].startswith("source:")] if table == "names" else rows
    sheet.lookup("who", _columns(rows))
    found = catalog.execute("SELECT number, substr(name, 8) FROM names WHERE name LIKE 'source:%'").fetchall()
    sheet.lookup("sources", _columns(found))


def _columns(rows: Sequence[tuple[int, str]]) -> dict[str, np.ndarray]:
    return {"number": np.array([r[0] for r in rows], np.int32), "name": np.array([r[1] for r in rows], object)}


def _rollups(catalog: sqlite3.Connection, wanted: Wanted, sheet: Sheet) -> None:
    query = f"SELECT at_s, step_s, element, {', '.join(FIELDS)} FROM rollups WHERE at_s >= ? AND at_s < ?"
    rows = catalog.execute(query, (-(-wanted.start_ns // NS), -(-wanted.end_ns // NS)))
    while part := rows.fetchmany(50_000):
        at_s, step_s, element, *figures = zip(*part, strict=True)
        columns: dict[str, np.ndarray] = {
            "at": np.array(at_s, np.int64) * 1_000_000,
            "step_s": np.array(step_s, np.int32),
            "element": np.array(element, object),
        }
        for name, column in zip(FIELDS, figures, strict=True):
            columns[name] = np.array([np.nan if v is None else v for v in column], np.float64)
        sheet.add(columns)
