"""Slows down guessing: wrong keys and passwords are counted per client and per account, and then refused unread.

A password costs the server an argon2 hash (tens of ms, 64 MB), so attempts are held back *before* they are checked, and
few are checked at the same time. An account is held back only after many wrong passwords from everywhere, so that
nobody can lock somebody else out with a handful.
"""

import time
from collections import OrderedDict

from anyio import CapacityLimiter, to_thread

from monitor.api.problems import Problem
from monitor.api.services import Services
from monitor.store.users import User

ACCOUNT_WINDOW_S = 900.0
ACCOUNT_FAILURES = 50
CLIENT_WINDOW_S = 60.0
KEPT = 10_000
HASHES_AT_ONCE = 2
WAITING = 20  # logins that may wait for a hash; more are told to come again


class Guesses:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._hashing: CapacityLimiter | None = None
        self._waiting = 0
        self._refused = services.metrics.counter(
            "api_guesses_refused_total", "attempts to log in refused unread after too many wrong ones", ["why"]
        )

    async def password(self, name: str, password: str, client: str) -> User:
        """The account. Raises Problem 401 for a wrong name or password (which one is not told), or 429."""
        account = f"account:{name}"
        self.hold_back(client)
        self._hold(account, ACCOUNT_FAILURES, ACCOUNT_WINDOW_S, "account")
        if self._waiting >= WAITING:
            raise Problem(429, "too many people are logging in: try again in a moment", retry_s=2)
        if self._hashing is None:  # belongs to the running event loop
            self._hashing = CapacityLimiter(HASHES_AT_ONCE)
        self._waiting += 1
        try:
            found = await to_thread.run_sync(self._services.state.check_password, name, password, limiter=self._hashing)
        finally:
            self._waiting -= 1
        if found is None:
            self.failed(client)
            self._add(account, ACCOUNT_FAILURES, ACCOUNT_WINDOW_S)
            raise Problem(401, "name or password is wrong")
        return found

    def hold_back(self, client: str) -> None:
        """Raises Problem 429 for a client with too many wrong ones within a minute."""
        self._hold(client, self._services.settings.failures_per_minute, CLIENT_WINDOW_S, "client")

    def failed(self, client: str) -> None:
        self._add(client, self._services.settings.failures_per_minute, CLIENT_WINDOW_S)

    def _hold(self, who: str, limit: int, window_s: float, why: str) -> None:
        now = time.monotonic()
        failures = [at for at in self._failures.get(who, ()) if now - at < window_s]
        if len(failures) >= limit:
            self._refused.labels(why).inc()
            retry_s = window_s - (now - failures[0])
            raise Problem(429, "too many wrong attempts: wait before the next one", retry_s=retry_s)

    def _add(self, who: str, limit: int, window_s: float) -> None:
        now = time.monotonic()
        failures = [at for at in self._failures.get(who, ()) if now - at < window_s]
        self._failures[who] = [*failures, now][-limit:]
        self._failures.move_to_end(who)
        while len(self._failures) > KEPT:
            self._failures.popitem(last=False)
