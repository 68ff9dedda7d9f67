"""Labelled round-trip series: the artificial set (where it is there), made harder, and realistic ones made here.

A trace is (rtt_ms float64 [n], NaN: lost; starts int64: first rows of new regimes). The realistic ones have what field
series have and textbook ones lack: skewed noise, two paths taken in turn, spikes alone and in bursts, quantised
clocks, lost probes, drift, busy evenings, small steps over little noise. Only steps and busy hours are labelled.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
INTERVAL_S = 240


@dataclass(frozen=True)
class Trace:
    name: str
    rtt_ms: F64
    starts: I64


def artificial(folder: Path) -> list[Trace]:
    """`epoch;rtt;cp` with a decimal comma, gzipped. Empty when the folder is not there."""
    found = []
    for path in sorted(folder.glob("*.csv.gz"), key=lambda p: int(p.name.split(".")[0])):
        with gzip.open(path, "rt") as file:
            rows = [line.strip().replace(",", ".").split(";") for line in file][1:]
        rtt = np.array([float(r[1] or "nan") for r in rows])
        rtt[~(rtt > 0)] = np.nan
        found.append(Trace(path.name.split(".")[0], rtt, np.flatnonzero([float(r[2] or 0) > 0 for r in rows])))
    return found


def disturbed(trace: Trace, seed: int) -> Trace:
    """The same with one spike in a hundred rows, 5 % of the probes lost, and every tenth row left out."""
    rng = np.random.default_rng([seed, 1])
    x = trace.rtt_ms.copy()
    spikes = rng.random(x.size) < 0.01
    x[spikes] += rng.exponential(100, int(spikes.sum()))
    x[rng.random(x.size) < 0.05] = np.nan
    kept = rng.random(x.size) >= 0.1
    place = np.cumsum(kept) - kept  # rows kept before each: where a left out row would have stood
    starts = np.unique(place[trace.starts])
    return Trace(trace.name, x[kept], starts[starts < int(kept.sum())])


def realistic(count: int, seed: int) -> Iterator[Trace]:
    for i in range(count):
        yield _realistic(f"real-{i}", np.random.default_rng([seed, i]))


def _realistic(name: str, rng: np.random.Generator) -> Trace:
    rows = int(rng.integers(3000, 7000))
    floor = float(rng.uniform(3, 250))
    noise = float(np.exp(rng.normal(np.log(0.25), 0.9)))  # ms
    level, labels = _levels(rng, rows, floor, noise)
    shape = float(rng.choice([0.6, 1.0, 2.0, 5.0]))
    x = level + noise * rng.gamma(shape, 1 / np.sqrt(shape), rows)
    if rng.random() < 0.25:  # two paths of different length, taken in turn or in runs
        gap, share, stick = noise * rng.uniform(3, 15), rng.uniform(0.08, 0.5), rng.choice([0.0, 0.0, 0.5])
        x += gap * _two_state(rng, rows, share, stick)
    if rng.random() < 0.3:
        x += noise * rng.uniform(1, 3) * np.sin(2 * np.pi * np.arange(rows) * INTERVAL_S / 86400 + rng.uniform(0, 6))
    if rng.random() < 0.2:
        x += np.cumsum(rng.normal(0, noise * 0.02, rows))
    if rng.random() < 0.35:
        labels += _evenings(rng, x)
    rate, size = rng.uniform(0.003, 0.04), np.exp(rng.normal(np.log(15), 1))
    single = rng.random(rows) < rate
    x[single] += rng.exponential(size, int(single.sum()))
    for at in rng.integers(0, rows, int(rng.integers(0, 12))):  # bursts
        width = int(rng.integers(2, 4))
        x[at : at + width] += rng.exponential(size, x[at : at + width].size)
    if rng.random() < 0.2:
        step = float(rng.choice([0.1, 1.0])) if noise > 0.3 else 0.1
        x = np.round(x / step) * step
    x[rng.random(rows) < rng.choice([0.0, 0.002, 0.01, 0.04])] = np.nan
    for at in rng.integers(0, rows, int(rng.integers(0, 6))):
        x[at : at + int(rng.integers(1, 4))] = np.nan
    starts = np.unique(np.array([s for s in labels if 3 <= s < rows - 3], np.int64))
    return Trace(name, np.maximum(x, 0.1), starts)


def _levels(rng: np.random.Generator, rows: int, floor: float, noise: float) -> tuple[F64, list[int]]:
    """Paths: half of the changes go back to where the line was before."""
    level, labels = np.empty(rows), []
    usual = present = floor
    at = 0
    median = float(np.exp(rng.normal(np.log(220), 0.7)))
    while at < rows:
        width = max(4, int(np.exp(rng.normal(np.log(median), 1.2))))
        level[at : at + width] = present
        at += width
        if present != usual and rng.random() < 0.6:
            present = usual
        else:
            size = max(np.exp(rng.normal(np.log(4), 1.2)), 4 * noise, 0.4)
            fresh = present + size * (1 if rng.random() < 0.5 else -1)
            usual, present = (present if rng.random() < 0.7 else usual), max(fresh, floor * 0.4, 1.0)
        labels.append(at)
    return level, labels


def _two_state(rng: np.random.Generator, rows: int, share: float, stick: float) -> F64:
    state, found = False, np.empty(rows)
    draws, stays = rng.random(rows), rng.random(rows)
    for i in range(rows):
        if stays[i] >= stick:
            state = bool(draws[i] < share)
        found[i] = state
    return found


def _evenings(rng: np.random.Generator, x: F64) -> list[int]:
    """Busy hours: from one probe to the next the queue is there, long and of changing length; then it is gone."""
    labels = []
    hour, size = float(rng.uniform(0, 24)), float(np.exp(rng.normal(np.log(15), 0.8)))
    per_day = 86400 // INTERVAL_S
    for day in range(x.size // per_day):
        if rng.random() < 0.4:
            continue
        start = int((day + (hour + rng.normal(0, 0.7)) / 24) * per_day)
        width = int(rng.uniform(0.7, 5) * 3600 / INTERVAL_S)
        if start < 0 or start + width >= x.size:
            continue
        x[start : start + width] += size * (0.3 + rng.gamma(2.0, 0.5, width))
        labels += [start, start + width]
    return labels
