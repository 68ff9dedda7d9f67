"""The page's session: a key in exchange for a cookie that no script can read."""

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api.auth import COOKIE, PEOPLE, PERMISSIONS, Principal, csrf_of
from monitor.api.context import Api, answer, problems
from monitor.api.granted import LoggedIn
from monitor.api.present import time
from monitor.api.problems import Problem
from monitor.clock import NS, rfc3339


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["session"])
    services, settings = api.services, api.services.settings
    secure = settings.secure_cookie or bool(settings.tls_cert_file)

    @router.post("/session", response_model=m.SessionOut, status_code=201, responses=problems())
    async def begin(body: m.SessionIn, request: Request) -> Response:
        """Log in with a key. The answer sets the cookie; writes must send its `csrf` as X-CSRF-Token."""
        client = request.client.host if request.client else "?"
        who = await api.auth.key(body.key, client)
        if who.role not in PEOPLE:
            raise Problem(403, "this key is for machines: log in with a person's")
        end_ns = services.clock.now_ns() + int(settings.session_hours * 3600 * NS)
        if who.expires_ns is not None:
            end_ns = min(end_ns, who.expires_ns)
        token = await to_thread.run_sync(services.state.create_session, who.name, who.role, end_ns, who.key_id)
        api.note(request, who, "login", who.key_id)
        made = answer(_shown(Principal(who.name, who.role, who.key_id, csrf_of(token), end_ns)), 201)
        age = max(1, (end_ns - services.clock.now_ns()) // NS)
        made.set_cookie(COOKIE, token, max_age=age, path="/", httponly=True, samesite="strict", secure=secure)
        return made

    @router.get("/session", response_model=m.SessionOut, responses=problems())
    async def current(who: LoggedIn) -> Response:
        """Who one is, and what one may."""
        return answer(_shown(who))

    @router.delete("/session", status_code=204, responses=problems())
    async def end(request: Request, who: LoggedIn) -> Response:
        """Log out: the session ends here, not only in the browser."""
        if token := request.cookies.get(COOKIE):
            await to_thread.run_sync(services.state.end_session, token)
            api.auth.forget()
        api.note(request, who, "logout", who.key_id)
        made = Response(status_code=204)
        made.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=secure)
        return made

    def _shown(who: Principal) -> m.SessionOut:
        return m.SessionOut(
            name=who.name,
            role=who.role,
            csrf=who.csrf,
            expires_at=time(who.expires_ns),
            at=rfc3339(services.clock.now_ns()),
            zone=getattr(services.zone, "key", "UTC"),
            permissions=sorted(p for p in PERMISSIONS if who.may(p)),
        )

    return router
