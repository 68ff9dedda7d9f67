"""Keys, sessions, audit: nothing secret is stored, nothing ended still works, nothing noted goes away."""

import pytest
import sqlalchemy as sa

from monitor.clock import NS
from monitor.store import tables
from monitor.store.state import StateStore


def test_a_key_works_until_it_expires_or_is_revoked(store, clock):
    """The text given out is accepted; another secret, an unknown id, an expired or revoked key are not."""
    now = clock.now_ns()
    key = store.create_key("desk", "agent", now + 100)
    assert key.text == f"fl_{key.key_id}_{key.secret}"
    found = store.check_key(key.text, now)
    assert (found.name, found.role, found.key_id) == ("desk", "agent", key.key_id)
    for wrong in (
        "",
        "fl_",
        key.text[:-1],
        key.text + "0",
        f"fl_nix_{key.secret}",
        key.secret,
        "fl__" + key.secret,
        "ü",
    ):
        assert store.check_key(wrong, now) is None
    assert store.check_key(key.text, now + 100) is None
    other = store.create_key("noc", "noc")
    assert store.revoke_key(other.key_id)
    assert not store.revoke_key(other.key_id)
    assert store.check_key(other.text, now) is None
    assert sorted(k.name for k in store.list_keys()) == ["desk", "noc"]


def test_no_secret_is_in_the_database(store, tmp_path):
    """Neither a key's secret nor a session's token can be found in the files."""
    key = store.create_key("desk", "agent")
    token = store.create_session("desk", "agent", 9 * 10**18, key.key_id)
    store.close()
    raw = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert key.key_id.encode() in raw
    assert key.secret.encode() not in raw
    assert token.encode() not in raw


def test_last_use_is_noted_once_a_minute(store, clock):
    """Using a key does not cost a write each time."""
    now = clock.now_ns()
    key = store.create_key("desk", "agent")
    store.check_key(key.text, now)
    store.check_key(key.text, now + 30 * NS)
    assert store.list_keys()[0].last_used_ns == now
    store.check_key(key.text, now + 60 * NS)
    assert store.list_keys()[0].last_used_ns == now + 60 * NS


def test_a_session_ends_with_its_key_its_time_or_by_hand(store, clock):
    """A cookie is good until it expires, is ended, or its key is revoked or expires."""
    now = clock.now_ns()
    key = store.create_key("desk", "agent", now + 50)
    token = store.create_session("desk", "agent", now + 100, key.key_id)
    assert store.check_session(token, now).name == "desk"
    assert store.check_session(token[:-1], now) is None
    assert store.check_session(token, now + 50) is None
    free = store.create_session("jo", "noc", now + 100)
    assert store.check_session(free, now + 99).role == "noc"
    assert store.check_session(free, now + 100) is None
    store.end_session(free)
    assert store.check_session(free, now) is None
    store.revoke_key(key.key_id)
    assert store.check_session(token, now) is None


def test_the_audit_trail_only_grows(store, clock):
    """Entries come back newest first by page; the database itself refuses to change or delete them."""
    for i in range(5):
        store.audit("jo", "ack", f"incident:i{i}", address="10.0.0.1")
    store.audit("al", "resolve", "incident:i1")
    page = store.audit_trail(limit=4)
    assert [e.subject for e in page] == ["incident:i1", "incident:i4", "incident:i3", "incident:i2"]
    assert [e.subject for e in store.audit_trail(before_id=page[-1].audit_id)] == ["incident:i1", "incident:i0"]
    assert [e.who for e in store.audit_trail(subject="incident:i1")] == ["al", "jo"]
    for statement in (sa.delete(tables.audit), sa.update(tables.audit).values(who="x")):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), store.write() as connection:
            connection.execute(statement)
    assert len(store.audit_trail()) == 6


def test_keys_survive_a_restart(tmp_path):
    """A key made before is good after."""
    store = StateStore(tmp_path / "s.sqlite")
    key = store.create_key("x", "admin")
    store.close()
    store = StateStore(tmp_path / "s.sqlite")
    assert store.check_key(key.text, 1).role == "admin"
    store.close()
