"""Opens an observation file (.parquet, .csv, .csv.gz) with DuckDB and hands its rows out as columns, in file order.

Whatever the file's types, rows come as int64 ns, a code for the target, uint16 counts and float32 ms. What cannot be
read is told with the line of the file (of a Parquet file: the row) and the field.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.clock import number_to_ns, parse_time
from monitor.inventory import InputProblems
from monitor.inventory.csvfile import CsvRows, Problems
from monitor.records.rounds import F32, I32, I64, U16

REQUIRED = ("at", "line_id", "sent", "received")
RTTS = ("rtt_ms", "rtt_min_ms", "rtt_max_ms", "jitter_ms")
CHUNK = 1 << 20
NOTHING = -(1 << 62)  # stands for a cell that could not be read
WORST = 65_535
MANY_BYTES = 500_000_000
SETTINGS = "SET threads = 2; SET enable_progress_bar = false; SET TimeZone = 'UTC'"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n observations in file order. `target`, `source` int32 codes into `ObservationSource.ids` and `.sources`; the
    round-trip times are float32 or None where the file has no such column; `row` int64 number in the file, from 0."""

    at_ns: I64
    target: I32
    source: I32
    sent: U16
    received: U16
    rtts: dict[str, F32]
    row: I64

    def __len__(self) -> int:
        return len(self.at_ns)

    def take(self, order: npt.NDArray[Any] | slice) -> "Rows":
        """Some rows, by index, mask or slice."""
        return Rows(
            self.at_ns[order],
            self.target[order],
            self.source[order],
            self.sent[order],
            self.received[order],
            {name: column[order] for name, column in self.rtts.items()},
            self.row[order],
        )

    @classmethod
    def join(cls, parts: "list[Rows]") -> "Rows":
        return cls(
            np.concatenate([p.at_ns for p in parts]),
            np.concatenate([p.target for p in parts]),
            np.concatenate([p.source for p in parts]),
            np.concatenate([p.sent for p in parts]),
            np.concatenate([p.received for p in parts]),
            {name: np.concatenate([p.rtts[name] for p in parts]) for name in parts[0].rtts},
            np.concatenate([p.row for p in parts]),
        )


