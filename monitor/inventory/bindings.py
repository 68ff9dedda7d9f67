"""Which address each line has *now*: a line is not its address.

Starts from the inventory's addresses; sessions and leases override them. An address with two claimants makes every
claimant not observable by ping, so that no line is ever judged by a neighbour's reply. One writer.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from monitor.inventory.address import AddressRules, format_address, parse_address
from monitor.inventory.inventory import Inventory
from monitor.records.events import Event
from monitor.records.rounds import U8

BINDING_KINDS = frozenset({"session_start", "address_assigned", "session_stop", "address_released"})


class Observability(IntEnum):
    """Why a line can be pinged, or not."""

    OBSERVABLE = 0
    NO_ADDRESS = 1
    CONTESTED = 2  # two lines claim the address
    RELEASED = 3  # the session ended or the lease was given back
    NOT_ACTIVE = 4  # its status says it is not in service


class Bindings:
    """Addresses per line: `address4` uint32 [n], `address6` uint64 [n, 2], `reason` uint8 [n] (Observability).

    `epoch` grows with every change; `changed_since` says which lines to tell the prober about.
    """

    def __init__(self, inventory: Inventory, rules: AddressRules | None = None) -> None:
        self.inventory = inventory
        self.epoch = 0
        self.refused = 0  # events whose address may not be probed or is none
        self._rules = rules or AddressRules()
        self.address4 = inventory.address4.copy()
        self.address6 = inventory.address6.copy()
        self._released = np.zeros(len(inventory), np.bool_)
        self._contested = np.zeros(len(inventory), np.bool_)
        self._claims: dict[bytes, set[int]] = {}  # only addresses that some event has touched
        self._sorted4 = np.argsort(self.address4, kind="stable").astype(np.int32)
        self._find_contested()

    def _find_contested(self) -> None:
        ordered = self.address4[self._sorted4]
        same = (ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)
        self._contested[self._sorted4[1:][same]] = True
        self._contested[self._sorted4[:-1][same]] = True
        self._sorted6 = np.lexsort((self.address6[:, 1], self.address6[:, 0])).astype(np.int32)
        ordered6 = self.address6[self._sorted6]
        same6 = (ordered6[1:] == ordered6[:-1]).all(axis=1) & ordered6[1:].any(axis=1)
        self._contested[self._sorted6[1:][same6]] = True
        self._contested[self._sorted6[:-1][same6]] = True

    @property
    def reason(self) -> U8:
        """Observability of every line, uint8 [n]."""
        none = (self.address4 == 0) & ~self.address6.any(axis=1)
        reason = np.where(none, Observability.NO_ADDRESS, Observability.OBSERVABLE).astype(np.uint8)
        reason[none & self._released] = Observability.RELEASED
        reason[self._contested & ~none] = Observability.CONTESTED
        reason[~self.inventory.active] = Observability.NOT_ACTIVE
        return reason

    def claimants(self, address: str) -> list[int]:
        """The lines that claim this address now, ascending."""
        raw = parse_address(address)
        return sorted(self._claimants(raw)) if raw else []

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

    def _bind(self, line: int, address: bytes) -> list[int]:
        self._released[line] = False
        if self._current(line, len(address)) == address:
            return []
        return self._touch(self._set(line, len(address), address))

    def _touch(self, changed: set[int]) -> list[int]:
        if changed:
            self.epoch += 1
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
        else:
            self.address6[line] = value >> 64, value & 0xFFFFFFFFFFFFFFFF
        for one in changed:
            self._contested[one] = any(
                len(self._claimants(a)) > 1 for f in (4, 16) if (a := self._current(one, f)) is not None
            )
        return changed

    def _claimants(self, address: bytes) -> set[int]:
        known = self._claims.get(address)
        if known is not None:
            return set(known)
        # Never touched by an event: the inventory's own order still finds it.
        inventory = self.inventory
        value = int.from_bytes(address, "big")
        if len(address) == 4:
            ordered: npt.NDArray[np.uint32] = inventory.address4[self._sorted4]
            low, high = (
                np.searchsorted(ordered, np.uint32(value), "left"),
                np.searchsorted(ordered, np.uint32(value), "right"),
            )
            return set(self._sorted4[low:high].tolist())
        wanted = (value >> 64, value & 0xFFFFFFFFFFFFFFFF)
        rows = np.flatnonzero((inventory.address6[:, 0] == wanted[0]) & (inventory.address6[:, 1] == wanted[1]))
        return set(rows.tolist())

    def line_of(self, address: str) -> int | None:
        """The one line that has this address now; None when there is none, or more than one."""
        found = self.claimants(address)
        return found[0] if len(found) == 1 else None

    def address_of(self, line: int) -> str:
        for family in (4, 16):
            if current := self._current(line, family):
                return format_address(current)
        return ""
