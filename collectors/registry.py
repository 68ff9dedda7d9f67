"""Every collector there is, a line each: its name is that of its table in the configuration file.

`build("dns", settings.dns, context)` gives the collector; what it needs is imported only then.
"""

from collections.abc import Callable
from typing import Any

from collectors.base import Collector, CollectorContext
from collectors.cpe.settings import CpeSettings
from collectors.dns.settings import DnsSettings
from collectors.icmp.settings import IcmpSettings


def _icmp(settings: IcmpSettings, context: CollectorContext) -> Collector:
    from collectors.icmp.collector import IcmpCollector

    return IcmpCollector(settings, context)


def _dns(settings: DnsSettings, context: CollectorContext) -> Collector:
    from collectors.dns.collector import DnsCollector

    return DnsCollector(settings, context)


def _cpe(settings: CpeSettings, context: CollectorContext) -> Collector:
    from collectors.cpe.collector import CpeCollector

    return CpeCollector(settings, context)


COLLECTORS: dict[str, Callable[[Any, CollectorContext], Collector]] = {
    "icmp": _icmp,
    "dns": _dns,
    "cpe": _cpe,
}


def build(name: str, settings: Any, context: CollectorContext) -> Collector:
    """The collector `name`. Raises ValueError, naming the setting, when one is wrong; KeyError for an unknown name."""
    return COLLECTORS[name](settings, context)
