"""Sums of the cells by every attribute and every pair of attributes, kept up to date while causes come and go.

A pair is only kept for values that have failures at all, at most TABLE combinations of the commonest: a cause needs
failures. Deeper combinations are summed on demand, over the few cells of what they refine.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from correlation.attributes.cells import Cells
from correlation.attributes.evidence import Sums, highest_level

F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
TABLE = 100_000
LEAST_BAD = 3.0


class View:
    """One attribute or a pair: where each of its combinations stands in `sums`."""

    def __init__(self, columns: tuple[int, ...], kept: list[npt.NDArray[np.int32]], place: list[Rows]) -> None:
        self.columns = columns
        self._kept = kept  # per column the values that count, and back
        self._place = place
        self.size = int(np.prod([len(k) for k in kept]))
        self.sums = Sums(*(np.zeros(self.size) for _ in range(5)))

    def codes(self, cells: Cells, rows: Rows) -> Rows:
        """The combination of each of these cells, -1 where it is not kept."""
        code = np.zeros(len(rows), np.intp)
        gone = np.zeros(len(rows), np.bool_)
        for column, kept, place in zip(self.columns, self._kept, self._place, strict=True):
            mine = place[cells.codes[column][rows]]
            gone |= mine < 0
            code = code * len(kept) + mine
        code[gone] = -1
        return code

    def number(self, values: tuple[int, ...]) -> int:
        """Where a combination of values stands, -1 if it is not kept."""
        number = 0
        for value, kept, place in zip(values, self._kept, self._place, strict=True):
            if place[value] < 0:
                return -1
            number = number * len(kept) + int(place[value])
        return number

    def cause(self, number: int) -> tuple[tuple[int, int], ...]:
        """(column, value) of a combination."""
        found = []
        for column, kept in zip(reversed(self.columns), reversed(self._kept), strict=True):
            number, at = divmod(number, len(kept))
            found.append((column, int(kept[at])))
        return tuple(reversed(found))


class Views:
    """All sums over the cells that no cause explains yet. `weight` float64 [c] makes up for cells that scatter."""

    def __init__(self, cells: Cells, weight: F64) -> None:
        self.cells = cells
        self._parts = (
            cells.bad * weight,
            cells.total * weight,
            cells.total * cells.ratio * weight,
            cells.bad_before * weight,
            cells.total_before * cells.ratio * weight,
        )
        self.bad = self.total = self.expected = 0.0
        self.views = [self._view((column,)) for column in range(len(cells.codes))]
        self.views += [self._view(pair) for pair in combinations(range(len(cells.codes)), 2)]
        self._free = np.zeros(len(cells), np.bool_)
        self.add(np.arange(len(cells)), 1.0)
        single = [view.sums for view in self.views if len(view.columns) == 1]
        self.highest = highest_level(single) if cells.total_before.any() else np.inf

    def _view(self, columns: tuple[int, ...]) -> View:
        kept, place = [], []
        room = TABLE
        # The smaller attribute is kept whole first; what is left is for the other one.
        found: dict[int, npt.NDArray[np.int32]] = {}
        for column in sorted(columns, key=lambda c: len(self.cells.values[c])):
            codes = self.cells.codes[column]
            size = len(self.cells.values[column])
            values = np.arange(size, dtype=np.int32)
            if len(columns) > 1:
                bad = np.bincount(codes[codes >= 0], self.cells.bad[codes >= 0], size)
                values = np.flatnonzero(bad >= LEAST_BAD).astype(np.int32)
                if len(values) > room:
                    values = np.sort(np.argsort(-bad, kind="stable")[:room]).astype(np.int32)
                room = max(1, room // max(1, len(values)))
            found[column] = values
        for column in columns:
            back = np.full(len(self.cells.values[column]) + 1, -1, np.intp)  # the last one: an empty cell
            back[found[column]] = np.arange(len(found[column]))
            kept.append(found[column])
            place.append(back)
        return View(columns, kept, place)

    def add(self, rows: Rows, sign: float) -> None:
        """Count cells in (1) or out (-1)."""
        self._free[rows] = sign > 0
        parts = [part[rows] for part in self._parts]
        self.bad += sign * float(parts[0].sum())
        self.total += sign * float(parts[1].sum())
        self.expected += sign * float(parts[2].sum())
        for view in self.views:
            if not view.size:
                continue
            code = view.codes(self.cells, rows)
            known = code >= 0
            code = code[known]
            for name, part in zip(Sums.__slots__, parts, strict=True):
                if part.any():
                    values = getattr(view.sums, name)
                    values += sign * np.bincount(code, part[known], view.size)
                    np.maximum(values, 0.0, out=values)

    def sums_of(self, rows: Rows, column: int) -> tuple[npt.NDArray[np.int32], Sums]:
        """The values of one column among those of these cells that count, and their sums."""
        rows = rows[self._free[rows]]
        codes = self.cells.codes[column][rows]
        rows, codes = rows[codes >= 0], codes[codes >= 0]
        values, code = np.unique(codes, return_inverse=True)
        return values, Sums(*(np.bincount(code, part[rows], len(values)).astype(np.float64) for part in self._parts))
