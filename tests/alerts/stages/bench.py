"""Judging items by one stage at a time that the test sets, and the whole chain in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from alerts.chain import AlertChain, build_chain, build_writer
from alerts.settings import AlertSettings
from alerts.stages import Item, Judged, Moment, Stage, item_of
from alerts.surroundings import NOTHING, Surroundings
from alerts.told import Told
from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import Alert, Incident
from monitor.store.outbox import Delivery
from tests.alerts.samples import START_NS, ZONE, Desk, Keeper, settle


def item(incident: Incident, told: Told | None = None, what: str = "opened", receiver: str = "slack") -> Item:
    """What a stage would be given of `incident` for a receiver that was told `told`."""
    delivery = Delivery(
        receiver=receiver,
        incident_id=incident.incident_id,
        revision=incident.revision,
        alert=Alert(f"{incident.incident_id}#{incident.revision}", incident.updated_ns, what, incident),
        whats=(what,),
        reference=told.encode() if told else "",
    )
    return item_of(delivery, build_writer(AlertSettings(), ZONE))


def at(seconds: float = 0.0, around: Surroundings = NOTHING, receiver: str = "slack", **more: Any) -> Moment:
    """A moment so many seconds after START_NS."""
    values = {"update_s": 5.0, "in_place": True, **more}
    return Moment(START_NS + int(seconds * NS), receiver, around=around, **values)


def judge(stage: Stage, moment: Moment, *items: Item) -> Judged:
    return stage.judge(items, moment)


def reasons(judged: Judged) -> list[str]:
    return [stop.reason for stop in judged.stopped]


def told(**values: Any) -> Told:
    """Of an incident whose message is out."""
    basis = {"handle": {"id": "m"}, "revision": 1, "status": "open", "scope": "north/ex-12/olt-3", "lines": 500}
    return Told(**{**basis, **values})


def settings(**raw: Any) -> AlertSettings:
    return msgspec.convert(raw, AlertSettings)


@asynccontextmanager
async def chain(
    desk: Desk, metrics: Metrics, clock: ManualClock, keepers: Sequence[Keeper], given: AlertSettings
) -> AsyncIterator[AlertChain]:
    made = build_chain(given, desk.outbox, metrics, clock, ZONE, list(keepers))
    task = asyncio.create_task(made.run())
    try:
        await settle(made.workers)
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
