"""What collectd's mqtt plugin says (OpenWrt routers): `PREFIX/HOST/PLUGIN[-INSTANCE]/TYPE[-INSTANCE]`, one at a time.

The host is the router's serial number. The payload is `EPOCH:VALUE[:VALUE]` in text with a NUL behind it; a value that
collectd has not got is `nan`. Most of what collectd measures says nothing of a line and is passed over.
"""

import math
from typing import NamedTuple

from collectors.cpe.normal import PLAUSIBLE, Refused, Report
from monitor.clock import number_to_ns
from monitor.records import ValueKind

MAX_PAYLOAD = 256


class Known(NamedTuple):
    kind: ValueKind
    factor: float = 1.0


TYPES = {
    ("uptime", "uptime"): Known(ValueKind.UPTIME_S),
    ("iwinfo", "signal_power"): Known(ValueKind.WIFI_RSSI_DBM),
    ("iwinfo", "signal_noise"): Known(ValueKind.WIFI_NOISE_DBM),
    ("iwinfo", "stations"): Known(ValueKind.WIFI_CLIENTS),
    ("memory", "percent-used"): Known(ValueKind.MEMORY_RATIO, 0.01),
    ("cpu", "percent-active"): Known(ValueKind.CPU_RATIO, 0.01),
    ("ping", "ping"): Known(ValueKind.CPE_RTT_MS),  # ping-ADDRESS; ping_droprate and ping_stddev are other types
    ("thermal", "temperature"): Known(ValueKind.TEMPERATURE_C),
    ("sensors", "temperature"): Known(ValueKind.TEMPERATURE_C),
}


def known(within: str) -> Known | None:
    """What stands behind the host in the topic; None for what we have no use for."""
    plugin, _, type_ = within.partition("/")
    plugin = plugin.partition("-")[0]
    return TYPES.get((plugin, type_)) or TYPES.get((plugin, type_.partition("-")[0]))


def read_values(what: Known, payload: bytes) -> Report:
    """Raises Refused("not_collectd")."""
    told = payload.rstrip(b"\0").split(b":")
    try:
        if len(payload) > MAX_PAYLOAD or len(told) < 2:
            raise ValueError
        at_s, value = float(told[0]), float(told[1]) * what.factor
        report = Report.empty(number_to_ns(at_s) if math.isfinite(at_s) and at_s > 0 else None)
    except (ValueError, OverflowError):
        raise Refused("not_collectd") from None
    low, high = PLAUSIBLE[what.kind]
    if math.isnan(value):
        report.dropped["not_a_number"] += 1
    elif low <= value <= high:
        report.values.append((what.kind, value))
    else:
        report.dropped["implausible"] += 1
    return report
