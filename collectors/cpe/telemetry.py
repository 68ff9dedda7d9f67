"""What a router says in plain JSON, as values with units and events; nothing here knows lines, brokers or time.

Units are in the keys (`rx_power_dbm`, `sync_down_kbps`, `memory_percent`); nested objects are joined with "_"
(`{"wifi": {"rssi_dbm": -61}}`). Routers send rubbish: numbers as text, NaN, a power of +3000 dBm, a tower of
brackets. What is not a plausible number is dropped and counted under a named reason, the rest of the message counts.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from monitor.clock import number_to_ns, parse_time
from monitor.records import EventKind, ValueKind

MAX_DEPTH = 8
MAX_FIELDS = 512
MAX_TEXT = 200

_NOT_A_NUMBER = re.compile(rb"(?<=[:\[,])\s*[-+]?(?:nan|inf(?:inity)?)\s*(?=[,\]}])", re.IGNORECASE)
_TIME_KEYS = ("ts", "timestamp", "time", "at", "collection_time")
_VALUE_KEYS = ("value", "reason", "cause")

# Plausible values, in the unit of the kind: outside of them a report is a defect, not a measurement.
PLAUSIBLE: dict[ValueKind, tuple[float, float]] = {
    ValueKind.RX_POWER_DBM: (-150.0, 50.0),  # optical -40..0, cellular RSRP down to -140
    ValueKind.TX_POWER_DBM: (-60.0, 70.0),
    ValueKind.SNR_DB: (-30.0, 90.0),
    ValueKind.ATTENUATION_DB: (0.0, 150.0),
    ValueKind.SYNC_DOWN_MBPS: (0.0, 400_000.0),
    ValueKind.SYNC_UP_MBPS: (0.0, 400_000.0),
    ValueKind.CRC_ERRORS: (0.0, 1e15),
    ValueKind.FEC_ERRORS: (0.0, 1e15),
    ValueKind.RETRAINS: (0.0, 1e9),
    ValueKind.UPTIME_S: (0.0, 2e9),
    ValueKind.WIFI_RSSI_DBM: (-130.0, 20.0),
    ValueKind.WIFI_CLIENTS: (0.0, 10_000.0),
    ValueKind.CPE_RTT_MS: (0.0, 600_000.0),
    ValueKind.CPU_RATIO: (0.0, 1.0),
    ValueKind.MEMORY_RATIO: (0.0, 1.0),
    ValueKind.WAN_UPTIME_S: (0.0, 2e9),
}


def _keys() -> dict[str, tuple[ValueKind, float]]:
    """Every key that is understood, with its kind and the factor into the unit of the kind."""
    units: dict[str, dict[str, float]] = {
        "dbm": {"dbm": 1.0},
        "db": {"db": 1.0},
        "mbps": {"mbps": 1.0, "kbps": 1e-3, "bps": 1e-6, "gbps": 1e3},
        "s": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
        "ms": {"ms": 1.0, "us": 1e-3, "s": 1e3},
        "ratio": {"ratio": 1.0, "percent": 0.01, "pct": 0.01},
        "": {"": 1.0},
    }
    names: tuple[tuple[ValueKind, str, tuple[str, ...]], ...] = (
        (ValueKind.RX_POWER_DBM, "dbm", ("rx_power", "optical_rx_power", "rx")),
        (ValueKind.TX_POWER_DBM, "dbm", ("tx_power", "optical_tx_power", "tx")),
        (ValueKind.SNR_DB, "db", ("snr", "snr_margin", "noise_margin", "snr_down", "mer")),
        (ValueKind.ATTENUATION_DB, "db", ("attenuation", "line_attenuation", "attenuation_down")),
        (ValueKind.SYNC_DOWN_MBPS, "mbps", ("sync_down", "downstream_rate")),
        (ValueKind.SYNC_UP_MBPS, "mbps", ("sync_up", "upstream_rate")),
        (ValueKind.CRC_ERRORS, "", ("crc_errors",)),
        (ValueKind.FEC_ERRORS, "", ("fec_errors",)),
        (ValueKind.RETRAINS, "", ("retrains",)),
        (ValueKind.UPTIME_S, "s", ("uptime",)),
        (ValueKind.WAN_UPTIME_S, "s", ("wan_uptime", "session_uptime")),
        (ValueKind.WIFI_RSSI_DBM, "dbm", ("wifi_rssi",)),
        (ValueKind.WIFI_CLIENTS, "", ("wifi_clients",)),
        (ValueKind.CPE_RTT_MS, "ms", ("cpe_rtt", "rtt")),
        (ValueKind.CPU_RATIO, "ratio", ("cpu", "cpu_usage")),
        (ValueKind.MEMORY_RATIO, "ratio", ("memory", "memory_usage", "mem")),
    )
    return {
        f"{stem}_{suffix}" if suffix else stem: (kind, factor)
        for kind, unit, stems in names
        for stem in stems
        for suffix, factor in units[unit].items()
    }


KEYS = _keys()

# What a router may say about itself. It never gets to speak about addresses, sessions or other subjects.
EVENTS: dict[str, EventKind] = {
    "boot": "cpe_boot",
    "reboot": "cpe_boot",
    "cpe_boot": "cpe_boot",
    "dying_gasp": "dying_gasp",
    "los": "los",
    "los_cleared": "los_cleared",
    "login_accepted": "login_accepted",
    "login_rejected": "login_rejected",
    "login_failed": "login_rejected",
    "login_timeout": "login_timeout",
    "firmware_changed": "firmware_changed",
}


class Refused(ValueError):
    """A message that cannot be used at all; the text is the named reason under which it is counted."""


class Report(msgspec.Struct):
    """`values` in the units of their kinds; `events` with their values; `at_ns` by the router's own clock, if it says
    so; `dropped`: named reason -> fields that were not usable."""

    values: list[tuple[ValueKind, float]]
    events: list[tuple[EventKind, str]]
    at_ns: int | None
    dropped: Counter[str]


def parse_report(payload: bytes, within: str = "") -> Report:
    """A telemetry message. `within`: what the topic says after `telemetry/`, as if it were around the object.

    Raises Refused: "not_json", "too_deep", "not_an_object", "too_many_fields".
    """
    content = _decode(payload)
    if not isinstance(content, dict):
        raise Refused("not_an_object")
    report = Report([], [], _time(content), Counter())
    for number, (path, value) in enumerate(_leaves(content, within, 1)):
        if number >= MAX_FIELDS:
            raise Refused("too_many_fields")
        known = _known(path)
        if known is None:
            continue
        kind, factor = known
        number_value = value if type(value) is float else _number(value)  # JSON has neither NaN nor infinity
        if number_value is None:
            report.dropped["not_a_number"] += 1
            continue
        low, high = PLAUSIBLE[kind]
        scaled = number_value * factor
        if low <= scaled <= high:
            report.values.append((kind, scaled))
        else:
            report.dropped["implausible"] += 1
    if "event" in content:
        name = content["event"]
        event = EVENTS.get(name.strip().lower()) if isinstance(name, str) else None
        if event is None:
            report.dropped["unknown_event"] += 1
        else:
            told = next((content[key] for key in _VALUE_KEYS if key in content), "")
            report.events.append((event, clean(told) if isinstance(told, str | int | float) else ""))
    return report


def parse_availability(payload: bytes) -> bool:
    """True: online. Accepts the bare word, or it in quotes. Raises Refused("not_a_state")."""
    word = payload.strip(b" \t\r\n\"'").lower()
    if word == b"online":
        return True
    if word == b"offline":
        return False
    raise Refused("not_a_state")


def clean(told: str | int | float) -> str:
    """Text from a router as it may stand in records and pages: printable, one line, of bounded length."""
    text = str(told)[: 2 * MAX_TEXT]
    return "".join(c for c in text if c.isprintable())[:MAX_TEXT].strip()


def _decode(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except RecursionError:
        raise Refused("too_deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        pass
    mended = _NOT_A_NUMBER.sub(b"null", payload)
    if mended == payload:
        raise Refused("not_json")
    try:
        return msgspec.json.decode(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise Refused("not_json") from None


@lru_cache(4096)
def _known(path: str) -> tuple[ValueKind, float] | None:
    """What a name means: the longest end of it that is a key (`state/wifi/rssi_dbm` is `wifi_rssi_dbm`)."""
    while path:
        if (known := KEYS.get(path.replace("/", "_").lower())) is not None:
            return known
        path = path.partition("/")[2]
    return None


def _leaves(content: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """(name, value) of everything that is no object; lists are of no use here."""
    if depth > MAX_DEPTH:
        raise Refused("too_deep")
    for key, value in content.items():
        path = f"{prefix}/{key}" if prefix else key
        if isinstance(value, dict):
            yield from _leaves(value, path, depth + 1)
        else:
            yield path, value


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) > 40:
        return None
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(content: dict[str, Any]) -> int | None:
    for key in _TIME_KEYS:
        value = content.get(key)
        try:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
                return number_to_ns(value)
            if isinstance(value, str) and len(value) <= 40:
                return parse_time(value)
        except (ValueError, OverflowError):
            continue
    return None
