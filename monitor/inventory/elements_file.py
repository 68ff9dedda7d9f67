"""Reads elements.csv: what is known of single elements beyond the lines under them."""

from pathlib import Path
from typing import NamedTuple

from monitor.inventory.address import AddressRules
from monitor.inventory.csvfile import CsvRows, Problems, open_csv
from monitor.inventory.rows import wrong_path


class ElementDetail(NamedTuple):
    """`address` textual management address or ""; `lat`, `lon` NaN if unknown; `kind` of the element or ""."""

    address: str = ""
    lat: float = float("nan")
    lon: float = float("nan")
    kind: str = ""


def load_elements(path: Path, rules: AddressRules) -> dict[str, ElementDetail]:
    """elements.csv by path. Raises InputProblems."""
    problems = Problems(str(path))
    with open_csv(path, problems) as rows:
        rows.check_header(("path",))
        found = _read(rows, rules, problems)
    problems.raise_any()
    return found


def _read(rows: CsvRows, rules: AddressRules, problems: Problems) -> dict[str, ElementDetail]:
    found: dict[str, ElementDetail] = {}
    seen: dict[str, int] = {}
    for line, row in (pair for lines, chunk in rows.chunks(1000) for pair in zip(lines, chunk, strict=True)):
        cells = {name: cell.strip() for name, cell in zip(rows.header, row, strict=True)}
        path = cells["path"]
        if wrong := wrong_path(path):
            problems.add(line, "path", wrong)
        elif path in seen:
            problems.add(line, "path", f"{path!r} is there already in line {seen[path]}")
        seen[path] = line
        address = cells.get("address", "")
        if address and (wrong := rules.refuse(address)):
            problems.add(line, "address", wrong)
        position = []
        for field, limit in (("lat", 90.0), ("lon", 180.0)):
            text = cells.get(field, "")
            try:
                value = float(text) if text else float("nan")
            except ValueError:
                value = float("inf")
            if text and not abs(value) <= limit:
                problems.add(line, field, f"{text!r} is not a number between -{limit:g} and {limit:g}")
            position.append(value)
        found[path] = ElementDetail(address, position[0], position[1], cells.get("kind", ""))
    return found
