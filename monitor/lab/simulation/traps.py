"""What looks like an outage and is none: a blind prober, a dead resolver, renumbering, and benign crowds."""

from datetime import UTC, datetime

import numpy as np

from monitor.lab.simulation.background import ZONE
from monitor.lab.simulation.booking import NoRoom
from monitor.lab.simulation.network import VERSIONS
from monitor.lab.simulation.stage import MIDDLE, NODES, Stage
from monitor.lab.simulation.world import MINUTE, NS, Slowdown
from monitor.records.rounds import I32

NOBODY: I32 = np.zeros(0, np.int32)


def resolver(stage: Stage) -> None:
    """A resolver dies: its customers see "no internet", their lines answer every ping."""
    found = [g for g in stage.network.groups if g.startswith("resolver:")]
    name = found[int(stage.rng.integers(len(found)))]
    lines = stage.network.groups[name]
    duration = stage.minutes(10, 45)
    start = stage.place(lines, duration)
    stage.world.fault("resolver", "resolver_down", ("group", name), start, start + duration, NOBODY)  # no line is down
    stage.world.say(start + int(stage.rng.uniform(10, 40) * NS), f"group:{name}", "resolver_down")
    stage.world.say(start + duration + int(stage.rng.uniform(10, 40) * NS), f"group:{name}", "resolver_up")
    stage.calls(lines, start, start + duration, 0.004)


def blind(stage: Stage) -> None:
    """The prober's own uplink is gone: nothing answers it, its reference targets neither."""
    duration = stage.minutes(6, 15)
    start = stage.place(NOBODY, duration, alone=True)
    stage.world.fault("source", "source_blind", ("source", "default"), start, start + duration, NOBODY)
    stage.world.blind.append((start, start + duration))


def renumbering(stage: Stage) -> None:
    """A BNG hands its sessions to its twin: every line is off for a minute and comes back with another address."""
    found = [g for g in stage.network.groups if g.startswith("bng:")]
    name = found[int(stage.rng.integers(len(found)))]
    lines = stage.network.groups[name]
    start = stage.place(lines, 5 * MINUTE)
    down = stage.rng.integers(0, 5 * NS, len(lines))
    off = (stage.rng.uniform(15, 75, len(lines)) * NS).astype(np.int64)
    stage.world.cut(lines, start + down, start + down + off)
    for line, at in zip(lines.tolist(), (start + down + off).tolist(), strict=True):
        stage.world.renumbered.append((line, at))


def campaign(stage: Stage) -> None:
    """A firmware campaign: the routers of one version reboot in waves."""
    network = stage.network
    model = int(stage.rng.integers(len(network.models)))
    version = int(stage.rng.integers(1, len(VERSIONS)))
    lines = np.flatnonzero((network.model == model) & (network.version == version)).astype(np.int32)
    if len(lines) < 10:
        raise NoRoom("no firmware with 10 lines")
    waves = 6
    duration = waves * 10 * MINUTE
    start = stage.place(lines, duration, alone=True)
    wave = stage.rng.integers(0, waves, len(lines))
    begin = start + wave * 10 * MINUTE + (stage.rng.exponential(1.5, len(lines)) * MINUTE).astype(np.int64)
    end = begin + (stage.rng.uniform(100, 230, len(lines)) * NS).astype(np.int64)
    stage.world.cut(lines, begin, end)
    for line, at in zip(lines.tolist(), end.tolist(), strict=True):
        if network.telemetry[line]:
            stage.world.say(at + 3 * NS, network.line_ids[line], "cpe_boot")


def resyncs(stage: Stage) -> None:
    """Dynamic line management gives the lines of an MSAN new profiles: each retrains once within the hour."""
    found = [e for e in stage.network.elements_at(("msan",)) if stage.sizes[e] >= 15]
    if not found:
        raise NoRoom("no MSAN with 15 lines")
    lines = stage.network.lines_of(int(stage.rng.choice(found)))
    duration = min(60, int(stage.longest * 2)) * MINUTE
    start = stage.place(lines, duration)
    some = lines[stage.rng.random(len(lines)) < 0.5]
    begin = start + stage.rng.integers(0, duration, len(some))
    stage.world.cut(some, begin, begin + (stage.rng.uniform(40, 150, len(some)) * NS).astype(np.int64))


def reconnects(stage: Stage) -> None:
    """PPPoE sessions are ended once a night and come back with another address (24-hour separation)."""
    world, network = stage.world, stage.network
    dsl = [i for i, t in enumerate(network.plan.technologies) if t.name == "dsl"]
    lines = np.flatnonzero(network.sessions & np.isin(network.technology, dsl)).astype(np.int32)
    for begin, end in _nights(world.start_ns, world.end_ns, 3, 5):
        at = stage.rng.integers(begin, end, len(lines))
        off = (stage.rng.uniform(10, 40, len(lines)) * NS).astype(np.int64)
        inside = (at > world.start_ns) & (at + off < world.end_ns)
        world.cut(lines[inside], at[inside], (at + off)[inside])
        world.renumbered += list(zip(lines[inside].tolist(), (at + off)[inside].tolist(), strict=True))


def sleeping(stage: Stage) -> None:
    """One ONT model saves power at night: a part of its lines answers late, or not at once."""
    network = stage.network
    model = int(stage.rng.integers(len(network.models)))
    lines = np.flatnonzero((network.model == model) & (stage.rng.random(len(network)) < 0.3)).astype(np.int32)
    for begin, end in _nights(stage.world.start_ns, stage.world.end_ns, 0, 6):
        stage.world.slowdowns.append(Slowdown(lines, begin, end, 0.15, 12.0))


def broker(stage: Stage) -> None:
    """The MQTT broker restarts: every last will at once, everybody back within minutes."""
    start = stage.place(NOBODY, 6 * MINUTE, alone=True)
    stage.world.broker.append((start, start + int(stage.rng.uniform(30, 90) * NS)))


def ping_filter(stage: Stage) -> None:
    """A new filter drops pings to all lines of a node; sessions and telemetry go on."""
    element = stage.element((*NODES, *MIDDLE), 30, max(60, len(stage.network) // 5))
    lines = stage.network.lines_of(element)
    duration = stage.minutes(20, 60)
    start = stage.place(lines, duration)
    stage.world.cut(lines, start, start + duration, pings_only=True)


def call_storm(stage: Stage) -> None:
    """A messenger fails somewhere in the world, and people call their provider."""
    start = stage.place(NOBODY, 30 * MINUTE, alone=True)
    network = stage.network
    lines = np.arange(len(network), dtype=np.int32)
    stage.calls(lines, start, start + 30 * MINUTE, 0.006)


def _nights(start_ns: int, end_ns: int, low: int, high: int) -> list[tuple[int, int]]:
    """The times between two hours of the local clock, for every night that the run touches."""
    found = []
    day = 24 * 60 * MINUTE
    for at in range(start_ns - day, end_ns + day, day):
        date = datetime.fromtimestamp(at // NS, UTC).astimezone(ZONE).date()
        begin, end = (
            int(datetime(date.year, date.month, date.day, h, tzinfo=ZONE).timestamp()) * NS for h in (low, high)
        )
        if begin < end_ns and end > start_ns:
            found.append((begin, end))
    return found
