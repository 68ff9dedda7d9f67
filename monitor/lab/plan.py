"""The timeline of a demonstration: which fault begins and ends when, scaled to the time there is.

Time 0 is when the daemon runs. First nothing happens, so that it learns what is normal; then faults come one after the
other and partly at once; the blind prober comes last, when all else is healed but the slow and the unstable line, which
need long to be seen.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple

from monitor.clock import NS, Clock, SystemClock
from monitor.lab.faults import Fault

WARM_UP_S = 40.0
MIN_MINUTES = 3.0
# Seconds after the warm-up at the shortest length: (begin, end).
SHORTEST_S = MIN_MINUTES * 60 - WARM_UP_S
TIMES_S: dict[str, tuple[float, float]] = {
    "splitter": (0, 45),
    "slow": (4, 138),
    "unstable": (6, 138),
    "olt": (15, 60),
    "resolver": (22, 62),
    "power": (38, 84),
    "dead": (42, 88),
    "blind": (100, 131),
}


class Step(NamedTuple):
    """`at_s`: seconds after the daemon runs."""

    at_s: float
    action: Literal["inject", "heal"]
    fault: Fault


class DemoPlan:
    """`steps` in order of time; `length_s`: when to stop. Raises ValueError below MIN_MINUTES."""

    def __init__(self, faults: Mapping[str, Fault], minutes: float = 5.0) -> None:
        if not minutes >= MIN_MINUTES:
            raise ValueError(f"a demonstration needs at least {MIN_MINUTES:g} minutes, not {minutes:g}")
        self.length_s = minutes * 60
        scale = (self.length_s - WARM_UP_S) / SHORTEST_S
        steps: list[Step] = []
        for key, (begin, end) in TIMES_S.items():
            steps.append(Step(WARM_UP_S + begin * scale, "inject", faults[key]))
            steps.append(Step(WARM_UP_S + end * scale, "heal", faults[key]))
        self.steps = tuple(sorted(steps, key=lambda step: step.at_s))
        self.faults = tuple(faults[key] for key in TIMES_S)

    async def run(
        self,
        on_step: Callable[[Step], Awaitable[None] | None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Do it all, then wait for the end. `on_step` is called after each step. Raises LabError as the faults do."""
        clock = clock or SystemClock()
        begun = clock.now_ns()

        async def until(at_s: float) -> None:
            end_ns = begun + round(at_s * NS)
            while (left_ns := end_ns - clock.now_ns()) > 0:
                await clock.sleep(left_ns / NS)

        for step in self.steps:
            await until(step.at_s)
            await asyncio.to_thread(step.fault.inject if step.action == "inject" else step.fault.heal)
            if on_step is not None:
                told = on_step(step)
                if inspect.isawaitable(told):
                    await told
        await until(self.length_s)
