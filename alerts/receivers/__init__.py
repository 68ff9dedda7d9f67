"""Receivers: one file each, and one function in `KINDS`. Everything else knows only `alerts.receivers.base`.

A receiver's module is imported only when it is enabled: its library costs memory. A kind gives any number of receivers
(a Slack channel per team, each webhook), each with a stable name: the store and the routes know it by that.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from alerts.receivers.base import Receiver
from alerts.settings import (
    AlertmanagerSettings,
    AlertSettings,
    AppriseSettings,
    EmailSettings,
    SlackSettings,
    WebhookSettings,
)
from monitor.clock import Clock

__all__ = ["KINDS", "Enabled", "build_receivers", "enabled_receivers"]


class Enabled(NamedTuple):
    """`in_place`: whether it can change what it has sent; `summaries`: whether it takes a storm as one message."""

    name: str
    in_place: bool
    summaries: bool
    update_s: float
    most_per_hour: int
    build: Callable[[Clock], Receiver]


def _slack(settings: AlertSettings) -> Iterator[Enabled]:
    def build(part: SlackSettings, name: str, clock: Clock) -> Receiver:
        from alerts.receivers.slack import SlackReceiver

        return SlackReceiver(part, clock, name)

    if not settings.slack.enabled:
        return
    channels = {"slack": settings.slack.channel}
    channels |= {f"slack:{team.name}": team.slack_channel for team in settings.teams if team.slack_channel}
    for name, channel in channels.items():
        part = replace(settings.slack, channel=channel)
        yield Enabled(name, True, True, part.update_s, part.most_per_hour, partial(build, part, name))


def _email(settings: AlertSettings) -> Iterator[Enabled]:
    def build(part: EmailSettings, name: str, clock: Clock) -> Receiver:
        from alerts.receivers.email import EmailReceiver

        return EmailReceiver(part, clock, name)

    if not settings.email.enabled:
        return
    people = {"email": settings.email.recipients}
    people |= {f"email:{team.name}": team.recipients for team in settings.teams if team.recipients}
    for name, recipients in people.items():
        part = replace(settings.email, recipients=recipients)
        yield Enabled(name, False, True, part.update_s, part.most_per_hour, partial(build, part, name))


def _alertmanager(settings: AlertSettings) -> Iterator[Enabled]:
    def build(part: AlertmanagerSettings, name: str, clock: Clock) -> Receiver:
        from alerts.receivers.alertmanager import AlertmanagerReceiver

        return AlertmanagerReceiver(part, clock, name)

    part, name = settings.alertmanager, "alertmanager"
    if part.enabled:
        yield Enabled(name, True, False, part.update_s, part.most_per_hour, partial(build, part, name))


def _webhooks(settings: AlertSettings) -> Iterator[Enabled]:
    def build(part: WebhookSettings, name: str, clock: Clock) -> Receiver:
        from alerts.receivers.webhook import WebhookReceiver

        return WebhookReceiver(part, clock, name)

    for part in settings.webhooks:
        name = f"webhook:{part.name}"
        made = partial(build, part, name)
        yield Enabled(name, False, bool(part.template), part.update_s, part.most_per_hour, made)


def _apprise(settings: AlertSettings) -> Iterator[Enabled]:
    def build(part: AppriseSettings, name: str, clock: Clock) -> Receiver:
        from alerts.receivers.apprise import AppriseReceiver

        return AppriseReceiver(part, clock, name)

    for part in settings.apprise:
        name = f"apprise:{part.name}"
        yield Enabled(name, False, True, part.update_s, part.most_per_hour, partial(build, part, name))


KINDS: dict[str, Callable[[AlertSettings], Iterator[Enabled]]] = {
    "slack": _slack,
    "email": _email,
    "alertmanager": _alertmanager,
    "webhook": _webhooks,
    "apprise": _apprise,
}


def enabled_receivers(settings: AlertSettings) -> dict[str, Enabled]:
    """By name, in the order of the configuration."""
    return {one.name: one for kind in KINDS.values() for one in kind(settings)}


def build_receivers(settings: AlertSettings, clock: Clock) -> list[Receiver]:
    """The enabled ones. Raises monitor.secret.SecretProblem or ValueError, naming the setting, when one is wrong."""
    return [one.build(clock) for one in enabled_receivers(settings).values()]
