"""The prober of the simulation: one probe a round to every line, node and reference, written as observations.parquet.

Targets are numbered in the order in which a round probes them, so that rows come out in the order of time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.lab.simulation.plan import Nature
from monitor.lab.simulation.world import HOUR, NS, Downtimes, World
from monitor.records.rounds import F32, I64

BATCH_ROWS = 2_000_000
ROW_GROUP = 250_000
NOT_SENT_RATIO = 0.0005  # the prober's socket was full: nothing is known of these
NODE_LOSS_RATIO = 0.002
SPIKE_RATIO = 0.01
PPM = 1_000_000
BURST_LOSS = 0.5
BURST_ROUNDS = 3.0


@dataclass(slots=True, eq=False)
class _Targets:
    """T targets in probing order: `name` object [T], `phase_ns` int64 [T] within the round, figures float32 [T];
    `row_of_line`, `row_of_node`, `row_of_reference`: where each stands."""

    name: npt.NDArray[np.object_]
    phase_ns: I64
    rtt_ms: F32
    spread: F32
    loss_ratio: F32
    row_of_line: npt.NDArray[np.int64]
    row_of_node: npt.NDArray[np.int64]
    row_of_reference: dict[str, int]


def write_observations(
    world: World, downtimes: Downtimes, path: Path, progress: Callable[[int, int], None] | None = None
) -> int:
    """Writes the file; returns its number of rows. `progress` is called with rounds done and rounds in all."""
    import pyarrow as pa  # lazily: the daemon has no use for it here
    from pyarrow import parquet

    targets = _targets(world)
    names = pa.array(targets.name.tolist(), pa.string())
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        {"at": pa.int64(), "line_id": text, "sent": pa.uint16(), "received": pa.uint16(), "rtt_ms": pa.float32()}
    )
    encoding = {"at": "DELTA_BINARY_PACKED", "rtt_ms": "BYTE_STREAM_SPLIT"}
    rows = 0
    part = path.with_name(path.name + ".part")
    try:
        with parquet.ParquetWriter(
            part, schema, compression="zstd", use_dictionary=["line_id"], column_encoding=encoding
        ) as writer:
            for batch in _batches(world, downtimes, targets, progress):
                columns = [
                    pa.array(batch["at"]),
                    pa.DictionaryArray.from_arrays(batch["target"], names),
                    pa.array(batch["sent"]),
                    pa.array(batch["received"]),
                    pa.array(batch["rtt_ms"], mask=np.isnan(batch["rtt_ms"])),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)
                rows += len(batch["at"])
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _targets(world: World) -> _Targets:
    network, rng = world.network, world.rng(41)
    lines, nodes = len(network), len(world.nodes)
    count = lines + nodes + len(world.references)
    place = rng.permutation(count)  # place[i]: where target i stands in the round
    order = np.argsort(place)
    names = np.array(
        [
            *network.line_ids,
            *(f"element:{network.paths[e]}" for e in world.nodes),
            *(f"reference:{name}" for name in world.references),
        ],
        dtype=object,
    )
    others = count - lines
    rtt = np.concatenate([network.rtt_ms, rng.uniform(1.5, 6, others)]).astype(np.float32)
    loss = np.concatenate([network.loss_ratio, np.full(others, NODE_LOSS_RATIO)]).astype(np.float32)
    loss[:lines][network.silent] = 2.0  # never answers
    return _Targets(
        name=names[order],
        phase_ns=(np.arange(count, dtype=np.int64) * world.interval_ns) // count,
        rtt_ms=rtt[order],
        spread=np.concatenate([network.spread, np.full(others, 0.02)]).astype(np.float32)[order],
        loss_ratio=loss[order],
        row_of_line=place[:lines],
        row_of_node=place[lines : lines + nodes],
        row_of_reference={name: int(place[lines + nodes + i]) for i, name in enumerate(world.references)},
    )


class _Steps:
    """Additions to per-target figures that begin in one round and end in another."""

    def __init__(self, world: World, targets: _Targets, rounds: int) -> None:
        self._world, self._targets, self._rounds = world, targets, rounds
        self._parts: list[tuple[I64, I64, npt.NDArray[np.int64]]] = []

    def add(self, rows: npt.NDArray[np.int64], start_ns: I64, end_ns: I64, amount: int = 1) -> None:
        """`amount` for the probes of these targets that are sent in start..end."""
        begin, end = self._round(rows, start_ns), self._round(rows, end_ns)
        keep = end > begin
        rows, begin, end = rows[keep], begin[keep], end[keep]
        self._parts.append((begin, rows, np.full(len(rows), amount)))
        self._parts.append((end, rows, np.full(len(rows), -amount)))

    def _round(self, rows: npt.NDArray[np.int64], at_ns: I64) -> I64:
        """The first round whose probe of each target is sent at or after a time, between 0 and the number of rounds."""
        since = at_ns - self._world.start_ns - self._targets.phase_ns[rows]
        first: I64 = np.clip(-(-since // self._world.interval_ns), 0, self._rounds)
        return first

    def by_round(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """For every round the targets that change, and by how much."""
        none = np.zeros(0, np.int64)
        parts = [(none, none, none), *self._parts]
        rounds, rows, amounts = (np.concatenate([p[i] for p in parts]) for i in range(3))
        order = np.argsort(rounds, kind="stable")
        bounds = np.searchsorted(rounds[order], np.arange(self._rounds + 1))
        rows, amounts = rows[order], amounts[order]
        for i in range(self._rounds):
            part = slice(bounds[i], bounds[i + 1])
            yield rows[part], amounts[part]


def _batches(
    world: World, downtimes: Downtimes, targets: _Targets, progress: Callable[[int, int], None] | None
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    rounds = (world.end_ns - world.start_ns) // world.interval_ns
    down, loss, delay = (steps.by_round() for steps in _steps(world, downtimes, targets, rounds))
    count = len(targets.name)
    is_down, more_loss, more_rtt = (np.zeros(count, np.int64) for _ in range(3))
    rng = world.rng(42)
    weather = _Weather(targets, world.network.plan.nature)
    per_batch = max(1, BATCH_ROWS // count)
    kept: list[dict[str, npt.NDArray[np.generic]]] = []
    for number in range(rounds):
        for state, changes in ((is_down, down), (more_loss, loss), (more_rtt, delay)):
            rows, amounts = next(changes)
            np.add.at(state, rows, amounts)
        at = world.start_ns + number * world.interval_ns + targets.phase_ns
        kept.append(_round(world, targets, at, is_down, more_loss, more_rtt, weather, rng))
        if len(kept) == per_batch or number == rounds - 1:
            yield {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
            kept = []
        if progress:
            progress(number + 1, rounds)


class _Weather:
    """Lost probes and round-trip times, as the plan's nature has them."""

    def __init__(self, targets: _Targets, nature: Nature) -> None:
        self._targets, self._nature = targets, nature
        self._burst = np.zeros(len(targets.name), np.bool_)
        # Gilbert: within a burst half of the probes are lost; the share of time in bursts keeps the loss what it is.
        share = np.minimum(targets.loss_ratio / BURST_LOSS, 0.3)
        self._enter = (share / (1 - share) / BURST_ROUNDS).astype(np.float32)

    def lost(self, more: F32, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        count = len(more)
        loss = self._targets.loss_ratio
        if self._nature.bursts:
            chance = rng.random(count, np.float32)
            self._burst = np.where(self._burst, chance >= 1 / BURST_ROUNDS, chance < self._enter)
            loss = np.where(loss >= 1, loss, np.where(self._burst, np.float32(BURST_LOSS), np.float32(0)))
        return np.asarray(rng.random(count, np.float32) < loss + more)

    def noise(self, rng: np.random.Generator) -> F32:
        """In standard deviations of each target."""
        count = len(self._burst)
        if self._nature.skewed:
            return (rng.standard_gamma(2.0, count, np.float32) - np.float32(1.5)) / np.float32(1.4)
        noise = rng.standard_normal(count, np.float32)
        spikes = rng.random(count, np.float32) < SPIKE_RATIO
        noise[spikes] += rng.exponential(6, int(spikes.sum())).astype(np.float32)
        return noise


def _steps(world: World, downtimes: Downtimes, targets: _Targets, rounds: int) -> tuple[_Steps, _Steps, _Steps]:
    """Reasons to be down (count), extra loss (ppm), extra round-trip time (us): integers, so that nothing drifts."""
    down, loss, delay = (_Steps(world, targets, rounds) for _ in range(3))
    down.add(targets.row_of_line[downtimes.line], downtimes.start_ns, downtimes.end_ns)
    silent = [(int(targets.row_of_node[i]), start, end) for i, start, end in world.cut_nodes]
    silent += [(targets.row_of_reference[name], start, end) for name, start, end in world.cut_references]
    down.add(*np.array(silent, np.int64).reshape(-1, 3).T)
    everything = np.arange(len(targets.name))
    for start, end in world.blind:
        down.add(everything, np.full(len(everything), start), np.full(len(everything), end))
    for slow in world.slowdowns:
        rows = targets.row_of_line[slow.lines]
        span = np.full(len(rows), slow.start_ns), np.full(len(rows), slow.end_ns)
        loss.add(rows, *span, amount=int(slow.loss_ratio * PPM))
        delay.add(rows, *span, amount=int(slow.rtt_ms * 1000))
    return down, loss, delay


def _round(
    world: World,
    targets: _Targets,
    at: I64,
    is_down: I64,
    more_loss: I64,
    more_rtt: I64,
    weather: "_Weather",
    rng: np.random.Generator,
) -> dict[str, npt.NDArray[np.generic]]:
    count = len(at)
    sent = (rng.random(count, np.float32) >= NOT_SENT_RATIO).astype(np.uint16)
    lost = weather.lost((more_loss / PPM).astype(np.float32), rng)
    received = np.where((is_down > 0) | lost, 0, sent).astype(np.uint16)
    noise = weather.noise(rng)
    # Evenings are a little slower: 3 % at nine o'clock.
    hour = ((int(at[0]) - world.start_ns) / HOUR + 18) % 24
    evening = 1 + 0.03 * np.exp(-((hour - 21) ** 2) / 8)
    rtt = targets.rtt_ms * evening * (1 + targets.spread * noise) + (more_rtt / 1000).astype(np.float32)
    rtt = np.maximum(rtt, targets.rtt_ms * 0.7).round(3).astype(np.float32)
    rtt[received == 0] = np.nan
    batch: dict[str, npt.NDArray[np.generic]] = {
        "at": at,
        "target": np.arange(count, dtype=np.int32),
        "sent": sent,
        "received": received,
        "rtt_ms": rtt,
    }
    for start, end in world.gaps:
        if len(at) and start < at[-1] and end > at[0]:
            keep = (at < start) | (at >= end)
            batch = {name: column[keep] for name, column in batch.items()}
            at = at[keep]
    return batch


def rounds_of(hours: float, interval_s: float) -> int:
    """How many whole rounds fit; raises ValueError when none does."""
    rounds = int(hours * 3600 // interval_s)
    if rounds < 1:
        raise ValueError(f"{hours} h is shorter than one round of {interval_s} s")
    return rounds


def round_ns(interval_s: float) -> int:
    return int(interval_s * NS)
