"""Floor 2: the daemon's own figures, and troubles that are said once.

`Metrics` hands out Prometheus metrics by name from one registry; asking twice gives the same one, so parts need not
know of each other. `Troubles` logs the begin of a failure once and its end once.
"""

import logging
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitor.metrics.troubles import Trouble, Troubles

__all__ = ["Metrics", "Trouble", "Troubles"]


class Metrics:
    """A registry of `faultline_*` metrics. Names are given without the prefix."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._known: dict[str, Counter | Gauge | Histogram] = {}
        self.troubles = Troubles(logging.getLogger("faultline"), self.gauge("trouble", "1 while it lasts", ["name"]))

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        found = self._find(name)
        if found is None:
            found = self._keep(name, Counter(f"faultline_{name}", text, labels, registry=self.registry))
        assert isinstance(found, Counter)
        return found

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        found = self._find(name)
        if found is None:
            found = self._keep(name, Gauge(f"faultline_{name}", text, labels, registry=self.registry))
        assert isinstance(found, Gauge)
        return found

    def histogram(self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        found = self._find(name)
        if found is None:
            made = Histogram(f"faultline_{name}", text, labels, buckets=buckets, registry=self.registry)
            found = self._keep(name, made)
        assert isinstance(found, Histogram)
        return found

    def _find(self, name: str) -> Counter | Gauge | Histogram | None:
        return self._known.get(name)

    def _keep(self, name: str, metric: Counter | Gauge | Histogram) -> Counter | Gauge | Histogram:
        self._known[name] = metric
        return metric
