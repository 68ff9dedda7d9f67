"""Reads the table of `faultline explain`: any attributes as text, and the columns bad, total, at.

pyarrow reads and numbers the values of a column in one go; a million rows take seconds and no Python object each.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from correlation.attributes import Column, Table
from monitor.clock import parse_time
from monitor.inventory import InputProblems
from monitor.inventory.csvfile import CsvRows, Problems, open_csv

COUNTS = ("bad", "total")
NO_TIME = -(1 << 62)


def read_table(path: Path, at_ns: int | None) -> Table:
    """Raises InputProblems, naming line and field. Rows with total 0 say nothing; an empty cell has no value."""
    import pyarrow as pa
    from pyarrow import csv

    if not path.is_file():
        raise InputProblems.one(str(path), "is not a file" if path.exists() else "cannot be read: no such file")
    separator, names = _header(path)
    text = pa.dictionary(pa.int32(), pa.string())
    try:
        read = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=1, block_size=1 << 24),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, text), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        raise _refused(path, str(error)) from None
    columns = {name: _column(name, read.column(i)) for i, name in enumerate(names)}
    bad, total = (_numbers(path, columns[name]) for name in COUNTS)
    _refuse(path, bad > total, "bad", columns["bad"], "is more than total")
    before = None
    if at_ns is not None:
        if "at" not in columns:
            raise InputProblems.one(str(path), "the column is missing, and --at needs it", field="at")
        before = _times(path, columns["at"]) < at_ns
    attributes = tuple(c for name, c in columns.items() if name not in (*COUNTS, "at"))
    if not attributes:
        raise InputProblems.one(str(path), "has no attribute: a column beside bad, total and at is needed")
    return Table(attributes, bad, total, before)


def _header(path: Path) -> tuple[str, list[str]]:
    problems = Problems(str(path))
    try:
        with path.open("rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except UnicodeDecodeError:
        raise InputProblems.one(str(path), "is not UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise InputProblems.one(str(path), f"cannot be read: {error.strerror}") from None
    if not first.strip():
        raise InputProblems.one(str(path), "the file is empty: a header row is needed")
    rows = CsvRows([first], problems)
    rows.check_header(COUNTS)
    return rows.separator, rows.header


def _refused(path: Path, text: str) -> InputProblems:
    """What pyarrow complains of. It does not say where, so the file is read again, row by row."""
    first = text.splitlines()[0]
    problems = Problems(str(path))
    try:
        with open_csv(path, problems) as rows:
            for _ in rows.chunks(4096):
                pass
        problems.raise_any()
    except InputProblems as found:
        return found
    return InputProblems.one(str(path), f"cannot be read: {first}")


def _column(name: str, chunks: object) -> Column:
    """Codes into the values, which are trimmed: two that differ by blanks alone are one."""
    import pyarrow as pa

    assert isinstance(chunks, pa.ChunkedArray)
    if not chunks.num_chunks or not len(chunks):
        return Column(name, [], np.zeros(0, np.int32))
    joined = chunks.unify_dictionaries()
    written = [str(v).strip() for v in joined.chunk(0).dictionary.to_pylist()]
    codes = np.concatenate([np.asarray(c.indices) for c in joined.chunks]).astype(np.int32)
    place: dict[str, int] = {}
    for value in written:
        if value:
            place.setdefault(value, len(place))
    back = np.array([place.get(value, -1) for value in written], np.int32)
    return Column(name, list(place), back[codes])


def _numbers(path: Path, column: Column) -> npt.NDArray[np.float64]:
    """Every distinct text is read once."""
    found = np.full(len(column.values) + 1, np.nan)
    for i, text in enumerate(column.values):
        try:
            found[i] = float(text.replace(",", ".")) if text.count(",") == 1 else float(text)
        except ValueError:
            continue
    values = found[column.codes]
    _refuse(path, ~(np.isfinite(values) & (values >= 0)), column.name, column, "is not a number of 0 or more")
    return values


def _times(path: Path, column: Column) -> npt.NDArray[np.int64]:
    found = np.full(len(column.values) + 1, NO_TIME, np.int64)
    for i, text in enumerate(column.values):
        try:
            found[i] = parse_time(text)
        except ValueError:
            continue
    values: npt.NDArray[np.int64] = found[column.codes]
    what = "is not a time: epoch seconds or RFC 3339, as 2026-11-23T08:15:30Z"
    _refuse(path, values == NO_TIME, column.name, column, what)
    return values


def _refuse(path: Path, wrong: npt.NDArray[np.bool_], field: str, column: Column, message: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        code = int(column.codes[row])
        shown = "is empty" if code < 0 else f"{column.values[code]!r} {message}"
        raise InputProblems.one(str(path), shown, row + 2, field)
