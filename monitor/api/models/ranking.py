"""The lines most likely to call within a week."""

from typing import Literal

from pydantic import ConfigDict, Field

from monitor.api.models.base import Both, Output, Time


class RankedOut(Output):
    """One line of the list. Personal fields are masked as in a look-up."""

    rank: int = Field(description="1 is the first of the whole network, also for who sees a part of it")
    line_id: str
    path: str
    score: float = Field(description="0 to 100, from the flags of the last 28 days")
    chance: float | None = Field(description="of calling within a week, 0 to 1; null while the score ranks")
    kind: str = Field(description='of the flag that weighs most; "" where only earlier calls speak')
    reason: str
    value: float
    unit: str
    text: Both | None = Field(description="that flag as a sentence")
    started_at: Time | None
    open: bool = Field(description="that flag went on when the list was made")
    flags_month: int
    flagged_week_h: float
    calls_month: int
    name: str
    street: str
    postcode: str
    city: str
    masked: bool


class QualityOut(Output):
    average_precision: float
    precision_at_top: float
    lift_at_top: float


class RankingBasis(Output):
    """How the list was made, and how good that was on days it had not seen."""

    method: Literal["score", "model"]
    reason: Literal["few_calls", "few_days", "few_examples", "not_better", "better"]
    text: Both
    calls: int = Field(description="recorded, but those that an incident explained")
    calls_needed: int
    trained_days: int
    tested_days: int
    tested_from: Time | None
    tested_until: Time | None
    top: int
    base_ratio: float = Field(description="of all listed lines so many called within a week")
    covered_ratio: float = Field(description="of the lines that called so many were on the list")
    score: QualityOut | None
    model: QualityOut | None


class RankingOut(Output):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-26T03:00:00.000Z",
                    "listed": 1,
                    "basis": {
                        "method": "score",
                        "reason": "few_calls",
                        "text": {
                            "de": "Nach der Punktzahl: 12 Anrufe sind erfasst, gelernt wird ab 500.",
                            "en": "By the score: 12 calls are recorded, learning begins at 500.",
                        },
                        "calls": 12,
                        "calls_needed": 500,
                        "trained_days": 0,
                        "tested_days": 0,
                        "tested_from": None,
                        "tested_until": None,
                        "top": 0,
                        "base_ratio": 0.0,
                        "covered_ratio": 0.0,
                        "score": None,
                        "model": None,
                    },
                    "items": [
                        {
                            "rank": 1,
                            "line_id": "L0002459",
                            "path": "north/ex-12/olt-3/pon-7/split-2",
                            "score": 62.1,
                            "chance": None,
                            "kind": "unstable",
                            "reason": "loss",
                            "value": 0.08,
                            "unit": "ratio",
                            "text": {
                                "de": "Auffällig an L0002459: verliert 8 % der Pakete.",
                                "en": "Noticed on L0002459: loses 8 % of its packets.",
                            },
                            "started_at": "2026-11-23T08:15:30.000Z",
                            "open": True,
                            "flags_month": 3,
                            "flagged_week_h": 66.5,
                            "calls_month": 1,
                            "name": "A… L…",
                            "street": "Lind…",
                            "postcode": "10115",
                            "city": "Berlin",
                            "masked": True,
                        }
                    ],
                }
            ]
        }
    )

    at: Time | None = Field(description="as of when; null before the first list")
    listed: int = Field(description="lines on the list that you may see, under `element`")
    basis: RankingBasis | None
    items: list[RankedOut]
