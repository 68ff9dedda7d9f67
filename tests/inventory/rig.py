"""Inventories for tests: written as files, loaded as the daemon does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from monitor.inventory import Inventory, InventorySettings, load_inventory


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def csv_of(rows: Sequence[Mapping[str, str]], separator: str = ",") -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [separator.join(names)]
    for row in rows:
        cells = []
        for name in names:
            cell = row.get(name, "")
            quoted = '"' + cell.replace('"', '""') + '"'
            cells.append(quoted if any(c in cell for c in f'{separator}"\n\r') else cell)
        lines.append(separator.join(cells))
    return "\n".join(lines) + "\n"


def load(path: Path, rows: Sequence[Mapping[str, str]], settings: InventorySettings | None = None) -> Inventory:
    return load_inventory(write(path, csv_of(rows)), settings)


def line(line_id: str, path: str = "north/ex-1/olt-1", **more: str) -> dict[str, str]:
    return {"line_id": line_id, "path": path, **more}
