"""Rules about the account and the area: planned work, outages known and forming, and what an outage left behind.

Each rule is a function of the line's facts that returns a Finding or None; `judge` asks them in order of priority.
"""

from correlation.verdict.facts import NS, LineFacts
from correlation.verdict.finding import (
    CPE,
    CRM,
    DESK,
    ENGINE,
    ICMP,
    Finding,
    about_incident,
    about_line,
    about_siblings,
    also,
    coded,
    codes,
    emergency,
    grade,
    seen,
    since,
)
from monitor.records import (
    Coded,
    Confidence,
    Etr,
    Evidence,
    Incident,
    IncidentKind,
    IncidentStatus,
    VerdictCode,
)

POWER_CAUSES = frozenset({"power_cut"})
CLEARED_FOR_S = 12 * 3600.0  # a line that stayed down is linked to its outage for so long
BEFORE_S = 600.0  # an outage's start is an estimate: lines may have fallen that much earlier
CALLS_FORMING = 3
GASPS_FORMING = 3


def stale(f: LineFacts) -> Finding | None:
    """Nothing fresh is known: no statement, and never "no fault"."""
    if not f.stale:
        return None
    evidence: list[Evidence] = []
    for source, begin in sorted(f.view.blind.items()):
        if f.replied_ns <= begin:
            evidence.append(seen(f, "seen.source_blind", begin, ENGINE, prober=source, **since(f, begin)))
    if newest := f.newest_probe_ns:
        evidence.append(seen(f, "seen.probe_too_old", newest, ICMP))
    else:
        evidence.append(seen(f, "seen.never_probed", f.now_ns, ICMP))
    return Finding(
        VerdictCode.DATA_STALE,
        Confidence.UNCLEAR,
        "callback_pending",
        say=codes("say.data_stale"),
        steps=codes("step.ask_manually", "step.check_again", "step.log_report"),
        do_not=codes("dont.say_no_fault"),
        evidence=tuple(evidence),
    )


def suspended(f: LineFacts) -> Finding | None:
    """The account's status only, never an amount."""
    if f.status != "suspended":
        return None
    return Finding(
        VerdictCode.ACCOUNT_SUSPENDED,
        Confidence.SURE,
        "billing",
        say=codes("say.account_suspended"),
        steps=codes("step.transfer_billing"),
        do_not=codes("dont.discuss_amounts", "dont.troubleshoot"),
        evidence=(seen(f, "seen.status_suspended", f.now_ns, CRM),),
    )


def not_yet_active(f: LineFacts) -> Finding | None:
    if f.status != "not_yet_active":
        return None
    return Finding(
        VerdictCode.NOT_YET_ACTIVATED,
        Confidence.SURE,
        "callback_pending",
        say=codes("say.not_yet_activated"),
        steps=codes("step.check_order", "step.offer_callback"),
        do_not=codes("dont.troubleshoot"),
        evidence=(seen(f, "seen.status_not_yet_active", f.now_ns, CRM),),
    )


def planned_work(f: LineFacts) -> Finding | None:
    """Within its window only: after it, what is still down is an outage like any other."""
    for incident, _ in f.incidents:
        if incident.kind is not IncidentKind.PLANNED or incident.status is IncidentStatus.RESOLVED:
            continue
        end = incident.etr.at_ns if incident.etr else _window_end(incident)
        if incident.started_ns > f.now_ns or (end is not None and end < f.now_ns):
            continue
        said = coded("say.planned_work", **since(f, end, "end")) if end else coded("say.planned_work_open")
        return Finding(
            VerdictCode.PLANNED_WORK,
            Confidence.SURE,
            "resolved_info_planned",
            say=(said, *emergency(f)),
            steps=codes("step.tell_window", "step.log_report", "step.offer_callback"),
            do_not=codes("dont.reset_router", "dont.dispatch"),
            evidence=(
                seen(f, "seen.planned", incident.started_ns, ENGINE, scope=incident.scope.name),
                *about_line(f),
            ),
            since_ns=incident.started_ns,
            scope=incident.scope,
            incident_id=incident.incident_id,
            etr=incident.etr,
        )
    return None


def _window_end(incident: Incident) -> int | None:
    """The announced end stands in the explanation, where there is one."""
    for said in incident.explanation:
        if isinstance(end := said.params.get("until_ns"), int):
            return end
    return None


