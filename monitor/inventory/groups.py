"""Groups that cross the tree: those of the inventory's file, and beside them what is learned while we run.

A router says its model and firmware, a session on which BNG or cell it hangs: `assign` moves one line from whatever
groups of that kind it is in to another, also one that the file does not know. The file's memberships are arrays that
nobody changes; what is learned is one int32 column a kind, made when it is first needed. One thread assigns, others may
read. Group numbers hold for one inventory, and until `carried` leaves out learned groups that hardly anybody is in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.records.rounds import I32

I64 = npt.NDArray[np.int64]
CHANGING = ("cpe", "firmware", "bng", "cell", "cgnat", "dhcp")  # kinds that are learned
MAX_LEARNED = 8192  # names beside the file's: beyond it somebody counts in a version
FEW = 3  # lines; a learned group with fewer can be no shared cause, and gives way when there are too many
BOTH = " & "  # between two groups in the name of a scope: the lines that are in both
FILED, NONE = -1, -2  # in a learned column: as the file says; in no group of this kind


class GroupsFull(Exception):
    """There is no room for another name."""


@dataclass(slots=True, eq=False)
class Groups:
    """The first `filed` groups are the file's, ordered by kind and name; learned ones follow. A line may be in many.

    `kinds`, `names` per group. Of the file alone: lines of group k are `lines[lines_ptr[k]:lines_ptr[k + 1]]`
    (ascending int32), groups of line i `groups[groups_ptr[i]:groups_ptr[i + 1]]`; `lines_of`, `groups_of`, `of_lines`
    and `size` say how things stand now.
    """

    kinds: list[str]
    names: list[str]
    lines: I32
    lines_ptr: I64
    groups: I32
    groups_ptr: I64
    filed: int = field(init=False)
    _index: dict[str, int] = field(init=False)
    _size: I64 = field(init=False)
    _changing: npt.NDArray[np.int8] = field(init=False)  # of the file's: place of the kind in CHANGING, or -1
    _learned: dict[str, I32] = field(init=False, default_factory=dict)
    _version: list[int] = field(init=False)
    _members: dict[int, tuple[int, I32]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.filed = len(self.kinds)
        self._index = {f"{k}:{n}": i for i, (k, n) in enumerate(zip(self.kinds, self.names, strict=True))}
        self._size = np.diff(self.lines_ptr).astype(np.int64)
        place = {kind: i for i, kind in enumerate(CHANGING)}
        self._changing = np.array([place.get(kind, -1) for kind in self.kinds], np.int8)
        self._version = [0] * self.filed

    def __len__(self) -> int:
        return len(self.kinds)

    def index_of(self, name: str) -> int | None:
        """`name` as in a scope: KIND:NAME."""
        return self._index.get(name)

    def scope_name(self, group: int) -> str:
        return f"{self.kinds[group]}:{self.names[group]}"

    def lines_of(self, group: int) -> I32:
        """Ascending int32. Remembered until somebody joins or leaves."""
        column = self._learned.get(self.kinds[group])
        if column is None:
            return self._filed_lines(group)
        version = self._version[group]  # before looking: who joins meanwhile makes what is found here out of date
        known = self._members.get(group)
        if known is not None and known[0] == version:
            return known[1]
        filed = self._filed_lines(group)
        joined = np.flatnonzero(column == group).astype(np.int32)
        members = np.sort(np.concatenate([filed[column[filed] == FILED], joined]))  # nobody is in both
        self._members[group] = version, members
        return members

    def parts(self, name: str) -> list[int] | None:
        """The groups that a scope names: KIND:NAME, or several with BOTH between them. None when one is not known."""
        one = self.index_of(name)
        if one is not None:
            return [one]
        found = [self.index_of(part) for part in name.split(BOTH)]
        known = [group for group in found if group is not None]
        return known if len(known) == len(found) else None

    def lines_under(self, name: str) -> I32 | None:
        """The lines of a scope's group, or of all groups that it names; ascending int32. None when it is not known."""
        parts = self.parts(name)
        if parts is None:
            return None
        lines = self.lines_of(parts[0])
        for group in parts[1:]:
            lines = np.intersect1d(lines, self.lines_of(group), assume_unique=True).astype(np.int32)
        return lines

    def groups_of(self, line: int) -> I32:
        filed = self.groups[self.groups_ptr[line] : self.groups_ptr[line + 1]]
        told = {kind: int(column[line]) for kind, column in self._learned.items() if column[line] != FILED}
        if not told:
            return filed
        kept = [g for g in filed.tolist() if self.kinds[g] not in told]
        return np.array(kept + [g for g in told.values() if g >= 0], np.int32)

    def names_of(self, line: int) -> tuple[str, ...]:
        """KIND:NAME of the line's groups, by kind and name."""
        found = sorted((self.kinds[g], self.names[g]) for g in self.groups_of(line).tolist())
        return tuple(f"{kind}:{name}" for kind, name in found)

    def named(self, line: int, kind: str) -> str:
        """The name of the line's group of this kind (the first, if there are more), or ""."""
        return next((self.names[g] for g in self.groups_of(line).tolist() if self.kinds[g] == kind), "")

    def of_lines(self, lines: I32) -> I32:
        """The groups of all these lines one behind the other, each as often as it has lines among them."""
        return self.pairs(lines)[0]

    def pairs(self, lines: I32) -> tuple[I32, I64]:
        """Every membership of these lines: the group, and whose it is (a place in `lines`)."""
        start = self.groups_ptr[lines]
        size = self.groups_ptr[lines + 1] - start
        before = np.concatenate([[0], np.cumsum(size)])
        filed = self.groups[np.repeat(start - before[:-1], size) + np.arange(int(before[-1]))]
        who = np.repeat(np.arange(lines.size), size)
        if not self._learned:
            return filed, who
        parts, whose = [], []
        for kind, column in self._learned.items():
            told = column[lines]
            kept = (told[who] == FILED) | (self._changing[filed] != CHANGING.index(kind))
            filed, who = filed[kept], who[kept]
            whose.append(np.flatnonzero(told >= 0))
            parts.append(told[whose[-1]])
        return np.concatenate([filed, *parts]).astype(np.int32), np.concatenate([who, *whose])

    def size(self) -> I64:
        """Lines in each group now."""
        return self._size[: len(self)]

    @property
    def weighty(self) -> int:
        """Groups that could be a shared cause: the file's, and learned ones with more than a few lines."""
        return self.filed + int(np.count_nonzero(self._size[self.filed : len(self)] >= FEW))

    # --- what is learned ------------------------------------------------------------------------------------------

    def assign(self, line: int, kind: str, name: str) -> bool:
        """The line is in the group `name` of this kind and in no other ("": in none). False when it was already.

        Raises GroupsFull when the name is new and there are too many, ValueError for a kind that does not change.
        """
        if kind not in CHANGING:
            raise ValueError(f"groups of the kind {kind!r} do not change while running")
        before = self._groups_of_kind(line, kind)
        group = self._number(kind, name) if name else NONE
        if before == ([group] if group >= 0 else []):
            return False
        filed = [g for g in self.groups[self.groups_ptr[line] : self.groups_ptr[line + 1]] if self.kinds[g] == kind]
        self._column(kind)[line] = FILED if filed == [group] or (not filed and group < 0) else group
        for g in before:
            self._size[g] -= 1
            self._version[g] += 1
        if group >= 0:
            self._size[group] += 1
            self._version[group] += 1
        return True

    def _groups_of_kind(self, line: int, kind: str) -> list[int]:
        return [g for g in self.groups_of(line).tolist() if self.kinds[g] == kind]

    def _filed_lines(self, group: int) -> I32:
        return self.lines[self.lines_ptr[group] : self.lines_ptr[group + 1]] if group < self.filed else NOBODY

    def _number(self, kind: str, name: str) -> int:
        scope = f"{kind}:{name}"
        if (known := self._index.get(scope)) is not None:
            return known
        number = len(self.kinds)
        if number - self.filed >= MAX_LEARNED:
            raise GroupsFull
        if number >= len(self._size):
            self._size = np.concatenate([self._size, np.zeros(max(64, number // 4), np.int64)])
        self._version.append(0)
        self.names.append(name)
        self.kinds.append(kind)  # last: its length is ours
        self._index[scope] = number
        return number

    def as_filed(self) -> "Groups":
        """The file's groups, with nothing learned. The arrays are shared."""
        names, kinds = self.names[: self.filed], self.kinds[: self.filed]
        return Groups(kinds, names, self.lines, self.lines_ptr, self.groups, self.groups_ptr)

    def carried(self, newer: "Groups", to: I32, few: int = 1) -> None:
        """Learn in `newer`, which has learned nothing yet, what was learned here; line i is `to[i]` there, or -1.

        Learned groups with fewer than `few` lines are left out, and their lines are then in no group of that kind.
        """
        for kind, column in self._learned.items():
            rows = np.flatnonzero((column != FILED) & (to >= 0))
            used, place = np.unique(column[rows], return_inverse=True)
            kept = [NONE if g < 0 or (g >= self.filed and self._size[g] < few) else g for g in used.tolist()]
            there = [newer._number_or_none(kind, self.names[g]) if g >= 0 else NONE for g in kept]
            newer._learn(kind, to[rows], np.array(there, np.int32)[place])

    def learned_rows(self) -> I32:
        """Lines of which something was learned, ascending."""
        found = [np.flatnonzero(column != FILED) for column in self._learned.values()]
        return np.unique(np.concatenate(found)).astype(np.int32) if found else NOBODY

    def forget(self, line: int, kinds: Sequence[str]) -> None:
        """As the file says again, in these kinds."""
        for kind in kinds:
            column = self._learned.get(kind)
            if column is None or column[line] == FILED:
                continue
            if column[line] >= 0:
                self._size[column[line]] -= 1
                self._version[column[line]] += 1
            column[line] = FILED
            for g in self._groups_of_kind(line, kind):
                self._size[g] += 1
                self._version[g] += 1

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        """What was learned: `groups_names` (JSON), and per kind the rows and their group numbers."""
        text = msgspec.json.encode([self.kinds[self.filed :], self.names[self.filed :]])
        arrays: dict[str, npt.NDArray[np.generic]] = {"groups_names": np.frombuffer(text, np.uint8).copy()}
        for kind, column in self._learned.items():
            rows = np.flatnonzero(column != FILED).astype(np.int32)
            arrays |= {f"groups_{kind}_rows": rows, f"groups_{kind}_group": column[rows]}
        return arrays

    def load(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """What `save` gave, for the same inventory; nothing may have been learned yet. A snapshot that knows nothing of
        learned groups is one in which nothing was learned."""
        if "groups_names" not in arrays:
            return
        for kind, name in zip(*msgspec.json.decode(arrays["groups_names"].tobytes(), type=Names), strict=True):
            self._number(kind, name)
        for kind in CHANGING:
            if (rows := arrays.get(f"groups_{kind}_rows")) is not None:
                self._learn(kind, rows.astype(np.int32), arrays[f"groups_{kind}_group"].astype(np.int32))

    def _learn(self, kind: str, rows: I32, group: I32) -> None:
        """As `assign`, for many lines at once of which nothing is learned in this kind."""
        if not rows.size:
            return
        lines = len(self.groups_ptr) - 1
        line_of = np.repeat(np.arange(lines, dtype=np.int32), np.diff(self.groups_ptr))
        mine = self._changing[self.groups] == CHANGING.index(kind)
        line_of, filed_as = line_of[mine], self.groups[mine]
        count, first = np.bincount(line_of, minlength=lines), np.full(lines, NONE, np.int32)
        first[line_of] = filed_as
        same = (count[rows] <= 1) & (first[rows] == group)
        rows, group = rows[~same], group[~same]
        column = self._column(kind)
        column[rows] = group
        self._size[: self.filed] -= np.bincount(filed_as[column[line_of] != FILED], minlength=self.filed)
        self._size += np.bincount(group[group >= 0], minlength=len(self._size))

    def _column(self, kind: str) -> I32:
        column = self._learned.get(kind)
        if column is None:
            column = self._learned[kind] = np.full(len(self.groups_ptr) - 1, FILED, np.int32)
        return column

    def _number_or_none(self, kind: str, name: str) -> int:
        try:
            return self._number(kind, name)
        except GroupsFull:
            return NONE


Names = tuple[list[str], list[str]]
NOBODY: I32 = np.zeros(0, np.int32)


def build_groups(members: Mapping[str, Sequence[I32]], lines: int) -> Groups:
    """Groups from the lines of each KIND:NAME, in parts that may overlap; `lines` is how many lines there are."""
    names = sorted(members, key=lambda name: name.partition(":")[::2])
    rows = [_union(members[name]) for name in names]
    sizes = np.array([len(r) for r in rows], np.int64)
    lines_ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    line = np.concatenate([np.zeros(0, np.int32), *rows])
    del rows
    order = np.argsort(line, kind="stable")
    group = np.repeat(np.arange(len(names), dtype=np.int32), sizes)[order]
    del order
    groups_ptr = np.zeros(lines + 1, np.int64)
    np.cumsum(np.bincount(line, minlength=lines), out=groups_ptr[1:])
    split = [name.partition(":") for name in names]
    return Groups([s[0] for s in split], [s[2] for s in split], line, lines_ptr, group, groups_ptr)


def _union(parts: Sequence[I32]) -> I32:
    """Ascending rows that are in any of the parts, each of which is ascending."""
    return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
