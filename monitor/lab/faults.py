"""Faults of the virtual provider: each can be injected and healed, and knows the truth about itself.

`kind` and `scope` are those of truth files: outage, resolver, source; and for single lines (scope kind "line") slow,
unstable and down, which are flags or line states and never incidents. Faults touch disjoint lines, so that healing
one mends nothing of another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.clock import Clock, rfc3339
from monitor.lab.access import AccessNetwork
from monitor.lab.fleet import Fleet
from monitor.lab.isp import Isp
from monitor.lab.responder import Shape
from monitor.lab.servers import Unbound
from monitor.lab.targets import Targets

SLOW = Shape(delay_ms=80, jitter_ms=6)
UNSTABLE = Shape(loss_ratio=0.4, jitter_ms=15, burst=2)
GASP_RATIO = 0.4  # routers whose capacitors last for a dying gasp


@dataclass(eq=False)
class Fault:
    """`lines`: the line_ids it takes (none for resolver and prober). `inject` and `heal` block until done; doing either
    again changes nothing. Both raise LabError when the laboratory does not obey."""

    key: str
    title: str
    kind: str
    cause: str
    scope: dict[str, str]
    lines: tuple[str, ...]
    clock: Clock
    _inject: Callable[[], None] = field(repr=False)
    _heal: Callable[[], None] = field(repr=False)
    injected_ns: int | None = None
    healed_ns: int | None = None

    @property
    def active(self) -> bool:
        return self.injected_ns is not None and self.healed_ns is None

    def inject(self) -> None:
        if self.active:
            return
        begun = self.clock.now_ns()
        self._inject()
        self.injected_ns, self.healed_ns = begun, None

    def heal(self) -> None:
        if not self.active:
            return
        self._heal()
        self.healed_ns = self.clock.now_ns()

    def truth(self) -> dict[str, Any]:
        """One object of truth.jsonl; `started_at` is None before the injection."""
        return {
            "id": self.key,
            "kind": self.kind,
            "cause": self.cause,
            "scope": self.scope,
            "started_at": None if self.injected_ns is None else rfc3339(self.injected_ns),
            "ended_at": None if self.healed_ns is None else rfc3339(self.healed_ns),
            "lines": list(self.lines),
        }


class FaultMaker:
    """Makes the faults of the demonstration. `resolver` is the one that stops answering, named `resolver_name`."""

    def __init__(
        self,
        isp: Isp,
        targets: Targets,
        access: AccessNetwork,
        fleet: Fleet,
        resolver: tuple[str, Unbound],
        prober_name: str,
        clock: Clock,
    ) -> None:
        self._isp, self._targets = isp, targets
        self._access, self._fleet = access, fleet
        self._resolver_name, self._resolver = resolver
        self._prober_name = prober_name
        self._clock = clock

    def all(self) -> dict[str, Fault]:
        """By key: splitter, olt, power, resolver, slow, unstable, dead, blind."""
        isp, targets = self._isp, self._targets
        node = isp.nodes[targets.olt]
        area = targets.power
        faults = [
            self._cut(
                "splitter",
                "splitter cut",
                "element_down",
                {"kind": "element", "name": isp.leaf_paths[targets.splitter]},
                targets.splitter_lines,
            ),
            self._cut(
                "olt",
                "OLT down",
                "element_down",
                {"kind": "element", "name": node.path},
                targets.olt_lines,
                also=[node.address],
            ),
            self._power(
                {"kind": "area", "name": f"{area.lat:.4f},{area.lon:.4f},{area.radius_km:.2f}"},
                area.lines,
            ),
            self._resolver_silent(),
            self._shaped("slow", "slow line", "slow", targets.slow, SLOW),
            self._shaped("unstable", "unstable line", "unstable", targets.unstable, UNSTABLE),
            self._cut(
                "dead",
                "single dead line",
                "line_down",
                {"kind": "line", "name": isp.line_id(targets.dead)},
                np.array([targets.dead]),
                kind="down",
            ),
            self._blind(),
        ]
        return {fault.key: fault for fault in faults}

    def _fault(
        self,
        key: str,
        title: str,
        kind: str,
        cause: str,
        scope: dict[str, str],
        lines: Sequence[str],
        inject: Callable[[], None],
        heal: Callable[[], None],
    ) -> Fault:
        return Fault(key, title, kind, cause, scope, tuple(lines), self._clock, inject, heal)

    def _cut(
        self,
        key: str,
        title: str,
        cause: str,
        scope: dict[str, str],
        lines: np.ndarray,
        also: Sequence[str] = (),
        kind: str = "outage",
    ) -> Fault:
        """Lines without light: no answer, sessions lost, routers still powered."""
        addresses, serials = [*self._isp.addresses(lines), *also], self._isp.serials(lines)

        def inject() -> None:
            self._access.fail(addresses)
            self._fleet.cut(serials)

        def heal() -> None:
            self._access.mend(addresses)
            self._fleet.restore(serials)

        return self._fault(key, title, kind, cause, scope, self._isp.line_ids(lines), inject, heal)

    def _power(self, scope: dict[str, str], lines: np.ndarray) -> Fault:
        """No power in a quarter: routers are gone, some with a dying gasp, and boot afterwards."""
        addresses, serials = self._isp.addresses(lines), self._isp.serials(lines)

        def inject() -> None:
            self._access.fail(addresses)
            self._fleet.power_off(serials, GASP_RATIO)

        def heal() -> None:
            self._access.mend(addresses)
            self._fleet.restore(serials)

        ids = self._isp.line_ids(lines)
        return self._fault("power", "power cut in a quarter", "outage", "power_cut", scope, ids, inject, heal)

    def _resolver_silent(self) -> Fault:
        scope = {"kind": "group", "name": f"resolver:{self._resolver_name}"}
        title = f"resolver {self._resolver_name} silent"
        freeze, thaw = self._resolver.freeze, self._resolver.thaw
        return self._fault("resolver", title, "resolver", "resolver_down", scope, (), freeze, thaw)

    def _shaped(self, key: str, title: str, kind: str, line: int, shape: Shape) -> Fault:
        """One line that answers, but not well."""
        lines = np.array([line])
        addresses, serials = self._isp.addresses(lines), self._isp.serials(lines)
        errors = shape.loss_ratio > 0

        def inject() -> None:
            self._access.shape(addresses, shape)
            if errors:
                self._fleet.disturb(serials)

        def heal() -> None:
            self._access.unshape(addresses)
            if errors:
                self._fleet.disturb(serials, on=False)

        line_id = self._isp.line_id(line)
        scope = {"kind": "line", "name": line_id}
        return self._fault(key, title, kind, f"line_{kind}", scope, [line_id], inject, heal)

    def _blind(self) -> Fault:
        scope = {"kind": "source", "name": self._prober_name}
        blind, see = self._access.blind, self._access.see
        return self._fault("blind", "blind prober", "source", "source_blind", scope, (), blind, see)
