"""What is remembered of each router: its last uptime (to see a boot) and how much it has said in this window.

Arrays by inventory row, so that a million routers cost 30 MB and no objects; texts (states, firmware) are numbered.
A new inventory starts afresh: a boot that happened across a reload is then told by the router's own boot message alone.
"""

import numpy as np

from monitor.clock import NS

# A boot shown by an uptime began after the last report, give or take the clocks.
SLACK_NS = 10 * NS
STATE_NAMES = ("los", "login", "firmware", "model")
MAX_TEXTS = 100_000


class Routers:
    """For an inventory of `lines` rows; at most `max_messages` of a router count per window."""

    def __init__(self, lines: int, max_messages: int) -> None:
        self._max = max_messages
        self._said = np.zeros(lines, np.uint16)
        self._uptime_s = np.full(lines, np.nan, np.float32)
        self._reported_ns = np.zeros(lines, np.int64)
        self._states = {name: np.zeros(lines, np.int32) for name in STATE_NAMES}
        self._texts = [""]
        self._numbers = {"": 0}

    def changed(self, name: str, line: int, value: str) -> str:
        """Remember how things stand with a router; returns what was known before, "" for nothing."""
        column = self._states[name]
        number = self._numbers.get(value)
        if number is None:
            if len(self._texts) >= MAX_TEXTS:  # somebody counts in a version: better known as one than not at all
                value = "other"
            number = self._numbers.setdefault(value, len(self._texts))
            if number == len(self._texts):
                self._texts.append(value)
        before: str = self._texts[column[line]]
        column[line] = number
        return before

    def known(self, name: str, line: int) -> str:
        text: str = self._texts[self._states[name][line]]
        return text

    def allow(self, line: int) -> bool:
        """Count one message of a router; False when it has said too much in this window."""
        if self._said[line] >= self._max:
            return False
        self._said[line] += 1
        return True

    def new_window(self) -> None:
        self._said.fill(0)

    def booted(self, line: int, uptime_s: float, at_ns: int) -> bool:
        """Take a reported uptime; True when the router has booted since its last report.

        A report that comes late (delivered again) has a smaller uptime too, but one that began long before the last
        report; only an uptime that began after it is a boot.
        """
        last_s, last_ns = float(self._uptime_s[line]), int(self._reported_ns[line])
        booted = uptime_s < last_s and at_ns - int(uptime_s * NS) > last_ns - SLACK_NS
        if booted or not uptime_s < last_s:  # a NaN, too, is replaced
            self._uptime_s[line] = uptime_s
            self._reported_ns[line] = at_ns
        return booted

    def said_boot(self, line: int, at_ns: int) -> None:
        """The router has told of its boot itself: its next uptime is not another one."""
        self._uptime_s[line] = 0.0
        self._reported_ns[line] = at_ns
