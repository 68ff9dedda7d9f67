"""The inventory: every line as a row across columns, found by any of its keys.

Rows are ordered by path and line_id, whatever order the file had. A row number is valid for one `generation`
only; after a reload `remap` tells where each line went.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.inventory.columns import CategoryColumn, KeyIndex, StringColumn
from monitor.inventory.topology import Elements, Groups
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


def phone_key(text: str) -> str:
    """A phone number reduced to its digits, without an international prefix's zeros; "" if it is not one."""
    digits = "".join(c for c in text if c.isdigit())
    if text.strip().startswith("00"):
        digits = digits[2:]
    return digits if len(digits) >= 5 else ""


def street_key(street: str, postcode: str, city: str) -> str:
    return " ".join(f"{street} {postcode} {city}".casefold().replace(",", " ").split())


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
        for row in self._index("line_id", lambda: iter_column(self.texts["line_id"])).candidates(line_id):
            if self.line_ids[row] == line_id:
                return row
        return None

    def indices_of(self, line_ids: list[str]) -> I32:
        """Rows of many line_ids, int32, -1 where unknown."""
        find = self.index_of
        return np.fromiter((-1 if (i := find(x)) is None else i for x in line_ids), np.int32, len(line_ids))

    def by_serial(self, serial: str) -> list[int]:
        return self._by_text("cpe_serial", serial)

    def find(self, key: str) -> list[Match]:
        """Every line that `key` names, by the first kind of key that matches anything: line id, customer id, CPE
        serial or endpoint, login, phone, then street address. Addresses are leases: ask Bindings for those."""
        key = key.strip()
        if not key:
            return []
        if (row := self.index_of(key)) is not None:
            return [Match(row, MatchedBy.LINE_ID)]
        for by in (MatchedBy.CUSTOMER_ID, MatchedBy.CPE_SERIAL, MatchedBy.CPE_ENDPOINT, MatchedBy.LOGIN):
            if rows := self._by_text(by.value, key):
                return [Match(row, by) for row in rows]
        if phone := phone_key(key):
            index = self._index("phone", lambda: map(phone_key, iter_column(self.texts["phone"])))
            rows = [r for r in index.candidates(phone) if phone_key(self.texts["phone"][r]) == phone]
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
            groups=tuple(self.groups.scope_name(int(g)) for g in self.groups.groups_of(index)),
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
        return newer.indices_of(list(iter_column(self.line_ids)))

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
        rows = self._index(name, lambda: iter_column(column)).candidates(key)
        return [row for row in rows if column[row] == key]

    def _by_street(self, key: str) -> list[int]:
        street, postcode, city = (self.texts[n] for n in ("street", "postcode", "city"))
        wanted = street_key(key, "", "")
        for parts in (3, 2, 1):  # with postcode and city, with the postcode, the street alone
            texts = partial(_streets, parts, (street, postcode, city))
            rows = self._index(f"street:{parts}", texts).candidates(wanted)
            rows = [r for r in rows if _street(parts, (street[r], postcode[r], city[r])) == wanted]
            if rows:
                return rows
        return []

    def _index(self, name: str, keys: Callable[[], Iterator[str]]) -> KeyIndex:
        if name not in self._indexes:
            self._indexes[name] = KeyIndex(keys(), len(self))
        return self._indexes[name]

    def warm(self) -> None:
        """Build the indexes now rather than at the first lookup."""
        self.index_of("-")
        self.find("- no such key 00000 -")


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


def iter_column(column: StringColumn | CategoryColumn) -> Iterator[str]:
    if isinstance(column, CategoryColumn):
        values = column.values
        yield from (values[c] for c in column.codes.tolist())
        return
    step = 65536
    for low in range(0, len(column), step):
        yield from column.many(np.arange(low, min(low + step, len(column))))


def _street(parts: int, cells: tuple[str, str, str]) -> str:
    """The key of one address from its first `parts` cells; "" without a street."""
    return street_key(cells[0], cells[1] if parts > 1 else "", cells[2] if parts > 2 else "") if cells[0] else ""


def _streets(parts: int, columns: tuple[StringColumn | CategoryColumn, ...]) -> Iterator[str]:
    rows: Iterator[tuple[str, str, str]] = zip(*map(iter_column, columns), strict=True)
    return (_street(parts, row) for row in rows)


def format4(address: int) -> str:
    return ".".join(str(b) for b in address.to_bytes(4, "big")) if address else ""


def format6(high: int, low: int) -> str:
    return str(ipaddress.IPv6Address((high << 64) | low)) if high or low else ""
