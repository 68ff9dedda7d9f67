"""The plain faults: one function a scenario, which picks where, books place and time, and says what is true.

All figures are plausible for access networks and were written down (docs/simulation.md) before anything was tuned.
"""

import numpy as np

from monitor.lab.simulation.booking import NoRoom
from monitor.lab.simulation.stage import FINEST, MIDDLE, NODES, Stage
from monitor.lab.simulation.world import MINUTE, NS, Slowdown
from monitor.records.rounds import I32

ATTEMPTS = 300


def splitter(stage: Stage) -> None:
    """A cut fibre or a dead amplifier: everything on one finest element."""
    element = stage.element(FINEST, 5)
    duration = stage.minutes(20, 120)
    start = stage.place(stage.network.lines_of(element), duration)
    stage.dead(element, start, start + duration, (10, 120))


def node(stage: Stage) -> None:
    """An OLT, MSAN or CMTS restarts or loses power."""
    element = stage.element(NODES, 20, max(60, len(stage.network) // 4))
    duration = stage.minutes(8, 60)
    start = stage.place(stage.network.lines_of(element), duration)
    stage.dead(element, start, start + duration, (60, 240), alarm="NODE-DOWN")


def exchange(stage: Stage) -> None:
    """A whole exchange or radio site loses its uplink."""
    element = stage.element(("exchange", "site"), 40, max(80, int(len(stage.network) * 0.35)))
    duration = stage.minutes(10, 60)
    start = stage.place(stage.network.lines_of(element), duration)
    stage.dead(element, start, start + duration, (5, 60), alarm="UPLINK-DOWN")


def _dark(stage: Stage, lines: I32, scope: tuple[str, str], start: int, end: int) -> None:
    hit = lines[stage.rng.random(len(lines)) < 0.96]  # some have a battery
    fault = stage.world.fault("outage", "power_cut", scope, start, end, hit)
    back = end + (stage.rng.uniform(60, 300, len(hit)) * NS).astype(np.int64)
    stage.world.cut(hit, start + stage.rng.integers(0, NS, len(hit)), back, power=True, fault=fault)
    stage.calls(hit, start, end, 0.01)


def _crosses(stage: Stage, lines: I32, low: int) -> bool:
    """Across three and more leaves, and not simply one of them."""
    leaf = stage.network.leaf[lines]
    counts = np.unique(leaf, return_counts=True)[1]
    return len(lines) >= low and len(counts) >= 3 and counts.max() <= 0.6 * len(lines)


def feeder_cut(stage: Stage) -> None:
    """A power cut along a feeder that is on record."""
    groups = stage.network.groups
    found = [g for g, lines in groups.items() if g.startswith("power:") and _crosses(stage, lines, 10)]
    if not found:
        raise NoRoom("no power feeder with 10 lines")
    name = found[int(stage.rng.integers(len(found)))]
    duration = stage.minutes(15, 120)
    start = stage.place(groups[name], duration)
    _dark(stage, groups[name], ("group", name), start, start + duration)


def street_cut(stage: Stage) -> None:
    """A power cut of some streets where no feeder is on record."""
    network = stage.network
    known = np.zeros(len(network), np.bool_)
    for name, lines in network.groups.items():
        if name.startswith("power:"):
            known[lines] = True
    free = np.flatnonzero(~known)
    if not len(free):
        raise NoRoom("power feeders are on record everywhere")
    for _ in range(ATTEMPTS):
        centre = int(stage.rng.choice(free))
        radius = float(stage.rng.uniform(0.3, 0.8))
        north = (network.lat - network.lat[centre]) * 111.2
        east = (network.lon - network.lon[centre]) * 111.2 * np.cos(np.radians(network.lat[centre]))
        lines = np.flatnonzero((np.hypot(north, east) <= radius) & ~known).astype(np.int32)
        if _crosses(stage, lines, 15):
            break
    else:
        raise NoRoom("no streets with lines of three ports")
    duration = stage.minutes(15, 120)
    start = stage.place(lines, duration)
    scope = ("area", f"{network.lat[centre]:.4f},{network.lon[centre]:.4f},{radius:.2f}")
    _dark(stage, lines, scope, start, start + duration)


def flapping(stage: Stage) -> None:
    """A port that comes and goes: five to eight times, minutes each; one fault."""
    element = stage.element(MIDDLE, 12, 400)
    lines = stage.network.lines_of(element)
    cycles = int(stage.rng.integers(5, 9))
    downs = stage.rng.uniform(2, 5, cycles) * MINUTE
    ups = stage.rng.uniform(2.5, 6, cycles) * MINUTE
    duration = int(downs.sum() + ups[:-1].sum())
    start = stage.place(lines, duration)
    scope = ("element", stage.network.paths[element])
    fault = stage.world.fault("outage", "element_down", scope, start, start + duration, lines)
    at = start
    for down, up in zip(downs.astype(int).tolist(), ups.astype(int).tolist(), strict=True):
        back = at + down + (stage.rng.uniform(5, 40, len(lines)) * NS).astype(np.int64)
        stage.world.cut(lines, at + stage.rng.integers(0, 2 * NS, len(lines)), back, fault=fault)
        stage.world.cut_elements(element, at, at + down)
        at += down + up
    stage.calls(lines, start, start + duration)


def congestion(stage: Stage) -> None:
    """A link of a bundle fails or an uplink is full: slow and lossy, not down."""
    element = stage.element((*MIDDLE, *NODES, "exchange"), 25, max(60, len(stage.network) // 4))
    lines = stage.network.lines_of(element)
    duration = stage.minutes(30, 100)
    start = stage.place(lines, duration)
    scope = ("element", stage.network.paths[element])
    hit = lines[stage.rng.random(len(lines)) < 0.93]
    stage.world.fault("degraded", "congestion", scope, start, start + duration, hit)
    rtt, loss = float(stage.rng.uniform(35, 90)), float(stage.rng.uniform(0.03, 0.10))
    ramp = 3  # steps of a minute until it is full
    for step in range(1, ramp + 1):
        begin = start + (step - 1) * MINUTE
        stop = begin + MINUTE if step < ramp else start + duration
        stage.world.slowdowns.append(Slowdown(hit, begin, stop, loss * step / ramp, rtt * step / ramp))
    stage.calls(hit, start, start + duration, 0.01)
