"""Times as people write them in the value of an event."""

import contextlib
from datetime import datetime

NS = 1_000_000_000


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
