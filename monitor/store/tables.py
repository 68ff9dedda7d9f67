"""The tables of the SQL store: incidents, flags, outbox, access, audit.

Bodies are msgspec JSON; what is filtered or joined on has a column of its own. Times are ns UTC. Whatever changes here
needs a migration in `migrations/versions` and `HEAD` set to it; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

HEAD = "0004"

metadata = MetaData()
_serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

meta = Table("meta", metadata, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("scope_kind", String, nullable=False),
    Column("scope_name", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    Column("resolved_ns", BigInteger),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_incidents_started", "started_ns", "incident_id"),
    Index("ix_incidents_status", "status"),
    Index("ix_incidents_resolved", "resolved_ns"),
)

# Every change as it was told; `what` is in the key because two changes may share a revision that nobody is told of.
incident_history = Table(
    "incident_history",
    metadata,
    Column("incident_id", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("what", String, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

incident_lines = Table(
    "incident_lines",
    metadata,
    Column("incident_id", String, primary_key=True),
    Column("line_id", String, primary_key=True),
    Column("joined_ns", BigInteger, nullable=False),
    Index("ix_incident_lines_line", "line_id"),
)

flags = Table(
    "flags",
    metadata,
    Column("flag_id", String, primary_key=True),
    Column("subject", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("detected_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("at_ns", BigInteger, nullable=False),  # of the newest change
    Column("body", LargeBinary, nullable=False),
    Index("ix_flags_subject", "subject"),
    Index("ix_flags_started", "started_ns"),
    Index("ix_flags_ended", "ended_ns"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", _serial, primary_key=True, autoincrement=True),
    Column("incident_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("what", String, nullable=False),
    Column("status", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_outbox_incident", "incident_id", "revision", unique=True),
    sqlite_autoincrement=True,  # a number is never given twice, also after pruning
)

# What each receiver was told of each incident. `settled_revision` is the newest that needs nothing more (sent, skipped
# or given up); `sending_revision` is the intent written before the receiver is called, 0 when none is under way.
deliveries = Table(
    "deliveries",
    metadata,
    Column("receiver", String, primary_key=True),
    Column("incident_id", String, primary_key=True),
    Column("sent_revision", Integer, nullable=False, default=0),
    Column("settled_revision", Integer, nullable=False, default=0),
    Column("sending_revision", Integer, nullable=False, default=0),
    Column("postponed_revision", Integer, nullable=False, default=0),
    Column("reference", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_ns", BigInteger, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
    Column("dead", Boolean, nullable=False, default=False),
    Column("changed_ns", BigInteger, nullable=False, default=0),
)

# `settled_id`: every outbox row up to it is settled for this receiver, so polling need not look at it again.
receivers = Table(
    "receivers",
    metadata,
    Column("receiver", String, primary_key=True),
    Column("since_ns", BigInteger, nullable=False),
    Column("settled_id", BigInteger, nullable=False, default=0),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("secret_sha256", String, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Column("last_used_ns", BigInteger),
    Column("regions", Text, nullable=False, server_default=""),  # JSON list; "": every region
)

# People. `external_id` is who a login service says they are ("issuer subject"); such an account has no password here.
users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("regions", Text, nullable=False),
    Column("password_hash", String, nullable=False),
    Column("external_id", String),
    Column("created_ns", BigInteger, nullable=False),
    Column("disabled_ns", BigInteger),
    Column("last_login_ns", BigInteger),
    Index("ix_users_external", "external_id", unique=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("key_id", String, nullable=False),  # revoking the key ends its sessions
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("user_name", String, nullable=False, server_default=""),  # whose role and regions it has, as they are now
    Index("ix_sessions_expires", "expires_ns"),
    Index("ix_sessions_user", "user_name"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", _serial, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("address", String, nullable=False),
    Index("ix_audit_at", "at_ns"),
    sqlite_autoincrement=True,
)

# Events of people and outside systems, so that the same delivery twice is the same event once.
human_events = Table(
    "human_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("subject", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_human_events_at", "at_ns"),
    Index("ix_human_events_subject", "subject"),
)

# Customers' reports. `body` is the verdict as it stood, frozen; `request_id` (given by the client, or null) makes a
# second click on the same button harmless.
calls = Table(
    "calls",
    metadata,
    Column("call_id", _serial, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("line_id", String, nullable=False),
    Column("symptom", String, nullable=False),
    Column("words", Text, nullable=False),
    Column("started_ns", BigInteger),
    Column("by", String, nullable=False),
    Column("verdict_code", String, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("disposition", String, nullable=False),
    Column("request_id", String),
    Column("body", LargeBinary, nullable=False),
    Column("region", String, nullable=False, server_default=""),
    Index("ix_calls_at", "at_ns"),
    Index("ix_calls_region", "region"),
    Index("ix_calls_line", "line_id"),
    Index("ix_calls_incident", "incident_id"),
    Index("ix_calls_request", "request_id", unique=True),
    sqlite_autoincrement=True,
)

# Who need not be told of what, until when. `scope_kind`: element, group, line, source, incident or all.
silences = Table(
    "silences",
    metadata,
    Column("silence_id", String, primary_key=True),
    Column("scope_kind", String, nullable=False),
    Column("scope_name", String, nullable=False),
    Column("starts_ns", BigInteger, nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("ended_by", String, nullable=False, default=""),
    Index("ix_silences_ends", "ends_ns"),
)

# Messages that are not one incident's: summaries of a storm (written from their members when they are sent) and digests
# (`body` is the message). Pending while `revision` > `sent_revision`.
alert_posts = Table(
    "alert_posts",
    metadata,
    Column("receiver", String, primary_key=True),
    Column("post_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("sent_revision", Integer, nullable=False, default=0),
    Column("created_ns", BigInteger, nullable=False),
    Column("joined_ns", BigInteger, nullable=False),  # when the last incident joined
    Column("closed", Boolean, nullable=False, default=False),
    Column("body", LargeBinary, nullable=False),
    Column("reference", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_ns", BigInteger, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
)

# The incidents that a storm's summary speaks of, instead of messages of their own.
alert_members = Table(
    "alert_members",
    metadata,
    Column("receiver", String, primary_key=True),
    Column("post_id", String, primary_key=True),
    Column("incident_id", String, primary_key=True),
    Column("joined_ns", BigInteger, nullable=False),
)
