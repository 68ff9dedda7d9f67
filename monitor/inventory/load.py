"""Reads inventory.csv and elements.csv into columns, whole or not at all.

Rows are validated one by one (msgspec) and folded into compact columns chunk by chunk, so that a million lines need
neither a million Python objects nor a second copy. Every mistake names file, line and field; the first ones are
collected (`MAX_PROBLEMS`) and raised together, before anything is handed out.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from monitor.inventory.address import AddressRules, parse_address
from monitor.inventory.columns import CategoryBuilder, CategoryColumn, StringBuilder, StringColumn
from monitor.inventory.inventory import Inventory
from monitor.inventory.problems import InputProblem, InputProblems
from monitor.inventory.settings import InventorySettings
from monitor.inventory.topology import Groups, build_elements, build_groups, order_paths
from monitor.records.rounds import I32

CHUNK = 20_000
MAX_PROBLEMS = 20
NUMBERS = ("down_mbps", "up_mbps", "sla_restore_h")
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
RESERVED = ("element:", "group:", "source:", "incident:", "reference:")


class Row(msgspec.Struct):
    """One line of inventory.csv. Empty numbers arrive as None; unknown columns are attributes, not errors."""

    line_id: str
    path: str
    address: str = ""
    address6: str = ""
    groups: str = ""
    lat: float | None = None
    lon: float | None = None
    down_mbps: float | None = None
    up_mbps: float | None = None
    sla_restore_h: float | None = None


class _Columns:
    """The growing columns of the lines read so far."""

    def __init__(self, extra: list[str]) -> None:
        self.unique = {name: StringBuilder() for name in UNIQUE}
        self.repeated = {name: CategoryBuilder() for name in (*REPEATED, "path", "groups")}
        self.extra = {name: CategoryBuilder() for name in extra}
        self.address4: list[np.ndarray] = []
        self.address6: list[np.ndarray] = []
        self.floats: dict[str, list[np.ndarray]] = {name: [] for name in ("lat", "lon", *NUMBERS)}
        self.rows: list[np.ndarray] = []


def load_inventory(
    path: Path,
    settings: InventorySettings | None = None,
    elements_path: Path | None = None,
    generation: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Inventory:
    """The inventory in `path` (UTF-8, comma or semicolon). `progress` is called with the lines read so far.

    Raises InputProblems, and then nothing is loaded.
    """
    settings = settings or InventorySettings()
    problems = _Problems(str(path))
    rules = AddressRules(settings.allowed_prefixes)
    columns: _Columns | None = None
    done = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = _reader(file, problems)
            header = next(reader, None)
            if header is None:
                raise InputProblems.one(str(path), "the file is empty: a header row and at least one line are needed")
            extra = _check_header(header, problems)
            columns = _Columns(extra)
            for chunk, numbers in _chunks(reader, len(header), problems):
                _fold(chunk, numbers, header, columns, rules, problems)
                done += len(numbers)
                if progress:
                    progress(done)
    except OSError as error:
        raise InputProblems.one(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputProblems.one(
            str(path), f"is not UTF-8 (byte {error.object[error.start]:#04x}): save it as UTF-8", line=done + 2
        ) from None
    except csv.Error as error:
        raise InputProblems.one(str(path), f"is not a readable CSV: {error}", line=done + 2) from None
    problems.raise_any()
    if done == 0:
        raise InputProblems.one(str(path), "has a header but no lines")
    details = load_elements(elements_path, rules) if elements_path else {}
    return _assemble(path, columns, settings, details, generation, problems)


def load_elements(path: Path, rules: AddressRules) -> dict[str, tuple[str, float, float, str]]:
    """elements.csv: path -> (management address, lat, lon, kind). Raises InputProblems."""
    problems = _Problems(str(path))
    found: dict[str, tuple[str, float, float, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = _reader(file, problems)
            header = next(reader, None) or []
            if "path" not in header:
                raise InputProblems.one(str(path), "the column is missing", line=1, field="path")
            for row in reader:
                if not any(row):
                    continue
                at = reader.line_num
                cells = dict(zip(header, row, strict=False))
                name = cells["path"].strip()
                if not name:
                    problems.add(at, "path", "is empty")
                elif name in found:
                    problems.add(at, "path", f"{name!r} is listed twice")
                address = cells.get("address", "").strip()
                if address and (wrong := rules.refuse(address)):
                    problems.add(at, "address", wrong)
                numbers = []
                for field, limit in (("lat", 90.0), ("lon", 180.0)):
                    text = cells.get(field, "").strip()
                    try:
                        value = float(text) if text else float("nan")
                    except ValueError:
                        value = limit + 1
                    if abs(value) > limit:
                        problems.add(at, field, f"{text!r} is not a number between -{limit:g} and {limit:g}")
                    numbers.append(value)
                found[name] = (address, numbers[0], numbers[1], cells.get("kind", "").strip())
    except OSError as error:
        raise InputProblems.one(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputProblems.one(str(path), "is not UTF-8: save it as UTF-8") from None
    problems.raise_any()
    return found


class _Problems:
    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[InputProblem] = []

    def add(self, line: int, field: str, message: str) -> None:
        self.found.append(InputProblem(self.file, line, field, message))
        if len(self.found) >= MAX_PROBLEMS:
            raise InputProblems(self.found, more=True)

    def raise_any(self) -> None:
        if self.found:
            raise InputProblems(self.found)


def _reader(file: "Iterator[str]", problems: _Problems) -> "csv.Reader":  # type: ignore[name-defined]
    first = next(iter(file), "")
    separator = ";" if first.count(";") > first.count(",") else ","

    def lines() -> Iterator[str]:
        yield first
        for line in file:
            if "\0" in line:
                line = line.replace("\0", "")
            yield line

    return csv.reader(lines(), delimiter=separator, strict=True)


def _check_header(header: list[str], problems: _Problems) -> list[str]:
    header[:] = [name.strip() for name in header]
    for name in ("line_id", "path"):
        if name not in header:
            problems.add(1, name, "the column is missing")
    for i, name in enumerate(header):
        if name in header[:i]:
            problems.add(1, name, "the column is there twice")
        if not name:
            problems.add(1, f"column {i + 1}", "has no name")
    problems.raise_any()
    known = {*UNIQUE, *REPEATED, *Row.__struct_fields__}
    return [name for name in header if name not in known]


def _chunks(reader: "csv.Reader", width: int, problems: _Problems) -> Iterator[tuple[list[list[str]], list[int]]]:  # type: ignore[name-defined]
    rows: list[list[str]] = []
    numbers: list[int] = []
    for row in reader:
        if not row:
            continue
        if len(row) != width:
            problems.add(reader.line_num, "", f"has {len(row)} fields where the header has {width}")
            continue
        rows.append(row)
        numbers.append(reader.line_num)
        if len(rows) == CHUNK:
            yield rows, numbers
            rows, numbers = [], []
    if rows:
        yield rows, numbers


def _fold(
    chunk: list[list[str]],
    numbers: list[int],
    header: list[str],
    into: _Columns,
    rules: AddressRules,
    problems: _Problems,
) -> None:
    """Validate one chunk and append it to the columns."""
    count = len(chunk)
    raw = {name: [cell.strip() for cell in cells] for name, cells in zip(header, zip(*chunk, strict=True), strict=True)}
    empty = [""] * count
    typed = [name for name in Row.__struct_fields__ if name in raw]
    optional = [name for name in typed if name in into.floats]
    floats = {name: np.full(count, np.nan) for name in into.floats}
    four = np.zeros(count, np.uint32)
    six = np.zeros((count, 2), np.uint64)
    convert = msgspec.convert
    cells_of = [raw[name] for name in typed]
    for i, cells in enumerate(zip(*cells_of, strict=True)):
        values: dict[str, str | None] = dict(zip(typed, cells, strict=True))
        for name in optional:
            if not values[name]:
                values[name] = None
        try:
            row = convert(values, Row, strict=False)
        except msgspec.ValidationError as error:
            field = str(error).rpartition("$.")[2].rstrip("`")
            problems.add(numbers[i], field, f"{values.get(field)!r} is not a number")
            continue
        for field, wrong in _check(row):
            problems.add(numbers[i], field, wrong)
        for name in optional:
            if (number := getattr(row, name)) is not None:
                floats[name][i] = number
        for field, text, version in (("address", row.address, 4), ("address6", row.address6, 6)):
            if not text:
                continue
            parsed = parse_address(text)
            if parsed is None:
                problems.add(numbers[i], field, f"{text!r} is not an IP address (names are not resolved)")
            elif len(parsed) != (4 if version == 4 else 16):
                problems.add(numbers[i], field, f"{text!r} is not an IPv{version} address")
            elif wrong := rules.refuse_bytes(parsed):
                problems.add(numbers[i], field, f"{text!r} {wrong}")
            elif version == 4:
                four[i] = int.from_bytes(parsed, "big")
            else:
                six[i] = int.from_bytes(parsed[:8], "big"), int.from_bytes(parsed[8:], "big")
    for name, text_builder in into.unique.items():
        text_builder.extend(raw.get(name, empty))
    for name, builder in into.repeated.items():
        builder.extend(raw.get(name, empty))
    for name, builder in into.extra.items():
        builder.extend(raw[name])
    into.address4.append(four)
    into.address6.append(six)
    for name, column in floats.items():
        into.floats[name].append(column)
    into.rows.append(np.array(numbers, np.int32))


def _check(row: Row) -> Iterator[tuple[str, str]]:
    """What a type cannot say: (field, what is wrong)."""
    if not row.line_id:
        yield "line_id", "is empty"
    elif row.line_id.startswith(RESERVED):
        yield "line_id", f"{row.line_id!r} may not start with a reserved word and a colon"
    if not row.path:
        yield "path", "is empty: write the elements from coarse to fine, as north/ex-12/olt-3"
    elif "//" in row.path or row.path[0] == "/" or row.path[-1] == "/":
        yield "path", f"{row.path!r} has an element without a name"
    for name, value, low, high in (
        ("lat", row.lat, -90.0, 90.0),
        ("lon", row.lon, -180.0, 180.0),
        ("down_mbps", row.down_mbps, 0.0, 1e7),
        ("up_mbps", row.up_mbps, 0.0, 1e7),
        ("sla_restore_h", row.sla_restore_h, 0.0, 1e5),
    ):
        if value is not None and not low <= value <= high:
            yield name, f"{value} is not between {low:g} and {high:g}"
    if (row.lat is None) != (row.lon is None):
        yield ("lon" if row.lon is None else "lat"), "is empty, but the other half of the position is given"
    if row.groups:
        for group in row.groups.split(";"):
            kind, colon, name = group.partition(":")
            if group.strip() and not (kind.strip() and colon and name.strip()):
                yield "groups", f"{group!r} is not written kind:name"


def _assemble(
    path: Path,
    columns: _Columns,
    settings: InventorySettings,
    details: dict[str, tuple[str, float, float, str]],
    generation: int,
    problems: _Problems,
) -> Inventory:
    path_column = columns.repeated.pop("path").build()
    group_column = columns.repeated.pop("groups").build()
    line_id = columns.unique.pop("line_id").build()
    file_row: I32 = np.concatenate(columns.rows)

    used = [path_column.values[c] for c in np.unique(path_column.codes).tolist()]
    paths = order_paths([*used, *details])
    position = {p: i for i, p in enumerate(paths)}
    leaf_of_code = np.array([position.get(v, -1) for v in path_column.values], np.int32)
    leaf = leaf_of_code[path_column.codes]
    order = _by_leaf_then_id(leaf, line_id)

    texts: dict[str, StringColumn | CategoryColumn] = {"line_id": line_id.take(order)}
    for name in list(columns.unique):
        texts[name] = columns.unique.pop(name).build().take(order)
    for name in list(columns.repeated):
        texts[name] = columns.repeated.pop(name).build().take(order)
    attributes: dict[str, CategoryColumn | StringColumn] = {
        name: builder.build().take(order) for name, builder in columns.extra.items()
    }
    leaf = leaf[order]
    floats = {name: np.concatenate(parts)[order] for name, parts in columns.floats.items()}
    elements = build_elements(
        paths,
        leaf,
        _kinds(paths, leaf, texts["technology"], settings, details),
        {p: (d[0], d[1], d[2]) for p, d in details.items()},
    )
    inventory = Inventory(
        generation=generation,
        source=str(path),
        texts=texts,
        attributes=attributes,
        address4=np.concatenate(columns.address4)[order],
        address6=np.concatenate(columns.address6)[order],
        lat=floats["lat"],
        lon=floats["lon"],
        numbers={name: floats[name].astype(np.float32) for name in NUMBERS},
        leaf=leaf,
        file_row=file_row[order],
        elements=elements,
        groups=_groups(texts, group_column.take(order), len(leaf)),
    )
    _refuse_duplicates(inventory, problems)
    problems.raise_any()
    return inventory


def _by_leaf_then_id(leaf: I32, line_id: StringColumn) -> np.ndarray:
    """Order of rows by leaf, then line_id: independent of the order in the file."""
    ids = np.array(line_id.many(np.arange(len(line_id))), dtype=object)
    by_id = np.argsort(ids, kind="stable")
    return by_id[np.argsort(leaf[by_id], kind="stable")]


def _refuse_duplicates(inventory: Inventory, problems: _Problems) -> None:
    inventory.index_of("-")  # builds the index
    ids, rows = inventory.line_ids, inventory.file_row
    for first, again in inventory._indexes["line_id"].repeated():
        if ids[first] == ids[again]:
            low, high = sorted((int(rows[first]), int(rows[again])))
            problems.add(high, "line_id", f"{ids[again]!r} is there already in line {low}")


def _kinds(
    paths: list[str],
    leaf: I32,
    technology: StringColumn | CategoryColumn,
    settings: InventorySettings,
    details: dict[str, tuple[str, float, float, str]],
) -> list[str]:
    """The name of each element's level: from elements.csv, else from the technology of the lines under it."""
    assert isinstance(technology, CategoryColumn)
    kinds = [""] * len(paths)
    index = {p: i for i, p in enumerate(paths)}
    # One line of each leaf says the technology; it names the whole chain above, unless that is named already.
    leaves, first = np.unique(leaf, return_index=True)
    for element, row in zip(leaves.tolist(), first.tolist(), strict=True):
        levels = settings.levels.get(technology[row], ())
        parts = paths[element].split("/")
        for depth in range(len(parts), 0, -1):
            i = index["/".join(parts[:depth])]
            if kinds[i]:
                break
            kinds[i] = levels[depth - 1] if depth <= len(levels) else ("region" if depth == 1 else f"level-{depth}")
    for p, detail in details.items():
        if detail[3]:
            kinds[index[p]] = detail[3]
    return [
        kind or ("region" if "/" not in p else f"level-{p.count('/') + 1}")
        for kind, p in zip(kinds, paths, strict=True)
    ]


