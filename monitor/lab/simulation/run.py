"""`faultline simulate`: a network, what happens in it, what a prober and the network say about it, and the truth."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from monitor.clock import parse_time
from monitor.lab.simulation.background import add_background
from monitor.lab.simulation.files import RunSize, happenings_of, write_events, write_inventory, write_truth
from monitor.lab.simulation.network import generate
from monitor.lab.simulation.observations import round_ns, rounds_of, write_observations
from monitor.lab.simulation.plan import PLANS
from monitor.lab.simulation.scenarios import NAMES, place
from monitor.lab.simulation.signals import add_signals
from monitor.lab.simulation.world import Downtimes, World, settle_truth

# A Friday evening, 18:00 by the local clock; the second night has the change to daylight saving time.
START_NS = parse_time("2026-03-27T17:00:00Z")
NODE_KINDS = ("olt", "msan", "cmts")
OUTSIDE = ("outside-1", "outside-2", "outside-3")


class Simulated(msgspec.Struct, frozen=True):
    """What was written: rows of observations, events, truths, and the scenarios that found no room."""

    observations: int
    events: int
    truths: int
    missing: tuple[str, ...] = ()


def simulate(
    scenario: str,
    lines: int,
    hours: float,
    seed: int,
    out: Path,
    interval_s: float = 60.0,
    plan: str = "standard",
    progress: Callable[[int, int], None] | None = None,
) -> Simulated:
    """Writes inventory.csv, observations.parquet, events.csv and truth.jsonl into `out` (made if it is not there).

    Raises ValueError, for people, when the scenario is not known or does not fit into so few lines or hours. The same
    arguments give the same files.
    """
    if scenario not in NAMES:
        raise ValueError(f"scenario {scenario!r} is not known: choose one of {', '.join(NAMES)}")
    if plan not in PLANS:
        raise ValueError(f"plan {plan!r} is not known: choose one of {', '.join(PLANS)}")
    if not interval_s > 0:
        raise ValueError(f"interval {interval_s} s must be above 0")
    if seed < 0:
        raise ValueError(f"seed {seed} must not be negative")
    rounds = rounds_of(hours, interval_s)
    network = generate(lines, PLANS[plan], np.random.default_rng([seed, 1]))
    interval = round_ns(interval_s)
    world = World(network, seed, START_NS, START_NS + rounds * interval, interval)
    world.nodes = network.elements_at(NODE_KINDS)
    exchanges = np.unique(network.at_depth[network.exchange_depth]).tolist()
    world.references = [*OUTSIDE, *(network.paths[e] for e in exchanges)]
    missing = place(world, scenario)
    add_background(world)
    downtimes = Downtimes.of(world.cuts)
    settle_truth(world, downtimes)
    add_signals(world, downtimes)

    out.mkdir(parents=True, exist_ok=True)
    write_inventory(network, out / "inventory.csv")
    events = write_events(world, out / "events.csv")
    truths = write_truth(world, out / "truth.jsonl")
    hours = rounds * interval_s / 3600
    size = RunSize(scenario, lines, hours, seed, interval_s, plan, tuple(missing), happenings_of(world))
    (out / "simulation.json").write_bytes(msgspec.json.format(msgspec.json.encode(size), indent=2) + b"\n")
    rows = write_observations(world, downtimes, out / "observations.parquet", progress)
    return Simulated(rows, events, truths, tuple(missing))
