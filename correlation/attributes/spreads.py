"""How much the values of each attribute differ by nature, learned from the cells that no cause explains."""

import numpy as np

from correlation.attributes.evidence import LEAST_SPREAD, background, spread
from correlation.attributes.views import Views

Named = tuple[tuple[int, int], ...]


class Spreads:
    """The natural spread of each attribute and pair, and the usual one; without views the least for all."""

    def __init__(self, views: Views | None = None) -> None:
        self._of: dict[tuple[int, ...], float] = {}
        self.common = LEAST_SPREAD**2
        if views is None or not views.bad > 0:
            return
        for view in views.views:
            usual = background(view.sums, views.bad, views.expected, views.highest)
            found = spread(view.sums.bad, usual, view.sums.total)
            if found is not None:
                self._of[view.columns] = max(LEAST_SPREAD**2, found)
        single = [value for columns, value in self._of.items() if len(columns) == 1]
        if single:
            self.common = float(np.median(single))

    def of(self, named: Named) -> float:
        """The widest of the attribute itself, or of the pairs within a combination."""
        columns = sorted(column for column, _ in named)
        pairs: list[tuple[int, ...]] = [(a, b) for i, a in enumerate(columns) for b in columns[i + 1 :]]
        return max(self._of.get(one, self.common) for one in pairs or [tuple(columns)])
