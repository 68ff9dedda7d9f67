"""What is no outage: a prober that cannot see, a broker that lost everybody, a resolver that does not answer.

A prober is blind when its references and half of two exchanges and more are gone; its lines are then unknown, not down,
and everything concluded from it since is withdrawn. Devices that fell off the broker together with their lines speak
against blindness: then it was an outage.
"""

from collections.abc import Callable

import numpy as np

from correlation.belief import forget
from correlation.casebook import FREE, CaseBook
from correlation.cases import Case
from correlation.lines import LineTable
from correlation.settings import CorrelationSettings
from correlation.sources import Sources, SourceState, lost_exchanges
from monitor.inventory import Inventory
from monitor.records import Coded, Event, IncidentKind, IncidentStatus, LineState, ProbeRound, Scope, ScopeKind
from monitor.records.rounds import I32

NS = 1_000_000_000
SURE = 0.98
WITNESSES = 3
WITNESS_SHARE = 0.3
SEEING_SHARE = 0.2


class BlindGuard:
    """`wills`: line -> when its last will came, ns (recent ones)."""

    def __init__(
        self,
        inventory: Inventory,
        table: LineTable,
        sources: Sources,
        book: CaseBook,
        settings: CorrelationSettings,
        wills: Callable[[I32, int], int],
    ) -> None:
        self.inventory = inventory
        self.table = table
        self.sources = sources
        self.book = book
        self.settings = settings
        self.wills = wills
        elements = inventory.elements
        depths = np.bincount(elements.depth, minlength=2)
        level = 1 if depths[0] < 2 and depths[1] >= 2 else 0 if depths[0] >= 2 and depths[1] < 2 else 1
        self._exchanges = np.flatnonzero(elements.depth == min(level, int(elements.depth.max(initial=0))))

    def hear(self, event: Event, name: str) -> None:
        """`source_down`, `source_up`."""
        source = self.sources.get(name)
        source.said_down_ns = event.at_ns if event.kind == "source_down" else 0

    def review(self, now_ns: int) -> bool:
        """Begin and end blindness. True when something changed."""
        changed = False
        for source in list(self.sources.by_name.values()):
            if source.blind_ns:
                if self._sees_again(source, now_ns):
                    self._end(source, now_ns)
                    changed = True
                continue
            if source.said_down_ns:
                self._begin(source, source.said_down_ns, now_ns, Coded("source_down", {"source": source.name}))
                changed = True
                continue
            since = source.silent_ns(now_ns, self.sources.default_s)
            if since and source.surely_silent(now_ns, self.sources.default_s):
                said = self._blind(source, since, now_ns)
                if said is not None:
                    self._begin(source, since, now_ns, said)
                    changed = True
        return changed

    def _blind(self, source: SourceState, since_ns: int, now_ns: int) -> Coded | None:
        """All references are silent: are the lines lost across exchanges too, and does no one else see them fall?"""
        table = self.table
        interval_ns = int(source.interval_s(self.sources.default_s) * NS)
        mine = (table.source == source.index) & (table.probed_ns >= since_ns - interval_ns)
        was_up = (table.known == LineState.UP) | (table.known == LineState.DEGRADED)
        # Only falls of this moment: who was dead before says nothing.
        lost = mine & (table.miss_ns >= since_ns - interval_ns) & (table.miss_ns > 0)
        asked = mine & (lost | (was_up & (table.replied_ns >= since_ns)))
        asked_sum, lost_sum = _cumulative(asked), _cumulative(lost)
        elements = self.inventory.elements
        exchanges, gone = lost_exchanges(
            elements.lo[self._exchanges], elements.hi[self._exchanges], asked_sum, lost_sum
        )
        enough = gone >= 2 or (gone == 1 and exchanges == 1)
        if not enough or lost_sum[-1] < 0.5 * asked_sum[-1]:
            return None
        fallen = np.flatnonzero(lost).astype(np.int32)
        online = int(np.count_nonzero(np.isfinite(table.beat_s[fallen]) | (table.alive_ns[fallen] > 0)))
        wills = self.wills(fallen, since_ns - interval_ns)
        if wills >= WITNESSES and wills >= WITNESS_SHARE * max(online, 1):
            return None  # the broker saw them fall as well
        others = self._others_see(source, fallen, since_ns)
        if others < -WITNESSES:
            return None  # another prober, which can see, lost them too
        references = len(source.fresh_references(now_ns, self.sources.default_s))
        return Coded(
            "source_blind", {"source": source.name, "references": references, "lost": gone, "exchanges": exchanges}
        )

    def _others_see(self, source: SourceState, fallen: I32, since_ns: int) -> int:
        """How many of the lines another prober reached since, less those it lost."""
        others = [s.index for s in self.sources.by_name.values() if s is not source and not s.blind_ns]
        theirs = fallen[np.isin(self.table.source[fallen], others)]
        reached = int(np.count_nonzero(self.table.replied_ns[theirs] >= since_ns))
        return 2 * reached - int(theirs.size)

    def _begin(self, source: SourceState, since_ns: int, now_ns: int, said: Coded) -> None:
        table, book = self.table, self.book
        source.blind_ns = since_ns
        source.blind_rows = source.blind_replies = 0
        interval_ns = int(source.interval_s(self.sources.default_s) * NS)
        mine = np.flatnonzero(table.source == source.index).astype(np.int32)
        # What fell since has not fallen as far as anybody knows.
        fell = mine[(table.known[mine] == LineState.DOWN) & (table.down_ns[mine] >= since_ns - interval_ns)]
        for case in list(book.living(IncidentKind.OUTAGE)):
            recent = case.state.started_ns >= since_ns - interval_ns
            if recent and np.isin(case.lines, mine, assume_unique=True).mean() > 0.5:
                book.withdraw(case, now_ns)
        table.known[fell] = LineState.UP
        table.down_ns[fell] = 0  # and nothing is learned from it
        table.slot[fell[table.slot[fell] < 0]] = FREE
        forget(table, mine, since_ns)
        case = book.create(
            IncidentKind.SOURCE,
            Scope(ScopeKind.SOURCE, source.name),
            said.code,
            since_ns,
            now_ns,
            np.zeros(0, np.int32),
        )
        case.state.confidence = SURE
        case.state.explanation = (said,)
        book.open(case, now_ns)

    def _sees_again(self, source: SourceState, now_ns: int) -> bool:
        if source.said_down_ns:
            return False
        if source.answers_again(now_ns, self.sources.default_s):
            return True
        if source.references:
            rows, replies = source.blind_rows, source.blind_replies
            return rows >= 20 and replies >= SEEING_SHARE * rows
        return True

    def _end(self, source: SourceState, now_ns: int) -> None:
        back = [r.replied_ns for r in source.references.values() if r.replied_ns > source.blind_ns]
        source.blind_ns = 0
        for case in self.book.living(IncidentKind.SOURCE):
            if case.state.scope.name == source.name:
                self.book.resolve(case, now_ns, min(back) if back else now_ns)


