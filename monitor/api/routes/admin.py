"""Flags for the NOC, the audit trail for administrators."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api import present
from monitor.api.context import POLLED, Api, answer, given_time, polled, problems
from monitor.api.granted import ReadsAudit, ReadsFlags
from monitor.clock import rfc3339


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    state = api.services.state

    @router.get("/flags", response_model=m.FlagList, responses={**problems(), **POLLED}, tags=["flags"])
    async def flags(
        request: Request,
        who: ReadsFlags,
        subject: Annotated[str, Query(max_length=500, description="a line_id or element:PATH")] = "",
        since: Annotated[str, Query(max_length=40, description="also those that ended since then")] = "",
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    ) -> Response:
        """Lines and segments that are slow, unstable or degrading; newest first."""
        since_ns = given_time(since, "since") if since else None
        found = await to_thread.run_sync(state.flags, since_ns is None, subject, since_ns, limit)
        reach = api.reach(who)
        shown = [present.flag(f) for f in found if reach.subject(f.subject)]
        return polled(request, {"items": shown})

    @router.get("/audit", response_model=m.AuditList, responses=problems(), tags=["administration"])
    async def audit(
        who: ReadsAudit,
        person: Annotated[str, Query(max_length=100)] = "",
        subject: Annotated[str, Query(max_length=300)] = "",
        action: Annotated[str, Query(max_length=50, description="as lookup, login, user_change")] = "",
        since: Annotated[str, Query(max_length=40)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before_id: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    ) -> Response:
        """Who read and changed what, newest first."""
        await api.audit.flush()
        since_ns = given_time(since, "since") if since else 0
        found = await to_thread.run_sync(state.audit_trail, since_ns, person, subject, limit, before_id, action)
        items = [
            {
                "audit_id": e.audit_id,
                "at": rfc3339(e.at_ns),
                "who": e.who,
                "action": e.action,
                "subject": e.subject,
                "detail": e.detail,
                "address": e.address,
            }
            for e in found
        ]
        return answer({"items": items, "before_id": items[-1]["audit_id"] if len(items) == limit else None})

    return router
