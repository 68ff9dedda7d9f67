"""How fast the sample stores are: line protocol and spool against influxdb-client, the embedded store on its own.

    .venv/bin/python benchmarks/store/bench.py [lines] [influx] [embedded] [history] [rollup]

What is compared runs interleaved in one process, several rounds each, so that the machine's other work hits all alike;
ratios are what counts. `history` fills a store with 100,000 lines x 24 h x 30 s (288 million rows, about 1 GB) first.
Influx needs Debian's influxdb. Everything lies in a temporary folder that is removed.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from monitor.clock import NS, ManualClock
from monitor.inventory import Inventory, load_inventory
from monitor.lab.servers import InfluxDB
from monitor.metrics import Metrics
from monitor.records import ProbeRound
from monitor.store.samples import keeper, open_sample_store, packing
from monitor.store.samples.catalog import Segment
from monitor.store.samples.embedded import EmbeddedStore
from monitor.store.samples.influx import InfluxStore, _compress
from monitor.store.samples.lines import LineTags, probe_lines
from monitor.store.settings import InfluxSettings, StoreSettings

T0 = 1_699_999_200 * NS  # an hour's begin
ROUNDS = 5
rng = np.random.default_rng(1)


def inventory(folder: Path, lines: int) -> Inventory:
    path = folder / "inventory.csv"
    with path.open("w") as file:
        file.write("line_id,path\n")
        for i in range(lines):
            region, exchange, olt = i * 10 // lines, i * 100 // lines, i * 800 // lines
            file.write(f"line-{i:07d},region-{region}/ex-{exchange}/olt-{olt}/pon-{i % 16}\n")
    return load_inventory(path)


class Rounds:
    """Probe rounds as a network gives them: each line has its own time in the round and its own base delay."""

    def __init__(self, lines: Inventory, every_s: float = 30.0) -> None:
        self.n = len(lines)
        self.every_ns = int(every_s * NS)
        self.phase = rng.integers(0, self.every_ns, self.n)
        self.base = rng.uniform(4, 40, self.n)
        self.target = np.arange(self.n, dtype=np.int32)
        self.generation = lines.generation

    def one(self, number: int) -> ProbeRound:
        late = rng.integers(0, 20_000_000, self.n)
        received = (rng.random(self.n) > 0.005).astype(np.uint16)
        rtt = np.where(received > 0, self.base + rng.exponential(1.0, self.n), np.nan)
        return ProbeRound(
            source="prober1",
            generation=self.generation,
            target=self.target,
            at_ns=T0 + number * self.every_ns + self.phase + late,
            sent=np.ones(self.n, np.uint16),
            received=received,
            rtt_ms=rtt.astype(np.float32),
            round_id=number,
        )


def cpu_s(work: Callable[[], object]) -> float:
    begin = resource.getrusage(resource.RUSAGE_SELF)
    work()
    end = resource.getrusage(resource.RUSAGE_SELF)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


def wall_s(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def interleaved(works: dict[str, tuple[int, Callable[[], object]]], measure: Callable[..., float]) -> None:
    """`works`: name -> (points, work); prints the best rate of each, and its ratio to the last."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, (points, work) in works.items():
            rates[name].append(points / measure(work))
    last = max(rates[list(works)[-1]])
    for name, found in rates.items():
        best, middle = max(found), statistics.median(found)
        print(f"  {name:44} {best / 1000:9,.0f} k/s  (median {middle / 1000:7,.0f})  x {best / last:5.1f}")


