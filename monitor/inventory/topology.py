"""The tree of elements, as arrays.

Lines are ordered by path, so the lines under an element are one slice: `lo[e]:hi[e]`. Sums over elements are
differences of one cumulative sum; no per-element lists are kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from monitor.records.rounds import I32


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """m elements in depth-first order, a parent before its children.

    `paths` whole path each; `parent` int32 [m], -1 at the top; `depth` int32 [m], 0 at the top; `kinds` the level's
    name; `lo`, `hi` int32 [m]: the lines under it (at any depth) are rows lo:hi; `address` textual management address
    or ""; `lat`, `lon` float64 [m], NaN if unknown.
    """

    paths: tuple[str, ...]
    parent: I32
    depth: I32
    kinds: tuple[str, ...]
    lo: I32
    hi: I32
    address: tuple[str, ...]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    _index: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index.update({path: i for i, path in enumerate(self.paths)})

    def __len__(self) -> int:
        return len(self.paths)

    def index_of(self, path: str) -> int | None:
        return self._index.get(path)

    def size(self) -> I32:
        """Lines under each element, int32 [m]."""
        return self.hi - self.lo

    def sum(self, per_line: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        """Sum of a per-line integer or boolean array [n] under each element, int64 [m]."""
        total = np.zeros(per_line.shape[0] + 1, np.int64)
        np.cumsum(per_line, out=total[1:])
        result: npt.NDArray[np.int64] = total[self.hi] - total[self.lo]
        return result

    def ancestors(self, element: int) -> list[int]:
        """The element itself and everything above it, finest first."""
        chain = []
        while element >= 0:
            chain.append(element)
            element = int(self.parent[element])
        return chain

    def children(self, element: int) -> list[int]:
        return np.flatnonzero(self.parent == element).tolist()

    def named(self, kinds: Sequence[str]) -> "Elements":
        """The same elements with the names of their levels."""
        return replace(self, kinds=tuple(kinds))


def order_paths(paths: Iterable[str]) -> list[str]:
    """Every path and every prefix of one, depth-first, siblings by name."""
    seen: set[tuple[str, ...]] = set()
    for path in paths:
        parts = tuple(path.split("/"))
        while parts and parts not in seen:
            seen.add(parts)
            parts = parts[:-1]
    return ["/".join(parts) for parts in sorted(seen)]


class Detail(Protocol):
    """What may be known of an element beside its lines."""

    @property
    def address(self) -> str: ...
    @property
    def lat(self) -> float: ...
    @property
    def lon(self) -> float: ...


def build_elements(paths: Sequence[str], leaf_of_line: I32, details: Mapping[str, Detail]) -> Elements:
    """Elements, their kinds not named yet, from depth-first `paths` and the (ascending) leaf of each line."""
    index = {path: i for i, path in enumerate(paths)}
    count = len(paths)
    parent = np.full(count, -1, np.int32)
    depth = np.zeros(count, np.int32)
    for i, path in enumerate(paths):
        above, slash, _ = path.rpartition("/")
        if slash:
            parent[i] = index[above]
            depth[i] = depth[parent[i]] + 1
    # In depth-first order the subtree of i is i:end[i]; its lines are contiguous because lines are sorted by leaf.
    end = list(range(1, count + 1))
    above_of = parent.tolist()
    for i in range(count - 1, -1, -1):
        if above_of[i] >= 0:
            end[above_of[i]] = max(end[above_of[i]], end[i])
    first = np.searchsorted(leaf_of_line, np.arange(count + 1), "left").astype(np.int32)
    lat, lon = np.full(count, np.nan), np.full(count, np.nan)
    address = [""] * count
    for path, detail in details.items():
        i = index[path]
        address[i], lat[i], lon[i] = detail.address, detail.lat, detail.lon
    return Elements(
        paths=tuple(paths),
        parent=parent,
        depth=depth,
        kinds=("",) * count,
        lo=first[:-1],
        hi=first[end],
        address=tuple(address),
        lat=lat,
        lon=lon,
    )
