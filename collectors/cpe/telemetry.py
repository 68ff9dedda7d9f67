"""What a router says in plain JSON, as values with units and events; nothing here knows lines, brokers or time.

Units are in the keys (`rx_power_dbm`, `sync_down_kbps`, `memory_percent`); nested objects are joined with "_"
(`{"wifi": {"rssi_dbm": -61}}`). Routers send rubbish: numbers as text, NaN, a power of +3000 dBm, a tower of
brackets. What is not a plausible number is dropped and counted under a named reason, the rest of the message counts.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from collectors.cpe.normal import PLAUSIBLE, Refused, Report, clean, decode_json, time_of, to_number
from monitor.records import EventKind, ValueKind

MAX_DEPTH = 8
MAX_FIELDS = 512

_VALUE_KEYS = ("value", "reason", "cause")


def _keys() -> dict[str, tuple[ValueKind, float]]:
    """Every key that is understood, with its kind and the factor into the unit of the kind."""
    units: dict[str, dict[str, float]] = {
        "dbm": {"dbm": 1.0},
        "db": {"db": 1.0},
        "mbps": {"mbps": 1.0, "kbps": 1e-3, "bps": 1e-6, "gbps": 1e3},
        "s": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
        "ms": {"ms": 1.0, "us": 1e-3, "s": 1e3},
        "ratio": {"ratio": 1.0, "percent": 0.01, "pct": 0.01},
        "dbmv": {"dbmv": 1.0},
        "c": {"c": 1.0},
        "v": {"v": 1.0, "mv": 1e-3},
        "ma": {"ma": 1.0, "ua": 1e-3},
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
        (ValueKind.RX_LEVEL_DBMV, "dbmv", ("rx_level",)),
        (ValueKind.TX_LEVEL_DBMV, "dbmv", ("tx_level",)),
        (ValueKind.SNR_UP_DB, "db", ("snr_up",)),
        (ValueKind.ATTENUATION_UP_DB, "db", ("attenuation_up",)),
        (ValueKind.RSRQ_DB, "db", ("rsrq",)),
        (ValueKind.CELL_RSSI_DBM, "dbm", ("cell_rssi",)),
        (ValueKind.WIFI_NOISE_DBM, "dbm", ("wifi_noise",)),
        (ValueKind.TEMPERATURE_C, "c", ("temperature",)),
        (ValueKind.VOLTAGE_V, "v", ("voltage",)),
        (ValueKind.BIAS_MA, "ma", ("bias",)),
        (ValueKind.UNCORRECTABLES, "", ("uncorrectables",)),
        (ValueKind.ERRORED_S, "s", ("errored",)),
        (ValueKind.SEVERELY_ERRORED_S, "s", ("severely_errored",)),
        (ValueKind.T3_TIMEOUTS, "", ("t3_timeouts",)),
        (ValueKind.T4_TIMEOUTS, "", ("t4_timeouts",)),
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


def parse_report(payload: bytes, within: str = "") -> Report:
    """As read_report, from bytes. Raises Refused: also "not_json"."""
    return read_report(decode_json(payload), within)


def read_report(content: object, within: str = "") -> Report:
    """A telemetry message. `within`: what the topic says after `telemetry/`, as if it were around the object.

    Raises Refused: "too_deep", "not_an_object", "too_many_fields".
    """
    if not isinstance(content, dict):
        raise Refused("not_an_object")
    report = Report.empty(time_of(content))
    for number, (path, value) in enumerate(_leaves(content, within, 1)):
        if number >= MAX_FIELDS:
            raise Refused("too_many_fields")
        known = _known(path)
        if known is None:
            continue
        kind, factor = known
        number_value = value if type(value) is float else to_number(value)  # JSON has neither NaN nor infinity
        if number_value is None:
            report.dropped["not_a_number"] += 1
            continue
        low, high = PLAUSIBLE[kind]
        scaled = number_value * factor
        if low <= scaled <= high:
            report.values.append((kind, scaled))
        else:
            report.dropped["implausible"] += 1
    for name in ("firmware", "model"):
        if isinstance(content.get(name), str):
            report.states[name] = clean(content[name])
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
