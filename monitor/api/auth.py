"""Who is asking, and whether they may: API keys, the page's session cookie, roles, CSRF.

Denied unless granted: `Gate` (an ASGI layer) lets nothing but the open paths through without a key or a session, and
each route names the permission it needs. A key that was found good is remembered for `REMEMBER_S`, so that a request
costs no database; a key revoked elsewhere works no longer than that.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from anyio import to_thread
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.api.guesses import Guesses
from monitor.api.problems import Problem, store_fails
from monitor.api.rate import Rate
from monitor.api.services import Services
from monitor.clock import Clock

COOKIE = "faultline_session"
REMEMBER_S = 5.0
Role = Literal["agent", "lead", "noc", "admin", "probe"]
ROLES: tuple[Role, ...] = ("agent", "lead", "noc", "admin", "probe")
PEOPLE = frozenset({"agent", "lead", "noc", "admin"})
PERMISSIONS: dict[str, frozenset[str]] = {
    "session": frozenset(ROLES),
    "openapi": frozenset(ROLES),
    "lookup": PEOPLE,
    "lines": PEOPLE,
    "probe": PEOPLE,
    "incidents": PEOPLE,
    "incidents.act": frozenset({"noc", "admin"}),
    "maintenance": PEOPLE,
    "maintenance.act": frozenset({"noc", "admin"}),
    "silences": PEOPLE,
    "silences.act": frozenset({"noc", "admin"}),
    "calls": PEOPLE,
    "calls.export": frozenset({"lead", "admin"}),
    "events": frozenset({"probe", "admin"}),
    "rounds": frozenset({"probe", "admin"}),
    # How a line is used shows when people are at home: not for everybody at the desk.
    "flags": frozenset({"lead", "noc", "admin"}),
    "ranking": frozenset({"lead", "noc", "admin"}),
    "personal": frozenset({"lead", "admin"}),
    "history.long": frozenset({"noc", "admin"}),
    "audit": frozenset({"admin"}),
    "keys": frozenset({"admin"}),
    "users": frozenset({"admin"}),
    "metrics": frozenset({"noc", "admin", "probe"}),
    "health": frozenset({"noc", "admin", "probe"}),
}
# /hooks/slack has a signature of its own.
OPEN = frozenset({"/", "/healthz", "/readyz", "/favicon.ico", "/hooks/slack"})
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Principal:
    """`name` is what the audit trail says; `csrf` is "" for keys, which no browser sends by itself. `regions` are the
    first elements of the paths it sees; empty: all. `user` is the account behind a session, "" for a key's."""

    name: str
    role: str
    key_id: str = ""
    csrf: str = ""
    expires_ns: int | None = None
    regions: tuple[str, ...] = ()
    user: str = ""

    @property
    def identity(self) -> str:
        """Tells two keys with the same name apart."""
        return f"user:{self.user}" if self.user else f"key:{self.key_id}"

    def may(self, permission: str) -> bool:
        return self.role in PERMISSIONS[permission]


def csrf_of(token: str) -> str:
    """The token a page must send with writes: derived from the session's secret, useless for getting one."""
    return hashlib.sha256(b"csrf:" + token.encode(errors="surrogatepass")).hexdigest()


class may:  # noqa: N801  # reads as a word in the routes: Depends(may("lookup"))
    """A dependency: the principal, if it holds the permission."""

    def __init__(self, permission: str) -> None:
        if permission not in PERMISSIONS:
            raise ValueError(f"{permission!r} is not a permission")
        self.permission = permission

    async def __call__(self, request: Request) -> Principal:
        return permitted(request.scope, self.permission)


def permitted(scope: Scope, permission: str) -> Principal:
    """Who is asking. Raises Problem 401 or 403."""
    who: Principal | None = scope.get("principal")
    if who is None:
        raise Problem(401, "send an API key (Authorization: Bearer ...) or log in on the page")
    if not who.may(permission):
        raise Problem(403, f"the role {who.role} may not do this")
    return who


