"""Errors in input files, told to people: file, line, field, what is wrong and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One mistake. `line` is the 1-based line of the file (0: the file as a whole), `field` the column's name."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = self.file
        if self.line:
            where += f":{self.line}"
        if self.field:
            where += f": {self.field}"
        return f"{where}: {self.message}"


class InputProblems(ValueError):
    """A file was refused as a whole. `problems` holds what was found (at most `limit` of a loader), first first.

    `str()` is one line: the first problem, and how many more there are.
    """

    def __init__(self, problems: Sequence[InputProblem], more: bool = False) -> None:
        self.problems = tuple(problems)
        self.more = more
        rest = len(self.problems) - 1
        tail = f" (and {rest}{' or more' if more else ''} further)" if rest else ""
        super().__init__(f"{self.problems[0]}{tail}")

    @classmethod
    def one(cls, file: str, message: str, line: int = 0, field: str = "") -> "InputProblems":
        return cls([InputProblem(file, line, field, message)])
