"""The answer to "what is wrong with this line": one verdict, its evidence, what to say and do."""

from enum import StrEnum

import msgspec

from monitor.records.incidents import Coded, Etr, Scope


class VerdictCode(StrEnum):
    """In order of priority: the first that matches wins, the others are listed as "also seen"."""

    IDENTITY_UNCLEAR = "IDENTITY_UNCLEAR"
    DATA_STALE = "DATA_STALE"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    NOT_YET_ACTIVATED = "NOT_YET_ACTIVATED"
    PLANNED_WORK = "PLANNED_WORK"
    KNOWN_OUTAGE = "KNOWN_OUTAGE"
    AREA_POWER_CUT = "AREA_POWER_CUT"
    OUTAGE_FORMING = "OUTAGE_FORMING"
    NESTED_FAULT = "NESTED_FAULT"
    POWER_AT_HOME = "POWER_AT_HOME"
    NOT_OBSERVABLE = "NOT_OBSERVABLE"
    LINE_DOWN_ONLY_HERE = "LINE_DOWN_ONLY_HERE"
    LOGIN_FAILED = "LOGIN_FAILED"
    DNS_FAULT = "DNS_FAULT"
    UNSTABLE = "UNSTABLE"
    SLOW_VS_BASELINE = "SLOW_VS_BASELINE"
    CPE_FAULT = "CPE_FAULT"
    WIFI_ONLY = "WIFI_ONLY"
    NO_FAULT_FOUND = "NO_FAULT_FOUND"


class Confidence(StrEnum):
    SURE = "sure"
    LIKELY = "likely"
    UNCLEAR = "unclear"


class Evidence(msgspec.Struct, frozen=True):
    """One thing that was seen: `said` in words, how old (s), and who saw it."""

    said: Coded
    age_s: float
    source: str


class Verdict(msgspec.Struct, frozen=True):
    code: VerdictCode
    confidence: Confidence
    at_ns: int
    line_id: str
    since_ns: int | None = None
    scope: Scope | None = None
    incident_id: str = ""
    etr: Etr | None = None
    evidence: tuple[Evidence, ...] = ()
    steps: tuple[Coded, ...] = ()  # at most three
    do_not: tuple[Coded, ...] = ()
    say: tuple[Coded, ...] = ()  # the sentences for the customer, in order
    disposition: str = ""
    stale: bool = False
    also_seen: tuple[VerdictCode, ...] = ()