class Authenticator:
    """Finds out who sends a key or a session cookie. Wrong ones are counted per client and then refused unread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._salt = secrets.token_bytes(32)
        self.guesses = Guesses(services)
        self._refused = services.metrics.counter(
            "api_refused_total", "requests without a valid key or session", ["why"]
        )

    async def key(self, text: str, client: str) -> Principal:
        """Raises Problem 401, or 429 for a client with too many wrong ones."""
        return await self._check("key:" + text, text, client)

    async def session(self, token: str, client: str) -> Principal:
        return await self._check("session:" + token, token, client)

    def forget(self) -> None:
        """A key or session has ended: ask the store again."""
        self._known.clear()

    async def _check(self, memory: str, secret: str, client: str) -> Principal:
        now = time.monotonic()
        # Keyed, so that what lies in memory is no hash of a secret that somebody else could know.
        slot = hashlib.blake2b(memory.encode(errors="surrogatepass"), digest_size=32, key=self._salt).digest()
        known = self._known.get(slot)
        now_ns = self._services.clock.now_ns()
        if known and known[1] > now and (known[0].expires_ns is None or known[0].expires_ns > now_ns):
            return known[0]
        state = self._services.state
        found: Principal | None = None
        if memory.startswith("key:"):
            key = await to_thread.run_sync(state.check_key, secret, now_ns)
            if key is not None and key.role in ROLES:
                found = Principal(key.name, key.role, key.key_id, "", key.expires_ns, key.regions)
        else:
            session = await to_thread.run_sync(state.check_session, secret, now_ns)
            if session is not None and session.role in ROLES:
                found = Principal(
                    session.name,
                    session.role,
                    session.key_id,
                    csrf_of(secret),
                    session.expires_ns,
                    session.regions,
                    session.user,
                )
        if found is None:
            # A valid key from the same place (a NAT, a proxy) is never held up: only wrong ones are.
            self.guesses.hold_back(client)
            self.guesses.failed(client)
            kind = memory.partition(":")[0]
            self._refused.labels(kind).inc()
            raise Problem(401, f"this {kind} is not valid (any more)")
        self._known[slot] = (found, now + REMEMBER_S)
        while len(self._known) > 10_000:
            self._known.popitem(last=False)
        return found


class Gate:
    """ASGI: without a valid key or session only the open paths are reached; sets `scope["principal"]`.

    Nobody sends more than its allowance (Rate). A write by cookie must bring the CSRF token of its session, and not
    come from another site."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, rate: Rate, clock: Clock, metrics_open: bool
    ) -> None:
        self._app = app
        self._auth = authenticator
        self._rate = rate
        self._clock = clock
        self._open = OPEN | ({"/metrics"} if metrics_open else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        try:
            scope["principal"] = who = await self._principal(scope, path, method)
            if who is not None and (wait_s := self._rate.wait_s(who.identity, self._clock.now_ns())):
                raise Problem(429, "too many requests of this key or account: wait a moment", retry_s=wait_s)
            if "\0" in path or b"%00" in scope.get("query_string", b""):  # no text in PostgreSQL holds one
                raise Problem(400, "the address holds a NUL character")
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        except SQLAlchemyError as error:
            await store_fails(error).response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope, path: str, method: str) -> Principal | None:
        headers = Headers(scope=scope)
        login = path == "/api/v1/session" and method == "POST"
        if login:
            _same_site(headers)
            return None
        if path in self._open or path.startswith("/static/"):
            return None
        client = str((scope.get("client") or ("?",))[0])
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if text and scheme.lower() == "bearer":
            return await self._auth.key(text.strip(), client)
        if text := headers.get("x-api-key", ""):
            return await self._auth.key(text, client)
        token = _cookie(headers)
        if not token:
            raise Problem(401, "send an API key (Authorization: Bearer ...) or log in on the page")
        who = await self._auth.session(token, client)
        if method in WRITES:
            _same_site(headers)
            if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), who.csrf.encode()):
                raise Problem(403, "the X-CSRF-Token of this session is missing or wrong: reload the page")
        return who


def _same_site(headers: Headers) -> None:
    """Browsers say where a request comes from; other clients say nothing."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "requests from other sites are not taken")
    origin, host = headers.get("origin", ""), headers.get("host", "")
    if origin and origin.partition("://")[2] != host:
        raise Problem(403, "requests from other sites are not taken")


def _cookie(headers: Headers) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
