"""Random tables with known causes: any number of attributes, sizes, rates, correlations, natural spread.

Nothing in here knows how causes are looked for. Columns depend on each other (a model sold in some regions only, a site
within a city), rows are single clients or sums of thousands, rates differ between values by nature, and a third of the
tables has no cause at all.
"""

from dataclasses import dataclass

import numpy as np

from correlation.attributes import Column, Table

Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    table: Table
    causes: tuple[Pairs, ...]  # attribute, value
    family: str


def make(seed: int) -> Made:
    """A table; the same seed gives the same one."""
    rng = np.random.default_rng([seed, 77])
    rows = int(np.exp(rng.uniform(np.log(200), np.log(20_000))))
    columns = _columns(rng, rows)
    single = rng.random() < 0.4
    total = np.ones(rows) if single else np.maximum(1, rng.lognormal(np.log(rng.uniform(10, 500)), 1.0, rows)).round()
    base = float(np.exp(rng.uniform(np.log(0.005), np.log(0.15))))
    with_before = rng.random() < 0.4
    ratio = np.full(rows, base)
    # With a background values may differ a lot by nature; without one a cause could not be told from that.
    nature = rng.choice([0.0, 0.1, 0.6]) if with_before else rng.choice([0.0, 0.05, 0.1])
    for column in columns:
        if len(column.values) < 200:
            ratio *= np.exp(rng.normal(0, nature / np.sqrt(len(columns)), len(column.values)))[column.codes]
    ratio = np.clip(ratio, 1e-4, 0.5)
    wanted = int(rng.choice([0, 1, 2, 3], p=[0.34, 0.36, 0.2, 0.1]))
    hit, causes = ratio.copy(), []
    taken = np.zeros(rows, np.bool_)
    for _ in range(wanted):
        found = _cause(rng, columns, total, base, taken)
        if found is not None:
            named, mask, extra = found
            hit[mask] = 1 - (1 - hit[mask]) * (1 - extra)
            taken |= mask
            causes.append(named)
    rho = 0.0 if single else float(rng.choice([0.0, 0.005, 0.03]))
    bad = _draw(rng, total, hit, rho)
    before = None
    if with_before:
        bad = np.concatenate([_draw(rng, total, ratio, rho), bad])
        before = np.arange(2 * rows) < rows
        total = np.concatenate([total, total])
        columns = [Column(c.name, c.values, np.concatenate([c.codes, c.codes])) for c in columns]
    family = f"{len(causes)} cause{'s' if len(causes) != 1 else ''}"
    return Made(Table(tuple(columns), bad, total, before), tuple(causes), family)


def _draw(rng: np.random.Generator, total: np.ndarray, ratio: np.ndarray, rho: float) -> np.ndarray:
    if rho:
        shape = (1 - rho) / rho
        ratio = rng.beta(ratio * shape, (1 - ratio) * shape)
    return rng.binomial(total.astype(np.int64), ratio).astype(float)


def _columns(rng: np.random.Generator, rows: int) -> list[Column]:
    made: list[Column] = []
    for number in range(int(rng.integers(2, 9))):
        size = int(np.exp(rng.uniform(np.log(2), np.log(60))))
        weights = rng.dirichlet(np.full(size, rng.choice([0.4, 1.0, 5.0])))
        codes = rng.choice(size, rows, p=weights)
        kind = rng.random()
        if made and kind < 0.25:  # mostly decided by another column: sold in some regions only
            parent = made[int(rng.integers(len(made)))]
            own = rng.integers(0, size, len(parent.values))
            codes = np.where(rng.random(rows) < rng.uniform(0.6, 0.95), own[parent.codes], codes)
        elif made and kind < 0.35:  # a finer level of another column: site within city
            parent = made[int(rng.integers(len(made)))]
            codes = parent.codes * 4 + rng.integers(0, 4, rows)
            size = len(parent.values) * 4
        codes = codes.astype(np.int32)
        if rng.random() < 0.2:
            codes[rng.random(rows) < 0.1] = -1
            if size * 4 > 60:
                codes = np.maximum(codes, 0)
        codes = np.maximum(codes, -1)
        made.append(Column(f"a{number}", [f"v{i}" for i in range(size)], codes))
    if rng.random() < 0.3:
        made.append(Column("client", [str(i) for i in range(rows)], rng.permutation(rows).astype(np.int32)))
    return [_filled(column) for column in made]


def _filled(column: Column) -> Column:
    """Empty cells become a value of their own, which may be a cause like any other."""
    codes = np.where(column.codes < 0, len(column.values), column.codes).astype(np.int32)
    return Column(column.name, [*column.values, "none"], codes)


def _cause(
    rng: np.random.Generator, columns: list[Column], total: np.ndarray, base: float, taken: np.ndarray
) -> tuple[Pairs, np.ndarray, float] | None:
    """A combination that can be told: enough extra failures, not nearly everything, hardly any of another cause."""
    for _ in range(60):
        depth = int(rng.choice([1, 2, 3], p=[0.6, 0.33, 0.07]))
        usable = [c for c in columns if c.name != "client"]
        if depth > len(usable):
            continue
        chosen = [usable[i] for i in rng.choice(len(usable), depth, replace=False)]
        row = int(rng.integers(len(total)))
        mask = np.ones(len(total), np.bool_)
        for column in chosen:
            mask &= column.codes == column.codes[row]
        extra = float(np.exp(rng.uniform(np.log(max(0.04, 3 * base)), np.log(0.95)))) if base < 0.3 else 0.9
        size = float(total[mask].sum())
        shares = [size / float(total[c.codes == c.codes[row]].sum()) for c in chosen]
        if depth > 1 and max(shares) > 0.7:
            continue  # one of its attributes alone says the same
        if size * extra < 40 or size > 0.5 * total.sum() or (mask & taken).sum() > 0.3 * mask.sum() or mask.sum() < 8:
            continue
        named = frozenset((c.name, c.values[c.codes[row]]) for c in chosen)
        return named, mask, extra
    return None
