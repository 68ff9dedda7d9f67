"""What the daemon concluded and must not forget: incidents, their lines and history, flags, people's events.

`apply` writes one step's changes in one transaction, the outbox rows with them; doing it again changes nothing, because
every row is keyed by incident and revision (or flag) and an older version never replaces a newer. Keys, sessions and
the audit trail come with `Access`. Any thread may call; there is one writer at a time. Times are ns UTC.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import URL, ColumnElement, and_, bindparam, delete, func, or_, select

from monitor.clock import Clock, SystemClock
from monitor.records import Change, Event, Flag, Incident, IncidentStatus
from monitor.secret import read_secret
from monitor.store import tables as t
from monitor.store.access import Access
from monitor.store.database import Database, parse_url
from monitor.store.settings import StoreSettings
from monitor.store.users import Users

MAX_PAGE = 1000
_incident = msgspec.json.Decoder(Incident)
_flag = msgspec.json.Decoder(Flag)
_event = msgspec.json.Decoder(Event)
_encode = msgspec.json.Encoder().encode
Listener = Callable[[Sequence[Change]], None]


class IncidentPage(msgspec.Struct, frozen=True):
    """Newest first. `cursor` gives the next page; "" when there is none."""

    items: list[Incident]
    cursor: str


class HistoryEntry(msgspec.Struct, frozen=True):
    at_ns: int
    what: str
    revision: int
    incident: Incident


class StateStore(Access, Users, Database):
    """`url`: see Database. Raises StoreProblem when it cannot be opened."""

    def __init__(self, url: str | Path | URL, clock: Clock | None = None) -> None:
        Database.__init__(self, url)
        Access.__init__(self, self, clock or SystemClock())
        Users.__init__(self, self, self._clock)
        self._listeners: list[Listener] = []
        self._applied = int(self.meta("applied_seq") or -1)

    @classmethod
    def open(cls, settings: StoreSettings, clock: Clock | None = None) -> "StateStore":
        """The store of a configuration. Raises StoreProblem, and SecretProblem for a password that cannot be read."""
        if not settings.state_url:
            return cls(Path(settings.folder) / "state.sqlite", clock)
        password = read_secret(settings, "state_password", "store")
        url = parse_url(settings.state_url)
        return cls(url.set(password=password) if password else url, clock)

    # -- what the engine decided

    def subscribe(self, listener: Listener) -> None:
        """`listener` is called with every applied batch after its commit, in the writing thread; it must not raise."""
        self._listeners.append(listener)

    def apply(self, seq: int, changes: Sequence[Change]) -> None:
        """Write the changes of journal entry `seq`, in order, in one transaction. Idempotent.

        An incident change that may interest people also gets an outbox row: every one that is not merely suspected,
        and of resolved ones only those that were more than suspected before.
        """
        if not changes:
            return
        incidents = [(c, c.incident, _encode(c.incident)) for c in changes if c.incident is not None]
        flags = [(c, c.flag) for c in changes if c.flag is not None]
        applied = max(self._applied, seq)
        with self.write() as connection:
            if incidents:
                rows = [_incident_row(seq, i, body) for _, i, body in incidents]
                connection.execute(self.upsert(t.incidents, _newer_incident), rows)
                history = [_history_row(seq, c, i, body) for c, i, body in incidents]
                connection.execute(self.insert_new(t.incident_history), history)
                if joined := [
                    {"incident_id": i.incident_id, "line_id": line, "joined_ns": c.at_ns}
                    for c, i, _ in incidents
                    for line in c.lines_added
                ]:
                    connection.execute(self.insert_new(t.incident_lines), joined)
                told = self._told(connection, {i.incident_id for _, i, _ in incidents})
                if letters := list(_letters(incidents, told)):
                    connection.execute(self.insert_new(t.outbox), letters)
            if flags:
                connection.execute(self.upsert(t.flags, _newer_flag), [_flag_row(c, f) for c, f in flags])
            connection.execute(self.upsert(t.meta), {"name": "applied_seq", "value": str(applied)})
        self._applied = applied
        for listener in self._listeners:
            listener(changes)

    @property
    def applied_seq(self) -> int:
        """The newest journal entry that changed anything here; -1: none yet."""
        return self._applied

    @staticmethod
    def _told(connection: Any, ids: set[str]) -> dict[str, int]:
        """Of these incidents those that were ever more than suspected, with the first such revision."""
        found: dict[str, int] = {}
        wanted = sorted(ids)
        row = t.outbox.c
        for low in range(0, len(wanted), 500):  # SQLite bounds the number of parameters
            part = wanted[low : low + 500]
            query = select(row.incident_id, func.min(row.revision)).where(row.incident_id.in_(part))
            found.update({r[0]: r[1] for r in connection.execute(query.group_by(row.incident_id))})
        return found

    # -- incidents

    def incident(self, incident_id: str) -> Incident | None:
        with self.read() as connection:
            body = connection.scalar(select(t.incidents.c.body).where(t.incidents.c.incident_id == incident_id))
        return _incident.decode(body) if body is not None else None

    def incidents(
        self,
        status: str | Iterable[str] | None = None,
        element: str = "",
        since_ns: int | None = None,
        limit: int = 50,
        cursor: str = "",
        kind: str | Iterable[str] | None = None,
    ) -> IncidentPage:
        """Newest start first. `element`: a path; incidents scoped to it or to anything under it. `since_ns`: those
        that are unresolved or were resolved at or after it. `limit` is held between 1 and 1000.

        Raises ValueError for a cursor that no page gave.
        """
        limit = max(1, min(limit, MAX_PAGE))
        row = t.incidents.c
        where: list[ColumnElement[bool]] = []
        if status is not None:
            where.append(row.status.in_([status] if isinstance(status, str) else list(status)))
        if kind is not None:
            where.append(row.kind.in_([kind] if isinstance(kind, str) else list(kind)))
        if element:
            under = element + "/"
            where.append(row.scope_kind == "element")
            where.append(or_(row.scope_name == element, func.substr(row.scope_name, 1, len(under)) == under))
        if since_ns is not None:
            where.append(or_(row.resolved_ns.is_(None), row.resolved_ns >= since_ns))
        if cursor:
            started_ns, incident_id = _read_cursor(cursor)
            where.append(
                or_(row.started_ns < started_ns, and_(row.started_ns == started_ns, row.incident_id < incident_id))
            )
        query = select(row.body).where(*where).order_by(row.started_ns.desc(), row.incident_id.desc()).limit(limit + 1)
        with self.read() as connection:
            items = [_incident.decode(body) for body in connection.scalars(query)]
        more = len(items) > limit
        items = items[:limit]
        return IncidentPage(items, f"{items[-1].started_ns}:{items[-1].incident_id}" if more else "")

    def open_incidents(self) -> list[Incident]:
        """Every unresolved incident, suspected ones too, newest start first."""
        row = t.incidents.c
        query = select(row.body).where(row.status != IncidentStatus.RESOLVED.value).order_by(row.started_ns.desc())
        with self.read() as connection:
            return [_incident.decode(body) for body in connection.scalars(query)]

    def incident_lines(self, incident_id: str) -> list[str]:
        """line_ids that were ever affected, in the order they joined."""
        row = t.incident_lines.c
        query = select(row.line_id).where(row.incident_id == incident_id).order_by(row.joined_ns, row.line_id)
        with self.read() as connection:
            return list(connection.scalars(query))

    def incident_history(self, incident_id: str) -> list[HistoryEntry]:
        """Every change of it, oldest first."""
        row = t.incident_history.c
        query = (
            select(row.at_ns, row.what, row.revision, row.body)
            .where(row.incident_id == incident_id)
            .order_by(row.revision, row.at_ns)
        )
        with self.read() as connection:
            return [HistoryEntry(a, w, r, _incident.decode(b)) for a, w, r, b in connection.execute(query)]

    def incidents_of_line(self, line_id: str, since_ns: int = 0, limit: int = 50) -> list[Incident]:
        """Incidents that ever held this line and were unresolved at or after `since_ns`, newest start first."""
        row, joined = t.incidents.c, t.incident_lines.c
        query = (
            select(row.body)
            .join(t.incident_lines, joined.incident_id == row.incident_id)
            .where(joined.line_id == line_id, or_(row.resolved_ns.is_(None), row.resolved_ns >= since_ns))
            .order_by(row.started_ns.desc())
            .limit(limit)
        )
        with self.read() as connection:
            return [_incident.decode(body) for body in connection.scalars(query)]

    # -- flags

    def flags(
        self, open_only: bool = True, subject: str = "", since_ns: int | None = None, limit: int = 10_000
    ) -> list[Flag]:
        """Newest start first. `since_ns`: those that are open or ended at or after it."""
        row = t.flags.c
        where: list[ColumnElement[bool]] = []
        if open_only:
            where.append(row.ended_ns.is_(None))
        if subject:
            where.append(row.subject == subject)
        if since_ns is not None:
            where.append(or_(row.ended_ns.is_(None), row.ended_ns >= since_ns))
        query = select(row.body).where(*where).order_by(row.started_ns.desc(), row.flag_id).limit(limit)
        with self.read() as connection:
            return [_flag.decode(body) for body in connection.scalars(query)]

    # -- what people and outside systems said

    def record_event(self, event: Event) -> bool:
        """Remember an event that has an event_id; False when it was known already (the same delivery again).

        Call it once the event is in the journal: remembered before, a crash in between would lose the repetition."""
        row = {"event_id": event.event_id, "at_ns": event.at_ns, "subject": event.subject, "kind": event.kind}
        with self.write() as connection:
            return bool(connection.execute(self.insert_new(t.human_events), {**row, "body": _encode(event)}).rowcount)

    def known_event(self, event_id: str) -> Event | None:
        """The event that was recorded under this id."""
        with self.read() as connection:
            body = connection.scalar(select(t.human_events.c.body).where(t.human_events.c.event_id == event_id))
        return _event.decode(body) if body is not None else None

    def events(self, subject: str = "", since_ns: int = 0, limit: int = 1000, kinds: Sequence[str] = ()) -> list[Event]:
        """Recorded events, newest first; `kinds` empty: of all kinds."""
        row = t.human_events.c
        where = [row.at_ns >= since_ns, *([row.subject == subject] if subject else [])]
        if kinds:
            where.append(row.kind.in_(list(kinds)))
        query = select(row.body).where(*where).order_by(row.at_ns.desc(), row.event_id).limit(limit)
        with self.read() as connection:
            return [_event.decode(body) for body in connection.scalars(query)]

    # -- the rest

    def meta(self, name: str) -> str | None:
        with self.read() as connection:
            value: str | None = connection.scalar(select(t.meta.c.value).where(t.meta.c.name == name))
        return value

    def set_meta(self, values: Mapping[str, str]) -> None:
        with self.write() as connection:
            connection.execute(self.upsert(t.meta), [{"name": k, "value": v} for k, v in values.items()])

    def prune(self, before_ns: int) -> int:
        """Forget incidents resolved, flags ended and events older than `before_ns`; returns the number of incidents.

        The audit trail stays."""
        old = select(t.incidents.c.incident_id).where(t.incidents.c.resolved_ns < before_ns)
        with self.write() as connection:
            gone = list(connection.scalars(old))
            for table in (t.incident_history, t.incident_lines, t.outbox, t.deliveries, t.incidents):
                if gone:
                    query = delete(table).where(table.c.incident_id == bindparam("gone"))
                    connection.execute(query, [{"gone": i} for i in gone])
            connection.execute(delete(t.flags).where(t.flags.c.ended_ns < before_ns))
            connection.execute(delete(t.human_events).where(t.human_events.c.at_ns < before_ns))
            connection.execute(delete(t.sessions).where(t.sessions.c.expires_ns < before_ns))
        return len(gone)


_Row = tuple[Change, Incident, bytes]


def _letters(incidents: Sequence[_Row], told: dict[str, int]) -> Iterable[dict[str, Any]]:
    first = dict(told)
    for change, incident, body in incidents:
        if incident.status is IncidentStatus.SUSPECTED:
            continue
        # Compared with the first revision told, not only whether one was: applied again, the answer must be the same.
        told_before = first.get(incident.incident_id, incident.revision) < incident.revision
        if incident.status is IncidentStatus.RESOLVED and not told_before:
            continue
        first.setdefault(incident.incident_id, incident.revision)
        yield {
            "incident_id": incident.incident_id,
            "revision": incident.revision,
            "at_ns": change.at_ns,
            "what": change.what,
            "status": incident.status.value,
            "body": body,
        }


def _incident_row(seq: int, incident: Incident, body: bytes) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "revision": incident.revision,
        "kind": incident.kind.value,
        "status": incident.status.value,
        "severity": incident.severity.value,
        "scope_kind": incident.scope.kind.value,
        "scope_name": incident.scope.name,
        "cause": incident.cause,
        "started_ns": incident.started_ns,
        "updated_ns": incident.updated_ns,
        "resolved_ns": incident.resolved_ns,
        "seq": seq,
        "body": body,
    }


def _history_row(seq: int, change: Change, incident: Incident, body: bytes) -> dict[str, Any]:
    key = {"incident_id": incident.incident_id, "revision": incident.revision, "what": change.what}
    return {**key, "at_ns": change.at_ns, "seq": seq, "body": body}


def _flag_row(change: Change, flag: Flag) -> dict[str, Any]:
    return {
        "flag_id": flag.flag_id,
        "subject": flag.subject,
        "kind": flag.kind.value,
        "started_ns": flag.started_ns,
        "detected_ns": flag.detected_ns,
        "ended_ns": flag.ended_ns,
        "at_ns": change.at_ns,
        "body": _encode(flag),
    }


def _newer_incident(new: Any) -> ColumnElement[bool]:
    # By time as well as by revision: after a restart from an older snapshot with other settings, the engine's numbers
    # may be lower than before, and the newest word must still win.
    return or_(new.revision > t.incidents.c.revision, new.updated_ns >= t.incidents.c.updated_ns)


def _newer_flag(new: Any) -> ColumnElement[bool]:
    newer: ColumnElement[bool] = new.at_ns >= t.flags.c.at_ns
    return newer


def _read_cursor(cursor: str) -> tuple[int, str]:
    started, colon, incident_id = cursor.partition(":")
    try:
        if colon and incident_id:
            return int(started), incident_id
    except ValueError:
        pass
    raise ValueError(f"cursor {cursor!r} is not one that a page of incidents gave")
