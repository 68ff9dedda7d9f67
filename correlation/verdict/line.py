"""Rules about one line on its own: cut off, refused at login, without names, unstable, slow, its router, or well."""

from correlation.verdict.facts import LineFacts
from correlation.verdict.finding import (
    CPE,
    ENGINE,
    ICMP,
    RADIUS,
    RESOLVER,
    Finding,
    about_incident,
    about_line,
    about_siblings,
    coded,
    codes,
    grade,
    seen,
    since,
)
from correlation.verdict.flags import flag_words
from monitor.records import (
    Coded,
    Confidence,
    Evidence,
    Flag,
    FlagKind,
    IncidentKind,
    IncidentStatus,
    LineState,
    Scope,
    ScopeKind,
    VerdictCode,
)

FLAPS = 3  # drops in 24 h that a customer notices
LOSS_RATIO = 0.05
BOOTS = 3  # restarts in 24 h that nobody does by hand
SLOW_FACTOR, SLOW_MS = 1.5, 5.0  # a median above 1.5 x baseline + 5 ms is felt
UNMANAGED_S = 600.0  # offline towards the broker for so long while the line answers
OPEN = (IncidentStatus.OPEN, IncidentStatus.RECOVERING, IncidentStatus.SUSPECTED)


def line_down_only_here(f: LineFacts) -> Finding | None:
    """Down, while at least three neighbours are up. A login attempt proves that the line itself is up."""
    if not f.down or not f.only_here or f.wide is None or f.login_refused_ns:
        return None
    if f.incident(IncidentKind.OUTAGE, *OPEN):
        return None  # then it is not the only one, whatever the next neighbours do
    evidence = [*about_line(f), *about_siblings(f, f.wide)]
    if f.los_active:
        evidence.insert(0, seen(f, "seen.los", f.signs.los_ns, CPE))
    if f.signs.cpe_offline_ns > f.signs.cpe_online_ns:
        evidence.append(seen(f, "seen.cpe_offline", f.signs.cpe_offline_ns, CPE))
    whole = f.wide.up == f.wide.observable
    sure = (f.state is LineState.DOWN or f.los_active) and whole and f.replied_ns < f.limit_ns
    certain = Confidence.SURE if sure else Confidence.LIKELY
    return Finding(
        VerdictCode.LINE_DOWN_ONLY_HERE,
        certain if f.state is LineState.DOWN or f.los_active else Confidence.UNCLEAR,
        "dispatch",
        say=codes("say.line_down_only_here", "say.emergency_call"),
        steps=codes("step.check_cable", "step.power_cycle", "step.dispatch"),
        do_not=codes("dont.factory_reset"),
        evidence=tuple(evidence),
        since_ns=(f.signs.los_ns if f.los_active else f.since_ns) or f.replied_ns or None,
    )


def login_failed(f: LineFacts) -> Finding | None:
    """The line carries a login, and the login is refused; without an answer it is the network's side."""
    refused = f.login_refused_ns
    if not refused:
        return None
    timeout = f.signs.login_timeout_ns > f.signs.login_rejected_ns
    reason = f.signs.login_reason.casefold()
    steps: tuple[str, ...]
    if timeout:
        say, steps, disposition = "say.login_timeout", ("step.report_noc", "step.log_report"), "escalated_l2"
        evidence = seen(f, "seen.login_timeout", refused, RADIUS)
    else:
        say, disposition = "say.login_failed", "resolved_credentials"
        if "session" in reason or "already" in reason:
            say, steps = "say.login_double", ("step.end_old_session", "step.power_cycle", "step.check_again")
        elif "block" in reason or "disabled" in reason:
            say, steps, disposition = "say.login_blocked", ("step.transfer_care", "step.log_report"), "escalated_l2"
        else:
            steps = ("step.compare_login", "step.resend_access", "step.check_again")
        evidence = seen(f, "seen.login_rejected", refused, RADIUS, reason=f.signs.login_reason or "?")
    return Finding(
        VerdictCode.LOGIN_FAILED,
        Confidence.SURE if f.age_s(refused) < 900 else Confidence.LIKELY,
        disposition,
        say=codes(say, "say.emergency_call"),
        steps=codes(*steps),
        do_not=codes("dont.ask_password", "dont.dispatch"),
        evidence=(evidence, *about_line(f)),
        since_ns=f.since_ns if f.state is LineState.DOWN else refused,
    )


