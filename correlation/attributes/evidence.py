"""How much better "these have a rate of their own" says it than "all are alike": log-likelihood ratios, prices, spread.

Three sums are enough for a set of cells: bad k, total n, expected bad e. Rates of groups differ by nature more than
coins do, so the evidence of n trials counts as that of n / (1 + (n - 1) rho); rho is taken from the other values of the
same attributes (robustly: they may hold causes too), and is never below a tenth in the rate.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
LEAST_SPREAD = 0.1  # natural relative difference between groups, where too few are there to learn it
LIKE = 10.0  # expected failures of a group's own background that weigh as much as the general one
CAUTION = 4.0
FURTHER = 1.0
TINY = 1e-12
ENOUGH = 4.0  # expected failures of a group that can say something about the spread
MIDDLE = 0.455  # median of chi-square with one degree of freedom


@dataclass(slots=True, eq=False)
class Sums:
    """Per set of cells, float64 [g]: `bad`, `total`, `expected`; `own_bad`, `own_expected` in the background."""

    bad: F64
    total: F64
    expected: F64
    own_bad: F64
    own_expected: F64

    def own(self) -> F64:
        """What the background of the set itself says against the general one, as a factor."""
        factor: F64 = (self.own_bad + LIKE) / (self.own_expected + LIKE)
        return factor

    def take(self, rows: npt.NDArray[np.integer]) -> "Sums":
        return Sums(self.bad[rows], self.total[rows], self.expected[rows], self.own_bad[rows], self.own_expected[rows])


def divergence(rate: F64, other: F64) -> F64:
    """Kullback-Leibler divergence of two coins, in nats; 0 <= rate <= 1."""
    other = np.clip(other, 1e-9, 1 - 1e-9)
    rest = np.clip(1 - rate, 0, 1)
    up = rate * np.log(np.maximum(rate, TINY) / other)
    down = rest * np.log(np.maximum(rest, TINY) / (1 - other))
    return np.asarray(up + down)


def background(sums: Sums, all_bad: float, all_expected: float, highest: float = np.inf) -> F64:
    """The rate each set should have, by all the others: float64 [g]. `highest`: limit of the common level."""
    rest = np.maximum(all_expected - sums.expected, TINY)
    level = np.minimum(np.maximum(all_bad - sums.bad, 0.5) / rest, highest)
    usual = level * sums.expected / np.maximum(sums.total, TINY) * sums.own()
    return np.asarray(np.clip(usual, 1e-9, 1 - 1e-9))


def likelihood_ratio(sums: Sums, all_bad: float, all_total: float, all_expected: float, highest: float = np.inf) -> F64:
    """Nats by which a rate of its own, fitted, beats the common level, float64 [g]; 0 where it is not higher.

    A profile likelihood: the level of the rest is fitted again without the set, unless the background limits it to
    `highest`.
    """
    level = min(all_bad / max(all_expected, TINY), highest)
    total = np.maximum(sums.total, TINY)
    usual = level * sums.expected / total * sums.own()
    rest = np.maximum(all_total - sums.total, 0.0)
    rest_rate = np.clip((all_bad - sums.bad) / np.maximum(rest, TINY), 0, 1)
    rest_usual = level * np.maximum(all_expected - sums.expected, 0) / np.maximum(rest, TINY)
    rate = np.clip(sums.bad / total, 0, 1)
    gain = sums.total * divergence(rate, usual)
    if level < highest:
        gain = gain + rest * divergence(rest_rate, rest_usual)
    higher = (rate > background(sums, all_bad, all_expected, highest)) & (rate > usual) & (rest > 0)
    return np.where(higher, gain, 0.0)


def highest_level(sums: list[Sums]) -> float:
    """By how much all rates may have risen together since the background: what the quietest quarter of the values of
    some attribute shows, at least 1. Rates that rose everywhere are no attribute's doing."""
    found = []
    for one in sums:
        rows = np.flatnonzero(one.expected > 0)
        ratio = one.bad[rows] / one.expected[rows]
        order = np.argsort(ratio, kind="stable")
        mass = np.cumsum(one.expected[rows][order])
        found.append(float(ratio[order][np.searchsorted(mass, 0.25 * mass[-1])]) if len(rows) else 1.0)
    return max(1.0, min(found, default=1.0))


def price(sizes: list[int], columns: int, bad: F64) -> F64:
    """What naming a cause costs, in nats: which attributes, which of their values (`sizes`), its rate, and caution."""
    named = sum(np.log(max(columns, 2)) + np.log(size) for size in sizes)
    return np.asarray(CAUTION + named + FURTHER * (len(sizes) - 1) + 0.5 * np.log1p(bad))


def spread(bad: F64, usual: F64, total: F64) -> float | None:
    """Natural variance of the rates of groups (squared, relative) beyond chance; None with fewer than five groups
    that expect some failures.

    From the median of the squared deviations, so that up to half of the groups may have causes of their own, and from
    their mean without the twentieth furthest, where there are many: whichever is larger.
    """
    keep = usual * total >= ENOUGH
    if np.count_nonzero(keep) < 5:
        return None
    bad, usual, total = bad[keep], usual[keep], total[keep]
    deviation = (bad - usual * total) ** 2 / (usual * (1 - usual) * total)
    excess = np.maximum(total - 1, 0) * usual * (1 - usual)
    low, high = 0.0, 25.0
    if np.median(deviation) > MIDDLE:
        for _ in range(40):
            middle = (low + high) / 2
            if np.median(deviation / (1 + excess * middle)) > MIDDLE:
                low = middle
            else:
                high = middle
    found = low
    if len(bad) >= 40:
        kept = np.argsort(deviation / (1 + excess * found))[: int(len(bad) * 0.95)]
        if excess[kept].sum() > 0:
            found = max(found, float((deviation[kept] - 1).sum() / excess[kept].sum()))
    return float(found * (1 + 3 / (len(bad) - 1)))


def common_level(bad: F64, expected: F64) -> float:
    """By how much the rates of most cells differ from `expected`: the weighted median over cells that can tell, where
    they hold half of all; else the mean. With the mean, a strong cause in a small table makes every cell look odd."""
    if not bad.sum() > 0:
        return 0.0
    telling = expected * (bad.sum() / expected.sum()) >= ENOUGH
    if expected[telling].sum() < 0.5 * expected.sum():
        return float(bad.sum() / expected.sum())
    ratio = bad[telling] / expected[telling]
    order = np.argsort(ratio, kind="stable")
    mass = np.cumsum(expected[telling][order])
    return float(ratio[order][np.searchsorted(mass, 0.5 * mass[-1])])


def scatter(bad: F64, usual: F64, total: F64, limit: float) -> float:
    """Intra-cell correlation rho: cells scatter by n p (1 - p) (1 + (n - 1) rho). By moments; deviations are cut at
    `limit` times what is expected."""
    keep = (usual * total >= 0.5) & (total > 1)
    if np.count_nonzero(keep) < 10:
        return 0.0
    bad, usual, total = bad[keep], usual[keep], total[keep]
    deviation = (bad - usual * total) ** 2 / (usual * (1 - usual) * total)
    rho = 0.01
    for _ in range(6):
        widened = 1 + (total - 1) * rho
        cut = np.minimum(deviation, limit * widened)
        rho = max(0.0, float(((cut - 1) / widened).sum() / ((total - 1) / widened).sum()))
    return min(rho, 0.9)
