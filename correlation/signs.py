"""Single signs of lines from events: last wills, dying gasps, logins, boots, calls.

Kept per line that ever had one (not per line of the network), as `LineSigns` for the verdict and as counts for causes.
"""

from dataclasses import replace

import msgspec
import numpy as np

from correlation.view import LineSigns
from monitor.records import Event
from monitor.records.rounds import I32

NS = 1_000_000_000
DAY_NS = 86_400 * NS
KEPT_NS = 7 * DAY_NS
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
BOOTS = 100
CALLS = 10_000
NOTHING = LineSigns()


class Signs:
    """`by_line`: newest signs. `boots`: times of the boots of the last day. `calls`: (at_ns, line) of the last day."""

    def __init__(self) -> None:
        self.by_line: dict[int, LineSigns] = {}
        self.boots: dict[int, list[int]] = {}
        self.calls: list[tuple[int, int]] = []
        self._shown: dict[int, LineSigns] | None = None
        self._pruned_ns = 0

    def hear(self, line: int, event: Event) -> None:
        name = STAMPS.get(event.kind)
        if name is None:
            return
        sign = self.by_line.get(line, NOTHING)
        changed: dict[str, int | str] = {name: max(getattr(sign, name), event.at_ns)}
        if event.kind == "cpe_boot":
            boots = [*(b for b in self.boots.get(line, [])[1 - BOOTS :] if b > event.at_ns - DAY_NS), event.at_ns]
            self.boots[line] = boots
            changed["boots_24h"] = len(boots)
        elif event.kind == "login_rejected":
            changed["login_reason"] = event.value
        elif event.kind == "call":
            self.calls = [*self.calls[1 - CALLS :], (event.at_ns, line)]
        self.by_line[line] = replace(sign, **changed)  # type: ignore[arg-type]
        self._shown = None

    def count(self, lines: I32, name: str, since_ns: int) -> int:
        """How many of the lines had this sign since then."""
        if not self.by_line:
            return 0
        get = self.by_line.get
        return sum(1 for x in lines.tolist() if (s := get(x)) is not None and getattr(s, name) >= since_ns)

    def calls_of(self, lines: I32, since_ns: int) -> int:
        callers = np.unique(np.array([x for at, x in self.calls if at >= since_ns], np.int32))
        return int(np.isin(callers, lines, assume_unique=True).sum())

    def view(self) -> dict[int, LineSigns]:
        """The same object until something changes; nobody changes it."""
        if self._shown is None:
            self._shown = dict(self.by_line)
        return self._shown

    def prune(self, now_ns: int) -> None:
        """Forget what is too old; worth an hour's while."""
        if now_ns - self._pruned_ns < 3600 * NS:
            return
        self._pruned_ns = now_ns
        limit = now_ns - KEPT_NS
        old = [x for x, s in self.by_line.items() if all(getattr(s, n) < limit for n in STAMPS.values())]
        for line in old:
            del self.by_line[line]
        for line, boots in list(self.boots.items()):
            kept = [b for b in boots if b >= now_ns - DAY_NS]
            if len(kept) != len(boots):
                self.boots[line] = kept
                if line in self.by_line:
                    self.by_line[line] = replace(self.by_line[line], boots_24h=len(kept))
            if not kept:
                del self.boots[line]
        self.calls = [c for c in self.calls if c[0] >= now_ns - DAY_NS]
        self._shown = None

    def save(self) -> bytes:
        return msgspec.json.encode((self.by_line, self.boots, self.calls, self._pruned_ns))

    def load(self, data: bytes) -> None:
        kind = tuple[dict[int, LineSigns], dict[int, list[int]], list[tuple[int, int]], int]
        self.by_line, self.boots, self.calls, self._pruned_ns = msgspec.json.decode(data, type=kind)
        self._shown = None

    def remap(self, to: I32) -> None:
        self.by_line = {int(to[i]): s for i, s in self.by_line.items() if to[i] >= 0}
        self.boots = {int(to[i]): b for i, b in self.boots.items() if to[i] >= 0}
        self.calls = [(at, int(to[i])) for at, i in self.calls if to[i] >= 0]
        self._shown = None
