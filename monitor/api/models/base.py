"""The words that every model shares. Times are RFC 3339 UTC; inputs accept nothing unknown."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

Text = Annotated[str, StringConstraints(max_length=4000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Time = Annotated[str, Field(description="RFC 3339", examples=["2026-11-23T08:15:30Z"], max_length=40)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=False)

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        """No text in PostgreSQL holds a NUL."""
        if any(isinstance(text, str) and "\0" in text for text in (value if isinstance(value, list) else (value,))):
            raise ValueError("holds a NUL character")
        return value


class Output(BaseModel):
    """Made by us: not checked again on the way out."""

    model_config = ConfigDict(from_attributes=False)


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
    based_on: int = Field(0, description="earlier incidents of this network behind an estimate; 0 of a promise")
