"""What the whole daemon costs with a million lines a minute: probe, belief, baseline and store, on the lab's network.

    .venv/bin/python -m benchmarks.daemon.million [--lines N ...] [--interval S] [--rounds N]

Needs root (network namespaces). For each number of lines: the daemon is started on an inventory of its own, one round
warms it up, then `--rounds` rounds are measured. Shown per process: CPU (share of one core; the kernel's part of
answering is in the prober's) and the largest resident memory (a snapshot is taken every other round); rounds that
overran, lines called down though all answer, the longest engine step, look-ups over HTTP meanwhile, and what was
written to disk.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from monitor.app.demo.runner import _make_key
from monitor.lab.isp import Isp, make_isp
from monitor.lab.isp_files import write_elements, write_inventory
from monitor.lab.network import Network
from monitor.lab.process import Child, free_port, start

OUTSIDE = ("203.0.113.1", "198.51.100.1")
EXCHANGES = 8  # reference targets within the network
READY_S = 600


class Cost(NamedTuple):
    lines: int
    daemon_cores: float
    prober_cores: float
    daemon_mb: float
    prober_mb: float
    overran: int
    down: int
    up: int
    step_s: float
    lookup_ms: float
    lookup_max_ms: float
    journal_mb: float
    samples_mb: float


def configuration(isp: Isp, network: Network, folder: Path, port: int, interval_s: float) -> Path:
    references = [(f"outside-{i}", address, "") for i, address in enumerate(OUTSIDE)]
    references += [(f"in-{e}", isp.reference_address(e), path) for e, path in enumerate(isp.exchange_paths[:EXCHANGES])]
    text = f"""
[daemon]
snapshot_s = {2 * interval_s}
[inventory]
file = "inventory.csv"
elements_file = "elements.csv"
[store]
folder = "data"
[icmp]
netns = "{network.prober_netns}"
interval_s = {interval_s}
rate_max_pps = 60000
[api]
port = {port}
metrics_open = true
"""
    for name, address, element in references:
        text += f'[[icmp.references]]\nname = "{name}"\naddress = "{address}"\nelement = "{element}"\n'
    path = folder / "faultline.toml"
    path.write_text(text)
    return path


def metrics(client: httpx.Client) -> dict[str, float]:
    """Samples by name (label values appended), summed over the other labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            key = ":".join([sample.name, *(v for k, v in sample.labels.items() if k in ("state", "le"))])
            found[key] = found.get(key, 0.0) + sample.value
    return found


def longest_step_s(before: dict[str, float], after: dict[str, float]) -> float:
    """The upper bound of the histogram's highest bucket that grew."""
    name = "faultline_step_seconds_bucket:"
    bounds = sorted((float(k.removeprefix(name)), k) for k in after if k.startswith(name))
    longest, below = 0.0, 0.0
    for bound, key in bounds:
        grown = after[key] - before.get(key, 0.0)
        if grown > below:
            longest, below = bound, grown
    return longest


def folder_mb(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20


def measure(daemon: Child, client: httpx.Client, isp: Isp, folder: Path, interval_s: float, rounds: int) -> Cost:
    began = time.monotonic()
    while time.monotonic() - began < READY_S:
        try:
            if metrics(client).get("faultline_lines:up", 0) > 0.9 * len(isp):
                break
        except (httpx.HTTPError, KeyError):
            pass
        if not daemon.running():
            raise SystemExit(f"the daemon ended: {daemon.log_tail(20)}")
        time.sleep(1.0)
    else:
        raise SystemExit(f"not every line was reached within {READY_S} s: {daemon.log_tail(20)}")
    time.sleep(interval_s / 2)
    main = psutil.Process(daemon.pid)
    processes = [main, *main.children(recursive=True)]
    before, cpu = metrics(client), [sum(p.cpu_times()[:2]) for p in processes]
    written = folder_mb(folder / "data" / "journal")
    peak = [0.0] * len(processes)
    times: list[float] = []
    start_s = time.monotonic()
    while time.monotonic() - start_s < rounds * interval_s:
        at = time.perf_counter()
        client.post("/api/v1/lookup", json={"key": isp.line_id(len(times) * 37 % len(isp))}).raise_for_status()
        times.append((time.perf_counter() - at) * 1000)
        peak = [max(m, p.memory_info().rss / 2**20) for m, p in zip(peak, processes, strict=True)]
        written = max(written, folder_mb(folder / "data" / "journal"))
        time.sleep(0.5)
    took = time.monotonic() - start_s
    used = [(sum(p.cpu_times()[:2]) - c) / took for p, c in zip(processes, cpu, strict=True)]
    after = metrics(client)
    return Cost(
        len(isp),
        used[0],
        sum(used[1:]),
        peak[0],
        sum(peak[1:]),
        int(after.get("faultline_icmp_overruns_total", 0) - before.get("faultline_icmp_overruns_total", 0)),
        int(after.get("faultline_lines:down", 0)),
        int(after.get("faultline_lines:up", 0)),
        longest_step_s(before, after),
        statistics.median(times),
        max(times),
        written,
        folder_mb(folder / "data"),
    )


def run(lines: int, interval_s: float, rounds: int, keep_log: Path | None) -> Cost:
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name:
        folder = Path(name)
        isp = make_isp(lines)
        write_inventory(isp, folder / "inventory.csv")
        write_elements(isp, folder / "elements.csv")
        with Network(folder / "network", OUTSIDE) as network:
            port = free_port()
            config = configuration(isp, network, folder, port, interval_s)
            key = _make_key(folder)
            command = [sys.executable, "-m", "monitor.app", "run", "--config", str(config)]
            daemon = start("faultline", command, log=keep_log or folder / "faultline.log")
            headers = {"Authorization": f"Bearer {key}"}
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=30)
            try:
                return measure(daemon, client, isp, folder, interval_s, rounds)
            finally:
                daemon.stop(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--interval", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--log", type=Path, help="keep the daemon's log here")
    options = parser.parse_args()
    print(f"one round every {options.interval:g} s; {options.rounds} rounds measured")
    print(
        "| lines | daemon cores | prober cores | together | daemon MB | prober MB | overruns | called down | "
        "longest step s | lookup ms (longest) | journal MB | state MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for lines in options.lines:
        c = run(lines, options.interval, options.rounds, options.log)
        print(
            f"| {c.lines:,} | {c.daemon_cores:.2f} | {c.prober_cores:.2f} | {c.daemon_cores + c.prober_cores:.2f} | "
            f"{c.daemon_mb:.0f} | {c.prober_mb:.0f} | {c.overran} | {c.down} | <= {c.step_s:g} | "
            f"{c.lookup_ms:.1f} ({c.lookup_max_ms:.0f}) | {c.journal_mb:.0f} | {c.samples_mb:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
