"""`faultline score`: how good were the incidents, against the truth."""

from pathlib import Path

import msgspec

from monitor.inventory import Inventory, load_inventory
from monitor.lab.scoring.cases import FOREVER, Case, read_incidents, read_truths
from monitor.lab.scoring.matching import Pair, Scopes, match

NS = 1_000_000_000
DOWN_KINDS = ("outage", "planned")  # those in which lines are down
NO_OUTAGE = ("planned", "resolver", "source")


class Score(msgspec.Struct, frozen=True, rename={"false_incidents": "false"}):
    """The figures. None where there is nothing to divide by (no incidents, no truths, size of the run not known)."""

    incident_precision: float | None
    incident_recall: float | None
    scope_accuracy: float | None
    line_precision: float | None
    line_recall: float | None
    line_f1: float | None
    delay_median_s: float | None
    delay_p90_s: float | None
    delay_p95_s: float | None
    false_incidents: int
    false_per_million_line_hours: float | None
    splits: int
    traps: int


def score(
    truth: Path, incidents: Path, inventory: Path | None = None, line_hours: float | None = None
) -> dict[str, float | int | None]:
    """The score as JSON shows it. Raises InputProblems.

    `inventory` tells which elements have the same lines, `line_hours` how much was watched; where they are not given,
    inventory.csv and simulation.json beside the truth are taken, if they are there.
    """
    beside = truth.parent / "inventory.csv"
    inventory = inventory or (beside if beside.exists() else None)
    known = load_inventory(inventory) if inventory else None
    if line_hours is None:
        line_hours = _size(truth.parent / "simulation.json")
    result = score_cases(read_truths(truth), read_incidents(incidents), known, line_hours)
    figures: dict[str, float | int | None] = msgspec.to_builtins(result)
    return figures


def _size(path: Path) -> float | None:
    """Line-hours of a simulation."""
    try:
        size = msgspec.json.decode(path.read_bytes(), type=_Size)
    except (OSError, msgspec.MsgspecError):
        return None
    return size.lines * size.hours


class _Size(msgspec.Struct):
    lines: int
    hours: float


def score_cases(
    truths: list[Case], incidents: list[Case], inventory: Inventory | None = None, line_hours: float | None = None
) -> Score:
    """The score of cases at hand."""
    pairs = match(truths, incidents, Scopes(inventory))
    matched = {pair.incident.name for pair in pairs}
    found = {pair.truth.name for pair in pairs}
    false = splits = traps = 0
    for incident in incidents:
        overlapping = [t for t in truths if t.overlaps(incident) and t.lines & incident.lines]
        if incident.name not in matched:
            false += not overlapping
            splits += any(t.name in found for t in overlapping)
        traps += _is_trap(incident, truths, overlapping, pairs)
    precision, recall = line_figures(truths, incidents)
    delays = sorted(_delay_s(pair) for pair in pairs)
    return Score(
        incident_precision=_ratio(len(pairs), len(incidents)),
        incident_recall=_ratio(len(pairs), len(truths)),
        scope_accuracy=_ratio(sum(pair.scope_right for pair in pairs), len(pairs)),
        line_precision=precision,
        line_recall=recall,
        line_f1=_f1(precision, recall),
        delay_median_s=percentile(delays, 0.5),
        delay_p90_s=percentile(delays, 0.9),
        delay_p95_s=percentile(delays, 0.95),
        false_incidents=false,
        false_per_million_line_hours=None if not line_hours else false / line_hours * 1e6,
        splits=splits,
        traps=traps,
    )


def _is_trap(incident: Case, truths: list[Case], overlapping: list[Case], pairs: list[Pair]) -> bool:
    """An outage opened for maintenance, a dead resolver or a blind prober, and for nothing that was really down."""
    if incident.kind != "outage":
        return False
    mine = next((pair.truth for pair in pairs if pair.incident is incident), None)
    if mine is not None:
        return mine.kind in NO_OUTAGE
    if any(t.kind not in NO_OUTAGE for t in overlapping):
        return False
    # A blind prober or a resolver has no lines that are down: an outage that begins while it lasts is its doing.
    meanwhile = any(t.kind in NO_OUTAGE and not t.lines and t.start_ns <= incident.start_ns <= t.end_ns for t in truths)
    return meanwhile or bool(overlapping)


def _delay_s(pair: Pair) -> float:
    detected = pair.incident.detected_ns if pair.incident.detected_ns is not None else pair.incident.start_ns
    return (detected - pair.truth.start_ns) / NS


def line_figures(truths: list[Case], incidents: list[Case]) -> tuple[float | None, float | None]:
    """Precision and recall of the time that lines were down (line-seconds), over outages and planned work."""
    end = max((c.end_ns for c in (*truths, *incidents) if c.end_ns < FOREVER), default=0)
    # An incident that was not over when the recording ended counts until the last thing that is known.
    end = max([end, *(low for c in incidents for _, low, _ in c.intervals)], default=end)
    was, said = _by_line(truths, end), _by_line(incidents, end)
    common = sum(_common(spans, said[line]) for line, spans in was.items() if line in said)
    return _ratio(common, _total(said)), _ratio(common, _total(was))


def _by_line(cases: list[Case], end: int) -> dict[str, list[tuple[int, int]]]:
    """Times down per line, joined where they overlap."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for case in cases:
        if case.kind in DOWN_KINDS:
            for line, low, high in case.intervals:
                spans.setdefault(line, []).append((low, min(high, end)))
    return {line: _joined(times) for line, times in spans.items()}


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    spans.sort()
    joined: list[tuple[int, int]] = []
    for low, high in spans:
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined


def _total(by_line: dict[str, list[tuple[int, int]]]) -> int:
    return sum(max(0, high - low) for spans in by_line.values() for low, high in spans)


def _common(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> int:
    return sum(max(0, min(h1, h2) - max(l1, l2)) for l1, h1 in one for l2, h2 in other)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def percentile(values: list[float], share: float) -> float | None:
    """Of sorted values, linear between neighbours; None without any."""
    if not values:
        return None
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)
