"""What one rule found, and the evidence that several rules share."""

from dataclasses import dataclass

from correlation.verdict.facts import NS, LineFacts, Siblings
from monitor.inventory import Observability
from monitor.records import Coded, Confidence, Etr, Evidence, Incident, LineState, Scope, VerdictCode
from monitor.records.incidents import Param

ICMP, ENGINE, CRM, CPE, RADIUS, DESK = "icmp", "engine", "crm", "cpe", "radius", "calls"
RESOLVER = "dns"
SAME_DAY_S = 12 * 3600  # beyond that a clock time alone could be mistaken for today's


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict that a rule proposes. `wins` False: only worth mentioning under "also seen"."""

    code: VerdictCode
    confidence: Confidence
    disposition: str
    say: tuple[Coded, ...] = ()
    steps: tuple[Coded, ...] = ()
    do_not: tuple[Coded, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    since_ns: int | None = None
    scope: Scope | None = None
    incident_id: str = ""
    etr: Etr | None = None
    wins: bool = True


def also(code: VerdictCode) -> Finding:
    """Seen, but not the answer."""
    return Finding(code, Confidence.UNCLEAR, "", wins=False)


def emergency(f: LineFacts) -> tuple[Coded, ...]:
    """The phone hangs on the line: while it is down, 112 is reached by mobile only."""
    return codes("say.emergency_call") if f.down or f.login_refused_ns else ()


def coded(code: str, **params: Param) -> Coded:
    return Coded(code, params)


def codes(*names: str) -> tuple[Coded, ...]:
    return tuple(Coded(name) for name in names)


def seen(f: LineFacts, code: str, at_ns: int, source: str, **params: Param) -> Evidence:
    return Evidence(Coded(code, params), round(f.age_s(at_ns), 1), source)


def about_line(f: LineFacts) -> tuple[Evidence, ...]:
    """What probing says of this line, and since when."""
    found: list[Evidence] = []
    if f.observability is not Observability.OBSERVABLE:
        found.append(seen(f, f"seen.not_observable.{f.observability.name.lower()}", f.now_ns, ENGINE))
    elif f.probed_ns == 0:
        found.append(seen(f, "seen.never_probed", f.now_ns, ICMP))
    elif f.never_answered:
        found.append(seen(f, "seen.never_answered", f.probed_ns, ICMP))
    elif f.replied_ns >= f.probed_ns or f.answers:
        rtt = float(f.view.rtt_ms[f.line])
        if rtt == rtt:
            found.append(seen(f, "seen.replied_rtt", f.replied_ns, ICMP, rtt_ms=rtt))
        else:
            found.append(seen(f, "seen.replied", f.replied_ns, ICMP))
    else:
        found.append(seen(f, "seen.no_reply", f.probed_ns, ICMP))
        if f.replied_ns:
            found.append(seen(f, "seen.last_reply", f.replied_ns, ICMP))
    if f.since_ns and f.state is LineState.DOWN:
        found.append(seen(f, "seen.down_since", f.probed_ns or f.since_ns, ENGINE, **since(f, f.since_ns)))
    return tuple(found)


def about_siblings(f: LineFacts, siblings: Siblings | None) -> tuple[Evidence, ...]:
    """How many of the observable neighbours are up."""
    if siblings is None:
        return (seen(f, "seen.too_few_siblings", f.now_ns, ICMP),)
    newest = f.limit_ns if f.probed_ns < f.limit_ns else f.probed_ns
    return (
        seen(f, "seen.siblings", newest, ICMP, up=siblings.up, total=siblings.observable, element=siblings.element),
    )


def about_incident(f: LineFacts, incident: Incident, held: bool) -> tuple[Evidence, ...]:
    found = [
        seen(
            f,
            "seen.incident",
            incident.updated_ns,
            ENGINE,
            incident=incident.incident_id,
            down=incident.lines_down,
            total=incident.lines_at_risk,
        )
    ]
    if not held:
        found.append(seen(f, "seen.incident_covers", incident.updated_ns, ENGINE))
    if incident.calls:
        found.append(seen(f, "seen.incident_calls", incident.updated_ns, DESK, calls=incident.calls))
    return tuple(found)


def since(f: LineFacts, at_ns: int, name: str = "since") -> dict[str, Param]:
    """A time as a parameter for the sentence's `{NAME_ns}`, with its day unless it is within some hours."""
    near = abs(f.now_ns - at_ns) <= SAME_DAY_S * NS
    return {f"{name}_ns" if near else f"{name}_on_ns": at_ns}


def grade(confidence: float) -> Confidence:
    if confidence >= 0.9:
        return Confidence.SURE
    return Confidence.LIKELY if confidence >= 0.6 else Confidence.UNCLEAR
