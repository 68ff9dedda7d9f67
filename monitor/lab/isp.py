"""A credible virtual provider of n lines, the same for the same seed: its tree, groups, geography and customers.

Sizes are uneven as in the field: splitters of 8 to 32 lines, one to four of them on a PON port, OLTs of a few hundred
lines, two or more OLTs an exchange, and an eighth of the lines on DSL. Houses stand along the streets of a quarter; a
quarter is served by splitters of several OLTs, at its edge of two exchanges, so that a power cut in one has no element
in common. Lines are numbered in the order of their paths. Distances in km; arrays are described at `Isp`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from monitor.lab.names import DSL_CPES, DSL_PRODUCTS, GPON_CPES, GPON_PRODUCTS, REGIONS
from monitor.records.rounds import I32

F64 = npt.NDArray[np.float64]
U32 = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.integer] | Sequence[int]
Rng = np.random.Generator

MIN_LINES = 300
LINES_PER_EXCHANGE = 800
LINES_PER_OLT = 400
LINES_PER_MSAN = 300
PORTS_PER_SLOT = 48
DSL_SHARE = 0.12
SPLITTER_MIN, SPLITTER_MAX = 8, 32
PER_PON = (0.15, 0.35, 0.30, 0.20)  # shares of ports with 1, 2, 3, 4 splitters
EXCHANGE_SPACING_KM = 2.4
ORIGIN = (51.20, 9.80)
KM_PER_DEGREE = 111.195
FIRST_HOST = 0x1000  # 10.16.0.0: the first /24 of customers
MANAGEMENT = 10 << 24 | 255 << 16  # nodes in 10.255.0.0/17, reference targets in 10.255.128.0/17
STATUSES = ("active", "suspended", "not_yet_active")
CLASSES = ("residential", "business", "sla")
MODELS = (*GPON_CPES, *DSL_CPES)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An OLT or MSAN: `kind` "olt" or "msan", its exchange's number, and its management address."""

    path: str
    kind: str
    exchange: int
    address: str


