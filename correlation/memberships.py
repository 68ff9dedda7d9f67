"""Who is in which group, as routers and sessions tell it while we run: firmware, model, BNG, cell.

In: `group_assigned` events (value KIND:NAME). Out: the groups of the engine's inventory. A line that is down stays with
those that it fell with until it is up again: what it comes back with has not taken it down. Who left a group is known
for an hour, so that an upgrade's lines count as back. Names that nobody could have in common with others make room when
there are too many.
"""

from collections import deque

import numpy as np

from correlation.lines import LineTable
from monitor.inventory import Inventory
from monitor.inventory.groups import BOTH, CHANGING, FEW, GroupsFull
from monitor.records import LineState
from monitor.records.rounds import I32

MAX_NAME = 160
KEPT_NS = 3600 * 1_000_000_000
MAX_LEFT = 200_000
Waiting = dict[int, dict[str, str]]


class Memberships:
    """`waiting`: line -> kind -> name, of lines that are down. `gone`: (when, line, KIND:NAME) it was in until then.
    `inventory` is the engine's own."""

    def __init__(self, inventory: Inventory, table: LineTable) -> None:
        self.inventory = inventory
        self.table = table
        self.waiting: Waiting = {}
        self.gone: deque[tuple[int, int, str]] = deque(maxlen=MAX_LEFT)

    def hear(self, line: int, told: str, now_ns: int) -> str:
        """Returns why it cannot be used, as a named reason, or ""."""
        kind, colon, name = told.partition(":")
        if not colon or kind not in CHANGING:
            return "unknown_group_kind"
        if len(name) > MAX_NAME or not (name.isprintable() or not name):
            return "unusable_group_name"
        if self.table.known[line] == LineState.DOWN:
            self.waiting.setdefault(line, {})[kind] = name
            return ""
        return self._join(line, kind, name, now_ns)

    def left(self, name: str) -> I32:
        """Lines that were in this group (the name of a scope) within the last hour and are in another now."""
        return np.array([line for _, line, group in self.gone if group in name.split(BOTH)], np.int32)

    def settle(self, now_ns: int) -> int:
        """Lines that are up again join what they have told; how many of that was refused."""
        refused = 0
        while self.gone and self.gone[0][0] < now_ns - KEPT_NS:
            self.gone.popleft()
        for line in [x for x in self.waiting if self.table.known[x] != LineState.DOWN]:
            for kind, name in self.waiting.pop(line).items():
                refused += bool(self._join(line, kind, name, now_ns))
        return refused

    def _join(self, line: int, kind: str, name: str, now_ns: int) -> str:
        before = self.inventory.groups.named(line, kind)
        try:
            joined = self.inventory.groups.assign(line, kind, name)
        except GroupsFull:
            groups = self.inventory.groups
            fewer = groups.as_filed()
            groups.carried(fewer, np.arange(len(self.inventory), dtype=np.int32), FEW)
            self.inventory.groups = fewer
            try:
                joined = fewer.assign(line, kind, name)
            except GroupsFull:
                return "too_many_groups"
        if joined and before:
            self.gone.append((now_ns, line, f"{kind}:{before}"))
        return ""
