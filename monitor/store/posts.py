"""Messages that are not one incident's, per receiver: the summary of a storm, and digests.

They are as durable as the outbox: written before they are sent, pending until they are noted as sent. A storm's summary
has no text of its own; it is written from its members when it is sent, so it is always the latest state. Joining a
storm settles the incident's delivery in the same transaction, so no incident can fall between. Times are ns UTC.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, and_, delete, func, select, update

from monitor.records import Incident, IncidentStatus
from monitor.store import tables as t
from monitor.store.outbox import Delivery, Outbox
from monitor.store.state import StateStore

STORM, DIGEST = "storm", "digest"
LINE_PREFIX = "line-"  # incident_ids of single lines with an SLA: they stand in the outbox alone
_incident = msgspec.json.Decoder(Incident)
MAX_ERROR = 2000


class Post(msgspec.Struct, frozen=True):
    """`reference`: what the receiver was told of it. `joined_ns`: when the last incident joined."""

    receiver: str
    post_id: str
    kind: str
    revision: int
    sent_revision: int
    created_ns: int
    joined_ns: int
    closed: bool
    body: bytes
    reference: str
    attempts: int
    next_attempt_ns: int
    last_error: str

    @property
    def incident_id(self) -> str:
        return self.post_id

    @property
    def first_at_ns(self) -> int:
        return self.created_ns


class Posts:
    def __init__(self, store: StateStore, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    def put(self, receiver: str, post_id: str, kind: str, body: bytes = b"") -> bool:
        """A new message; False when there is one of that name (it is left alone)."""
        now_ns = self._store.now_ns()
        row = Post(receiver, post_id, kind, 1, 0, now_ns, now_ns, False, body, "", 0, 0, "")
        with self._store.write() as connection:
            made = connection.execute(self._store.insert_new(t.alert_posts), msgspec.structs.asdict(row))
        return bool(made.rowcount)

    def storm(self, receiver: str) -> Post | None:
        """The storm of this receiver that still takes incidents in."""
        p = t.alert_posts.c
        query = select(t.alert_posts).where(p.receiver == receiver, p.kind == STORM, p.closed.is_(False))
        with self._store.read() as connection:
            row = connection.execute(query.order_by(p.created_ns.desc()).limit(1)).first()
        return Post(*row) if row else None

    def join(self, post_id: str, deliveries: Sequence[tuple[Delivery, str]]) -> None:
        """Incidents become part of a storm (which is made if need be), or have news as part of it. With each, what
        stands as its reference from now on. All or nothing."""
        if not deliveries:
            return
        now_ns, receiver = self._store.now_ns(), deliveries[0][0].receiver
        p = t.alert_posts.c
        row = Post(receiver, post_id, STORM, 0, 0, now_ns, now_ns, False, b"", "", 0, 0, "")
        member = {"receiver": receiver, "post_id": post_id, "joined_ns": now_ns}
        members = [{**member, "incident_id": d.incident_id} for d, _ in deliveries]
        with self._store.write() as connection:
            connection.execute(self._store.insert_new(t.alert_posts), msgspec.structs.asdict(row))
            before = self._count(connection, receiver, post_id)
            connection.execute(self._store.insert_new(t.alert_members), members)
            changes = {"revision": p.revision + 1}
            if self._count(connection, receiver, post_id) > before:
                changes["joined_ns"] = now_ns  # type: ignore[assignment]
            mine = (p.receiver == receiver, p.post_id == post_id)
            connection.execute(update(t.alert_posts).where(*mine).values(changes))
            for delivery, reference in deliveries:
                self._outbox.settle(connection, delivery, reference)

    def members(self, receiver: str, post_id: str) -> list[Incident]:
        """Each in its newest state, in the order they joined. What has been pruned is missing."""
        m, o = t.alert_members.c, t.outbox.c
        newest = select(o.incident_id, func.max(o.revision).label("revision")).group_by(o.incident_id).subquery()
        query = (
            select(o.body)
            .join(newest, and_(newest.c.incident_id == o.incident_id, newest.c.revision == o.revision))
            .join(t.alert_members, m.incident_id == o.incident_id)
            .where(m.receiver == receiver, m.post_id == post_id)
            .order_by(m.joined_ns, m.incident_id)
        )
        with self._store.read() as connection:
            return [_incident.decode(body) for body in connection.scalars(query)]

    def pending(self, receiver: str, now_ns: int) -> list[Post]:
        """Those that are due, oldest first."""
        p = t.alert_posts.c
        due = (p.receiver == receiver, p.revision > p.sent_revision, p.next_attempt_ns <= now_ns)
        with self._store.read() as connection:
            return [Post(*row) for row in connection.execute(select(t.alert_posts).where(*due).order_by(p.created_ns))]

    def of(self, receiver: str, post_id: str) -> Post | None:
        p = t.alert_posts.c
        with self._store.read() as connection:
            row = connection.execute(select(t.alert_posts).where(p.receiver == receiver, p.post_id == post_id)).first()
        return Post(*row) if row else None

    def sent(self, post: Post, reference: str) -> None:
        self._write(
            post, sent_revision=post.revision, reference=reference, attempts=0, next_attempt_ns=0, last_error=""
        )

    def failed(self, post: Post, error: str, retry_at_ns: int) -> None:
        self._write(post, attempts=post.attempts + 1, next_attempt_ns=retry_at_ns, last_error=error[:MAX_ERROR])

    def postpone(self, post: Post, until_ns: int, reason: str) -> None:
        self._write(post, next_attempt_ns=until_ns, last_error=reason[:MAX_ERROR])

    def dead(self, post: Post, error: str) -> None:
        """Given up; a newer revision is tried again."""
        self._write(post, sent_revision=post.revision, attempts=0, next_attempt_ns=0, last_error=error[:MAX_ERROR])

    def close(self, post: Post) -> None:
        """It takes no new incidents in; those it has are still told as part of it."""
        self._write(post, closed=True)

    def prune(self, before_ns: int) -> None:
        """Forget posts that have not changed since, and single lines that were up again by then."""
        p, m, o, d = t.alert_posts.c, t.alert_members.c, t.outbox.c, t.deliveries.c
        with self._store.write() as connection:
            old = (p.joined_ns < before_ns, p.sent_revision >= p.revision)
            gone = select(p.post_id).where(*old)
            connection.execute(delete(t.alert_members).where(m.post_id.in_(gone)))
            connection.execute(delete(t.alert_posts).where(*old))
            over = (o.status == IncidentStatus.RESOLVED.value, o.at_ns < before_ns)
            lines = list(connection.scalars(select(o.incident_id).where(o.incident_id.startswith(LINE_PREFIX), *over)))
            for low in range(0, len(lines), 500):
                part = lines[low : low + 500]
                connection.execute(delete(t.outbox).where(o.incident_id.in_(part)))
                connection.execute(delete(t.deliveries).where(d.incident_id.in_(part)))

    @staticmethod
    def _count(connection: Connection, receiver: str, post_id: str) -> int:
        m = t.alert_members.c
        query = select(func.count()).where(m.receiver == receiver, m.post_id == post_id)
        return int(connection.scalar(query) or 0)

    def _write(self, post: Post, **values: object) -> None:
        p = t.alert_posts.c
        with self._store.write() as connection:
            mine = (p.receiver == post.receiver, p.post_id == post.post_id)
            connection.execute(update(t.alert_posts).where(*mine).values(values))
