"""Planned work and events of outside systems."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from monitor.api.models.base import Input, Name, Output, ScopeOut, Text, Time
from monitor.records import EVENT_KINDS


class ScopeIn(Input):
    kind: Literal["element", "group", "line"]
    name: Name


class MaintenanceIn(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "scope": {"kind": "element", "name": "north/ex-12/olt-3"},
                    "starts_at": "2026-11-25T01:00:00Z",
                    "ends_at": "2026-11-25T05:00:00Z",
                    "reason": "card swap",
                }
            ]
        }
    )

    scope: ScopeIn
    starts_at: Time
    ends_at: Time
    reason: Text = ""


class MaintenanceOut(Output):
    maintenance_id: str
    scope: ScopeOut
    starts_at: Time
    ends_at: Time
    reason: str
    by: str
    active: bool


class MaintenanceList(Output):
    items: list[MaintenanceOut]


class SilenceScopeIn(Input):
    """`all` has no name; a line is one whose own alert (with an SLA) is meant."""

    kind: Literal["element", "group", "line", "source", "incident", "all"]
    name: Annotated[str, StringConstraints(max_length=500)] = ""


class SilenceIn(Input):
    """`starts_at` left out: now."""

    scope: SilenceScopeIn
    starts_at: Time | None = None
    ends_at: Time
    reason: Text = ""


class SilenceOut(Output):
    silence_id: str
    scope: SilenceScopeIn
    starts_at: Time
    ends_at: Time
    reason: str
    by: str
    active: bool
    ended_by: str


class SilenceList(Output):
    items: list[SilenceOut]


class EventIn(Input):
    """One row of events.csv."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "subject": "L0002459",
                    "kind": "login_rejected",
                    "value": "authentication failed",
                    "event_id": "radius-1",
                }
            ]
        }
    )

    at: Time | int | float | None = None
    subject: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    kind: Annotated[str, Field(json_schema_extra={"enum": sorted(EVENT_KINDS)}, max_length=40)]
    value: Annotated[str, StringConstraints(max_length=1000)] = ""
    event_id: Annotated[str, StringConstraints(max_length=200)] = ""


class EventsOut(Output):
    accepted: int
    repeated: int
