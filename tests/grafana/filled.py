"""A real InfluxDB with an hour of a small provider's figures, written by the daemon's own sample store.

Two regions, names with what InfluxQL and regular expressions stumble over; one exchange goes down in the second half
hour; incidents open and over. The last minute is `END_S`.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from correlation.view import EngineView
from monitor.app.status import COUNTS, write_status
from monitor.clock import NS, ManualClock
from monitor.inventory import Inventory, load_inventory
from monitor.lab.servers import InfluxDB
from monitor.metrics import Metrics
from monitor.records import (
    Change,
    Flag,
    FlagKind,
    IncidentKind,
    IncidentStatus,
    LineState,
    LineValues,
    ProbeRound,
    TargetKind,
    ValueKind,
)
from monitor.store.samples import SampleStore, open_sample_store
from monitor.store.settings import InfluxSettings, StoreSettings
from tests.alerts.samples import incident

DATABASE = "faultline"
END_S = 1_700_002_800
MINUTES = 60
PLACES = {
    "north": {"north/ex-12": ["north/ex-12/olt-3", "north/ex-12/olt (4)"], "north/ex.13": ["north/ex.13/msan+1"]},
    "süd, west": {"süd, west/ex=1": ["süd, west/ex=1/olt 1"]},
}
LINES_A_NODE = 10
LINE = "L-0001"


def start(folder: Path) -> InfluxDB:
    server = InfluxDB(folder / "influx")
    server.start()
    settings = InfluxSettings(url=server.url, api="v1", database=DATABASE, retry_s=0.2)
    clock = ManualClock(END_S * NS)
    store = open_sample_store(
        StoreSettings(folder=str(folder / "data"), engine="influxdb", influxdb=settings),
        Metrics(),
        clock,
        resolvers=("r1", "r2"),
        references=("gateway",),
    )
    fill(store, _inventory(folder))
    assert store.flush()
    last = ["probe", "daemon", "incident", "network_1m"]
    for _ in range(600):
        if all(_newest(server, name) for name in last):
            break
        time.sleep(0.05)
    store.close()
    return server


def _newest(server: InfluxDB, measurement: str) -> bool:
    try:
        return bool(ask(server, f'SELECT * FROM "{measurement}" WHERE time > {END_S - 400}s LIMIT 1'))
    except AssertionError:  # the database itself is not there yet
        return False


def ask(server: InfluxDB, query: str) -> list[dict[str, Any]]:
    """The series of one query's result, as Grafana asks (GET). Raises AssertionError with the database's words."""
    arguments = urllib.parse.urlencode({"db": DATABASE, "q": query, "epoch": "ms"})
    try:
        with urllib.request.urlopen(f"{server.url}/query?{arguments}", timeout=30) as answer:
            result = json.load(answer)["results"][0]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
    if "error" in result:
        raise AssertionError(f"{query}: {result['error']}")
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def _inventory(folder: Path) -> Inventory:
    nodes = [node for exchanges in PLACES.values() for group in exchanges.values() for node in group]
    path = folder / "inventory.csv"
    rows = [
        f'L-{node_at * LINES_A_NODE + n + 1:04d},"{node}/pon-1"'
        for node_at, node in enumerate(nodes)
        for n in range(LINES_A_NODE)
    ]
    path.write_text("line_id,path\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return load_inventory(path)


def fill(store: SampleStore, inventory: Inventory) -> None:
    n = len(inventory)
    state = np.full(n, LineState.UP, np.uint8)
    state[-1] = LineState.UNKNOWN
    rtt = np.full(n, 11.25, np.float32)
    for minute in range(MINUTES):
        at_ns = (END_S - (MINUTES - 1 - minute) * 60) * NS
        if minute == MINUTES // 2:
            state[: 2 * LINES_A_NODE] = LineState.DOWN
        store.rollup(at_ns, inventory, state, rtt)
        kinds = [(TargetKind.LINE, n), (TargetKind.RESOLVER, 2), (TargetKind.REFERENCE, 1)]
        rounds = [_round(kind, count, at_ns, inventory) for kind, count in kinds]
        store.append(minute, [*rounds, _values(at_ns, minute, inventory)], inventory)
        write_status(store, Metrics(), at_ns, _view(n, at_ns), 0.05)
        store.status(at_ns, "prober", {"source": "default"}, _prober())
        more = {"spool_age_s": 0.0, **dict.fromkeys(COUNTS, minute)}
        store.status(at_ns, "daemon", {"host": "noc-1"}, {"step_s": 0.05, "memory_mb": 210.0, **more})
    for name, what, before_s in [
        ("a", "opened", 1800),
        ("a", "grew", 1700),
        ("b", "opened", 900),
        ("a", "resolved", 300),
    ]:
        status = IncidentStatus.RESOLVED if what == "resolved" else IncidentStatus.OPEN
        joined = (LINE, "L-0002") if what == "opened" else ()
        told = incident(f"inc-{name}", status=status)
        store.changes([Change((END_S - before_s) * NS, what, incident=told, lines_added=joined)])
    for name, kind in (("r", IncidentKind.RESOLVER), ("s", IncidentKind.SOURCE)):
        for what, before_s in (("opened", 2000), ("resolved", 1500)):
            status = IncidentStatus.RESOLVED if what == "resolved" else IncidentStatus.OPEN
            told = incident(f"inc-{name}", kind=kind, status=status)
            store.changes([Change((END_S - before_s) * NS, what, incident=told)])
    for what, before_s in (("flag_raised", 1200), ("flag_ended", 600)):
        flag = Flag(LINE, FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms", END_S * NS, END_S * NS)
        store.changes([Change((END_S - before_s) * NS, what, flag=flag)])


def _values(at_ns: int, minute: int, inventory: Inventory) -> LineValues:
    """Everything that the router of the first line can say; counters grow."""
    kinds = np.array(list(ValueKind), np.uint8)
    return LineValues(
        source="mqtt",
        generation=inventory.generation,
        line=np.full(len(kinds), inventory.index_of(LINE), np.int32),
        kind=kinds,
        value=np.full(len(kinds), minute, np.float32),
        at_ns=np.full(len(kinds), at_ns, np.int64),
    )


def _prober() -> dict[str, str | int | float]:
    return {"targets": 40, "sent": 120, "received": 118, "uncertain": 1, "duration_s": 8.5, "overran": 0}


def _round(kind: TargetKind, n: int, at_ns: int, inventory: Inventory) -> ProbeRound:
    return ProbeRound(
        source="default",
        generation=inventory.generation,
        target=np.arange(n, dtype=np.int32),
        at_ns=np.full(n, at_ns, np.int64),
        sent=np.full(n, 3, np.uint16),
        received=np.full(n, 3, np.uint16),
        rtt_ms=np.full(n, 2.5, np.float32),
        rtt_min_ms=np.full(n, 2.25, np.float32),
        rtt_max_ms=np.full(n, 3.5, np.float32),
        kind=kind,
    )


def _view(n: int, at_ns: int) -> EngineView:
    empty = EngineView.empty(n, at_ns)
    slow = Flag("L-0002", FlagKind.SLOW, "rtt_above_baseline", 40.0, "ms", at_ns, at_ns)
    values = {name: getattr(empty, name) for name in empty.__slots__}
    return EngineView(**{**values, "incidents": (incident("inc-a"), incident("inc-b")), "flags": {"L-0002": (slow,)}})
