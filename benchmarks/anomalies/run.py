"""Changes of regime: ours beside rolling z-score, CUSUM, PELT and IsolationForest, on the same series.

    make bench-anomalies [ARGS="--traces FOLDER --realistic 20 --seed 11 --quick"]      (or FAULTLINE_TRACES=FOLDER)

Micro F1 and F2: window of two rows, one to one, decided within fifteen. `artificial`: labelled traces in FOLDER
(`epoch;rtt;cp`), left out where there are none; `disturbed`: the same with spikes, 5 % loss and rows left out;
`realistic`: made here. Ours has one threshold; each trace is judged with the default, and again with the one that was
best on the traces of the other four of five folds. Each peer gets its best setting on the very traces it is judged on.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.anomalies.matching import Score, score
from benchmarks.anomalies.peers import PEERS
from benchmarks.anomalies.traces import Trace, artificial, disturbed, realistic
from correlation.baselines.likelihood import Rule
from correlation.baselines.regimes import Regimes

TRACES = "FAULTLINE_TRACES"  # environment: the folder with the labelled traces
THRESHOLDS = (9.0, 11.0, 13.0)
FOLDS = 5
Found = list[tuple[int, int]]


def ours(traces: Sequence[Trace], rule: Rule) -> list[Found]:
    """All traces side by side, as lines of one network: exactly what each gives alone."""
    regimes = Regimes(len(traces), rule)
    sizes = np.array([t.rtt_ms.size for t in traces])
    table = np.full((len(traces), sizes.max()), np.nan, np.float32)
    for i, trace in enumerate(traces):
        table[i, : sizes[i]] = trace.rtt_ms
    found: list[Found] = [[] for _ in traces]
    for row in range(int(sizes.max())):
        lines = np.flatnonzero(sizes > row).astype(np.int32)
        shifts = regimes.step(lines, table[lines, row])
        for line, rows in zip(shifts.line.tolist(), shifts.rows.tolist(), strict=True):
            found[line].append((row - rows + 1, row))
    return found


def scores(traces: Sequence[Trace], found: Sequence[Found]) -> list[Score]:
    return [score(f, t.starts.tolist()) for t, f in zip(traces, found, strict=True)]


def total(parts: Sequence[Score]) -> Score:
    return sum(parts, Score(0, 0, 0))


def left_out(by_threshold: dict[float, list[Score]]) -> Score:
    """Each fold with the threshold that was best on the other folds."""
    count = len(next(iter(by_threshold.values())))
    result = Score(0, 0, 0)
    for fold in range(FOLDS):
        inside = [i for i in range(count) if i % FOLDS == fold]
        outside = [i for i in range(count) if i % FOLDS != fold]
        best = max(by_threshold, key=lambda t: total([by_threshold[t][i] for i in outside]).f())
        result += total([by_threshold[best][i] for i in inside])
    return result


def line(name: str, s: Score) -> None:
    print(f"| {name} | {s.precision:.3f} | {s.recall:.3f} | {s.f():.3f} | {s.f(2):.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", type=Path, default=os.environ.get(TRACES), help=f"default: {TRACES}, else none")
    parser.add_argument("--realistic", type=int, default=20)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--quick", action="store_true", help="ours with the default threshold alone")
    given = parser.parse_args()
    labelled = artificial(given.traces) if given.traces is not None else []
    sets = {"artificial": labelled, "disturbed": [disturbed(t, given.seed) for t in labelled]}
    sets["realistic"] = list(realistic(given.realistic, given.seed))
    for name, traces in sets.items():
        if not traces:
            where = f"no traces in {given.traces}" if given.traces else f"give --traces FOLDER or set {TRACES}"
            print(f"\n{name}: skipped, {where}")
            continue
        print(f"\n{name}: {len(traces)} traces, {sum(t.starts.size for t in traces)} changes")
        print("| | precision | recall | F1 | F2 |\n|---|---|---|---|---|")
        default = scores(traces, ours(traces, Rule()))
        line("**ours**", total(default))
        if given.quick:
            continue
        tried = {t: default if t == Rule().nats else scores(traces, ours(traces, Rule(nats=t))) for t in THRESHOLDS}
        line("ours, threshold from other traces", left_out(tried))
        for peer, (method, options) in PEERS.items():
            made = [total(scores(traces, [method(t.rtt_ms, option) for t in traces])) for option in options]
            line(peer, max(made, key=Score.f))


if __name__ == "__main__":
    main()
