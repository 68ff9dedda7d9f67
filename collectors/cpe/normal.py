"""The normal form that all dialects are brought to: values with units, events, states; and reading rubbish safely.

Routers send numbers as text, NaN, a power of +3000 dBm, towers of brackets, NUL bytes. What is no plausible number is
dropped and counted under a named reason; the rest of the message counts. Nothing here knows lines, brokers or time.
"""

import math
import re
from collections import Counter
from typing import Any

import msgspec

from monitor.clock import number_to_ns, parse_time
from monitor.records import EventKind, ValueKind

MAX_TEXT = 200
_NOT_A_NUMBER = re.compile(rb"(?<=[:\[,])\s*[-+]?(?:nan|inf(?:inity)?)\s*(?=[,\]}])", re.IGNORECASE)
_TIME_KEYS = ("ts", "timestamp", "time", "at", "collection_time", "CollectionTime")

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
    ValueKind.RX_LEVEL_DBMV: (-60.0, 60.0),
    ValueKind.TX_LEVEL_DBMV: (-60.0, 90.0),
    ValueKind.SNR_UP_DB: (-30.0, 90.0),
    ValueKind.ATTENUATION_UP_DB: (0.0, 150.0),
    ValueKind.RSRQ_DB: (-50.0, 20.0),
    ValueKind.CELL_RSSI_DBM: (-150.0, 20.0),
    ValueKind.WIFI_NOISE_DBM: (-130.0, 20.0),
    ValueKind.TEMPERATURE_C: (-60.0, 150.0),
    ValueKind.VOLTAGE_V: (0.0, 60.0),
    ValueKind.BIAS_MA: (0.0, 500.0),
    ValueKind.UNCORRECTABLES: (0.0, 1e15),
    ValueKind.ERRORED_S: (0.0, 2e9),
    ValueKind.SEVERELY_ERRORED_S: (0.0, 2e9),
    ValueKind.T3_TIMEOUTS: (0.0, 1e9),
    ValueKind.T4_TIMEOUTS: (0.0, 1e9),
}


class Refused(ValueError):
    """A message that cannot be used at all; the text is the named reason under which it is counted."""


class Report(msgspec.Struct):
    """`values` in the units of their kinds; `events` with their values; `at_ns` by the router's own clock, if it says
    so; `dropped`: named reason -> fields that were not usable; `states`: how things stand, of which only a change is an
    event (`los` yes or no, `login` accepted, rejected WHY or timeout WHY, `firmware`, `model`)."""

    values: list[tuple[ValueKind, float]]
    events: list[tuple[EventKind, str]]
    at_ns: int | None
    dropped: Counter[str]
    states: dict[str, str]

    @classmethod
    def empty(cls, at_ns: int | None = None) -> "Report":
        return cls([], [], at_ns, Counter(), {})


def clean(told: str | int | float) -> str:
    """Text from a router as it may stand in records and pages: printable, one line, of bounded length."""
    text = str(told)[: 2 * MAX_TEXT]
    return "".join(c for c in text if c.isprintable())[:MAX_TEXT].strip()


def decode_json(payload: bytes) -> Any:
    """JSON, with NaN and infinity as null, and NUL bytes behind it (as C programs send) left out. Raises Refused:
    "not_json", "too_deep"."""
    payload = payload.rstrip(b"\0")
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


def to_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and (len(value) > 40 or "_" in value or not value.isascii()):
        return None  # Python would read 1_0 and digits of other scripts
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def time_of(content: dict[str, Any]) -> int | None:
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
