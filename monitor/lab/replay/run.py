"""`faultline replay`: the very engine of the daemon over recorded observations and events."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from correlation.engine import Engine
from correlation.settings import CorrelationSettings
from monitor.inventory import InputProblems, Inventory, load_inventory
from monitor.lab.replay.events import read_events
from monitor.lab.replay.recorder import Recorder
from monitor.lab.replay.rounds import RoundReader, resolve_targets
from monitor.lab.replay.source import ObservationSource
from monitor.records import Event, ProbeRound

NS = 1_000_000_000
SLICES = 2  # a prober sends its round in slices; the engine is stepped after each


class Replayed(msgspec.Struct, frozen=True):
    """What was read and written. `unknown_rows`: rows of lines or elements that the inventory does not know, a few of
    them in `unknown`; `doubled_rows`: rows that were there twice; `refused`: what the engine could not use, by reason.
    """

    rows: int
    events: int
    steps: int
    incidents: int
    flags: int
    unknown_rows: int = 0
    unknown: tuple[str, ...] = ()
    doubled_rows: int = 0
    refused: dict[str, int] = {}


def replay(
    inventory: Path | Inventory,
    observations: Path,
    events: Path | None,
    out: Path,
    flags: Path | None = None,
    interval_s: float = 60.0,
    settings: CorrelationSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Runs the engine and writes incidents.jsonl (and flags.jsonl). Its requests for probes are dropped.

    `interval_s` is the time between two rounds. `progress` is called with rows read and rows in all. Raises
    InputProblems; lines that the inventory does not know are left out and counted, unless it knows none.
    """
    if not interval_s >= 1:
        raise ValueError(f"interval {interval_s} s must be 1 or more")
    known = load_inventory(inventory) if isinstance(inventory, Path) else inventory
    said = read_events(events) if events else []
    source = ObservationSource(observations)
    try:
        targets = resolve_targets(source, known)
        if source.count and not (targets.table == 0).any():
            raise InputProblems.one(
                str(observations), f"holds no line of the inventory {known.source}", field="line_id"
            )
        reader = RoundReader(source, targets, known, int(interval_s * NS))
        engine = Engine(known, settings, targets.references, _resolvers(known, said))
        recorder = Recorder(known)
        rows = steps = 0
        refused: dict[str, int] = {}
        for end, rounds, now_said in _steps(reader, said, int(interval_s * NS) // SLICES):
            result = engine.step(end, rounds, now_said)
            recorder.take(result.changes)
            recorder.observe(engine)
            steps += 1
            rows += sum(len(r) for r in rounds)
            for reason, count in result.stats.refused.items():
                refused[reason] = refused.get(reason, 0) + count
            if progress:
                progress(rows, source.count)
        recorder.finish()
    finally:
        source.close()
    return Replayed(
        rows=source.count,
        events=len(said),
        steps=steps,
        incidents=recorder.write_incidents(out),
        flags=recorder.write_flags(flags) if flags else 0,
        unknown_rows=reader.unknown_rows,
        unknown=tuple(targets.unknown[:5]),
        doubled_rows=reader.doubled_rows,
        refused=refused,
    )


def _resolvers(inventory: Inventory, events: list[Event]) -> list[str]:
    """Names of the resolvers: those in the inventory's groups and those that events speak of."""
    names = {n for k, n in zip(inventory.groups.kinds, inventory.groups.names, strict=True) if k == "resolver"}
    prefix = "group:resolver:"
    names.update(e.subject.removeprefix(prefix) for e in events if e.subject.startswith(prefix))
    return sorted(names)


def _steps(
    reader: RoundReader, events: list[Event], slice_ns: int
) -> Iterator[tuple[int, list[ProbeRound], list[Event]]]:
    """Every slice of time from the first row or event to the last, empty ones too: time goes on when nothing comes."""
    place = 0
    last: int | None = None

    def due(end: int) -> list[Event]:
        nonlocal place
        begin = place
        while place < len(events) and events[place].at_ns < end:
            place += 1
        return events[begin:place]

    for end, rounds in reader.slices(slice_ns):
        if last is not None:
            for quiet in range(last + slice_ns, end, slice_ns):
                yield quiet, [], due(quiet)
        yield end, rounds, due(end)
        last = end
    while place < len(events):
        after = (events[place].at_ns // slice_ns + 1) * slice_ns
        yield after, [], due(after)
