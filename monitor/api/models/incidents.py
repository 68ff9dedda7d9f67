"""Incidents, and what the NOC says to them."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from monitor.api.models.base import Both, EtrOut, Input, Output, ScopeOut, Text, Time
from monitor.api.models.lookup import IncidentBrief


class NoteOut(Output):
    at: Time
    by: str
    text: str


class IncidentOut(IncidentBrief):
    title: Both
    cause: str
    confidence: float
    detected_at: Time
    updated_at: Time
    resolved_at: Time | None
    revision: int
    lines_affected: int
    lines_observable: int
    explanation: list[Both]
    runner_up: ScopeOut | None
    runner_up_confidence: float
    etr: EtrOut | None
    acked_by: str
    acked_at: Time | None
    notes: list[NoteOut]
    reopened: int
    parent_id: str
    suspects: list[str]


class HistoryStep(Output):
    at: Time
    what: str
    status: str
    lines_down: int
    lines_affected: int
    scope: ScopeOut


class IncidentDetail(IncidentOut):
    history: list[HistoryStep]
    lines: list[str] = Field(description="the first thousand lines that were ever affected")


class IncidentList(Output):
    items: list[IncidentOut]
    cursor: str = Field(description="give it as `cursor` for the next page; empty at the end")


class AckIn(Input):
    note: Text = ""


class NoteIn(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Technician on site, card without power."}]})

    text: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class EtrIn(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"at": "2026-11-23T18:00:00Z", "next_update": "2026-11-23T16:00:00Z"}]}
    )

    at: Time
    next_update: Time | None = None


class ResolveIn(Input):
    reason: Text = ""


class Accepted(Output):
    """It is on disk and will be in the next step of the engine."""

    accepted: bool = True
    event_id: str
