"""What an inventory costs: time and memory to load it, to find lines in it, to reload it, to bind addresses.

    .venv/bin/python benchmarks/inventory.py [--lines 1000000] [--markdown FILE]

Each figure is of a process of its own where memory is measured. Times are processor seconds of one core.
"""

import argparse
import csv
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monitor.inventory import Bindings, load_inventory
from monitor.records import Event

COLUMNS = (
    *("line_id", "address", "path", "groups", "lat", "lon", "technology", "cpe_model", "cpe_firmware", "cpe_endpoint"),
    *("cpe_serial", "down_mbps", "up_mbps", "customer_id", "name", "phone", "street", "postcode", "city", "login"),
    *("status", "service_class"),
)


def write(path: Path, lines: int) -> None:
    """A GPON network: 32 lines a splitter, with every column an inventory may have, in no particular order."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        step = 7919  # a prime: every line once, neighbours far apart in the file
        for k in range(lines):
            i = k * step % lines
            splitter = i // 32
            pon, olt, exchange = splitter // 2, splitter // 32, splitter // 128
            writer.writerow(
                (
                    f"L{i:07d}",
                    f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" if i else "",
                    f"r{exchange // 10}/ex-{exchange}/olt-{olt}/pon-{pon}/split-{splitter}",
                    f"bng:bng-{i // 20000};power:feeder-{i // 200}",
                    f"{52 + i % 1000 / 1e4:.5f}",
                    f"{13 + i % 777 / 1e4:.5f}",
                    "gpon",
                    f"AX{i % 3}00",
                    f"7.{i % 4}",
                    f"os::00D09E-{i:09d}",
                    f"S{i:09d}",
                    100,
                    40,
                    f"C{i:08d}",
                    f"Kunde Nummer {i}",
                    f"+49 30 {i:08d}",
                    f"Straße {i // 50} {i % 50 + 1}",
                    f"1{i % 10000:04d}",
                    "Berlin",
                    f"user{i}@isp.example",
                    "active",
                    "residential",
                )
            )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(path: Path, lines: int) -> list[tuple[str, str]]:
    found = [("memory of the process before, MB", f"{peak_mb():.0f}")]
    load_s, inventory = timed(lambda: load_inventory(path))
    found += [("load, s", f"{load_s:.1f}"), ("peak memory of the process, MB", f"{peak_mb():.0f}")]
    warm_s, _ = timed(inventory.warm)
    found += [("indexes for every key, s", f"{warm_s:.1f}"), ("peak with indexes, MB", f"{peak_mb():.0f}")]
    found.append(("held by the inventory, MB", f"{inventory.nbytes / 1e6:.0f}"))
    i = lines // 3
    for key in (f"C{i:08d}", f"030 {i:08d}", f"strasse {i // 50} {i % 50 + 1}, Berlin"):
        found_s, matches = timed(lambda key=key: [inventory.find(key) for _ in range(100)])
        assert matches[0], key
        found.append((f"find {key!r}, ms", f"{found_s * 10:.2f}"))
    found.append(("where did every line go in a reload, s", f"{timed(lambda: inventory.remap(inventory))[0]:.1f}"))
    bind_s, bindings = timed(lambda: Bindings(inventory))
    found.append(("bindings, s", f"{bind_s:.2f}"))
    events = [Event(1, f"L{k:07d}", "session_start", f"10.200.{k >> 8 & 255}.{k & 255}") for k in range(20_000)]
    events_s, _ = timed(lambda: [bindings.apply(event) for event in events])
    found.append(("20,000 sessions with new addresses, s", f"{events_s:.2f}"))
    found.append(("carry the bindings over a reload, s", f"{timed(lambda: bindings.carried(inventory))[0]:.2f}"))
    snapshot_s, arrays = timed(bindings.snapshot)
    found.append(("snapshot of the bindings, s", f"{snapshot_s:.3f}"))
    found.append(("restore it, s", f"{timed(lambda: Bindings.restore(inventory, arrays))[0]:.2f}"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.csv"
        write(path, options.lines)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(measure, (path, options.lines))
        size = path.stat().st_size / 1e6
    rows = [("size of the file, MB", f"{size:.0f}"), *found]
    text = f"| {options.lines:,} lines | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
