"""Flat out and paced, side by side: our engine, fping and zmap over the same laboratory network.

    python -m benchmarks.probing.compare [--rounds N] [--counts 65000,260000] [--json FILE] [--slow]

As root on Linux, with fping, zmap, iproute2 and nftables. A namespace answers for all targets; one in 64 is dead. The
engines take turns within a round, and ratios are taken within a round: what else the machine does meets all of them.
fping does a list in runs of 65,000, as it has no more sequence numbers. What an engine needs for one address (start,
interpreter, end) is taken off its CPU and off its time. `--slow` adds icmplib and aioping with a share of the list.
"""

import argparse
import ipaddress
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.probing import slow
from benchmarks.probing.measure import Cost, link_address, run, table, worker
from monitor.lab.network import PROBER4, Network

DEAD_EVERY = 64  # one target in so many is dead
FPING_MAX = 65_000
ZMAP_TRIES = 5
SHORTEST_S = 0.05  # a shorter time of sending is lost in that of the start
FLAT_OUT, PACED = 1e6, 17_500.0
GOALS = {  # (CPU at most, probes a second at least), as ratios ours / peer
    ("columns", "fping"): (0.75, 1.5),
    ("columns", "zmap"): (0.85, 0.8),
    ("columns, paced", "zmap, paced"): (0.3, 0.0),
}


@dataclass
class Runs:
    """What one engine did, a value a round: `cpu_s` and `softirq_s` per million probes, `pps` while sending."""

    probes: int = 0
    cpu_s: list[float] = field(default_factory=list)
    softirq_s: list[float] = field(default_factory=list)
    pps: list[float] = field(default_factory=list)
    false_loss: int = 0  # answering targets reported down
    false_up: int = 0  # dead targets reported up
    dead: int = 0


@dataclass
class Outcome:
    """One pass over a list. `starts`: how many processes it took; `waits_s`: what each waits for the last replies;
    `send_s`,
    `cpu_s`: where the engine itself says them exactly, without its start."""

    cost: Cost
    alive: set[str]
    starts: int = 1
    waits_s: float = 0.0
    send_s: float | None = None
    cpu_s: float | None = None