def known_outage(f: LineFacts) -> Finding | None:
    """A confirmed outage, and this line is down or cannot be seen."""
    found = _outage(f, power=False)
    if found is None:
        return None
    if not f.out:
        return also(VerdictCode.KNOWN_OUTAGE)
    return _outage_finding(
        f, VerdictCode.KNOWN_OUTAGE, *found, coded("say.known_outage", **since(f, found[0].started_ns))
    )


def area_power_cut(f: LineFacts) -> Finding | None:
    """A confirmed power cut, or several dying gasps next door while this line is silent."""
    found = _outage(f, power=True)
    if found is not None:
        if not f.out:
            return also(VerdictCode.AREA_POWER_CUT)
        said = coded("say.area_power_cut", **since(f, found[0].started_ns))
        return _outage_finding(f, VerdictCode.AREA_POWER_CUT, *found, said)
    near = f.near
    if near is None or near.gasps + f.gasped < GASPS_FORMING or not f.out:
        return None
    return Finding(
        VerdictCode.AREA_POWER_CUT,
        Confidence.LIKELY,
        "resolved_info_outage",
        say=codes("say.area_power_likely", "say.emergency_call"),
        steps=codes("step.ask_street_power", "step.log_report", "step.offer_callback"),
        do_not=codes("dont.reset_router", "dont.dispatch"),
        evidence=(
            seen(f, "seen.area_gasps", f.now_ns, CPE, gasps=near.gasps + f.gasped, element=near.element),
            *about_line(f),
            *about_siblings(f, near),
        ),
        since_ns=f.since_ns,
    )


def _outage(f: LineFacts, power: bool) -> tuple[Incident, bool] | None:
    """The confirmed outage above this line whose cause is a power cut, or is not."""
    for incident, held in f.incidents:
        if incident.kind is not IncidentKind.OUTAGE or (incident.cause in POWER_CAUSES) is not power:
            continue
        if incident.status in (IncidentStatus.OPEN, IncidentStatus.RECOVERING):
            return incident, held
    return None


def _outage_finding(f: LineFacts, code: VerdictCode, incident: Incident, held: bool, said: Coded) -> Finding:
    confidence = grade(incident.confidence)
    if not held and confidence is Confidence.SURE:
        confidence = Confidence.LIKELY
    before: tuple[Evidence, ...] = ()
    if not held and f.down and f.since_ns and f.since_ns < incident.started_ns - BEFORE_S * NS:
        confidence = Confidence.UNCLEAR
        before = (seen(f, "seen.down_before_outage", f.since_ns, ENGINE),)
    return Finding(
        code,
        confidence,
        "resolved_info_outage",
        say=(said, *_promise(f, incident), coded("say.nothing_to_do"), coded("say.emergency_call")),
        # It will have to be looked at once the outage is over.
        steps=codes("step.log_report", "step.offer_callback", "step.check_again" if before else "step.end_call"),
        do_not=codes("dont.reset_router", "dont.dispatch"),
        evidence=(*about_incident(f, incident, held), *before, *about_line(f)),
        since_ns=incident.started_ns,
        scope=incident.scope,
        incident_id=incident.incident_id,
        etr=incident.etr,
    )


def _promise(f: LineFacts, incident: Incident) -> tuple[Coded, ...]:
    """What may be said about the end: a promise only when the NOC made it and it lies ahead."""
    etr = incident.etr
    if etr is None:
        return codes("say.no_etr")
    update = etr.next_update_ns
    later = (coded("say.next_update", **since(f, update, "update")),) if update and update > f.now_ns else ()
    if etr.at_ns <= f.now_ns:
        return later or codes("say.no_etr")
    return (_until(f, etr, incident.started_ns), *later)


def _until(f: LineFacts, etr: Etr, started_ns: int) -> Coded:
    if etr.source == "noc":
        return coded("say.etr_promised", **since(f, etr.at_ns, "until"))
    return coded("say.etr_usual", within_s=max(60.0, (etr.at_ns - started_ns) / NS))


