"""Somebody asked for quiet, until a time and by name.

Stops first messages and updates alike while a silence covers the incident. The end of something that was told passes:
a message that says "open" for ever is worse. When the silence ends, what still lasts is told.
"""

from collections.abc import Sequence

from alerts.stages.base import Item, Judged, Moment, Stop
from alerts.text import one_line
from monitor.clock import NS, rfc3339

LOOK_AGAIN_S = 15.0  # it may be ended early


class Silenced:
    name = "silence"

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        silences = [silence for silence in moment.around.silences if silence.active_at(moment.now_ns)]
        if not silences:
            return Judged(list(items), [])
        survivors: list[Item] = []
        stopped: list[Stop] = []
        for item in items:
            silence = next((s for s in silences if s.covers(item.incident)), None)
            if silence is None or (item.is_over and not item.is_first):
                survivors.append(item)
                continue
            why = one_line(f"{silence.silence_id} by {silence.by} until {rfc3339(silence.until_ns)}", 200)
            reason = one_line(silence.reason, 200)
            until_ns = min(silence.until_ns, moment.now_ns + int(LOOK_AGAIN_S * NS))
            detail = f"{why}: {reason}" if reason else why
            stopped.append(Stop(item, self.name, "silenced", detail, None if item.is_over else until_ns))
        return Judged(survivors, stopped)
