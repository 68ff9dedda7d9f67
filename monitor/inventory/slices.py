"""Who probes what, when several probers share one inventory: a stable hash of the line's id decides.

Rendezvous hashing: each prober draws a number for each line, and the highest wins. The result depends on the id and the
probers' names alone, so every machine comes to the same slices by itself, and a prober that is added or removed moves
only its own share. Elements with a management address are dealt out by their path in the same way.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from monitor.inventory.columns import StringColumn
from monitor.inventory.inventory import Inventory
from monitor.records.rounds import U8

U64 = npt.NDArray[np.uint64]
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
NAMES_MAX = 200


class Slices:
    """`names` of all probers, at most NAMES_MAX, in any order. Raises ValueError for none, or one that is twice."""

    def __init__(self, names: Sequence[str]) -> None:
        if not names or len(set(names)) < len(names) or len(names) > NAMES_MAX or not all(names):
            raise ValueError(f"give 1 to {NAMES_MAX} probers, each with a name of its own")
        self.names = tuple(sorted(names))
        self._seeds = hashes(StringColumn.of(self.names))

    def index_of(self, name: str) -> int:
        """Raises ValueError for a prober that is not one of these."""
        return self.names.index(name)

    def lines(self, inventory: Inventory) -> U8:
        """For every line its prober, uint8 [lines], an index into `names`."""
        return self._owners(hashes(inventory.line_ids))

    def elements(self, inventory: Inventory) -> U8:
        """For every element the prober that probes its management address, uint8 [elements]."""
        return self._owners(hashes(StringColumn.of(inventory.elements.paths)))

    def _owners(self, keys: U64) -> U8:
        owner = np.zeros(len(keys), np.uint8)
        best = _mixed(keys ^ self._seeds[0])
        for index, seed in enumerate(self._seeds[1:], 1):
            drawn = _mixed(keys ^ seed)
            owner[drawn > best] = index
            np.maximum(best, drawn, out=best)
        return owner


def hashes(texts: StringColumn) -> U64:
    """FNV-1a (64 bits) of each text's UTF-8, mixed once more; the same on every machine, unlike Python's own."""
    blob = np.frombuffer(texts.blob, np.uint8)
    start = texts.offsets[:-1].astype(np.int64)
    length = np.diff(texts.offsets).astype(np.int64)
    value = np.full(len(length), FNV_START, np.uint64)
    # The longest last: each pass needs only the texts that are long enough.
    order = np.argsort(length, kind="stable")
    ordered = length[order]
    for at in range(int(length.max(initial=0))):
        rows = order[np.searchsorted(ordered, at, "right") :]
        value[rows] = (value[rows] ^ blob[start[rows] + at]) * FNV_PRIME
    return _mixed(value)


def _mixed(value: U64) -> U64:
    """The finaliser of SplitMix64: every bit of the input moves half of those of the output."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: U64 = value ^ (value >> np.uint64(31))
    return mixed


def digest(inventory: Inventory) -> str:
    """Equal for inventories whose lines have the same ids in the same rows: row numbers then mean the same."""
    import hashlib

    parts: Iterable[bytes | memoryview] = (memoryview(inventory.line_ids.blob), inventory.line_ids.offsets.tobytes())
    made = hashlib.sha256()
    for part in parts:
        made.update(part)
    return made.hexdigest()[:32]
