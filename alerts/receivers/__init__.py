"""Receivers: one file each, and one line here. Everything else knows only the protocol in `alerts.receivers.base`.

A receiver's module is imported only when it is enabled: its library costs memory.
"""

from collections.abc import Callable

from alerts.receivers.base import Receiver
from alerts.settings import AlertSettings
from monitor.clock import Clock

__all__ = ["RECEIVERS", "build_receivers"]


def _slack(settings: AlertSettings, clock: Clock) -> Receiver | None:
    if not settings.slack.enabled:
        return None
    from alerts.receivers.slack import SlackReceiver

    return SlackReceiver(settings.slack, clock)


def _email(settings: AlertSettings, clock: Clock) -> Receiver | None:
    if not settings.email.enabled:
        return None
    from alerts.receivers.email import EmailReceiver

    return EmailReceiver(settings.email, clock)


Build = Callable[[AlertSettings, Clock], Receiver | None]
RECEIVERS: dict[str, Build] = {
    "slack": _slack,
    "email": _email,
}


def build_receivers(settings: AlertSettings, clock: Clock) -> list[Receiver]:
    """The enabled ones. Raises monitor.secret.SecretProblem or ValueError, naming the setting, when one is wrong."""
    made = [build(settings, clock) for build in RECEIVERS.values()]
    return [receiver for receiver in made if receiver is not None]
