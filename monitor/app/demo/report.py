"""Holds what was injected against what was found, and prints the table.

A fault is found when an incident (or a flag, or a line state) that began with it concerns its lines; its scope is
right when kind and name are equal. Whatever matches no fault is blame without reason, and is listed.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.lab.scoring.matching import same_area

SLACK_S = 5.0  # an incident's backdated start may lie a little before the injection
LISTED = 1000  # the API lists at most so many lines of an incident
NOT_INJECTED = "not injected"
AFTER_S = 90.0  # an effect may begin so long after a fault healed (a line recovers, a router boots)


class Injected(msgspec.Struct):
    """One fault as truth. `kind`: outage, resolver, source, or a line's: slow, unstable, down.

    `scope_kind` is "line" for the last three, where `scope_name` is the line_id. Times are UTC seconds.
    """

    name: str
    kind: str
    scope_kind: str
    scope_name: str
    lines: frozenset[str]
    from_s: float  # infinite: it was never injected
    until_s: float = math.inf


class Found(msgspec.Struct):
    """One thing Faultline said: an incident, a flag or a line that is down by itself. `at_s`: when it was said."""

    ref: str
    kind: str
    scope_kind: str
    scope_name: str
    lines: frozenset[str]
    at_s: float
    started_s: float
    text: str = ""


class Row(msgspec.Struct):
    fault: str
    kind: str
    scope: str
    found: bool = False
    scope_right: bool = False
    seconds: float | None = None
    by: str = ""  # what found it


class Report(msgspec.Struct):
    rows: list[Row]
    blamed: list[Found]  # matches no fault
    shown: list[str] = []  # what is shown beside, and is no fault to be found

    @property
    def ok(self) -> bool:
        return not self.blamed and all(row.found and row.scope_right for row in self.rows)

    def as_json(self) -> list[dict[str, Any]]:
        """A JSON list: an object per fault, then one per incident that matches none (its `fault` is null)."""
        rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in self.rows]
        for one in self.blamed:
            where = f"{one.scope_kind} {one.scope_name}"
            rows.append({"fault": None, "kind": one.kind, "scope": where, "by": one.ref, "text": one.text})
        return rows

    def as_text(self) -> str:
        head = ("fault", "found", "scope named right", "seconds to detect")
        cells = [
            (
                f"{row.fault} ({row.scope})",
                "yes" if row.found else row.by or "NO",
                "yes" if row.scope_right else "-" if row.by == NOT_INJECTED else "NO",
                f"{row.seconds:.1f}" if row.seconds is not None else "-",
            )
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in [head, *cells]) for i in range(4)]
        lines = [head, tuple("-" * width for width in widths), *cells]
        text = "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
        if not self.blamed:
            beside = "".join(f"\n{line}" for line in self.shown)
            return f"{text}\nNothing else was blamed: no other incident, no other flag.{beside}"
        wrong = "\n".join(f"  {one.kind} {one.scope_kind} {one.scope_name}: {one.text}" for one in self.blamed)
        return f"{text}\nBlamed without a fault:\n{wrong}"


def compare(faults: Sequence[Injected], found: Sequence[Found], beside: Sequence[Injected] = ()) -> Report:
    """Each fault takes the best of what was found; what concerns no fault at all is blamed. `beside`: true as well, but
    not required to be found."""
    rows, used = [], set()
    for fault in faults:
        matching = [one for one in found if _concerns(one, fault)]
        row = Row(fault.name, fault.kind, f"{fault.scope_kind} {fault.scope_name}")
        if fault.from_s == math.inf:
            row.by = NOT_INJECTED
        elif matching:
            best = max(matching, key=lambda one: (_same_scope(one, fault), _jaccard(one, fault), -one.at_s))
            row.found, row.scope_right, row.by = True, _same_scope(best, fault), best.ref
            row.seconds = round(max(0.0, best.at_s - fault.from_s), 1)
            used.add(best.ref)
        rows.append(row)
    return Report(rows, [one for one in found if one.ref not in used and not _explained(one, [*faults, *beside])])


def _concerns(one: Found, fault: Injected) -> bool:
    """Same kind, in its time, and about the same lines (for lines: the very line)."""
    if one.kind != fault.kind or not fault.from_s - SLACK_S <= one.at_s <= fault.until_s + AFTER_S:
        return False
    if fault.scope_kind == "line":
        return one.scope_name == fault.scope_name
    if fault.lines and one.lines:
        return _jaccard(one, fault) >= 0.5
    return _same_scope(one, fault)


def _explained(one: Found, faults: Sequence[Injected]) -> bool:
    """A line that is slow, unstable or down while one of the injected faults is about it is not blamed for nothing."""
    return one.scope_kind == "line" and any(
        one.scope_name in fault.lines and fault.from_s - SLACK_S <= one.at_s <= fault.until_s + AFTER_S
        for fault in faults
    )


def _jaccard(one: Found, fault: Injected) -> float:
    common = len(one.lines & fault.lines)
    if len(one.lines) >= LISTED:
        return common / len(one.lines)
    union = len(one.lines | fault.lines)
    return common / union if union else 1.0


def _same_scope(one: Found, fault: Injected) -> bool:
    if one.scope_kind != fault.scope_kind:
        return False
    if one.scope_kind != "area":
        return one.scope_name == fault.scope_name
    return same_area(one.scope_name, fault.scope_name)