def dns_fault(f: LineFacts) -> Finding | None:
    """The line answers, but a resolver that serves it does not."""
    groups, down = f.inventory.groups, f.view.resolvers_down
    own = [groups.names[g] for g in groups.groups_of(f.line).tolist() if groups.kinds[g] == "resolver"]
    failed = sorted(name for name in own if name in down)
    told = "resolver" in groups.kinds
    if not told:
        failed = sorted(down)  # nobody told which line uses which resolver
    if not failed:
        return None
    scope = Scope(ScopeKind.GROUP, f"resolver:{failed[0]}")
    incidents = [i for i in f.view.incidents if i.kind is IncidentKind.RESOLVER and i.status in OPEN]
    incident = next((i for i in incidents if i.scope == scope), None)
    whole = told and len(failed) == len(own)
    begin = min(down[name] for name in failed)
    evidence = tuple(seen(f, "seen.resolver_down", down[n], RESOLVER, resolver=n, **since(f, down[n])) for n in failed)
    return Finding(
        VerdictCode.DNS_FAULT,
        Confidence.SURE if whole else (Confidence.LIKELY if told else Confidence.UNCLEAR),
        "resolved_info_outage",
        say=codes("say.dns_fault"),
        steps=codes("step.log_report", "step.check_cpe_dns", "step.check_again"),
        do_not=codes("dont.reset_router", "dont.dispatch"),
        evidence=(*evidence, *about_line(f)),
        since_ns=begin,
        scope=scope,
        incident_id=incident.incident_id if incident else "",
        etr=incident.etr if incident else None,
        wins=f.answers,
    )


def unstable(f: LineFacts) -> Finding | None:
    """It drops, loses packets, or its signal fades."""
    flag = f.flag(FlagKind.UNSTABLE, FlagKind.DEGRADING)
    flaps, loss = int(f.view.flaps_24h[f.line]), float(f.view.loss_ratio[f.line])
    lossy = f.state is LineState.DEGRADED and (loss >= LOSS_RATIO or not _slow(f))
    if flag is None and flaps < FLAPS and not lossy:
        return None
    evidence: list[Evidence] = [_flag_evidence(f, flag)] if flag else []
    if flaps:
        evidence.append(seen(f, "seen.flaps", f.probed_ns or f.now_ns, ENGINE, flaps=flaps))
    if loss == loss and loss >= 0.01:
        evidence.append(seen(f, "seen.loss", f.probed_ns or f.now_ns, ICMP, loss_ratio=loss))
    said: Coded
    if flag and flag.kind is FlagKind.DEGRADING:
        said = coded("say.unstable_signal")
    elif flaps >= FLAPS:
        said = coded("say.unstable", flaps=flaps)
    else:
        said = coded("say.unstable_loss")
    return Finding(
        VerdictCode.UNSTABLE,
        Confidence.SURE if flag and f.answers else Confidence.LIKELY,
        "escalated_l2",
        say=(said,),
        steps=codes("step.check_cable", "step.ask_wired", "step.watch_24h"),
        do_not=codes("dont.factory_reset"),
        evidence=(*evidence, *about_line(f), *about_siblings(f, f.near)),
        since_ns=flag.started_ns if flag else None,
        wins=not f.down,
    )


