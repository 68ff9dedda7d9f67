"""How fast is a look-up from memory: the function alone, and over HTTP beside a bare endpoint that returns a constant.

    python benchmarks/api/lookup_rate.py [--lines 100000] [--seconds 5] [--rate 500] [--rounds 3]

The server is a process of its own with authentication, audit (SQLite on disk) and a new engine view every second; the
load comes from another process over keep-alive connections. Look-ups and the bare endpoint alternate in rounds; medians
are printed as a Markdown table. CPU seconds are the server process's own.
"""

import argparse
import asyncio
import csv
import gc
import io
import json
import logging
import multiprocessing as mp
import os
import statistics
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from correlation.view import EngineView, LineSigns
from monitor.clock import NS, SystemClock
from monitor.desk import look_up
from monitor.inventory import Bindings, Inventory, load_inventory
from monitor.records import Incident, IncidentKind, IncidentStatus, LineState, Scope, ScopeKind, Severity


def make_inventory(folder: Path, lines: int) -> Inventory:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["line_id", "path", "address", "groups", "customer_id", "phone", "street", "technology"])
    for n in range(lines):
        address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
        path = f"region-{n // 20000}/ex-{n // 4000}/olt-{n // 1000}/pon-{n // 32}/split-{n // 8}"
        groups = f"bng:b{n // 8000};resolver:r{n % 2}"
        writer.writerow([f"L{n:06d}", path, address, groups, f"C{n:06d}", f"+49301{n:07d}", f"Weg {n // 3}", "gpon"])
    file = folder / "inventory.csv"
    file.write_text(out.getvalue())
    return load_inventory(file)


def make_view(inventory: Inventory, now_ns: int) -> EngineView:
    """One OLT of 1,000 lines is down with its incident; 2 % of the others are down on their own; all have signs."""
    n = len(inventory)
    rng = np.random.default_rng(1)
    state = np.full(n, LineState.UP, np.uint8)
    state[rng.random(n) < 0.02] = LineState.DOWN
    held = np.full(n, -1, np.int32)
    element = inventory.elements.index_of("region-0/ex-0/olt-0")
    assert element is not None
    low, high = int(inventory.elements.lo[element]), int(inventory.elements.hi[element])
    state[low:high], held[low:high] = LineState.DOWN, 0
    probed = np.full(n, now_ns - NS, np.int64)
    replied = np.where(state == LineState.DOWN, now_ns - 600 * NS, probed)
    incident = Incident(
        "I-1",
        IncidentKind.OUTAGE,
        IncidentStatus.OPEN,
        Severity.MAJOR,
        Scope(ScopeKind.ELEMENT, "region-0/ex-0/olt-0"),
        "element_down",
        0.98,
        now_ns - 600 * NS,
        now_ns - 580 * NS,
        now_ns,
        1,
        high - low,
        high - low,
        high - low,
        high - low,
    )
    return EngineView(
        at_ns=now_ns,
        generation=inventory.generation,
        state=state,
        since_ns=np.full(n, now_ns - 600 * NS, np.int64),
        probed_ns=probed,
        replied_ns=replied,
        rtt_ms=rng.uniform(4, 30, n).astype(np.float32),
        baseline_ms=np.full(n, 9, np.float32),
        loss_ratio=np.zeros(n, np.float32),
        flaps_24h=np.zeros(n, np.uint16),
        incident=held,
        incidents=(incident,),
        signs={row: LineSigns(cpe_online_ns=now_ns - 9000 * NS) for row in range(n)},
        round_interval_s=10.0,
    )


