"""The alerts' part of the configuration file: `[alerts]`, its receivers, teams and routes.

Everything that cannot work is refused here, before the daemon runs: a route that names nobody, an incident that would
have no route, a team without a channel where one is needed.
"""

import msgspec

from alerts.settings_base import SEVERITY_ORDER, require_range, require_url, words_of
from alerts.settings_receivers import (
    AlertmanagerSettings,
    AppriseSettings,
    EmailSettings,
    HeartbeatSettings,
    SlackSettings,
    WebhookSettings,
)
from alerts.settings_routes import DigestSettings, RouteSettings, StormSettings, TeamSettings
from monitor.records import IncidentKind, Severity
from monitor.words import LANGUAGES

__all__ = [
    "SEVERITY_ORDER",
    "AlertSettings",
    "AlertmanagerSettings",
    "AppriseSettings",
    "DigestSettings",
    "EmailSettings",
    "HeartbeatSettings",
    "RouteSettings",
    "SlackSettings",
    "StormSettings",
    "TeamSettings",
    "WebhookSettings",
    "receiver_names",
]


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is told, and of what.

    `page_url`: where the web page is, for links (empty: no links). `kinds`: incidents that are told; `min_lines`: an
    outage of fewer affected lines is not; `min_severity`: the least severe that is told. `sla_down_s`: a line with an
    SLA that is down alone for so long is told (0: never). `dead_after_s`: what could not be delivered for so long is
    given up, counted and named. `check_s`: how often a receiver that had nothing to tell is asked whether it still
    works. Without `routes` every receiver is told everything.
    """

    language: str = "en"
    page_url: str = ""
    kinds: tuple[IncidentKind, ...] = (
        IncidentKind.OUTAGE,
        IncidentKind.DEGRADED,
        IncidentKind.RESOLVER,
        IncidentKind.SOURCE,
    )
    min_lines: int = 1
    min_severity: Severity = Severity.WARNING
    grew_factor: float = 2.0
    sla_down_s: float = 120.0
    poll_s: float = 1.0
    retry_first_s: float = 5.0
    retry_most_s: float = 60.0
    check_s: float = 900.0
    dead_after_s: float = 86400.0
    slack: SlackSettings = SlackSettings()
    email: EmailSettings = EmailSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    storm: StormSettings = StormSettings()
    digest: DigestSettings = DigestSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    apprise: tuple[AppriseSettings, ...] = ()
    teams: tuple[TeamSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ()

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"language is {self.language!r}: give one of {', '.join(LANGUAGES)}")
        if self.page_url:
            require_url("page_url", self.page_url)
        if self.min_severity not in SEVERITY_ORDER:
            raise ValueError(f"min_severity is {self.min_severity!r}: give one of {words_of(SEVERITY_ORDER)}")
        if self.min_lines < 0:
            raise ValueError(f"min_lines is {self.min_lines}: give 0 or more")
        require_range("grew_factor", self.grew_factor, 1.1, 1000)
        require_range("sla_down_s", self.sla_down_s, 0, 86400)
        require_range("poll_s", self.poll_s, 0.05, 60)
        require_range("retry_first_s", self.retry_first_s, 0.05, 3600)
        require_range("retry_most_s", self.retry_most_s, self.retry_first_s, 86400)
        require_range("check_s", self.check_s, 10, 86400)
        require_range("dead_after_s", self.dead_after_s, 1, 90 * 86400)
        self._check_names()
        self._check_routes()

    def _check_names(self) -> None:
        for what, names in (
            ("webhooks", [one.name for one in self.webhooks]),
            ("apprise", [one.name for one in self.apprise]),
            ("teams", [one.name for one in self.teams]),
            ("routes", [one.name for one in self.routes]),
        ):
            if doubled := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{what} has {doubled.pop()!r} twice: each name is used once")
        known = receiver_names(self)
        for name in self.digest.receivers:
            if name not in known:
                raise ValueError(f"digest.receivers has {name!r}: {_choose(known)}")

    def _check_routes(self) -> None:
        if not self.routes:
            return
        if not any(route.default for route in self.routes):
            raise ValueError(
                "routes has no default: an incident that none of them matches would be told to nobody; add one with"
                " default = true"
            )
        known, teams, names = receiver_names(self), {t.name for t in self.teams}, {r.name for r in self.routes}
        closed = ""  # the route after which nothing can be reached
        targets = {route.escalate_to for route in self.routes}
        for route in self.routes:
            where = f"routes: {route.name!r}"
            if closed and route.name not in targets:
                raise ValueError(f"{where} stands behind the default route {closed!r} and can never match: move it up")
            if not route.receivers:
                raise ValueError(f"{where} has no receivers: it would tell nobody; {_choose(known)}")
            for name in (*route.receivers, *route.out_of_band):
                if name not in known:
                    raise ValueError(f"{where} names the receiver {name!r}: {_choose(known)}")
            if route.team and route.team not in teams:
                raise ValueError(f"{where} names the team {route.team!r}: it is not one of [[alerts.teams]]")
            if route.escalate_to and (route.escalate_to not in names or route.escalate_to == route.name):
                raise ValueError(f"{where} escalates to {route.escalate_to!r}: name another route")
            if route.default and not route.go_on:
                closed = route.name


def receiver_names(settings: AlertSettings) -> list[str]:
    """Every receiver that these settings make, by the name under which routes and the store know it."""
    names = []
    if settings.slack.enabled:
        names.append("slack")
        names += [f"slack:{team.name}" for team in settings.teams if team.slack_channel]
    if settings.email.enabled:
        names.append("email")
        names += [f"email:{team.name}" for team in settings.teams if team.recipients]
    if settings.alertmanager.enabled:
        names.append("alertmanager")
    names += [f"webhook:{one.name}" for one in settings.webhooks]
    names += [f"apprise:{one.name}" for one in settings.apprise]
    return names


def _choose(known: list[str]) -> str:
    return f"enabled are {', '.join(known)}" if known else "no receiver is enabled"