def outage_forming(f: LineFacts) -> Finding | None:
    """Not confirmed yet: several neighbours fell with this line, or called; or nobody is there to compare with."""
    suspected = f.incident(IncidentKind.OUTAGE, IncidentStatus.SUSPECTED)
    if suspected is None and (_outage(f, power=False) or _outage(f, power=True)):
        return None  # it has formed
    near = f.near
    together = near is not None and near.forming
    calling = near is not None and near.calls >= CALLS_FORMING
    alone = f.down and not f.only_here and not f.login_refused_ns
    if not (suspected or together or calling or alone):
        return None
    if not f.out:
        return also(VerdictCode.OUTAGE_FORMING) if suspected or together or calling else None
    if not (suspected or f.down or calling):
        return also(VerdictCode.OUTAGE_FORMING)
    evidence = [*about_line(f), *about_siblings(f, near)]
    if suspected:
        evidence = [*about_incident(f, *suspected), *evidence]
    if calling and near:
        evidence.append(seen(f, "seen.area_calls", f.now_ns, DESK, calls=near.calls, element=near.element))
    incident = suspected[0] if suspected else None
    return Finding(
        VerdictCode.OUTAGE_FORMING,
        Confidence.LIKELY if suspected or together else Confidence.UNCLEAR,
        "callback_pending",
        say=(*codes("say.outage_forming"), *emergency(f)),
        steps=codes("step.log_report", "step.hold_dispatch", "step.check_again"),
        do_not=codes("dont.promise_time", "dont.reset_router"),
        evidence=tuple(evidence),
        since_ns=incident.started_ns if incident else f.since_ns,
        scope=incident.scope if incident else None,
        incident_id=incident.incident_id if incident else "",
    )


def nested_fault(f: LineFacts) -> Finding | None:
    """The outage is over for the neighbours, but this line stayed down."""
    if not f.down or f.since_ns is None or not f.only_here:
        return None
    for incident, _ in f.incidents:
        ended = incident.resolved_ns
        if incident.kind not in (IncidentKind.OUTAGE, IncidentKind.PLANNED) or ended is None:
            continue
        if f.age_s(ended) > CLEARED_FOR_S or not incident.started_ns - BEFORE_S * NS <= f.since_ns <= ended:
            continue
        return Finding(
            VerdictCode.NESTED_FAULT,
            Confidence.LIKELY,
            "escalated_l2",
            say=codes("say.nested_fault", "say.emergency_call"),
            steps=codes("step.power_cycle", "step.test_line", "step.escalate_linked"),
            do_not=codes("dont.say_area_fixed"),
            evidence=(
                seen(f, "seen.outage_over", ended, ENGINE, incident=incident.incident_id, **since(f, ended, "end")),
                *about_line(f),
                *about_siblings(f, f.wide),
            ),
            since_ns=f.since_ns,
            scope=incident.scope,
            incident_id=incident.incident_id,
        )
    return None


def power_at_home(f: LineFacts) -> Finding | None:
    """This line's own dying gasp was its last word. A missing gasp proves nothing."""
    if not f.gasped:
        return None
    return Finding(
        VerdictCode.POWER_AT_HOME,
        Confidence.LIKELY,
        "no_fault",
        say=codes("say.power_at_home", "say.emergency_call"),
        steps=codes("step.ask_power", "step.check_plug", "step.check_again"),
        do_not=codes("dont.say_network_fine", "dont.dispatch"),
        evidence=(
            seen(f, "seen.dying_gasp", f.signs.dying_gasp_ns, CPE),
            *about_line(f),
            *about_siblings(f, f.near),
        ),
        since_ns=f.signs.dying_gasp_ns,
    )


def not_observable(f: LineFacts) -> Finding | None:
    """It cannot be measured from here: say so, and go on with questions. A router's or a login's own word is a
    measurement too, and then speaks for itself below."""
    if f.measurable or f.status in ("suspended", "not_yet_active"):
        return None
    if f.login_refused_ns or f.los_active:
        return also(VerdictCode.NOT_OBSERVABLE)
    evidence = [*about_line(f), *about_siblings(f, f.near)]
    if f.signs.cpe_online_ns > f.signs.cpe_offline_ns:
        evidence.append(seen(f, "seen.cpe_online", f.signs.cpe_online_ns, CPE))
    elif f.signs.cpe_offline_ns:
        evidence.append(seen(f, "seen.cpe_offline", f.signs.cpe_offline_ns, CPE))
    return Finding(
        VerdictCode.NOT_OBSERVABLE,
        Confidence.UNCLEAR,
        "escalated_l2",
        say=codes("say.not_observable"),
        steps=codes("step.ask_lights", "step.ask_wired", "step.test_line"),
        do_not=codes("dont.say_no_fault"),
        evidence=tuple(evidence),
    )
