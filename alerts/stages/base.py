"""What a stage is, and what runs through it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from alerts.message import Message, Writer
from alerts.told import Told, read_told
from monitor.records import Incident
from monitor.store.outbox import Delivery


class Item(msgspec.Struct, frozen=True):
    """One delivery with what the receiver was told before and what it would be told now."""

    delivery: Delivery
    told: Told
    message: Message

    @property
    def incident(self) -> Incident:
        return self.delivery.alert.incident

    @property
    def is_first(self) -> bool:
        return not self.told.handle


class Stop(msgspec.Struct, frozen=True):
    """`reason`: a stable name. `detail`: the figures that decided. `until_ns` None: not until a newer revision."""

    item: Item
    stage: str
    reason: str
    detail: str = ""
    until_ns: int | None = None


class Moment(msgspec.Struct, frozen=True):
    """What a stage may know besides the items: the time, and how this receiver tells."""

    now_ns: int
    receiver: str
    update_s: float
    in_place: bool


class Judged(msgspec.Struct, frozen=True):
    survivors: list[Item]
    stopped: list[Stop]


class Stage(Protocol):
    @property
    def name(self) -> str: ...

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged: ...


def item_of(delivery: Delivery, writer: Writer) -> Item:
    told = read_told(delivery.reference)
    return Item(delivery, told, writer.write(told, delivery.alert))


def run_stages(stages: Sequence[Stage], items: Sequence[Item], moment: Moment) -> Judged:
    """What survives every stage, and every stop in the order of the stages."""
    survivors, stopped = list(items), []
    for stage in stages:
        judged = stage.judge(survivors, moment)
        survivors = judged.survivors
        stopped.extend(judged.stopped)
    return Judged(survivors, stopped)
