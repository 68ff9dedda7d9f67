"""Areas: discs around clusters of lines that fell, for a cause that has no element (a power cut by street).

Points are folded onto a grid of about 100 m with weights first (DBSCAN on 100,000 points takes 16 s, on their cells
well under one), then clustered like DBSCAN does, on squares, at several scales; which scale is right is left to the
description length. A disc's radius is where fallen and spared lines part best.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.sets import contained
from correlation.settings import CauseSettings
from monitor.inventory import Inventory
from monitor.records.rounds import I32, I64

EARTH_KM = 6371.0088
CELL_KM = 0.1
SLACK = 10.0  # nats that a better centre may bring
CLIMB = 8  # steps of a disc towards a better centre
MANY = 20_000  # lines around a disc, from which its centre is looked for on cells
RINGS = 200  # radii tried between a centre and the farthest fallen line
WIDTH = 10_000_000  # columns of the grid
STEPS = tuple(up + right for up in (-WIDTH, 0, WIDTH) for right in (-1, 0, 1) if up or right)
F64 = npt.NDArray[np.float64]
Edges = tuple[float, float, float, float]  # score, latitude, longitude, radius in km


@dataclass(slots=True)
class Disc:
    """`lines`: every line of the inventory in the disc, ascending."""

    lat: float
    lon: float
    radius_km: float
    lines: I32

    @property
    def name(self) -> str:
        return f"{self.lat:.4f},{self.lon:.4f},{self.radius_km:.2f}"


def parse_area(name: str) -> tuple[float, float, float]:
    """Latitude, longitude, radius in km of a scope's name. Raises ValueError."""
    lat, lon, radius = (float(x) for x in name.split(","))
    return lat, lon, radius


def distance_km(lat: F64 | float, lon: F64 | float, lat0: float, lon0: float) -> F64:
    """Great-circle distance (haversine)."""
    a, b = np.radians(lat), math.radians(lat0)
    h = np.sin((a - b) / 2) ** 2 + np.cos(a) * math.cos(b) * np.sin(np.radians(np.asarray(lon) - lon0) / 2) ** 2
    result: F64 = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(h, 0, 1)))
    return result


def lines_within(inventory: Inventory, lat: float, lon: float, radius_km: float) -> I32:
    """Rows of the lines in a disc, ascending."""
    reach = math.degrees(radius_km / EARTH_KM) * 1.01 + 1e-9
    wide = reach / max(math.cos(math.radians(lat)), 0.01)
    near = np.flatnonzero((np.abs(inventory.lat - lat) <= reach) & (np.abs(inventory.lon - lon) <= wide))
    inside = distance_km(inventory.lat[near], inventory.lon[near], lat, lon) <= radius_km
    return near[inside].astype(np.int32)


def find_discs(
    inventory: Inventory,
    fallen: I32,
    loose: I32,
    seen_ns: I64,
    settings: CauseSettings,
    least: int,
    price: float,
    left_out: float,
    most: int = 4,
) -> list[Disc]:
    """Candidate discs. `fallen`: all lines that fell; `loose`: those to cluster; `seen_ns` int64 [n], 0: not up.

    `least`: fewer fallen lines than that could not pay for a disc, whatever it is like; `price`: what it must pay;
    `left_out`: nats that a fallen line costs which nothing explains."""
    lat, lon = inventory.lat[loose], inventory.lon[loose]
    placed = np.isfinite(lat) & np.isfinite(lon)
    lat, lon = lat[placed], lon[placed]
    least = max(least, settings.area_min_lines)
    scales = _crowded(lat, lon, settings.area_scales_km, least) if lat.size >= least else []
    if not scales:
        return []
    cells_lat, cells_lon, weight = fold(lat, lon)
    if cells_lat.size < 2:
        return []
    clusters: dict[bytes, npt.NDArray[np.bool_]] = {}  # the same cluster at several scales is one
    for scale in scales:
        labels = cluster(cells_lat, cells_lon, weight, scale, settings.area_min_lines)
        if not (labels >= 0).any():
            continue
        sizes = np.bincount(labels[labels >= 0], weights=weight[labels >= 0])
        for label in np.argsort(-sizes, kind="stable")[:most].tolist():
            if sizes[label] < least:
                break
            mine = labels == label
            clusters.setdefault(np.packbits(mine).tobytes(), mine)
    best = sorted(clusters.values(), key=lambda mine: -float(weight[mine].sum()))[:most]
    discs: dict[str, Disc] = {}
    for mine in best:
        disc = _fit(inventory, cells_lat[mine], cells_lon[mine], weight[mine], fallen, seen_ns, price, left_out)
        if disc is not None:
            discs.setdefault(disc.name, disc)
    return list(discs.values())


