"""What the daemon costs: 5,000 lines every 10 s with resolvers, broker and store, on the demo's virtual provider.

    .venv/bin/python -m benchmarks.daemon.steady [--lines N] [--seconds S] [--simulated]

Prints CPU (percent of one core) and resident memory of the daemon and its prober, the memory of an interpreter that
has only imported the same libraries, and the time of look-ups over HTTP while probing goes on.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from monitor.app.demo.config import write_config
from monitor.app.demo.runner import _make_key
from monitor.lab.process import free_port, start
from monitor.lab.provider import VirtualProvider

WARM_S = 30
IMPORTS = (
    "asyncio, ssl, logging, numpy, msgspec, sqlalchemy, sqlalchemy.dialects.sqlite, alembic.command, duckdb, fastapi, "
    "uvicorn, uvicorn.protocols.http.h11_impl, jinja2, prometheus_client, apscheduler.schedulers.asyncio, aiomqtt, "
    "dns.message, aiodns, phonenumbers"
)


def bare_imports_mb() -> float:
    """Resident memory of an interpreter with the daemon's libraries and nothing else."""
    code = f"import {IMPORTS}\nimport psutil; print(psutil.Process().memory_info().rss)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--simulated", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name:
        folder = Path(name)
        provider = VirtualProvider(folder, options.lines, simulated=True if options.simulated else None)
        with provider:
            port = free_port()
            config = write_config(provider, folder, port, options.interval)
            key = _make_key(folder)
            command = [sys.executable, "-m", "monitor.app", "run", "--config", str(config)]
            daemon = start("faultline", command, log=folder / "faultline.log")
            try:
                measure(daemon.pid, port, key, provider, options)
            finally:
                daemon.stop(20)


def measure(pid: int, port: int, key: str, provider: VirtualProvider, options: argparse.Namespace) -> None:
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=10
    )
    time.sleep(WARM_S)
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    names = ["daemon", *["prober"] * (len(processes) - 1)]
    before = [sum(p.cpu_times()[:2]) for p in processes]
    began = time.monotonic()
    times: list[float] = []
    peak = [0.0] * len(processes)
    while time.monotonic() - began < options.seconds:
        line = provider.isp.line_id(len(times) * 37 % options.lines)
        at = time.perf_counter()
        answer = client.post("/api/v1/lookup", json={"key": line})
        times.append((time.perf_counter() - at) * 1000)
        assert answer.status_code == 200, answer.text
        peak = [max(m, p.memory_info().rss / 2**20) for m, p in zip(peak, processes, strict=True)]
        time.sleep(1.0)
    took = time.monotonic() - began
    bare = bare_imports_mb()
    how = "simulated" if provider.simulated else "real ICMP"
    print(f"{options.lines} lines every {options.interval:g} s, {took:.0f} s, {how}")
    total = 0.0
    for name, process, cpu, memory in zip(names, processes, before, peak, strict=True):
        share = (sum(process.cpu_times()[:2]) - cpu) / took
        total += share
        print(f"{name:8} {share:6.1%} of a core   {memory:6.0f} MB resident at most")
    print(f"{'together':8} {total:6.1%} of a core   {sum(peak):6.0f} MB")
    print(f"bare imports {bare:.0f} MB; the daemon is {peak[0] - bare:.0f} MB above them")
    p99 = sorted(times)[int(len(times) * 0.99) - 1]
    print(f"lookup over HTTP while probing: median {statistics.median(times):.1f} ms, 99 % {p99:.1f} ms")


if __name__ == "__main__":
    main()
