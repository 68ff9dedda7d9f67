"""Which receivers an incident is for: scope, team, severity, kind, size, time of day; later ones if nobody acks.

Stops everybody else. Judged when somebody would be told for the first time; what was told is told to its end. Needs no
memory: escalation follows from when the incident was detected and whether it has been acknowledged, so it survives a
restart. An incident that still lasts when a route's hours begin is told to it then.
"""

from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from alerts.message import Fact
from alerts.settings import SEVERITY_ORDER, AlertSettings, RouteSettings
from alerts.settings_routes import scope_matches
from alerts.stages.base import Item, Judged, Moment, Stop
from alerts.text import cut
from monitor.clock import NS
from monitor.records import Incident, Severity

LOOK_AGAIN_S = 60.0  # for a route with hours
ESCALATED = Fact("Escalation", "nobody has acknowledged it")
FAILING_S = 60.0  # a receiver that has not worked for so long cannot be counted on


class Route:
    name = "route"

    def __init__(self, settings: AlertSettings, zone: tzinfo, escalated: Fact = ESCALATED) -> None:
        self._routes = settings.routes
        self._by_name = {route.name: route for route in settings.routes}
        self._teams = {team.name: team.scopes for team in settings.teams}
        self._zone = zone
        self._escalated = escalated

    def judge(self, items: Sequence[Item], moment: Moment) -> Judged:
        if not self._routes:
            return Judged(list(items), [])
        survivors: list[Item] = []
        stopped: list[Stop] = []
        for item in items:
            verdict = self._decide(item, moment) if item.is_first else None
            if isinstance(verdict, Stop):
                stopped.append(verdict)
            else:
                survivors.append(_marked(item, verdict))
        return Judged(survivors, stopped)

    def matching(self, incident: Incident, now_ns: int) -> list[RouteSettings]:
        """The routes that decide, in their order; and, beside the time, those that would at another hour last."""
        found: list[RouteSettings] = []
        for route in self._routes:
            if self._matches(route, incident) and route.open_at(now_ns, self._zone):
                found.append(route)
                if not route.go_on:
                    break
        return found

    def _decide(self, item: Item, moment: Moment) -> Stop | Fact | None:
        """Why not, or what the message must say beside (None: an ordinary route)."""
        now_ns, incident, me = moment.now_ns, item.incident, moment.receiver
        routes = self.matching(incident, now_ns)
        waits: list[tuple[int, str, str]] = []
        for route in routes:
            if me in route.receivers:
                return None
            if me in route.out_of_band:
                if not item.is_over and _all_fail(route, moment):
                    return None
                if not item.is_over:
                    waits.append((now_ns + 5 * NS, "main_route_works", f"route {route.name}: its receivers work"))
            if (step := self._escalation(route, me)) is None:
                continue
            after_s, target = step
            due_ns = incident.detected_ns + int(after_s * NS)
            if incident.acked_by:
                waits.append((0, "acknowledged", f"by {cut(incident.acked_by, 60)}, before {target} was due"))
            elif item.is_over:
                waits.append((0, "over_before_escalation", f"{target} was due {after_s:g} s after detection"))
            elif now_ns < due_ns:
                waits.append((due_ns, "waits_for_ack", f"to {target} if nobody acknowledges within {after_s:g} s"))
            else:
                return self._escalated
        if waits:
            until_ns, reason, detail = min(waits, key=lambda wait: (wait[0] == 0, wait[0]))
            return Stop(item, self.name, reason, detail, until_ns or None)
        names = ", ".join(route.name for route in routes)
        until = None
        if not item.is_over and any(r.timed and me in r.receivers and self._matches(r, incident) for r in self._routes):
            until = now_ns + int(LOOK_AGAIN_S * NS)
        return Stop(item, self.name, "other_route", f"route {names or 'none'}", until)

    def _escalation(self, route: RouteSettings, receiver: str) -> tuple[float, str] | None:
        """After how many seconds without an acknowledgement `receiver` is told, following the routes one by one."""
        after_s, seen = 0.0, {route.name}
        while route.escalate_to and route.escalate_to not in seen:
            after_s += route.escalate_after_s
            route = self._by_name[route.escalate_to]
            seen.add(route.name)
            if receiver in route.receivers:
                return after_s, route.name
        return None

    def _matches(self, route: RouteSettings, incident: Incident) -> bool:
        if route.default:
            return True
        if route.kinds and incident.kind not in route.kinds:
            return False
        if incident.lines_affected < route.min_lines:
            return False
        worse = SEVERITY_ORDER[: SEVERITY_ORDER.index(route.min_severity) + 1]
        if incident.severity not in (*worse, Severity.INDETERMINATE, Severity.CLEARED):
            return False
        if route.team and not any(scope_matches(p, incident.scope) for p in self._teams[route.team]):
            return False
        return not route.scopes or any(scope_matches(p, incident.scope) for p in route.scopes)


def _all_fail(route: RouteSettings, moment: Moment) -> bool:
    since = [moment.around.failing.get(name) for name in route.receivers]
    return all(at is not None and moment.now_ns - at >= FAILING_S * NS for at in since)


def _marked(item: Item, fact: Fact | None) -> Item:
    if fact is None:
        return item
    facts = (fact, *item.message.facts)
    return msgspec.structs.replace(item, message=msgspec.structs.replace(item.message, facts=facts))
