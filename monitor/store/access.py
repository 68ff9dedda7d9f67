"""Who may do what, and who did: API keys, the page's sessions, the audit trail.

A key reads `fl_ID_SECRET`. Only SHA-256 of the secret is stored: it has 192 random bits, so a slow hash would protect
nothing and cost each request. Times are ns UTC.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, insert, or_, select, update

from monitor.clock import NS, Clock
from monitor.store import tables as t
from monitor.store.database import Database

USED_STEP_NS = 60 * NS  # "last used" is written at most this often


class NewKey(NamedTuple):
    """`secret` is shown once and stored nowhere; `text` is the whole key as a client sends it."""

    key_id: str
    secret: str

    @property
    def text(self) -> str:
        return f"fl_{self.key_id}_{self.secret}"


class ApiKey(msgspec.Struct, frozen=True):
    key_id: str
    name: str
    role: str
    created_ns: int
    expires_ns: int | None = None
    revoked_ns: int | None = None
    last_used_ns: int | None = None
    regions: tuple[str, ...] = ()  # empty: every region


class Session(msgspec.Struct, frozen=True):
    name: str
    role: str
    key_id: str
    created_ns: int
    expires_ns: int
    user: str = ""
    regions: tuple[str, ...] = ()  # empty: every region


class AuditEntry(msgspec.Struct, frozen=True):
    audit_id: int
    at_ns: int
    who: str
    action: str
    subject: str
    detail: str
    address: str


class Access:
    """Part of StateStore. Roles are the API's; here they are only kept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now_ns(self) -> int:
        return self._clock.now_ns()

    # -- keys

    def create_key(self, name: str, role: str, expires_ns: int | None = None, regions: Sequence[str] = ()) -> NewKey:
        """A new key; give `NewKey.text` to its owner, nobody can show it again."""
        key = NewKey(secrets.token_hex(5), secrets.token_hex(24))
        row = {"key_id": key.key_id, "name": name, "role": role, "secret_sha256": _sha256(key.secret)}
        with self._database.write() as connection:
            made = {
                **row,
                "created_ns": self._clock.now_ns(),
                "expires_ns": expires_ns,
                "regions": write_regions(regions),
            }
            connection.execute(insert(t.api_keys), made)
        return key

    def check_key(self, text: str, now_ns: int) -> ApiKey | None:
        """The key that `text` (fl_ID_SECRET) is; None when it is unknown, wrong, expired or revoked."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != "fl" or not key_id or not secret:
            return None
        with self._database.read() as connection:
            row = connection.execute(select(t.api_keys).where(t.api_keys.c.key_id == key_id)).first()
        # Compared also when there is no such key, so that an answer's time does not tell which ids exist.
        known = hmac.compare_digest(row.secret_sha256 if row else _sha256("-"), _sha256(secret))
        if row is None or not known:
            return None
        key = _key(row)
        if key.revoked_ns is not None or (key.expires_ns is not None and now_ns >= key.expires_ns):
            return None
        if key.last_used_ns is None or now_ns - key.last_used_ns >= USED_STEP_NS:
            with self._database.write() as connection:
                used = update(t.api_keys).where(t.api_keys.c.key_id == key_id).values(last_used_ns=now_ns)
                connection.execute(used)
        return key

    def list_keys(self) -> list[ApiKey]:
        """Every key, revoked ones too, oldest first."""
        with self._database.read() as connection:
            query = select(t.api_keys).order_by(t.api_keys.c.created_ns, t.api_keys.c.key_id)
            return [_key(row) for row in connection.execute(query)]

    def revoke_key(self, key_id: str) -> bool:
        """End a key and its sessions at once; False when there is no such key, or it was revoked before."""
        keys = t.api_keys.c
        with self._database.write() as connection:
            ended = update(t.api_keys).where(keys.key_id == key_id, keys.revoked_ns.is_(None))
            done = connection.execute(ended.values(revoked_ns=self._clock.now_ns())).rowcount
            connection.execute(delete(t.sessions).where(t.sessions.c.key_id == key_id))
        return bool(done)

    # -- sessions

    def create_session(self, name: str, role: str, expires_ns: int, key_id: str = "", user: str = "") -> str:
        """The token for the page's cookie. What ends or changes the key `key_id` or the account `user` ends or changes
        the session too."""
        token = secrets.token_urlsafe(32)
        row = {"token_sha256": _sha256(token), "name": name, "role": role, "key_id": key_id, "user_name": user}
        with self._database.write() as connection:
            now_ns = self._clock.now_ns()
            connection.execute(delete(t.sessions).where(t.sessions.c.expires_ns <= now_ns))
            connection.execute(insert(t.sessions), {**row, "created_ns": now_ns, "expires_ns": expires_ns})
        return token

    def check_session(self, token: str, now_ns: int) -> Session | None:
        """The session of a cookie, with the role and regions of now; None when unknown, expired or ended, when its key
        has expired, or its account is gone or disabled."""
        row, key, user = t.sessions.c, t.api_keys.c, t.users.c
        query = (
            select(t.sessions, key.regions.label("key_regions"), user.role.label("user_role"))
            .add_columns(user.regions.label("user_regions"), user.disabled_ns)
            .outerjoin(t.api_keys, key.key_id == row.key_id)
            .outerjoin(t.users, user.name == row.user_name)
            .where(row.token_sha256 == _sha256(token), row.expires_ns > now_ns)
            .where(or_(key.expires_ns.is_(None), key.expires_ns > now_ns))
        )
        with self._database.read() as connection:
            found = connection.execute(query).first()
        if found is None or (found.user_name and (found.user_role is None or found.disabled_ns is not None)):
            return None
        role = found.user_role if found.user_name else found.role
        regions = read_regions((found.user_regions if found.user_name else found.key_regions) or "")
        return Session(found.name, role, found.key_id, found.created_ns, found.expires_ns, found.user_name, regions)

    def end_session(self, token: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(t.sessions).where(t.sessions.c.token_sha256 == _sha256(token)))

    # -- audit

    def audit(self, who: str, action: str, subject: str = "", detail: str = "", address: str = "") -> None:
        """Note that `who` did `action` to `subject`. The database refuses to change or delete what stands there."""
        row = {"at_ns": self._clock.now_ns(), "who": who, "action": action, "subject": subject}
        with self._database.write() as connection:
            connection.execute(insert(t.audit), {**row, "detail": detail, "address": address})

    def audit_many(self, entries: Sequence[AuditEntry]) -> None:
        """Note many at once, in one transaction, each with its own time; their `audit_id` is given here."""
        rows = [
            {name: value for name, value in msgspec.structs.asdict(e).items() if name != "audit_id"} for e in entries
        ]
        if rows:
            with self._database.write() as connection:
                connection.execute(insert(t.audit), rows)

    def audit_missing(self, entries: Sequence[AuditEntry]) -> None:
        """Note those of `entries` that do not stand in the trail yet: a process may have ended after it wrote them."""
        if not entries:
            return
        row = t.audit.c
        first, last = min(e.at_ns for e in entries), max(e.at_ns for e in entries)
        with self._database.read() as connection:
            query = select(t.audit).where(row.at_ns >= first, row.at_ns <= last)
            known = {tuple(found)[1:] for found in connection.execute(query)}
        unknown = {msgspec.structs.astuple(e)[1:]: e for e in entries}
        self.audit_many([e for key, e in unknown.items() if key not in known])

    def audit_trail(
        self,
        since_ns: int = 0,
        who: str = "",
        subject: str = "",
        limit: int = 100,
        before_id: int | None = None,
        action: str = "",
    ) -> list[AuditEntry]:
        """Newest first; `before_id` (the last audit_id seen) gives the next page."""
        row = t.audit.c
        where = [row.at_ns >= since_ns]
        given = ((row.who, who), (row.subject, subject), (row.action, action))
        where += [column == value for column, value in given if value]
        if before_id is not None:
            where.append(row.audit_id < before_id)
        with self._database.read() as connection:
            query = select(t.audit).where(*where).order_by(row.audit_id.desc()).limit(limit)
            return [AuditEntry(*found) for found in connection.execute(query)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def write_regions(regions: Sequence[str]) -> str:
    """As a column holds them: a JSON list, "" for every region."""
    return msgspec.json.encode(sorted(set(regions))).decode() if regions else ""


def read_regions(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...]) if text else ()


def _key(row: Any) -> ApiKey:
    times = (row.created_ns, row.expires_ns, row.revoked_ns, row.last_used_ns)
    return ApiKey(row.key_id, row.name, row.role, *times, read_regions(row.regions))
