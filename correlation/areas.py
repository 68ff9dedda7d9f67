"""Areas: discs around clusters of lines that fell, for a cause that has no element (a power cut by street).

Points are folded onto a grid of about 100 m with weights first (DBSCAN on 100,000 points takes 16 s, on their cells
well under one), then clustered by scikit-learn's DBSCAN with haversine distance at several scales; which scale is right
is left to the description length. A disc's radius is where fallen and spared lines part best.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlation.settings import CauseSettings
from monitor.inventory import Inventory
from monitor.records.rounds import I32, I64

EARTH_KM = 6371.0088
CELL_KM = 0.1
LEFT_OUT = 8.0  # nats that a fallen line costs which nothing explains (ln of 1 in 3000)
SLACK = 10.0  # nats that a better centre may bring
CLIMB = 8  # steps of a disc towards a better centre
F64 = npt.NDArray[np.float64]


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
    most: int = 4,
) -> list[Disc]:
    """Candidate discs. `fallen`: all lines that fell; `loose`: those to cluster; `seen_ns` int64 [n], 0: not up.

    `least`: fewer fallen lines than that could not pay for a disc, whatever it is like; `price`: what it must pay."""
    lat, lon = inventory.lat[loose], inventory.lon[loose]
    placed = np.isfinite(lat) & np.isfinite(lon)
    lat, lon = lat[placed], lon[placed]
    least = max(least, settings.area_min_lines)
    scales = [s for s in settings.area_scales_km if lat.size >= least and _crowd(lat, lon, s) >= least]
    if not scales:
        return []
    cells_lat, cells_lon, weight = fold(lat, lon)
    if cells_lat.size < 2:
        return []
    from sklearn.cluster import DBSCAN  # heavy, and needed only now

    points = np.radians(np.column_stack([cells_lat, cells_lon]))
    clusters: dict[bytes, npt.NDArray[np.bool_]] = {}  # the same cluster at several scales is one
    for scale in scales:
        labels = DBSCAN(
            eps=scale / EARTH_KM, min_samples=settings.area_min_lines, metric="haversine", algorithm="ball_tree"
        ).fit_predict(points, sample_weight=weight)
        sizes = np.bincount(labels[labels >= 0], weights=weight[labels >= 0]) if (labels >= 0).any() else np.zeros(0)
        for label in np.argsort(-sizes, kind="stable")[:most].tolist():
            if sizes[label] < least:
                break
            mine = labels == label
            clusters.setdefault(np.packbits(mine).tobytes(), mine)
    best = sorted(clusters.values(), key=lambda mine: -float(weight[mine].sum()))[:most]
    discs: dict[str, Disc] = {}
    for mine in best:
        disc = _fit(inventory, cells_lat[mine], cells_lon[mine], weight[mine], fallen, seen_ns, price)
        if disc is not None:
            discs.setdefault(disc.name, disc)
    return list(discs.values())


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


def _crowd(lat: F64, lon: F64, scale_km: float) -> int:
    """The most points in any square of three by three cells of this size: a cluster cannot begin with fewer."""
    step = math.degrees(scale_km / EARTH_KM)
    row = np.floor(lat / step).astype(np.int64)
    column = np.floor(lon * math.cos(math.radians(float(lat.mean()))) / step).astype(np.int64)
    width = 10_000_000
    keys, counts = np.unique(row * width + column, return_counts=True)
    total = np.zeros(keys.size, np.int64)
    for up in (-width, 0, width):
        for right in (-1, 0, 1):
            at = np.minimum(np.searchsorted(keys, keys + up + right), keys.size - 1)
            total += np.where(keys[at] == keys + up + right, counts[at], 0)
    return int(total.max())


def _fit(inventory: Inventory, lat: F64, lon: F64, weight: F64, fallen: I32, seen_ns: I64, price: float) -> Disc | None:
    """The disc around a cluster whose edge parts fallen from spared lines best."""
    total = weight.sum()
    lat0, lon0 = float((lat * weight).sum() / total), float((lon * weight).sum() / total)
    reach = float(distance_km(lat, lon, lat0, lon0).max()) * 1.3 + CELL_KM
    near = lines_within(inventory, lat0, lon0, reach)
    hit = np.isin(near, fallen, assume_unique=True)
    near = near[hit | (seen_ns[near] > 0)]
    hit = np.isin(near, fallen, assume_unique=True)
    if np.count_nonzero(hit) < 2:
        return None
    place = inventory.lat[near], inventory.lon[near]
    best = _edge(*place, hit, lat0, lon0)
    if best[0] + LEFT_OUT * np.count_nonzero(hit) < price - SLACK:
        return None  # no better centre will make up for that
    step = best[3] / 3
    for _ in range(CLIMB):
        north, east = math.degrees(step / EARTH_KM), math.degrees(step / EARTH_KM) / math.cos(math.radians(best[1]))
        tried = [
            _edge(*place, hit, best[1] + north * math.cos(a), best[2] + east * math.sin(a))
            for a in np.linspace(0, 2 * math.pi, 8, endpoint=False).tolist()
        ]
        better = max(tried)
        if better[0] > best[0] + 1e-6:
            best = better
        else:
            step /= 2
    lat0, lon0 = round(best[1], 4), round(best[2], 4)
    radius = max(math.ceil(best[3] * 100 + 2) / 100, 0.05)
    return Disc(lat0, lon0, radius, lines_within(inventory, lat0, lon0, radius))


def _edge(
    lat: F64, lon: F64, hit: npt.NDArray[np.bool_], lat0: float, lon0: float
) -> tuple[float, float, float, float]:
    """Score and radius (km) of the best disc around a centre: what its inside explains as one cause, less what the
    fallen lines outside cost by themselves. Returns (score, lat, lon, radius)."""
    away = distance_km(lat, lon, lat0, lon0)
    order = np.argsort(away, kind="stable")
    inside = np.cumsum(hit[order], dtype=np.int64)
    edge = np.flatnonzero(hit[order])
    # Lines at the same distance are in or out together.
    edge = np.searchsorted(away[order], away[order][edge], "right") - 1
    k, n = inside[edge], edge + 1
    score = _fitted(k, n) - LEFT_OUT * (inside[-1] - k)
    best = int(np.argmax(score))
    return float(score[best]), lat0, lon0, float(away[order][edge[best]])


def _fitted(k: npt.NDArray[np.integer], n: npt.NDArray[np.integer]) -> F64:
    """Log-likelihood of k of n at its own rate, that rate's price included: near enough to rank discs, and quick."""
    rate = (k + 0.5) / (n + 1)
    result: F64 = k * np.log(rate) + (n - k) * np.log1p(-rate) - 0.5 * np.log(n)
    return result
