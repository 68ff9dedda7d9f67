"""From the rows of all runs to the tables of docs/benchmarks.md."""

from itertools import pairwise
from typing import Any

Rows = list[dict[str, Any]]
FIGURES = (
    ("incident_precision", "incident precision"),
    ("incident_recall", "incident recall"),
    ("incident_f1", "incident F1"),
    ("scope_accuracy", "scope exact"),
    ("line_f1", "line F1"),
    ("delay_median_s", "delay median, s"),
    ("delay_p90_s", "delay 90 %, s"),
    ("false", "false a run"),
    ("false_per_million_line_hours", "false per million line-hours"),
    ("splits", "splits a run"),
    ("traps", "traps a run"),
    ("cpu_s", "processor time a run, s"),
    ("rss_mb", "memory, MB"),
)
BINS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


def mean(rows: Rows, figure: str) -> float | None:
    values = [v for row in rows if (v := row[figure]) is not None]
    return sum(values) / len(values) if values else None


def by_method(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    return found


def scores(rows: Rows) -> str:
    """Means over the seeds, a column a method."""
    runs = by_method(rows)
    lines = ["| | " + " | ".join(runs) + " |", "|---|" + "---|" * len(runs)]
    for figure, words in FIGURES:
        cells = []
        for mine in runs.values():
            value = mean(mine, figure)
            cells.append("-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.0f}")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def reliability(rows: Rows) -> str:
    """Said against what came true, for the incidents of the engine: bins of confidence."""
    said = [tuple(t) for row in rows if row["method"] == "engine" for t in row["trust"]]
    lines = ["| confidence | incidents | mean confidence | matched a truth | and its scope |", "|---|---|---|---|---|"]
    for low, high in pairwise(BINS):
        mine = [t for t in said if low <= t[0] < high or (high == 1.0 and t[0] == 1.0)]
        if mine:
            cells = [sum(t[i] for t in mine) / len(mine) for i in range(3)]
            lines.append(f"| {low:g}-{high:g} | {len(mine)} | " + " | ".join(f"{c:.3f}" for c in cells) + " |")
    if said:
        error = sum((t[0] - t[2]) ** 2 for t in said) / len(said)
        lines.append(f"\nBrier score {error:.3f} over {len(said)} incidents (0 is perfect; always saying 0.5 is 0.25).")
    return "\n".join(lines) + "\n"


def by_cause(rows: Rows) -> str:
    """What was found of each cause by the engine, over all seeds."""
    total: dict[str, list[int]] = {}
    for row in rows:
        if row["method"] == "engine":
            for cause, counts in row["causes"].items():
                mine = total.setdefault(cause, [0, 0, 0])
                for i in range(3):
                    mine[i] += counts[i]
    lines = ["| cause | truths | found | scope right |", "|---|---|---|---|"]
    lines += [f"| {cause} | {a} | {b} | {c} |" for cause, (a, b, c) in sorted(total.items())]
    return "\n".join(lines) + "\n"
