"""Incidents: the list, one in full, what the NOC does to them, and the stream of their changes."""

import secrets
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from monitor.api import models as m
from monitor.api import present
from monitor.api.auth import Principal
from monitor.api.context import POLLED, Api, answer, given_time, polled, problems
from monitor.api.feed import EVENT_STREAM, EventStream
from monitor.api.granted import ActsOnIncidents, ReadsIncidents
from monitor.api.problems import Problem
from monitor.api.reach import Reach
from monitor.clock import NS, rfc3339
from monitor.records import Event, EventKind, Incident, IncidentStatus

LINES = 1000
PAGES = 20
FARTHEST_S = 366 * 86400
UNRESOLVED = [s.value for s in IncidentStatus if s is not IncidentStatus.RESOLVED]


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["incidents"])
    services, state = api.services, api.services.state

    @router.get("/incidents", response_model=m.IncidentList, responses={**problems(), **POLLED})
    async def incidents(
        request: Request,
        who: ReadsIncidents,
        status: Annotated[
            Literal["unresolved", "suspected", "open", "recovering", "resolved", "all"], Query()
        ] = "unresolved",
        element: Annotated[str, Query(max_length=500, description="a path: it and everything under it")] = "",
        since: Annotated[str, Query(max_length=40, description="RFC 3339: unresolved, or resolved since then")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str, Query(max_length=300)] = "",
    ) -> Response:
        """Newest first."""
        since_ns = given_time(since, "since") if since else None
        wanted = {"unresolved": UNRESOLVED, "all": None}.get(status, [status])

        reach = api.reach(who)

        def read() -> present.Shown:
            found, following = [], cursor
            for _ in range(PAGES):  # with regions a page may hold nothing that is visible
                page = state.incidents(wanted, element, since_ns, limit, following)
                found = [i for i in page.items if reach.incident(i)]
                following = page.cursor
                if found or not following:
                    break
            return {"items": [_shown(i, reach) for i in found], "cursor": following}

        try:
            return polled(request, await to_thread.run_sync(read))
        except ValueError as error:
            raise Problem(422, str(error), errors=[{"field": "cursor", "message": str(error)}]) from None

    @router.get("/incidents/{incident_id}", response_model=m.IncidentDetail, responses={**problems(404), **POLLED})
    async def incident(incident_id: str, request: Request, who: ReadsIncidents) -> Response:
        """One incident with its history and its lines."""

        reach = api.reach(who)

        def read() -> present.Shown | None:
            found = state.incident(incident_id)
            if found is None or not reach.incident(found):
                return None
            history = [
                {
                    "at": rfc3339(step.at_ns),
                    "what": step.what,
                    "status": step.incident.status.value,
                    "lines_down": step.incident.lines_down,
                    "lines_affected": step.incident.lines_affected,
                    "scope": present.scope(step.incident.scope),
                }
                for step in state.incident_history(incident_id)
                if reach.incident(step.incident)
            ]
            fields = _shown(found, reach)
            lines = state.incident_lines(incident_id)
            if not reach.everything:
                rows = zip(lines, reach.inventory.indices_of(lines).tolist(), strict=True)
                lines = [line for line, row in rows if row >= 0 and reach.row(row)]
            lines = lines[:LINES]
            return {**fields, "history": history, "lines": lines}

        found = await to_thread.run_sync(read)
        if found is None:
            raise Problem(404, "there is no such incident")
        return polled(request, found)

    @router.post("/incidents/{incident_id}/ack", response_model=m.Accepted, status_code=202, responses=problems(404))
    async def ack(incident_id: str, body: m.AckIn, request: Request, who: ActsOnIncidents) -> Response:
        """Somebody has taken it."""
        return await _tell(request, who, incident_id, "ack", body.note)

    @router.post("/incidents/{incident_id}/note", response_model=m.Accepted, status_code=202, responses=problems(404))
    async def note(incident_id: str, body: m.NoteIn, request: Request, who: ActsOnIncidents) -> Response:
        """A remark that everybody sees."""
        return await _tell(request, who, incident_id, "note", body.text)

    @router.post("/incidents/{incident_id}/etr", response_model=m.Accepted, status_code=202, responses=problems(404))
    async def etr(incident_id: str, body: m.EtrIn, request: Request, who: ActsOnIncidents) -> Response:
        """The time of repair, a promise to customers; `next_update` says when more will be known."""
        value = rfc3339(_promised(body.at, "at"))
        if body.next_update:
            value += ";" + rfc3339(_promised(body.next_update, "next_update"))
        return await _tell(request, who, incident_id, "etr", value)

    @router.post(
        "/incidents/{incident_id}/resolve", response_model=m.Accepted, status_code=202, responses=problems(404, 409)
    )
    async def resolve(incident_id: str, body: m.ResolveIn, request: Request, who: ActsOnIncidents) -> Response:
        """Declare it over; it holds until the lines recover or more of them fall."""
        return await _tell(request, who, incident_id, "resolve", body.reason, unresolved=True)

    @router.get("/stream", responses={**problems(), 200: EVENT_STREAM}, response_class=StreamingResponse)
    async def stream(who: ReadsIncidents) -> Response:
        """Incidents as they change (`incident`); `resync` and `hello` mean: fetch the list again."""
        return EventStream(api.feed, api.feed.incidents(who.regions))

    def _promised(text: str, field: str) -> int:
        """It is told to customers and to people on call at once: a slip of the hand must not be."""
        at_ns, now_ns = given_time(text, field), services.clock.now_ns()
        if at_ns < now_ns:
            raise Problem(422, f"{field}: lies in the past")
        if at_ns > now_ns + FARTHEST_S * NS:
            raise Problem(422, f"{field}: lies more than a year ahead")
        return at_ns

    def _shown(incident: Incident, reach: Reach) -> present.Shown:
        return present.incident(incident, services.zone, reach)

    async def _tell(
        request: Request, who: Principal, incident_id: str, kind: EventKind, value: str, unresolved: bool = False
    ) -> Response:
        found = await to_thread.run_sync(state.incident, incident_id)
        if found is None or not api.reach(who).incident(found):
            raise Problem(404, "there is no such incident")
        if unresolved and found.status is IncidentStatus.RESOLVED:
            raise Problem(409, "this incident is resolved already")
        event_id = f"{kind}:{secrets.token_hex(8)}"
        event = Event(
            services.clock.now_ns(),
            f"incident:{incident_id}",
            kind,
            value,
            source="api",
            by=who.name,
            event_id=event_id,
        )
        await services.submit(event)
        await to_thread.run_sync(state.record_event, event)
        api.note(request, who, kind, incident_id, value)
        return answer({"event_id": event_id}, 202)

    return router
