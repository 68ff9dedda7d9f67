"""The inventory: every line as a row across columns, found by any of its keys.

Rows are ordered by path and line_id, whatever order the file had. A row number is valid for one `generation`
only; after a reload `remap` tells where each line went.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.inventory.columns import STEP, CategoryColumn, KeyIndex, StringColumn
from monitor.inventory.groups import Groups
from monitor.inventory.keys import GERMANY, PhoneRule, street_key, street_readings, words_of
from monitor.inventory.topology import Elements
from monitor.records.rounds import I32


class Line(msgspec.Struct, frozen=True):
    """One row, written out for people. Numbers not given are None; text not given is ""."""

    line_id: str
    index: int
    path: str
    groups: tuple[str, ...]
    address: str
    address6: str
    technology: str
    status: str
    service_class: str
    cpe_model: str
    cpe_firmware: str
    cpe_endpoint: str
    cpe_serial: str
    customer_id: str
    name: str
    phone: str
    street: str
    postcode: str
    city: str
    login: str
    lat: float | None
    lon: float | None
    down_mbps: float | None
    up_mbps: float | None
    attributes: dict[str, str]


class MatchedBy(StrEnum):
    LINE_ID = "line_id"
    CUSTOMER_ID = "customer_id"
    PHONE = "phone"
    ADDRESS = "address"
    LOGIN = "login"
    CPE_SERIAL = "cpe_serial"
    CPE_ENDPOINT = "cpe_endpoint"
    STREET = "street"


class Match(NamedTuple):
    """Row `row` of the inventory was found by a key of kind `by`."""

    row: int
    by: MatchedBy


@dataclass(eq=False)
class Inventory:
    """n lines. Text columns are StringColumn (unique values) or CategoryColumn (repeated ones).

    `address4` uint32 [n] (0: none), `address6` uint64 [n, 2] (big end first; 0: none), `lat`, `lon`, `down_mbps`,
    `up_mbps`, `sla_restore_h` float32 [n] (NaN: not given), `leaf` int32 [n] the finest element, `file_row` int32 [n]
    the line of the file. `texts` holds every text column by the name it has in inventory.csv.
    """

    generation: int
    source: str
    texts: dict[str, StringColumn | CategoryColumn]
    attributes: dict[str, CategoryColumn | StringColumn]
    address4: npt.NDArray[np.uint32]
    address6: npt.NDArray[np.uint64]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    numbers: dict[str, npt.NDArray[np.float32]]
    leaf: I32
    file_row: I32
    elements: Elements
    groups: Groups
    phones: PhoneRule = GERMANY
    _indexes: dict[str, KeyIndex] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.leaf.shape[0])

    @property
    def line_ids(self) -> StringColumn:
        column = self.texts["line_id"]
        assert isinstance(column, StringColumn)
        return column

    def line_id(self, index: int) -> str:
        return self.line_ids[index]

    def index_of(self, line_id: str) -> int | None:
        """The row of a line_id, or None."""
        for row in self._index("line_id").candidates(line_id):
            if self.line_ids[row] == line_id:
                return row
        return None

    def indices_of(self, line_ids: Sequence[str]) -> I32:
        """Rows of many line_ids, int32, -1 where unknown."""
        found = np.full(len(line_ids), -1, np.int32)
        index = self._index("line_id")
        for begin in range(0, len(line_ids), STEP):
            keys = line_ids[begin : begin + STEP]
            low, high = index.ranges(keys)
            first = index.first(low)
            for i in np.flatnonzero(high > low).tolist():
                row = int(first[i])
                if self.line_ids[row] == keys[i]:
                    found[begin + i] = row
                elif high[i] - low[i] > 1 and (other := self.index_of(keys[i])) is not None:
                    found[begin + i] = other
        return found

    def by_serial(self, serial: str) -> list[int]:
        return self._by_text("cpe_serial", serial)

    def find(self, key: str) -> list[Match]:
        """Every line that `key` names, by the first kind of key that matches anything: line id, customer id, CPE
        serial or endpoint, login, phone (any notation), then street address. Addresses are leases: ask Bindings."""
        key = key.strip()
        if not key:
            return []
        if (row := self.index_of(key)) is not None:
            return [Match(row, MatchedBy.LINE_ID)]
        for by in (MatchedBy.CUSTOMER_ID, MatchedBy.CPE_SERIAL, MatchedBy.CPE_ENDPOINT, MatchedBy.LOGIN):
            if rows := self._by_text(by.value, key):
                return [Match(row, by) for row in rows]
        for number in self.phones.keys(key):
            phone = self.texts["phone"]
            rows = [r for r in self._index("phone").candidates(number) if self.phones.key(phone[r]) == number]
            if rows:
                return [Match(row, MatchedBy.PHONE) for row in rows]
        return [Match(row, MatchedBy.STREET) for row in self._by_street(key)]

    def line(self, index: int) -> Line:
        text = {name: column[index] for name, column in self.texts.items()}

        def number(column: npt.NDArray[np.floating]) -> float | None:
            value = float(column[index])
            return None if value != value else round(value, 6)

        return Line(
            line_id=text["line_id"],
            index=index,
            path=self.elements.paths[self.leaf[index]],
            groups=self.groups.names_of(index),
            address=format4(int(self.address4[index])),
            address6=format6(int(self.address6[index, 0]), int(self.address6[index, 1])),
            lat=number(self.lat),
            lon=number(self.lon),
            down_mbps=number(self.numbers["down_mbps"]),
            up_mbps=number(self.numbers["up_mbps"]),
            attributes={k: v for k, c in self.attributes.items() if (v := c[index])},
            **{name: text[name] for name in LINE_TEXTS},
        )

    def remap(self, newer: "Inventory") -> I32:
        """For each row here, its row in `newer`, or -1 if the line is gone. int32 [n]."""
        result = np.empty(len(self), np.int32)
        for low in range(0, len(self), STEP):
            high = min(low + STEP, len(self))
            result[low:high] = newer.indices_of(self.line_ids.span(low, high))
        return result

    def with_groups(self, groups: Groups) -> "Inventory":
        """The same lines with groups of their own, so that who learns memberships does not change another's."""
        return replace(self, groups=groups)

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """Lines whose status says they should be in service (empty counts as active). bool [n]."""
        status = self.texts["status"]
        assert isinstance(status, CategoryColumn)
        wanted = np.array([v in ("", "active") for v in status.values])
        return wanted[status.codes]

    @property
    def nbytes(self) -> int:
        columns: list[StringColumn | CategoryColumn | KeyIndex] = [
            *self.texts.values(),
            *self.attributes.values(),
            *self._indexes.values(),
        ]
        arrays: list[npt.NDArray[np.generic]] = [
            self.address4,
            self.address6,
            self.lat,
            self.lon,
            self.leaf,
            self.file_row,
            *self.numbers.values(),
        ]
        return sum(c.nbytes for c in columns) + sum(a.nbytes for a in arrays)

    def _by_text(self, name: str, key: str) -> list[int]:
        column = self.texts[name]
        return [row for row in self._index(name).candidates(key) if column[row] == key]

    def _by_street(self, typed: str) -> list[int]:
        street, postcode, city = (self.texts[n] for n in ("street", "postcode", "city"))
        for key, rest in street_readings(typed):
            rows = [
                r
                for r in self._index("street").candidates(key)
                if street_key(street[r]) == key
                and (not rest or set(rest) <= {*words_of(postcode[r]), *words_of(city[r])})
            ]
            if rows:
                return rows
        return []

    def _index(self, name: str) -> KeyIndex:
        if name not in self._indexes:
            keys: Iterable[str] = self.texts[name]
            if name == "phone":
                keys = map(self.phones.key, keys)
            elif name == "street":
                keys = map(street_key, keys)
            self._indexes[name] = KeyIndex(keys, len(self))
        return self._indexes[name]

    def duplicates(self) -> list[tuple[str, int, int]]:
        """Line ids that are there more than once: (line_id, line of the file, line of the file where it was first)."""
        found = []
        for rows in self._index("line_id").repeated():
            first: dict[str, int] = {}
            for row in sorted(rows, key=lambda r: int(self.file_row[r])):
                line_id, at = self.line_ids[row], int(self.file_row[row])
                if first.setdefault(line_id, at) != at:
                    found.append((line_id, at, first[line_id]))
        return sorted(found, key=lambda f: f[1])

    def warm(self) -> None:
        """Build the indexes now rather than at the first lookup."""
        for by in MatchedBy:
            if by is not MatchedBy.ADDRESS:
                self._index(by.value)


LINE_TEXTS = (
    "technology",
    "status",
    "service_class",
    "cpe_model",
    "cpe_firmware",
    "cpe_endpoint",
    "cpe_serial",
    "customer_id",
    "name",
    "phone",
    "street",
    "postcode",
    "city",
    "login",
)


def format4(address: int) -> str:
    return ".".join(str(b) for b in address.to_bytes(4, "big")) if address else ""


def format6(high: int, low: int) -> str:
    return str(ipaddress.IPv6Address((high << 64) | low)) if high or low else ""
