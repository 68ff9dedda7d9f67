"""What a line's router reports of itself: one kind of value over time."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitor.api import models as m
from monitor.api import present
from monitor.api.context import Api, answer, problems
from monitor.api.granted import ReadsLines
from monitor.api.problems import Problem
from monitor.clock import NS, rfc3339
from monitor.records import ValueKind

DAY_H = 24.0
KINDS = {kind.name.lower(): kind for kind in ValueKind}


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["lines"])
    services = api.services

    @router.get("/lines/{line_id}/telemetry", response_model=m.TelemetryOut, responses=problems(404))
    async def telemetry(
        line_id: str,
        request: Request,
        who: ReadsLines,
        kind: Annotated[str, Query(max_length=40, description=", ".join(KINDS))] = "rx_power_dbm",
        hours: Annotated[float, Query(gt=0, le=24 * 31)] = DAY_H,
        points: Annotated[int, Query(ge=10, le=2000)] = 288,
    ) -> Response:
        """What the router reported, newest bins last. More than a day is for the NOC."""
        api.row_of(line_id, who)
        if kind not in KINDS:
            raise Problem(422, f"there is no kind {kind[:40]!r}: give one of {', '.join(KINDS)}")
        if hours > DAY_H and not who.may("history.long"):
            raise Problem(403, f"the role {who.role} sees the last 24 hours")
        if services.samples is None:
            raise Problem(503, "there is no store of samples", retry_s=60)
        api.note(request, who, "telemetry", line_id, f"{kind} {hours:g} h")
        end_ns = services.clock.now_ns() + NS
        begin_ns = end_ns - int(hours * 3600 * NS)
        store = services.samples
        found = await to_thread.run_sync(store.values_history, line_id, KINDS[kind], begin_ns, end_ns, points)
        return answer(
            {
                "line_id": line_id,
                "kind": kind,
                "bin_s": found.bin_s,
                "at": [rfc3339(int(at)) for at in found.at_ns],
                "mean": [present.number(v) for v in found.mean],
                "low": [present.number(v) for v in found.low],
                "high": [present.number(v) for v in found.high],
            }
        )

    return router
