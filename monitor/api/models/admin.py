"""Flags, the audit trail, health."""

from typing import Any, Literal

from monitor.api.models.base import Output, Time


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


class HealthOut(Output):
    status: Literal["ok", "not_ready"]


class Detail(Output):
    parts: list[dict[str, Any]]
    troubles: list[dict[str, Any]]
