"""What must be told to people: one row per incident revision, written with the change itself; read per receiver.

A receiver is given each incident's *latest* revision that it has not seen, so a burst of changes becomes one message.
The way of one delivery: pending -> begin -> sent | failed (again later) | dead (given up until there is news) |
skipped (not for this receiver, with a named reason) | postponed (later, or at once when there is news).
`begin` leaves an intent on disk: after a crash the delivery comes back with `in_doubt`, and the receiver can look
whether its message got out. Times are ns UTC. Any thread may call.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, insert, literal, or_, select, update
from sqlalchemy.sql import Select

from monitor.records import Alert, Incident, IncidentStatus
from monitor.store import tables as t
from monitor.store.state import StateStore

_incident = msgspec.json.Decoder(Incident)
MAX_ERROR = 2000


class Delivery(msgspec.Struct, frozen=True):
    """One incident that `receiver` is to be told about, as of its newest revision `alert.incident.revision`.

    `whats`: what happened in all unseen revisions, oldest first. `seen_revision`: the newest this receiver was sent, 0
    when none. `reference`: the receiver's own handle of that message. `attempts`: failures so far. `in_doubt`: the
    revision whose sending was begun and never concluded, 0 if none.
    """

    receiver: str
    incident_id: str
    revision: int
    alert: Alert
    whats: tuple[str, ...]
    reference: str = ""
    seen_revision: int = 0
    attempts: int = 0
    in_doubt: int = 0
    first_at_ns: int = 0  # of the oldest unseen revision: since when somebody waits

    @property
    def is_first(self) -> bool:
        return self.seen_revision == 0


class DeadLetter(msgspec.Struct, frozen=True):
    receiver: str
    incident_id: str
    revision: int
    error: str
    at_ns: int


class DeliveryState(msgspec.Struct, frozen=True):
    """What stands about one incident and one receiver; see the table `deliveries`. `note`: the last error or reason."""

    receiver: str
    incident_id: str
    sent_revision: int
    settled_revision: int
    sending_revision: int
    reference: str
    attempts: int
    next_attempt_ns: int
    note: str
    dead: bool
    changed_ns: int


class Outbox:
    def __init__(self, store: StateStore) -> None:
        self.store = self._store = store
        self._known: set[str] = set()

    def pending(self, receiver: str, now_ns: int, limit: int = 100) -> list[Delivery]:
        """Incidents with news for this receiver that are due, the longest waiting first.

        A receiver seen for the first time is told of what is unresolved, not of the past.
        """
        self._register(receiver, now_ns)
        d = t.deliveries.c
        due = or_(
            d.incident_id.is_(None),
            d.next_attempt_ns <= now_ns,
            and_(d.postponed_revision > 0, func.max(t.outbox.c.revision) > d.postponed_revision),
        )
        with self._store.read() as connection:
            newest = connection.scalar(select(func.max(t.outbox.c.outbox_id)))
            heads = connection.execute(self._news(receiver).having(due).limit(limit)).all()
            found = [self._delivery(connection, receiver, head) for head in heads]
            nothing = not heads and connection.execute(self._news(receiver).limit(1)).first() is None
        if nothing and newest is not None:
            self._settled_through(receiver, newest)
        return found

    def next_due_ns(self, receiver: str) -> int | None:
        """When the next delivery is due (0: now), None when nothing waits. For sleeping until then."""
        with self._store.read() as connection:
            rows = connection.execute(self._news(receiver)).all()
        times = [
            0 if r.next_attempt_ns is None or 0 < r.postponed_revision < r.revision else r.next_attempt_ns for r in rows
        ]
        return min(times, default=None)

    def begin(self, delivery: Delivery) -> None:
        """Write down that this revision is about to be sent; do it before calling the receiver."""
        self._write(delivery, sending_revision=delivery.revision)

    def sent(self, delivery: Delivery, reference: str = "") -> None:
        """The receiver has it. `reference` comes back with the next revision; "" keeps the one there is."""
        self._write(
            delivery,
            sent_revision=delivery.revision,
            settled_revision=delivery.revision,
            reference=reference or delivery.reference,
            **_FRESH,
        )

    def failed(self, delivery: Delivery, error: str, retry_at_ns: int) -> None:
        """Not sent; due again at `retry_at_ns`, with whatever is the newest revision then."""
        self._write(
            delivery,
            sending_revision=0,
            postponed_revision=0,
            attempts=delivery.attempts + 1,
            next_attempt_ns=retry_at_ns,
            last_error=error[:MAX_ERROR],
        )

    def postpone(self, delivery: Delivery, until_ns: int, reason: str) -> None:
        """Not yet: due at `until_ns`, or as soon as there is a newer revision. Not a failure."""
        self._write(
            delivery,
            sending_revision=0,
            postponed_revision=delivery.revision,
            next_attempt_ns=until_ns,
            last_error=reason[:MAX_ERROR],
        )

    def skip(self, delivery: Delivery, reason: str) -> None:
        """Not for this receiver, by the named `reason`; only a newer revision comes again."""
        self._write(delivery, settled_revision=delivery.revision, **{**_FRESH, "last_error": reason[:MAX_ERROR]})

    def dead(self, delivery: Delivery, error: str) -> None:
        """Given up: trying again cannot help. Shown in `dead_letters`; a newer revision is tried again."""
        given_up = {"dead": True, "last_error": error[:MAX_ERROR]}
        self._write(delivery, settled_revision=delivery.revision, **{**_FRESH, **given_up})

    def settle(self, connection: Connection, delivery: Delivery, reference: str) -> None:
        """As `sent`, inside the caller's transaction: the receiver is told of it by another message."""
        row = {"sent_revision": delivery.revision, "settled_revision": delivery.revision, "reference": reference}
        self._put(connection, delivery, {**row, **_FRESH})

    def put(self, what: str, incident: Incident) -> bool:
        """A letter that the engine did not write (a single line with an SLA). False when this revision is there."""
        row = {
            "incident_id": incident.incident_id,
            "revision": incident.revision,
            "at_ns": incident.updated_ns,
            "what": what,
            "status": incident.status.value,
            "body": msgspec.json.encode(incident),
        }
        with self._store.write() as connection:
            return bool(connection.execute(self._store.insert_new(t.outbox), row).rowcount)

    def newest(self, incident_id: str) -> Incident | None:
        """The last state of an incident that stands in the outbox."""
        o = t.outbox.c
        query = select(o.body).where(o.incident_id == incident_id).order_by(o.revision.desc()).limit(1)
        with self._store.read() as connection:
            body = connection.scalar(query)
        return _incident.decode(body) if body is not None else None

    def unresolved(self, prefix: str) -> list[Incident]:
        """Newest states of those whose id begins so and that are not over."""
        o = t.outbox.c
        newest = select(o.incident_id, func.max(o.revision).label("revision")).group_by(o.incident_id)
        newest = newest.where(o.incident_id >= prefix, o.incident_id < f"{prefix}\U0010ffff")
        n = newest.subquery()
        query = select(o.body).join(n, and_(n.c.incident_id == o.incident_id, n.c.revision == o.revision))
        with self._store.read() as connection:
            found = [_incident.decode(body) for body in connection.scalars(query)]
        return [incident for incident in found if incident.status is not IncidentStatus.RESOLVED]

    def told_since(self, receiver: str, since_ns: int) -> list[int]:
        """About when this receiver was sent something: the last note of each incident it was told of."""
        d = t.deliveries.c
        query = select(d.changed_ns).where(d.receiver == receiver, d.sent_revision > 0, d.changed_ns >= since_ns)
        with self._store.read() as connection:
            return list(connection.scalars(query.order_by(d.changed_ns)))

    def told_open(self, receiver: str) -> list[Delivery]:
        """Every unresolved incident that this receiver was sent and has no news of, to be said again."""
        o, d = t.outbox.c, t.deliveries.c
        newest = select(o.incident_id, func.max(o.revision).label("revision")).group_by(o.incident_id).subquery()
        query = (
            select(o.at_ns, o.what, o.body, d.reference, d.sent_revision)
            .join(newest, and_(newest.c.incident_id == o.incident_id, newest.c.revision == o.revision))
            .join(t.deliveries, and_(d.incident_id == o.incident_id, d.receiver == receiver))
            .where(d.sent_revision == o.revision, o.status != IncidentStatus.RESOLVED.value)
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        made = []
        for at_ns, what, body, reference, sent in rows:
            incident = _incident.decode(body)
            alert = Alert(f"{incident.incident_id}#{incident.revision}", at_ns, what, incident)
            made.append(
                Delivery(receiver, incident.incident_id, incident.revision, alert, (what,), reference or "", sent)
            )
        return made

    def dead_letters(self) -> list[DeadLetter]:
        d = t.deliveries.c
        query = select(d.receiver, d.incident_id, d.settled_revision, d.last_error, d.changed_ns).where(d.dead)
        with self._store.read() as connection:
            return [DeadLetter(*row) for row in connection.execute(query.order_by(d.changed_ns, d.incident_id))]

    def revive(self, receiver: str, incident_id: str) -> bool:
        """Try a dead letter again; False when it is none."""
        d = t.deliveries.c
        mine = (d.receiver == receiver, d.incident_id == incident_id)
        with self._store.write() as connection:
            row = {"settled_revision": d.sent_revision, "next_attempt_ns": 0, "dead": False, "attempts": 0}
            done = connection.execute(update(t.deliveries).where(*mine, d.dead).values(row)).rowcount
            everything_again = update(t.receivers).where(t.receivers.c.receiver == receiver).values(settled_id=0)
            connection.execute(everything_again)
        return bool(done)

    def reference(self, receiver: str, incident_id: str) -> str:
        """The receiver's handle of its message about an incident; "" when it has none."""
        d = t.deliveries.c
        with self._store.read() as connection:
            query = select(d.reference).where(d.receiver == receiver, d.incident_id == incident_id)
            return connection.scalar(query) or ""

    def states(self, incident_id: str) -> list[DeliveryState]:
        """What became of an incident at every receiver that has had to do with it, by name."""
        d = t.deliveries.c
        columns = [d.receiver, d.incident_id, d.sent_revision, d.settled_revision, d.sending_revision, d.reference]
        columns += [d.attempts, d.next_attempt_ns, d.last_error, d.dead, d.changed_ns]
        with self._store.read() as connection:
            rows = connection.execute(select(*columns).where(d.incident_id == incident_id).order_by(d.receiver))
            return [DeliveryState(*row) for row in rows]

    def waiting(self, receiver: str) -> int:
        """How many incidents have news for this receiver, due or not."""
        with self._store.read() as connection:
            return len(connection.execute(self._news(receiver)).all())

    # -- inside

    @staticmethod
    def _news(receiver: str) -> Select[Any]:
        """Per incident with unseen revisions: the newest revision, the oldest unseen, and the delivery's state."""
        o, d = t.outbox, t.deliveries
        start = select(t.receivers.c.settled_id).where(t.receivers.c.receiver == receiver).scalar_subquery()
        state = (
            d.c.sent_revision,
            d.c.settled_revision,
            d.c.sending_revision,
            d.c.postponed_revision,
            d.c.reference,
            d.c.attempts,
            d.c.next_attempt_ns,
        )
        return (
            select(
                o.c.incident_id,
                func.max(o.c.revision).label("revision"),
                func.min(o.c.at_ns).label("first_at_ns"),
                *state,
            )
            .outerjoin(d, and_(d.c.incident_id == o.c.incident_id, d.c.receiver == receiver))
            .where(o.c.outbox_id > func.coalesce(start, 0))
            .where(o.c.revision > func.coalesce(d.c.settled_revision, 0))
            .group_by(o.c.incident_id, d.c.incident_id, *state)
            .order_by(func.min(o.c.outbox_id))
        )

    @staticmethod
    def _delivery(connection: Connection, receiver: str, head: Any) -> Delivery:
        o = t.outbox.c
        unseen = select(o.at_ns, o.what, o.body).where(
            o.incident_id == head.incident_id, o.revision > (head.settled_revision or 0), o.revision <= head.revision
        )
        rows = connection.execute(unseen.order_by(o.revision)).all()
        at_ns, what, body = rows[-1]
        return Delivery(
            receiver=receiver,
            incident_id=head.incident_id,
            revision=head.revision,
            alert=Alert(f"{head.incident_id}#{head.revision}", at_ns, what, _incident.decode(body)),
            whats=tuple(row.what for row in rows),
            reference=head.reference or "",
            seen_revision=head.sent_revision or 0,
            attempts=head.attempts or 0,
            in_doubt=head.sending_revision or 0,
            first_at_ns=head.first_at_ns,
        )

    def _register(self, receiver: str, now_ns: int) -> None:
        """Make a receiver known; incidents resolved before it was count as settled for it."""
        if receiver in self._known:
            return
        o, row = t.outbox.c, {"receiver": receiver, "since_ns": now_ns, "settled_id": 0}
        resolved = t.incidents.c.status == IncidentStatus.RESOLVED.value
        past = (
            select(
                literal(receiver), o.incident_id, func.max(o.revision), literal("resolved before"), *[literal(0)] * 5
            )
            .join(t.incidents, t.incidents.c.incident_id == o.incident_id)
            .where(resolved)
            .group_by(o.incident_id)
        )
        d = t.deliveries.c
        columns = [d.receiver, d.incident_id, d.settled_revision, d.last_error, d.sent_revision, d.sending_revision]
        with self._store.write() as connection:
            if connection.execute(self._store.insert_new(t.receivers), row).rowcount:
                columns += [d.postponed_revision, d.attempts, d.next_attempt_ns]
                connection.execute(insert(t.deliveries).from_select(columns, past))
        self._known.add(receiver)

    def _settled_through(self, receiver: str, outbox_id: int) -> None:
        r = t.receivers.c
        with self._store.read() as connection:
            if connection.scalar(select(r.settled_id).where(r.receiver == receiver)) == outbox_id:
                return
        with self._store.write() as connection:
            # Only if still nothing is unsettled up to there: another thread may have revived a dead letter meanwhile.
            if connection.execute(self._news(receiver).where(t.outbox.c.outbox_id <= outbox_id).limit(1)).first():
                return
            mine = (r.receiver == receiver, r.settled_id < outbox_id)
            connection.execute(update(t.receivers).where(*mine).values(settled_id=outbox_id))

    def _write(self, delivery: Delivery, **values: Any) -> None:
        with self._store.write() as connection:
            self._put(connection, delivery, values)

    def _put(self, connection: Connection, delivery: Delivery, values: dict[str, Any]) -> None:
        key = {"receiver": delivery.receiver, "incident_id": delivery.incident_id}
        d = t.deliveries.c
        row = {**values, "changed_ns": self._store.now_ns()}
        mine = (d.receiver == delivery.receiver, d.incident_id == delivery.incident_id)
        if not connection.execute(update(t.deliveries).where(*mine).values(row)).rowcount:
            connection.execute(insert(t.deliveries), {**key, **row})


_FRESH: dict[str, Any] = {
    "sending_revision": 0,
    "postponed_revision": 0,
    "attempts": 0,
    "next_attempt_ns": 0,
    "last_error": "",
    "dead": False,
}
