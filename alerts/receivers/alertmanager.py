"""Alertmanager's v2 API (`POST /api/v2/alerts`): each incident is one alert, routed and grouped by Alertmanager.

Labels identify an alert, so they hold only what does not change over an incident's life; the rest is annotations. An
open alert is sent again every `repeat_s` and ends by itself after five times that, so that a daemon that is gone leaves
no alert behind. Every member of a cluster is told, as Alertmanager asks; one that takes it is enough.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from alerts.guard import Answer, Forbidden, GuardedHttp
from alerts.message import Message
from alerts.receivers.base import Pacer, Undelivered
from alerts.receivers.http_answer import meaning_of, raise_unless_taken
from alerts.settings import AlertmanagerSettings
from monitor.clock import NS, Clock, rfc3339
from monitor.secret import read_secret

HOLD = 5  # times repeat_s


class AlertmanagerReceiver:
    in_place = True
    summaries = False

    def __init__(self, settings: AlertmanagerSettings, clock: Clock, name: str = "alertmanager") -> None:
        """Raises SecretProblem or ValueError, naming the setting."""
        self.name = name
        self.update_s = settings.update_s
        self.most_per_hour = settings.most_per_hour
        self.repeat_s = settings.repeat_s
        self.pacer = Pacer(clock, settings.interval_s)
        self._clock = clock
        self._settings = settings
        self._authorization = read_secret(settings, "authorization", "alerts.alertmanager")
        self._http = GuardedHttp(settings.timeout_s, None, settings.ca_file)

    async def send(self, message: Message, handle: Mapping[str, str]) -> Mapping[str, str]:
        await self.pacer.turn()
        body = msgspec.json.encode([self._alert(message)])
        await self._everywhere("POST", "/api/v2/alerts", body)
        return {"alert": message.incident_id}

    async def check(self) -> None:
        await self._everywhere("GET", "/api/v2/status", b"")

    async def close(self) -> None:
        return None

    def _alert(self, message: Message) -> dict[str, Any]:
        machine, now_ns = message.machine, self._clock.now_ns()
        labels = {
            "alertname": f"Faultline{machine.kind.capitalize()}",
            "incident_id": message.incident_id,
            "kind": machine.kind,
            **self._settings.labels,
        }
        notes = {
            "summary": message.title,
            "description": message.text,
            "severity": machine.severity,
            "scope": f"{machine.scope_kind}:{machine.scope}",
            "lines_down": str(machine.lines_down),
            "acknowledged_by": machine.acked_by,
            "url": message.url,
        }
        start_ns = machine.started_ns if machine.started_ns is not None else message.at_ns
        end_ns = now_ns + int(HOLD * self._settings.repeat_s * NS)
        if message.over:
            end_ns = max(machine.resolved_ns or now_ns, start_ns + 1)
        return {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: value for name, value in notes.items() if value},
            "startsAt": rfc3339(start_ns),
            "endsAt": rfc3339(end_ns),
            **({"generatorURL": message.url} if message.url else {}),
        }

    async def _everywhere(self, method: str, path: str, body: bytes) -> None:
        """Raises what the last member said when none has taken it."""
        headers = {"Content-Type": "application/json", "User-Agent": "Faultline"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        worst: Undelivered | None = None
        taken = False
        for url in self._settings.urls:
            parts = urlsplit(url)
            where = f"Alertmanager at {parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
            try:
                answer: Answer = await self._http.request(method, url.rstrip("/") + path, headers, body)
                raise_unless_taken(where, answer)
                taken = True
            except (OSError, Forbidden) as error:
                worst = meaning_of(where, error)
            except Undelivered as error:
                worst = error
        if not taken and worst is not None:
            raise worst
