"""Flags for the NOC, keys and the audit trail for administrators."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api import present
from monitor.api.context import Api, answer, given_time, problems
from monitor.api.granted import ManagesKeys, ReadsAudit, ReadsFlags
from monitor.api.problems import Problem
from monitor.clock import NS, rfc3339


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    services, state = api.services, api.services.state

    @router.get("/flags", response_model=m.FlagList, responses=problems(), tags=["flags"])
    async def flags(
        who: ReadsFlags,
        subject: Annotated[str, Query(max_length=500, description="a line_id or element:PATH")] = "",
        since: Annotated[str, Query(max_length=40, description="also those that ended since then")] = "",
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    ) -> Response:
        """Lines and segments that are slow, unstable or degrading; newest first."""
        since_ns = given_time(since, "since") if since else None
        found = await to_thread.run_sync(state.flags, since_ns is None, subject, since_ns, limit)
        return answer(m.FlagList(items=[present.flag(f) for f in found]))

    @router.get("/audit", response_model=m.AuditList, responses=problems(), tags=["administration"])
    async def audit(
        who: ReadsAudit,
        person: Annotated[str, Query(max_length=100)] = "",
        subject: Annotated[str, Query(max_length=300)] = "",
        since: Annotated[str, Query(max_length=40)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before_id: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    ) -> Response:
        """Who read and changed what, newest first."""
        await api.audit.flush()
        since_ns = given_time(since, "since") if since else 0
        found = await to_thread.run_sync(state.audit_trail, since_ns, person, subject, limit, before_id)
        items = [
            m.AuditOut(
                audit_id=e.audit_id,
                at=rfc3339(e.at_ns),
                who=e.who,
                action=e.action,
                subject=e.subject,
                detail=e.detail,
                address=e.address,
            )
            for e in found
        ]
        return answer(m.AuditList(items=items, before_id=items[-1].audit_id if len(items) == limit else None))

    @router.get("/keys", response_model=m.KeyList, responses=problems(), tags=["administration"])
    async def keys(who: ManagesKeys) -> Response:
        """Every key, revoked ones too; never its secret."""
        found = await to_thread.run_sync(state.list_keys)
        items = [
            m.KeyOut(
                key_id=k.key_id,
                name=k.name,
                role=k.role,
                created_at=rfc3339(k.created_ns),
                expires_at=present.time(k.expires_ns),
                revoked_at=present.time(k.revoked_ns),
                last_used_at=present.time(k.last_used_ns),
            )
            for k in found
        ]
        return answer(m.KeyList(items=items))

    @router.post("/keys", response_model=m.KeyCreated, status_code=201, responses=problems(), tags=["administration"])
    async def create(body: m.KeyIn, request: Request, who: ManagesKeys) -> Response:
        """Make a key; it is shown this once."""
        expires_ns = services.clock.now_ns() + body.days * 86400 * NS if body.days else None
        made = await to_thread.run_sync(state.create_key, body.name, body.role, expires_ns)
        api.note(request, who, "key_create", made.key_id, f"{body.name} as {body.role}")
        return answer(m.KeyCreated(key_id=made.key_id, key=made.text), 201)

    @router.delete("/keys/{key_id}", status_code=204, responses=problems(404), tags=["administration"])
    async def revoke(key_id: str, request: Request, who: ManagesKeys) -> Response:
        """End a key and its sessions."""
        if not await to_thread.run_sync(state.revoke_key, key_id):
            raise Problem(404, "there is no such key, or it was revoked before")
        api.auth.forget()
        api.note(request, who, "key_revoke", key_id)
        return Response(status_code=204)

    return router
