"""Faults that are hard to name: partial, nested, overlapping, slow, across the tree, filed wrong, interrupted."""

import numpy as np

from monitor.lab.simulation.booking import NoRoom
from monitor.lab.simulation.network import VERSIONS
from monitor.lab.simulation.stage import FINEST, MIDDLE, NODES, Stage
from monitor.lab.simulation.world import MINUTE, NS
from monitor.records.rounds import I32


def partial(stage: Stage) -> None:
    """A fifth to just under a half of the lines of a port or node fail: a bad laser, a line card, a wavelength."""
    network = stage.network
    element = stage.element((*MIDDLE, *NODES), 32, 500)
    lines = network.lines_of(element)
    duration = stage.minutes(25, 120)
    start = stage.place(lines, duration)
    count = max(8, int(len(lines) * stage.rng.uniform(*network.plan.nature.partial)))
    hit = np.sort(stage.rng.choice(lines, count, replace=False)).astype(np.int32)
    scope = ("element", network.paths[element])
    fault = stage.world.fault("outage", "partial_failure", scope, start, start + duration, hit)
    back = start + duration + stage.back(len(hit), (10, 120))
    stage.world.cut(hit, start + stage.rng.integers(0, 20 * NS, len(hit)), back, fault=fault)
    stage.calls(hit, start, start + duration)


