"""A table of attributes with failed and all trials, joined into cells: one per combination of values.

What is found does not depend on how rows are split, on their order or on that of the columns: values are numbered in
the order of their text, columns in the order of their names, and equal rows are added up.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.attributes.expected import usual_ratio

F64 = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
HUGE = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One attribute of r rows: `codes` int32 [r] into `values`, -1 where the cell is empty."""

    name: str
    values: list[str]
    codes: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`bad`, `total` float64 [r], 0 <= bad <= total; `before` bool [r]: rows of the background, None without one."""

    columns: tuple[Column, ...]
    bad: F64
    total: F64
    before: Bools | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """c combinations of values. `codes[j]` int32 [c]; `bad`, `total` of what is to be explained, `bad_before`,
    `total_before` of the background, all float64 [c]; `ratio` float64 [c]: the usual share of bad ones, up to a factor
    that is common to all."""

    names: list[str]
    values: list[list[str]]
    codes: list[Codes]
    bad: F64
    total: F64
    bad_before: F64
    total_before: F64
    ratio: F64

    def __len__(self) -> int:
        return len(self.bad)

    def members(self, cause: tuple[tuple[int, int], ...]) -> npt.NDArray[np.intp]:
        """Indices of the cells that have all of these (column, value)."""
        (column, value), *rest = cause
        found = np.flatnonzero(self.codes[column] == value)
        for column, value in rest:
            found = found[self.codes[column][found] == value]
        return found


def make_cells(table: Table) -> Cells:
    """Join the rows. Columns with fewer than two values explain nothing and are left out."""
    used = table.total > 0
    columns = [_ordered(c, used) for c in sorted(table.columns, key=lambda c: c.name)]
    columns = [c for c in columns if len(c.values) > 1]
    before = np.zeros(len(table.bad), np.bool_) if table.before is None else table.before
    key = np.zeros(int(used.sum()), np.int64)
    span = 1
    for column in columns:
        width = len(column.values) + 1
        if span > HUGE // width:
            kept, key = np.unique(key, return_inverse=True)
            span = len(kept)
        key = key * width + (column.codes + 1)
        span *= width
    first, cell = np.unique(key, return_index=True, return_inverse=True)[1:]
    bad, total, earlier = table.bad[used], table.total[used], before[used]

    def summed(values: F64, rows: Bools) -> F64:
        return np.bincount(cell, np.where(rows, values, 0.0), len(first)).astype(np.float64)

    codes = [c.codes[first] for c in columns]
    bad_before, total_before = summed(bad, earlier), summed(total, earlier)
    return Cells(
        names=[c.name for c in columns],
        values=[c.values for c in columns],
        codes=codes,
        bad=summed(bad, ~earlier),
        total=summed(total, ~earlier),
        bad_before=bad_before,
        total_before=total_before,
        ratio=usual_ratio(codes, [len(c.values) for c in columns], bad_before, total_before),
    )


def _ordered(column: Column, used: Bools) -> Column:
    """Values that occur, in the order of their text."""
    codes = column.codes[used]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.values))
    order = sorted(np.flatnonzero(counts).tolist(), key=column.values.__getitem__)
    place = np.full(len(column.values) + 1, -1, np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return Column(column.name, [column.values[i] for i in order], place[codes])
