"""What an HTTP answer means for a message: shared by every receiver that speaks plain HTTP."""

from alerts.guard import Answer, Forbidden
from alerts.receivers.base import Deferred, Later, Refused, Undelivered, Unreachable
from alerts.text import one_line

RETRY_AFTER_DEFAULT_S = 30.0
RETRY_AFTER_MOST_S = 900.0


def raise_unless_taken(where: str, answer: Answer) -> None:
    """Nothing for 2xx. Raises Later (429), Unreachable (server error, not allowed, a redirect, which is never
    followed), Refused (this message alone: 400, 413, 415, 422), Deferred (anything else)."""
    status = answer.status
    if 200 <= status < 300:
        return
    said = one_line(answer.body.decode("utf-8", "replace"), 120)
    text = f"{where} answers HTTP {status}" + (f" ({said})" if said else "")
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        raise Later(f"{where} asks for quiet (HTTP {status})", retry_after_s(answer.headers.get("retry-after", "")))
    if 300 <= status < 400:
        raise Unreachable(f"{text}: a redirect, which is not followed; give the final address")
    if status >= 500:
        raise Unreachable(text)
    if status in (401, 403, 404, 405, 407, 410):
        raise Unreachable(f"{text}: check the address and the credentials")
    if status in (400, 413, 415, 422):
        raise Refused(text)
    raise Deferred(text)


def meaning_of(where: str, error: Exception) -> Undelivered:
    """What a failed request means."""
    if isinstance(error, Forbidden):
        return Unreachable(f"{where} is not asked: {error}; name its network in allow_networks if that is meant")
    if isinstance(error, TimeoutError):
        return Unreachable(f"{where} does not answer in time")
    return Unreachable(f"{where} cannot be reached ({one_line(f'{type(error).__name__} {error}', 200)})")


def retry_after_s(value: str) -> float:
    """Seconds; a date or nonsense counts as the default."""
    try:
        seconds = float(value)
    except ValueError:
        return RETRY_AFTER_DEFAULT_S
    return min(max(seconds, 1.0), RETRY_AFTER_MOST_S) if seconds == seconds else RETRY_AFTER_DEFAULT_S
