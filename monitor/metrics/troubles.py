"""Failures that last: logged once when they begin, once when they end, visible in between."""

import logging
import threading

import msgspec
from prometheus_client import Gauge


class Trouble(msgspec.Struct, frozen=True):
    name: str  # stable, e.g. "broker", "influxdb", "smtp"
    text: str  # what happened, where, what to do
    since_ns: int


class Troubles:
    """The failures that last just now. Any thread may call."""

    def __init__(self, log: logging.Logger, gauge: Gauge) -> None:
        self._log = log
        self._gauge = gauge
        self._now: dict[str, Trouble] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, text: str, at_ns: int) -> None:
        """Say that `name` has failed; saying it again while it lasts is silent."""
        with self._lock:
            if name in self._now:
                return
            self._now[name] = Trouble(name, text, at_ns)
        self._gauge.labels(name).set(1)
        self._log.warning("%s: %s", name, text)

    def end(self, name: str, at_ns: int) -> None:
        """Say that `name` works; silent unless it had failed."""
        with self._lock:
            trouble = self._now.pop(name, None)
        if trouble is None:
            return
        self._gauge.labels(name).set(0)
        self._log.warning("%s: works again after %.0f s", name, (at_ns - trouble.since_ns) / 1e9)

    def current(self) -> list[Trouble]:
        with self._lock:
            return sorted(self._now.values(), key=lambda t: t.since_ns)
