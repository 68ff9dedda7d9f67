"""The engine: rounds and events in, incidents, flags and requests for probes out. Pure; time is an argument.

`step` does, in this order: evidence into beliefs, guards, falls (planned work, known outages, new causes), the life of
incidents, slow and unstable lines, confirmation requests. One thread; what others may read is `view()`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from correlation import saved
from correlation.background import Background
from correlation.belief import Moves, settle
from correlation.broker import BrokerGuard
from correlation.casebook import CaseBook
from correlation.causes import CauseFinder
from correlation.evidence import Cause
from correlation.families import Families
from correlation.freshness import Freshness
from correlation.gates import Gates
from correlation.guards import BlindGuard, ResolverGuard
from correlation.intake import Intake
from correlation.life import Life
from correlation.lines import LineTable
from correlation.memberships import Memberships
from correlation.nodes import Nodes
from correlation.orders import Orders
from correlation.planned import Maintenance
from correlation.requests import Requester
from correlation.saying import Facts
from correlation.settings import CorrelationSettings
from correlation.signs import Signs
from correlation.slow import SlowLines
from correlation.sources import Sources
from correlation.view import EngineView
from correlation.witnesses import Witnesses
from monitor.inventory import Inventory
from monitor.records import (
    Change,
    Event,
    IncidentKind,
    LineState,
    LineValues,
    ProbeRequest,
    ProbeRound,
    Reference,
    RequestReason,
)
from monitor.records.rounds import I32

NS = 1_000_000_000


class StepStats(msgspec.Struct, frozen=True):
    """What a step did. `refused`: named reason -> rows or events that could not be used."""

    rows: int = 0
    events: int = 0
    fell: int = 0
    rose: int = 0
    evaluated: int = 0
    causes: int = 0
    living: int = 0
    refused: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class StepResult:
    """`changes` in the order they happened; `requests` may be dropped (a replay does)."""

    changes: tuple[Change, ...]
    requests: tuple[ProbeRequest, ...]
    stats: StepStats


class Engine:
    """`references` and `resolvers` (names) in their configured order: rounds of these kinds index into them."""

    def __init__(
        self,
        inventory: Inventory,
        settings: CorrelationSettings | None = None,
        references: Sequence[Reference] = (),
        resolvers: Sequence[str] = (),
    ) -> None:
        inventory = inventory.with_groups(inventory.groups.as_filed())  # its own: what it learns is nobody else's
        self.settings = settings or CorrelationSettings()
        self.references = tuple(references)
        self.resolvers = tuple(resolvers)
        self.now_ns = 0
        self.stale_ns = 0
        self.minute_ns = 0
        self.nested_ns = 0
        self.restored_ns = 0
        table = LineTable(len(inventory), self.settings.evidence.reply_prior)
        rate, zone = self.settings.causes.rate_per_line_h, self.settings.timezone
        self.sources = Sources(len(self.references), self.settings.evidence.default_interval_s)
        self._build(
            inventory, table, Background(len(inventory.elements), rate, zone), Nodes(len(inventory.elements)), Signs()
        )

    def _build(
        self, inventory: Inventory, table: LineTable, background: Background, nodes: Nodes, signs: Signs
    ) -> None:
        """Put the parts together around an inventory; what they remember is given or loaded after."""
        settings = self.settings
        self.inventory, self.table, self.background, self.nodes, self.signs = inventory, table, background, nodes, signs
        self.freshness = Freshness(table, settings.evidence)
        self.memberships = Memberships(inventory, table)
        self.book = CaseBook(inventory, table, settings.life)
        self.maintenance = Maintenance(settings.life.planned_grace_s)
        self.witnesses = Witnesses(inventory, table, signs, settings)
        self.gates = Gates(inventory, table, self.sources, settings, self.witnesses, self.memberships)
        self.life = Life(self.book, settings, self._facts, self.gates, self.maintenance.runs)
        self.blind = BlindGuard(inventory, table, self.sources, self.book, settings, self._wills)
        self.resolver = ResolverGuard(self.resolvers, self.book, self.sources)
        self.broker = BrokerGuard(self.book, table, signs)
        self.requester = Requester(inventory, settings.confirm, len(self.references))
        self.finder = CauseFinder(inventory, table, background, nodes, settings, signs)
        self.slow = SlowLines(inventory, table, self.book, settings)
        self.families = Families(inventory, table, self.slow)
        self.orders = Orders(self.book, self.maintenance)
        self.intake = Intake(self)
        self._view: EngineView | None = None

    # --- the step -------------------------------------------------------------------------------------------------

    def step(
        self, now_ns: int, rounds: Sequence[ProbeRound | LineValues] = (), events: Sequence[Event] = ()
    ) -> StepResult:
        """Take everything that came in until `now_ns` (never earlier than the step before)."""
        now = self.now_ns = max(now_ns, self.now_ns)
        heard = self.intake.take(now, rounds, events)
        interval_s = self.sources.interval_s()
        self.blind.review(now)
        self.resolver.review(now)
        self.broker.review(now)
        self.witnesses.broker_in_doubt = self.broker.trouble_ns > 0
        moves = settle(self.table, heard.touched, now, self.settings.evidence)
        heard.refuse("too_many_groups", self.memberships.settle(now))
        if now - self.stale_ns >= interval_s * NS / 2:
            self.stale_ns = now
            self.freshness.review(now, self.sources.intervals_ns())
        self._rose(moves)
        self.requester.confirm(heard.missed, self.table, now)
        self.maintenance.begin(self.book, now)
        fell = self.maintenance.take_falls(moves.fell, self.book, now)
        self.finder.remember(fell, now)
        fell = self.life.join_falls(fell, now)
        self.finder.interval_ns = int(interval_s * NS)
        causes = self.finder.find(fell, bool(heard.rows), now, self.book)
        if causes is not None:
            self.life.match(causes, now, self.finder.weighed)
        for case in self.life.review(now, interval_s):
            self._probe_again(self.book.still_down(case), now)
        self._nested(now, interval_s)
        self.slow.segments.interval_ns = int(interval_s * NS)
        flags = self.slow.review(now, heard, self.maintenance) + self.families.review(now)
        self._minute(now)
        self._view = None
        stats = StepStats(
            rows=heard.rows,
            events=len(events),
            fell=int(moves.fell.size),
            rose=int(moves.rose.size),
            evaluated=0 if causes is None else 1,
            causes=len(causes or ()),
            living=sum(1 for _ in self.book.living()),
            refused=heard.refused,
        )
        return StepResult(self.book.take_changes() + flags, self.requester.take(), stats)

    def _rose(self, moves: Moves) -> None:
        rose = moves.rose
        muted = rose[self.table.slot[rose] == -2]
        self.table.slot[muted] = -1

    def _probe_again(self, lines: I32, now_ns: int) -> None:
        """After a restore: who is still dead?"""
        asked = lines[:: max(1, lines.size // 5000)]
        self.requester.ask(asked, now_ns, RequestReason.RESTORE, count=2, deadline_s=5.0)

    def _nested(self, now_ns: int, interval_s: float) -> None:
        """What stays dead below a recovering outage; looked at as often as the answers can change."""
        if now_ns - self.nested_ns < min(interval_s / 2, 10) * NS:
            return
        self.nested_ns = now_ns
        for case in self.book.living(IncidentKind.OUTAGE):
            if not case.state.recovering_ns:
                continue
            if now_ns - case.state.asked_ns >= self.settings.life.restore_every_s * NS:
                case.state.asked_ns = now_ns
                self._probe_again(self.book.still_down(case), now_ns)
            wait_s = max(self.settings.life.resolve_after_s * 0.75, 1.5 * interval_s)
            if now_ns - case.state.recovering_ns >= wait_s * NS:
                self.life.nest(case, self.finder.nested(case, now_ns, self.book), now_ns)

    def _minute(self, now_ns: int) -> None:
        """What is due once a minute or less."""
        if now_ns - self.minute_ns < 60 * NS:
            return
        self.minute_ns = now_ns
        self.maintenance.review(self.book, now_ns)
        self.finder.learn(now_ns, self.book)
        self.signs.prune(now_ns)
        self.book.prune(now_ns)
        self.book.renew_estimates(now_ns)

    # --- what the parts ask ---------------------------------------------------------------------------------------

    def _facts(self, cause: Cause) -> Facts:
        since = cause.start_ns - 120 * NS
        return Facts(
            gasps=self.signs.count(cause.lines, "dying_gasp_ns", since),
            wills=self.signs.count(cause.lines, "cpe_offline_ns", since),
            calls=self.signs.calls_of(cause.lines, since),
            node=self.nodes.sign(cause.element, cause.start_ns),
        )

    def _wills(self, lines: I32, since_ns: int) -> int:
        return self.signs.count(lines, "cpe_offline_ns", since_ns)

    # --- what others read -----------------------------------------------------------------------------------------

    def view(self) -> EngineView:
        """Arrays that nobody changes any more; the same object until the next step."""
        if self._view is None:
            self._view = saved.build_view(self)
        return self._view

    def snapshot(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything it knows, as plain arrays (text as UTF-8 bytes)."""
        return saved.pack(self)

    @classmethod
    def restore(
        cls,
        inventory: Inventory,
        settings: CorrelationSettings,
        arrays: dict[str, npt.NDArray[np.generic]],
        references: Sequence[Reference] = (),
        resolvers: Sequence[str] = (),
    ) -> "Engine":
        """An engine that goes on exactly where the snapshot was taken (same inventory). Raises ValueError when the
        snapshot is of another format or of another number of lines."""
        engine = cls(inventory, settings, references, resolvers)
        saved.unpack(engine, arrays)
        return engine

    def reload(self, inventory: Inventory) -> None:
        """Go on with another inventory: what is known moves with line_id and path. Incidents whose element is gone are
        resolved; the next step tells it."""
        saved.reload(self, inventory)

    def lines_of(self, incident_id: str) -> list[str]:
        """line_ids ever affected by an incident (living or resolved within the last day)."""
        case = self.book.find(incident_id)
        return self.inventory.line_ids.many(case.lines) if case is not None else []

    @property
    def down(self) -> int:
        return int(np.count_nonzero(self.table.state == LineState.DOWN))
