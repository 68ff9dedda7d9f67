"""Reads a CSV file row by row, with the line of the file at hand whenever something is wrong."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, chain, islice
from operator import itemgetter
from pathlib import Path

from monitor.inventory.problems import InputProblem, InputProblems

MAX_PROBLEMS = 20


class Problems:
    """Collects mistakes and raises them together; from `MAX_PROBLEMS` on at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[InputProblem] = []

    def add(self, line: int, field: str, message: str) -> None:
        self.found.append(InputProblem(self.file, line, field, message))
        if len(self.found) >= MAX_PROBLEMS:
            raise InputProblems(self.ordered(), more=True)

    def raise_any(self) -> None:
        if self.found:
            raise InputProblems(self.ordered())

    def ordered(self) -> list[InputProblem]:
        return sorted(self.found, key=lambda p: p.line)


class CsvRows:
    """The rows of one file, with comma or semicolon between the cells. `header` holds the column names, `separator`
    which it is, `line` the line of the file up to which it was read.

    Empty rows are left out; a row with more or fewer cells than the header is a problem and is left out too. A quoted
    cell may span lines: the number is that of the row's first line.
    """

    def __init__(self, lines: Iterable[str], problems: Problems) -> None:
        self._problems = problems
        self.line = 0
        lines = iter(lines)
        first = next(lines, "")
        self.separator = ";" if first.count(";") > first.count(",") else ","
        self._reader = csv.reader(chain((first,), lines), delimiter=self.separator, strict=True)
        self.header = [name.strip() for name in next(self._reader, [])]
        self.line = self._reader.line_num

    def check_header(self, required: Iterable[str]) -> None:
        """Adds what is wrong with the column names, and raises."""
        names = self.header
        for name in required:
            if name not in names:
                near = next((n for n in names if n.casefold().replace(" ", "_") == name), "")
                hint = f" ({near!r} must be written {name!r})" if near else ""
                self._problems.add(1, name, f"the column is missing{hint}")
        for i, name in enumerate(names):
            if name and name in names[:i]:
                self._problems.add(1, name, "the column is there twice")
            if not name:
                self._problems.add(1, f"column {i + 1}", "has no name")
        self._problems.raise_any()

    def chunks(self, size: int) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Up to `size` rows at a time: on which line of the file each begins, and their cells."""
        width = len(self.header)
        while rows := list(islice(self._reader, size)):
            begin, self.line = self.line, self._reader.line_num
            lines = list(range(begin + 1, begin + 1 + len(rows)))
            if self.line - begin != len(rows):  # a quoted cell spans lines
                lines = list(accumulate((_lines_of(row) for row in rows[:-1]), initial=begin + 1))
            if set(map(len, rows)) != {width} or "" in map(_first, rows):
                for line, row in zip(lines, rows, strict=True):
                    if any(row) and len(row) != width:
                        self._problems.add(line, "", f"has {len(row)} fields where the header has {width}")
                kept = [i for i, row in enumerate(rows) if len(row) == width and any(map(str.strip, row))]
                lines, rows = [lines[i] for i in kept], [rows[i] for i in kept]
            if rows:
                yield lines, rows


_first = itemgetter(0)


def _lines_of(row: list[str]) -> int:
    """How many lines of the file a row takes."""
    return 1 + sum(cell.count("\n") + cell.count("\r") - cell.count("\r\n") for cell in row)


@contextmanager
def open_csv(path: Path, problems: Problems) -> Iterator[CsvRows]:
    """Opens `path`; whatever cannot be read, at any later row too, becomes InputProblems with the line."""
    try:
        if line := _line_of(path, b"\0"):
            raise InputProblems.one(str(path), "holds a NUL byte (UTF-16?): save it as UTF-8 text", line=line)
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield CsvRows(file, problems)
    except OSError as error:
        raise InputProblems.one(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        line, byte = _undecodable(path)
        raise InputProblems.one(str(path), f"is not UTF-8 (byte {byte:#04x}): save it as UTF-8", line=line) from None
    except csv.Error as error:
        line = _broken_row(path)
        message = f"a quoted field does not end, or goes on after its closing quote ({error})"
        raise InputProblems([*problems.ordered(), InputProblem(str(path), line, "", message)]) from None


def _line_of(path: Path, byte: bytes) -> int:
    """The line on which a byte first stands; 0 if nowhere."""
    line = 1
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if byte in block:
                return line + block[: block.index(byte)].count(b"\n")
            line += block.count(b"\n")
    return 0


def _broken_row(path: Path) -> int:
    """The line on which the row begins that is no CSV."""
    begin = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = CsvRows(file, Problems(str(path)))
        begin = rows.line
        with suppress(csv.Error):
            for _ in rows.chunks(1):
                begin = rows.line
    return begin + 1


def _undecodable(path: Path) -> tuple[int, int]:
    """Line and value of the first byte that is not UTF-8."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                return line, raw[error.start]
    return 0, 0