class ResolverGuard:
    """Resolvers by name: failing rounds in a row, or what the DNS collector says."""

    ROWS = 2

    def __init__(self, names: tuple[str, ...], book: CaseBook, sources: Sources) -> None:
        self.names = names
        self.book = book
        self.sources = sources
        self.failing: dict[str, tuple[int, int]] = {}  # name -> (first failure ns, failures in a row)
        self.since: dict[str, int] = {}  # those that are down
        self.up_ns: dict[str, int] = {}

    def hear_round(self, round_: ProbeRound) -> None:
        rows = zip(
            round_.target.tolist(), round_.at_ns.tolist(), round_.sent.tolist(), round_.received.tolist(), strict=True
        )
        for target, at, sent, received in rows:
            if not 0 <= target < len(self.names) or not sent:
                continue
            name = self.names[target]
            if received:
                self.hear_up(name, at)
                continue
            first, count = self.failing.get(name, (at, 0))
            self.failing[name] = (first, count + 1)
            if count + 1 >= self.ROWS:
                self.since.setdefault(name, first)

    def hear_down(self, name: str, at_ns: int) -> None:
        first = self.failing.get(name, (at_ns, 0))[0]
        self.since.setdefault(name, min(first, at_ns))

    def hear_up(self, name: str, at_ns: int) -> None:
        self.failing.pop(name, None)
        if self.since.pop(name, None) is not None:
            self.up_ns[name] = at_ns

    def review(self, now_ns: int) -> None:
        probers = [source for source in self.sources.by_name.values() if source.probes]
        doubtful = any(s.blind_ns or s.silent_ns(now_ns, self.sources.default_s) for s in probers)
        open_now = {c.state.scope.name: c for c in self.book.living(IncidentKind.RESOLVER)}
        for name, since in sorted(self.since.items()):
            scope = Scope(ScopeKind.GROUP, f"resolver:{name}")
            if scope.name in open_now or doubtful:
                continue  # a prober that sees nothing does not see resolvers either
            case = self._recent(scope, now_ns)
            if case is None:
                case = self.book.create(
                    IncidentKind.RESOLVER, scope, "resolver_down", since, now_ns, np.zeros(0, np.int32)
                )
                case.state.confidence = SURE
                case.state.explanation = (Coded("resolver_down", {"resolver": name, "since_ns": since}),)
                self.book.open(case, now_ns)
            else:
                case.state.status, case.state.resolved_ns = IncidentStatus.OPEN, 0
                case.state.reopened += 1
                self.book.tell(case, now_ns, "reopened")
        for scope_name, case in open_now.items():
            name = scope_name.partition(":")[2]
            if name not in self.since:
                self.book.resolve(case, now_ns, self.up_ns.get(name, now_ns))

    def _recent(self, scope: Scope, now_ns: int) -> Case | None:
        limit = now_ns - int(self.book.settings.reopen_s * NS)
        found = [
            c
            for c in self.book.cases.values()
            if not c.living
            and c.state.kind is IncidentKind.RESOLVER
            and c.state.scope == scope
            and c.state.resolved_ns >= limit
        ]
        return max(found, key=lambda c: c.state.resolved_ns) if found else None


def _cumulative(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    total = np.zeros(flags.shape[0] + 1, np.int64)
    np.cumsum(flags, out=total[1:])
    return total
