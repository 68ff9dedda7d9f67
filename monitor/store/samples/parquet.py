"""Parquet files written and read through an in-memory DuckDB, which holds no data of its own.

Columns of a file are sorted by `number` (of a line or name), then `at_ms`, so one line lies in one row group. RTT are
whole microseconds, which pack better than floats; -1 stands for "none" on the way in and is NULL in the file. Any
thread may call.
"""

import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.store.files import fsync_file, fsync_folder
from monitor.store.problems import StoreProblem

COLUMNS: dict[str, tuple[str, ...]] = {
    "probes": ("number", "at_ms", "source", "sent", "received", "rtt_us", "rtt_min_us", "rtt_max_us", "jitter_us"),
    "targets": ("number", "at_ms", "source", "sent", "received", "rtt_us", "rtt_min_us", "rtt_max_us", "jitter_us"),
    "values": ("number", "at_ms", "source", "kind", "value"),
}
READ = {
    "probes": "at_ms, sent, received, rtt_us, rtt_min_us, rtt_max_us",
    "targets": "at_ms, sent, received, rtt_us, rtt_min_us, rtt_max_us",
    "values": "at_ms, value",
}
FORMAT = "(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE 40960)"
MEMORY = "128MB"  # for joining; beyond, it spills to the disk
Columns = Mapping[str, npt.NDArray[Any]]


class Missing(StoreProblem):
    """A segment was replaced or removed while it was asked for: ask the catalog again."""


class Damaged(StoreProblem):
    """A segment cannot be read. `path` names it."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(f"{path} is damaged: {text}")
        self.path = path


class Parquet:
    def __init__(self, folder: Path) -> None:
        import duckdb

        self._error: type[Exception] = duckdb.Error
        self._folder = folder
        spill = folder / ".spill"
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": "false",  # it must never reach out to the network
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
                "memory_limit": MEMORY,
                "threads": 2,
                "temp_directory": str(spill),
            },
        )
        # Segments never change once they have their name, so their footers need to be read only once.
        self._connection.execute("SET parquet_metadata_cache = true")
        self._opening = threading.Lock()

    def close(self) -> None:
        self._connection.close()

    def _cursor(self) -> Any:
        with self._opening:
            return self._connection.cursor()

    def write(self, path: Path, kind: str, columns: Columns) -> int:
        """Write a new segment, whole or not at all; returns the CRC-32 of the file. `columns` are sorted already.

        Raises StoreProblem, OSError.
        """
        cursor = self._cursor()
        wanted = ", ".join(f"nullif({c}, -1) AS {c}" if c.endswith("_us") else c for c in COLUMNS[kind])
        try:
            cursor.register("fresh", {name: columns[name] for name in COLUMNS[kind]})
            return self._copy(cursor, f"SELECT {wanted} FROM fresh", [], path)
        finally:
            cursor.close()

    def join(self, sources: Sequence[Path], path: Path, low: int, high: int) -> tuple[int, int, int, int]:
        """Write one segment of the rows of `sources` with low <= number <= high; returns (rows, lowest, highest
        number, CRC-32). Raises StoreProblem: Missing, Damaged."""
        cursor = self._cursor()
        try:
            crc = self._copy(
                cursor,
                "SELECT * FROM read_parquet(?) WHERE number BETWEEN ? AND ? ORDER BY number, at_ms",
                [[str(s) for s in sources], low, high],
                path,
            )
            found = cursor.execute("SELECT count(*), min(number), max(number) FROM read_parquet(?)", [str(path)])
            rows, lowest, highest = found.fetchone()
        except self._error as error:
            raise self._reason(sources, error) from None
        finally:
            cursor.close()
        return rows, lowest if rows else low, highest if rows else high, crc

    def _copy(self, cursor: Any, query: str, parameters: list[Any], path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        try:
            cursor.execute(f"COPY ({query}) TO '{_quoted(aside)}' {FORMAT}", parameters)
            fsync_file(aside)
            crc = crc_of(aside)
            aside.replace(path)
        except self._error as error:
            aside.unlink(missing_ok=True)
            if parameters:
                raise
            raise StoreProblem(f"{path} cannot be written: {error}") from None
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)
        return crc

    def select(
        self, kind: str, paths: Sequence[Path], number: int, start_ms: int, end_ms: int, extra: str = ""
    ) -> dict[str, Any]:
        """What a history needs of the rows of one number, start <= at < end; `extra` is one more SQL condition. NULL is
        masked.

        Raises Missing, Damaged.
        """
        condition = f"number = ? AND at_ms >= ? AND at_ms < ? {extra}"
        cursor = self._cursor()
        try:
            query = f"SELECT {READ[kind]} FROM read_parquet(?) WHERE {condition}"
            done = cursor.execute(query, [[str(p) for p in paths], number, start_ms, end_ms])
            found: dict[str, Any] = done.fetchnumpy()
        except self._error as error:
            raise self._reason(paths, error) from None
        finally:
            cursor.close()
        return found

    def check(self, path: Path) -> str:
        """Why a segment cannot be read, or ""; every value in it is decoded."""
        cursor = self._cursor()
        try:
            cursor.execute("SELECT count(*), max(hash(columns(*))) FROM read_parquet(?)", [str(path)]).fetchall()
        except self._error as error:
            return str(error).splitlines()[0]
        finally:
            cursor.close()
        return ""

    def _reason(self, paths: Sequence[Path], error: Exception) -> StoreProblem:
        """Which of the files is to blame for a failed query."""
        for path in paths:
            if not path.exists():
                return Missing(f"{path} is gone")
        for path in paths:
            if wrong := self.check(path):
                return Damaged(path, wrong)
        return StoreProblem(f"the samples in {self._folder} cannot be read: {str(error).splitlines()[0]}")


def crc_of(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc


def floats(column: Any, scale: float = 1.0) -> npt.NDArray[np.float64]:
    """A column as float64 with NaN for NULL, multiplied."""
    values = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    return values * scale


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
