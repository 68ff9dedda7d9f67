"""How many requests a key or an account may send: a minute's worth at once, and then as they come back.

The generic cell rate algorithm (ITU-T I.371): one time per principal, when its allowance would be whole again; a
request moves it on by the interval that one request stands for.
"""

from collections import OrderedDict

from monitor.clock import NS

MINUTE_NS = 60 * NS
KEPT = 10_000


class Rate:
    """`per_minute` 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self._step_ns = MINUTE_NS // per_minute if per_minute else 0
        self._whole: OrderedDict[str, int] = OrderedDict()

    def wait_s(self, who: str, now_ns: int) -> float:
        """0 when the request is within the allowance, and counted; else how long until the next one is, in seconds."""
        if not self._step_ns:
            return 0.0
        whole_ns = max(self._whole.get(who, 0), now_ns) + self._step_ns
        if (over_ns := whole_ns - now_ns - MINUTE_NS) > 0:
            return over_ns / NS
        self._whole[who] = whole_ns
        self._whole.move_to_end(who)
        if len(self._whole) > KEPT:
            self._whole.popitem(last=False)
        return 0.0
