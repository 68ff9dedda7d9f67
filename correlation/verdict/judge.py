"""One verdict for one line: the rules in order of priority, the first that wins is the answer.

The rules stand as `VerdictCode` orders them, which a test checks. `judge` is pure: the engine's view, the inventory,
the moment and why the line can be measured or not go in; times are ns UTC.
"""

from collections.abc import Callable

from correlation.verdict import area, home, line
from correlation.verdict.facts import NOT_ASKED, AtHome, LineFacts
from correlation.verdict.finding import Finding, codes, seen
from correlation.view import EngineView
from monitor.inventory import Inventory
from monitor.records import Confidence, Evidence, Verdict, VerdictCode

Rule = Callable[[LineFacts], Finding | None]

RULES: tuple[tuple[VerdictCode, Rule], ...] = (
    (VerdictCode.DATA_STALE, area.stale),
    (VerdictCode.ACCOUNT_SUSPENDED, area.suspended),
    (VerdictCode.NOT_YET_ACTIVATED, area.not_yet_active),
    (VerdictCode.PLANNED_WORK, area.planned_work),
    (VerdictCode.KNOWN_OUTAGE, area.known_outage),
    (VerdictCode.AREA_POWER_CUT, area.area_power_cut),
    (VerdictCode.OUTAGE_FORMING, area.outage_forming),
    (VerdictCode.NESTED_FAULT, area.nested_fault),
    (VerdictCode.POWER_AT_HOME, area.power_at_home),
    (VerdictCode.NOT_OBSERVABLE, area.not_observable),
    (VerdictCode.LINE_DOWN_ONLY_HERE, line.line_down_only_here),
    (VerdictCode.LOGIN_FAILED, line.login_failed),
    (VerdictCode.DNS_FAULT, line.dns_fault),
    (VerdictCode.UNSTABLE, line.unstable),
    (VerdictCode.SLOW_VS_BASELINE, line.slow),
    (VerdictCode.CPE_FAULT, line.cpe_fault),
    (VerdictCode.WIFI_ONLY, home.wifi_only),
    (VerdictCode.NO_FAULT_FOUND, line.no_fault_found),
)


def judge(
    view: EngineView,
    inventory: Inventory,
    line: int,
    now_ns: int,
    observability: int = 0,
    at_home: AtHome = NOT_ASKED,
) -> Verdict:
    """The verdict for row `line` of `inventory`. `observability` is why it can be probed or not (Observability).
    `at_home`: what the agent asked and the router told of the customer's own network.

    A view of another generation of the inventory knows nothing of this line: then no statement is possible.
    """
    if view.generation != inventory.generation or view.state.shape[0] != len(inventory):
        view = EngineView.empty(len(inventory), view.at_ns, inventory.generation)
    facts = LineFacts(view, inventory, line, now_ns, observability, at_home)
    findings = [finding for _, rule in RULES if (finding := rule(facts)) is not None]
    # Every case ends in a rule; should one ever not, nothing is claimed.
    best = next((finding for finding in findings if finding.wins), None) or _no_statement(facts)
    return Verdict(
        code=best.code,
        confidence=best.confidence,
        at_ns=now_ns,
        line_id=facts.line_id,
        since_ns=best.since_ns,
        scope=best.scope,
        incident_id=best.incident_id,
        etr=best.etr,
        evidence=best.evidence,
        steps=best.steps[:3],
        do_not=best.do_not,
        say=best.say,
        disposition=best.disposition,
        stale=best.code is VerdictCode.DATA_STALE,
        also_seen=_also(findings, best),
    )


def _also(findings: list[Finding], best: Finding) -> tuple[VerdictCode, ...]:
    """What else matched. That the line answers is no finding beside a fault."""
    left_out = (best.code, VerdictCode.NO_FAULT_FOUND)
    return tuple(finding.code for finding in findings if finding.code not in left_out)


def unclear(now_ns: int, matches: int) -> Verdict:
    """No line, or several: the agent asks and picks; nothing of any customer is in it."""
    none = matches == 0
    return Verdict(
        code=VerdictCode.IDENTITY_UNCLEAR,
        confidence=Confidence.UNCLEAR,
        at_ns=now_ns,
        line_id="",
        evidence=(Evidence(codes("seen.no_match" if none else "seen.several_matches")[0], 0.0, "inventory"),),
        steps=codes("step.ask_customer_number", "step.ask_address") if none else codes("step.ask_and_pick"),
        do_not=() if none else codes("dont.read_out_candidates"),
        say=codes("say.no_match" if none else "say.several_matches"),
    )


def _no_statement(facts: LineFacts) -> Finding:
    return Finding(
        VerdictCode.DATA_STALE,
        Confidence.UNCLEAR,
        "callback_pending",
        say=codes("say.data_stale"),
        steps=codes("step.ask_manually", "step.check_again", "step.log_report"),
        do_not=codes("dont.say_no_fault"),
        evidence=(seen(facts, "seen.probe_too_old", facts.newest_probe_ns or facts.now_ns, "icmp"),),
    )
