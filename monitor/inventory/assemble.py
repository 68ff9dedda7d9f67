"""Puts the columns of inventory.csv in order and builds the tree and the groups.

Rows go by path and line_id, whatever order the file had. Builders are emptied one by one, so that the peak stays
near the size of the result.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from monitor.inventory.columns import STEP, CategoryColumn, StringColumn
from monitor.inventory.elements_file import ElementDetail
from monitor.inventory.groups import Groups, build_groups
from monitor.inventory.inventory import Inventory
from monitor.inventory.keys import PhoneRule
from monitor.inventory.rows import NUMBERS, REPEATED, UNIQUE, Columns
from monitor.inventory.settings import InventorySettings
from monitor.inventory.topology import Elements, build_elements, order_paths
from monitor.records.rounds import I32


def assemble(
    source: str,
    columns: Columns,
    settings: InventorySettings,
    details: Mapping[str, ElementDetail],
    phones: PhoneRule,
    generation: int,
) -> Inventory:
    """The inventory of all rows that were read; the builders in `columns` are used up."""
    path = columns.repeated.pop("path").build()
    paths = order_paths([*(path.values[c] for c in np.unique(path.codes).tolist()), *details])
    position = {p: i for i, p in enumerate(paths)}
    leaf = np.array([position.get(v, -1) for v in path.values], np.int32)[path.codes]
    del path, position
    line_id = columns.unique.pop("line_id").build()
    order = order_rows(leaf, line_id)
    leaf = leaf[order]
    count = len(leaf)

    texts: dict[str, StringColumn | CategoryColumn] = {"line_id": line_id.take(order)}
    del line_id
    for name in UNIQUE[1:]:
        given = columns.unique.pop(name, None)
        texts[name] = given.build().take(order) if given else StringColumn(b"", np.zeros(count + 1, np.uint32))
    categories = {}
    for name in (*REPEATED, "groups"):
        repeated = columns.repeated.pop(name, None)
        categories[name] = repeated.build().take(order) if repeated else CategoryColumn(np.zeros(count, np.int32), [""])
    groups = categories.pop("groups")
    texts |= categories
    attributes = {name: columns.extra.pop(name).build().take(order) for name in list(columns.extra)}

    elements = build_elements(paths, leaf, details)
    return Inventory(
        generation=generation,
        source=source,
        texts=texts,
        attributes=attributes,
        address4=columns.address4.take()[order],
        # Where no line has one, these zeros are never touched and cost no memory.
        address6=columns.address6.take().reshape(-1, 2)[order] if columns.address6 else np.zeros((count, 2), np.uint64),
        lat=columns.positions["lat"].take()[order] if "lat" in columns.positions else np.full(count, np.nan),
        lon=columns.positions["lon"].take()[order] if "lon" in columns.positions else np.full(count, np.nan),
        numbers={
            name: columns.numbers[name].take()[order] if name in columns.numbers else np.full(count, np.nan, np.float32)
            for name in NUMBERS
        },
        leaf=leaf,
        file_row=columns.file_row.take()[order],
        elements=elements.named(element_kinds(elements, categories["technology"], settings.levels, details)),
        groups=_groups(groups, categories["cpe_model"], categories["cpe_firmware"]),
        phones=phones,
    )


def order_rows(leaf: I32, line_id: StringColumn) -> I32:
    """Order of rows by leaf, then line_id (by code point). The ids of one leaf at a time are held as objects."""
    order = np.argsort(leaf, kind="stable").astype(np.int32)
    sorted_leaf = leaf[order]
    begin = 0
    while begin < len(order):
        end = min(begin + STEP, len(order))
        if end < len(order):  # whole leaves only
            end = int(np.searchsorted(sorted_leaf, sorted_leaf[end - 1], "right"))
        ids = line_id.many(order[begin:end])
        by_id = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int32)
        by_leaf = by_id[np.argsort(sorted_leaf[begin:end][by_id], kind="stable")]
        order[begin:end] = order[begin:end][by_leaf]
        begin = end
    return order


def element_kinds(
    elements: Elements,
    technology: CategoryColumn,
    levels: Mapping[str, Sequence[str]],
    details: Mapping[str, ElementDetail],
) -> list[str]:
    """The name of each element's level: from elements.csv, else as the technology of most lines under it names it."""
    best = np.zeros(len(elements), np.int64)
    winner = np.zeros(len(elements), np.int32)
    for code, name in enumerate(technology.values):
        if name in levels:
            lines = elements.sum(technology.codes == code)
            winner[lines > best] = code
            best = np.maximum(best, lines)
    kinds = []
    for path, code, depth in zip(elements.paths, winner.tolist(), elements.depth.tolist(), strict=True):
        names = levels.get(technology.values[code], ())
        kind = names[depth] if depth < len(names) else ("region" if depth == 0 else f"level-{depth + 1}")
        kinds.append((details[path].kind if path in details else "") or kind)
    return kinds


def _groups(given: CategoryColumn, model: CategoryColumn, firmware: CategoryColumn) -> Groups:
    """Groups given in the file, and those derived from CPE model and firmware."""
    members: dict[str, list[I32]] = {}
    for codes, names in (_derived(model, firmware), _written(given)):
        order = np.argsort(codes, kind="stable").astype(np.int32)
        bounds = np.searchsorted(codes, np.arange(len(names) + 1), sorter=order)
        for code, groups in enumerate(names):
            for group in groups:
                members.setdefault(group, []).append(order[bounds[code] : bounds[code + 1]])
    return build_groups(members, len(given))


def _written(given: CategoryColumn) -> tuple[I32, list[list[str]]]:
    """Per line the code of its list of groups, and the lists."""
    return given.codes, [list(dict.fromkeys(_split(text))) for text in given.values]


def _split(text: str) -> Iterator[str]:
    for group in text.split(";"):
        kind, _, name = group.partition(":")
        if name:
            yield f"{kind.strip()}:{name.strip()}"


def _derived(model: CategoryColumn, firmware: CategoryColumn) -> tuple[I32, list[list[str]]]:
    """`cpe:MODEL` and `firmware:MODEL-VERSION` of every combination that occurs."""
    count = len(firmware.values)
    distinct, codes = np.unique(model.codes.astype(np.int64) * count + firmware.codes, return_inverse=True)
    names = []
    for value in distinct.tolist():
        m, f = model.values[value // count], firmware.values[value % count]
        names.append(([f"cpe:{m}"] if m else []) + ([f"firmware:{m}-{f}"] if m and f else []))
    return codes.astype(np.int32), names