class ObservationSource:
    """One file. `ids` every target written in it, `sources` every prober, both sorted; `count` its rows."""

    def __init__(self, path: Path) -> None:
        """Raises InputProblems when it cannot be opened or lacks a column."""
        import duckdb  # lazily: the daemon has no use for it here

        self.path = path
        self._text = not path.name.endswith(".parquet")
        if not path.is_file():
            raise InputProblems.one(str(path), "is not a file" if path.exists() else "cannot be read: no such file")
        if not path.name.endswith((".parquet", ".csv", ".csv.gz")):
            raise InputProblems.one(str(path), "must end in .parquet, .csv or .csv.gz")
        # Text is read once into a table. A large one lies on disk, which takes longer, so that memory does not grow.
        large = self._text and path.stat().st_size > (MANY_BYTES // 4 if path.name.endswith(".gz") else MANY_BYTES)
        self._folder = TemporaryDirectory(prefix="faultline-replay-") if large else None
        self._db = duckdb.connect(str(Path(self._folder.name) / "rows.duckdb") if self._folder else ":memory:")
        self._db.execute(SETTINGS)
        if large or not self._text:
            self._db.execute("SET memory_limit = '512MB'")
        quoted = str(path).replace("'", "''")
        try:
            if self._text:
                if path.stat().st_size == 0:
                    raise InputProblems.one(str(path), "the file is empty: a header row is needed")
                # Text is kept as it is; the casts below say which cell is wrong, which the reader would not.
                separator, names = self._header()
                columns = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in names)
                self._db.execute(
                    f"CREATE TABLE rows AS SELECT * FROM read_csv('{quoted}', auto_detect = false, header = true, "
                    f"columns = {{{columns}}}, delim = '{separator}', quote = '\"', escape = '\"', nullstr = '')"
                )
                self._from, self._row = "rows", "rowid"
            else:
                self._from, self._row = f"read_parquet('{quoted}', file_row_number = true)", "file_row_number"
            described = self._db.execute(f"DESCRIBE SELECT * FROM {self._from}").fetchall()
        except duckdb.Error as error:
            raise InputProblems.one(str(path), f"cannot be read: {_first_line(error)}", _line_in(error)) from None
        except UnicodeDecodeError:
            raise InputProblems.one(str(path), "is not UTF-8: save it as UTF-8") from None
        self._types = {str(name).strip(): str(kind).upper() for name, kind, *_ in described}
        for name in REQUIRED:
            if name not in self._types:
                raise InputProblems.one(str(path), "the column is missing", field=name)
        self.count = int(self._one("count(*)"))
        self.ids = self._distinct("line_id", "targets")
        self.sources = self._distinct("source", "probers") if "source" in self._types else ["default"]
        self._select = self._columns()

    def close(self) -> None:
        self._db.close()
        if self._folder is not None:
            self._folder.cleanup()

    def chunks(self, size: int = CHUNK) -> Iterator[Rows]:
        """The rows in file order. Raises InputProblems at the first one that cannot be read."""
        for low in range(0, self.count, size):
            query = f"SELECT {self._select} FROM {self._from} WHERE {self._row} BETWEEN {low} AND {low + size - 1}"
            got: dict[str, npt.NDArray[Any]] = {
                name: np.asarray(column) for name, column in self._db.execute(query).fetchnumpy().items()
            }
            rows: I64 = got["row"].astype(np.int64)
            if len(rows) and (np.diff(rows) < 0).any():
                order = np.argsort(rows, kind="stable")
                got = {name: column[order] for name, column in got.items()}
                rows = rows[order]
            yield self._checked(got, rows)

    def problem(self, row: int, field: str, message: str) -> InputProblems:
        """A mistake in one row (from 0) of the file."""
        return InputProblems.one(str(self.path), message, row + (2 if self._text else 1), field)

    # --- columns ----------------------------------------------------------------------------------------------------

    def _columns(self) -> str:
        source = "0" if "source" not in self._types else self._code("source", "probers", "default")
        parts = [
            f"{self._row} AS row",
            f"coalesce({self._time()}, {NOTHING}) AS at_ns",
            f"{self._code('line_id', 'targets', '')} AS target",
            f"{source}::INTEGER AS source",
        ]
        parts += [f"{self._count(name)} AS {name}" for name in ("sent", "received")]
        # An empty cell is no reply; one that is no number becomes -1, which no time can be.
        parts += [
            f"CASE WHEN {n} IS NULL THEN 'nan'::FLOAT ELSE coalesce(TRY_CAST({n} AS FLOAT), -1) END AS {n}"
            for n in RTTS
            if n in self._types
        ]
        return ", ".join(parts)

    def _count(self, name: str) -> str:
        small = self._types[name] in ("UTINYINT", "USMALLINT", "TINYINT", "SMALLINT", "INTEGER")
        return f"coalesce({name}::INTEGER, -1)" if small else f"coalesce(TRY_CAST({name} AS DOUBLE), -1)"

    def _code(self, column: str, kind: str, empty: str) -> str:
        return f"enum_code(coalesce(trim({column}::VARCHAR), '{empty}')::{kind})::INTEGER"

    def _time(self) -> str:
        """SQL for nanoseconds UTC; NULL where the cell is no time."""
        kind = self._types["at"]
        column = '"at"'
        if kind.startswith("TIMESTAMP"):  # without a zone it is UTC, as Parquet writers mean it
            return f"epoch_ns({column})"
        if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
            return _number_sql(f"{column}::DOUBLE")
        if kind != "VARCHAR":
            return _number_sql(f"{column}::BIGINT")
        whole, real = (_number_sql(f"TRY_CAST({column} AS {kind})") for kind in ("BIGINT", "DOUBLE"))
        zoned = f"regexp_full_match(trim({column}), '.*([zZ]|[+-][0-9]{{2}}:?[0-9]{{2}})')"
        return (
            f"CASE WHEN regexp_full_match(trim({column}), '[+-]?[0-9]+') THEN {whole} "
            f"WHEN TRY_CAST({column} AS DOUBLE) IS NOT NULL THEN {real} "
            f"WHEN {zoned} THEN epoch_ns(TRY_CAST({column} AS TIMESTAMPTZ)) END"
        )

    def _distinct(self, column: str, kind: str) -> list[str]:
        """Every value, sorted, and an ENUM type of them: text becomes integers inside DuckDB."""
        empty = "default" if column == "source" else ""
        query = f"SELECT DISTINCT coalesce(trim({column}::VARCHAR), '{empty}') AS v FROM {self._from} ORDER BY v"
        values = [str(row[0]) for row in self._db.execute(query).fetchall()] or [empty]
        literal = ", ".join("'" + v.replace("'", "''") + "'" for v in values)
        self._db.execute(f"CREATE TYPE {kind} AS ENUM ({literal})")
        return values

    def _one(self, what: str) -> Any:
        found = self._db.execute(f"SELECT {what} FROM {self._from}").fetchone()
        return found[0] if found else 0

    def _header(self) -> tuple[str, list[str]]:
        """What separates the cells, and the names of the columns."""
        problems = Problems(str(self.path))
        packed = self.path.name.endswith(".gz")
        with (gzip.open if packed else open)(self.path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
        rows = CsvRows([first], problems)
        rows.check_header(REQUIRED)
        return rows.separator, rows.header

    # --- checks -----------------------------------------------------------------------------------------------------

    def _checked(self, got: dict[str, npt.NDArray[Any]], rows: I64) -> Rows:
        at, sent, received = got["at_ns"], got["sent"], got["received"]
        self._refuse(at == NOTHING, rows, "at", "is not a time: epoch seconds or RFC 3339, as 2026-11-23T08:15:30Z")
        self._refuse(at < 0, rows, "at", "lies before 1970")
        if "" in self.ids:
            self._refuse(got["target"] == self.ids.index(""), rows, "line_id", "is empty")
        for name, column in (("sent", sent), ("received", received)):
            wrong = ~((column >= 0) & (column <= WORST))
            if column.dtype.kind == "f":
                wrong |= column != np.floor(column)
            self._refuse(wrong, rows, name, f"is not a whole number from 0 to {WORST}")
        self._refuse(received > sent, rows, "received", "is more than was sent")
        rtts: dict[str, F32] = {}
        for name in RTTS:
            if name in got:
                column = got[name].astype(np.float32)
                self._refuse((column < 0) | np.isinf(column), rows, name, "is not a number of milliseconds")
                column[received == 0] = np.nan
                rtts[name] = column
        if "rtt_ms" not in rtts:
            rtts["rtt_ms"] = np.full(len(at), np.nan, np.float32)
        return Rows(
            at_ns=at.astype(np.int64),
            target=got["target"].astype(np.int32),
            source=got["source"].astype(np.int32),
            sent=sent.astype(np.uint16),
            received=received.astype(np.uint16),
            rtts=rtts,
            row=rows,
        )

    def _refuse(self, wrong: npt.NDArray[np.bool_], rows: I64, field: str, message: str) -> None:
        if not wrong.any():
            return
        row = int(rows[int(np.argmax(wrong))])
        cell = self._db.execute(f'SELECT "{field}"::VARCHAR FROM {self._from} WHERE {self._row} = {row}').fetchone()
        text = cell[0] if cell else None
        if field == "at" and text:
            try:
                parse_time(text)
            except ValueError as error:
                raise self.problem(row, field, str(error)) from None
        shown = "" if text is None or field == "line_id" else f"{text!r} "
        raise self.problem(row, field, "is empty" if text is None else f"{shown}{message}")


def _number_sql(column: str) -> str:
    """The rule of monitor.clock.number_to_ns in SQL."""
    assert number_to_ns(1) == 1_000_000_000
    return (
        f"CASE WHEN abs({column}) < 1e12 THEN ({column} * 1000000000)::BIGINT "
        f"WHEN abs({column}) < 1e15 THEN ({column} * 1000000)::BIGINT ELSE {column}::BIGINT END"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _line_in(error: Exception) -> int:
    """The line of the file that DuckDB complains of; 0 if it names none."""
    found = re.search(r"CSV Error on Line: (\d+)", str(error))
    return int(found[1]) if found else 0
