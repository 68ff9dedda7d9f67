"""Nothing fails but single lines, and everything benign happens, again and again: how many incidents are opened?

    .venv/bin/python -m benchmarks.correlation_accuracy.faultfree [--pieces 10] [--lines 10000] [--hours 300]
        [--rows FILE]

As many line-hours as 100,000 lines have in 12.5 days, in pieces that fit on a disk: networks of their own, of which
each runs for 12.5 days (two weekends, a holiday, the change to daylight saving). `--rows FILE` keeps finished pieces.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from monitor.lab.replay import replay
from monitor.lab.simulation import simulate

FIRST_SEED = 5001


def piece(seed: int, lines: int, hours: float) -> dict[str, Any]:
    """One network: line-hours, incidents that were opened, and what for."""
    with tempfile.TemporaryDirectory(prefix="faultline-quiet-") as name:
        folder = Path(name)
        done = simulate("benign", lines, hours, seed, folder)
        begin = time.process_time()
        out = folder / "incidents.jsonl"
        replay(folder / "inventory.csv", folder / "observations.parquet", folder / "events.csv", out)
        incidents = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return {
            "seed": seed,
            "lines": lines,
            "hours": hours,
            "rows": done.observations,
            "cpu_s": time.process_time() - begin,
            "incidents": [
                [i["kind"], i["cause"], i["scope"]["name"], i["started_at"], len(i["lines"]), i["confidence"]]
                for i in incidents
            ],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=10)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=300)
    parser.add_argument("--rows", type=Path, help="keep finished pieces here and go on from them")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.rows and options.rows.exists():
        kept = [json.loads(line) for line in options.rows.read_text(encoding="utf-8").splitlines()]
        rows = [r for r in kept if (r["lines"], r["hours"]) == (options.lines, options.hours)]
    for seed in range(FIRST_SEED, FIRST_SEED + options.pieces):
        if any(row["seed"] == seed for row in rows):
            continue
        rows.append(piece(seed, options.lines, options.hours))
        if options.rows:
            with options.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
        for incident in rows[-1]["incidents"]:
            print(seed, *incident, flush=True)
    line_hours = sum(row["lines"] * row["hours"] for row in rows)
    kinds = Counter(incident[0] for row in rows for incident in row["incidents"])
    opened = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    print("| line-hours without a fault | incidents | per million | processor s |\n|---|---|---|---|")
    rate, cpu = sum(kinds.values()) / line_hours * 1e6, sum(row["cpu_s"] for row in rows)
    print(f"| {line_hours / 1e6:.2f} million | {opened} | {rate:.3f} | {cpu:.0f} |")


if __name__ == "__main__":
    main()
