"""Live checks and the look-ups that wait for them: asked for at most every few seconds per line, whoever asks."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from correlation.verdict import NOT_ASKED, AtHome
from monitor.api.services import Services
from monitor.clock import NS
from monitor.inventory import Observability
from monitor.inventory.inventory import MatchedBy

SIBLINGS = 8
KEEP = 10_000
LOOKUP_S = 300.0


@dataclass(frozen=True, slots=True)
class Lookup:
    """A look-up that can be followed. `asked_ns` 0: the line was not asked."""

    lookup_id: str
    line_id: str
    who: str
    matched_by: MatchedBy | None
    open_data: bool
    at_ns: int
    asked_ns: int
    at_home: AtHome = NOT_ASKED


class LiveChecks:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked: OrderedDict[str, int] = OrderedDict()
        self._lookups: OrderedDict[str, Lookup] = OrderedDict()

    def ask(self, row: int) -> tuple[int, int]:
        """Probe the line and some neighbours now. Returns when it was asked last (ns UTC; 0: it cannot be) and how
        many lines were asked by this call: none when somebody asked a moment ago."""
        services = self._services
        inventory, bindings = services.inventory(), services.bindings()
        now_ns = services.clock.now_ns()
        if bindings.inventory.generation != inventory.generation:
            return 0, 0
        if bindings.reason_of(row) is not Observability.OBSERVABLE:
            return 0, 0
        line_id = inventory.line_id(row)
        last = self._asked.get(line_id, 0)
        if now_ns - last < services.settings.probe_every_s * NS:
            return last, 0
        leaf = int(inventory.leaf[row])
        low, high = int(inventory.elements.lo[leaf]), int(inventory.elements.hi[leaf])
        step = max(1, (high - low) // SIBLINGS)
        others = [r for r in range(low, high, step) if r != row and not bindings.reason_of(r)][:SIBLINGS]
        services.request_probe([row, *others])
        self._asked[line_id] = now_ns
        self._asked.move_to_end(line_id)
        while len(self._asked) > KEEP:
            self._asked.popitem(last=False)
        return now_ns, 1 + len(others)

    def retry_s(self, row: int) -> float:
        """How long until this line may be asked again."""
        last = self._asked.get(self._services.inventory().line_id(row), 0)
        passed = (self._services.clock.now_ns() - last) / NS
        return max(0.0, self._services.settings.probe_every_s - passed)

    def remember(
        self,
        line_id: str,
        who: str,
        matched_by: MatchedBy | None,
        open_data: bool,
        asked_ns: int,
        at_home: AtHome = NOT_ASKED,
    ) -> Lookup:
        lookup_id, now_ns = secrets.token_urlsafe(12), self._services.clock.now_ns()
        made = Lookup(lookup_id, line_id, who, matched_by, open_data, now_ns, asked_ns, at_home)
        self._lookups[made.lookup_id] = made
        while len(self._lookups) > KEEP:
            self._lookups.popitem(last=False)
        return made

    def find(self, lookup_id: str) -> Lookup | None:
        found = self._lookups.get(lookup_id)
        if found is None or self._services.clock.now_ns() - found.at_ns > LOOKUP_S * NS:
            return None
        return found
