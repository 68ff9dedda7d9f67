"""Customers' reports."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from monitor.api.models.base import Both, Input, Name, Output, Text, Time

Disposition = Literal[
    "resolved_info_outage",
    "resolved_info_planned",
    "resolved_reboot",
    "resolved_config",
    "resolved_credentials",
    "resolved_wifi",
    "resolved_firmware",
    "selfhealed",
    "escalated_l2",
    "dispatch",
    "billing",
    "callback_pending",
    "wrong_customer",
    "duplicate_report",
    "no_fault",
]


class CallIn(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"line_id": "L0002459", "symptom": "no_internet", "words": "nothing works since lunch"}]
        }
    )

    line_id: Name
    symptom: Literal["no_internet", "slow", "drops", "no_phone", "no_tv", "login", "wifi", "other"] = "no_internet"
    words: Text = Field("", description="the customer's own words")
    started_at: Time | None = None
    wired_works: bool | None = Field(
        None, description="what the customer found when asked, as in the look-up: the verdict is frozen with it"
    )
    disposition: Disposition | Literal[""] = Field("", description="how the contact ended; empty: as the verdict says")
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
    verdict_title: Both
    incident_id: str
    disposition: str


class CallCreated(CallOut):
    say: Both
    new: bool


class CallList(Output):
    items: list[CallOut]
    cursor: str
