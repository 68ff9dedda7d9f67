"""A small virtual network for the engine's tests: lines, faults, rounds and events in virtual time, seeded."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from correlation.engine import Engine
from correlation.settings import CorrelationSettings
from monitor.inventory import Inventory, load_inventory
from monitor.records import (
    Change,
    Event,
    Incident,
    LineState,
    ProbeRequest,
    ProbeRound,
    Reference,
    TargetKind,
)

NS = 1_000_000_000
START = 1_766_000_000 * NS
Row = dict[str, str]


def rows(
    exchanges: int = 2,
    olts: int = 2,
    pons: int = 4,
    splitters: int = 2,
    lines: int = 16,
    technology: str = "gpon",
    groups: Callable[[int], str] | None = None,
) -> list[Row]:
    """A regular GPON tree. Neighbours on a splitter live in one street, an exchange's streets in one quarter."""
    found: list[Row] = []
    for e in range(exchanges):
        for o in range(olts):
            for p in range(pons):
                for s in range(splitters):
                    for n in range(lines):
                        i = len(found)
                        found.append(
                            {
                                "line_id": f"L{i:05d}",
                                "path": f"north/ex-{e + 1}/olt-{o + 1}/pon-{p + 1}/split-{s + 1}",
                                "technology": technology,
                                "lat": f"{52.5 + 0.05 * e + 0.004 * p + 0.0004 * (n // 4):.5f}",
                                "lon": f"{13.4 + 0.006 * (2 * o + s) + 0.0004 * (n % 4):.5f}",
                                "groups": groups(i) if groups else "",
                                "cpe_model": "AX200" if i % 3 else "BX1",
                                "cpe_firmware": "7.1" if i % 2 else "6.9",
                            }
                        )
    return found


def inventory(folder: Path, table: Sequence[Row], elements: Sequence[Row] = ()) -> Inventory:
    def write(name: str, content: Sequence[Row]) -> Path:
        header = list(dict.fromkeys(k for row in content for k in row))
        body = [",".join(row.get(k, "") for k in header) for row in content]
        path = folder / name
        path.write_text("\n".join([",".join(header), *body]) + "\n")
        return path

    return load_inventory(
        write("inventory.csv", table), elements_path=write("elements.csv", elements) if elements else None
    )


