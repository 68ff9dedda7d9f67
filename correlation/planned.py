"""Announced maintenance: what falls under it is shown as planned, and what breaks beside it is not hidden.

From events `maintenance_start` (value: its end, may be empty) and `maintenance_end`. The first line that falls under an
announced scope begins a planned incident; lines still down some minutes after the end make it an outage.
"""

import msgspec
import numpy as np

from correlation.casebook import CaseBook
from correlation.cases import Case, members
from correlation.times import read_time
from monitor.records import Coded, Event, IncidentKind, IncidentStatus, Scope, ScopeKind, parse_subject
from monitor.records.rounds import I32

NS = 1_000_000_000


class Window(msgspec.Struct):
    """`end_ns` 0: until `maintenance_end` comes."""

    scope: Scope
    start_ns: int
    end_ns: int = 0

    def active(self, at_ns: int) -> bool:
        return self.start_ns <= at_ns and (self.end_ns == 0 or at_ns <= self.end_ns)


class Maintenance:
    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.windows: list[Window] = []

    def hear(self, event: Event, line_path: str = "") -> None:
        """`line_path`: the finest element of the line when the subject is one. An unknown subject changes nothing."""
        subject = parse_subject(event.subject)
        if subject.kind == "element":
            scope = Scope(ScopeKind.ELEMENT, subject.name)
        elif subject.kind == "group":
            scope = Scope(ScopeKind.GROUP, f"{subject.group}:{subject.name}")
        elif line_path:
            scope = Scope(ScopeKind.ELEMENT, line_path)
        else:
            return
        if event.kind == "maintenance_start":
            window = Window(scope, event.at_ns, read_time(event.value))
            if window not in self.windows:
                self.windows.append(window)
            return
        for window in self.windows:
            if window.scope == scope and (window.end_ns == 0 or window.end_ns > event.at_ns):
                window.end_ns = event.at_ns

    def take_falls(self, fell: I32, book: CaseBook, now_ns: int) -> I32:
        """Lines that fell under announced work; returns the others."""
        for window in self.windows:
            if not fell.size:
                break
            inside = book.covers(window.scope, fell) & (book.table.slot[fell] < 0)
            at = book.table.down_ns[fell]
            slack = int(self.grace_s * NS)
            end = window.end_ns or now_ns
            inside &= (at >= window.start_ns - slack) & (at <= end + slack)
            if not inside.any():
                continue
            mine, fell = fell[inside], fell[~inside]
            case = self._case(window, book)
            if case is None:
                self._open(window, book, mine, now_ns)
                continue
            if not case.living:
                case.state.status, case.state.resolved_ns, case.state.below_ns = IncidentStatus.OPEN, 0, 0
                case.state.reopened += 1
            book.take(case, mine)
            case.state.explanation = (_said(case, window.end_ns, len(case.lines)),)
        return fell

    def _open(self, window: Window, book: CaseBook, lines: I32, now_ns: int) -> None:
        case = book.create(IncidentKind.PLANNED, window.scope, "maintenance", window.start_ns, now_ns, lines)
        case.state.confidence = 0.99
        case.state.planned_until_ns = window.end_ns
        case.state.explanation = (_said(case, window.end_ns, lines.size),)
        book.open(case, now_ns)

    def _case(self, window: Window, book: CaseBook) -> Case | None:
        for case in book.cases.values():
            state = case.state
            same = state.kind is IncidentKind.PLANNED and state.scope == window.scope
            if same and state.started_ns == window.start_ns:
                return case
        return None

    def begin(self, book: CaseBook, now_ns: int) -> None:
        """Announced work is shown from its start, before the first line is down."""
        for window in self.windows:
            if (
                window.active(now_ns)
                and self._case(window, book) is None
                and members(book.inventory, window.scope).size
            ):
                self._open(window, book, np.zeros(0, np.int32), now_ns)

    def review(self, book: CaseBook, now_ns: int) -> None:
        """Work that has ended with lines still down has become an outage."""
        limit = now_ns - int(self.grace_s * NS)
        for case in book.living(IncidentKind.PLANNED):
            ended = [w.end_ns for w in self.windows if w.scope == case.state.scope and w.end_ns]
            running = any(w.active(now_ns) for w in self.windows if w.scope == case.state.scope)
            if running or not ended or max(ended) > limit:
                continue
            down = int(book.still_down(case).size)
            if down >= 3 and down > 0.1 * len(case.lines):
                case.state.kind = IncidentKind.OUTAGE
                case.state.cause = "maintenance"
                case.state.explanation = (Coded("maintenance_overrun", {"down": down, "scope": case.state.scope.name}),)
                book.tell(case, now_ns, "explained")
        self.windows = [w for w in self.windows if w.end_ns == 0 or w.end_ns > now_ns - 86_400 * NS]

    def runs(self, scope: Scope, now_ns: int) -> bool:
        return any(w.scope == scope and w.active(now_ns) for w in self.windows)

    def announced(self, lines: int, book: CaseBook, now_ns: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Lines under work that runs now, bool [n]."""
        under = np.zeros(lines, np.bool_)
        for window in self.windows:
            if window.active(now_ns):
                under[members(book.inventory, window.scope)] = True
        return under


def _said(case: Case, until_ns: int, down: int) -> Coded:
    if until_ns:
        return Coded("maintenance", {"down": down, "scope": case.state.scope.name, "until_ns": until_ns})
    return Coded("maintenance_open_end", {"down": down, "scope": case.state.scope.name})
