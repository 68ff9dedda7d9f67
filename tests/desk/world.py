"""A small provider for tests of verdict, desk and API: an inventory, and a picture of the engine's view one can paint.

North has one OLT with two PON ports of eight lines each; south one DSLAM with four lines. Times are ns UTC.
"""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from correlation.view import EngineView, LineSigns
from monitor.clock import NS
from monitor.inventory import Inventory, load_inventory
from monitor.records import (
    Etr,
    Flag,
    FlagKind,
    Incident,
    IncidentKind,
    IncidentStatus,
    LineState,
    Scope,
    ScopeKind,
    Severity,
)

NOW = 1_795_600_000 * NS
FIRST = ("Ada", "Ben", "Cem", "Dana", "Emil", "Fritz", "Greta", "Hanna")


def rows() -> list[dict[str, str]]:
    made = []
    for n in range(20):
        pon = n // 8 + 1
        path = f"north/ex-1/olt-1/pon-{pon}" if n < 16 else "south/ex-2/msan-1"
        made.append(
            {
                "line_id": f"L{n:03d}",
                "path": path,
                "address": f"10.0.0.{n + 1}",
                "groups": f"resolver:r{pon};bng:bng-1" if n < 16 else "bng:bng-2",
                "lat": f"{52.5 + n / 1000:.4f}",
                "lon": "13.4000",
                "technology": "gpon" if n < 16 else "dsl",
                "cpe_model": "AX200",
                "cpe_firmware": "7.1",
                "cpe_serial": f"SN{n:03d}",
                "customer_id": f"C{n // 2:03d}" if n >= 16 else f"C1{n:02d}",
                "name": f"{FIRST[n % 8]} Muster",
                "phone": f"+49 30 5550{n:02d}",
                "street": f"Lindenweg {n // 2 + 1}",
                "postcode": "10115",
                "city": "Berlin",
                "login": f"user{n}@isp.example",
                "status": "active",
                "service_class": "residential",
            }
        )
    return made


def inventory_file(folder: Path, lines: list[dict[str, str]] | None = None) -> Path:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows()[0]))
    writer.writeheader()
    writer.writerows(lines or rows())
    path = folder / "inventory.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def load(folder: Path, changes: dict[str, dict[str, str]] | None = None, generation: int = 1) -> Inventory:
    """The inventory, with some cells changed: {line_id: {column: value}}."""
    lines = rows()
    for row in lines:
        row.update((changes or {}).get(row["line_id"], {}))
    return load_inventory(inventory_file(folder, lines), generation=generation)


class Scene:
    """Paints an EngineView: at first every line is up and answered 5 s ago in 8 ms (baseline 8 ms)."""

    def __init__(self, inventory: Inventory, now_ns: int = NOW, interval_s: float = 10.0) -> None:
        self.inventory = inventory
        self.now_ns = now_ns
        n = len(inventory)
        self.state = np.full(n, LineState.UP, np.uint8)
        self.since = np.full(n, now_ns - 86400 * NS, np.int64)
        self.probed = np.full(n, now_ns - 5 * NS, np.int64)
        self.replied = self.probed.copy()
        self.rtt = np.full(n, 8.0, np.float32)
        self.baseline = np.full(n, 8.0, np.float32)
        self.loss = np.zeros(n, np.float32)
        self.flaps = np.zeros(n, np.uint16)
        self.held = np.full(n, -1, np.int32)
        self.incidents: list[Incident] = []
        self.flags: dict[str, tuple[Flag, ...]] = {}
        self.signs: dict[int, LineSigns] = {}
        self.blind: dict[str, int] = {}
        self.resolvers_down: dict[str, int] = {}
        self.interval_s = interval_s

    def row(self, line_id: str) -> int:
        found = self.inventory.index_of(line_id)
        assert found is not None
        return found

    def under(self, path: str) -> range:
        element = self.inventory.elements.index_of(path)
        assert element is not None
        return range(int(self.inventory.elements.lo[element]), int(self.inventory.elements.hi[element]))

    def down(self, *lines: int, for_s: float = 120) -> None:
        """Down since so long, and without an answer since then."""
        for line in lines:
            self.state[line] = LineState.DOWN
            self.since[line] = self.now_ns - int(for_s * NS)
            self.replied[line] = self.since[line] - NS
            self.rtt[line] = np.nan

    def sign(self, line: int, **values: Any) -> None:
        """Times given in seconds ago."""
        made = {k: self.now_ns - int(v * NS) if k.endswith("_ns") else v for k, v in values.items()}
        self.signs[line] = replace(self.signs.get(line, LineSigns()), **made)

    def flag(self, subject: str, kind: FlagKind, reason: str, value: float, unit: str) -> None:
        made = Flag(subject, kind, reason, value, unit, self.now_ns - 3600 * NS, self.now_ns - 3000 * NS)
        self.flags[subject] = (*self.flags.get(subject, ()), made)

    def incident(self, scope: str, *lines: int, **changes: Any) -> Incident:
        """An open outage of `scope` ("element:PATH", "group:KIND:NAME", "area:lat,lon,km") that holds `lines`."""
        kind, _, name = scope.partition(":")
        made = incident(Scope(ScopeKind(kind), name), self.now_ns, len(self.incidents), **changes)
        self.incidents.append(made)
        for line in lines:
            self.held[line] = len(self.incidents) - 1
        return made

    def view(self) -> EngineView:
        return EngineView(
            at_ns=self.now_ns,
            generation=self.inventory.generation,
            state=self.state.copy(),
            since_ns=self.since.copy(),
            probed_ns=self.probed.copy(),
            replied_ns=self.replied.copy(),
            rtt_ms=self.rtt.copy(),
            baseline_ms=self.baseline.copy(),
            loss_ratio=self.loss.copy(),
            flaps_24h=self.flaps.copy(),
            incident=self.held.copy(),
            incidents=tuple(self.incidents),
            flags=dict(self.flags),
            signs=dict(self.signs),
            blind=dict(self.blind),
            resolvers_down=dict(self.resolvers_down),
            round_interval_s=self.interval_s,
        )


def incident(scope: Scope, now_ns: int = NOW, number: int = 0, **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "incident_id": f"INC-{number:04d}",
        "kind": IncidentKind.OUTAGE,
        "status": IncidentStatus.OPEN,
        "severity": Severity.MAJOR,
        "scope": scope,
        "cause": "element_down",
        "confidence": 0.97,
        "started_ns": now_ns - 600 * NS,
        "detected_ns": now_ns - 560 * NS,
        "updated_ns": now_ns - 60 * NS,
        "revision": 1,
        "lines_affected": 8,
        "lines_down": 8,
        "lines_at_risk": 8,
        "lines_observable": 8,
    }
    return Incident(**{**values, **changes})


def promised(now_ns: int = NOW, in_s: float = 3600, source: str = "noc") -> Etr:
    return Etr(now_ns + int(in_s * NS), source)
