"""Times as people have them: as written in the value of an event, and the hour of their week."""

import contextlib
from datetime import datetime, tzinfo

NS = 1_000_000_000
WEEK_H = 168


def read_time(text: str) -> int:
    """Epoch seconds, milliseconds or nanoseconds, or RFC 3339, as ns UTC; 0 when there is none that can be read."""
    text = text.strip()
    with contextlib.suppress(ValueError, OverflowError):
        number = float(text)
        if not 0 < number < 9.2e18:
            return 0
        return int(number * NS) if number < 1e12 else int(number * 1_000_000) if number < 1e15 else int(number)
    with contextlib.suppress(ValueError, OverflowError):
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return round(when.timestamp()) * NS
    return 0


def hour_of_week(at_ns: int, zone: tzinfo) -> int:
    """By the local clock, daylight saving included; 0 is Monday 0:00, 167 the last."""
    local = datetime.fromtimestamp(at_ns // NS, zone)
    return local.weekday() * 24 + local.hour
