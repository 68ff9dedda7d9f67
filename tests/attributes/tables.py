"""Small tables with a cause that the tests put there."""

import numpy as np

from correlation.attributes import Column, Table


def column(name: str, values: list[str]) -> Column:
    known = sorted(set(values) - {""})
    return Column(name, known, np.array([known.index(v) if v else -1 for v in values], np.int32))


def made(
    seed: int, rows: int, sizes: dict[str, int], rates: dict[tuple[tuple[str, str], ...], float], base: float, each: int
) -> Table:
    """`sizes` attribute -> number of values v0, v1, ...; `rates` what fails more often, and how often."""
    rng = np.random.default_rng(seed)
    values = {name: [f"v{i}" for i in rng.integers(0, size, rows)] for name, size in sizes.items()}
    ratio = np.full(rows, base)
    for cause, rate in rates.items():
        hit = np.all([np.array(values[name]) == value for name, value in cause], axis=0)
        ratio[hit] = 1 - (1 - ratio[hit]) * (1 - rate)
    total = np.full(rows, each)
    return Table(
        tuple(column(n, v) for n, v in values.items()), rng.binomial(total, ratio).astype(float), total.astype(float)
    )
