"""Generates a network: a tree of uneven elements with lines on its leaves, groups that cross it, and positions.

The tree in `Network` is the real one, by which faults spread; `recorded_leaf` is what the inventory says, which is
wrong for the misfiled lines. The same seed gives the same network whatever happens in it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.lab.simulation.plan import NetworkPlan, Technology
from monitor.records.rounds import F32, I32

KM_PER_DEGREE = 111.2
CENTRE = (51.2, 10.4)
REGIONS = ("north", "east", "south", "west")
VERSIONS = (("7.1", 0.55), ("7.0", 0.30), ("6.9", 0.15))
SHORT = {"exchange": "ex", "mac-domain": "md", "amplifier": "amp", "splitter": "split"}
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Network:
    """n lines on m elements. `at_depth[d]` int32 [n]: the element at depth d above each line, -1 if it has none.

    `exchange_depth` is the depth of the exchanges; `groups` maps KIND:NAME to line indices. `rtt_ms` and `spread`
    (standard deviation of the round-trip time, as a ratio) float32 [n]; `loss_ratio` float32 [n] ordinary loss.
    `telemetry`, `sessions`, `gasps`, `silent` (never answers), `suspended` bool [n]: what a line has.
    """

    plan: NetworkPlan
    paths: list[str]
    kinds: list[str]
    depth: I32
    parent: I32
    leaf: I32
    recorded_leaf: I32
    at_depth: list[I32]
    exchange_depth: int
    misfiled_exchange: int
    line_ids: list[str]
    technology: npt.NDArray[np.int8]
    model: npt.NDArray[np.int16]
    models: list[str]
    version: npt.NDArray[np.int8]
    lat: Floats
    lon: Floats
    groups: dict[str, I32]
    address: npt.NDArray[np.uint32]
    rtt_ms: F32
    spread: F32
    loss_ratio: F32
    telemetry: Bools
    sessions: Bools
    gasps: Bools
    silent: Bools
    suspended: Bools

    def __len__(self) -> int:
        return int(self.leaf.shape[0])

    def lines_of(self, element: int) -> I32:
        """The lines that really hang on an element, ascending."""
        return np.flatnonzero(self.at_depth[int(self.depth[element])] == element).astype(np.int32)

    def elements_at(self, kinds: tuple[str, ...]) -> list[int]:
        return [i for i, kind in enumerate(self.kinds) if kind in kinds]

    def exchange_of(self, lines: I32) -> I32:
        return self.at_depth[self.exchange_depth][lines]

    def sizes(self) -> I32:
        """Lines under each element, int32 [m]."""
        total = np.zeros(len(self.paths), np.int32)
        for codes in self.at_depth:
            total += np.bincount(codes[codes >= 0], minlength=len(total)).astype(np.int32)
        return total

    def is_leaf(self) -> Bools:
        leaf = np.ones(len(self.paths), np.bool_)
        leaf[self.parent[self.parent >= 0]] = False
        return leaf


class _Tree:
    """Elements while they are made."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.kinds: list[str] = []
        self.parent: list[int] = []
        self.depth: list[int] = []
        self._counts: dict[tuple[int, str], int] = {}

    def add(self, parent: int, kind: str, name: str = "") -> int:
        if not name:
            # Elements below an exchange are numbered within their parent, exchanges throughout.
            key = (-1 if kind in ("exchange", "site", "metro") else parent, kind)
            self._counts[key] = self._counts.get(key, 0) + 1
            name = f"{SHORT.get(kind, kind)}-{self._counts[key]}"
        self.paths.append(f"{self.paths[parent]}/{name}" if parent >= 0 else name)
        self.kinds.append(kind)
        self.parent.append(parent)
        self.depth.append(self.depth[parent] + 1 if parent >= 0 else 0)
        return len(self.paths) - 1


