"""Samples: what was measured, kept for history. Two engines behind one protocol, chosen by `store.engine`.

Importing this loads no database library; opening an engine does.
"""

from collections.abc import Sequence

from monitor.clock import Clock
from monitor.metrics import Metrics
from monitor.store.samples.base import ElementHistory, LineHistory, SampleStore, ValuesHistory
from monitor.store.settings import StoreSettings

__all__ = ["ElementHistory", "LineHistory", "SampleStore", "ValuesHistory", "open_sample_store"]


def open_sample_store(
    settings: StoreSettings,
    metrics: Metrics,
    clock: Clock,
    resolvers: Sequence[str] = (),
    references: Sequence[str] = (),
) -> SampleStore:
    """The engine that the settings choose. `resolvers`, `references`: their names in configured order, for what is
    stored of them (without: their number). Raises StoreProblem or SecretProblem; an InfluxDB that cannot be reached is
    no error but a trouble, said once.
    """
    if settings.engine == "influxdb":
        from monitor.store.samples.influx import InfluxStore

        return InfluxStore(settings, metrics, clock, resolvers, references)
    from monitor.store.samples.embedded import EmbeddedStore

    return EmbeddedStore(settings, metrics, clock, resolvers, references)
