"""Records as they go over the wire: codes become sentences in both languages, ns become RFC 3339, names are masked."""

import math
from datetime import tzinfo
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from correlation.verdict.flags import flag_words
from monitor.api.reach import Reach
from monitor.clock import rfc3339
from monitor.desk import Candidate, LikelyCaller, Report
from monitor.desk.masking import initials, masked_id, masked_phone, masked_street
from monitor.inventory import Inventory
from monitor.inventory.groups import BOTH
from monitor.records import Coded, Etr, Flag, Incident, IncidentKind, Scope, ScopeKind, Verdict, VerdictCode
from monitor.records.incidents import Param
from monitor.words import TABLES, say

if TYPE_CHECKING:
    from correlation.ranking import Basis
    from correlation.ranking.learned import Quality

Shown = dict[str, Any]  # JSON, of the form that a model of the same name documents; nobody changes it
Tone = Literal["good", "watch", "bad", "planned", "unknown"]
V = VerdictCode
TONES: dict[VerdictCode, Tone] = {
    V.IDENTITY_UNCLEAR: "unknown",
    V.DATA_STALE: "unknown",
    V.NOT_OBSERVABLE: "unknown",
    V.ACCOUNT_SUSPENDED: "planned",
    V.NOT_YET_ACTIVATED: "planned",
    V.PLANNED_WORK: "planned",
    V.KNOWN_OUTAGE: "bad",
    V.AREA_POWER_CUT: "bad",
    V.OUTAGE_FORMING: "watch",
    V.NESTED_FAULT: "bad",
    V.POWER_AT_HOME: "watch",
    V.LINE_DOWN_ONLY_HERE: "bad",
    V.LOGIN_FAILED: "bad",
    V.DNS_FAULT: "bad",
    V.UNSTABLE: "watch",
    V.SLOW_VS_BASELINE: "watch",
    V.CPE_FAULT: "watch",
    V.WIFI_ONLY: "watch",
    V.NO_FAULT_FOUND: "good",
}


def both(coded: Coded, zone: tzinfo) -> Shown:
    if not coded.params:
        return _plain(coded.code)
    params = coded.params
    return _spoken(coded.code, tuple(params.items()), tuple(map(type, params.values())), zone)


@lru_cache(8192)
def _spoken(code: str, params: tuple[tuple[str, Param], ...], kinds: tuple[type, ...], zone: tzinfo) -> Shown:
    """Many ask about the same incident. `kinds` tells 1 from 1.0, which are equal but written differently."""
    coded = Coded(code, dict(params))
    return {"de": say(coded, "de", zone), "en": say(coded, "en", zone)}


def explained(coded: Coded, zone: tzinfo) -> Shown:
    """A sentence of an incident, which may have been stored by another version: a code without words stands for
    itself, rather than to cost the whole list."""
    try:
        return both(coded, zone)
    except KeyError:
        return {"de": coded.code, "en": coded.code}


@cache
def _plain(code: str) -> Shown:
    """A sentence without parameters is the same every time, and most are."""
    return {"de": say(Coded(code), "de"), "en": say(Coded(code), "en")}


@cache
def title(code: str) -> Shown:
    german, english = TABLES["desk"][code]
    return {"de": german, "en": english}


def said(coded: Coded, zone: tzinfo) -> Shown:
    return {"code": coded.code, "text": both(coded, zone)}


def time(at_ns: int | None) -> str | None:
    return rfc3339(at_ns) if at_ns else None


def number(value: float) -> float | None:
    """JSON knows no NaN."""
    return round(float(value), 3) if math.isfinite(value) else None


def scope(found: Scope) -> Shown:
    return {"kind": found.kind.value, "name": found.name, "text": where(found)}


def where(found: Scope) -> Shown:
    """1.3 km around 52.410, 13.312; resolver r1; north/ex-12/olt-3."""
    if found.kind is ScopeKind.AREA:
        lat, lon, radius = found.name.split(",")
        near = f"{float(lat):.3f}, {float(lon):.3f}"
        return {"de": f"{radius.replace('.', ',')} km um {near}", "en": f"{radius} km around {near}"}
    text = found.name
    if found.kind is ScopeKind.GROUP:
        text = BOTH.join(part.replace(":", " ", 1) for part in text.split(BOTH))
    return {"de": text, "en": text}


