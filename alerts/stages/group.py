"""A storm becomes one summary: beyond some new incidents a minute nobody reads messages of their own.

Takes out first messages, which join the receiver's storm, and whatever is new about incidents that are part of one.
The worst (`apart`) keep messages of their own. A storm also begins when more wait than the receiver can be told within
a few seconds: the last of them would come too late.
"""

from collections.abc import Sequence

from alerts.settings import SEVERITY_ORDER, StormSettings
from alerts.stages.base import Item, Join, Judged, Moment
from monitor.clock import NS, rfc3339


class Group:
    name = "group"

    def __init__(self, settings: StormSettings) -> None:
        self._settings = settings
        self._apart = SEVERITY_ORDER[: SEVERITY_ORDER.index(settings.apart) + 1]

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        own: list[Item] = []
        firsts: list[Item] = []
        joined: list[Join] = []
        for item in items:
            apart = item.incident.severity in self._apart and not item.is_over
            if item.told.group and not item.told.handle and not apart:
                joined.append(Join(item, self.name, item.told.group, "part of a storm's summary"))
            elif item.is_first and not apart and self._settings.enabled and moment.summaries:
                firsts.append(item)
            else:
                own.append(item)
        storm, why = moment.storm, "a storm is under way"
        if firsts and not storm:
            why = self._why(len(firsts), moment)
            storm = f"storm-{moment.receiver}-{rfc3339(moment.now_ns)}" if why else ""
        if not storm:
            return Judged(own + firsts, [], joined)
        joined += [Join(item, self.name, storm, why) for item in firsts]
        return Judged(own, [], joined)

    def _why(self, waiting: int, moment: Moment) -> str:
        since_ns = moment.now_ns - int(self._settings.window_s * NS)
        recent = sum(since_ns <= at_ns <= moment.now_ns for at_ns in moment.firsts_ns)
        if recent + waiting > self._settings.messages:
            return f"{recent + waiting} new incidents within {self._settings.window_s:g} s"
        if waiting > moment.carries:
            return f"{waiting} new incidents at once, {moment.carries} can be told in time"
        return ""
