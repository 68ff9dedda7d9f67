"""Silences: who need not be told of what, until when. They hide nothing from the page."""

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api.context import Api, answer, given_time, problems
from monitor.api.granted import ActsOnSilences, ReadsSilences
from monitor.api.problems import Problem
from monitor.api.reach import Reach
from monitor.clock import rfc3339
from monitor.store.silences import Silence, Silences


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["silences"])
    services = api.services
    silences = Silences(services.state)

    def within(reach: Reach, kind: str, name: str) -> bool:
        """Whether somebody who may see some regions only may ask for this; what lies elsewhere is not there."""
        if kind == "incident":
            found = services.state.incident(name)
            return found is not None and reach.incident(found)
        if kind in ("all", "source"):
            return reach.everything
        return reach.subject(name if kind == "line" else f"{kind}:{name}")

    @router.post("/silences", response_model=m.SilenceOut, status_code=201, responses=problems(404))
    async def add(body: m.SilenceIn, request: Request, who: ActsOnSilences) -> Response:
        """Nobody is told of what lies in `scope` until `ends_at`; what still lasts then is told."""
        now_ns = services.clock.now_ns()
        starts_ns = given_time(body.starts_at, "starts_at") if body.starts_at else now_ns
        ends_ns = given_time(body.ends_at, "ends_at")
        kind, name = body.scope.kind, body.scope.name.strip()
        inventory = services.inventory()
        known = {"element": inventory.elements.index_of, "group": inventory.groups.index_of, "line": inventory.index_of}
        name = name.strip("/") if kind == "element" else name
        if kind in known and known[kind](name) is None:
            raise Problem(404, f"there is no such {kind}")
        if not await to_thread.run_sync(within, api.reach(who), kind, name):
            raise Problem(404, f"there is no such {kind}")

        def write() -> Silence:
            return silences.add(kind, name, starts_ns, ends_ns, body.reason, who.name)

        try:
            made = await to_thread.run_sync(write)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        api.note(request, who, "silence", f"{kind}:{name}", f"{rfc3339(starts_ns)} {rfc3339(ends_ns)}")
        services.alerts_changed()
        return answer(_shown(made, now_ns).model_dump(), 201)

    @router.get("/silences", response_model=m.SilenceList, responses=problems())
    async def listed(who: ReadsSilences, past: bool = False) -> Response:
        """Those that last or are to come, soonest end first; with `past` also those that are over."""
        now_ns = services.clock.now_ns()
        reach = api.reach(who)

        def read() -> list[Silence]:
            found = silences.listed(None if past else now_ns)
            return [s for s in found if reach.everything or within(reach, s.scope_kind, s.scope_name)]

        return answer({"items": [_shown(silence, now_ns).model_dump() for silence in await to_thread.run_sync(read)]})

    @router.delete("/silences/{silence_id}", status_code=204, responses=problems(404))
    async def end(silence_id: str, request: Request, who: ActsOnSilences) -> Response:
        """End or cancel it now."""
        reach = api.reach(who)

        def write() -> bool:
            mine = (s for s in silences.listed(services.clock.now_ns()) if s.silence_id == silence_id)
            found = next(mine, None)
            visible = found is not None and (reach.everything or within(reach, found.scope_kind, found.scope_name))
            return visible and silences.end(silence_id, who.name)

        if not await to_thread.run_sync(write):
            raise Problem(404, "there is no such silence, or it is over")
        api.note(request, who, "silence_end", silence_id)
        services.alerts_changed()
        return Response(status_code=204)

    return router


def _shown(silence: Silence, now_ns: int) -> m.SilenceOut:
    return m.SilenceOut(
        silence_id=silence.silence_id,
        scope=m.SilenceScopeIn.model_construct(kind=silence.scope_kind, name=silence.scope_name),
        starts_at=rfc3339(silence.starts_ns),
        ends_at=rfc3339(silence.until_ns),
        reason=silence.reason,
        by=silence.by,
        active=silence.active_at(now_ns),
        ended_by=silence.ended_by,
    )
