"""How long it usually takes: percentiles of how long the network's own incidents lasted.

Kept per kind, level and cause, the newest of each; with too few of these, those of the level, then of the kind stand
in. The estimate is conditional: of an incident that has lasted two hours, only the earlier ones that lasted longer than
two hours tell what is still to come. Durations and elapsed times in seconds.
"""

from dataclasses import dataclass

import numpy as np

from monitor.records import Coded, Etr, IncidentKind

NS = 1_000_000_000
MOST = 0.8  # four in five of the earlier ones were over by then
FEWEST_LEFT = 3  # fewer that lasted as long as this one tell nothing
UPDATE_LEAST_S, UPDATE_MOST_S = 300.0, 3600.0
ESTIMATED = (IncidentKind.OUTAGE, IncidentKind.DEGRADED, IncidentKind.RESOLVER)
CODES = frozenset({"lasted_cause", "lasted_level", "lasted_kind", "lasted_longer", "lasted_unknown"})


@dataclass(frozen=True, slots=True)
class Usual:
    """`based_on` earlier incidents, alike in `alike` ("cause", "level", "kind"); durations in all, not what is left."""

    based_on: int
    alike: str
    half_s: float
    most_s: float


class RepairTimes:
    """`history`: durations by "kind|level|cause", in the order they ended."""

    def __init__(self, keep: int, at_least: int) -> None:
        self.keep = keep
        self.at_least = at_least
        self.history: dict[str, list[float]] = {}

    def load(self, history: dict[str, list[float]]) -> None:
        """Names without a kind are outages of a level, as they were once kept."""
        self.history = {k if "|" in k else f"{IncidentKind.OUTAGE}|{k}|": v for k, v in history.items()}

    def add(self, kind: str, level: str, cause: str, lasted_s: float) -> None:
        lasted = self.history.setdefault(f"{kind}|{level}|{cause}", [])
        lasted.append(max(lasted_s, 0.0))
        del lasted[: -self.keep]

    def take_back(self, kind: str, level: str, cause: str, lasted_s: float) -> None:
        """It was not over: the same incident goes on."""
        lasted = self.history.get(f"{kind}|{level}|{cause}", [])
        if lasted_s in lasted:
            del lasted[len(lasted) - 1 - lasted[::-1].index(lasted_s)]

    def alike(self, kind: str, level: str, cause: str) -> tuple[str, list[float]]:
        """The closest kin of which there are enough; else all of the kind, however few."""
        found: list[float] = []
        for name, key in (("cause", f"{kind}|{level}|{cause}"), ("level", f"{kind}|{level}|"), ("kind", f"{kind}|")):
            found = [
                x for k, v in self.history.items() if k == key or (name != "cause" and k.startswith(key)) for x in v
            ]
            if len(found) >= self.at_least:
                return name, found
        return "kind", found

    def usual(self, kind: str, level: str, cause: str, elapsed_s: float) -> tuple[Usual | None, Coded]:
        """The estimate, if there is one, and the sentence that says what it rests on or why there is none."""
        alike, lasted = self.alike(kind, level, cause)
        if not lasted or len(lasted) < self.at_least:
            return None, Coded("lasted_unknown", {"earlier": len(lasted), "needed": max(self.at_least, 1)})
        left = [x for x in lasted if x > elapsed_s]
        if len(left) < min(FEWEST_LEFT, self.at_least):
            return None, Coded("lasted_longer", {"earlier": len(lasted), "beyond": len(left)})
        half, most = (float(x) for x in np.quantile(left, (0.5, MOST)))
        said = Coded(f"lasted_{alike}", {"earlier": len(left), "half_s": round(half), "most_s": round(most)})
        return Usual(len(left), alike, half, most), said


def as_etr(usual: Usual, started_ns: int, now_ns: int) -> Etr:
    """With the time when it is worth looking again: half of the way, between five minutes and an hour."""
    at_ns = max(started_ns + int(usual.most_s * NS), now_ns)
    left_s = (at_ns - now_ns) / NS
    wait_s = min(max(left_s / 2, UPDATE_LEAST_S), UPDATE_MOST_S, max(left_s, 1.0))
    return Etr(at_ns, "history", now_ns + int(wait_s * NS), usual.based_on)
