"""A real InfluxDB with an hour of a small provider's figures, as docs/schema.md names them.

Two regions, names with what InfluxQL and regular expressions stumble over; one exchange is down; incidents open and
over. The last point is `END_S`.
"""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.lab.servers import InfluxDB

DATABASE = "faultline"
END_S = 1_700_002_800
MINUTES = 60
PLACES = {
    "north": {"north/ex-12": ["north/ex-12/olt-3", "north/ex-12/olt (4)"], "north/ex.13": ["north/ex.13/msan+1"]},
    "süd, west": {"süd, west/ex=1": ["süd, west/ex=1/olt 1"]},
}
LINE = "L-1001"


def start(folder: Path) -> InfluxDB:
    server = InfluxDB(folder)
    server.start()
    server.query(f"CREATE DATABASE {DATABASE}")
    body = "\n".join(points()).encode()
    request = urllib.request.Request(f"{server.url}/write?db={DATABASE}&precision=s", data=body, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204
    return server


def ask(server: InfluxDB, query: str) -> list[dict[str, Any]]:
    """The series of one query's result, as Grafana asks (GET). Raises AssertionError with the database's words."""
    arguments = urllib.parse.urlencode({"db": DATABASE, "q": query, "epoch": "ms"})
    try:
        with urllib.request.urlopen(f"{server.url}/query?{arguments}", timeout=30) as answer:
            result = json.load(answer)["results"][0]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
    assert "error" not in result, f"{query}: {result['error']}"
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def points() -> Iterator[str]:
    for minute in range(MINUTES):
        at = END_S - (MINUTES - 1 - minute) * 60
        yield from _rollups(at, minute)
        yield from _status(at, minute)
        yield f"probe,line_id={LINE},source=default sent=3i,received={3 - minute % 2}i,rtt_ms=12.5,jitter_ms=0.4 {at}"
        yield f"cpe,line_id={LINE},source=default rx_power_dbm=-21.5,uptime_s={minute * 60}.0 {at}"
    yield from _incidents()


def _rollups(at: int, minute: int) -> Iterator[str]:
    down = 0 if minute < 30 else 40
    for step in ("1m", "5m", "1h"):
        if at % {"1m": 60, "5m": 300, "1h": 3600}[step]:
            continue
        yield f"network_{step},scope=all {_figures(400, down)} {at}"
        for region, exchanges in PLACES.items():
            r = _tag(region)
            yield f"region_{step},region={r} {_figures(200, down)} {at}"
            for exchange, nodes in exchanges.items():
                e = _tag(exchange)
                yield f"exchange_{step},region={r},exchange={e} {_figures(100, down)} {at}"
                for node in nodes:
                    tags = f"region={r},exchange={e},access_node={_tag(node)}"
                    yield f"access_node_{step},{tags} {_figures(50, down)} {at}"


def _figures(lines: int, down: int) -> str:
    up = lines - down - 5
    rest = f"degraded=3.0,down={down}.0,unknown=2.0,down_max={down}.0,rtt_ms=11.25"
    return f"lines={lines}.0,up={up}.0,{rest}"


def _status(at: int, minute: int) -> Iterator[str]:
    yield f"incidents,scope=all open={minute // 30}i,suspected=1i,recovering=0i,lines_down=40i {at}"
    for kind in ("slow", "unstable"):
        yield f"flags,kind={kind} open=4i {at}"
    yield f"prober,source=default targets=400i,sent=1200i,received=1190i,uncertain=1i,duration_s=8.5,overran=0i {at}"
    yield f"daemon,host=noc-1 step_s=0.05,intake_rows=12i,spool_bytes=0i,spool_age_s=0.0,memory_mb=210.0 {at}"
    for resolver in ("r1", "r2"):
        yield f"resolver,resolver={resolver},source=default sent=3i,received=3i,rtt_ms=2.5 {at}"
    yield f"reference,reference=gateway,source=default sent=3i,received=3i,rtt_ms=1.5 {at}"
    yield f"element,element=north/ex-12/olt-3,source=default sent=3i,received=3i,rtt_ms=3.5 {at}"


def _incidents() -> Iterator[str]:
    for number, (what, before_s) in enumerate([("opened", 1800), ("grew", 1700), ("opened", 900), ("resolved", 300)]):
        tags = f"kind=outage,what={what},severity=major,scope_kind=element"
        texts = f'incident_id="inc-{number // 2}",scope_name="north/ex-12/olt-3",cause="element_down",status="open"'
        counts = "lines_affected=40i,lines_down=38i,lines_at_risk=50i,confidence=0.97,detect_s=42.5"
        yield f"incident,{tags} {texts},{counts} {END_S - before_s}"


def _tag(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")
