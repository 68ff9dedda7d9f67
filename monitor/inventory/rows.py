"""From the cells of inventory.csv to typed columns, chunk by chunk.

Each column of a chunk is converted as a whole; only where that fails is it gone through cell by cell, to name the
line and the field. What repeats (paths, groups) is checked once per value.
"""

import socket
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from monitor.inventory.address import AddressRules, parse_address
from monitor.inventory.columns import CategoryBuilder, GrowingArray, MixedBuilder, StringBuilder
from monitor.inventory.csvfile import Problems

UNIQUE = ("line_id", "customer_id", "name", "phone", "street", "login", "cpe_serial", "cpe_endpoint", "backup_of")
REPEATED = (
    "technology",
    "cpe_model",
    "cpe_firmware",
    "postcode",
    "city",
    "status",
    "service_class",
    "access_partner",
    "tenant",
)
NUMBERS = ("down_mbps", "up_mbps", "sla_restore_h")
LIMITS = {
    "lat": (-90.0, 90.0),
    "lon": (-180.0, 180.0),
    "down_mbps": (0.0, 1e7),
    "up_mbps": (0.0, 1e7),
    "sla_restore_h": (0.0, 1e5),
}
KNOWN = frozenset((*UNIQUE, *REPEATED, *LIMITS, "path", "groups", "address", "address6"))
RESERVED = ("element:", "group:", "source:", "incident:", "reference:")


