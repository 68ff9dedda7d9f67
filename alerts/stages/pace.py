"""An incident that has been told is told again only after a while; what changes meanwhile is told together.

The first message never waits here.
"""

from collections.abc import Sequence

from alerts.stages.base import Item, Judged, Moment, Stop
from monitor.clock import NS


class Pace:
    name = "pace"

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        survivors: list[Item] = []
        stopped: list[Stop] = []
        for item in items:
            since_ns = item.told.at_ns
            until_ns = since_ns + int(moment.update_s * NS)
            # A time in the future means that the clock was set back: it must not silence anybody.
            if item.is_first or until_ns <= moment.now_ns or since_ns > moment.now_ns:
                survivors.append(item)
            else:
                detail = f"told {(moment.now_ns - since_ns) / NS:.0f} s ago, at most every {moment.update_s:g} s"
                stopped.append(Stop(item, self.name, "told_just_now", detail, until_ns))
        return Judged(survivors, stopped)
