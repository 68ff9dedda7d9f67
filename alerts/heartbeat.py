"""A dead man's switch: a watchdog outside is asked at intervals while everything runs, and alerts when that stops.

Silence is what is noticed, so nothing is asked while the engine stands still: a daemon that answers but no longer
thinks must look dead. A watchdog that cannot be reached is a trouble of ours, said once.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from alerts.guard import Forbidden, GuardedHttp
from alerts.health import ReceiverHealth
from alerts.receivers.base import Undelivered, Unreachable
from alerts.receivers.http_answer import meaning_of, raise_unless_taken
from alerts.settings import HeartbeatSettings
from alerts.settings_base import require_url
from monitor.clock import Clock
from monitor.metrics import Metrics
from monitor.secret import SecretProblem, read_secret


class Heartbeat:
    name = "heartbeat"

    def __init__(self, settings: HeartbeatSettings, alive: Callable[[], bool], metrics: Metrics, clock: Clock) -> None:
        """Raises SecretProblem or ValueError, naming the setting."""
        self._settings = settings
        self._alive = alive
        self._clock = clock
        self._troubles = metrics.troubles
        self._beats = metrics.counter("heartbeats_total", "beats the watchdog has taken", ["outcome"])
        self._url = settings.url or read_secret(settings, "url", "alerts.heartbeat") or ""
        try:
            require_url("url", self._url)
        except ValueError:
            raise SecretProblem("alerts.heartbeat.url: what is given is no http address") from None
        self._where = f"the watchdog at {urlsplit(self._url).hostname}"
        self._http = GuardedHttp(settings.timeout_s, None, settings.ca_file, settings.local_address)
        self._problem = ""
        self._last_ns: int | None = None

    async def run(self) -> None:
        while True:
            if self._alive():
                await self.beat()
            else:
                self._beats.labels("withheld").inc()
            await self._clock.sleep(self._settings.every_s)

    async def beat(self) -> None:
        try:
            answer = await self._http.request("GET", self._url, {"User-Agent": "Faultline"})
            raise_unless_taken(self._where, answer)
        except (OSError, Forbidden, Undelivered) as error:
            said = error if isinstance(error, Undelivered) else meaning_of(self._where, error)
            self._problem = str(said)
            self._beats.labels("failed").inc()
            text = f"{said}; it will take us for dead"
            self._troubles.begin("heartbeat", text, self._clock.now_ns())
        else:
            self._problem = ""
            self._last_ns = self._clock.now_ns()
            self._beats.labels("taken").inc()
            self._troubles.end("heartbeat", self._last_ns)

    async def check(self) -> None:
        """A connection is all that can be tried without beating. Raises Unreachable."""
        parts = urlsplit(self._url)
        try:
            await self._http.reach(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, Forbidden) as error:
            raise Unreachable(str(meaning_of(self._where, error))) from None

    def health(self) -> ReceiverHealth:
        return ReceiverHealth(self.name, not self._problem, self._problem, self._last_ns)