def slow(f: LineFacts) -> Finding | None:
    """Slower than its own baseline, alone or with its whole segment. Never a figure of speed."""
    flag = f.flag(FlagKind.SLOW)
    segment = f.segment_flag()
    degraded = f.incident(IncidentKind.DEGRADED, IncidentStatus.OPEN, IncidentStatus.RECOVERING)
    if not (flag or segment or degraded or _slow(f)):
        return None
    evidence: list[Evidence] = [_flag_evidence(f, flag)] if flag else []
    since_ns, scope, confidence = (flag.started_ns if flag else None), None, Confidence.LIKELY
    if segment:
        evidence.append(_flag_evidence(f, segment))
        since_ns, scope = since_ns or segment.started_ns, Scope(ScopeKind.ELEMENT, segment.subject.partition(":")[2])
    if degraded:
        incident, held = degraded
        evidence.insert(0, about_incident(f, incident, held)[0])
        since_ns, scope, confidence = incident.started_ns, incident.scope, grade(incident.confidence)
    rtt, base = float(f.view.rtt_ms[f.line]), float(f.view.baseline_ms[f.line])
    if rtt == rtt and base == base and f.replied_ns:
        evidence.append(seen(f, "seen.rtt_baseline", f.replied_ns, ICMP, rtt_ms=rtt, baseline_ms=base))
    shared = segment is not None or degraded is not None
    return Finding(
        VerdictCode.SLOW_VS_BASELINE,
        Confidence.SURE if flag and not shared else confidence,
        "resolved_info_outage" if degraded else "escalated_l2",
        say=codes("say.slow_area" if shared else "say.slow"),
        steps=codes(*(("step.log_report", "step.offer_callback") if shared else SLOW_STEPS)),
        do_not=codes("dont.state_speed"),
        evidence=(*evidence, *about_line(f)),
        since_ns=since_ns,
        scope=scope,
        incident_id=degraded[0].incident_id if degraded else "",
        etr=degraded[0].etr if degraded else None,
        wins=f.answers,
    )


SLOW_STEPS = ("step.ask_wired", "step.ask_devices", "step.watch_24h")


def _slow(f: LineFacts) -> bool:
    """NaN, not learned or not measured, is never slow."""
    rtt, base = float(f.view.rtt_ms[f.line]), float(f.view.baseline_ms[f.line])
    return f.state is LineState.DEGRADED and rtt > base * SLOW_FACTOR + SLOW_MS


def _flag_evidence(f: LineFacts, flag: Flag) -> Evidence:
    words = flag_words(flag.subject, flag.reason, float(flag.value), flag.unit)
    return seen(f, words.code, flag.detected_ns, ENGINE, **words.params)


def cpe_fault(f: LineFacts) -> Finding | None:
    """The router restarts again and again, or cannot be managed although the line answers."""
    signs = f.signs
    looping = signs.boots_24h >= BOOTS
    unmanaged = (
        f.answers and signs.cpe_offline_ns > signs.cpe_online_ns and f.age_s(signs.cpe_offline_ns) >= UNMANAGED_S
    )
    if not (looping or unmanaged):
        return None
    if looping:
        evidence = seen(f, "seen.boots", signs.cpe_boot_ns or f.now_ns, CPE, boots=signs.boots_24h)
    else:
        evidence = seen(f, "seen.cpe_offline", signs.cpe_offline_ns, CPE)
    return Finding(
        VerdictCode.CPE_FAULT,
        Confidence.LIKELY if looping else Confidence.UNCLEAR,
        "resolved_reboot",
        say=codes("say.cpe_restarts" if looping else "say.cpe_unmanaged"),
        steps=codes("step.power_cycle", "step.update_firmware", "step.swap_cpe"),
        do_not=codes("dont.factory_reset"),
        evidence=(evidence, *about_line(f)),
        since_ns=None if looping else signs.cpe_offline_ns,
        wins=not f.down,
    )


def no_fault_found(f: LineFacts) -> Finding | None:
    """Only with fresh evidence that the line answers; says what was checked."""
    if not f.answers:
        return None
    evidence = [*about_line(f), *about_siblings(f, f.near)]
    for incident, held in f.incidents:
        if held and incident.status is IncidentStatus.RECOVERING:
            evidence.append(
                seen(f, "seen.outage_recovering", incident.updated_ns, ENGINE, incident=incident.incident_id)
            )
    if f.signs.cpe_online_ns > f.signs.cpe_offline_ns:
        evidence.append(seen(f, "seen.cpe_online", f.signs.cpe_online_ns, CPE))
    if f.view.loss_ratio[f.line] < 0.01:
        evidence.append(seen(f, "seen.no_loss", f.probed_ns, ICMP))
    return Finding(
        VerdictCode.NO_FAULT_FOUND,
        Confidence.SURE if f.state is LineState.UP else Confidence.LIKELY,
        "no_fault",
        say=codes("say.no_fault_found"),
        steps=codes("step.ask_what_fails", "step.ask_wired", "step.restart_devices"),
        do_not=codes("dont.dispatch"),
        evidence=tuple(evidence),
        since_ns=f.since_ns,
    )
