"""Reads one line's series for `faultline anomalies`: a header row, then time and round-trip time in ms.

`;` or `,` between, decimal point or comma (with `;`), plain or gzipped. Empty, not above 0, or a minute and more is a
lost probe. Rows count in the order of the file; times that go back are counted and said, never reordered.
"""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.clock import parse_time
from monitor.inventory.problems import InputProblems

ABSURD_MS = 60_000.0
LOST = frozenset({"", "nan", "null", "none", "na", "*", "-"})


@dataclass(frozen=True)
class Series:
    """n rows: `at_ns` int64 UTC, `rtt_ms` float32 (NaN: lost). `absurd`, `backwards`: how many rows were so."""

    at_ns: npt.NDArray[np.int64]
    rtt_ms: npt.NDArray[np.float32]
    absurd: int
    backwards: int


def read_series(path: Path) -> Series:
    """Raises InputProblems (file, line, field) when a row cannot be read; the file is refused as a whole."""
    text = _text(path)
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise InputProblems.one(str(path), "is empty: a header row, then time and RTT in ms are needed")
    separator = ";" if ";" in lines[0] else ","
    header = [name.strip().lower() for name in lines[0].split(separator)]
    if len(header) < 2:
        raise InputProblems.one(str(path), "the header needs two columns, time and RTT, with ; or , between", 1)
    if _is_number(header[1]):
        raise InputProblems.one(str(path), "the first row is data: a header row is needed, e.g. epoch;rtt", 1)
    at: list[int] = []
    rtt: list[float] = []
    absurd = backwards = 0
    for number, row in _rows(path, lines[1:], separator):
        if len(row) < 2 or (len(row) > len(header) and separator == ","):
            hint = "; a decimal comma needs ; between the columns" if len(row) > len(header) else ""
            raise InputProblems.one(str(path), f"{len(row)} columns, the header has {len(header)}{hint}", number)
        time = _time(path, number, header[0], row[0].strip())
        value = _value(path, number, header[1], row[1].strip())
        absurd += bool(value >= ABSURD_MS or value < 0)
        backwards += bool(at) and time < at[-1]
        at.append(time)
        rtt.append(value if 0 < value < ABSURD_MS else math.nan)
    return Series(np.array(at, np.int64), np.array(rtt, np.float32), absurd, backwards)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputProblems.one(str(path), "is not UTF-8 text") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is no readable gzip file"
        raise InputProblems.one(str(path), str(reason)) from None


def _rows(path: Path, lines: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """A row is one line: a quote that is not closed spoils its own line alone."""
    for number, line in enumerate(lines, start=2):
        try:
            row = next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error as error:
            raise InputProblems.one(str(path), f"cannot be read as CSV: {error}", number) from None
        if any(cell.strip() for cell in row):
            yield number, row


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return text not in LOST


def _time(path: Path, number: int, field: str, text: str) -> int:
    try:
        if _is_number(text):
            return parse_time(text.replace(",", "."))
        return parse_time(f"{text}Z" if _naive(text) else text)
    except ValueError as error:
        raise InputProblems.one(str(path), str(error), number, field) from None


def _naive(text: str) -> bool:
    """A date-time without a zone is UTC here: measurement archives write them so."""
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _value(path: Path, number: int, field: str, text: str) -> float:
    if text.lower() in LOST:
        return math.nan
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise InputProblems.one(str(path), f"{text!r} is no number of milliseconds", number, field) from None
