"""Customers who call about lines that fell: one more sign that the falls belong together.

Weak alone, stronger in numbers, bounded, and only ever beside falls that were measured. Calls after an incident was
published count less: by then people call because they heard of it.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from correlation.settings import CauseSettings
from monitor.inventory import Inventory
from monitor.records.rounds import I32


def call_bonus(
    inventory: Inventory,
    fell: I32,
    calls: Iterable[tuple[int, int]],
    since_ns: int,
    published_ns: Mapping[int, int],
    settings: CauseSettings,
) -> dict[int, float]:
    """Extra nats by element from `calls` (at_ns, line) since `since_ns` about the lines that fell (ascending).

    `published_ns`: by line, when the incident that holds it was opened. Each caller counts once, by the first call."""
    first: dict[int, int] = {}
    for at, line in calls:
        if at >= since_ns:
            first[line] = min(at, first.get(line, at))
    found: dict[int, float] = {}
    if not first or not fell.size:
        return found
    callers = np.array(sorted(first), np.int32)
    parent = inventory.elements.parent
    for line in callers[np.isin(callers, fell, assume_unique=True)].tolist():
        late = line in published_ns and first[line] >= published_ns[line]
        nats = settings.call * (settings.call_published if late else 1.0)
        element = int(inventory.leaf[line])
        while element >= 0:
            found[element] = found.get(element, 0.0) + nats
            element = int(parent[element])
    return {e: min(nats, settings.calls_max) for e, nats in found.items()}