@dataclass(frozen=True, eq=False)
class Isp:
    """n lines. Per line, all [n] in the order of paths:

    `leaf` int32 into `leaf_paths` (splitter or DSL port), `port` int32 into `port_paths` (PON or slot), `node` int32
    into `nodes`, `quarter`, `feeder` and `duct` int32, `lat`, `lon` float64, `address` uint32 (0: none), `model` and
    `firmware` uint8 (into MODELS and its versions), `status`, `service_class` and `product` uint8, `number` uint32: a
    permutation of 0..n-1 that line ids and serials are made of.
    Per exchange: `exchange_paths`, `exchange_xy` float64 [e, 2] km from the origin, `exchange_region` int32.
    """

    seed: int
    exchange_paths: tuple[str, ...]
    exchange_xy: F64
    exchange_region: I32
    nodes: tuple[Node, ...]
    port_paths: tuple[str, ...]
    leaf_paths: tuple[str, ...]
    leaf: I32
    port: I32
    node: I32
    quarter: I32
    feeder: I32
    duct: I32
    lat: F64
    lon: F64
    address: U32
    model: npt.NDArray[np.uint8]
    firmware: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint8]
    service_class: npt.NDArray[np.uint8]
    product: npt.NDArray[np.uint8]
    number: U32

    def __len__(self) -> int:
        return int(self.leaf.shape[0])

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        active: npt.NDArray[np.bool_] = self.status == 0
        return active

    @cached_property
    def gpon(self) -> npt.NDArray[np.bool_]:
        return self.model < len(GPON_CPES)

    @cached_property
    def exchange(self) -> I32:
        """The exchange of each line, int32 [n]."""
        return np.array([n.exchange for n in self.nodes], np.int32)[self.node]

    def line_id(self, line: int) -> str:
        return f"L{self.number[line] + 1:07d}"

    def line_ids(self, lines: Rows) -> list[str]:
        return [f"L{n + 1:07d}" for n in self.number[np.asarray(lines, np.int64)].tolist()]

    def addresses(self, lines: Rows) -> list[str]:
        """Textual addresses of those that have one."""
        return [dotted(a) for a in self.address[np.asarray(lines, np.int64)].tolist() if a]

    def serial(self, line: int) -> str:
        return serial_number(int(self.model[line]), int(self.number[line]))

    def serials(self, lines: Rows) -> list[str]:
        return [self.serial(line) for line in np.asarray(lines, np.int64).tolist()]

    def reference_address(self, exchange: int) -> str:
        """A router in the exchange that must answer while the prober can see."""
        return dotted(MANAGEMENT + (128 << 8) + exchange // 250 * 256 + exchange % 250 + 1)


def scramble(number: int) -> int:
    """Another 32-bit number for each 32-bit number, in no order to be seen (Knuth's multiplicative hash)."""
    return number * 2654435761 % 2**32


def serial_number(model: int, number: int) -> str:
    return f"{MODELS[model][3]}{scramble(number):08X}"


def dotted(address: int) -> str:
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def make_isp(lines: int, seed: int = 1) -> Isp:
    """Raises ValueError below MIN_LINES: fewer are no network with several exchanges."""
    if lines < MIN_LINES:
        raise ValueError(f"a virtual provider needs at least {MIN_LINES} lines, not {lines}")
    rng = np.random.default_rng(seed)
    exchanges = max(3, round(lines / LINES_PER_EXCHANGE))
    region, exchange_paths, xy = _exchanges(rng, exchanges)
    dsl_total = round(lines * DSL_SHARE)
    gpon = _shares(rng, lines - dsl_total, rng.lognormal(0, 0.3, exchanges))
    # Half of the exchanges still have copper; the first always, so that there is some.
    copper = rng.random(exchanges) < 0.5
    copper[0] = True
    dsl = np.zeros(exchanges, np.int64)
    dsl[copper] = _shares(rng, dsl_total, rng.lognormal(0, 0.3, int(copper.sum())))

    nodes: list[Node] = []
    ports: list[str] = []
    leaves: list[str] = []
    sizes: list[int] = []  # lines per leaf
    leaf_port: list[int] = []
    port_node: list[int] = []
    for e in range(exchanges):
        for k, size in enumerate(_split_node(rng, int(gpon[e]), LINES_PER_OLT, 2), 1):
            node = _add_node(nodes, f"{exchange_paths[e]}/olt-{k}", "olt", e)
            splitters = _splitters(rng, size)
            for pon, first, last in _pons(rng, len(splitters)):
                port_node.append(node)
                ports.append(f"{nodes[node].path}/pon-{pon}")
                for i in range(first, last):
                    leaves.append(f"{ports[-1]}/split-{i - first + 1}")
                    leaf_port.append(len(ports) - 1)
                    sizes.append(splitters[i])
        for k, size in enumerate(_split_node(rng, int(dsl[e]), LINES_PER_MSAN, 1), 1):
            node = _add_node(nodes, f"{exchange_paths[e]}/msan-{k}", "msan", e)
            for first in range(0, size, PORTS_PER_SLOT):
                port_node.append(node)
                ports.append(f"{nodes[node].path}/slot-{first // PORTS_PER_SLOT + 1}")
                for number in range(1, min(PORTS_PER_SLOT, size - first) + 1):
                    leaves.append(f"{ports[-1]}/port-{number}")
                    leaf_port.append(len(ports) - 1)
                    sizes.append(1)

    leaf = np.repeat(np.arange(len(leaves), dtype=np.int32), sizes)
    port = np.array(leaf_port, np.int32)[leaf]
    node_of = np.array(port_node, np.int32)[port]
    is_gpon = np.array([n.kind == "olt" for n in nodes])[node_of]
    node_exchange = np.array([n.exchange for n in nodes], np.int32)
    quarters = _quarters(rng, xy, gpon + dsl)
    port_exchange = node_exchange[np.array(port_node, np.int32)]
    quarter, feeder, place = _houses(rng, quarters, port_exchange, np.array(leaf_port, np.int32), leaf, is_gpon)
    status = _choose(rng, (0.986, 0.008, 0.006), lines)
    model, firmware, product = _equipment(rng, is_gpon)
    # Every exchange has a pool; within it the lines took their addresses in no order.
    pool = np.lexsort((rng.random(lines), node_exchange[node_of]))
    slot = np.empty(lines, np.int64)
    slot[pool] = np.arange(lines)
    address = (10 << 24) + ((FIRST_HOST + slot // 254) << 8) + slot % 254 + 1
    address[status == 2] = 0  # not yet in service
    return Isp(
        seed=seed,
        exchange_paths=tuple(exchange_paths),
        exchange_xy=xy,
        exchange_region=region,
        nodes=tuple(nodes),
        port_paths=tuple(ports),
        leaf_paths=tuple(leaves),
        leaf=leaf,
        port=port,
        node=node_of,
        quarter=quarter,
        feeder=feeder,
        duct=_ducts(rng, port_exchange)[port],
        lat=ORIGIN[0] + place[:, 1] / KM_PER_DEGREE,
        lon=ORIGIN[1] + place[:, 0] / (KM_PER_DEGREE * np.cos(np.radians(ORIGIN[0]))),
        address=address.astype(np.uint32),
        model=model,
        firmware=firmware,
        status=status,
        service_class=_choose(rng, (0.88, 0.10, 0.02), lines),
        product=product,
        number=rng.permutation(lines).astype(np.uint32),
    )


def _exchanges(rng: Rng, count: int) -> tuple[I32, list[str], F64]:
    """Region and path of each exchange, and where it stands: on a grid, not quite regular, row by row."""
    regions = min(len(REGIONS), max(2, round(count / 2.2)))
    region = (np.arange(count) * regions // count).astype(np.int32)
    columns = int(np.ceil(np.sqrt(count)))
    grid = np.stack([np.arange(count) % columns, np.arange(count) // columns], axis=1)
    xy = grid * EXCHANGE_SPACING_KM + rng.uniform(-0.35, 0.35, (count, 2))
    return region, [f"{REGIONS[r]}/ex-{e + 1}" for e, r in enumerate(region.tolist())], xy


def _shares(rng: Rng, total: int, weights: F64) -> npt.NDArray[np.int64]:
    """`total` split by weights, none of them far below the mean."""
    weights = np.clip(weights / weights.mean(), 0.6, 1.8)
    share: npt.NDArray[np.int64] = np.floor(total * weights / weights.sum()).astype(np.int64)
    share[rng.permutation(len(share))[: total - int(share.sum())]] += 1
    return share


def _split_node(rng: Rng, lines: int, each: int, least: int) -> list[int]:
    if lines == 0:
        return []
    count = max(least, round(lines / each))
    return [int(s) for s in _shares(rng, lines, rng.uniform(0.6, 1.5, count)) if s]


def _add_node(nodes: list[Node], path: str, kind: str, exchange: int) -> int:
    k = len(nodes)
    nodes.append(Node(path, kind, exchange, dotted(MANAGEMENT + k // 250 * 256 + k % 250 + 1)))
    return k


def _splitters(rng: Rng, lines: int) -> list[int]:
    """Sizes of splitters that take `lines` lines, each of SPLITTER_MIN to SPLITTER_MAX while there are enough."""
    drawn = rng.integers(SPLITTER_MIN, SPLITTER_MAX + 1, lines // SPLITTER_MIN + 1)
    last = int(np.searchsorted(np.cumsum(drawn), lines))
    sizes: list[int] = drawn[:last].tolist()
    rest = lines - sum(sizes)
    if rest >= SPLITTER_MIN or not sizes:
        sizes.append(rest)
    elif rest:  # too few for one of their own: share with the one before
        both = sizes.pop() + rest
        sizes += [both] if both <= SPLITTER_MAX else [both // 2, both - both // 2]
    return sizes


def _pons(rng: Rng, splitters: int) -> list[tuple[int, int, int]]:
    """(number, first, last) of the splitters on each PON port."""
    found: list[tuple[int, int, int]] = []
    first = 0
    for count in (rng.choice(4, splitters, p=PER_PON) + 1).tolist():
        found.append((len(found) + 1, first, min(first + count, splitters)))
        first += count
        if first >= splitters:
            break
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Quarters:
    """q quarters: centres [q, 2] km, street direction [q] rad, and per exchange the ones it serves with weights."""

    xy: F64
    angle: F64
    served: list[tuple[npt.NDArray[np.int64], F64]]


def _quarters(rng: Rng, exchange_xy: F64, lines: npt.NDArray[np.int64]) -> _Quarters:
    """Quarters of one exchange around it, and between neighbours those that both serve."""
    count = len(exchange_xy)
    columns = int(np.ceil(np.sqrt(count)))
    centres: list[F64] = []
    served: list[list[int]] = [[] for _ in range(count)]
    weights: list[list[float]] = [[] for _ in range(count)]

    def add(centre: F64, exchanges: list[int], weight: float) -> None:
        for e in exchanges:
            served[e].append(len(centres))
            weights[e].append(weight * float(rng.uniform(0.7, 1.3)))
        centres.append(centre)

    for e in range(count):
        own = max(1, int(lines[e]) // 260)
        start = rng.uniform(0, 2 * np.pi)
        for k in range(own):
            turn = start + 2 * np.pi * k / own
            away = rng.uniform(0.45, 0.85) * (1 + (own > 6) * rng.uniform(0, 0.5))
            add(exchange_xy[e] + away * np.array([np.cos(turn), np.sin(turn)]), [e], 1.0)
        for other in (e + 1 if (e + 1) % columns else count, e + columns):
            if other < count:
                add((exchange_xy[e] + exchange_xy[other]) / 2 + rng.normal(0, 0.08, 2), [e, other], 0.6)
    pairs = [(np.array(s, np.int64), np.array(w) / np.sum(w)) for s, w in zip(served, weights, strict=True)]
    return _Quarters(np.array(centres), rng.uniform(0, np.pi, len(centres)), pairs)


def _houses(
    rng: Rng, quarters: _Quarters, port_exchange: I32, leaf_port: I32, leaf: I32, gpon: npt.NDArray[np.bool_]
) -> tuple[I32, I32, F64]:
    """Quarter, power feeder and place (km) of each line.

    A port prefers a quarter and half of its leaves follow; a splitter's houses stand along one street, up to 150 m to
    either side of it, DSL lines anywhere in their quarter. Each half of a quarter hangs on another feeder, which it
    shares with half of the next quarter: so no feeder is a quarter.
    """
    preferred = np.empty(len(port_exchange), np.int64)
    free = np.empty(len(leaf_port), np.int64)
    leaf_exchange = port_exchange[leaf_port]
    for e, (served, weights) in enumerate(quarters.served):
        for array, of in ((preferred, port_exchange), (free, leaf_exchange)):
            rows = np.flatnonzero(of == e)
            array[rows] = rng.choice(served, len(rows), p=weights)
    leaf_quarter = np.where(rng.random(len(leaf_port)) < 0.5, preferred[leaf_port], free)
    quarter = leaf_quarter[leaf]
    lines = len(leaf)
    centre = quarters.xy[quarter]
    street = rng.normal(0, 0.15, (len(leaf_port), 2))[leaf]
    angle = quarters.angle[quarter] + (rng.random(len(leaf_port)) < 0.3)[leaf] * np.pi / 2
    along = rng.uniform(-0.15, 0.15, lines)
    across = rng.choice((-0.012, 0.012), lines) + rng.normal(0, 0.003, lines)
    offset = np.stack(
        [np.cos(angle) * along - np.sin(angle) * across, np.sin(angle) * along + np.cos(angle) * across], axis=1
    )
    place = centre + np.where(gpon[:, None], street + offset, rng.normal(0, 0.18, (lines, 2)))
    inside = place - centre
    side = inside[:, 0] * np.sin(quarters.angle[quarter]) - inside[:, 1] * np.cos(quarters.angle[quarter]) > 0
    feeder = (quarter + side) % len(quarters.xy)
    return quarter.astype(np.int32), feeder.astype(np.int32), place


def _ducts(rng: Rng, port_exchange: I32) -> I32:
    """The duct of each port: three ports of one exchange, whatever their node, share one."""
    order = np.lexsort((rng.random(len(port_exchange)), port_exchange))
    duct = np.empty(len(port_exchange), np.int32)
    duct[order] = np.arange(len(port_exchange)) // 3
    return duct


def _equipment(
    rng: Rng, gpon: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    lines = len(gpon)
    fibre = _choose(rng, tuple(m[1] for m in GPON_CPES), lines)
    copper = _choose(rng, tuple(m[1] for m in DSL_CPES), lines) + len(GPON_CPES)
    model = np.where(gpon, fibre, copper).astype(np.uint8)
    versions = np.array([len(m[2]) for m in MODELS])[model]
    # Most run the newest version, the others lag behind.
    behind = _choose(rng, (0.7, 0.22, 0.08), lines)
    firmware = np.maximum(versions - 1 - behind, 0).astype(np.uint8)
    product = np.where(gpon, rng.integers(0, len(GPON_PRODUCTS), lines), rng.integers(0, len(DSL_PRODUCTS), lines))
    return model, firmware, product.astype(np.uint8)


def _choose(rng: Rng, shares: tuple[float, ...], count: int) -> npt.NDArray[np.uint8]:
    return np.searchsorted(np.cumsum(shares)[:-1], rng.random(count), side="right").astype(np.uint8)
