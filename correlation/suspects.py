"""Lines whose record is in doubt when an element fails as a whole: filed under it but answering, or filed beside it and
falling in the same moment. They break no explanation; they are listed, so that somebody corrects the record."""

import numpy as np

from correlation.evidence import NS, Cause
from correlation.lines import LineTable
from monitor.inventory import Inventory
from monitor.records import LineState
from monitor.records.rounds import I32

WHOLE = 0.8  # share of an element's lines that must have fallen before the others are in doubt
MOMENT_NS = 30 * NS
LEVELS = 2  # how far up the neighbourhood reaches in which lines are filed wrongly
MOST = 50


def misfiled(cause: Cause, inventory: Inventory, table: LineTable) -> tuple[str, ...]:
    """line_ids, at most MOST, in the order of the inventory; none for a cause that is no element's whole failure."""
    if cause.element < 0 or cause.share < WHOLE:
        return ()
    elements, element = inventory.elements, cause.element
    low, high = int(elements.lo[element]), int(elements.hi[element])
    inside = np.arange(low, high, dtype=np.int32)
    answers = inside[table.is_up(inside) & (table.replied_ns[inside] >= cause.struck_ns + MOMENT_NS)]
    around = element
    for _ in range(LEVELS):
        if elements.parent[around] >= 0 and elements.depth[around] > 1:
            around = int(elements.parent[around])
    near: I32 = np.arange(elements.lo[around], elements.hi[around], dtype=np.int32)
    near = near[(near < low) | (near >= high)]
    fell = (table.state[near] == LineState.DOWN) & (np.abs(table.down_ns[near] - cause.struck_ns) <= MOMENT_NS)
    beside = np.union1d(near[fell & (table.slot[near] < 0)], cause.strays)
    found = np.sort(np.concatenate([answers, beside])).astype(np.int32)[:MOST]
    return tuple(inventory.line_ids.many(found)) if found.size else ()
