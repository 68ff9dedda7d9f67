"""Local accounts: people with a name and a password, a role, and the regions they may see.

A password is kept as argon2id only (parameters stand in the hash, and a better default replaces it at the next login).
An account that a login service vouches for has an `external_id` and no password. Times are ns UTC.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select, update

from monitor.clock import Clock
from monitor.store import tables as t
from monitor.store.access import read_regions, write_regions
from monitor.store.database import Database

if TYPE_CHECKING:
    from argon2 import PasswordHasher

NAME_MAX = 100
PASSWORD_MIN, PASSWORD_MAX = 10, 200


class User(msgspec.Struct, frozen=True):
    name: str
    role: str
    regions: tuple[str, ...]
    created_ns: int
    disabled_ns: int | None = None
    last_login_ns: int | None = None
    external_id: str | None = None


class Users:
    """Part of StateStore. Hashing takes tens of milliseconds and 64 MB: never call from an event loop, and not many
    at the same time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._people = database
        self._now = clock.now_ns

    def create_user(
        self,
        name: str,
        role: str,
        password: str,
        regions: Sequence[str] = (),
        external_id: str | None = None,
    ) -> User:
        """Raises ValueError: a bad name or password, or the name is taken."""
        if wrong := wrong_name(name):
            raise ValueError(wrong)
        if external_id is None and (wrong := wrong_password(password, name)):
            raise ValueError(wrong)
        hashed = _hasher().hash(password) if external_id is None else ""
        row = {"name": name, "role": role, "regions": write_regions(regions), "password_hash": hashed}
        with self._people.write() as connection:
            made = {**row, "external_id": external_id, "created_ns": self._now()}
            if not connection.execute(self._people.insert_new(t.users), made).rowcount:
                raise ValueError(f"there is an account {name!r} already")
            found = connection.execute(select(t.users).where(t.users.c.name == name)).one()
        return _user(found)

    def user(self, name: str) -> User | None:
        with self._people.read() as connection:
            row = connection.execute(select(t.users).where(t.users.c.name == name)).first()
        return _user(row) if row is not None else None

    def list_users(self) -> list[User]:
        """Every account, disabled ones too, by name."""
        with self._people.read() as connection:
            return [_user(row) for row in connection.execute(select(t.users).order_by(t.users.c.name))]

    def check_password(self, name: str, password: str) -> User | None:
        """The account, or None: unknown, disabled, or the password is wrong; each takes the same time."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._people.read() as connection:
            row = connection.execute(select(t.users).where(t.users.c.name == name)).first()
        known = row is not None and bool(row.password_hash)
        hashed = row.password_hash if row is not None and known else _nobodys_hash()
        try:
            _hasher().verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return None
        if row is None or not known or row.disabled_ns is not None:
            return None
        changed: dict[str, Any] = {"last_login_ns": self._now()}
        if _hasher().check_needs_rehash(hashed):
            changed["password_hash"] = _hasher().hash(password)
        with self._people.write() as connection:
            connection.execute(update(t.users).where(t.users.c.name == name).values(changed))
        return _user(row)

    def change_user(
        self,
        name: str,
        role: str | None = None,
        regions: Sequence[str] | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> bool:
        """Change what is given; a new password or disabling ends the account's sessions. False: no such account.

        Raises ValueError for a password that is too weak."""
        values: dict[str, Any] = {}
        if role is not None:
            values["role"] = role
        if regions is not None:
            values["regions"] = write_regions(regions)
        if password is not None:
            if wrong := wrong_password(password, name):
                raise ValueError(wrong)
            values["password_hash"] = _hasher().hash(password)
        if disabled is not None:
            values["disabled_ns"] = self._now() if disabled else None
        with self._people.write() as connection:
            known = connection.execute(select(t.users.c.name).where(t.users.c.name == name)).first() is not None
            if known and values:
                connection.execute(update(t.users).where(t.users.c.name == name).values(values))
            if password is not None or disabled:
                connection.execute(delete(t.sessions).where(t.sessions.c.user_name == name))
        return known

    def delete_user(self, name: str) -> bool:
        """Remove the account and its sessions; the audit trail keeps what it did. False: no such account."""
        with self._people.write() as connection:
            connection.execute(delete(t.sessions).where(t.sessions.c.user_name == name))
            return bool(connection.execute(delete(t.users).where(t.users.c.name == name)).rowcount)


def wrong_name(name: str) -> str:
    """What is wrong with the name of an account, or ""."""
    if not name or len(name) > NAME_MAX or name != name.strip() or not name.isprintable():
        return f"a name has 1 to {NAME_MAX} visible characters and no blanks around it"
    return ""


def wrong_password(password: str, name: str) -> str:
    """What is wrong with a new password, or "". Length is what counts (NIST SP 800-63B); no rules of composition."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        return f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters"
    if len(set(password)) < 5 or password.casefold() == name.casefold():
        return "this password is too easy to guess"
    try:
        password.encode()
    except UnicodeEncodeError:
        return "a password consists of characters that can be written as UTF-8"
    return ""


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # RFC 9106's second choice is the library's default: 64 MB, three passes

    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """Something to compare with when there is no such account, so that the answer takes as long."""
    return _hasher().hash("nobody has this password")


def _user(row: Any) -> User:
    times = (row.created_ns, row.disabled_ns, row.last_login_ns)
    return User(row.name, row.role, read_regions(row.regions), *times, row.external_id)


__all__ = ["User", "Users", "wrong_name", "wrong_password"]
