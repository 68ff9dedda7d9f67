"""Flags, keys, sessions, the audit trail, health."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from monitor.api.models.base import Input, Output, Time


class FlagOut(Output):
    subject: str
    kind: str
    reason: str
    value: float
    unit: str
    started_at: Time
    detected_at: Time
    ended_at: Time | None


class FlagList(Output):
    items: list[FlagOut]


class KeyIn(Input):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    role: Literal["agent", "lead", "noc", "admin", "probe"]
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class KeyOut(Output):
    key_id: str
    name: str
    role: str
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None


class KeyCreated(Output):
    key_id: str
    key: str = Field(description="shown this once")


class KeyList(Output):
    items: list[KeyOut]


class AuditOut(Output):
    audit_id: int
    at: Time
    who: str
    action: str
    subject: str
    detail: str
    address: str


class AuditList(Output):
    items: list[AuditOut]
    before_id: int | None


class SessionIn(Input):
    key: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class SessionOut(Output):
    name: str
    role: str
    csrf: str
    expires_at: Time | None
    at: Time = Field(description="the server's clock")
    zone: str
    permissions: list[str]


class HealthOut(Output):
    status: Literal["ok", "not_ready"]


class Detail(Output):
    parts: list[dict[str, Any]]
    troubles: list[dict[str, Any]]
