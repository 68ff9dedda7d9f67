"""The numbers that decided, as coded sentences: what failed, why it is no chance, what speaks beside it."""

import numpy as np

from correlation.areas import parse_area
from correlation.evidence import Cause
from correlation.lines import LineTable
from monitor.inventory import Inventory
from monitor.records import Coded, LineState, ScopeKind
from monitor.records.incidents import Param
from monitor.records.rounds import I32

POWER_GASPS = 3
FINE_SHARE = 0.5


class Facts:
    """What is known of the lines of a cause beside the pings."""

    __slots__ = ("calls", "gasps", "node", "wills")

    def __init__(self, gasps: int = 0, wills: int = 0, calls: int = 0, node: int = 0) -> None:
        self.gasps = gasps
        self.wills = wills
        self.calls = calls
        self.node = node  # 1: the element itself answers, -1: it went silent too, 0: it is not probed


def cause_code(cause: Cause, inventory: Inventory, facts: Facts) -> str:
    """The code of the cause, as in `Incident.cause`."""
    if cause.scope.kind is ScopeKind.AREA:
        above = inventory.elements.parent[inventory.leaf[cause.lines]]
        wide = np.unique(above).size >= 2 and cause.share >= 0.7
        return "power_cut" if wide or facts.gasps >= POWER_GASPS else "area_down"
    if cause.window_s > 300 and cause.spread_s > 600:
        return "slow_onset"
    if cause.scope.kind is ScopeKind.GROUP:
        if cause.scope.name.startswith("power:") or facts.gasps >= max(POWER_GASPS, cause.missing // 4):
            return "power_cut"
        return "group_down"
    if facts.gasps >= max(POWER_GASPS, cause.missing // 2):
        return "power_cut"
    return "element_down" if cause.share >= 0.8 else "partial_failure"


def explain_cause(cause: Cause, code: str, inventory: Inventory, table: LineTable, facts: Facts) -> tuple[Coded, ...]:
    """In the order one says them on the phone."""
    said = [_what(cause, code, inventory, facts)]
    if cause.expected >= 0.1:
        said.append(Coded("by_chance", {"expected": round(cause.expected, 1)}))
    else:
        said.append(Coded("by_chance_none"))
    around = _around(cause, inventory, table)
    if around:
        said.append(around)
    if facts.node:
        said.append(Coded("node_answers" if facts.node > 0 else "node_silent", {"scope": cause.scope.name}))
    if facts.gasps and said[0].code != "power_cut":
        said.append(Coded("gasps", {"gasps": facts.gasps}))
    if facts.wills:
        said.append(Coded("wills", {"wills": facts.wills}))
    if facts.calls:
        said.append(Coded("called", {"calls": facts.calls}))
    if cause.runner_up is not None and cause.runner_up_confidence >= 0.02:
        said.append(Coded("runner_up", {"scope": cause.runner_up.name, "confidence_ratio": cause.runner_up_confidence}))
    return tuple(said)


def coverage(at_risk: int, observable: int) -> tuple[Coded, ...]:
    """Said when a fifth and more of the lines cannot be seen."""
    if at_risk and observable < 0.8 * at_risk:
        return (Coded("coverage_low", {"observable": observable, "at_risk": at_risk}),)
    return ()


def _what(cause: Cause, code: str, inventory: Inventory, facts: Facts) -> Coded:
    params: dict[str, Param] = {
        "down": cause.missing,
        "observable": cause.observable,
        "spread_s": max(1.0, round(cause.spread_s)),
        "scope": cause.scope.name,
    }
    if cause.scope.kind is ScopeKind.AREA:
        lat, lon, radius = parse_area(cause.scope.name)
        params.update(lat=f"{lat:.4f}", lon=f"{lon:.4f}", radius=f"{radius:.1f}", ports=_ports(inventory, cause.lines))
        if facts.gasps:
            return Coded("power_cut", {**params, "gasps": facts.gasps})
        return Coded("area_down", params)
    if code == "slow_onset":
        return Coded("slow_onset", params)
    if cause.scope.kind is ScopeKind.GROUP:
        return Coded("group_down", {**params, "ports": _ports(inventory, cause.lines)})
    return Coded("element_down" if cause.share >= 0.8 else "partial_failure", params)


def _ports(inventory: Inventory, lines: I32) -> int:
    return int(np.unique(inventory.leaf[lines]).size)


def _around(cause: Cause, inventory: Inventory, table: LineTable) -> Coded | None:
    """How the neighbours are: it is the strongest argument for this scope and no larger one."""
    if cause.element < 0:
        return _rest(inventory, table, cause)
    elements = inventory.elements
    parent = int(elements.parent[cause.element])
    siblings = [e for e in elements.children(parent) if e != cause.element]
    if parent < 0 or not siblings:
        return None
    fine = known = 0
    for sibling in siblings:
        state = table.state[elements.lo[sibling] : elements.hi[sibling]]
        seen = int(np.count_nonzero(state != LineState.UNKNOWN))
        if not seen:
            continue
        known += 1
        down = int(np.count_nonzero(state == LineState.DOWN))
        fine += down < FINE_SHARE * seen
    if not known:
        return None
    params: dict[str, Param] = {"siblings": known, "parent": elements.paths[parent]}
    if fine < known:
        return Coded("siblings_partly", {**params, "fine": fine})
    return Coded("siblings_fine" if known > 1 else "sibling_fine", params)


def _rest(inventory: Inventory, table: LineTable, cause: Cause) -> Coded | None:
    others = np.ones(len(inventory), np.bool_)
    others[cause.lines] = False
    others &= table.state != LineState.UNKNOWN
    count = int(np.count_nonzero(others))
    if not count:
        return None
    return Coded("rest_fine", {"up": int(np.count_nonzero(others & table.is_up())), "others": count})
