"""Single signs of lines from events: last wills, dying gasps, logins, boots, calls.

Kept per line that ever had one (not per line of the network), as `LineSigns` for the verdict and as counts for causes.
"""

from dataclasses import fields

import msgspec
import numpy as np

from correlation.view import LineSigns
from monitor.records import Event
from monitor.records.rounds import I32

NS = 1_000_000_000
DAY_NS = 86_400 * NS
FIELDS = tuple(f.name for f in fields(LineSigns))
STAMPS = {
    "cpe_online": "cpe_online_ns",
    "cpe_offline": "cpe_offline_ns",
    "cpe_boot": "cpe_boot_ns",
    "dying_gasp": "dying_gasp_ns",
    "los": "los_ns",
    "los_cleared": "los_cleared_ns",
    "login_accepted": "login_accepted_ns",
    "login_rejected": "login_rejected_ns",
    "login_timeout": "login_timeout_ns",
    "call": "call_ns",
}


class Sign(msgspec.Struct):
    """What `LineSigns` shows, while it grows. `boots`: times of the boots of the last day."""

    cpe_online_ns: int = 0
    cpe_offline_ns: int = 0
    cpe_boot_ns: int = 0
    boots_24h: int = 0
    dying_gasp_ns: int = 0
    los_ns: int = 0
    los_cleared_ns: int = 0
    login_accepted_ns: int = 0
    login_rejected_ns: int = 0
    login_reason: str = ""
    login_timeout_ns: int = 0
    call_ns: int = 0
    boots: list[int] = []

    def newest_ns(self) -> int:
        stamps: list[int] = [getattr(self, name) for name in STAMPS.values()]
        return max(stamps)


class Signs:
    def __init__(self) -> None:
        self.by_line: dict[int, Sign] = {}
        self.calls: list[tuple[int, int]] = []  # (at_ns, line), of the last hours

    def hear(self, line: int, event: Event) -> None:
        name = STAMPS.get(event.kind)
        if name is None:
            return
        sign = self.by_line.setdefault(line, Sign())
        setattr(sign, name, max(getattr(sign, name), event.at_ns))
        if event.kind == "cpe_boot":
            sign.boots = [*(b for b in sign.boots[-99:] if b > event.at_ns - DAY_NS), event.at_ns]
            sign.boots_24h = len(sign.boots)
        elif event.kind == "login_rejected":
            sign.login_reason = event.value
        elif event.kind == "call":
            self.calls = [*self.calls[-9999:], (event.at_ns, line)]

    def count(self, lines: I32, name: str, since_ns: int) -> int:
        """How many of the lines had this sign since then."""
        get = self.by_line.get
        return sum(1 for x in lines.tolist() if (s := get(x)) is not None and getattr(s, name) >= since_ns)

    def calls_of(self, lines: I32, since_ns: int) -> int:
        callers = np.unique(np.array([x for at, x in self.calls if at >= since_ns], np.int32))
        return int(np.isin(callers, lines, assume_unique=True).sum())

    def view(self) -> dict[int, LineSigns]:
        return {line: LineSigns(**{n: getattr(s, n) for n in FIELDS}) for line, s in self.by_line.items()}

    def prune(self, now_ns: int) -> None:
        limit = now_ns - 7 * DAY_NS
        for line in [x for x, s in self.by_line.items() if s.newest_ns() < limit]:
            del self.by_line[line]
        for sign in self.by_line.values():
            if sign.boots and sign.boots[0] < now_ns - DAY_NS:
                sign.boots = [b for b in sign.boots if b >= now_ns - DAY_NS]
                sign.boots_24h = len(sign.boots)
        self.calls = [c for c in self.calls if c[0] >= now_ns - DAY_NS]

    def save(self) -> bytes:
        return msgspec.json.encode([self.by_line, self.calls])

    def load(self, data: bytes) -> None:
        by_line, calls = msgspec.json.decode(data, type=tuple[dict[int, Sign], list[tuple[int, int]]])
        self.by_line, self.calls = by_line, calls

    def remap(self, to: I32) -> None:
        self.by_line = {int(to[i]): s for i, s in self.by_line.items() if to[i] >= 0}
        self.calls = [(at, int(to[i])) for at, i in self.calls if to[i] >= 0]
