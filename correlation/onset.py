"""When did a slow failure begin? Where the rate of falls changes: before it, lines fell by themselves.

A dead DHCP server takes its lines one lease at a time; within the hour looked at, other lines of its had been switched
off for the night. The change is placed where two constant rates tell the times of the falls best (the maximum of the
Poisson likelihood over all places of the change).
"""

import numpy as np

from correlation.evidence import NS, Cause
from monitor.records.rounds import I64

LEAST_S = 30.0
LEAST_SHARE = 0.2  # of the falls come after the change
PAYS = 3.0  # nats that a change must bring


def change_ns(at_ns: I64, began_ns: int, now_ns: int) -> int:
    """The time of the first fall of the new rate; 0 where one rate tells it as well. `at_ns` ascending."""
    count = at_ns.size
    before = np.arange(count, dtype=np.float64)
    after = count - before
    until = np.maximum((at_ns - began_ns) / NS, LEAST_S)
    since = np.maximum((now_ns - at_ns) / NS, LEAST_S)
    slow, fast = before / until, after / since
    told = after * np.log(fast) + before * np.log(np.maximum(slow, 1e-12))
    told[(fast <= slow) | (after < LEAST_SHARE * count)] = -np.inf
    best = int(np.argmax(told))
    one = count * np.log(count / max((now_ns - began_ns) / NS, LEAST_S))
    return int(at_ns[best]) if told[best] > one + PAYS else 0


def since_change(cause: Cause, at_ns: I64, began_ns: int, now_ns: int) -> None:
    """Leave to chance what fell before the rate changed. `at_ns` like `cause.lines`."""
    order = np.sort(at_ns)
    change = change_ns(order, began_ns, now_ns) if order.size > 2 else 0
    if not change:
        return
    cause.lines = cause.lines[at_ns >= change]
    cause.start_ns, cause.spread_s = change, float(order[-1] - change) / NS
