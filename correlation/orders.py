"""What people say about incidents: acknowledged, a note, an estimated time of repair, resolved by hand; and about
scopes: announced maintenance.

The engine alone owns the status: a manual resolve holds until the lines are back, or others fall."""

from correlation.casebook import CaseBook
from correlation.cases import Case
from correlation.planned import Maintenance
from correlation.times import read_time
from monitor.records import Etr, Event, Note

KINDS = frozenset({"ack", "note", "etr", "resolve"})
NOTES = 200


class Orders:
    def __init__(self, book: CaseBook, maintenance: Maintenance) -> None:
        self.book = book
        self.maintenance = maintenance

    def hear(self, event: Event, incident: str, now_ns: int) -> bool:
        """False when the incident is not known."""
        case = self.book.find(incident)
        if case is None:
            return False
        getattr(self, f"_{event.kind}")(case, event, now_ns)
        return True

    def _ack(self, case: Case, event: Event, now_ns: int) -> None:
        if case.state.acked_by and case.state.acked_by == event.by:
            return
        case.state.acked_by = event.by or event.source or "unknown"
        case.state.acked_ns = event.at_ns
        self.book.tell(case, now_ns, "acked")

    def _note(self, case: Case, event: Event, now_ns: int) -> None:
        note = Note(event.at_ns, event.by, event.value)
        if note in case.state.notes:
            return
        case.state.notes = (*case.state.notes, note)[-NOTES:]
        self.book.tell(case, now_ns, "noted")

    def _etr(self, case: Case, event: Event, now_ns: int) -> None:
        """Value: the time, or "time;time of the next update"; empty takes it back."""
        first, _, second = event.value.partition(";")
        at = read_time(first)
        case.state.etr = Etr(at, "noc", read_time(second) or None) if at else None
        self.book.tell(case, now_ns, "etr_set")

    def _resolve(self, case: Case, event: Event, now_ns: int) -> None:
        if not case.living:
            return
        if event.value:
            case.state.notes = (*case.state.notes, Note(event.at_ns, event.by, event.value))[-NOTES:]
        self.book.resolve(case, now_ns, min(event.at_ns, now_ns))