def _groups(texts: dict[str, StringColumn | CategoryColumn], given: CategoryColumn, lines: int) -> Groups:
    """Groups given in the file, and those derived from CPE model and firmware."""
    model, firmware = texts["cpe_model"], texts["cpe_firmware"]
    assert isinstance(model, CategoryColumn)
    assert isinstance(firmware, CategoryColumn)
    names: dict[str, int] = {}
    line_parts: list[np.ndarray] = []
    group_parts: list[np.ndarray] = []
    both = model.codes.astype(np.int64) * len(firmware.values) + firmware.codes
    distinct, both_codes = np.unique(both, return_inverse=True)
    derived: list[list[str]] = []
    for value in distinct.tolist():
        m, f = model.values[value // len(firmware.values)], firmware.values[value % len(firmware.values)]
        derived.append(([f"cpe:{m}"] if m else []) + ([f"firmware:{m}-{f}"] if m and f else []))
    written = [
        [f"{k.strip()}:{n.strip()}" for g in text.split(";") if g.strip() for k, _, n in [g.partition(":")]]
        for text in given.values
    ]
    for codes, members in ((both_codes, derived), (given.codes, written)):
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(members) + 1))
        for code, groups in enumerate(members):
            rows = order[bounds[code] : bounds[code + 1]].astype(np.int32)
            for group in dict.fromkeys(groups):
                line_parts.append(rows)
                group_parts.append(np.full(len(rows), names.setdefault(group, len(names)), np.int32))
    listed = sorted(names)
    rank = np.zeros(max(len(names), 1), np.int32)
    for i, name in enumerate(listed):
        rank[names[name]] = i
    line = np.concatenate([np.zeros(0, np.int32), *line_parts])
    group = rank[np.concatenate([np.zeros(0, np.int32), *group_parts])]
    return build_groups(listed, line, group, lines)
