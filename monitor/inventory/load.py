"""Reads inventory.csv (and elements.csv), whole or not at all.

Rows become compact columns chunk by chunk, so that a million lines need neither a million Python objects nor a second
copy. Every mistake names file, line and field; the first ones are collected and raised together, before anything is
handed out.
"""

from collections.abc import Callable
from pathlib import Path

from monitor.inventory.address import AddressRules
from monitor.inventory.assemble import assemble
from monitor.inventory.csvfile import Problems, open_csv
from monitor.inventory.elements_file import load_elements
from monitor.inventory.inventory import Inventory
from monitor.inventory.keys import PhoneRule
from monitor.inventory.problems import InputProblems
from monitor.inventory.rows import Columns
from monitor.inventory.settings import InventorySettings

CHUNK = 1024  # small enough to stay in the processor's cache


def load_inventory(
    path: Path,
    settings: InventorySettings | None = None,
    elements_path: Path | None = None,
    generation: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Inventory:
    """The inventory in `path` (UTF-8, comma or semicolon). `progress` is called with the lines read so far.

    Raises InputProblems, and then nothing is loaded; ValueError for a wrong setting.
    """
    settings = settings or InventorySettings()
    phones = PhoneRule.of(settings.country)
    rules = AddressRules(settings.allowed_prefixes)
    details = load_elements(elements_path, rules) if elements_path else {}
    problems = Problems(str(path))
    with open_csv(path, problems) as rows:
        if not rows.header:
            raise InputProblems.one(str(path), "the file is empty: a header row and at least one line are needed")
        rows.check_header(("line_id", "path"))
        columns = Columns(rows.header, rules, problems)
        for lines, cells in rows.chunks(CHUNK):
            columns.add(cells, lines)
            if progress:
                progress(len(columns))
    problems.raise_any()
    if not len(columns):
        raise InputProblems.one(str(path), "has a header but no lines")
    inventory = assemble(str(path), columns, settings, details, phones, generation)
    for line_id, line, first in inventory.duplicates():
        problems.add(line, "line_id", f"{line_id!r} is there already in line {first}")
    problems.raise_any()
    return inventory
