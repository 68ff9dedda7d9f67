"""A small inventory and rounds about it, for the tests of the store."""

from pathlib import Path

import numpy as np

from monitor.clock import NS
from monitor.inventory import Inventory, load_inventory
from monitor.records import LineValues, ProbeRound, TargetKind, ValueKind

T0 = 1_700_000_400 * NS  # 22:20:00 UTC, a multiple of an hour's tenth
STRANGE = ["a b", "c,d", "e=f", "Größe", "🚀 line", 'say "x"', "back\\slash", "end\\", "tab\there", "'; drop"]


def inventory(folder: Path, lines: int = 24, ids: list[str] | None = None) -> Inventory:
    """`lines` lines on 2 regions, 4 exchanges, 8 access nodes; each named line-N, or as `ids` has it."""
    names = ids or [f"line-{i:05d}" for i in range(lines)]
    path = folder / "inventory.csv"
    rows = ["line_id,path"]
    for i, name in enumerate(names):
        node = i * 8 // len(names)
        place = f"{'north' if node < 4 else 'south'}/ex-{node // 2}/olt-{node}/pon-{i % 3}"
        rows.append('"' + name.replace('"', '""') + f'",{place}')
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return load_inventory(path)


def probes(
    inventory: Inventory,
    at_ns: int,
    rtt_ms: float | np.ndarray = 10.0,
    received: int | np.ndarray = 1,
    sent: int | np.ndarray = 1,
    rows: np.ndarray | None = None,
    source: str = "p1",
    **more,
) -> ProbeRound:
    target = np.arange(len(inventory), dtype=np.int32) if rows is None else rows.astype(np.int32)
    n = len(target)
    got = np.broadcast_to(received, n).astype(np.uint16)
    rtt = np.where(got > 0, np.broadcast_to(rtt_ms, n), np.nan).astype(np.float32)
    return ProbeRound(
        source=source,
        generation=inventory.generation,
        target=target,
        at_ns=np.full(n, at_ns, np.int64),
        sent=np.broadcast_to(sent, n).astype(np.uint16),
        received=got,
        rtt_ms=rtt,
        **more,
    )


def values(inventory: Inventory, at_ns: int, kind: ValueKind, value: float) -> LineValues:
    n = len(inventory)
    return LineValues(
        source="mqtt",
        generation=inventory.generation,
        line=np.arange(n, dtype=np.int32),
        kind=np.full(n, kind, np.uint8),
        value=np.full(n, value, np.float32),
        at_ns=np.full(n, at_ns, np.int64),
    )


def resolvers(inventory: Inventory, at_ns: int, rtt_ms: float) -> ProbeRound:
    return probes(inventory, at_ns, rtt_ms, rows=np.arange(2), kind=TargetKind.RESOLVER)
