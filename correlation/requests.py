"""Probes the engine asks for: a line that misses is confirmed within seconds, with a few neighbours at every level.

Lines are ordered by path, so the rows just outside an element's slice hang on its siblings: they tell a child's failure
from its parent's. Numbers are capped; the collector has budgets of its own, and what it leaves out is no evidence.
"""

import numpy as np

from correlation.lines import LineTable
from correlation.sets import distinct
from correlation.settings import ConfirmSettings
from monitor.inventory import Inventory
from monitor.records import ProbeRequest, RequestReason, TargetKind
from monitor.records.rounds import I32

NS = 1_000_000_000


class Requester:
    """`next_id` counts requests; it is saved, so that a restart does not use a number twice."""

    def __init__(self, inventory: Inventory, settings: ConfirmSettings, references: int) -> None:
        self.inventory = inventory
        self.settings = settings
        self.references = references
        self.next_id = 1
        self.waiting: list[ProbeRequest] = []

    def ask(
        self,
        target: I32,
        now_ns: int,
        reason: RequestReason,
        kind: TargetKind = TargetKind.LINE,
        count: int | None = None,
        deadline_s: float | None = None,
    ) -> None:
        if not target.size:
            return
        wait_s = self.settings.deadline_s if deadline_s is None else deadline_s
        self.waiting.append(
            ProbeRequest(
                request_id=self.next_id,
                target=target.astype(np.int32),
                count=count or self.settings.count,
                deadline_ns=now_ns + int(wait_s * NS),
                reason=reason,
                kind=kind,
                generation=self.inventory.generation,
            )
        )
        self.next_id += 1

    def take(self) -> tuple[ProbeRequest, ...]:
        asked = tuple(self.waiting)
        self.waiting.clear()
        return asked

    def confirm(self, missed: I32, table: LineTable, now_ns: int) -> None:
        """`missed`: lines that were up and missed for the first time in their streak, ascending."""
        wanted = missed[~table.asked[missed]]
        if not wanted.size:
            return
        wanted = self._capped(wanted)
        neighbours = self._neighbours(wanted, table)
        table.asked[wanted] = True
        target = distinct(np.concatenate([wanted, neighbours]))[: self.settings.max_lines]
        self.ask(target, now_ns, RequestReason.CONFIRM)
        if wanted.size >= 3:
            self.ask(np.arange(self.references, dtype=np.int32), now_ns, RequestReason.CONFIRM, TargetKind.REFERENCE)
            self.ask(self._nodes(wanted), now_ns, RequestReason.CONFIRM, TargetKind.ELEMENT)

    def _capped(self, lines: I32) -> I32:
        """At most `per_leaf` of each port, evenly thinned to `max_lines`."""
        if lines.size <= self.settings.per_leaf:
            return lines
        leaf = self.inventory.leaf[lines]
        start = np.flatnonzero(np.concatenate([[True], leaf[1:] != leaf[:-1]]))
        rank = np.arange(lines.size) - np.repeat(start, np.diff(np.append(start, lines.size)))
        lines = lines[rank < self.settings.per_leaf]
        if lines.size > self.settings.max_lines // 2:
            step = -(-2 * lines.size // self.settings.max_lines)
            lines = lines[::step]
        return lines

    def _neighbours(self, lines: I32, table: LineTable) -> I32:
        """Rows beside each element above these lines, and the missing lines' own neighbours, as far as they are up."""
        elements = self.inventory.elements
        level = distinct(self.inventory.leaf[lines])
        edges = [lines - 1, lines + 1]
        while level.size:
            edges += [elements.lo[level] - 1, elements.hi[level]]
            above = elements.parent[level]
            level = distinct(above[above >= 0])
        rows = distinct(np.concatenate(edges))
        rows = rows[(rows >= 0) & (rows < len(table))]
        return rows[table.is_up(rows)].astype(np.int32)

    def _nodes(self, lines: I32) -> I32:
        """Elements above the lines that have a management address."""
        elements = self.inventory.elements
        level = distinct(self.inventory.leaf[lines])
        found: list[int] = []
        while level.size:
            found += [e for e in level.tolist() if elements.address[e]]
            above = elements.parent[level]
            level = distinct(above[above >= 0])
        return np.array(sorted(set(found))[:256], np.int32)
