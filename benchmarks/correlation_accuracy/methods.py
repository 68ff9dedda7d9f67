"""The engine and two naive methods over one simulated folder: their incidents, and the figures of the score."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.correlation_accuracy.naive import clusters, threshold
from monitor.inventory import Inventory, load_inventory
from monitor.lab.replay import replay
from monitor.lab.scoring import Case, read_incidents, read_truths, score_cases
from monitor.lab.scoring.matching import Pair, Scopes, match

Figures = dict[str, Any]


def engine(folder: Path, inventory: Inventory) -> list[Case]:
    out = folder / "incidents.jsonl"
    replay(inventory, folder / "observations.parquet", folder / "events.csv", out, folder / "flags.jsonl")
    return read_incidents(out)


METHODS: dict[str, Callable[[Path, Inventory], list[Case]]] = {
    "engine": engine,
    "threshold": lambda folder, inventory: threshold(folder / "observations.parquet", inventory),
    "clusters": lambda folder, inventory: clusters(folder / "observations.parquet", inventory),
}


def measure(folder: Path, method: str, line_hours: float) -> Figures:
    """The score's keys, incident F1, `cpu_s`, `wall_s`, `rss_mb`; `trust`: (confidence, matched, scope right) of each
    incident; `causes`: cause -> [truths, found, scope right]."""
    inventory = load_inventory(folder / "inventory.csv")
    truths = read_truths(folder / "truth.jsonl")
    cpu, wall = time.process_time(), time.monotonic()
    cases = METHODS[method](folder, inventory)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    figures: Figures = msgspec.to_builtins(score_cases(truths, cases, inventory, line_hours))
    p, r = figures["incident_precision"] or 0.0, figures["incident_recall"] or 0.0
    figures["incident_f1"] = 2 * p * r / (p + r) if p + r else 0.0
    figures |= {"cpu_s": cpu, "wall_s": wall}
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pairs = match(truths, cases, Scopes(inventory))
    figures["trust"] = trust(cases, pairs)
    figures["causes"] = causes(truths, pairs)
    return figures


def trust(cases: list[Case], pairs: list[Pair]) -> list[tuple[float, bool, bool]]:
    right = {pair.incident.name: pair.scope_right for pair in pairs}
    return [
        (case.confidence, case.name in right, right.get(case.name, False))
        for case in cases
        if case.confidence is not None
    ]


def causes(truths: list[Case], pairs: list[Pair]) -> dict[str, tuple[int, int, int]]:
    counts: dict[str, tuple[int, int, int]] = {}
    for truth in truths:
        pair = next((p for p in pairs if p.truth is truth), None)
        a, b, c = counts.get(truth.cause, (0, 0, 0))
        counts[truth.cause] = (a + 1, b + (pair is not None), c + (pair is not None and pair.scope_right))
    return counts
