"""The page's session: a key, or a name with its password, in exchange for a cookie that no script can read.

A login service (OIDC) would be one more way to a `Principal` in `_who`: it vouches for the account whose `external_id`
it names, and everything behind stays as it is.
"""

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api.auth import COOKIE, PEOPLE, PERMISSIONS, ROLES, Principal, csrf_of
from monitor.api.context import Api, answer, problems
from monitor.api.granted import LoggedIn
from monitor.api.present import Shown, time
from monitor.api.problems import Problem
from monitor.clock import NS, rfc3339


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["session"])
    services, settings = api.services, api.services.settings
    secure = settings.secure_cookie or bool(settings.tls_cert_file)

    @router.post("/session", response_model=m.SessionOut, status_code=201, responses=problems(413))
    async def begin(body: m.SessionIn, request: Request) -> Response:
        """Log in with a key, or with name and password. The answer sets the cookie; writes must send its `csrf` as
        X-CSRF-Token."""
        who = await _who(body, _client(request))
        if who.role not in PEOPLE:
            raise Problem(403, "this key is for machines: log in with a person's")
        end_ns = services.clock.now_ns() + int(settings.session_hours * 3600 * NS)
        if who.expires_ns is not None:
            end_ns = min(end_ns, who.expires_ns)
        token = await to_thread.run_sync(
            services.state.create_session, who.name, who.role, end_ns, who.key_id, who.user
        )
        api.note(request, who, "login", who.key_id or who.user)
        made = answer(
            _shown(Principal(who.name, who.role, who.key_id, csrf_of(token), end_ns, who.regions, who.user)), 201
        )
        age = max(1, (end_ns - services.clock.now_ns()) // NS)
        made.set_cookie(COOKIE, token, max_age=age, path="/", httponly=True, samesite="strict", secure=secure)
        return made

    @router.get("/session", response_model=m.SessionOut, responses=problems())
    async def current(who: LoggedIn) -> Response:
        """Who one is, and what one may."""
        return answer(_shown(who))

    @router.post("/session/password", status_code=204, responses=problems(409, 413))
    async def password(body: m.PasswordIn, request: Request, who: LoggedIn) -> Response:
        """Change one's own password. Every session of the account ends, this one too."""
        if not who.user:
            raise Problem(409, "a key has no password: log in with an account")
        await api.auth.guesses.password(who.user, body.old, _client(request))
        try:
            await to_thread.run_sync(services.state.change_user, who.user, None, None, body.new)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        api.auth.forget()
        api.note(request, who, "password_change", who.user)
        return Response(status_code=204)

    @router.delete("/session", status_code=204, responses=problems())
    async def end(request: Request, who: LoggedIn) -> Response:
        """Log out: the session ends here, not only in the browser."""
        if token := request.cookies.get(COOKIE):
            await to_thread.run_sync(services.state.end_session, token)
            api.auth.forget()
        api.note(request, who, "logout", who.key_id or who.user)
        made = Response(status_code=204)
        made.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=secure)
        return made

    async def _who(body: m.SessionIn, client: str) -> Principal:
        if body.key is not None and body.name is None and body.password is None:
            return await api.auth.key(body.key, client)
        if body.key is None and body.name is not None and body.password is not None:
            try:
                user = await api.auth.guesses.password(body.name, body.password, client)
            except Problem as problem:
                if problem.status == 401:
                    await failed(body.name, client)
                raise
            if user.role not in ROLES:
                raise Problem(403, "this account has no role that this version knows")
            return Principal(user.name, user.role, regions=user.regions, user=user.name)
        raise Problem(422, "give a key, or a name and a password")

    async def failed(name: str, client: str) -> None:
        """Whose account somebody tries to get into; a name that is none may be a password, and is not kept."""
        known = await to_thread.run_sync(services.state.user, name) is not None
        api.audit.note(Principal("", ""), "login_failed", name if known else "", "", client)

    def _shown(who: Principal) -> Shown:
        return {
            "name": who.name,
            "role": who.role,
            "regions": list(who.regions),
            "csrf": who.csrf,
            "expires_at": time(who.expires_ns),
            "at": rfc3339(services.clock.now_ns()),
            "zone": getattr(services.zone, "key", "UTC"),
            "permissions": sorted(p for p in PERMISSIONS if who.may(p)),
            "account": bool(who.user),
        }

    return router


def _client(request: Request) -> str:
    return request.client.host if request.client else "?"