def keys_for(lines: int, count: int, seed: int) -> list[str]:
    """Line ids, customer ids, phones and addresses, a quarter each; one in ten hits the outage."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, lines, count)
    rows[::10] = rng.integers(0, 1000, len(rows[::10]))
    kinds = (
        lambda n: f"L{n:06d}",
        lambda n: f"C{n:06d}",
        lambda n: f"0301{n:07d}",
        lambda n: f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
    )
    return [kinds[i % 4](int(n)) for i, n in enumerate(rows)]


def function_alone(inventory: Inventory, count: int) -> list[float]:
    """Milliseconds of each look-up by the function, without HTTP."""
    bindings, now_ns = Bindings(inventory), SystemClock().now_ns()
    view = make_view(inventory, now_ns)
    inventory.warm()
    spent = []
    for key in keys_for(len(inventory), count, 2):
        begin = time.perf_counter()
        answer = look_up(key, view, inventory, bindings, now_ns)
        spent.append((time.perf_counter() - begin) * 1000)
        assert answer.row is not None, key
    return spent


def server(lines: int, pipe: Connection) -> None:
    asyncio.run(_server(lines, pipe))


async def _server(lines: int, pipe: Connection) -> None:
    from fastapi import FastAPI

    from monitor.api import ApiSettings, Services, create_app, serve
    from monitor.metrics import Metrics
    from monitor.store.state import StateStore

    with tempfile.TemporaryDirectory() as name:
        folder, clock = Path(name), SystemClock()
        inventory = make_inventory(folder, lines)
        inventory.warm()
        bindings = Bindings(inventory)
        current = [make_view(inventory, clock.now_ns())]
        state = StateStore(folder / "state.sqlite", clock)
        settings = ApiSettings(port=0, lookups_alarm_per_hour=10_000_000, requests_per_minute=10_000_000)
        services = Services(
            view=lambda: current[0],
            inventory=lambda: inventory,
            bindings=lambda: bindings,
            state=state,
            submit=lambda event: asyncio.sleep(0),
            clock=clock,
            metrics=Metrics(),
            settings=settings,
            audit_file=folder / "audit.waiting",
        )
        bare = FastAPI(openapi_url=None)

        @bare.get("/constant")
        async def constant() -> dict[str, str]:
            return {"status": "ok"}

        key = state.create_key("bench", "lead").text
        urls: list[str] = []
        tasks = [
            asyncio.create_task(serve(create_app(services), settings, started=urls.append)),
            asyncio.create_task(_plain(bare, urls)),
        ]
        while len(urls) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        gc.collect()
        gc.freeze()  # as the daemon does once everything is loaded
        pipe.send((sorted(urls, key=lambda u: u.startswith("bare")), key, os.getpid()))
        while not pipe.poll():
            await asyncio.sleep(1)
            moved = current[0].probed_ns + NS
            current[0] = replace(
                current[0], at_ns=clock.now_ns(), probed_ns=moved, replied_ns=current[0].replied_ns + NS
            )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        logging.disable()
        state.close()


async def _plain(app: object, urls: list[str]) -> None:
    import uvicorn

    from monitor.api import ApiSettings, listen

    listening = listen(ApiSettings(port=0))
    urls.append(f"bare http://127.0.0.1:{listening.getsockname()[1]}")
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")  # type: ignore[arg-type]
    await uvicorn.Server(config)._serve([listening])


async def load(port: int, request: list[bytes], seconds: float, rate: float | None, connections: int) -> list[float]:
    """Latencies in ms. `rate` None: as fast as answers come; else so many a second, by a fixed schedule, so that a
    slow answer delays no other's clock."""
    spent: list[float] = []
    begin = time.perf_counter()
    turn = iter(range(10_000_000))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            n = next(turn)
            due = begin + n / rate if rate else time.perf_counter()
            if due - begin > seconds or time.perf_counter() - begin > seconds * 2:
                break
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            writer.write(request[n % len(request)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            spent.append((time.perf_counter() - due) * 1000)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return spent


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share * 100))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        spent = function_alone(make_inventory(Path(name), arguments.lines), 4000)
    print(f"{arguments.lines:,} lines, load average {os.getloadavg()[0]:.1f}\n")
    print("| the function alone | median ms | 99th percentile ms | worst ms |\n|---|---|---|---|")
    print(f"| look-up | {statistics.median(spent):.3f} | {percentile(spent, 0.99):.3f} | {max(spent):.2f} |\n")
    here, there = mp.Pipe()
    process = mp.get_context("spawn").Process(target=server, args=(arguments.lines, there))
    process.start()
    urls, key, pid = here.recv()
    ports = {("bare" if u.startswith("bare") else "look-up"): int(u.rpartition(":")[2]) for u in urls}
    common = f"Host: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    requests = {
        "bare": [f"GET /constant HTTP/1.1\r\n{common}\r\n".encode()],
        "look-up": [
            f"POST /api/v1/lookup HTTP/1.1\r\n{common}Content-Length: {len(body)}\r\n\r\n{body}".encode()
            for body in (json.dumps({"key": k}) for k in keys_for(arguments.lines, 2000, 3))
        ],
    }
    results: dict[str, list[tuple[float, float, float]]] = {"bare": [], "look-up": []}
    print("| one after the other | median ms | 95th percentile ms |\n|---|---|---|")
    for what in results:
        times = asyncio.run(load(ports[what], requests[what], arguments.seconds, None, 1))
        print(f"| {what} | {statistics.median(times):.2f} | {percentile(times, 0.95):.1f} |")
    print()
    for _ in range(arguments.rounds):
        for what, made in results.items():
            before, begin = cpu_s(pid), time.perf_counter()
            times = asyncio.run(load(ports[what], requests[what], arguments.seconds, None, 8))
            wall, cpu = time.perf_counter() - begin, cpu_s(pid) - before
            made.append((len(times) / wall, len(times) / cpu, percentile(times, 0.99)))
    print("| as fast as it goes, 8 connections | requests/s | requests per CPU second | 99th percentile ms |")
    print("|---|---|---|---|")
    per_cpu = {}
    for what, made in results.items():
        rate, each, slow = (statistics.median(one[i] for one in made) for i in range(3))
        per_cpu[what] = each
        print(f"| {what} | {rate:.0f} | {each:.0f} | {slow:.1f} |")
    print(f"\nPer CPU second: {per_cpu['look-up'] / per_cpu['bare']:.2f} of the bare endpoint.\n")
    print(f"| {arguments.rate:.0f} requests/s by schedule | median ms | 99th percentile ms | server CPU share |")
    print("|---|---|---|---|")
    for what in results:
        rounds = []
        for _ in range(arguments.rounds):
            before, begin = cpu_s(pid), time.perf_counter()
            times = asyncio.run(load(ports[what], requests[what], arguments.seconds, arguments.rate, 16))
            share = (cpu_s(pid) - before) / (time.perf_counter() - begin)
            rounds.append((statistics.median(times), percentile(times, 0.99), share))
        median, slow, share = (statistics.median(one[i] for one in rounds) for i in range(3))
        print(f"| {what} | {median:.2f} | {slow:.1f} | {share:.2f} |")
    here.send("stop")
    process.join(20)


if __name__ == "__main__":
    main()
