"""The usual share of bad ones in each cell, learned from the background: a factor for each value of each attribute.

Fitted by turns (iterative scaling of a gamma-Poisson model): each value's factor is what was seen over what the other
attributes lead to expect, drawn towards 1 when little was seen. Without a background it is the same for all cells.
"""

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
ROUNDS = 8
STRENGTH = 10.0  # as many expected failures weigh as much as the belief that a value is like the others
HIGHEST = 0.999


def usual_ratio(codes: list[npt.NDArray[np.int32]], sizes: list[int], bad: F64, total: F64) -> F64:
    """float64 [c]. `codes[j]` int32 [c] in 0..sizes[j]-1 or -1; `bad`, `total` of the background."""
    seen, tried = float(bad.sum()), float(total.sum())
    if not tried:
        return np.ones(len(bad))
    ratio = np.full(len(bad), (seen + 0.5) / (tried + 1.0))
    factors = [np.ones(size + 1) for size in sizes]  # the last one stands for an empty cell
    for _ in range(ROUNDS):
        for column, factor in zip(codes, factors, strict=True):
            has = np.bincount(column + 1, bad, len(factor))
            expected = np.bincount(column + 1, ratio * total, len(factor))
            old = np.roll(factor, 1)
            # Against 1, not against the last step: `expected` holds the old factor already.
            new = (has + STRENGTH) / (expected / old + STRENGTH)
            ratio = ratio * (new / old)[column + 1]
            factor[:] = np.roll(new, -1)
    return np.asarray(np.clip(ratio, 1e-9, HIGHEST))
