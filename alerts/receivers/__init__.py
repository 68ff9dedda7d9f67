"""Receivers: one file each, and one line in `RECEIVERS`. Everything else knows only `alerts.receivers.base`.

A receiver's module is imported only when it is enabled: its library costs memory.
"""

from collections.abc import Callable
from typing import NamedTuple

from alerts.receivers.base import Receiver
from alerts.settings import AlertSettings, EmailSettings, SlackSettings
from monitor.clock import Clock

__all__ = ["RECEIVERS", "Kind", "build_receivers", "enabled_kinds"]


def _slack(settings: AlertSettings, clock: Clock) -> Receiver:
    from alerts.receivers.slack import SlackReceiver

    return SlackReceiver(settings.slack, clock)


def _email(settings: AlertSettings, clock: Clock) -> Receiver:
    from alerts.receivers.email import EmailReceiver

    return EmailReceiver(settings.email, clock)


class Kind(NamedTuple):
    """`part`: its settings. `in_place`: whether it can change what it has sent."""

    part: Callable[[AlertSettings], SlackSettings | EmailSettings]
    in_place: bool
    build: Callable[[AlertSettings, Clock], Receiver]


RECEIVERS: dict[str, Kind] = {
    "slack": Kind(lambda settings: settings.slack, True, _slack),
    "email": Kind(lambda settings: settings.email, False, _email),
}


def enabled_kinds(settings: AlertSettings) -> dict[str, Kind]:
    return {name: kind for name, kind in RECEIVERS.items() if kind.part(settings).enabled}


def build_receivers(settings: AlertSettings, clock: Clock) -> list[Receiver]:
    """The enabled ones. Raises monitor.secret.SecretProblem or ValueError, naming the setting, when one is wrong."""
    return [kind.build(settings, clock) for kind in enabled_kinds(settings).values()]
