"""The table that becomes a file: collected by DuckDB beside the file, ordered by it, written aside and renamed.

Columns are numpy arrays, a chunk at a time; memory stays small, because DuckDB spills to the disk. Column `at` is given
in microseconds since the epoch.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from monitor.store.files import fsync_file, fsync_folder
from monitor.store.problems import StoreProblem

MEMORY = "256MB"
ENDINGS = {".parquet": "FORMAT parquet, COMPRESSION zstd", ".csv": "FORMAT csv, HEADER", ".gz": "FORMAT csv, HEADER"}


class Sheet:
    """Raises ValueError for a file that is not .parquet, .csv or .csv.gz; StoreProblem when it cannot be written."""

    def __init__(self, out: Path) -> None:
        ending = out.suffix if out.suffix != ".gz" else "".join(out.suffixes[-2:])
        if ending not in (".parquet", ".csv", ".csv.gz"):
            raise ValueError(f"{out.name}: name the file .parquet, .csv or .csv.gz")
        self._out = out
        self._parquet = ending == ".parquet"

    def __enter__(self) -> Self:
        import duckdb

        self._error: type[Exception] = duckdb.Error
        self._aside = Path(tempfile.mkdtemp(dir=self._out.absolute().parent, prefix=f".{self._out.name}."))
        self._db = duckdb.connect(
            str(self._aside / "sheet.duckdb"),
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
                "memory_limit": MEMORY,
                "threads": 2,
                "preserve_insertion_order": "false",
                "temp_directory": str(self._aside / "spill"),
            },
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def lookup(self, name: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """A table to join with."""
        self._db.register("fresh", dict(columns))
        self._db.execute(f"CREATE TABLE {name} AS SELECT * FROM fresh")
        self._db.unregister("fresh")

    def begin(self, columns: Mapping[str, str]) -> None:
        """Name and SQL type of each column, in order; rows that were added before are forgotten."""
        self._columns = dict(columns)
        typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self._db.execute(f"CREATE OR REPLACE TABLE sheet ({typed})")

    def query(self, sql: str, parameters: list[Any]) -> None:
        """Add what a query gives."""
        try:
            self._db.execute(f"INSERT INTO sheet BY NAME {sql}", parameters)
        except self._error as error:
            raise StoreProblem(str(error).splitlines()[0]) from None

    def add(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._db.register("fresh", dict(columns))
        try:
            self.query("SELECT * FROM fresh", [])
        finally:
            self._db.unregister("fresh")

    def finish(self) -> int:
        """Write the file; returns the number of rows."""
        aside = self._aside / self._out.name
        times = {"at": 'make_timestamp("at")'} | {
            n: f'"{n}"' for n, kind in self._columns.items() if kind == "TIMESTAMP"
        }
        if not self._parquet:
            times = {name: f"strftime({time}, '%Y-%m-%dT%H:%M:%S.%gZ')" for name, time in times.items()}
        replaced = ", ".join(f'{time} AS "{name}"' for name, time in times.items())
        select = f"SELECT * REPLACE ({replaced}) FROM (SELECT * FROM sheet ORDER BY ALL)"
        quoted = str(aside).replace("'", "''")
        try:
            written = self._db.execute(f"COPY ({select}) TO '{quoted}' ({ENDINGS[self._out.suffix]})").fetchall()
        except self._error as error:
            raise StoreProblem(f"{self._out} cannot be written: {str(error).splitlines()[0]}") from None
        fsync_file(aside)
        aside.replace(self._out)
        fsync_folder(self._out.absolute().parent)
        return int(written[0][0])