def cluster(lat: F64, lon: F64, weight: F64, scale_km: float, least: float) -> npt.NDArray[np.int64]:
    """DBSCAN on a grid: squares of `scale_km` whose three by three neighbourhood weighs `least` are core, core squares
    that touch are one cluster, squares that touch a core belong to it. Labels int64 by point, -1: noise."""
    keys, place, total = _squares(lat, lon, weight, scale_km)
    core = total >= least
    label = np.where(core, np.arange(keys.size), -1)
    neighbours = [_beside(keys, step) for step in STEPS]
    while True:
        best = label.copy()
        for beside in neighbours:
            reach = core & (beside >= 0)
            other = np.where(reach, label[beside], -1)
            best = np.where(core & (other > best), other, best)
        best = np.where(core, best[best], -1)  # follow the label's own label: long clusters join in few rounds
        if (best == label).all():
            break
        label = best
    for beside in neighbours:
        border = (label < 0) & (beside >= 0)
        label = np.where(border & core[beside], label[beside], label)
    found = np.unique(label[label >= 0])
    rank = np.full(keys.size + 1, -1, np.int64)
    rank[found] = np.arange(found.size)
    result: npt.NDArray[np.int64] = rank[label[place]]
    return result


def _squares(
    lat: F64, lon: F64, weight: F64, scale_km: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], F64]:
    """Occupied squares (keys ascending), the square of each point, the weight of each square and its neighbours."""
    step = math.degrees(scale_km / EARTH_KM)
    row = np.floor(lat / step).astype(np.int64)
    column = np.floor(lon * math.cos(math.radians(float(lat.mean()))) / step).astype(np.int64)
    keys, place = np.unique(row * WIDTH + column, return_inverse=True)
    sums: F64 = np.bincount(place, weights=weight).astype(np.float64)
    total: F64 = sums.copy()
    for step_ in STEPS:
        beside = _beside(keys, step_)
        total += np.where(beside >= 0, sums[beside], 0)
    return keys, place.astype(np.int64), total


def squares(inventory: Inventory, scale_km: float) -> I32:
    """A number for each line's square of this size, from 1; 0 where its place is not known. int32 [n]."""
    numbers = np.zeros(len(inventory), np.int32)
    placed = np.flatnonzero(np.isfinite(inventory.lat) & np.isfinite(inventory.lon))
    if placed.size:
        lat, lon = inventory.lat[placed], inventory.lon[placed]
        numbers[placed] = _squares(lat, lon, np.ones(placed.size), scale_km)[1] + 1
    return numbers