def generate(lines: int, plan: NetworkPlan, rng: np.random.Generator) -> Network:
    """A network of exactly `lines` lines. Raises ValueError below 200: too small for any shared failure to be told."""
    if lines < 200:
        raise ValueError(f"{lines} lines are too few: at least 200 are needed")
    tree = _Tree()
    leaves, counts, exchange_of_leaf, technology_of_leaf = _grow(tree, lines, plan, rng)
    leaf = np.repeat(np.array(leaves, np.int32), counts)
    where = np.repeat(np.arange(len(leaves)), counts)
    exchange = np.array(exchange_of_leaf, np.int32)[where]
    technology = np.array(technology_of_leaf, np.int8)[where]
    parent, depth = np.array(tree.parent, np.int32), np.array(tree.depth, np.int32)
    at_depth = _ancestors(leaf, parent, depth)
    exchange_depth = len(plan.prefix)
    lat, lon = _positions(leaves, exchange_of_leaf, where, rng)
    model, models = _models(technology, plan, rng)
    exchanges = list(dict.fromkeys(exchange_of_leaf))
    big = [e for e in exchanges if np.count_nonzero(exchange == e) >= min(150, lines // 6)]
    misfiled_exchange = int(rng.choice(big or exchanges))
    low = np.array([t.rtt_ms[0] for t in plan.technologies])[technology]
    high = np.array([t.rtt_ms[1] for t in plan.technologies])[technology]
    session_ratio = np.array([t.sessions for t in plan.technologies])[technology]
    version = rng.choice(len(VERSIONS), lines, p=[share for _, share in VERSIONS]).astype(np.int8)
    network = Network(
        plan=plan,
        paths=tree.paths,
        kinds=tree.kinds,
        depth=depth,
        parent=parent,
        leaf=leaf,
        recorded_leaf=_misfile(leaf, exchange, misfiled_exchange, plan, rng),
        at_depth=at_depth,
        exchange_depth=exchange_depth,
        misfiled_exchange=misfiled_exchange,
        line_ids=[f"L{i:07d}" for i in rng.permutation(lines).tolist()],
        technology=technology,
        model=model,
        models=models,
        version=version,
        lat=lat,
        lon=lon,
        groups={},
        address=(0x64400000 + 1 + np.arange(lines)).astype(np.uint32),  # 100.64.0.0/10, shared address space
        rtt_ms=rng.uniform(low, high).astype(np.float32),
        # Measured in the field: MAD / median 0.02, 90th percentile 0.10; 0.6745 is MAD over standard deviation.
        spread=np.clip(rng.lognormal(np.log(0.02 / 0.6745), 1.256, lines), 0.004, 0.6).astype(np.float32),
        loss_ratio=np.clip(rng.lognormal(np.log(0.001), 1.5, lines), 0, 0.08).astype(np.float32),
        telemetry=rng.random(lines) < plan.telemetry_ratio,
        sessions=rng.random(lines) < session_ratio,
        gasps=rng.random(lines) < 0.4,
        silent=rng.random(lines) < plan.silent_ratio,
        suspended=rng.random(lines) < plan.suspended_ratio,
    )
    network.groups = _groups(network, exchanges, exchange, rng)
    return network


def _grow(
    tree: _Tree, lines: int, plan: NetworkPlan, rng: np.random.Generator
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Add exchanges until all lines have a place: leaves, lines per leaf, exchange and technology of each leaf."""
    leaves: list[int] = []
    counts: list[int] = []
    exchanges: list[int] = []
    technologies: list[int] = []
    median = max(40, min(plan.exchange_lines, lines // 8))
    shares = np.array([t.share for t in plan.technologies])
    left = lines
    above: list[int] = []
    room = 0
    while left > 0:
        if room <= 0 or not above:
            above = _region(tree, plan)
            room = max(lines // 4, min(plan.lines_per_region, lines // 2))
        # The first exchanges take every technology in turn, so that a small network has them too.
        number = len(set(exchanges))
        kind = number if number < len(shares) else int(rng.choice(len(shares), p=shares / shares.sum()))
        size = int(np.clip(rng.lognormal(np.log(median), plan.sigma), median * 0.15, median * 4))
        if left - size < median * 0.15:
            size = left
        technology = plan.technologies[kind]
        exchange = tree.add(above[-1], "exchange" if technology.levels else "site")
        for leaf, count in _fill(tree, exchange, technology, min(size, left), rng):
            leaves.append(leaf)
            counts.append(count)
            exchanges.append(exchange)
            technologies.append(kind)
            left -= count
            room -= count
    return leaves, counts, exchanges, technologies


def _region(tree: _Tree, plan: NetworkPlan) -> list[int]:
    regions = tree.kinds.count("region")
    name = REGIONS[regions % 4] + (str(regions // 4 + 1) if regions >= 4 else "")
    chain = [tree.add(-1, "region", name)]
    for kind in plan.prefix[1:]:
        chain.append(tree.add(chain[-1], kind))
    return chain


def _fill(
    tree: _Tree, exchange: int, technology: Technology, size: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Elements below an exchange until `size` lines have a place: (leaf, lines on it). At least one leaf."""
    if not technology.levels:
        return [(exchange, size)]
    made: list[tuple[int, int]] = []
    left = size
    while left > 0:
        left = _branch(tree, exchange, technology, 0, left, made, rng)
    return made


def _branch(
    tree: _Tree,
    parent: int,
    technology: Technology,
    level: int,
    left: int,
    made: list[tuple[int, int]],
    rng: np.random.Generator,
) -> int:
    """One element at `level` and all below it; returns the lines that still need a place."""
    element = tree.add(parent, technology.levels[level].name)
    if level == len(technology.levels) - 1:
        count = min(left, int(rng.integers(technology.leaf[0], technology.leaf[1] + 1)))
        made.append((element, count))
        return left - count
    below = technology.levels[level + 1]
    for _ in range(int(rng.integers(below.low, below.high + 1))):
        if left > 0:
            left = _branch(tree, element, technology, level + 1, left, made, rng)
    return left


def _ancestors(leaf: I32, parent: I32, depth: I32) -> list[I32]:
    """For each depth the element above each line, -1 where its leaf is not that deep."""
    found = [np.full(len(leaf), -1, np.int32) for _ in range(int(depth.max()) + 1)]
    at = leaf.copy()
    while (at >= 0).any():
        rows = np.flatnonzero(at >= 0)
        for level in np.unique(depth[at[rows]]).tolist():
            these = rows[depth[at[rows]] == level]
            found[level][these] = at[these]
        at[rows] = parent[at[rows]]
    return found


def _positions(
    leaves: list[int], exchange_of_leaf: list[int], where: npt.NDArray[np.intp], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Degrees. Leaves scatter 1.2 km around their exchange, lines 120 m around their leaf (a street)."""
    exchanges = {e: i for i, e in enumerate(dict.fromkeys(exchange_of_leaf))}
    side = int(np.ceil(np.sqrt(len(exchanges))))
    grid = np.arange(len(exchanges))
    # About 7 km apart: neighbouring exchanges do not mix, villages between them stay empty.
    north = (grid // side - side / 2) * 7 + rng.normal(0, 1, len(grid))
    east = (grid % side - side / 2) * 7 + rng.normal(0, 1, len(grid))
    of = np.array([exchanges[e] for e in exchange_of_leaf])
    north_leaf = north[of] + rng.normal(0, 1.2, len(leaves))
    east_leaf = east[of] + rng.normal(0, 1.2, len(leaves))
    north_line = north_leaf[where] + rng.normal(0, 0.12, len(where))
    east_line = east_leaf[where] + rng.normal(0, 0.12, len(where))
    lat = CENTRE[0] + north_line / KM_PER_DEGREE
    lon = CENTRE[1] + east_line / (KM_PER_DEGREE * np.cos(np.radians(CENTRE[0])))
    return np.round(lat, 6), np.round(lon, 6)


def _models(
    technology: npt.NDArray[np.int8], plan: NetworkPlan, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int16], list[str]]:
    models: list[str] = []
    model = np.zeros(len(technology), np.int16)
    for code, tech in enumerate(plan.technologies):
        rows = np.flatnonzero(technology == code)
        weights = 0.55 ** np.arange(len(tech.models))
        model[rows] = len(models) + rng.choice(len(tech.models), len(rows), p=weights / weights.sum())
        models += tech.models
    return model, models


def _misfile(leaf: I32, exchange: I32, worst: int, plan: NetworkPlan, rng: np.random.Generator) -> I32:
    """The leaf on record: wrong for some lines, mostly another one of the same exchange."""
    recorded = leaf.copy()
    ratio = np.where(exchange == worst, plan.misfiled_exchange_ratio, plan.misfiled_ratio)
    for line in np.flatnonzero(rng.random(len(leaf)) < ratio).tolist():
        near = leaf[exchange == exchange[line]] if rng.random() < 0.85 else leaf
        recorded[line] = near[rng.integers(len(near))]
    return recorded


def _groups(network: Network, exchanges: list[int], exchange: I32, rng: np.random.Generator) -> dict[str, I32]:
    """BNGs (neighbouring exchanges), DHCP servers (exchanges dealt out), resolvers, power feeders where known."""
    count = len(network)
    groups: dict[str, I32] = {}
    size = {e: int(np.count_nonzero(exchange == e)) for e in exchanges}
    bng, filled, number = np.zeros(count, np.int32), 0, 1
    for e in exchanges:
        if filled >= max(count // 5, 1) and filled:
            number, filled = number + 1, 0
        bng[exchange == e] = number
        filled += size[e]
    servers = max(2, min(8, len(exchanges) // 2))
    dealt = {e: i % servers + 1 for i, e in enumerate(rng.permutation(exchanges).tolist())}
    dhcp = np.array([dealt[int(e)] for e in exchange], np.int32)
    for kind, codes in (("bng", bng), ("dhcp", dhcp), ("resolver", bng % 2 + 1)):
        for code in np.unique(codes).tolist():
            groups[f"{kind}:{kind if kind != 'resolver' else 'dns'}-{code}"] = np.flatnonzero(codes == code).astype(
                np.int32
            )
    known = {e for e in exchanges if rng.random() < network.plan.feeder_known_ratio} or {exchanges[0]}
    if len(known) == len(exchanges):
        known.discard(exchanges[-1])
    # A feeder serves a few streets, whatever port they hang on: cells of 0.8 km.
    north = np.floor(network.lat * KM_PER_DEGREE / 0.8).astype(np.int64)
    east = np.floor(network.lon * KM_PER_DEGREE * np.cos(np.radians(CENTRE[0])) / 0.8).astype(np.int64)
    on_record = np.isin(exchange, list(known))
    cells, inverse = np.unique(np.stack([north, east], 1)[on_record], axis=0, return_inverse=True)
    rows = np.flatnonzero(on_record)
    for cell in range(len(cells)):
        groups[f"power:feeder-{cell + 1}"] = rows[inverse.reshape(-1) == cell].astype(np.int32)
    return groups
