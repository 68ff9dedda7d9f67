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
from monitor.inventory.slices import Slices
from monitor.records import Reference
from monitor.records.rounds import I32, U8, TargetKind

# A line that has IPv4 and IPv6 stands twice: its second place (SECOND) is the IPv6 one, a witness of its own.
KINDS = (TargetKind.LINE, TargetKind.ELEMENT, TargetKind.REFERENCE, TargetKind.LINE)
SECOND = 3
GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, lie evenly
PLASTIC = 0.7548776662466927
FALLBACK_DEPTH = 2


@dataclass(slots=True)
class Targets:
    """m targets in probing order; those before `round_rows` make the scheduled round, the references follow.

    `kind` uint8 [m] (index into KINDS), `index` int32 [m] into the inventory's lines, elements, or the references;
    `family` uint8 [m] (0: not to be probed), `high`, `low` uint64 [m]; `node` int32 [m] the access node's element,
    `bng` int32 [m] the `bng:` group (-1: none). `line_at`, `second_at` int32 [lines], `element_at` int32 [elements]
    (-1: none, or another prober's) and `reference_at` are the positions. `largest` is the number of targets behind the
    largest access node.
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
    second_at: I32
    element_at: I32
    reference_at: I32
    largest: int

    def __len__(self) -> int:
        return len(self.kind)

    def positions(self, kind: TargetKind, index: I32) -> I32:
        """Where these targets stand, lines with both their places; those that do not exist, have no address ever, or
        are another prober's are left out."""
        tables = {
            TargetKind.LINE: (self.line_at, self.second_at),
            TargetKind.ELEMENT: (self.element_at,),
            TargetKind.REFERENCE: (self.reference_at,),
        }.get(kind, ())
        found = [at[index[(index >= 0) & (index < len(at))]] for at in tables]
        places = np.concatenate([np.zeros(0, np.int32), *found])
        return places[places >= 0]

    def mine(self, kind: TargetKind, index: I32) -> I32:
        """Those of these targets that this prober may be asked for."""
        at = {TargetKind.LINE: self.line_at, TargetKind.ELEMENT: self.element_at}.get(kind)
        if at is None:
            return index
        index = index[(index >= 0) & (index < len(at))]
        return index[at[index] >= 0]


def line_addresses(
    bindings: Bindings, lines: npt.NDArray[np.integer] | slice, second: bool = False
) -> tuple[U8, U64, U64]:
    """Family, high and low of these lines' addresses now, IPv4 before IPv6; `second`: the IPv6 address of lines that
    have both. Family 0 for a line that has none, or may not be judged by ping."""
    low4 = bindings.address4[lines].astype(np.uint64)
    address6 = bindings.address6[lines]
    family = np.where((low4 > 0) & (not second), 4, 6).astype(np.uint8)
    if second:
        family[(low4 == 0) | ~address6.any(axis=1)] = 0
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


def build(
    inventory: Inventory, bindings: Bindings, settings: IcmpSettings, slices: Slices | None = None, source: str = ""
) -> Targets:
    """The table for these lines as they are bound now; with `slices` only those that are this source's to probe."""
    elements = inventory.elements
    node = access_nodes(inventory, settings.node_kinds)
    lines, probed = _share(inventory, settings, slices, source)
    both = lines[line_addresses(bindings, lines, second=True)[0] > 0]
    line_node, both_node = node[inventory.leaf[lines]], node[inventory.leaf[both]]
    size = np.bincount(line_node, minlength=len(elements))
    line_rank, phase = rank_in_group(line_node), (np.arange(len(elements)) * GOLDEN) % 1.0
    line_key = (line_rank + phase[line_node]) / np.maximum(size[line_node], 1)
    # The other witness is asked half a round later, between two other lines of its node.
    both_rank = line_rank[np.searchsorted(lines, both)] + size[both_node] // 2 + 0.5 + phase[both_node]
    both_key = (both_rank / np.maximum(size[both_node], 1)) % 1.0

    rows = (lines, probed, np.arange(len(settings.references), dtype=np.int32), both)
    nodes = (line_node, node[probed], np.full(len(rows[2]), -1, np.int32), both_node)
    addresses = (
        line_addresses(bindings, lines),
        _parse([elements.address[i] for i in probed.tolist()]),
        _parse([reference.address for reference in settings.references]),
        line_addresses(bindings, both, second=True),
    )
    bng = np.full(len(inventory), -1, np.int32)
    for group in [i for i, name in enumerate(inventory.groups.kinds) if name == "bng"]:
        bng[inventory.groups.lines_of(group)] = group
    bngs = (bng[lines], np.full(len(probed), -1, np.int32), np.full(len(rows[2]), -1, np.int32), bng[both])
    keys = (line_key, (probed * PLASTIC) % 1.0, np.full(len(rows[2]), np.inf), both_key)

    order = np.argsort(np.concatenate(keys), kind="stable")
    kind = np.concatenate([np.full(len(r), code, np.uint8) for code, r in enumerate(rows)])[order]
    index = np.concatenate(rows).astype(np.int32)[order]
    family = np.concatenate([columns[0] for columns in addresses])[order]
    high = np.concatenate([columns[1] for columns in addresses])[order]
    low = np.concatenate([columns[2] for columns in addresses])[order]
    at = [np.full(n, -1, np.int32) for n in (len(inventory), len(elements), len(rows[2]), len(inventory))]
    places = np.arange(len(order), dtype=np.int32)
    for code, table in enumerate(at):
        table[index[kind == code]] = places[kind == code]
    return Targets(
        generation=inventory.generation,
        kind=kind,
        index=index,
        family=family,
        high=high,
        low=low,
        node=np.concatenate(nodes).astype(np.int32)[order],
        bng=np.concatenate(bngs)[order],
        round_rows=len(order) - len(rows[2]),
        line_at=at[0],
        second_at=at[3],
        element_at=at[1],
        reference_at=at[2],
        largest=int((size + np.bincount(both_node, minlength=len(elements))).max(initial=0)),
    )


def _share(inventory: Inventory, settings: IcmpSettings, slices: Slices | None, source: str) -> tuple[I32, I32]:
    """The lines and the elements with an address that are probed from here, ascending."""
    lines = np.arange(len(inventory), dtype=np.int32)
    probed = [i for i, text in enumerate(inventory.elements.address) if text] if settings.elements else []
    elements = np.array(probed, np.int32)
    if slices is None:
        return lines, elements
    mine = slices.names.index(source) if source in slices.names else -1
    return lines[slices.lines(inventory) == mine], elements[slices.elements(inventory)[elements] == mine]


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
