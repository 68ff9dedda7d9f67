"""What is known of one line and its neighbours at one moment: gathered once, then read by every rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np

from correlation.verdict.reach import covers
from correlation.view import EngineView, LineSigns
from monitor.inventory import Inventory, Observability
from monitor.records import Flag, FlagKind, Incident, IncidentKind, IncidentStatus, LineState

NS = 1_000_000_000
UNKNOWN, DOWN = int(LineState.UNKNOWN), int(LineState.DOWN)  # numpy compares plain numbers faster
STALE_INTERVALS = 3  # older than so many rounds is no evidence any more
NEWLY_DOWN_S = 1800.0  # neighbours that fell within this time may have fallen together
ENOUGH_SIBLINGS = 3  # below that "only here" cannot be said
CALLS_WINDOW_S = 900.0
GASP_SLACK_NS = 5 * NS  # clocks of router and prober differ a little
SIGNS_AT_MOST = 1024  # lines whose single signs are read: bounds the time of one verdict
LOGIN_MEMORY_S = 7200.0  # a router repeats its login at least that often


T = TypeVar("T")


class once(Generic[T]):  # noqa: N801  # a decorator
    """A property that is computed at its first use; without the lock that functools takes for it."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "once[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "T | once[T]":
        if instance is None:
            return self
        made: T = self._compute(instance)
        instance.__dict__[self._name] = made
        return made


@dataclass(frozen=True, slots=True)
class AtHome:
    """`wired_works`: a device on a cable works (True), does not (False), or nobody has tried (None). `wifi_rssi_dbm`:
    the newest value that the router told, at `wifi_ns` (UTC)."""

    wired_works: bool | None = None
    wifi_rssi_dbm: float | None = None
    wifi_ns: int = 0


NOT_ASKED = AtHome()


@dataclass(frozen=True, slots=True)
class Siblings:
    """The observable lines under `element` without the line itself: with a known state and a fresh probe."""

    element: str
    observable: int = 0
    up: int = 0
    newly_down: int = 0
    gasps: int = 0  # with a dying gasp and nothing since
    calls: int = 0  # who called lately

    @property
    def forming(self) -> bool:
        """Enough of them fell together to suspect a common cause (the line itself counts as one more)."""
        return self.newly_down >= 2 and (self.newly_down + 1) * 4 >= self.observable + 1

    @property
    def mostly_up(self) -> bool:
        """Some are always off; but with more than half of them down, the line is not the only one."""
        return self.up * 2 >= self.observable


class LineFacts:
    """Everything the rules ask about row `line`, at `now_ns`. `near`: the finest element with enough observable
    siblings; `wide`: the finest one where enough of them are up (both None when there is none)."""

    def __init__(
        self,
        view: EngineView,
        inventory: Inventory,
        line: int,
        now_ns: int,
        observability: int,
        at_home: AtHome = NOT_ASKED,
    ) -> None:
        self.at_home = at_home
        self.view = view
        self.inventory = inventory
        self.line = line
        self.now_ns = now_ns
        self.observability = Observability(observability)
        self.line_id = inventory.line_id(line)
        self.path = inventory.elements.paths[int(inventory.leaf[line])]
        self.status = inventory.texts["status"][line]
        self.state = LineState(int(view.state[line]))
        self.since_ns = int(view.since_ns[line]) or None
        self.probed_ns = int(view.probed_ns[line])
        self.replied_ns = int(view.replied_ns[line])
        self.signs = view.signs.get(line, LineSigns())
        self.flags: tuple[Flag, ...] = view.flags.get(self.line_id, ())
        self.limit_ns = now_ns - int(STALE_INTERVALS * max(view.round_interval_s, 1.0) * NS)
        self.incidents = self._incidents()
        self.near, self.wide = self._siblings()

    # -- this line -------------------------------------------------------------------------------------------------

    @once
    def measurable(self) -> bool:
        """It has an address of its own that may be probed, and it has answered at some time."""
        return self.observability is Observability.OBSERVABLE and not self.never_answered

    @once
    def never_answered(self) -> bool:
        """It is probed, but has not answered once: it filters the probes, or is not in use. Unknown, never down."""
        return self.state is LineState.UNKNOWN and self.replied_ns == 0 and self.probed_ns > 0

    @once
    def fresh(self) -> bool:
        """The newest probe of this line is not too old."""
        return self.probed_ns >= self.limit_ns and self.probed_ns > 0

    @once
    def blind_since_ns(self) -> int | None:
        """When a source went blind from which this line has not been seen since; None when it can be seen.

        The view does not say which source probes which line, so only a reply after the begin clears the doubt."""
        doubts = [since for since in self.view.blind.values() if self.replied_ns <= since]
        return min(doubts) if doubts else None

    @once
    def stale(self) -> bool:
        """No statement is possible: the newest probe is too old, or its source cannot see. A line that is not probed
        at all is judged by the newest probe of any line."""
        if self.blind_since_ns is not None:
            return True
        if self.observability is Observability.OBSERVABLE:
            return not self.fresh
        return self.newest_probe_ns < self.limit_ns

    @once
    def newest_probe_ns(self) -> int:
        """Of this line, or of any line when this one is not probed."""
        if self.observability is Observability.OBSERVABLE:
            return self.probed_ns
        return int(self.view.probed_ns.max(initial=0))

    @once
    def answers(self) -> bool:
        """Fresh evidence that the line answers."""
        return (
            self.observability is Observability.OBSERVABLE
            and not self.stale
            and self.replied_ns >= self.limit_ns
            and self.replied_ns > 0
            and self.state is not LineState.DOWN
            and not self.los_active
        )

    @once
    def down(self) -> bool:
        """The engine holds it for down, its equipment reports no light, or it is probed and has been silent for longer
        than a few rounds."""
        silent = self.measurable and self.fresh and self.replied_ns < self.limit_ns
        return self.state is LineState.DOWN or self.los_active or silent

    @property
    def out(self) -> bool:
        """Down, or not to be seen: what an outage above it may have done."""
        return not self.answers

    @once
    def los_active(self) -> bool:
        return self.signs.los_ns > max(self.signs.los_cleared_ns, self.replied_ns)

    @once
    def gasped(self) -> bool:
        """Its last word was a dying gasp."""
        signs = self.signs
        last = max(self.replied_ns, signs.cpe_online_ns, signs.cpe_boot_ns, signs.login_accepted_ns)
        return signs.dying_gasp_ns > 0 and signs.dying_gasp_ns + GASP_SLACK_NS >= last and not self.answers

    @once
    def login_refused_ns(self) -> int:
        """When the newest login was refused or not answered; 0 when it was accepted, long ago, or the line works."""
        refused = max(self.signs.login_rejected_ns, self.signs.login_timeout_ns)
        if refused <= self.signs.login_accepted_ns or self.age_s(refused) > LOGIN_MEMORY_S or self.answers:
            return 0
        return refused

    @property
    def only_here(self) -> bool:
        """Enough neighbours are up to say that a fault is this line's own."""
        return self.wide is not None and self.near is not None and self.near.mostly_up

    def age_s(self, at_ns: int) -> float:
        return max(0, self.now_ns - at_ns) / NS

    def flag(self, *kinds: FlagKind) -> Flag | None:
        return next((flag for flag in self.flags if flag.kind in kinds and flag.ended_ns is None), None)

    def segment_flag(self) -> Flag | None:
        """A slow segment above the line, finest first."""
        for element in self.inventory.elements.ancestors(int(self.inventory.leaf[self.line])):
            for flag in self.view.flags.get(f"element:{self.inventory.elements.paths[element]}", ()):
                if flag.kind is FlagKind.SEGMENT_SLOW and flag.ended_ns is None:
                    return flag
        return None

    # -- incidents -------------------------------------------------------------------------------------------------

    def _incidents(self) -> list[tuple[Incident, bool]]:
        """Incidents that hold this line (True) or whose scope covers it (False), held ones first."""
        held = self.view.incident_of(self.line)
        found = [(held, True)] if held else []
        found += [
            (i, False) for i in self.view.incidents if i is not held and covers(self.inventory, i.scope, self.line)
        ]
        return found

    def incident(self, kind: IncidentKind, *statuses: IncidentStatus) -> tuple[Incident, bool] | None:
        """The first of this kind and status, and whether it holds the line; `causes` narrow it further."""
        return next(((i, h) for i, h in self.incidents if i.kind is kind and i.status in statuses), None)

    # -- neighbours ------------------------------------------------------------------------------------------------

    def _siblings(self) -> tuple[Siblings | None, Siblings | None]:
        near: Siblings | None = None
        for element in self.inventory.elements.ancestors(int(self.inventory.leaf[self.line])):
            found = self._under(element, with_signs=near is None)
            if found.observable < ENOUGH_SIBLINGS:
                continue
            near = near or found
            if found.up >= ENOUGH_SIBLINGS:
                return near, found
        return near, None

    def _under(self, element: int, with_signs: bool) -> Siblings:
        elements, view = self.inventory.elements, self.view
        low, high = int(elements.lo[element]), int(elements.hi[element])
        state = view.state[low:high]
        known = view.probed_ns[low:high] >= self.limit_ns
        known &= state != UNKNOWN
        known[self.line - low] = False
        observable = int(np.count_nonzero(known))
        if observable < ENOUGH_SIBLINGS:
            return Siblings(elements.paths[element], observable)
        known &= state == DOWN
        down, newly = int(np.count_nonzero(known)), 0
        if down:
            newly = int(np.count_nonzero(view.since_ns[low:high][known] >= self.now_ns - int(NEWLY_DOWN_S * NS)))
        gasps, calls = self._signs(low, min(high, low + SIGNS_AT_MOST)) if with_signs else (0, 0)
        return Siblings(
            elements.paths[element],
            observable,
            observable - down,
            newly,
            gasps,
            calls,
        )

    def _signs(self, low: int, high: int) -> tuple[int, int]:
        """How many other lines of low:high gasped and were not seen since, and for how many somebody called lately."""
        gasps = calls = 0
        gasp_ns, call_ns = self.now_ns - int(NEWLY_DOWN_S * NS), self.now_ns - int(CALLS_WINDOW_S * NS)
        get = self.view.signs.get
        for row in range(low, high):
            signs = get(row)
            if signs is None or row == self.line:
                continue
            if signs.dying_gasp_ns >= gasp_ns:
                seen = max(int(self.view.replied_ns[row]), signs.cpe_online_ns, signs.cpe_boot_ns)
                gasps += signs.dying_gasp_ns > seen
            calls += signs.call_ns >= call_ns
        return gasps, calls
