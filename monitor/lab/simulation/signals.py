"""What lines, BNGs and nodes say by themselves when service goes and comes: the rows of events.csv.

Last wills come when the broker has missed one and a half keep-alives; a dying gasp at once, from the CPE that can;
sessions end when the BNG has missed its echoes; session counts are reported every five minutes.
"""

import numpy as np

from monitor.inventory.address import format_address
from monitor.lab.simulation.world import MINUTE, NS, Downtimes, World

KEEP_ALIVE_S = (60.0, 95.0)
RECONNECT_S = (5.0, 60.0)
SESSION_TIMEOUT_S = (60.0, 120.0)
COUNT_EVERY = 5 * MINUTE
COUNT_LAG = 2 * MINUTE
REPORTING_RATIO = 0.6  # of the nodes report how many sessions they have


def add_signals(world: World, downtimes: Downtimes) -> None:
    merged = downtimes.merged()
    _line_signals(world, merged)
    _broker_restarts(world, merged)
    _session_counts(world, merged)


def _line_signals(world: World, merged: list[tuple[int, int, int, bool]]) -> None:
    network, rng = world.network, world.rng(31)
    ids = network.line_ids
    address = {line: int(network.address[line]) for line in range(len(network)) if network.sessions[line]}
    renumbered: dict[int, list[int]] = {}
    for line, at in world.renumbered:
        renumbered.setdefault(line, []).append(at)
    fresh = 0x0A000001  # new addresses come from 10.0.0.0/8
    down_at_start = {line for line, start, end, _ in merged if start <= world.start_ns < end}
    for line in np.flatnonzero(network.telemetry).tolist():
        if line not in down_at_start:
            world.say(world.start_ns + int(rng.uniform(0, 20) * NS), ids[line], "cpe_online")
    for line, start, end, power in merged:
        waits = rng.random(4)
        begin, back = max(start, world.start_ns), min(end, world.end_ns)
        if start >= world.start_ns:
            if power and network.gasps[line]:
                world.say(start + int(waits[0] * 3 * NS), ids[line], "dying_gasp")
            if network.telemetry[line]:
                will = start + _between(KEEP_ALIVE_S, waits[1])
                if will < back:
                    world.say(will, ids[line], "cpe_offline")
        online = end + _between(RECONNECT_S, waits[2])
        if network.telemetry[line] and online < world.end_ns:
            world.say(online, ids[line], "cpe_online")
            if power:
                world.say(online, ids[line], "cpe_boot")
        if not network.sessions[line]:
            continue
        change = [at for at in renumbered.get(line, ()) if start <= at <= end]
        stop = begin + (5 * NS if change else _between(SESSION_TIMEOUT_S, waits[3]))
        if stop < back or change:
            old = address[line]
            if change:
                address[line], fresh = fresh, fresh + 1
            if start >= world.start_ns:
                world.say(min(stop, end), ids[line], "session_stop", _text(old))
            if end < world.end_ns:
                world.say(end + 1 * NS, ids[line], "session_start", _text(address[line]))


def _between(span: tuple[float, float], chance: float) -> int:
    return int((span[0] + chance * (span[1] - span[0])) * NS)


def _text(address: int) -> str:
    return format_address(address.to_bytes(4, "big"))


def _broker_restarts(world: World, merged: list[tuple[int, int, int, bool]]) -> None:
    """Everybody's last will within two seconds; they are back within three minutes."""
    network, rng = world.network, world.rng(32)
    for start, end in world.broker:
        off = {line for line, begin, stop, _ in merged if begin <= start < stop}
        for line in np.flatnonzero(network.telemetry).tolist():
            if line not in off:
                world.say(start + int(rng.uniform(0, 2) * NS), network.line_ids[line], "cpe_offline")
                world.say(end + int(rng.uniform(0, 180) * NS), network.line_ids[line], "cpe_online")


def _session_counts(world: World, merged: list[tuple[int, int, int, bool]]) -> None:
    network, rng = world.network, world.rng(33)
    times = np.arange(world.start_ns + COUNT_EVERY, world.end_ns, COUNT_EVERY, dtype=np.int64)
    if not len(times):
        return
    # Lines without service at each time, as steps: +1 in the first report after the start, -1 after the end.
    line = np.array([m[0] for m in merged], np.int32)
    begin = np.searchsorted(times, np.array([m[1] for m in merged], np.int64) + COUNT_LAG)
    stop = np.searchsorted(times, np.array([m[2] for m in merged], np.int64))
    keep = stop > begin
    line, begin, stop = line[keep], begin[keep], stop[keep]
    reporting = [e for e in world.nodes if rng.random() < REPORTING_RATIO]
    members = [(f"element:{network.paths[e]}", network.lines_of(e)) for e in reporting]
    members += [(f"group:{name}", lines) for name, lines in network.groups.items() if name.startswith("bng:")]
    inside = np.zeros(len(network), np.bool_)
    for subject, lines in members:
        inside[:] = False
        inside[lines] = True
        rows = inside[line]
        steps = np.zeros(len(times) + 1, np.int64)
        np.add.at(steps, begin[rows], 1)
        np.subtract.at(steps, stop[rows], 1)
        counts = len(lines) - np.cumsum(steps)[:-1]
        shift = int(rng.integers(0, 30 * NS))
        for at, count in zip(times.tolist(), counts.tolist(), strict=True):
            world.say(at + shift, subject, "session_count", str(count))