def points_of(item: ProbeRound, lines: Inventory, count: int) -> list[object]:
    from influxdb_client import Point, WritePrecision

    return [
        Point("probe")
        .tag("line_id", lines.line_id(int(item.target[i])))
        .tag("source", item.source)
        .field("sent", int(item.sent[i]))
        .field("received", int(item.received[i]))
        .field("rtt_ms", float(item.rtt_ms[i]))
        .time(int(item.at_ns[i]) // 1_000_000, WritePrecision.MS)
        for i in range(count)
    ]


def bench_lines(folder: Path) -> None:
    import gzip

    lines = inventory(folder, 100_000)
    item = Rounds(lines).one(0)
    few = 5_000
    tags = LineTags(lines)

    def ours() -> None:
        for texts in probe_lines(item, "probe", "line_id", tags.many(item.target), 10_000):
            _compress("".join(texts))

    def client() -> None:
        text = "\n".join(p.to_line_protocol() for p in points_of(item, lines, few))  # type: ignore[attr-defined]
        gzip.compress(text.encode())

    print("line protocol and compression, points per CPU second")
    interleaved({"template, zlib level 1": (len(item), ours), "Point objects, gzip level 9": (few, client)}, cpu_s)


def influx_settings(folder: Path, url: str) -> StoreSettings:
    influx = InfluxSettings(url=url, api="v1", retry_s=0.1, drain_points_per_s=0)
    return StoreSettings(folder=str(folder), engine="influxdb", influxdb=influx, flush_s=60)


def bench_influx(folder: Path) -> None:
    from influxdb_client import InfluxDBClient, WriteOptions
    from influxdb_client.service.write_service import WriteService

    lines = inventory(folder, 20_000)
    first = Rounds(lines).one(0)
    few = len(lines)

    def later(seq: int) -> ProbeRound:
        return replace(first, at_ns=first.at_ns + seq * 30 * NS)

    with InfluxDB(folder / "server") as server:
        server.query("CREATE DATABASE client")
        store = open_sample_store(influx_settings(folder / "data", server.url), Metrics(), ManualClock(T0))
        assert isinstance(store, InfluxStore)
        seq = 0

        def ours() -> None:
            nonlocal seq
            seq += 1
            store.append(seq, [later(seq)], lines)
            assert store.flush()

        def ours_to_the_end() -> None:
            ours()
            while store._spool.pending()[0]:
                time.sleep(0.01)

        class V1(WriteService):  # 1.6 has no /api/v2/write: the same call, to the path it knows
            def _post_write_prepare(self, org, bucket, body, **more):  # type: ignore[no-untyped-def]
                local, path, _, header, parameters = super()._post_write_prepare(org, bucket, body, **more)
                return local, path, [("db", "client"), ("precision", "ms")], header, parameters

        client = InfluxDBClient(server.url, token="-", org="-", enable_gzip=True)
        call = client.api_client.call_api

        def rerouted(path: str, *args: object, **more: object) -> object:
            return call("/write" if path == "/api/v2/write" else path, *args, **more)

        client.api_client.call_api = rerouted

        def points() -> None:
            nonlocal seq
            seq += 1
            api = client.write_api(write_options=WriteOptions(batch_size=5_000, flush_interval=1_000))
            api._write_service = V1(client.api_client)
            api.write(bucket="client", record=points_of(later(seq), lines, few))
            api.close()

        for work in (ours_to_the_end, points):  # the series are made
            work()
        print("from a round to InfluxDB's acknowledgement, points per second of wall time (same 2 cores)")
        works = {
            "spool, then synchronous bytes": (len(lines), ours_to_the_end),
            "Point objects, batching": (few, points),
        }
        interleaved(works, wall_s)
        print("the same, points per second of our own CPU")
        interleaved(works, cpu_s)
        print("  into the spool (durable) alone:")
        server.kill()
        interleaved({"append and fsync": (len(lines), ours)}, wall_s)
        store.close()


def bench_embedded(folder: Path) -> None:
    lines = inventory(folder, 100_000)
    rounds = Rounds(lines)
    store = open_sample_store(StoreSettings(folder=str(folder / "data")), Metrics(), ManualClock(T0 + 2 * 3600 * NS))
    assert isinstance(store, EmbeddedStore)
    store.append(1, [rounds.one(0)], lines)
    store.flush()  # numbers the lines
    hot, durable = [], []
    for seq in range(2, 122):
        item = rounds.one(seq)
        begin = time.perf_counter()
        store.append(seq, [item], lines)
        hot.append(time.perf_counter() - begin)
        assert store.flush()
        durable.append(time.perf_counter() - begin)
    print("embedded: one round of 100,000 lines, while finished hours are joined by the keeper")
    show("  append as the core loop sees it", hot)
    show("  until it is synced to disk", durable)
    size = sum(p.stat().st_size for p in (folder / "data").rglob("*.parquet"))
    print(f"  on disk as written: {size / (121 * len(lines)):.2f} bytes a sample")
    joining = wall_s(store.keep)
    size = sum(p.stat().st_size for p in (folder / "data").rglob("*.parquet"))
    print(f"  joining an hour of 12 million rows: {joining:.1f} s; then {size / (121 * len(lines)):.2f} bytes a sample")
    store.close()


def bench_history(folder: Path) -> None:
    count, per_hour, hours = 100_000, 120, 24
    lines = inventory(folder, count)
    store = open_sample_store(StoreSettings(folder=str(folder / "data")), Metrics(), ManualClock(T0))
    assert isinstance(store, EmbeddedStore)
    numbers = store._catalog.line_numbers(lines)
    rounds = Rounds(lines)
    begin = time.perf_counter()
    for hour in range(hours):
        tables = packing.Tables()
        for i in range(per_hour):
            item = rounds.one(hour * per_hour + i)
            tables.add("probes", packing._probes(item, numbers[item.target], 1))
        for kind, at, columns in tables.by_hour():
            number = columns["number"]
            step = keeper.SEGMENT_ROWS // per_hour
            for low in range(int(number[0]), int(number[-1]) + 1, step):
                part = slice(*np.searchsorted(number, [low, low + step]).tolist())
                name = keeper.segment_name(kind, at, hour, hour, 2, low)
                crc = store._parquet.write(store.folder / name, kind, {n: c[part] for n, c in columns.items()})
                rows, high = part.stop - part.start, int(number[part.stop - 1])
                store._catalog.add([Segment(name, kind, at, low, high, rows, hour, hour, 2, crc)], hour)
    size = sum(p.stat().st_size for p in (folder / "data").rglob("*.parquet"))
    filled = time.perf_counter() - begin
    print(
        f"embedded: {count * per_hour * hours / 1e6:.0f} million rows, {size / 1e6:.0f} MB (filled in {filled:.0f} s)"
    )
    for text, span in (("24 h", 24), ("1 h", 1)):
        took, begin_cpu = [], time.process_time()
        for _ in range(200):
            line, first = lines.line_id(int(rng.integers(count))), int(rng.integers(0, hours - span + 1))
            start = T0 + first * 3600 * NS
            begin = time.perf_counter()
            got = store.line_history(line, start, start + span * 3600 * NS)
            took.append(time.perf_counter() - begin)
            assert got.sent.sum() > span * 100
        show(f"  one line, {text}", took)
        print(f"    CPU, both cores: {(time.process_time() - begin_cpu) / 200 * 1000:.0f} ms a question")
    store.close()


def bench_rollup(folder: Path) -> None:
    lines = inventory(folder, 100_000)
    store = open_sample_store(StoreSettings(folder=str(folder / "data")), Metrics(), ManualClock(T0))
    state = rng.integers(1, 4, len(lines)).astype(np.uint8)
    rtt = rng.uniform(1, 50, len(lines)).astype(np.float32)
    took = []
    for minute in range(70):
        store.rollup(T0 + minute * 60 * NS, lines, state, rtt)
        took.append(wall_s(store.flush))
    show("embedded: roll-ups of a minute, 100,000 lines on 911 elements", took)
    asked = [wall_s(lambda: store.element_history("region-3", T0, T0 + 3600 * NS)) for _ in range(200)]
    show("  one region, an hour", asked)
    store.close()


def show(text: str, took: list[float]) -> None:
    p50, p99 = np.percentile(np.array(took) * 1000, [50, 99])
    print(f"{text:40} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   max {max(took) * 1000:7.1f} ms")


PARTS = {
    "lines": bench_lines,
    "influx": bench_influx,
    "embedded": bench_embedded,
    "history": bench_history,
    "rollup": bench_rollup,
}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory(prefix="bench-store-") as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