def etr(found: Etr | None) -> Shown | None:
    if found is None:
        return None
    return {
        "at": rfc3339(found.at_ns),
        "source": found.source,
        "promised": found.source == "noc",
        "next_update": time(found.next_update_ns),
        "based_on": found.based_on,
    }


def verdict(v: Verdict, zone: tzinfo) -> Shown:
    spoken = [both(c, zone) for c in v.say]
    return {
        "code": v.code.value,
        "title": title(f"verdict.{v.code.value}"),
        "tone": TONES[v.code],
        "confidence": v.confidence.value,
        "confidence_text": title(f"confidence.{v.confidence.value}"),
        "since": time(v.since_ns),
        "scope": scope(v.scope) if v.scope else None,
        "incident_id": v.incident_id,
        "etr": etr(v.etr),
        "say": {"de": " ".join(s["de"] for s in spoken), "en": " ".join(s["en"] for s in spoken)},
        "steps": [said(c, zone) for c in v.steps],
        "do_not": [said(c, zone) for c in v.do_not],
        "evidence": [
            {"code": e.said.code, "text": both(e.said, zone), "age_s": e.age_s, "source": e.source} for e in v.evidence
        ],
        "disposition": v.disposition,
        "disposition_text": title(f"disposition.{v.disposition}") if v.disposition else None,
        "stale": v.stale,
        "also_seen": [{"code": c.value, "text": title(f"verdict.{c.value}")} for c in v.also_seen],
    }


def card(inventory: Inventory, row: int, open_data: bool) -> Shown:
    """`open_data` False: personal fields are masked."""
    texts = inventory.texts
    name, street, phone, customer = (texts[c][row] for c in ("name", "street", "phone", "customer_id"))
    return {
        "line_id": inventory.line_id(row),
        "path": inventory.elements.paths[int(inventory.leaf[row])],
        "technology": texts["technology"][row],
        "service_class": texts["service_class"][row],
        "status": texts["status"][row] or "active",
        "cpe_model": texts["cpe_model"][row],
        "cpe_firmware": texts["cpe_firmware"][row],
        "customer_id": customer if open_data else masked_id(customer),
        "name": name if open_data else initials(name),
        "street": street if open_data else masked_street(street),
        "city": texts["city"][row],
        "phone": phone if open_data else masked_phone(phone),
        "masked": not open_data,
    }


def candidate(found: Candidate) -> Shown:
    return {
        "line_id": found.line_id,
        "name_hint": found.name_hint,
        "customer_hint": found.customer_hint,
        "street_hint": found.street_hint,
        "city": found.city,
        "technology": found.technology,
    }


def brief(i: Incident) -> Shown:
    return {
        "incident_id": i.incident_id,
        "kind": i.kind.value,
        "status": i.status.value,
        "severity": i.severity.value,
        "scope": scope(i.scope),
        "started_at": rfc3339(i.started_ns),
        "lines_down": i.lines_down,
        "lines_at_risk": i.lines_at_risk,
        "calls": i.calls,
    }


_KINDS: dict[IncidentKind, tuple[str, str]] = {
    IncidentKind.OUTAGE: ("Störung", "Outage"),
    IncidentKind.DEGRADED: ("Beeinträchtigung", "Degradation"),
    IncidentKind.RESOLVER: ("Resolver gestört", "Resolver failing"),
    IncidentKind.SOURCE: ("Messstation blind", "Prober blind"),
    IncidentKind.PLANNED: ("Geplante Wartung", "Planned maintenance"),
}


def incident_title(i: Incident) -> Shown:
    """Outage: north/ex-12/olt-3"""
    german, english = _KINDS[i.kind]
    place = where(i.scope)
    return {"de": f"{german}: {place['de']}", "en": f"{english}: {place['en']}"}


