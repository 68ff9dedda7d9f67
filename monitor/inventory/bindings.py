"""Which address each line has *now*: a line is not its address.

Starts from the inventory's addresses; sessions and leases override them. An address with two claimants makes every
claimant not observable by ping, so that no line is ever judged by a neighbour's reply. One writer.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.inventory.address import AddressRules, format_address, parse_address
from monitor.inventory.columns import StringColumn
from monitor.inventory.inventory import Inventory
from monitor.records.events import Event
from monitor.records.rounds import I32, U8

BINDING_KINDS = frozenset({"session_start", "address_assigned", "session_stop", "address_released"})
_LOW = 0xFFFFFFFFFFFFFFFF


class Observability(IntEnum):
    """Why a line can be pinged, or not."""

    OBSERVABLE = 0
    NO_ADDRESS = 1
    CONTESTED = 2  # two lines claim the address
    RELEASED = 3  # the session ended or the lease was given back
    NOT_ACTIVE = 4  # its status says it is not in service


class Bindings:
    """Addresses per line: `address4` uint32 [n], `address6` uint64 [n, 2], `reason` uint8 [n] (Observability).

    `epoch` grows with every change; `refused` counts events whose address may not be probed or is none.
    """

    def __init__(self, inventory: Inventory, rules: AddressRules | None = None) -> None:
        self.inventory = inventory
        self.epoch = 0
        self.refused = 0
        self._rules = rules or AddressRules()
        self.address4 = inventory.address4.copy()
        self.address6 = inventory.address6.copy() if inventory.address6.any() else np.zeros_like(inventory.address6)
        self._released = np.zeros(len(inventory), np.bool_)
        self._told4 = np.zeros(len(inventory), np.bool_)  # an event, not the inventory, says the address
        self._told6 = np.zeros(len(inventory), np.bool_)
        self._index()

    def _index(self) -> None:
        """Sort the addresses as they are now, and find those with two claimants. 0.2 s for a million lines."""
        self._claims: dict[bytes, set[int]] = {}  # addresses that some event touched since
        self._contested = np.zeros(len(self.inventory), np.bool_)
        self._rows4 = _sorted_rows(self.address4)
        self._sorted4 = self.address4[self._rows4]
        rows = np.flatnonzero(self.address6.any(axis=1)).astype(np.int32)
        held = self.address6[rows]
        self._rows6 = rows[np.lexsort((held[:, 1], held[:, 0]))]
        self._sorted6 = self.address6[self._rows6]
        self._mark(self._rows4, self._sorted4[1:] == self._sorted4[:-1])
        self._mark(self._rows6, (self._sorted6[1:] == self._sorted6[:-1]).all(axis=1))

    def _mark(self, rows: I32, same: npt.NDArray[np.bool_]) -> None:
        self._contested[rows[1:][same]] = True
        self._contested[rows[:-1][same]] = True

    @property
    def reason(self) -> U8:
        """Observability of every line, uint8 [n]."""
        none = (self.address4 == 0) & ~self.address6.any(axis=1)
        reason = np.where(none, np.uint8(Observability.NO_ADDRESS), np.uint8(Observability.OBSERVABLE))
        reason[none & self._released] = Observability.RELEASED
        reason[self._contested & ~none] = Observability.CONTESTED
        reason[~self.inventory.active] = Observability.NOT_ACTIVE
        return reason

    def reason_of(self, line: int) -> Observability:
        """Observability of one line, without going over all."""
        if not self.inventory.active[line]:
            return Observability.NOT_ACTIVE
        if not self.address4[line] and not self.address6[line].any():
            return Observability.RELEASED if self._released[line] else Observability.NO_ADDRESS
        return Observability.CONTESTED if self._contested[line] else Observability.OBSERVABLE

    def claimants(self, address: str) -> list[int]:
        """The lines that claim this address now, ascending."""
        raw = parse_address(address)
        return sorted(self._claimants(raw)) if raw and any(raw) else []

    def line_of(self, address: str) -> int | None:
        """The one line that has this address now; None when there is none, or more than one."""
        found = self.claimants(address)
        return found[0] if len(found) == 1 else None

    def address_of(self, line: int) -> str:
        """The address as text, IPv4 before IPv6; "" if the line has none."""
        for family in (4, 16):
            if current := self._current(line, family):
                return format_address(current)
        return ""

    def told(self) -> I32:
        """The lines of which an event, not the inventory, says the addresses or that there are none; ascending."""
        return np.flatnonzero(self._told4 | self._told6 | self._released).astype(np.int32)

    def addresses_of(self, line: int) -> tuple[str, str]:
        """IPv4 and IPv6 address of a line as text, "" where it has none."""
        four, six = self._current(line, 4), self._current(line, 16)
        return format_address(four) if four else "", format_address(six) if six else ""

    def apply(self, event: Event) -> list[int]:
        """Take one event about an address; returns the lines whose binding or observability changed.

        Events of other kinds, about unknown lines, or with an address that may not be probed change nothing; the
        last are counted in `refused`.
        """
        if event.kind not in BINDING_KINDS:
            return []
        line = self.inventory.index_of(event.subject)
        if line is None:
            return []
        gives = event.kind in ("session_start", "address_assigned")
        raw = parse_address(event.value) if event.value else None
        if (event.value and raw is None) or (raw and gives and self._rules.refuse_bytes(raw)):
            self.refused += 1
            return []
        if gives:
            return self._bind(line, raw) if raw else []
        changed: set[int] = set()
        for family in (4, 16):
            current = self._current(line, family)
            if current and (raw is None or raw == current):
                changed |= self._set(line, family, None)
                self._released[line] = True
        return self._touch(changed)

    def carried(self, newer: Inventory) -> "Bindings":
        """The bindings for a reloaded inventory: what events said goes with its line_id, the rest is the file's."""
        made = Bindings(newer, self._rules)
        rows = np.flatnonzero(self._told4 | self._told6 | self._released).astype(np.int32)
        made._overlay(self.inventory.line_ids.many(rows), rows, self)
        made.epoch, made.refused = self.epoch + 1, self.refused
        return made

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """What events said, by line_id (m lines): `ids` uint8 UTF-8, `offsets` uint32 [m + 1], `address4` uint32 [m],
        `address6` uint64 [m, 2], `flags` uint8 [m] (1: IPv4 told, 2: IPv6 told, 4: released), `counts` int64 [2]."""
        rows = np.flatnonzero(self._told4 | self._told6 | self._released).astype(np.int32)
        ids = self.inventory.line_ids.take(rows)
        flags = self._told4[rows] * 1 + self._told6[rows] * 2 + self._released[rows] * 4
        return {
            "ids": np.frombuffer(ids.blob, np.uint8),
            "offsets": ids.offsets,
            "address4": self.address4[rows],
            "address6": self.address6[rows],
            "flags": flags.astype(np.uint8),
            "counts": np.array([self.epoch, self.refused], np.int64),
        }

    @classmethod
    def restore(
        cls, inventory: Inventory, arrays: Mapping[str, npt.NDArray[Any]], rules: AddressRules | None = None
    ) -> "Bindings":
        """From a snapshot, taken with this inventory or an older one; lines that are gone are left out."""
        made = cls(inventory, rules)
        flags = arrays["flags"]
        ids = list(StringColumn(arrays["ids"].tobytes(), arrays["offsets"].astype(np.uint32)))
        saved = cls.__new__(cls)
        saved.address4, saved.address6 = arrays["address4"], arrays["address6"]
        saved._told4, saved._told6, saved._released = ((flags & bit) > 0 for bit in (1, 2, 4))
        made._overlay(ids, np.arange(len(ids), dtype=np.int32), saved)
        made.epoch, made.refused = (int(n) for n in arrays["counts"])
        return made

    def _overlay(self, ids: list[str], rows: I32, other: "Bindings") -> None:
        """Take over what events said about these lines of `other`."""
        mine = self.inventory.indices_of(ids)
        rows, mine = rows[mine >= 0], mine[mine >= 0]
        if not len(mine):
            return
        told4, told6 = other._told4[rows], other._told6[rows]
        self.address4[mine[told4]] = other.address4[rows[told4]]
        self.address6[mine[told6]] = other.address6[rows[told6]]
        self._told4[mine], self._told6[mine], self._released[mine] = told4, told6, other._released[rows]
        self._index()

    def _bind(self, line: int, address: bytes) -> list[int]:
        self._released[line] = False
        (self._told4 if len(address) == 4 else self._told6)[line] = True
        if self._current(line, len(address)) == address:
            return []
        return self._touch(self._set(line, len(address), address))

    def _touch(self, changed: set[int]) -> list[int]:
        if changed:
            self.epoch += 1
        if len(self._claims) > max(10_000, len(self.inventory) // 8):
            self._index()  # bounds the memory; a day of leases would otherwise be kept
        return sorted(changed)

    def _current(self, line: int, family: int) -> bytes | None:
        if family == 4:
            value = int(self.address4[line])
            return value.to_bytes(4, "big") if value else None
        high, low = (int(v) for v in self.address6[line])
        return ((high << 64) | low).to_bytes(16, "big") if high or low else None

    def _set(self, line: int, family: int, address: bytes | None) -> set[int]:
        """Move a line to another address (None: to none); returns every line whose observability may have changed."""
        changed = {line}
        old = self._current(line, family)
        for touched in (old, address):
            if touched:
                self._claims[touched] = self._claimants(touched)
        if old:
            self._claims[old].discard(line)
            changed |= self._claims[old]
        if address:
            self._claims[address].add(line)
            changed |= self._claims[address]
        value = int.from_bytes(address or b"", "big")
        if family == 4:
            self.address4[line] = value
            self._told4[line] = True
        else:
            self.address6[line] = value >> 64, value & _LOW
            self._told6[line] = True
        for one in changed:
            self._contested[one] = any(
                len(self._claimants(a)) > 1 for f in (4, 16) if (a := self._current(one, f)) is not None
            )
        return changed

    def _claimants(self, address: bytes) -> set[int]:
        known = self._claims.get(address)
        if known is not None:
            return set(known)
        # Not touched since the last sort: the sorted addresses still say it.
        value = int.from_bytes(address, "big")
        if len(address) == 4:
            low, high = _range(self._sorted4, np.uint32(value), 0, len(self._sorted4))
            return set(self._rows4[low:high].tolist())
        low, high = _range(self._sorted6[:, 0], np.uint64(value >> 64), 0, len(self._sorted6))
        low, high = _range(self._sorted6[:, 1], np.uint64(value & _LOW), low, high)
        return set(self._rows6[low:high].tolist())


def _sorted_rows(addresses: npt.NDArray[np.uint32]) -> I32:
    """The rows with an address, by address."""
    rows = np.flatnonzero(addresses).astype(np.int32)
    return rows[np.argsort(addresses[rows], kind="stable")]


def _range(
    values: npt.NDArray[np.unsignedinteger[Any]], value: np.unsignedinteger[Any], low: int, high: int
) -> tuple[int, int]:
    """Where `value` stands in the sorted values[low:high]."""
    part = values[low:high]
    return low + int(np.searchsorted(part, value, "left")), low + int(np.searchsorted(part, value, "right"))
