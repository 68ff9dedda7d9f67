"""How good is `faultline explain`? Hundreds of random tables with known causes, beside two naive rankings.

    .venv/bin/python -m benchmarks.attributes.run [--seeds 1001-1400] [--why]

A cause is right when it names the same values, or others that hold nearly the same trials (Jaccard 0.9). The naive
rankings are told how many causes there are (an advantage nobody has); "all" is everything that they find significant.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from benchmarks.attributes.naive import ranked
from benchmarks.attributes.tables import Made, Pairs, make
from correlation.attributes import Table, explain_table

BINS = (0.0, 0.5, 0.8, 0.95, 0.99, 0.999, 1.01)


def ours(made: Made) -> list[tuple[Pairs, float]]:
    return [(frozenset(c.cause.items()), c.confidence) for c in explain_table(made.table)]


METHODS: dict[str, Callable[[Made], list[tuple[Pairs, float]]]] = {
    "explain": ours,
    "chi-square, as many as there are": lambda m: [(c, 1.0) for c in ranked(m.table, "chi2")[: len(m.causes)]],
    "lift, as many as there are": lambda m: [(c, 1.0) for c in ranked(m.table, "lift")[: len(m.causes)]],
    "chi-square, all": lambda m: [(c, 1.0) for c in ranked(m.table, "chi2")],
}


def alike(table: Table, one: Pairs, other: Pairs) -> bool:
    if one == other:
        return True
    a, b = _mask(table, one), _mask(table, other)
    common, either = float(table.total[a & b].sum()), float(table.total[a | b].sum())
    return either > 0 and common / either >= 0.9


def _mask(table: Table, named: Pairs) -> np.ndarray:
    mask = np.ones(len(table.bad), np.bool_)
    for name, value in named:
        column = next(c for c in table.columns if c.name == name)
        mask &= column.codes == column.values.index(value)
    return mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1001-1400", help="FIRST-LAST; below 1001 is for development")
    parser.add_argument("--why", action="store_true", help="say what went wrong in each table (explain only)")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    tables = [make(seed) for seed in range(int(first), int(last or first) + 1)]
    null = [m for m in tables if not m.causes]
    print(f"{len(tables)} tables, {len(null)} of them without a cause, {sum(len(m.causes) for m in tables)} causes\n")
    print("| | precision | recall | first is right | all right and nothing else | null tables with a cause | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name, method in METHODS.items():
        begin = time.process_time()
        said = right = found = truths = top = exact = 0
        blamed = 0
        trust: list[tuple[float, bool]] = []
        for number, made in enumerate(tables):
            answer = method(made)
            good = [any(alike(made.table, named, cause) for cause in made.causes) for named, _ in answer]
            hits = sum(any(alike(made.table, named, cause) for named, _ in answer) for cause in made.causes)
            said, right, found, truths = said + len(answer), right + sum(good), found + hits, truths + len(made.causes)
            top += bool(made.causes) and bool(good) and good[0]
            exact += hits == len(made.causes) and all(good)
            blamed += not made.causes and bool(answer)
            trust += [(c, g) for (_, c), g in zip(answer, good, strict=True)]
            if options.why and name == "explain" and not (hits == len(made.causes) and all(good)):
                print(f"seed {int(first) + number}: truth {[sorted(c) for c in made.causes]}")
                print(f"   {len(made.table.bad)} rows, background {made.table.before is not None}")
                for cause in explain_table(made.table):
                    print(f"   said {cause}")
        cells = (right / max(1, said), found / max(1, truths), top / max(1, len(tables) - len(null)))
        print(
            f"| {name} | " + " | ".join(f"{c:.3f}" for c in cells) + f" | {exact / len(tables):.3f} | {blamed} of "
            f"{len(null)} | {time.process_time() - begin:.0f} |"
        )
        if name == "explain":
            kept = trust
    print("\n| confidence | causes | mean confidence | right |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        mine = [t for t in kept if low <= t[0] < high]
        if mine:
            mean = sum(t[0] for t in mine) / len(mine)
            print(
                f"| {low:g}-{min(high, 1):g} | {len(mine)} | {mean:.3f} | {sum(t[1] for t in mine) / len(mine):.3f} |"
            )


if __name__ == "__main__":
    main()
