"""How good are the incidents? Simulates, replays, scores; the engine beside two naive methods on the same data.

    .venv/bin/python benchmarks/correlation_accuracy/run.py [--seeds 1001-1010] [--lines 10000] [--hours 12]
        [--scenario all] [--plan standard] [--methods engine,threshold,clusters] [--markdown FILE] [--json FILE]

Seeds from 1001 on are for measuring; nothing may be tuned on them.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from naive import clusters, threshold

from monitor.inventory import Inventory, load_inventory
from monitor.lab.replay import replay
from monitor.lab.scoring import Case, read_incidents, read_truths, score_cases
from monitor.lab.simulation import simulate

FIGURES = (
    ("incident_precision", "incident precision"),
    ("incident_recall", "incident recall"),
    ("incident_f1", "incident F1"),
    ("scope_accuracy", "scope exact"),
    ("line_f1", "line F1"),
    ("delay_median_s", "delay median, s"),
    ("delay_p90_s", "delay 90 %, s"),
    ("false_per_million_line_hours", "false per million line-hours"),
    ("splits", "splits a run"),
    ("traps", "traps a run"),
)
Figures = dict[str, float | None]


def engine(folder: Path, inventory: Inventory) -> list[Case]:
    out = folder / "incidents.jsonl"
    replay(inventory, folder / "observations.parquet", folder / "events.csv", out)
    return read_incidents(out)


METHODS: dict[str, Callable[[Path, Inventory], list[Case]]] = {
    "engine": engine,
    "threshold": lambda folder, inventory: threshold(folder / "observations.parquet", inventory),
    "clusters": lambda folder, inventory: clusters(folder / "observations.parquet", inventory),
}


def measure(folder: Path, methods: list[str], line_hours: float) -> dict[str, Figures]:
    inventory = load_inventory(folder / "inventory.csv")
    truths = read_truths(folder / "truth.jsonl")
    found: dict[str, Figures] = {}
    for name in methods:
        begin = time.process_time()
        cases = METHODS[name](folder, inventory)
        figures: Figures = msgspec.to_builtins(score_cases(truths, cases, inventory, line_hours))
        p, r = figures["incident_precision"] or 0.0, figures["incident_recall"] or 0.0
        figures["incident_f1"] = 2 * p * r / (p + r) if p + r else 0.0
        figures["cpu_s"] = time.process_time() - begin
        found[name] = figures
    return found


def mean(runs: list[Figures], figure: str) -> float | None:
    values = [v for run in runs if (v := run[figure]) is not None]
    return sum(values) / len(values) if values else None


def table(runs: dict[str, list[Figures]]) -> str:
    lines = ["| | " + " | ".join(runs) + " |", "|---|" + "---|" * len(runs)]
    for figure, words in (*FIGURES, ("cpu_s", "processor time a run, s")):
        cells = []
        for mine in runs.values():
            value = mean(mine, figure)
            cells.append("-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.0f}")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1001-1010", help="FIRST-LAST or one")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--scenario", default="all")
    parser.add_argument("--plan", default="standard")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    methods = options.methods.split(",")
    runs: dict[str, list[Figures]] = {name: [] for name in methods}
    rows: list[dict[str, Any]] = []
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            simulate(options.scenario, options.lines, options.hours, seed, folder, plan=options.plan)
            for method, figures in measure(folder, methods, options.lines * options.hours).items():
                runs[method].append(figures)
                rows.append({"seed": seed, "method": method, **figures})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    text = table(runs)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
