"""What goes over the wire, as the OpenAPI document shows it. Times are RFC 3339 UTC; inputs accept nothing unknown."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from monitor.records import EVENT_KINDS

Text = Annotated[str, StringConstraints(max_length=4000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Time = Annotated[str, Field(description="RFC 3339", examples=["2026-11-23T08:15:30Z"], max_length=40)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Output(BaseModel):
    """Made by us: not checked again on the way out."""

    model_config = ConfigDict(from_attributes=False)


# -- shared -----------------------------------------------------------------------------------------------------------


class ProblemBody(Output):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


class Both(Output):
    """One sentence in both languages."""

    de: str
    en: str


class Said(Output):
    code: str
    text: Both


class EvidenceOut(Output):
    code: str
    text: Both
    age_s: float
    source: str


class ScopeOut(Output):
    kind: str
    name: str
    text: Both = Field(description="as people write it")


class EtrOut(Output):
    at: Time
    source: str
    promised: bool = Field(description="only then may it be said as a promise")
    next_update: Time | None = None


# -- lookup -----------------------------------------------------------------------------------------------------------


class LookupIn(Input):
    key: Key = Field(description="line id, customer id, phone, street address, IP address, login or CPE serial")
    reason: Literal["call", "check", "other"] | None = None
    verified_by: Literal["customer_number", "phone_password", "callback", "address_and_name", "other"] | None = Field(
        None, description="how the caller was verified; needed before personal data is shown"
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


# -- lines, elements --------------------------------------------------------------------------------------------------


class LineOut(Output):
    line: LineCard
    state: str
    since: Time | None
    observability: str
    probed_at: Time | None
    replied_at: Time | None
    rtt_ms: float | None
    baseline_ms: float | None
    loss_ratio: float | None
    flaps_24h: int
    groups: list[str]
    verdict: VerdictOut
    incident: IncidentBrief | None
    recent_incidents: list[IncidentBrief]


class HistoryOut(Output):
    """Columns of equal length, oldest first; a bin without data is left out, a null has no reply."""

    line_id: str
    bin_s: int
    at: list[Time]
    sent: list[int]
    received: list[int]
    rtt_ms: list[float | None]
    rtt_min_ms: list[float | None]
    rtt_max_ms: list[float | None]


class ProbeOut(Output):
    asked: bool
    lines: int
    retry_s: float


class ElementChild(Output):
    path: str
    kind: str
    lines: int
    observable: int
    up: int
    degraded: int
    down: int
    unknown: int


class ElementList(Output):
    items: list[ElementChild]


class ElementOut(ElementChild):
    coverage_ratio: float
    incidents: list[IncidentBrief]
    children: list[ElementChild]


# -- incidents --------------------------------------------------------------------------------------------------------


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
    text: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class EtrIn(Input):
    at: Time
    next_update: Time | None = None


class ResolveIn(Input):
    reason: Text = ""


class Accepted(Output):
    """It is on disk and will be in the next step of the engine."""

    accepted: bool = True
    event_id: str


# -- maintenance, events, calls ---------------------------------------------------------------------------------------


class ScopeIn(Input):
    kind: Literal["element", "group", "line"]
    name: Name


class MaintenanceIn(Input):
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


class EventIn(Input):
    """One row of events.csv."""

    at: Time | int | float | None = None
    subject: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    kind: Annotated[str, Field(json_schema_extra={"enum": sorted(EVENT_KINDS)}, max_length=40)]
    value: Annotated[str, StringConstraints(max_length=1000)] = ""
    event_id: Annotated[str, StringConstraints(max_length=200)] = ""


class EventsOut(Output):
    accepted: int
    repeated: int


class CallIn(Input):
    line_id: Name
    symptom: Literal["no_internet", "slow", "drops", "no_phone", "no_tv", "login", "wifi", "other"] = "no_internet"
    words: Text = Field("", description="the customer's own words")
    started_at: Time | None = None
    disposition: Annotated[str, StringConstraints(max_length=40)] = ""
    request_id: Annotated[str, StringConstraints(max_length=100)] = Field(
        "", description="made up by the client: sent twice, it is one report"
    )


class CallOut(Output):
    case_id: str
    at: Time
    line_id: str
    symptom: str
    words: str
    started_at: Time | None
    by: str
    verdict: str
    incident_id: str
    disposition: str


class CallCreated(CallOut):
    say: Both
    new: bool


class CallList(Output):
    items: list[CallOut]
    cursor: str


# -- flags, administration --------------------------------------------------------------------------------------------


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
