"""Writes inventory.csv, events.csv, truth.jsonl, and beside them simulation.json with the size of the run."""

import csv
import json
from pathlib import Path

import msgspec
import numpy as np

from monitor.clock import rfc3339
from monitor.inventory.address import format_address
from monitor.lab.simulation.network import VERSIONS, Network
from monitor.lab.simulation.world import BUSINESS_EVERY, World

COLUMNS = (
    *("line_id", "address", "path", "groups", "lat", "lon", "technology", "cpe_model", "cpe_firmware", "cpe_serial"),
    *("cpe_endpoint", "down_mbps", "up_mbps", "customer_id", "login", "status", "service_class"),
)


class RunSize(msgspec.Struct, frozen=True):
    """simulation.json: what was simulated, so that the score can be put per line-hour."""

    scenario: str
    lines: int
    hours: float
    seed: int
    interval_s: float
    plan: str = "standard"
    missing: tuple[str, ...] = ()  # scenarios that found no room
    happenings: tuple[tuple[str, str, str, str], ...] = ()  # (scenario, what, from, to) of all that was placed


def happenings_of(world: World) -> tuple[tuple[str, str, str, str], ...]:
    placed = sorted(world.happenings, key=lambda h: (h.start_ns, h.scenario, h.what))
    return tuple((h.scenario, h.what, rfc3339(h.start_ns), rfc3339(h.end_ns)) for h in placed)


def write_inventory(network: Network, path: Path) -> None:
    groups: list[list[str]] = [[] for _ in range(len(network))]
    for name, lines in network.groups.items():
        for line in lines.tolist():
            groups[line].append(name)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i, line_id in enumerate(network.line_ids):
            technology = network.plan.technologies[network.technology[i]]
            number = line_id[1:]
            writer.writerow(
                (
                    line_id,
                    format_address(int(network.address[i]).to_bytes(4, "big")),
                    network.paths[network.recorded_leaf[i]],
                    ";".join(groups[i]),
                    f"{network.lat[i]:.6f}",
                    f"{network.lon[i]:.6f}",
                    technology.name,
                    network.models[network.model[i]],
                    VERSIONS[network.version[i]][0],
                    f"S{number}",
                    f"os::00D09E-S{number}" if network.telemetry[i] else "",
                    technology.rates[0],
                    technology.rates[1],
                    f"C{number}",
                    f"user{number}@isp.example" if network.sessions[i] else "",
                    "suspended" if network.suspended[i] else "active",
                    "business" if i % BUSINESS_EVERY == 0 else "residential",
                )
            )


def write_events(world: World, path: Path) -> int:
    """Sorted by time; what would lie outside the run is left out. Returns the number of rows."""
    said = [s for s in world.said if world.start_ns <= s.at_ns < world.end_ns]
    said.sort(key=lambda s: (s.at_ns, s.subject, s.kind, s.value))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("at", "subject", "kind", "value"))
        writer.writerows((rfc3339(s.at_ns), s.subject, s.kind, s.value) for s in said)
    return len(said)


def write_truth(world: World, path: Path) -> int:
    """One fault a line, by start. Those that hit fewer than three lines that are in service and can be observed at all
    are single failures, not incidents. Returns how many were written."""
    network = world.network
    ids = network.line_ids
    seen = ~network.silent | network.telemetry | network.sessions  # of the others nothing is ever heard
    faults = sorted(world.faults, key=lambda f: (f.start_ns, f.scope))
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for fault in faults:
            if fault.kind in ("outage", "degraded", "planned") and np.count_nonzero(seen[fault.lines]) < 3:
                continue
            written += 1
            row = {
                "id": f"truth-{written}",
                "kind": fault.kind,
                "cause": fault.cause,
                "scope": {"kind": fault.scope[0], "name": fault.scope[1]},
                "started_at": rfc3339(fault.start_ns),
                "ended_at": rfc3339(fault.end_ns),
                "lines": sorted(ids[line] for line in fault.lines.tolist()),
                "line_intervals": [
                    [ids[line], rfc3339(start), rfc3339(end)] for line, start, end in sorted(fault.intervals)
                ],
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return written