def incident(i: Incident, zone: tzinfo, reach: Reach | None = None) -> Shown:
    """Who sees only some regions is not told what else elsewhere might be the cause."""
    runner_up = i.runner_up if reach is None or (i.runner_up and reach.scope(i.runner_up)) else None
    return {
        "incident_id": i.incident_id,
        "kind": i.kind.value,
        "status": i.status.value,
        "severity": i.severity.value,
        "scope": scope(i.scope),
        "title": incident_title(i),
        "cause": i.cause,
        "confidence": round(i.confidence, 3),
        "started_at": rfc3339(i.started_ns),
        "detected_at": rfc3339(i.detected_ns),
        "updated_at": rfc3339(i.updated_ns),
        "resolved_at": time(i.resolved_ns),
        "revision": i.revision,
        "lines_down": i.lines_down,
        "lines_affected": i.lines_affected,
        "lines_at_risk": i.lines_at_risk,
        "lines_observable": i.lines_observable,
        "explanation": [explained(c, zone) for c in i.explanation],
        "runner_up": scope(runner_up) if runner_up else None,
        "runner_up_confidence": round(i.runner_up_confidence, 3) if runner_up else 0.0,
        "etr": etr(i.etr),
        "acked_by": i.acked_by,
        "acked_at": time(i.acked_ns),
        "notes": [{"at": rfc3339(n.at_ns), "by": n.by, "text": n.text} for n in i.notes],
        "calls": i.calls,
        "reopened": i.reopened,
        "parent_id": i.parent_id,
        "suspects": [name for name in i.suspects if reach is None or reach.path(name)],
    }


def flag(f: Flag) -> Shown:
    return {
        "subject": f.subject,
        "kind": f.kind.value,
        "reason": f.reason,
        "value": f.value,
        "unit": f.unit,
        "started_at": rfc3339(f.started_ns),
        "detected_at": rfc3339(f.detected_ns),
        "ended_at": time(f.ended_ns),
    }


def call(r: Report) -> Shown:
    return {
        "case_id": r.case_id,
        "at": rfc3339(r.at_ns),
        "line_id": r.line_id,
        "symptom": r.symptom,
        "words": r.words,
        "started_at": time(r.started_ns),
        "by": r.by,
        "verdict": r.verdict_code,
        "verdict_title": title(f"verdict.{r.verdict_code}"),
        "incident_id": r.incident_id,
        "disposition": r.disposition,
    }


def likely(one: LikelyCaller, inventory: Inventory, row: int, open_data: bool, zone: tzinfo) -> Shown:
    """A line of the ranking. `open_data` False: name and street are masked."""
    texts = inventory.texts
    name, street = texts["name"][row], texts["street"][row]
    flagged = flag_words(one.line_id, one.reason, one.value, one.unit) if one.kind else None
    return {
        "rank": one.rank,
        "line_id": one.line_id,
        "path": inventory.elements.paths[int(inventory.leaf[row])],
        "score": one.score,
        "chance": one.chance,
        "kind": one.kind,
        "reason": one.reason,
        "value": one.value,
        "unit": one.unit,
        "text": explained(flagged, zone) if flagged is not None else None,
        "started_at": time(one.started_ns),
        "open": one.open,
        "flags_month": one.flags_month,
        "flagged_week_h": one.flagged_week_h,
        "calls_month": one.calls_month,
        "name": name if open_data else initials(name),
        "street": street if open_data else masked_street(street),
        "postcode": texts["postcode"][row],
        "city": texts["city"][row],
        "masked": not open_data,
    }


def basis(b: "Basis", zone: tzinfo) -> Shown:
    """What a ranking rests on."""
    from correlation.ranking import CALLS_NEEDED

    params: dict[str, Param] = {"calls": b.calls, "needed": CALLS_NEEDED, "days": b.tested_days, "top": b.top}
    params["base_ratio"] = b.base_ratio
    for name, q in (("score_ratio", b.score), ("model_ratio", b.model)):
        params[name] = q.precision_at_top if q is not None else 0.0
    return {
        "method": b.method,
        "reason": b.reason,
        "text": both(Coded(f"ranking.{b.reason}", params), zone),
        "calls": b.calls,
        "calls_needed": CALLS_NEEDED,
        "trained_days": b.trained_days,
        "tested_days": b.tested_days,
        "tested_from": time(b.tested_from_ns),
        "tested_until": time(b.tested_until_ns),
        "top": b.top,
        "base_ratio": round(b.base_ratio, 4),
        "covered_ratio": round(b.covered_ratio, 4),
        "score": _quality(b.score),
        "model": _quality(b.model),
    }


def _quality(q: "Quality | None") -> Shown | None:
    if q is None:
        return None
    names = ("average_precision", "precision_at_top", "lift_at_top")
    return {name: number(getattr(q, name)) for name in names}
