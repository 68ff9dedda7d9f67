"""Nothing is said twice: neither a revision, nor a change that nobody would see.

The outbox gives each revision once; this stage holds across a restart in the middle, and drops revisions that look the
same (for a receiver that changes its message) or bring no news (for one that can only add).
"""

from collections.abc import Sequence

from alerts.stages.base import Item, Judged, Moment, Stop


class Dedup:
    name = "dedup"

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        survivors: list[Item] = []
        stopped: list[Stop] = []
        for item in items:
            told = item.told
            if item.is_first or item.message.news:
                survivors.append(item)
            elif told.revision >= item.delivery.revision:
                stopped.append(Stop(item, self.name, "already_told", f"revision {told.revision} was told"))
            elif not moment.in_place:
                stopped.append(Stop(item, self.name, "no_news", "nothing that matters has changed"))
            elif told.digest == item.message.digest:
                stopped.append(Stop(item, self.name, "looks_the_same", "nothing visible has changed"))
            else:
                survivors.append(item)
        return Judged(survivors, stopped)
