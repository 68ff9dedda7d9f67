"""The target table: every line, node and reference with its address, in the order in which they are probed.

The lines of one access node are spread evenly over the whole round, each node with a phase of its own, so that no
node meets a burst of probes and neighbours are asked at different times. The order depends on the inventory alone: a
line is asked at the same point of every round.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.icmp.settings import IcmpSettings
from collectors.icmp.siphash import U64
from monitor.inventory import Bindings, Inventory, Observability
from monitor.inventory.address import parse_address
from monitor.records import Reference
from monitor.records.rounds import I32, U8, TargetKind

KINDS = (TargetKind.LINE, TargetKind.ELEMENT, TargetKind.REFERENCE)
GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, lie evenly
PLASTIC = 0.7548776662466927
FALLBACK_DEPTH = 2


@dataclass(slots=True)
class Targets:
    """m targets in probing order; those before `round_rows` make the scheduled round, the references follow.

    `kind` uint8 [m] (index into KINDS), `index` int32 [m] into the inventory's lines, elements, or the references;
    `family` uint8 [m] (0: not to be probed), `high`, `low` uint64 [m]; `node` int32 [m] the access node's element,
    `bng` int32 [m] the `bng:` group (-1: none). `line_at` int32 [lines], `element_at` int32 [elements] (-1: none) and
    `reference_at` are the positions. `largest` is the number of lines of the largest access node.
    """

    generation: int
    kind: U8
    index: I32
    family: U8
    high: U64
    low: U64
    node: I32
    bng: I32
    round_rows: int
    line_at: I32
    element_at: I32
    reference_at: I32
    largest: int

    def __len__(self) -> int:
        return len(self.kind)

    def positions(self, kind: TargetKind, index: I32) -> I32:
        """Where these targets stand; those that do not exist, or have no address ever, are left out."""
        at = {TargetKind.LINE: self.line_at, TargetKind.ELEMENT: self.element_at}.get(kind, self.reference_at)
        if kind is TargetKind.RESOLVER:
            return np.zeros(0, np.int32)
        found = at[index[(index >= 0) & (index < len(at))]]
        return found[found >= 0]


def line_addresses(bindings: Bindings, lines: npt.NDArray[np.integer] | slice) -> tuple[U8, U64, U64]:
    """Family, high and low of these lines' addresses now; family 0 for a line that may not be judged by ping."""
    low4 = bindings.address4[lines].astype(np.uint64)
    address6 = bindings.address6[lines]
    family = np.where(low4 > 0, 4, 6).astype(np.uint8)
    family[bindings.reason[lines] != Observability.OBSERVABLE] = 0
    four = family == 4
    zero = np.uint64(0)
    return family, np.where(four, zero, address6[:, 0]), np.where(four, low4, address6[:, 1])


def access_nodes(inventory: Inventory, kinds: tuple[str, ...]) -> I32:
    """For every element the access node at or above it: the finest of these kinds, else the third level of its path
    (or what there is of it). int32 [elements]."""
    elements = inventory.elements
    node = np.arange(len(elements), dtype=np.int32)
    named = np.zeros(len(elements), np.bool_)
    for i, (kind, parent) in enumerate(zip(elements.kinds, elements.parent.tolist(), strict=True)):
        if kind in kinds:
            named[i] = True
        elif parent >= 0 and (named[parent] or elements.depth[i] > FALLBACK_DEPTH):
            node[i], named[i] = node[parent], named[parent]
    return node


def build(inventory: Inventory, bindings: Bindings, settings: IcmpSettings) -> Targets:
    """The table for these lines as they are bound now."""
    elements = inventory.elements
    node = access_nodes(inventory, settings.node_kinds)
    lines = len(inventory)
    line_node = node[inventory.leaf] if lines else np.zeros(0, np.int32)
    size = np.bincount(line_node, minlength=len(elements))
    family, high, low = line_addresses(bindings, slice(None))
    line_key = (rank_in_group(line_node) + (line_node * GOLDEN) % 1.0) / np.maximum(size[line_node], 1)

    probed = [i for i, text in enumerate(elements.address) if text] if settings.elements else []
    element_rows = np.array(probed, np.int32)
    element_addresses = _parse([elements.address[i] for i in probed])
    element_key = (element_rows * PLASTIC) % 1.0

    order = np.argsort(np.concatenate([line_key, element_key]), kind="stable")
    reference_addresses = _parse([reference.address for reference in settings.references])
    count, extra = len(order), len(settings.references)
    kind = np.concatenate([np.zeros(lines, np.uint8), np.ones(len(probed), np.uint8)])[order]
    index = np.concatenate([np.arange(lines, dtype=np.int32), element_rows])[order]

    bng = np.full(lines, -1, np.int32)
    for group in [i for i, name in enumerate(inventory.groups.kinds) if name == "bng"]:
        bng[inventory.groups.lines_of(group)] = group
    none = np.full(extra, -1, np.int32)
    line_at, element_at = np.full(lines, -1, np.int32), np.full(len(elements), -1, np.int32)
    places = np.arange(count, dtype=np.int32)
    line_at[index[kind == 0]] = places[kind == 0]
    element_at[index[kind == 1]] = places[kind == 1]
    family_all, high_all, low_all = (
        np.concatenate([np.concatenate([mine, theirs])[order], last])
        for mine, theirs, last in zip((family, high, low), element_addresses, reference_addresses, strict=True)
    )
    return Targets(
        generation=inventory.generation,
        kind=np.concatenate([kind, np.full(extra, 2, np.uint8)]),
        index=np.concatenate([index, np.arange(extra, dtype=np.int32)]),
        family=family_all,
        high=high_all,
        low=low_all,
        node=np.concatenate([np.concatenate([line_node, node[element_rows]])[order], none]),
        bng=np.concatenate([np.concatenate([bng, np.full(len(probed), -1, np.int32)])[order], none]),
        round_rows=count,
        line_at=line_at,
        element_at=element_at,
        reference_at=np.arange(count, count + extra, dtype=np.int32),
        largest=int(size.max(initial=0)),
    )


def rank_in_group(groups: I32) -> npt.NDArray[np.int64]:
    """For each row, how many rows before it are of the same group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.searchsorted(ordered, ordered, "left")
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - first
    return rank


def _parse(texts: list[str]) -> tuple[U8, U64, U64]:
    """Addresses as columns; family 0 where a text is none (the inventory has refused those already)."""
    family, high, low = [], [], []
    for text in texts:
        raw = parse_address(text)
        value = int.from_bytes(raw or b"", "big")
        family.append(0 if raw is None else 4 if len(raw) == 4 else 6)
        high.append(value >> 64)
        low.append(value & 0xFFFFFFFFFFFFFFFF)
    return np.array(family, np.uint8), np.array(high, np.uint64), np.array(low, np.uint64)


def check_references(references: tuple[Reference, ...]) -> None:
    """Raises ValueError, naming the reference, when its address is none."""
    for reference in references:
        if parse_address(reference.address) is None:
            wrong = f"{reference.address!r} is not an IP address (names are not resolved)"
            raise ValueError(f"icmp.references: {reference.name}: {wrong}")
