"""Evidence of one step, sorted to where it belongs: probe rows, telemetry, events.

What cannot be used is counted by a named reason, never guessed at: rounds of another generation, rows of unknown lines,
events about unknown subjects, deliveries that came twice. Misses of a blind prober are no evidence.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from correlation.belief import Rows, apply_call, apply_life, apply_probes, apply_sign, passes, usable
from correlation.orders import KINDS as ORDERS
from correlation.sets import distinct
from monitor.records import (
    Event,
    LineState,
    LineValues,
    ProbeRound,
    Scope,
    ScopeKind,
    TargetKind,
    ValueKind,
    parse_subject,
)
from monitor.records.rounds import I32

if TYPE_CHECKING:
    from correlation.engine import Engine

NS = 1_000_000_000
NO_LINES: I32 = np.zeros(0, np.int32)
REMEMBERED = 20_000
UNDATED = "retained"  # what the CPE collector says of a state whose time is not known
MAY_BE_UNDATED = frozenset({"cpe_online", "cpe_offline", "dying_gasp", "los", "los_cleared"})
LIFE = frozenset({"cpe_online", "cpe_boot", "login_accepted", "session_start", "address_assigned"})
SIGNS = {
    "dying_gasp": "dying_gasp",
    "los": "los",
    "session_stop": "session_stop",
    "login_timeout": "login_timeout",
}
CALL_AGAIN_NS = 900 * NS
LEVELS = {"rx_power_dbm": ValueKind.RX_POWER_DBM, "snr_db": ValueKind.SNR_DB}


@dataclass(slots=True)
class Heard:
    """`touched`: lines whose belief may have moved. `missed`: up lines that missed for the first time, ascending.
    `parts`, `values`: the rows and telemetry that were applied, for the judgement of slow and degrading lines."""

    rows: int = 0
    touched: list[I32] = field(default_factory=list)
    missed: I32 = field(default_factory=lambda: NO_LINES)
    lone: list[I32] = field(default_factory=list)  # lines of which one of two addresses newly missed
    parts: list[Rows] = field(default_factory=list)
    values: list[LineValues] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str, count: int = 1) -> None:
        if count:
            self.refused[reason] = self.refused.get(reason, 0) + count


class Intake:
    """`alive`: signs of life of single lines (line -> at_ns) that are heard and not yet applied: one by one, the calls
    would cost many times the work. Whatever else is said of such a line waits until they are."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.alive: dict[int, int] = {}
        self.told: list[I32] = []
        self.known_ids: set[str] = set()
        self.known_order: deque[str] = deque()

    def take(self, now_ns: int, rounds: Sequence[ProbeRound | LineValues], events: Sequence[Event]) -> Heard:
        heard = Heard()
        missed: list[I32] = []
        for item in rounds:
            if isinstance(item, LineValues):
                self._values(item, now_ns, heard)
            else:
                missed += self._round(item, now_ns, heard)
        for event in events:
            self._event(event, now_ns, heard)
        self._live(heard)
        if self.told:
            self.engine.freshness.told(np.concatenate(self.told))
            self.told.clear()
        if missed:
            lines = distinct(np.concatenate(missed))
            table = self.engine.table
            up = table.is_up(lines) & (table.miss_ns[lines] > 0)
            heard.missed = lines[up].astype(np.int32)
        if alone := [lines for lines in heard.lone if lines.size]:
            heard.missed = distinct(np.concatenate([heard.missed, *alone])).astype(np.int32)
        return heard

    # --- columns --------------------------------------------------------------------------------------------------

    def _round(self, item: ProbeRound, now_ns: int, heard: Heard) -> list[I32]:
        engine = self.engine
        source = engine.sources.get(item.source)
        if item.kind is TargetKind.REFERENCE:
            source.hear_references(item, len(engine.references))
            return []
        if item.kind is TargetKind.RESOLVER:
            if not source.blind_ns:
                engine.resolver.hear_round(item)
            return []
        if item.generation != engine.inventory.generation:
            heard.refuse("other_generation", len(item))
            return []
        if item.kind is TargetKind.ELEMENT:
            if not source.blind_ns:
                heard.refuse("unknown_element", engine.nodes.hear(item))
            return []
        rows, refused = usable(item, engine.table, now_ns)
        lone = heard.lone
        heard.refuse("unusable_row", refused)
        heard.rows += int(rows.line.size)
        missed = []
        for part in passes(rows, len(engine.table)):
            if not item.request_id and item.family != 6:
                source.learn_interval(part.line, part.at_ns)
            if source.blind_ns:
                source.blind_rows += int(part.line.size)
                hit = part.received > 0
                source.blind_replies += int(np.count_nonzero(hit))
                part = Rows(part.line[hit], part.at_ns[hit], part.sent[hit], part.received[hit], part.rtt_ms[hit])
            if not part.line.size:
                continue
            interval_ns = int(source.interval_s(engine.sources.default_s) * NS)
            sifted = engine.families.sift(part, item.family == 6, interval_ns)
            _, first = apply_probes(engine.table, sifted.rows, source.index, engine.settings.evidence)
            engine.freshness.probed(sifted.rows.at_ns)
            heard.touched.append(sifted.rows.line)
            if sifted.judged.line.size:
                heard.parts.append(sifted.judged)
            missed.append(first)
            lone.append(sifted.first)
        return missed

    def _values(self, item: LineValues, now_ns: int, heard: Heard) -> None:
        engine = self.engine
        if item.generation != engine.inventory.generation:
            heard.refuse("other_generation", len(item))
            return
        good = (item.line >= 0) & (item.line < len(engine.table)) & (item.at_ns > 0)
        heard.refuse("unusable_row", int(np.count_nonzero(~good)))
        order = np.lexsort((item.at_ns[good], item.line[good]))
        line, at = item.line[good][order], np.minimum(item.at_ns[good][order], now_ns)
        if not line.size:
            return
        last = np.append(line[1:] != line[:-1], True)
        apply_life(engine.table, line[last].astype(np.int32), at[last], engine.settings.evidence)
        self._told(line[last].astype(np.int32), heard)
        heard.values.append(item)
        heard.rows += int(line.size)

    # --- single events --------------------------------------------------------------------------------------------

    def _event(self, event: Event, now_ns: int, heard: Heard) -> None:
        if event.event_id and not self._first_time(event.event_id):
            heard.refuse("repeated_event")
            return
        try:
            subject = parse_subject(event.subject)
        except ValueError:
            heard.refuse("unreadable_subject")
            return
        engine = self.engine
        if subject.kind == "incident":
            if event.kind not in ORDERS or not engine.orders.hear(event, subject.name, now_ns):
                heard.refuse("unknown_incident")
        elif subject.kind == "source":
            if event.kind in ("source_up", "source_down"):
                engine.blind.hear(event, subject.name)
        elif subject.kind == "line":
            line = engine.inventory.index_of(subject.name)
            if line is None:
                heard.refuse("unknown_line")
            else:
                self._line_event(event, line, now_ns, heard)
        elif event.kind in ("maintenance_start", "maintenance_end"):
            engine.maintenance.hear(event)
        elif event.kind in ("resolver_up", "resolver_down") and subject.group == "resolver":
            if event.kind == "resolver_down":
                engine.resolver.hear_down(subject.name, event.at_ns)
            else:
                engine.resolver.hear_up(subject.name, event.at_ns)
        elif event.kind == "session_count":
            kind = ScopeKind.ELEMENT if subject.kind == "element" else ScopeKind.GROUP
            name = subject.name if subject.kind == "element" else f"{subject.group}:{subject.name}"
            if not engine.witnesses.counts.hear(Scope(kind, name), event.at_ns, event.value):
                heard.refuse("unreadable_value")
        elif subject.kind == "element" and event.kind in ("alarm_raised", "alarm_cleared"):
            element = engine.inventory.elements.index_of(subject.name)
            if element is None:
                heard.refuse("unknown_element")
            else:
                engine.nodes.alarm(element, event.kind == "alarm_raised", event.at_ns)

    def _line_event(self, event: Event, line: int, now_ns: int, heard: Heard) -> None:
        engine, table, settings = self.engine, self.engine.table, self.engine.settings.evidence
        at = min(event.at_ns, now_ns)
        if event.kind in ("maintenance_start", "maintenance_end"):
            engine.maintenance.hear(event, engine.inventory.elements.paths[engine.inventory.leaf[line]])
            return
        if event.kind == "group_assigned":
            if reason := engine.memberships.hear(line, event.value, now_ns):
                heard.refuse(reason)
            return
        if line in self.alive:
            self._live(heard)
        if event.value == UNDATED and event.kind in MAY_BE_UNDATED:
            # A state of unknown age (kept by the broker, or queued while we were away): no onset, and no sign of life.
            if event.kind == "cpe_online":
                engine.broker.hear(event.kind, line, at, event.source)
            heard.refuse("undated_state")
            return
        before = engine.signs.by_line.get(line)
        engine.signs.hear(line, event)
        if event.kind in LIFE:
            self.alive[line] = at
            if event.kind == "cpe_online":
                engine.broker.hear(event.kind, line, at, event.source)
            return
        if event.kind == "cpe_offline":
            engine.broker.hear(event.kind, line, at, event.source)
            engine.witnesses.hear_will(line, at)
            if engine.broker.trouble_ns:
                return
            recent = table.probed_ns[line] > now_ns - 3 * int(engine.sources.interval_s() * NS)
            apply_sign(table, line, at, settings.last_will if recent else settings.last_will_unpinged, settings)
        elif event.kind == "call":
            if before is None or event.at_ns - before.call_ns > CALL_AGAIN_NS:  # the same caller again is no news
                apply_call(table, line, at, settings)
            self._call(line)
        elif event.kind in SIGNS:
            apply_sign(table, line, at, getattr(settings, SIGNS[event.kind]), settings)
        elif event.kind in LEVELS:
            self._level(event, line, at, heard)
            return
        else:
            return
        self._told(np.array([line], np.int32), heard)

    def _live(self, heard: Heard) -> None:
        """Apply what was heard of single lines."""
        if not self.alive:
            return
        lines, at = np.array([*self.alive], np.int32), np.array([*self.alive.values()], np.int64)
        self.alive.clear()
        apply_life(self.engine.table, lines, at, self.engine.settings.evidence)
        self._told(lines, heard)

    def _told(self, lines: I32, heard: Heard) -> None:
        """Something that is no probe was applied to these."""
        self.told.append(lines)
        heard.touched.append(lines)

    def _level(self, event: Event, line: int, at_ns: int, heard: Heard) -> None:
        """A level told as an event, as recordings and other systems do."""
        try:
            value = np.array([float(event.value)], np.float32)
        except ValueError:
            heard.refuse("unreadable_value")
            return
        kind = np.array([LEVELS[event.kind]], np.uint8)
        one, at = np.array([line], np.int32), np.array([at_ns], np.int64)
        heard.values.append(LineValues(event.source, self.engine.inventory.generation, one, kind, value, at))

    def _call(self, line: int) -> None:
        """A call about a line that an incident holds is that incident's."""
        slot = int(self.engine.table.slot[line])
        case = self.engine.book.cases.get(slot)
        if case is not None and self.engine.table.known[line] == LineState.DOWN:
            case.state.calls += 1

    def _first_time(self, event_id: str) -> bool:
        if event_id in self.known_ids:
            return False
        self.known_ids.add(event_id)
        self.known_order.append(event_id)
        if len(self.known_order) > REMEMBERED:
            self.known_ids.discard(self.known_order.popleft())
        return True
