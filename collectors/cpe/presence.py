"""Which USP routers are there: when each was last heard, and whose Periodic! is missing. Arrays by inventory row.

A USP agent has no last will: one that dies says nothing. Who is overdue is asked, and is offline when no answer comes.
Times are of the steady clock, in seconds.
"""

import numpy as np

from monitor.records.rounds import I32


class Presence:
    """For an inventory of `lines` rows. `silence_s`: who was not heard for so long is overdue."""

    def __init__(self, lines: int, silence_s: float) -> None:
        self._silence_s = silence_s
        self._heard_s = np.full(lines, np.nan)
        self._asked = np.zeros(lines, np.bool_)
        self.offline = np.zeros(lines, np.bool_)
        self.legacy = np.zeros(lines, np.bool_)  # speaks MQTT 3.1.1: the reply topic goes into the topic
        self.provisioned = np.zeros(lines, np.bool_)

    def heard(self, line: int, now_s: float) -> bool:
        """True when the router was offline until now."""
        self._heard_s[line] = now_s
        self._asked[line] = False
        was = bool(self.offline[line])
        self.offline[line] = False
        return was

    def knows(self, line: int) -> bool:
        return not np.isnan(self._heard_s[line])

    def silent_s(self, line: int, now_s: float) -> float:
        return now_s - float(self._heard_s[line])

    def gone(self, line: int) -> bool:
        """The router is offline; True when that is new."""
        was = bool(self.offline[line])
        self.offline[line] = True
        return not was

    def excuse(self, now_s: float) -> None:
        """We were away ourselves: nobody's silence until now counts."""
        known = ~np.isnan(self._heard_s)
        self._heard_s[known] = now_s
        self._asked[:] = False

    def overdue(self, now_s: float, most: int) -> I32:
        """Rows of at most `most` routers that should have been heard and were not asked yet; they count as asked."""
        rows = np.flatnonzero((now_s - self._heard_s > self._silence_s) & ~self._asked & ~self.offline)
        first: I32 = rows[np.argsort(self._heard_s[rows], kind="stable")][:most].astype(np.int32)
        self._asked[first] = True
        return first

    def ask_again(self, line: int) -> None:
        self._asked[line] = False

    def moved(self, rows: I32, newer: "Presence") -> None:
        """Carry over to a new inventory; `rows` is where each line went, -1 for nowhere."""
        kept = rows >= 0
        for name in ("_heard_s", "offline", "legacy", "provisioned"):
            getattr(newer, name)[rows[kept]] = getattr(self, name)[kept]
