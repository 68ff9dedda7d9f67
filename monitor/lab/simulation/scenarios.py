"""The scenarios by name, and `all`: everything, as often as the size of the run allows, without accidental overlap."""

from collections.abc import Callable

import numpy as np

from monitor.lab.simulation import complex_faults, faults, traps
from monitor.lab.simulation.booking import Booking, NoRoom
from monitor.lab.simulation.stage import Stage
from monitor.lab.simulation.world import HOUR, Happening, World

Scenario = Callable[[Stage], None]
BENIGN: tuple[Scenario, ...] = (
    traps.reconnects,
    traps.sleeping,
    traps.broker,
    traps.campaign,
    traps.call_storm,
    traps.ping_filter,
    traps.resyncs,
)
SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "single": (),
    "splitter": (faults.splitter,),
    "node": (faults.node,),
    "power": (faults.feeder_cut, faults.street_cut),
    "exchange": (faults.exchange,),
    "flapping": (faults.flapping,),
    "congestion": (faults.congestion,),
    "resolver": (traps.resolver,),
    "blind": (traps.blind,),
    "maintenance": (complex_faults.maintenance,),
    "overlap": (complex_faults.overlap,),
    "firmware": (complex_faults.firmware,),
    "partial": (complex_faults.partial,),
    "nested": (complex_faults.nested,),
    "slow-onset": (complex_faults.slow_onset,),
    "renumbering": (traps.renumbering,),
    "benign": BENIGN,
    "misfiled": (complex_faults.misfiled,),
    "restart": (complex_faults.restart,),
}
NAMES = (*SCENARIOS, "all")
# Those that leave no room for others while they last, and those of whole exchanges, are placed first.
FIRST = (
    *("slow-onset", "firmware", "blind", "restart", "benign", "exchange", "resolver", "renumbering"),
    *("maintenance", "overlap", "nested", "misfiled"),
)
TWICE = ("splitter", "partial", "node", "congestion")
ATTEMPTS = 20
ONCE_A_DAY = (traps.reconnects, traps.sleeping)


def place(world: World, scenario: str) -> list[str]:
    """Put a scenario, or all of them, into the world. Returns what found no room (never for `all` at 10,000 lines and
    12 hours); raises ValueError when a single scenario that was asked for found none."""
    booking = Booking(world.start_ns, world.end_ns)
    missing = []
    for number, (name, one) in enumerate(_programme(world, scenario)):
        stage = Stage(world, booking, world.rng(20, number))
        for attempt in range(ATTEMPTS):
            before = len(booking)
            try:
                one(stage)
                # Some take no place of their own: the nights, which are the same for everybody.
                times = [(b.start_ns, b.end_ns) for b in booking.booked_since(before)]
                for start, end in times or [(world.start_ns, world.end_ns)]:
                    world.happenings.append(Happening(name, one.__name__, start, end))
                break
            except NoRoom as error:
                if attempt == ATTEMPTS - 1:
                    missing.append(f"{name}: {error}")
    if missing and scenario != "all" and not world.faults:
        raise ValueError(f"scenario {missing[0]}: more lines or hours are needed")
    return missing


def _programme(world: World, scenario: str) -> list[tuple[str, Scenario]]:
    """What is placed, in this order."""
    twelve_hours = (world.end_ns - world.start_ns) / (12 * HOUR)
    repeats = max(1, round(twelve_hours))
    if scenario == "benign":
        # A long run has all of it again and again, and the failover of a BNG too.
        again = [one for one in (*BENIGN, traps.renumbering) if one not in ONCE_A_DAY]
        return [(scenario, one) for one in BENIGN] + [(scenario, one) for one in again] * (repeats - 1)
    if scenario != "all":
        return [(scenario, one) for one in SCENARIOS[scenario]]
    names = [*FIRST, *(n for n in SCENARIOS if n not in FIRST), *TWICE]
    # Ten times the lines have room for more faults, not for ten times as many at once.
    crowd = max(1, round(np.sqrt(len(world.network) / 10_000)))
    programme: list[tuple[str, Scenario]] = []
    for turn in range(repeats * crowd):
        for name in names:
            for one in SCENARIOS[name]:
                alone = name in ("slow-onset", "firmware", "blind", "restart", "benign", "resolver", "renumbering")
                if (one in ONCE_A_DAY and turn) or (alone and turn >= repeats):
                    continue
                programme.append((name, one))
    return programme
