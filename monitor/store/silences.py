"""Who need not be told of what, until when, and who said so; and the planned work that was announced.

A silence always has an end and an author. It never hides an incident: the page and the API show everything. What has
ended stays for `KEPT_DAYS`, so that "why was I not told" has an answer later. Times are ns UTC. Any thread may call.
"""

import secrets
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import delete, insert, select, update

from monitor.clock import NS, parse_time
from monitor.records import Event, Incident, ScopeKind
from monitor.records.events import Subject, parse_subject
from monitor.store import tables as t
from monitor.store.state import StateStore

SilenceScope = Literal["element", "group", "line", "source", "incident", "all"]
SCOPES: tuple[SilenceScope, ...] = get_args(SilenceScope)
LONGEST_S = 90 * 86400
KEPT_DAYS = 400
_PLANNED_BACK_NS = 30 * 86400 * NS
_event = msgspec.json.Decoder(Event)


class Silence(msgspec.Struct, frozen=True):
    silence_id: str
    scope_kind: str
    scope_name: str
    starts_ns: int
    ends_ns: int
    reason: str
    by: str
    created_ns: int
    ended_ns: int | None = None
    ended_by: str = ""

    def active_at(self, now_ns: int) -> bool:
        return self.starts_ns <= now_ns < self.until_ns

    @property
    def until_ns(self) -> int:
        return self.ends_ns if self.ended_ns is None else min(self.ends_ns, self.ended_ns)

    def covers(self, incident: Incident) -> bool:
        """An element covers everything under it; a line its own alert (lines with an SLA)."""
        kind, name, scope = self.scope_kind, self.scope_name, incident.scope
        if kind == "all":
            return True
        if kind == "incident":
            return incident.incident_id == name
        if kind == "line":
            return scope.kind is ScopeKind.ELEMENT and scope.name.endswith(f"/{name}")
        return scope.kind == kind and (scope.name == name or (kind == "element" and scope.name.startswith(f"{name}/")))


class PlannedWork(msgspec.Struct, frozen=True):
    """`end_ns` 0: until somebody ends it."""

    subject: Subject
    start_ns: int
    end_ns: int
    reason: str

    def covers(self, incident: Incident) -> bool:
        scope, subject = incident.scope, self.subject
        if subject.kind == "element":
            under = scope.name == subject.name or scope.name.startswith(f"{subject.name}/")
            return scope.kind is ScopeKind.ELEMENT and under
        if subject.kind == "group":
            return scope.kind is ScopeKind.GROUP and scope.name == f"{subject.group}:{subject.name}"
        return scope.kind is ScopeKind.ELEMENT and scope.name.endswith(f"/{subject.name}")


class Silences:
    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(self, scope_kind: str, scope_name: str, starts_ns: int, ends_ns: int, reason: str, by: str) -> Silence:
        """Raises ValueError, for people: no such kind of scope, no author, no time, or too long."""
        now_ns = self._store.now_ns()
        if scope_kind not in SCOPES:
            raise ValueError(f"scope is {scope_kind!r}: give one of {', '.join(SCOPES)}")
        if scope_kind != "all" and not scope_name:
            raise ValueError(f"the scope {scope_kind} needs a name")
        if not by:
            raise ValueError("a silence needs an author")
        if ends_ns <= starts_ns:
            raise ValueError("the silence ends before it begins")
        if ends_ns <= now_ns:
            raise ValueError("the silence ends in the past")
        if ends_ns - max(starts_ns, now_ns) > LONGEST_S * NS:
            raise ValueError(f"a silence lasts at most {LONGEST_S // 86400} days")
        name = "" if scope_kind == "all" else scope_name.strip("/") if scope_kind == "element" else scope_name
        made = Silence(secrets.token_hex(4), scope_kind, name, starts_ns, ends_ns, reason[:2000], by[:200], now_ns)
        with self._store.write() as connection:
            connection.execute(delete(t.silences).where(t.silences.c.ends_ns < now_ns - KEPT_DAYS * 86400 * NS))
            connection.execute(insert(t.silences), msgspec.structs.asdict(made))
        return made

    def end(self, silence_id: str, by: str) -> bool:
        """End or cancel it now; False when there is none, or it is over."""
        s, now_ns = t.silences.c, self._store.now_ns()
        living = (s.silence_id == silence_id, s.ended_ns.is_(None), s.ends_ns > now_ns)
        with self._store.write() as connection:
            done = connection.execute(update(t.silences).where(*living).values(ended_ns=now_ns, ended_by=by[:200]))
        return bool(done.rowcount)

    def listed(self, now_ns: int | None = None, limit: int = 1000) -> list[Silence]:
        """Those that last or are to come at `now_ns`; None: the past too. Soonest end first."""
        s = t.silences.c
        where: list[Any] = [] if now_ns is None else [s.ended_ns.is_(None), s.ends_ns > now_ns]
        with self._store.read() as connection:
            rows = connection.execute(select(t.silences).where(*where).order_by(s.ends_ns, s.silence_id).limit(limit))
            return [Silence(*row) for row in rows]

    def planned(self, now_ns: int) -> list[PlannedWork]:
        """Announced work that is under way."""
        e = t.human_events.c
        kinds = ("maintenance_start", "maintenance_end")
        query = select(e.body).where(e.kind.in_(kinds), e.at_ns >= now_ns - _PLANNED_BACK_NS, e.at_ns <= now_ns)
        with self._store.read() as connection:
            events = [_event.decode(body) for body in connection.scalars(query.order_by(e.at_ns))]
        ended = {event.event_id.partition(":")[2]: event.at_ns for event in events if event.kind == "maintenance_end"}
        found = []
        for event in events:
            if event.kind != "maintenance_start" or ended.get(event.event_id.partition(":")[2], 0) > event.at_ns:
                continue
            try:
                end_ns = parse_time(event.value) if event.value else 0
                subject = parse_subject(event.subject)
            except (ValueError, OverflowError):
                continue  # the engine refused it too
            if not end_ns or end_ns > now_ns:
                found.append(PlannedWork(subject, event.at_ns, end_ns, event.source))
        return found
