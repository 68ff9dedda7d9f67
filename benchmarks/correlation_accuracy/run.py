"""How good are the incidents? Simulates, replays, scores; the engine beside two naive methods on the same data.

    .venv/bin/python -m benchmarks.correlation_accuracy.run [--seeds 1001-1010] [--lines 10000] [--hours 12]
        [--scenario all] [--plan standard] [--methods engine,threshold,clusters] [--jobs 2] [--rows FILE]
    .venv/bin/python -m benchmarks.correlation_accuracy.run --seed 1 --why [--keep DIR]

Seeds from 1001 on are for measuring; nothing may be tuned on them. `--rows FILE` keeps each finished run as one JSON
line, and a second call with the same file does only what is missing. `--keep DIR` keeps the simulated data.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.correlation_accuracy.methods import METHODS, measure
from benchmarks.correlation_accuracy.tables import by_cause, reliability, scores
from benchmarks.correlation_accuracy.why import report
from monitor.inventory import load_inventory
from monitor.lab.scoring import read_incidents, read_truths
from monitor.lab.simulation import simulate


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one method; everything that tells it from another."""

    seed: int
    method: str
    scenario: str
    lines: int
    hours: float
    plan: str


@contextmanager
def simulated(job: Job, keep: Path | None) -> Iterator[Path]:
    """A folder with the data of a job: made, or found where it was kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="faultline-accuracy-") as name:
            yield _made(job, Path(name))
        return
    folder = keep / f"{job.plan}-{job.scenario}-{job.lines}-{job.hours:g}-{job.seed}"
    yield folder if (folder / "simulated").exists() else _made(job, folder)
    (folder / "simulated").touch()


def _made(job: Job, folder: Path) -> Path:
    simulate(job.scenario, job.lines, job.hours, job.seed, folder, plan=job.plan)
    return folder


def run_seed(jobs: list[Job], keep: Path | None) -> list[dict[str, Any]]:
    """All methods of one seed on the same data."""
    with simulated(jobs[0], keep) as folder:
        return [asdict(job) | measure(folder, job.method, job.lines * job.hours) for job in jobs]


def why(job: Job, keep: Path | None) -> str:
    with simulated(job, keep) as folder:
        figures = measure(folder, "engine", job.lines * job.hours)
        inventory = load_inventory(folder / "inventory.csv")
        incidents = read_incidents(folder / "incidents.jsonl")
        text = report(folder, read_truths(folder / "truth.jsonl"), incidents, inventory)
        return text + "\n" + scores([asdict(job) | figures]) + f"\nwall {figures['wall_s']:.1f} s\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", "--seed", default="1001-1010", help="FIRST-LAST or one")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--scenario", default="all")
    parser.add_argument("--plan", default="standard")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--rows", type=Path, help="keep finished runs here and go on from them")
    parser.add_argument("--keep", type=Path, help="keep the simulated data here")
    parser.add_argument("--why", action="store_true", help="say what went wrong in each seed (engine only)")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    size = (options.scenario, options.lines, options.hours, options.plan)
    if options.why:
        for seed in seeds:
            print(f"--- seed {seed}\n{why(Job(seed, 'engine', *size), options.keep)}", flush=True)
        return
    done = _read(options.rows)
    rows = []
    todo: list[list[Job]] = []
    for seed in seeds:
        jobs = [Job(seed, method, *size) for method in options.methods.split(",")]
        rows += [row for job in jobs if (row := done.get(job)) is not None]
        if missing := [job for job in jobs if job not in done]:
            todo.append(missing)
    with ProcessPoolExecutor(max(1, options.jobs), max_tasks_per_child=1) as pool:
        for future in as_completed([pool.submit(run_seed, jobs, options.keep) for jobs in todo]):
            for row in future.result():
                rows.append(row)
                _keep(options.rows, row)
                print(json.dumps({k: v for k, v in row.items() if k not in ("trust", "causes")}), file=sys.stderr)
    rows.sort(key=lambda row: (list(METHODS).index(row["method"]), row["seed"]))
    text = "\n".join((scores(rows), by_cause(rows), reliability(rows)))
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


def _read(path: Path | None) -> dict[Job, dict[str, Any]]:
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Job(**{name: row[name] for name in Job.__slots__}): row for row in rows}


def _keep(path: Path | None, row: dict[str, Any]) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