def _beside(keys: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """Where each square's neighbour stands, -1 if it is empty."""
    at = np.minimum(np.searchsorted(keys, keys + step), keys.size - 1)
    result: npt.NDArray[np.int64] = np.where(keys[at] == keys + step, at, -1)
    return result


def fold(lat: F64, lon: F64) -> tuple[F64, F64, F64]:
    """Points to cells of about CELL_KM: mean position and count of each. Few points stay as they are."""
    if lat.size <= 2000:
        return lat, lon, np.ones(lat.size)
    step = math.degrees(CELL_KM / EARTH_KM)
    row = np.floor(lat / step).astype(np.int64)
    column = np.floor(lon * np.cos(np.radians(lat.mean())) / step).astype(np.int64)
    _, cell = np.unique(row * 10_000_000 + column, return_inverse=True)
    weight = np.bincount(cell).astype(np.float64)
    return np.bincount(cell, lat) / weight, np.bincount(cell, lon) / weight, weight


def _crowded(lat: F64, lon: F64, scales_km: tuple[float, ...], least: int) -> list[float]:
    """Scales with `least` points in some three by three squares, ascending as they are given. From the widest on: what
    is not there in squares four times as wide, of which a narrower three by three touch two at most, is nowhere."""
    empty: list[float] = []
    found = set()
    for scale in sorted(scales_km, reverse=True):
        if any(wider >= 4 * scale for wider in empty) or _crowd(lat, lon, scale) < least:
            empty.append(scale)
        else:
            found.add(scale)
    return [scale for scale in scales_km if scale in found]


def _crowd(lat: F64, lon: F64, scale_km: float) -> int:
    """The most points in any three by three squares of this size: a cluster cannot begin with fewer."""
    return int(_squares(lat, lon, np.ones(lat.size), scale_km)[2].max())


def _fit(
    inventory: Inventory, lat: F64, lon: F64, weight: F64, fallen: I32, seen_ns: I64, price: float, left_out: float
) -> Disc | None:
    """The disc around a cluster whose edge parts fallen from spared lines best."""
    total = weight.sum()
    lat0, lon0 = float((lat * weight).sum() / total), float((lon * weight).sum() / total)
    reach = float(distance_km(lat, lon, lat0, lon0).max()) * 1.3 + CELL_KM
    near = lines_within(inventory, lat0, lon0, reach)
    hit = contained(near, fallen)
    kept = hit | (seen_ns[near] > 0)
    near, hit = near[kept], hit[kept]
    if np.count_nonzero(hit) < 2:
        return None
    place = inventory.lat[near], inventory.lon[near]
    best = _edges(*place, hit, np.array([lat0]), np.array([lon0]), left_out)
    if best[0] + left_out * np.count_nonzero(hit) < price - SLACK:
        return None  # no better centre will make up for that
    if near.size <= MANY:
        best = _climb(*place, hit, None, best, left_out)
    else:  # where to go is seen on cells as well; what is there is then measured on the lines
        cells_lat, cells_lon, weights = _cells(*place, hit)
        start = _edges(
            cells_lat, cells_lon, weights[1] > 0, np.array([best[1]]), np.array([best[2]]), left_out, weights
        )
        found = _climb(cells_lat, cells_lon, weights[1] > 0, weights, start, left_out)
        measured = _edges(*place, hit, np.array([found[1]]), np.array([found[2]]), left_out)
        best = max(best, measured, key=lambda edges: edges[0])
    lat0, lon0 = round(best[1], 4), round(best[2], 4)
    radius = max(math.ceil(best[3] * 100 + 2) / 100, 0.05)
    return Disc(lat0, lon0, radius, lines_within(inventory, lat0, lon0, radius))


def _cells(lat: F64, lon: F64, hit: npt.NDArray[np.bool_]) -> tuple[F64, F64, tuple[F64, F64]]:
    """Lines folded to cells of about CELL_KM: their mean places, how many lines each has, and how many of them fell."""
    step = math.degrees(CELL_KM / EARTH_KM)
    row = np.floor(lat / step).astype(np.int64)
    column = np.floor(lon * np.cos(np.radians(lat.mean())) / step).astype(np.int64)
    _, cell = np.unique(row * WIDTH + column, return_inverse=True)
    count = np.bincount(cell).astype(np.float64)
    fell = np.bincount(cell, hit).astype(np.float64)
    return np.bincount(cell, lat) / count, np.bincount(cell, lon) / count, (count, fell)


def _climb(
    lat: F64, lon: F64, hit: npt.NDArray[np.bool_], weights: tuple[F64, F64] | None, best: Edges, left_out: float
) -> Edges:
    """From a disc towards better centres, in ever smaller steps."""
    step = best[3] / 3
    turn = np.linspace(0, 2 * math.pi, 8, endpoint=False)
    for _ in range(CLIMB):
        north, east = math.degrees(step / EARTH_KM), math.degrees(step / EARTH_KM) / math.cos(math.radians(best[1]))
        better = _edges(lat, lon, hit, best[1] + north * np.cos(turn), best[2] + east * np.sin(turn), left_out, weights)
        if better[0] > best[0] + 1e-6:
            best = better
        else:
            step /= 2
    return best


def _edges(
    lat: F64,
    lon: F64,
    hit: npt.NDArray[np.bool_],
    lat0: F64,
    lon0: F64,
    left_out: float,
    weights: tuple[F64, F64] | None = None,
) -> Edges:
    """The best disc around any of these centres [c]: what its inside explains as one cause, less what the fallen lines
    outside cost by themselves. Returns (score, lat, lon, radius in km). Radii are tried in RINGS steps, which
    needs no sorting, whatever the number of lines. `weights`: how many lines stand at each point, and how many of them
    fell; without, each point is one line."""
    # Flat within a cluster: haversine's digits do not matter for ranking, its time does.
    north = np.radians(lat[None, :] - lat0[:, None])
    east = np.radians(lon[None, :] - lon0[:, None]) * np.cos(np.radians(lat0))[:, None]
    away = EARTH_KM * np.hypot(north, east)
    bins = RINGS
    reach = np.maximum(away.max(axis=1, where=hit[None, :], initial=0.0), 1e-4)
    ring = np.minimum((away / reach[:, None] * bins).astype(np.int64), bins)
    flat = ring + np.arange(lat0.size)[:, None] * (bins + 1)
    size = lat0.size * (bins + 1)
    lines, fell = (
        (None, None) if weights is None else (np.tile(weights[0], lat0.size), np.tile(weights[1][hit], lat0.size))
    )
    n = np.bincount(flat.ravel(), lines, minlength=size).reshape(lat0.size, -1).cumsum(axis=1)
    k = np.bincount(flat[:, hit].ravel(), fell, minlength=size).reshape(lat0.size, -1).cumsum(axis=1)
    score = np.where(k > 0, _fitted(k, np.maximum(n, 1)) - left_out * (k[:, -1:] - k), -np.inf)
    centre, edge = divmod(int(np.argmax(score)), bins + 1)
    inside = hit & (ring[centre] <= edge)
    radius = float(away[centre][inside].max()) if inside.any() else 0.0
    return float(score[centre, edge]), float(lat0[centre]), float(lon0[centre]), radius


def _fitted(k: npt.NDArray[np.integer] | F64, n: npt.NDArray[np.integer] | F64) -> F64:
    """Log-likelihood of k of n at its own rate, that rate's price included: near enough to rank discs, and quick."""
    rate = (k + 0.5) / (n + 1)
    result: F64 = k * np.log(rate) + (n - k) * np.log1p(-rate) - 0.5 * np.log(n)
    return result