class Laboratory:
    """A list of `count` addresses of which some are dead, and every engine's way to probe it."""

    def __init__(self, folder: Path, network: Network, count: int) -> None:
        self.folder, self.network = folder, network
        self.targets = [f"10.{4 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(count)]
        self.dead = set(self.targets[DEAD_EVERY // 2 :: DEAD_EVERY])
        self.gateway = link_address(network.provider_netns, "pv1")
        self.share: dict[str, float] = {}  # of the list, for the slow ones
        self.engines: dict[str, Callable[[list[str]], Outcome]] = {
            "columns": lambda targets: self._columns(targets, FLAT_OUT),
            "command": self._command,
            "fping": self._fping,
            "zmap": lambda targets: self._zmap(targets, 0),
            "columns, paced": lambda targets: self._columns(targets, PACED),
            "zmap, paced": lambda targets: self._zmap(targets, PACED),
        }

    def run(self, command: list[str]) -> Cost:
        return run(command, self.network.prober_netns)

    def file(self, name: str, lines: list[str]) -> str:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        return str(path)

    def _columns(self, targets: list[str], rate_pps: float) -> Outcome:
        dump = self.folder / "dump.npz"
        cost = self.run(worker(targets[0], len(targets), rate_pps, "--dump", str(dump)))
        alive = {targets[i] for i in np.flatnonzero(np.load(dump)["received"]).tolist()}
        return Outcome(cost, alive, send_s=cost.json()["send_s"], cpu_s=cost.json()["cpu_s"])

    def _command(self, targets: list[str]) -> Outcome:
        command = [str(Path(sys.executable).with_name("faultline")), "probe", "--rate", "1e6"]
        cost = self.run([*command, self.file("list", targets)])
        rows = [line.split() for line in cost.text.splitlines()]
        return Outcome(cost, {row[0] for row in rows if row[2] != "0"}, waits_s=1.0)

    def _fping(self, targets: list[str]) -> Outcome:
        whole, starts = Outcome(Cost("", 0, 0, 0), set(), waits_s=1.0), 0
        for low in range(0, len(targets), FPING_MAX):
            part = self.file("list", targets[low : low + FPING_MAX])
            one = self.run(["fping", "-a", "-q", "-r", "0", "-t", "1000", "-i", "0", "-f", part])
            whole.alive |= set(one.text.split())
            whole.cost.add(one)
            starts += 1
        whole.starts = starts
        return whole

    def _zmap(self, targets: list[str], rate_pps: float) -> Outcome:
        first, last = ipaddress.IPv4Address(targets[0]), ipaddress.IPv4Address(targets[-1])
        prefixes = [str(prefix) for prefix in ipaddress.summarize_address_range(first, last)]
        empty = self.file("empty", [])
        command = ["zmap", "-C", empty, "-b", empty, "-w", self.file("list", prefixes), "-M", "icmp_echoscan"]
        command += ["-i", "pv0", "-G", self.gateway, "-S", PROBER4, "-r", f"{rate_pps:.0f}", "-T", "1", "-c", "1"]
        for left in reversed(range(ZMAP_TRIES)):
            try:
                cost = self.run([*command, "-q", "-o", "-"])
            except RuntimeError:  # zmap 2.1.1 aborts now and then when it ends
                if not left:
                    raise
            else:
                break
        return Outcome(cost, set(cost.text.split()))  # it waits for a second in any case

    def measure(self, name: str, idle: Cost, runs: Runs) -> None:
        """One pass; `idle` is what one address costs."""
        targets = self.targets[: int(len(self.targets) * self.share.get(name, 1.0))]
        got = self.engines[name](targets)
        millions = len(targets) / 1e6
        send_s = got.send_s
        if send_s is None:
            send_s = max(got.cost.seconds - got.starts * (idle.seconds + got.waits_s), 1e-9)
        runs.probes += len(targets)
        cpu_s = got.cost.cpu_s - got.starts * idle.cpu_s if got.cpu_s is None else got.cpu_s
        runs.cpu_s.append(cpu_s / millions)
        runs.softirq_s.append(got.cost.softirq_s / millions)
        runs.pps.append(len(targets) / send_s if send_s > SHORTEST_S else math.nan)
        runs.false_loss += len(set(targets) - got.alive - self.dead)
        runs.false_up += len(got.alive & self.dead)
        runs.dead += len(self.dead & set(targets))


def least(costs: list[Cost]) -> Cost:
    """The cheapest start and, by itself, the quickest: another's load only ever adds."""
    return Cost("", min(c.cpu_s for c in costs), min(c.seconds for c in costs), min(c.softirq_s for c in costs))


def results(found: dict[str, Runs]) -> str:
    rows = []
    for name, runs in found.items():
        low, high = min(runs.pps) / 1000, max(runs.pps) / 1000
        rows.append(
            [
                name,
                f"{statistics.median(runs.cpu_s):.1f} ({min(runs.cpu_s):.1f}-{max(runs.cpu_s):.1f})",
                f"{statistics.median(runs.softirq_s):.2f}",
                f"{low:.0f}-{high:.0f}",
                f"{runs.false_loss} of {runs.probes - runs.dead:,}",
                f"{runs.false_up} of {runs.dead:,}",
            ]
        )
    head = [
        "engine",
        "CPU s per 1 M (range)",
        "ksoftirqd",
        "1,000 probes/s",
        "false loss",
        "dead reported up",
    ]
    return table(head, rows)


def ratios(found: dict[str, Runs]) -> str:
    rows = []
    for (ours, peer), (cpu_goal, pps_goal) in GOALS.items():
        if ours not in found or peer not in found:
            continue
        cpu = [a / b for a, b in zip(found[ours].cpu_s, found[peer].cpu_s, strict=True)]
        pps = [a / b for a, b in zip(found[ours].pps, found[peer].pps, strict=True)]
        goal = f"at least {pps_goal:g}" if pps_goal else "the same rate"
        spread = f"{statistics.median(cpu):.2f} ({min(cpu):.2f}-{max(cpu):.2f})"
        fast = f"{statistics.median(pps):.2f} ({min(pps):.2f}-{max(pps):.2f})"
        rows.append([f"{ours} / {peer}", spread, f"at most {cpu_goal:g}", fast, goal])
    return table(["ratio, median (range) of rounds", "CPU", "goal", "probes a second", "goal"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--counts", default="65000,260000")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    every = {}
    with tempfile.TemporaryDirectory() as name, Network(Path(name) / "network") as network:
        folder = Path(name)
        for count in (int(text) for text in args.counts.split(",")):
            lab = Laboratory(folder, network, count)
            if args.slow:
                slow.add(lab)
            network.fail(sorted(lab.dead))
            starts = {name: [engine(lab.targets[:1]).cost for _ in range(3)] for name, engine in lab.engines.items()}
            idle = {name: least(costs) for name, costs in starts.items()}
            found = {name: Runs() for name in lab.engines}
            for turn in range(args.rounds):
                for engine in lab.engines:
                    lab.measure(engine, idle[engine], found[engine])
                    print(f"{count:,}: round {turn + 1}: {engine} done", file=sys.stderr)
            network.mend_all()
            print(f"\n{count:,} addresses, {args.rounds} rounds\n\n{results(found)}\n\n{ratios(found)}")
            every[count] = {name: vars(runs) for name, runs in found.items()}
    if args.json:
        args.json.write_text(json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