class Columns:
    """The growing columns of the lines read so far. Positions are float64, other numbers float32, absent ones NaN."""

    def __init__(self, header: Sequence[str], rules: AddressRules, problems: Problems) -> None:
        self._header = header
        self._rules = rules
        self._problems = problems
        self.unique = {name: StringBuilder() for name in UNIQUE if name in header}
        self.repeated = {name: CategoryBuilder() for name in (*REPEATED, "path", "groups") if name in header}
        self.extra = {name: MixedBuilder() for name in header if name not in KNOWN}
        self.address4 = GrowingArray(np.uint32)
        self.address6 = GrowingArray(np.uint64)  # two a line; stays empty as long as no line has one
        self.positions = {name: GrowingArray(np.float64) for name in ("lat", "lon") if name in header}
        self.numbers = {name: GrowingArray(np.float32) for name in NUMBERS if name in header}
        self.file_row = GrowingArray(np.int32)

    def __len__(self) -> int:
        return len(self.file_row)

    def add(self, chunk: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """Check and append some rows; `lines` are their lines in the file."""
        raw = {
            name: list(map(str.strip, cells))
            for name, cells in zip(self._header, zip(*chunk, strict=True), strict=True)
        }
        self._check_ids(raw["line_id"], lines)
        for name, column in self.unique.items():
            column.extend(raw[name])
        for name, repeated in self.repeated.items():
            cells = raw[name]
            new = repeated.extend(cells)
            if name == "path":
                self._check_values(name, cells, lines, new if "" not in cells else [*new, ""], wrong_path)
            elif name == "groups":
                self._check_values(name, cells, lines, new, wrong_groups)
        for name, mixed in self.extra.items():
            mixed.extend(raw[name])
        for name, numbers in self.numbers.items():
            numbers.extend(self._numbers(name, raw[name], lines).astype(np.float32))
        empty = [""] * len(chunk)
        lat, lon = (self._numbers(name, raw.get(name, empty), lines) for name in ("lat", "lon"))
        self._check_positions(raw.get("lat", empty), raw.get("lon", empty), lines)
        for name, values in (("lat", lat), ("lon", lon)):
            if name in self.positions:
                self.positions[name].extend(values)
        self.address4.extend(self._address4(raw.get("address", empty), lines))
        self._add_address6(raw.get("address6", empty), lines)
        self.file_row.extend(np.array(lines, np.int32))

    def _check_ids(self, cells: list[str], lines: Sequence[int]) -> None:
        if "" not in cells and ":" not in "".join(cells):
            return
        for i, cell in enumerate(cells):
            if not cell:
                self._problems.add(lines[i], "line_id", "is empty")
            elif cell.startswith(RESERVED):
                self._problems.add(lines[i], "line_id", f"{cell!r} may not start with a reserved word and a colon")

    def _check_values(
        self, name: str, cells: list[str], lines: Sequence[int], values: list[str], wrong: Callable[[str], str]
    ) -> None:
        for value in sorted(values):
            if message := wrong(value):
                self._problems.add(lines[cells.index(value)], name, message)

    def _check_positions(self, lat: list[str], lon: list[str], lines: Sequence[int]) -> None:
        if "" not in lat and "" not in lon:
            return
        for i, (north, east) in enumerate(zip(lat, lon, strict=True)):
            if (not north) != (not east):
                field = "lat" if not north else "lon"
                self._problems.add(lines[i], field, "is empty, but the other half of the position is given")

    def _numbers(self, name: str, cells: list[str], lines: Sequence[int]) -> npt.NDArray[np.float64]:
        """Cells as float64, NaN where empty or wrong."""
        low, high = LIMITS[name]
        empties = cells.count("")
        if empties == len(cells):
            return np.full(len(cells), np.nan)
        try:
            numbers = (float(c) if c else np.nan for c in cells) if empties else map(float, cells)
            values = np.fromiter(numbers, np.float64, len(cells))
            fine = np.count_nonzero((values >= low) & (values <= high)) + empties == len(cells)
            if fine and "_" not in "".join(cells):  # Python would read 1_000 as a number
                return values
        except ValueError:
            pass
        values = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            if not cell:
                continue
            try:
                values[i] = float(cell.replace("_", "?"))
            except ValueError:
                hint = ": write a decimal point" if "," in cell else ""
                self._problems.add(lines[i], name, f"{cell!r} is not a number{hint}")
                continue
            if not low <= values[i] <= high:
                self._problems.add(lines[i], name, f"{cell!r} is not between {low:g} and {high:g}")
                values[i] = np.nan
        return values

    def _address4(self, cells: list[str], lines: Sequence[int]) -> npt.NDArray[np.uint32]:
        pton, family, none = socket.inet_pton, socket.AF_INET, bytes(4)
        try:
            packed = b"".join([pton(family, c) if c else none for c in cells])
        except (OSError, ValueError):
            packed = b"".join([self._one("address", c, 4, line) for c, line in zip(cells, lines, strict=True)])
        values = np.frombuffer(packed, ">u4").astype(np.uint32)
        for i in np.flatnonzero(self._rules.refused4(values) & (values != 0)).tolist():
            self._problems.add(lines[i], "address", self._rules.refuse(cells[i]))
        for i in np.flatnonzero(values == 0).tolist():
            if cells[i] and parse_address(cells[i]) == none:
                self._problems.add(lines[i], "address", self._rules.refuse(cells[i]))
        return values

    def _add_address6(self, cells: list[str], lines: Sequence[int]) -> None:
        if not any(cells):
            if len(self.address6):
                self.address6.extend(np.zeros(2 * len(cells), np.uint64))
            return
        if not len(self.address6):
            self.address6.extend(np.zeros(2 * len(self), np.uint64))
        packed = [self._one("address6", c, 16, line) for c, line in zip(cells, lines, strict=True)]
        for cell, address, line in zip(cells, packed, lines, strict=True):
            if cell and parse_address(cell) == address and (wrong := self._rules.refuse_bytes(address)):
                self._problems.add(line, "address6", f"{cell!r} {wrong}")
        self.address6.extend(np.frombuffer(b"".join(packed), ">u8").astype(np.uint64))

    def _one(self, field: str, cell: str, size: int, line: int) -> bytes:
        """One address; zeros, and a problem, where it is none of this family."""
        found = parse_address(cell) if cell else bytes(size)
        if found is None:
            self._problems.add(line, field, f"{cell!r} is not an IP address (names are not resolved)")
        elif len(found) != size:
            self._problems.add(line, field, f"{cell!r} is not an IPv{4 if size == 4 else 6} address")
        return found if found and len(found) == size else bytes(size)


def wrong_path(path: str) -> str:
    """What is wrong with a path, or ""."""
    if not path:
        return "is empty: write the elements from coarse to fine, as north/ex-12/olt-3"
    if not all(part.strip() for part in path.split("/")):
        return f"{path!r} has an element without a name"
    if any(part != part.strip() for part in path.split("/")):
        return f"{path!r} has a blank beside a /"
    return ""


def wrong_groups(groups: str) -> str:
    """What is wrong with a list of groups, or ""."""
    for group in groups.split(";"):
        kind, colon, name = group.partition(":")
        if group.strip() and not (kind.strip() and colon and name.strip()):
            return f"{group!r} is not written kind:name"
    return ""
