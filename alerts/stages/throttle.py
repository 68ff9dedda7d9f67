"""No receiver gets more than it can bear: a limit of new messages an hour, and a flapping incident is quietened.

What is over the limit waits and is told in its latest state; the worst incidents are not held up. An incident that was
told to have opened again `FLAPS` times within `FLAPS_S` is flapping: its message is still changed in place, where that
is possible, but nobody is called again until it has been calm.
"""

from collections.abc import Sequence

import msgspec

from alerts.stages.base import Item, Judged, Moment, Stop
from monitor.clock import NS
from monitor.records import Severity

FLAPS = 3
FLAPS_S = 1800.0
HOUR_NS = 3600 * NS


class Throttle:
    name = "throttle"

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        survivors: list[Item] = []
        stopped: list[Stop] = []
        now_ns = moment.now_ns
        spent = sorted(at_ns for at_ns in moment.spent_ns if now_ns - HOUR_NS < at_ns <= now_ns)
        full = bool(moment.most_per_hour) and len(spent) >= moment.most_per_hour
        for item in items:
            flaps = [at_ns for at_ns in item.told.reopened_ns if now_ns - FLAPS_S * NS < at_ns <= now_ns]
            if item.told.handle and item.message.news and len(flaps) >= FLAPS:
                if moment.in_place:
                    survivors.append(_quiet(item))
                    continue
                detail = f"opened again {len(flaps)} times within {FLAPS_S / 60:.0f} min"
                stopped.append(Stop(item, self.name, "flapping", detail, flaps[-FLAPS] + int(FLAPS_S * NS)))
            elif full and _counts(item, moment) and not (item.is_first and item.incident.severity is Severity.CRITICAL):
                detail = f"{len(spent)} messages within an hour, at most {moment.most_per_hour}"
                stopped.append(Stop(item, self.name, "hourly_limit", detail, spent[0] + HOUR_NS))
            else:
                survivors.append(item)
        return Judged(survivors, stopped)


def _counts(item: Item, moment: Moment) -> bool:
    return not item.told.handle or not moment.in_place


def _quiet(item: Item) -> Item:
    return msgspec.structs.replace(item, message=msgspec.structs.replace(item.message, news=()))
