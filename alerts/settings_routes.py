"""Who is told of which incident: teams, routes, and what a storm is.

A team looks after scopes and has its own Slack channel (`slack:TEAM`) and mail addresses (`email:TEAM`). Routes are
tried in order; the first that matches decides, and those after it too when it says `go_on`. One of them is the default.
"""

import re
from datetime import datetime, tzinfo
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from alerts.settings_base import SEVERITY_ORDER, require_name, require_range, words_of
from alerts.text import is_mail_address
from monitor.records import IncidentKind, Scope, ScopeKind, Severity

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


class TeamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scopes`: paths (each with everything under it) or `group:KIND:NAME`, where * stands for anything in a name.
    `digest`: whether the daily digest of slow and unstable lines goes to the team's mail (or else its channel)."""

    name: str
    scopes: tuple[str, ...] = ()
    slack_channel: str = ""
    recipients: tuple[str, ...] = ()
    digest: bool = True

    def __post_init__(self) -> None:
        require_name("name", self.name)
        if not self.scopes:
            raise ValueError("scopes is empty: name what the team looks after, as 'north' or 'group:power:*'")
        require_scopes(self.scopes)
        for address in self.recipients:
            if not is_mail_address(address):
                raise ValueError(f"recipients has {address!r}, which is not an address")


class RouteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whatever is left out matches everything. `hours`: "HH:MM-HH:MM" of the local day, past midnight when it ends
    before it begins. `escalate_to`: a route whose receivers are told too when nobody has acknowledged within
    `escalate_after_s`. `out_of_band`: receivers that are told only while every one of `receivers` has been failing."""

    name: str
    receivers: tuple[str, ...] = ()
    default: bool = False
    team: str = ""
    scopes: tuple[str, ...] = ()
    kinds: tuple[IncidentKind, ...] = ()
    min_severity: Severity = Severity.WARNING
    min_lines: int = 0
    hours: str = ""
    days: tuple[Day, ...] = ()
    go_on: bool = False
    escalate_after_s: float = 900.0
    escalate_to: str = ""
    out_of_band: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_name("name", self.name)
        require_scopes(self.scopes)
        if self.min_severity not in SEVERITY_ORDER:
            raise ValueError(f"min_severity is {self.min_severity!r}: give one of {words_of(SEVERITY_ORDER)}")
        if self.min_lines < 0:
            raise ValueError(f"min_lines is {self.min_lines}: give 0 or more")
        if self.hours:
            begin, end = parse_hours(self.hours)
            if begin == end:
                raise ValueError(f"hours is {self.hours!r}, which is no time at all: leave it out for always")
        require_range("escalate_after_s", self.escalate_after_s, 10, 7 * 86400)
        narrowed = self.team or self.scopes or self.kinds or self.hours or self.days or self.min_lines
        if self.default and (narrowed or self.min_severity is not Severity.WARNING):
            raise ValueError("default is true: the default route takes everything, so leave its conditions out")

    @property
    def timed(self) -> bool:
        return bool(self.hours or self.days)

    def open_at(self, now_ns: int, zone: tzinfo) -> bool:
        """Whether it is one of its hours and days (a night belongs to the day on which it begins)."""
        when = datetime.fromtimestamp(now_ns // 1_000_000_000, zone)
        minute, day = when.hour * 60 + when.minute, when.weekday()
        if self.hours:
            begin, end = parse_hours(self.hours)
            if begin < end:
                if not begin <= minute < end:
                    return False
            elif minute < end:
                day = (day - 1) % 7
            elif minute < begin:
                return False
        return not self.days or DAYS[day] in self.days


class StormSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More than `messages` first messages to one receiver within `window_s`, or more waiting than it can take in a few
    seconds, is a storm: what comes then stands in one summary, until `quiet_s` without a new incident. Incidents of
    severity `apart` and worse keep messages of their own."""

    enabled: bool = True
    messages: int = 10
    window_s: float = 60.0
    quiet_s: float = 120.0
    apart: Severity = Severity.CRITICAL

    def __post_init__(self) -> None:
        require_range("messages", self.messages, 1, 10_000)
        require_range("window_s", self.window_s, 1, 3600)
        require_range("quiet_s", self.quiet_s, 1, 86400)
        if self.apart not in SEVERITY_ORDER:
            raise ValueError(f"apart is {self.apart!r}: give one of {words_of(SEVERITY_ORDER)}")


class DigestSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Slow and unstable lines page nobody: once a day at `at` (local time) each team gets its worst `lines`; what no
    team looks after goes to `receivers`."""

    enabled: bool = False
    at: str = "07:30"
    lines: int = 20
    receivers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", self.at):
            raise ValueError(f"at is {self.at!r}: give a time of day, as 07:30")
        require_range("lines", self.lines, 1, 100)


def parse_hours(text: str) -> tuple[int, int]:
    """Minutes of the day (begin, end). Raises ValueError."""
    found = _HOURS.fullmatch(text)
    if found is None or (found[3] == "24" and found[4] != "00"):
        raise ValueError(f"hours is {text!r}: give HH:MM-HH:MM, as 18:00-06:00")
    begin_h, begin_m, end_h, end_m = (int(part) for part in found.groups())
    return begin_h * 60 + begin_m, end_h * 60 + end_m


def require_scopes(scopes: tuple[str, ...]) -> None:
    for scope in scopes:
        if not scope.strip("/ ") or scope != scope.strip():
            raise ValueError(f"scopes has {scope!r}: give a path, as 'north/ex-12', or 'group:KIND:NAME'")
        if scope.startswith("group:") and scope.count(":") < 2:
            raise ValueError(f"scopes has {scope!r}: a group is written group:KIND:NAME")


def scope_matches(pattern: str, scope: Scope) -> bool:
    """`pattern`: a path (it and everything under it), `group:KIND:NAME`, `source:NAME`, or `area:*`; * is a wildcard
    within one element's name (for others: anywhere)."""
    kind, colon, name = pattern.partition(":")
    if colon and kind in ("group", "source", "area"):
        return scope.kind == kind and fnmatchcase(scope.name, name)
    if scope.kind is not ScopeKind.ELEMENT:
        return False
    wanted, given = pattern.strip("/").split("/"), scope.name.split("/")
    return len(given) >= len(wanted) and all(fnmatchcase(g, w) for g, w in zip(given, wanted, strict=False))
