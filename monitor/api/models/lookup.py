"""A look-up and its verdict."""

from typing import Literal

from pydantic import ConfigDict, Field

from monitor.api.models.base import Both, EtrOut, EvidenceOut, Input, Key, Output, Said, ScopeOut, Time


class LookupIn(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "C00012345", "reason": "call", "verified_by": "customer_number"}]}
    )

    key: Key = Field(description="line id, customer id, phone, street address, IP address, login or CPE serial")
    reason: Literal["call", "check", "other"] | None = None
    verified_by: Literal["customer_number", "phone_password", "callback", "address_and_name", "other"] | None = Field(
        None, description="how the caller was verified; needed before personal data is shown"
    )
    wired_works: bool | None = Field(
        None, description="what the customer found when asked: does a device on a cable work?"
    )


class VerdictOut(Output):
    code: str
    title: Both
    tone: Literal["good", "watch", "bad", "planned", "unknown"]
    confidence: str
    confidence_text: Both
    since: Time | None
    scope: ScopeOut | None
    incident_id: str
    etr: EtrOut | None
    say: Both
    steps: list[Said]
    do_not: list[Said]
    evidence: list[EvidenceOut]
    disposition: str
    disposition_text: Both | None
    stale: bool
    also_seen: list[Said]


class LineCard(Output):
    """Who and what the line is; personal fields are masked unless the caller was verified or the role allows it."""

    line_id: str
    path: str
    technology: str
    service_class: str
    status: str
    cpe_model: str
    cpe_firmware: str
    customer_id: str
    name: str
    street: str
    city: str
    phone: str
    masked: bool


class IncidentBrief(Output):
    incident_id: str
    kind: str
    status: str
    severity: str
    scope: ScopeOut
    started_at: Time
    lines_down: int
    lines_at_risk: int
    calls: int


class CandidateOut(Output):
    line_id: str
    name_hint: str
    customer_hint: str
    street_hint: str
    city: str
    technology: str


class Live(Output):
    """The live check: `asked_at` when the line was asked, `answered` None as long as nothing is known."""

    asked_at: Time | None
    answered: bool | None
    rtt_ms: float | None = None


class LookupOut(Output):
    lookup_id: str
    at: Time
    matched_by: str | None
    matches: int
    line: LineCard | None
    verdict: VerdictOut
    incident: IncidentBrief | None
    candidates: list[CandidateOut]
    live: Live
