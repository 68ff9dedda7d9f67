"""Chooses what shall fail in a virtual provider, so that every fault is clear-cut and no two touch each other.

The power cut comes first: a disc that holds lines of several OLTs, ports and splitters and that no element, feeder
or duct explains. Splitter and OLT are then taken where that disc has no line, and the single lines where nothing else
fails. Everything is drawn with a seed; the lines of a fault are those in service.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.lab.isp import KM_PER_DEGREE, Isp
from monitor.lab.process import LabError
from monitor.records.rounds import I64

MIN_SPLITTER_LINES = 8
CANDIDATES = 150
RADII_KM = (0.16, 0.20, 0.25, 0.30, 0.36, 0.45)
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A disc; `lines` int64: the lines in service inside, ascending."""

    lat: float
    lon: float
    radius_km: float
    lines: I64


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """`splitter` is a leaf, `olt` a node of the provider; single lines are in service on splitters that are well."""

    splitter: int
    splitter_lines: I64
    olt: int
    olt_lines: I64
    power: Area
    slow: int
    unstable: int
    dead: int
    fading: int


def choose_targets(isp: Isp, seed: int = 1) -> Targets:
    """Raises LabError when the provider is too small for faults that do not touch each other."""
    rng = np.random.default_rng([seed, 0x7A6])
    power = _power_area(isp, rng)
    busy = np.zeros(len(isp.nodes), np.bool_)
    busy[np.unique(isp.node[power.lines])] = True
    splitter = _splitter(isp, rng, busy)
    splitter_node = int(isp.node[np.searchsorted(isp.leaf, splitter)])
    busy[splitter_node] = True
    olt = _olt(isp, rng, busy, isp.nodes[splitter_node].exchange)
    busy[olt] = True
    singles = _singles(isp, rng, power, busy, splitter_node, olt)
    return Targets(
        splitter=splitter,
        splitter_lines=np.flatnonzero((isp.leaf == splitter) & isp.active),
        olt=olt,
        olt_lines=np.flatnonzero((isp.node == olt) & isp.active),
        power=power,
        slow=singles[0],
        unstable=singles[1],
        dead=singles[2],
        fading=singles[3],
    )


def _power_area(isp: Isp, rng: np.random.Generator) -> Area:
    """The disc, of many drawn ones, that elements and groups explain worst."""
    total = len(isp)
    fewest, most = round(min(70, max(15, total * 0.06))), round(min(170, max(45, total * 0.1)))
    best: tuple[float, Area] | None = None
    nodes_left = sum(node.kind == "olt" for node in isp.nodes) - 2
    per_km = KM_PER_DEGREE, KM_PER_DEGREE * float(np.cos(np.radians(isp.lat.mean())))
    for line in rng.integers(0, total, CANDIDATES).tolist():
        lat = round(float(isp.lat[line] + rng.normal(0, 0.04) / per_km[0]), 4)
        lon = round(float(isp.lon[line] + rng.normal(0, 0.04) / per_km[1]), 4)
        near = np.flatnonzero(np.abs(isp.lat - lat) * per_km[0] < RADII_KM[-1])
        away = np.hypot((isp.lat[near] - lat) * per_km[0], (isp.lon[near] - lon) * per_km[1])
        for radius in RADII_KM:
            inside = near[(away <= radius) & isp.active[near]]
            if len(inside) < fewest:
                continue
            if len(inside) > most:
                break
            olts = np.unique(isp.node[inside])
            if len(olts) < 2 or len(olts) > nodes_left or len(np.unique(isp.port[inside])) < 3:
                continue
            middle_km = np.hypot((isp.lat[inside].mean() - lat) * per_km[0], (isp.lon[inside].mean() - lon) * per_km[1])
            score = _explained(isp, inside) + float(middle_km) / radius  # a lopsided disc has no clear centre
            if best is None or score < best[0]:
                best = score, Area(lat, lon, radius, inside.astype(np.int64))
    if best is None:
        raise LabError(f"no quarter of these {total} lines hangs on several OLTs: use more lines or another seed")
    return best[1]


