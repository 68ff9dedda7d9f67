"""Incidents for the tests, and a receiver that keeps what it is told."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alerts.message import Message
from alerts.receivers.base import Pacer
from monitor.clock import NS, Clock, ManualClock
from monitor.records import Change, Coded, Incident, IncidentKind, IncidentStatus, Scope, ScopeKind, Severity
from monitor.store.outbox import Outbox
from monitor.store.state import StateStore

START_NS = 1_700_000_000 * NS
ZONE = ZoneInfo("Europe/Berlin")


def incident(name: str = "inc-1", revision: int = 1, **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "incident_id": name,
        "kind": IncidentKind.OUTAGE,
        "status": IncidentStatus.OPEN,
        "severity": Severity.MAJOR,
        "scope": Scope(ScopeKind.ELEMENT, "north/ex-12/olt-3"),
        "cause": "element_down",
        "confidence": 0.97,
        "started_ns": START_NS - 60 * NS,
        "detected_ns": START_NS,
        "updated_ns": START_NS,
        "revision": revision,
        "lines_affected": 500,
        "lines_down": 480,
        "lines_at_risk": 512,
        "lines_observable": 498,
        "explanation": (
            Coded("element_down", {"down": 480, "observable": 498, "scope": "north/ex-12/olt-3", "spread_s": 20.0}),
        ),
    }
    return Incident(**{**values, **changes})


class Desk:
    """A store on disk with its outbox, and short ways to say what the engine decided."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.store = StateStore(folder / "state.sqlite", clock)
        self.outbox = Outbox(self.store)
        self.clock = clock
        self._seq = max(0, self.store.applied_seq)

    def say(self, what: str, *items: Incident) -> None:
        """One step of the engine."""
        self._seq += 1
        self.store.apply(self._seq, [Change(self.clock.now_ns(), what, incident=item) for item in items])

    def close(self) -> None:
        self.store.close()


class Keeper:
    """A receiver in memory. `errors`: raised by the next sends, in order; None lets one through."""

    def __init__(self, clock: Clock, name: str = "keeper", interval_s: float = 1.0, update_s: float = 5.0) -> None:
        self.name = name
        self.update_s = update_s
        self.in_place = True
        self.summaries = True
        self.most_per_hour = 0
        self.repeat_s = 0.0
        self.pacer = Pacer(clock, interval_s)
        self.told: list[tuple[int, Message, bool]] = []  # when, what, whether it was new
        self.errors: list[Exception | None] = []
        self.stuck: asyncio.Event | None = None
        self.checks = 0
        self.check_error: Exception | None = None
        self.busy = False
        self._clock = clock

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        await self.pacer.turn()
        if self.stuck is not None:
            self.busy = True
            await self.stuck.wait()
            self.busy = False
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.told.append((self._clock.now_ns(), message, not handle))
        return handle or {"id": f"{self.name}-{len(self.told)}"}

    async def check(self) -> None:
        self.checks += 1
        if self.check_error is not None:
            raise self.check_error

    async def close(self) -> None:
        return None

    def titles(self) -> list[str]:
        return [message.title for _, message, _ in self.told]


async def pass_time(clock: ManualClock, workers: Any, seconds: float, step_s: float = 0.5) -> None:
    """Let virtual time pass, each step only once all workers wait for time (or hang in a receiver on purpose)."""
    for _ in range(round(seconds / step_s)):
        await settle(workers)
        await clock.advance(step_s)
    await settle(workers)


async def until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Wait in real time for something that happens elsewhere."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 (nothing there sets an event for us)
            await asyncio.sleep(0.02)


async def settle(workers: Any) -> None:
    quiet = 0
    while quiet < 3:  # a worker that has just been woken needs the loop before it stops resting
        quiet = quiet + 1 if all(w.resting or _in_receiver(w) for w in workers) else 0
        await asyncio.sleep(0.001)


def _in_receiver(worker: Any) -> bool:
    receiver = worker._receiver
    return bool(getattr(receiver, "busy", False)) or receiver.pacer.waiting