class Net:
    """`down` bool [n]: lines that do not answer. `slow_ms` float [n] is added to the round trip, `loss` per line."""

    def __init__(
        self,
        inventory: Inventory,
        interval_s: float = 10.0,
        seed: int = 1,
        loss: float = 0.0,
        answer: bool = True,
        references: int = 2,
        resolvers: Sequence[str] = (),
        settings: CorrelationSettings | None = None,
        slices: int = 5,
        sent: int = 1,
    ) -> None:
        self.inventory = inventory
        self.interval_s = interval_s
        self.rng = np.random.default_rng(seed)
        n = len(inventory)
        self.down = np.zeros(n, np.bool_)
        self.loss = np.full(n, loss)
        self.slow_ms = np.zeros(n)
        self.base_ms = self.rng.uniform(4, 30, n)
        self.blind = False
        self.answer = answer
        self.references = tuple(Reference(f"ref{i}", f"192.0.2.{i + 1}") for i in range(references))
        self.dead_nodes: set[str] = set()
        self.engine = Engine(inventory, settings, self.references, tuple(resolvers))
        self.now = START
        self.slices = slices
        self.sent = sent
        self.changes: list[Change] = []
        self.asked: list[ProbeRequest] = []
        self.order = self.rng.permutation(n).astype(np.int32)
        self.phase = 0
        self.blocks = False  # a slice is a block of neighbours in `order`, not every n-th
        self.events: list[Event] = []
        self.round_id = 0

    # --- the world ------------------------------------------------------------------------------------------------

    def under(self, path: str) -> slice:
        element = self.inventory.elements.index_of(path)
        assert element is not None, path
        return slice(int(self.inventory.elements.lo[element]), int(self.inventory.elements.hi[element]))

    def cut(self, path: str, share: float = 1.0) -> np.ndarray:
        span = np.arange(self.under(path).start, self.under(path).stop)
        if share < 1.0:
            span = np.sort(self.rng.choice(span, round(share * span.size), replace=False))
        self.down[span] = True
        return span

    def mend(self, path: str) -> None:
        self.down[self.under(path)] = False

    def say(self, kind: str, subject: str, value: str = "", by: str = "", event_id: str = "") -> None:
        self.events.append(Event(self.now, subject, kind, value, by=by, event_id=event_id))  # type: ignore[arg-type]

    # --- time -----------------------------------------------------------------------------------------------------

    def probe(self, target: np.ndarray, count: int, request_id: int = 0, source: str = "default") -> ProbeRound:
        dead = self.down[target] | self.blind
        received = np.where(dead, 0, self.rng.binomial(count, 1 - self.loss[target])).astype(np.uint16)
        rtt = self.base_ms[target] * self.rng.normal(1, 0.02, target.size) + self.slow_ms[target]
        return ProbeRound(
            source=source,
            generation=self.inventory.generation,
            target=target.astype(np.int32),
            at_ns=np.full(target.size, self.now, np.int64),
            sent=np.full(target.size, count, np.uint16),
            received=received,
            rtt_ms=np.where(received > 0, rtt, np.nan).astype(np.float32),
            request_id=request_id,
            round_id=self.round_id,
        )

    def reference_round(self) -> ProbeRound:
        count = len(self.references)
        got = np.full(count, 0 if self.blind else 2, np.uint16)
        return ProbeRound(
            "default",
            self.inventory.generation,
            np.arange(count, dtype=np.int32),
            np.full(count, self.now, np.int64),
            np.full(count, 2, np.uint16),
            got,
            np.where(got > 0, 5.0, np.nan).astype(np.float32),
            kind=TargetKind.REFERENCE,
        )

    def step(self, rounds: Sequence[ProbeRound] = ()) -> None:
        events, self.events = self.events, []
        result = self.engine.step(self.now, list(rounds), events)
        self.changes += result.changes
        if self.answer:
            self.asked += result.requests

    def tick(self) -> None:
        """One slice of a round; a second later the requested probes are answered."""
        part = self.order[self.phase :: self.slices]
        if self.blocks:
            part = np.array_split(self.order, self.slices)[self.phase]
        rounds = [self.probe(part, self.sent)]
        if self.phase == 0:
            self.round_id += 1
            if self.references:
                rounds.append(self.reference_round())
        self.phase = (self.phase + 1) % self.slices
        self.step(rounds)
        rest = self.interval_s / self.slices
        if self.asked:
            self.now += NS
            rest -= 1
            asked, self.asked = self.asked, []
            answers = []
            for request in asked:
                if request.kind is TargetKind.LINE:
                    answers.append(self.probe(request.target, request.count, request.request_id))
                elif request.kind is TargetKind.REFERENCE:
                    answers.append(self.reference_round())
            self.step(answers)
        self.now += int(max(rest, 0.1) * NS)

    def run(self, seconds: float) -> "Net":
        end = self.now + int(seconds * NS)
        while self.now < end:
            self.tick()
        return self

    # --- what came out --------------------------------------------------------------------------------------------

    def living(self, kind: str = "outage", status: Sequence[str] = ("open", "recovering")) -> list[Incident]:
        return [i for i in self.engine.view().incidents if i.kind == kind and i.status in status]

    def ever(self, kind: str = "outage") -> dict[str, Incident]:
        """Newest revision of every incident that was open at some time."""
        opened = {c.incident.incident_id for c in self.changes if c.incident and c.what in ("opened", "split")}
        found = {}
        for change in self.changes:
            if change.incident is not None and change.incident.incident_id in opened:
                found[change.incident.incident_id] = change.incident
        return {k: i for k, i in found.items() if i.kind == kind}

    def scopes(self, kind: str = "outage") -> list[str]:
        return sorted(i.scope.name for i in self.living(kind))

    def states(self) -> dict[LineState, int]:
        values, counts = np.unique(self.engine.view().state, return_counts=True)
        return {LineState(int(v)): int(c) for v, c in zip(values, counts, strict=True)}
