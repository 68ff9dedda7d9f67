"""What the alerts' settings check with: each raises ValueError that names the setting and says what would be right."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from monitor.records import Severity

# Worst first. "cleared" and "indeterminate" are not degrees, so they cannot be asked for.
SEVERITY_ORDER = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.WARNING)


def words_of(names: Sequence[str]) -> str:
    return ", ".join(str(name) for name in names)


def require_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value:g}: give {low:g} to {high:g}")


def require_url(name: str, url: str) -> None:
    """Raises ValueError unless `url` is http(s) with a host, without a user, a space or a control character."""
    try:
        parts = urlsplit(url)
        ok = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:
        ok = False
    if not ok or any(ord(c) <= 32 or c in '<>"|`' for c in url):
        raise ValueError(f"{name} is {url!r}: give an http or https address")


def require_name(name: str, value: str) -> None:
    """A name that stands in configuration, logs and the store: letters, digits, dash, underscore, dot."""
    if not value or len(value) > 60 or not all(c.isalnum() or c in "-_." for c in value):
        raise ValueError(f"{name} is {value!r}: give letters, digits, '-', '_' or '.'")


def require_secret(settings: msgspec.Struct, name: str, what: str, optional: bool = False) -> None:
    """`NAME_file` or `NAME_env`, never both; one of them unless `optional`."""
    given = bool(getattr(settings, f"{name}_file")) + bool(getattr(settings, f"{name}_env"))
    if given == 2:
        raise ValueError(f"give {what} by {name}_file or {name}_env, not by both")
    if not given and not optional:
        raise ValueError(f"give {what} by {name}_file or {name}_env (one of them)")
