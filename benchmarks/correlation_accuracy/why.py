"""Why a run scored as it did: each truth missed, split, named wrongly or found late, each incident that is none.

Times are minutes from the start of the recording. Beside each stands what else went on within a quarter of an hour:
other truths, other incidents, and what the simulator placed there (a firmware campaign, a ping filter, ...).
"""

from pathlib import Path

import msgspec

from monitor.clock import parse_time
from monitor.inventory import Inventory
from monitor.lab.scoring import Case
from monitor.lab.scoring.cases import FOREVER
from monitor.lab.scoring.matching import Pair, Scopes, match
from monitor.lab.simulation.run import START_NS

NEAR_NS = 15 * 60_000_000_000
LATE_S = 300


def report(folder: Path, truths: list[Case], cases: list[Case], inventory: Inventory) -> str:
    """All that went wrong, as text for people."""
    happenings = _happenings(folder / "simulation.json")
    pairs = match(truths, cases, Scopes(inventory))
    by_truth = {p.truth.name: p for p in pairs}
    matched = {p.incident.name for p in pairs}
    text = [f"{len(truths)} truths, {len(cases)} incidents, {len(pairs)} matched"]
    right = 0
    for truth in truths:
        pair = by_truth.get(truth.name)
        others = [c for c in cases if c.name not in matched and _common(c, truth)]
        faults = _faults(pair, others)
        right += not faults
        if not faults:
            continue
        text += ["", f"{', '.join(faults)}: {_say(truth)} [{truth.cause}]"]
        if pair is not None:
            text.append(f"   is   {_say(pair.incident)} jaccard {pair.jaccard:.2f} {_delay(pair)}")
        text += [f"   part {_say(c)} {_share(c, truth)}" for c in others]
        if pair is None and not others:
            text += [f"   taken {_say(c)} {_share(c, truth)}" for c in cases if _common(c, truth)]
        text += _near(truth, truths, cases, happenings)
    for case in cases:
        if case.name not in matched and not any(_common(case, t) for t in truths):
            text += ["", f"FALSE: {_say(case)} [{case.cause}] confidence {case.confidence}"]
            text += _near(case, truths, cases, happenings)
    text += ["", f"{right} of {len(truths)} truths without a word"]
    return "\n".join(text) + "\n"


def _faults(pair: Pair | None, others: list[Case]) -> list[str]:
    if pair is None:
        return ["MISSED (only in parts)" if others else "MISSED"]
    found = []
    if not pair.scope_right:
        found.append("SCOPE")
    if pair.truth.kind != pair.incident.kind:
        found.append("KIND")
    if others:
        found.append("SPLIT")
    if ((pair.incident.detected_ns or 0) - pair.truth.start_ns) / 1e9 > LATE_S:
        found.append("LATE")
    return found


def _common(case: Case, truth: Case) -> bool:
    return case.overlaps(truth) and bool(case.lines & truth.lines)


def _share(case: Case, truth: Case) -> str:
    common = len(case.lines & truth.lines)
    union = len(case.lines | truth.lines)
    return f"common {common} of {len(truth.lines)}, jaccard {common / union:.2f}"


def _say(case: Case) -> str:
    end = "..." if case.end_ns >= FOREVER else f"{_minute(case.end_ns):.1f}"
    times = f"{_minute(case.start_ns):.1f}-{end} min"
    return f"{case.name} {case.kind} {case.scope[0]}:{case.scope[1]} {times}, {len(case.lines)} lines"


def _minute(at_ns: int) -> float:
    return (at_ns - START_NS) / 60e9


def _delay(pair: Pair) -> str:
    seconds = ((pair.incident.detected_ns or 0) - pair.truth.start_ns) / 1e9
    return f"after {seconds:.0f} s, confidence {pair.incident.confidence}"


def _near(case: Case, truths: list[Case], cases: list[Case], happenings: list[tuple[str, int, int]]) -> list[str]:
    low, high = case.start_ns - NEAR_NS, min(case.end_ns, case.start_ns + 4 * NEAR_NS) + NEAR_NS
    lines = []
    for what, start, end in happenings:
        if start <= high and end >= low and end - start < 8 * 3600 * 10**9:
            lines.append(f"   near {what} {_minute(start):.1f}-{_minute(end):.1f} min")
    area = case.scope[1].split("/")[:2]
    for kind, all_cases in (("truth", truths), ("incident", cases)):
        for other in all_cases:
            same_place = other.scope[0] != "element" or other.scope[1].split("/")[:2] == area
            if other is not case and other.start_ns <= high and other.end_ns >= low and same_place:
                lines.append(f"   near {kind} {_say(other)}")
    return lines


def _happenings(path: Path) -> list[tuple[str, int, int]]:
    placed = msgspec.json.decode(path.read_bytes()).get("happenings", [])
    return [(f"{scenario}/{what}", parse_time(start), parse_time(end)) for scenario, what, start, end in placed]
