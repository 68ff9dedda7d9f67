"""Keys for machines and accounts for people, for administrators."""

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api import present
from monitor.api.auth import Principal
from monitor.api.context import Api, answer, problems
from monitor.api.granted import ManagesKeys, ManagesUsers
from monitor.api.problems import Problem
from monitor.clock import NS, rfc3339
from monitor.store.users import User


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["administration"])
    services, state = api.services, api.services.state

    @router.get("/keys", response_model=m.KeyList, responses=problems())
    async def keys(who: ManagesKeys) -> Response:
        """Every key, revoked ones too; never its secret."""
        found = await to_thread.run_sync(state.list_keys)
        items = [
            {
                "key_id": k.key_id,
                "name": k.name,
                "role": k.role,
                "regions": list(k.regions),
                "created_at": rfc3339(k.created_ns),
                "expires_at": present.time(k.expires_ns),
                "revoked_at": present.time(k.revoked_ns),
                "last_used_at": present.time(k.last_used_ns),
            }
            for k in found
        ]
        return answer({"items": items})

    @router.post("/keys", response_model=m.KeyCreated, status_code=201, responses=problems())
    async def create(body: m.KeyIn, request: Request, who: ManagesKeys) -> Response:
        """Make a key; it is shown this once."""
        _fitting(who, body.role, body.regions)
        expires_ns = services.clock.now_ns() + body.days * 86400 * NS if body.days else None
        made = await to_thread.run_sync(state.create_key, body.name, body.role, expires_ns, body.regions)
        api.note(request, who, "key_create", made.key_id, f"{body.name} as {body.role} {','.join(body.regions)}")
        return answer({"key_id": made.key_id, "key": made.text}, 201)

    @router.delete("/keys/{key_id}", status_code=204, responses=problems(404))
    async def revoke(key_id: str, request: Request, who: ManagesKeys) -> Response:
        """End a key and its sessions."""
        if not await to_thread.run_sync(state.revoke_key, key_id):
            raise Problem(404, "there is no such key, or it was revoked before")
        api.auth.forget()
        api.note(request, who, "key_revoke", key_id)
        return Response(status_code=204)

    @router.get("/users", response_model=m.UserList, responses=problems())
    async def users(who: ManagesUsers) -> Response:
        """Every account, disabled ones too."""
        return answer({"items": [_user(u) for u in await to_thread.run_sync(state.list_users)]})

    @router.post("/users", response_model=m.UserOut, status_code=201, responses=problems(409))
    async def add(body: m.UserIn, request: Request, who: ManagesUsers) -> Response:
        """Make an account; its owner changes the password after the first login."""
        _fitting(who, body.role, body.regions)
        if await to_thread.run_sync(state.user, body.name) is not None:
            raise Problem(409, "there is an account with this name already")
        try:
            made = await to_thread.run_sync(state.create_user, body.name, body.role, body.password, body.regions)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        api.note(request, who, "user_create", made.name, f"{body.role} {','.join(body.regions)}")
        return answer(_user(made), 201)

    @router.patch("/users/{name}", response_model=m.UserOut, responses=problems(404, 409))
    async def change(name: str, body: m.UserChange, request: Request, who: ManagesUsers) -> Response:
        """Change role, regions or password, disable or enable; what is not given stays."""
        known = await to_thread.run_sync(state.user, name)
        if known is None:
            raise Problem(404, "there is no such account")
        if name == who.user and (body.disabled or (body.role or "admin") != "admin"):
            raise Problem(409, "one cannot take one's own rights away: another administrator does that")
        regions = list(known.regions) if body.regions is None else body.regions
        _fitting(who, body.role or known.role, regions)
        try:
            await to_thread.run_sync(state.change_user, name, body.role, body.regions, body.password, body.disabled)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        api.auth.forget()
        given = [field for field in ("role", "regions", "password", "disabled") if getattr(body, field) is not None]
        api.note(request, who, "user_change", name, " ".join(given))
        now = await to_thread.run_sync(state.user, name)
        if now is None:
            raise Problem(404, "there is no such account")
        return answer(_user(now))

    @router.delete("/users/{name}", status_code=204, responses=problems(404, 409))
    async def remove(name: str, request: Request, who: ManagesUsers) -> Response:
        """Remove an account and end its sessions; the audit trail keeps what it did."""
        if name == who.user:
            raise Problem(409, "one cannot remove oneself: another administrator does that")
        if not await to_thread.run_sync(state.delete_user, name):
            raise Problem(404, "there is no such account")
        api.auth.forget()
        api.note(request, who, "user_delete", name)
        return Response(status_code=204)

    return router


def _fitting(who: Principal, role: str, regions: list[str]) -> None:
    """Raises Problem 422 or 403."""
    if role == "admin" and regions:
        raise Problem(422, "regions: an administrator sees all of them; give none, or another role")
    if who.regions:
        raise Problem(403, "who sees only some regions cannot manage access")


def _user(u: User) -> present.Shown:
    return {
        "name": u.name,
        "role": u.role,
        "regions": list(u.regions),
        "created_at": rfc3339(u.created_ns),
        "disabled_at": present.time(u.disabled_ns),
        "last_login_at": present.time(u.last_login_ns),
        "external": u.external_id is not None,
    }