def nested(stage: Stage) -> None:
    """A node fails; when it is back, one of its ports stays dead."""
    network = stage.network
    for _ in range(50):
        outer = stage.element(NODES, 60, max(120, len(network) // 4))
        inside = [
            e
            for e in network.elements_at((*FINEST, *MIDDLE))
            if network.paths[e].startswith(network.paths[outer] + "/")
            and 6 <= stage.sizes[e] <= stage.sizes[outer] // 3
        ]
        if inside:
            break
    else:
        raise NoRoom("no node with a smaller port under it")
    inner = int(stage.rng.choice(inside))
    first, second = stage.minutes(12, 40), stage.minutes(20, 70)
    start = stage.place(network.lines_of(outer), first + second)
    middle = start + first
    stage.dead(outer, start, middle, (20, 60), alarm="NODE-DOWN")
    # It broke when the node came back: what is found then is a fault of its own.
    stage.dead(inner, middle, middle + second, (10, 60), cause="nested")


def overlap(stage: Stage) -> None:
    """Two faults in the same exchange at the same time, neither inside the other."""
    network = stage.network
    for _ in range(50):
        first = stage.element((*NODES, *MIDDLE), 20, max(60, len(network) // 5))
        area = network.paths[int(network.exchange_of(network.lines_of(first))[0])]
        mine = network.paths[first]
        others = [
            e
            for e in network.elements_at((*MIDDLE, *NODES, *FINEST))
            if network.paths[e].startswith(area + "/")
            and stage.sizes[e] >= 8
            and not (network.paths[e] + "/").startswith(mine + "/")
            and not mine.startswith(network.paths[e] + "/")
            # The last two children of one parent would make the parent the better name.
            and not (network.parent[e] == network.parent[first] and _children(stage, int(network.parent[e])) < 4)
        ]
        if others:
            break
    else:
        raise NoRoom("no exchange with two independent nodes")
    second = int(stage.rng.choice(others))
    long, short = stage.minutes(25, 80), stage.minutes(15, 50)
    delay = int(stage.rng.uniform(2, 9) * MINUTE)
    start = stage.place(network.lines_of(first), max(long, delay + short))
    stage.dead(first, start, start + long, (30, 120))
    stage.dead(second, start + delay, start + delay + short, (10, 120))


def _children(stage: Stage, element: int) -> int:
    return int(np.count_nonzero(stage.network.parent == element))


def firmware(stage: Stage) -> None:
    """A firmware version hangs on a date or a message: its routers stop within some minutes, all over the network."""
    network = stage.network
    found = []
    for m, model in enumerate(network.models):
        for v, (version, _) in enumerate(VERSIONS):
            lines = np.flatnonzero((network.model == m) & (network.version == v)).astype(np.int32)
            spread = len(np.unique(network.exchange_of(lines)))
            if 25 <= len(lines) <= 0.2 * len(network) and spread >= min(3, len(network) // 1000 + 1):
                found.append((f"firmware:{model}-{version}", lines))
    if not found:
        raise NoRoom("no firmware with enough lines")
    name, lines = found[int(stage.rng.integers(len(found)))]
    duration = stage.minutes(25, 70)
    start = stage.place(lines, duration, alone=True)
    hit = lines[stage.rng.random(len(lines)) < stage.rng.uniform(0.8, 0.95)]
    delay = np.minimum(stage.rng.exponential(stage.rng.uniform(1.5, 4), len(hit)), 15) * MINUTE
    fault = stage.world.fault("outage", "group_down", ("group", name), start, start + duration, hit)
    back = start + duration + (stage.rng.uniform(0, 300, len(hit)) * NS).astype(np.int64)
    stage.world.cut(hit, start + delay.astype(np.int64), back, fault=fault)
    for line, at in zip(hit.tolist(), back.tolist(), strict=True):
        if network.telemetry[line]:
            stage.world.say(at + 5 * NS, network.line_ids[line], "cpe_boot")
    stage.calls(hit, start, start + duration)


def slow_onset(stage: Stage) -> None:
    """A DHCP server is dead: its lines fall off one by one as their leases of three hours run out."""
    network = stage.network
    found = [g for g, lines in network.groups.items() if g.startswith("dhcp:") and len(lines) >= 40]
    if not found:
        raise NoRoom("no DHCP server with 40 lines")
    name = found[int(stage.rng.integers(len(found)))]
    lines = network.groups[name]
    duration = min(stage.minutes(60, 110), 3 * int(stage.longest) * MINUTE)
    start = stage.place(lines, duration)
    # Clients renew at half the lease; the lease left is anything between a half and the whole.
    left = stage.rng.uniform(0, 180, len(lines)) * MINUTE
    hit = lines[left < duration]
    fault = stage.world.fault("outage", "slow_onset", ("group", name), start, start + duration, hit)
    back = start + duration + (stage.rng.uniform(10, 240, len(hit)) * NS).astype(np.int64)
    stage.world.cut(hit, start + left[left < duration].astype(np.int64), back, fault=fault)
    stage.calls(hit, start, start + duration)


def maintenance(stage: Stage) -> None:
    """Planned work on a node, announced; meanwhile a port outside it fails, which nobody planned."""
    network = stage.network
    element = stage.element(NODES, 20, max(60, len(network) // 4))
    lines = network.lines_of(element)
    lead, work, tail = (int(stage.rng.uniform(a, b) * MINUTE) for a, b in ((2, 6), (12, 40), (3, 10)))
    work = min(work, int(stage.longest * MINUTE))
    start = stage.place(lines, lead + work + tail)
    end = start + lead + work + tail
    subject = f"element:{network.paths[element]}"
    stage.world.say(start, subject, "maintenance_start", "planned work")
    stage.world.say(end, subject, "maintenance_end")
    stage.dead(element, start + lead, start + lead + work, (60, 180), kind="planned", cause="maintenance")
    stage.world.faults[-1].start_ns, stage.world.faults[-1].end_ns = start, end
    other = _outside(stage, element)
    if other is not None:
        begin = start + lead + int(stage.rng.uniform(1, 5) * MINUTE)
        stage.dead(other, begin, begin + max(8 * MINUTE, work // 2), (10, 60))


def _outside(stage: Stage, element: int) -> int | None:
    """A small element of the same exchange that is not under `element`, nor above it."""
    network = stage.network
    exchange = int(network.exchange_of(network.lines_of(element))[0])
    found = [
        e
        for e in network.elements_at(FINEST)
        if stage.sizes[e] >= 6
        and network.paths[e].startswith(network.paths[exchange] + "/")
        and not (network.paths[e] + "/").startswith(network.paths[element] + "/")
    ]
    return int(stage.rng.choice(found)) if found else None


def misfiled(stage: Stage) -> None:
    """A port fails in the exchange where many lines are recorded on the wrong port."""
    network = stage.network
    inside = network.paths[network.misfiled_exchange] + "/"
    found = [
        e
        for e in network.elements_at((*MIDDLE, *NODES, *FINEST))
        if network.paths[e].startswith(inside) and 12 <= stage.sizes[e] <= 400
    ]
    if not found:
        raise NoRoom("no port of 12 lines in the exchange with wrong records")
    element = int(stage.rng.choice(found))
    duration = stage.minutes(20, 90)
    start = stage.place(network.lines_of(element), duration)
    stage.dead(element, start, start + duration, (10, 120))


def restart(stage: Stage) -> None:
    """Nothing is recorded for some minutes in the middle of an outage: the daemon was restarted."""
    element = stage.element((*NODES, *MIDDLE), 15, max(60, len(stage.network) // 4))
    lines: I32 = stage.network.lines_of(element)
    duration = max(stage.minutes(30, 60), 20 * MINUTE)
    start = stage.place(lines, duration, alone=True)
    stage.dead(element, start, start + duration, (20, 120))
    begin = start + int(stage.rng.uniform(6, 10) * MINUTE)
    stage.world.gaps.append((begin, begin + int(stage.rng.uniform(3, 9) * MINUTE)))
