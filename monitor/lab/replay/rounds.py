"""From rows in file order to rounds in the order of time, ready for the engine.

A row out of order by less than two rounds is put in its place, so the newest two rounds are held back until later
rows are seen. A line that is there twice in a slice goes into a second ProbeRound: a row is one target in one round.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.clock import rfc3339
from monitor.inventory import Inventory
from monitor.lab.replay.source import ObservationSource, Rows
from monitor.records import ProbeRound, Reference, TargetKind
from monitor.records.rounds import I32, I64

NS = 1_000_000_000
LONGEST_GAP_NS = 30 * 86_400 * NS
TABLES = (TargetKind.LINE, TargetKind.ELEMENT, TargetKind.REFERENCE)


@dataclass(slots=True, eq=False)
class Targets:
    """What the ids of a file mean: `table` int8 per id (0 line, 1 element, 2 reference, -1 unknown), `index` int32 in
    that table, and the `references`, by name. A reference named like an element of the inventory stands there."""

    table: npt.NDArray[np.int8]
    index: I32
    references: tuple[Reference, ...]
    unknown: list[str] = field(default_factory=list)


def resolve_targets(source: ObservationSource, inventory: Inventory) -> Targets:
    ids = source.ids
    names = sorted({i.removeprefix("reference:") for i in ids if i.startswith("reference:")})
    table, index = np.full(len(ids), -1, np.int8), np.full(len(ids), -1, np.int32)
    lines = inventory.indices_of(ids)
    for code, text in enumerate(ids):
        if lines[code] >= 0:
            table[code], index[code] = 0, lines[code]
        elif text.startswith("reference:"):
            table[code], index[code] = 2, names.index(text.removeprefix("reference:"))
        elif text.startswith("element:"):
            found = inventory.elements.index_of(text.removeprefix("element:"))
            if found is not None:
                table[code], index[code] = 1, found
    references = tuple(
        Reference(name, "", name if inventory.elements.index_of(name) is not None else "") for name in names
    )
    return Targets(table, index, references, [ids[i] for i in np.flatnonzero(table < 0) if ids[i]])


class RoundReader:
    """Iterates over (end of the slice in ns, its rounds). `unknown_rows`, `doubled_rows`: what could not be used."""

    def __init__(self, source: ObservationSource, targets: Targets, inventory: Inventory, interval_ns: int) -> None:
        self._source, self._targets, self._inventory = source, targets, inventory
        self._interval = interval_ns
        self.unknown_rows = 0
        self.doubled_rows = 0
        self._place = np.zeros(0, np.intp)

    def slices(self, slice_ns: int) -> Iterator[tuple[int, list[ProbeRound]]]:
        """Slices of so many ns, aligned to the epoch; those without rows are left out. Raises InputProblems."""
        for rows in self._ordered(slice_ns):
            number = rows.at_ns // slice_ns
            edges = np.flatnonzero(np.diff(number)) + 1
            for low, high in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True):
                part = rows.take(slice(low, high))
                yield (int(number[low]) + 1) * slice_ns, self._rounds(part)

    def _ordered(self, slice_ns: int) -> Iterator[Rows]:
        """Known rows by time; every slice whole."""
        held: list[Rows] = []
        newest = 0
        for rows in self._source.chunks():
            newest = self._check_order(rows, newest)
            known = self._targets.table[rows.target] >= 0
            self.unknown_rows += int(np.count_nonzero(~known))
            held.append(rows if known.all() else rows.take(known))
            due = (newest - 2 * self._interval) // slice_ns * slice_ns
            whole = Rows.join(held)
            ready = whole.at_ns < due
            if ready.any():
                yield _sorted(whole.take(ready))
            held = [whole.take(~ready)]
        if held and len(held[0]):
            yield _sorted(held[0])

    def _check_order(self, rows: Rows, newest: int) -> int:
        if not len(rows):
            return newest
        running: I64 = np.maximum.accumulate(np.concatenate([[newest or rows.at_ns[0]], rows.at_ns]))
        jump = np.diff(running) > LONGEST_GAP_NS
        if jump.any():
            at = int(np.argmax(jump))
            raise self._source.problem(
                int(rows.row[at]),
                "at",
                f"{rfc3339(int(rows.at_ns[at]))} is more than 30 days after the row before: are all times of one unit?",
            )
        late = rows.at_ns <= running[:-1] - 2 * self._interval
        if late.any():
            at = int(np.argmax(late))
            raise self._source.problem(
                int(rows.row[at]),
                "at",
                f"{rfc3339(int(rows.at_ns[at]))} is two rounds or more before a row above it "
                f"({rfc3339(int(running[at]))}): sort the file by time",
            )
        return int(running[-1])

    def _rounds(self, rows: Rows) -> list[ProbeRound]:
        table = self._targets.table[rows.target]
        index = self._targets.index[rows.target]
        rounds = []
        sources = np.unique(rows.source).tolist() if len(self._source.sources) > 1 else [0]
        for source in sources:
            mine = rows.source == source
            for code, kind in enumerate(TABLES):
                chosen = np.flatnonzero(mine & (table == code))
                while len(chosen):
                    # The first row of each target, then the second ones, and so on.
                    first = self._first_rows(index[chosen])
                    rest = np.delete(chosen, first) if len(first) < len(chosen) else chosen[:0]
                    rest = self._without_repeats(rows, index, chosen[first], rest)
                    rounds.append(self._round(rows, index, chosen[first], self._source.sources[source], kind))
                    chosen = rest
        return rounds

    def _first_rows(self, index: I32) -> npt.NDArray[np.intp]:
        """Where each target stands for the first time, ascending; without sorting, which would cost most of it all."""
        if len(self._place) <= int(index.max()):
            self._place = np.zeros(int(index.max()) + 1, np.intp)
        number = np.arange(len(index))
        self._place[index[::-1]] = number[::-1]  # of equal targets the one written last stays: the first row
        return np.flatnonzero(self._place[index] == number)

    def _without_repeats(
        self, rows: Rows, index: I32, first: npt.NDArray[np.intp], rest: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.intp]:
        """Rows of the same target at the very same time are one row written twice."""
        if not len(rest):
            return rest
        seen = dict(zip(index[first].tolist(), rows.at_ns[first].tolist(), strict=True))
        same = np.array([seen[i] == at for i, at in zip(index[rest].tolist(), rows.at_ns[rest].tolist(), strict=True)])
        self.doubled_rows += int(np.count_nonzero(same))
        kept: npt.NDArray[np.intp] = rest[~same]
        return kept

    def _round(self, rows: Rows, index: I32, chosen: npt.NDArray[np.intp], source: str, kind: TargetKind) -> ProbeRound:
        at = rows.at_ns[chosen]
        rtt = {name: column[chosen] for name, column in rows.rtts.items()}
        return ProbeRound(
            source=source,
            generation=self._inventory.generation,
            target=index[chosen],
            at_ns=at,
            sent=rows.sent[chosen],
            received=rows.received[chosen],
            rtt_ms=rtt["rtt_ms"],
            kind=kind,
            round_id=int(at[0]) // self._interval,
            rtt_min_ms=rtt.get("rtt_min_ms"),
            rtt_max_ms=rtt.get("rtt_max_ms"),
            jitter_ms=rtt.get("jitter_ms"),
        )


def _sorted(rows: Rows) -> Rows:
    if (np.diff(rows.at_ns) >= 0).all():
        return rows
    return rows.take(np.argsort(rows.at_ns, kind="stable"))