def _explained(isp: Isp, inside: npt.NDArray[np.integer]) -> float:
    """How well elements or groups alone would explain that these lines fail: about 0 not at all, 1 and more well."""
    score = 0.0
    for column, least in ((isp.leaf, 4), (isp.port, 4), (isp.node, 1), (isp.feeder, 1), (isp.duct, 1)):
        ids, hit = np.unique(column[inside], return_counts=True)
        size = np.bincount(column[isp.active], minlength=int(ids.max()) + 1)[ids]
        whole = (hit / np.maximum(size, 1) > 0.65) & (size >= least)
        score += float(hit[whole].sum()) / len(inside)  # lines on something that fails nearly whole
        score += 0.5 * float((hit / np.maximum(size, 1))[size >= 8].max(initial=0.0))
    exchanges = len(np.unique(isp.exchange[inside]))
    return score - 0.15 * (exchanges > 1)


def _splitter(isp: Isp, rng: np.random.Generator, busy: Bools) -> int:
    """A splitter on an OLT that is not busy, preferably not alone on its port (else port and splitter are the same)."""
    usable = isp.gpon & isp.active & ~busy[isp.node]
    sizes = np.bincount(isp.leaf[usable], minlength=len(isp.leaf_paths))
    fit = np.flatnonzero(sizes >= MIN_SPLITTER_LINES)
    if not len(fit):
        raise LabError("no splitter with enough lines is left for a fault: use more lines or another seed")
    first = np.searchsorted(isp.leaf, np.arange(len(isp.leaf_paths)))
    port = isp.port[np.minimum(first, len(isp) - 1)]
    siblings = np.bincount(port, minlength=len(isp.port_paths))[port[fit]]
    shared = fit[siblings > 1]
    return int(rng.choice(shared if len(shared) else fit))


def _olt(isp: Isp, rng: np.random.Generator, busy: Bools, not_in: int) -> int:
    """An OLT that is not busy and has several ports, preferably in another exchange than `not_in`."""
    lines = np.bincount(isp.node[isp.active], minlength=len(isp.nodes))
    found = []
    for k, node in enumerate(isp.nodes):
        ports = len(np.unique(isp.port[isp.node == k])) if not busy[k] and node.kind == "olt" else 0
        if ports and lines[k] >= MIN_SPLITTER_LINES:
            found.append((node.exchange == not_in, ports < 2, k))
    if not found:
        raise LabError("no OLT is left for a fault of its own: use more lines or another seed")
    best = min(found)[:2]
    return int(rng.choice([k for *rank, k in found if tuple(rank) == best]))


def _singles(
    isp: Isp, rng: np.random.Generator, power: Area, busy: Bools, splitter_node: int, olt: int
) -> tuple[int, int, int, int]:
    """Residential fibre lines, each on a splitter of its own, away from all other faults; on idle nodes while there
    are. The fourth needs not be alone on its splitter: nothing of it fails."""
    touched = np.zeros(len(isp.leaf_paths), np.bool_)
    touched[np.unique(isp.leaf[power.lines])] = True
    usable = isp.gpon & isp.active & (isp.service_class == 0) & ~touched[isp.leaf]
    usable &= (isp.node != splitter_node) & (isp.node != olt)
    sizes = np.bincount(isp.leaf[isp.active], minlength=len(isp.leaf_paths))
    usable &= sizes[isp.leaf] >= MIN_SPLITTER_LINES
    found: list[int] = []
    for _ in range(3):
        taken = np.isin(isp.leaf, isp.leaf[found]) if found else np.zeros(len(isp), np.bool_)
        left = np.flatnonzero(usable & ~taken)
        idle = left[~busy[isp.node[left]]]
        pool = idle if len(idle) else left
        if not len(pool):
            raise LabError("no line is left for a fault of its own: use more lines or another seed")
        found.append(int(rng.choice(pool)))
    apart = usable & ~np.isin(isp.leaf, isp.leaf[found])
    left = np.flatnonzero(apart if apart.any() else usable & ~np.isin(np.arange(len(isp)), found))
    if not len(left):
        raise LabError("no line is left that is well: use more lines or another seed")
    return found[0], found[1], found[2], int(rng.choice(left))
