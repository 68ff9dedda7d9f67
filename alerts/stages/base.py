"""What a stage is, and what runs through it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from alerts.message import Message, Writer
from alerts.surroundings import NOTHING, Surroundings
from alerts.told import Told, read_told
from monitor.records import Incident, IncidentStatus
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
        """Nobody was told of it, neither by a message of its own nor by a summary."""
        return not self.told.handle and not self.told.group

    @property
    def is_over(self) -> bool:
        return self.incident.status is IncidentStatus.RESOLVED


class Stop(msgspec.Struct, frozen=True):
    """`reason`: a stable name. `detail`: the figures that decided. `until_ns` None: not until a newer revision."""

    item: Item
    stage: str
    reason: str
    detail: str = ""
    until_ns: int | None = None


class Join(msgspec.Struct, frozen=True):
    """The incident is told as part of the summary `post_id`."""

    item: Item
    stage: str
    post_id: str
    detail: str = ""


class Moment(msgspec.Struct, frozen=True):
    """What a stage may know besides the items: the time, how this receiver tells, and what is around.

    `storm`: the summary that takes incidents in just now. `firsts_ns`: when the last first messages went out.
    `carries`: how many messages it takes within a few seconds. `spent_ns`: when those that count against
    `most_per_hour` went out. `summaries`: whether it wants storms as one message.
    """

    now_ns: int
    receiver: str
    update_s: float
    in_place: bool
    around: Surroundings = NOTHING
    storm: str = ""
    firsts_ns: tuple[int, ...] = ()
    spent_ns: tuple[int, ...] = ()
    carries: int = 1_000_000
    most_per_hour: int = 0
    summaries: bool = True


class Judged(msgspec.Struct, frozen=True):
    survivors: list[Item]
    stopped: list[Stop]
    joined: list[Join] = []


class Stage(Protocol):
    @property
    def name(self) -> str: ...

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged: ...


def item_of(delivery: Delivery, writer: Writer) -> Item:
    told = read_told(delivery.reference)
    return Item(delivery, told, writer.write(told, delivery.alert))


def run_stages(stages: Sequence[Stage], items: Sequence[Item], moment: Moment) -> Judged:
    """What survives every stage, and every stop and join in the order of the stages."""
    survivors, stopped, joined = list(items), [], []
    for stage in stages:
        judged = stage.judge(survivors, moment)
        survivors = judged.survivors
        stopped.extend(judged.stopped)
        joined.extend(judged.joined)
    return Judged(survivors, stopped, joined)
