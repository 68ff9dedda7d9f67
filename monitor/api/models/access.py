"""Who may come in: keys, accounts, sessions."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from monitor.api.models.base import Input, Output, Time

# It stands in every line of the log that its owner causes.
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=200)]
RoleName = Literal["agent", "lead", "noc", "admin", "probe"]
UserRole = Literal["agent", "lead", "noc", "admin"]
Region = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Regions = Annotated[
    list[Region],
    Field(
        max_length=1000, description="first elements of the paths that may be seen; empty: all", examples=[["north"]]
    ),
]


class KeyIn(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "radius", "role": "probe", "regions": ["north"], "days": 365}]}
    )

    name: PersonName
    role: RoleName
    regions: Regions = Field(default_factory=list)
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class KeyOut(Output):
    key_id: str
    name: str
    role: str
    regions: list[str]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None


class KeyCreated(Output):
    key_id: str
    key: str = Field(description="shown this once")


class KeyList(Output):
    items: list[KeyOut]


class UserIn(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "anna", "role": "agent", "password": "correct horse battery", "regions": []}]
        }
    )

    name: PersonName
    role: UserRole
    password: Password = Field(description="at least 10 characters")
    regions: Regions = Field(default_factory=list)


class UserChange(Input):
    """What is given is changed. A new password and disabling end the sessions of the account."""

    role: UserRole | None = None
    regions: Regions | None = None
    password: Password | None = None
    disabled: bool | None = None


class UserOut(Output):
    name: str
    role: str
    regions: list[str]
    created_at: Time
    disabled_at: Time | None
    last_login_at: Time | None
    external: bool = Field(description="a login service vouches for this account; it has no password here")


class UserList(Output):
    items: list[UserOut]


class SessionIn(Input):
    """A key, or name and password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "anna", "password": "correct horse battery"}]})

    key: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)] | None = None
    name: PersonName | None = None
    password: Password | None = None


class PasswordIn(Input):
    old: Password
    new: Password = Field(description="at least 10 characters")


class SessionOut(Output):
    name: str
    role: str
    regions: list[str]
    csrf: str
    expires_at: Time | None
    at: Time = Field(description="the server's clock")
    zone: str
    permissions: list[str]
    account: bool = Field(description="logged in by name and password, which may be changed here")
