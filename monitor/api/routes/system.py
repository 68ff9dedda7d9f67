"""Health, readiness, metrics, and the OpenAPI document."""

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import JSONResponse, Response

from monitor.api import models as m
from monitor.api.auth import may
from monitor.api.context import Api, answer, problems
from monitor.api.granted import Documented, ReadsHealth
from monitor.clock import rfc3339


def routes(api: Api, app: FastAPI) -> APIRouter:
    router = APIRouter(tags=["system"])
    services = api.services

    @router.get("/healthz", response_model=m.HealthOut)
    async def healthz() -> Response:
        """The process answers."""
        return answer({"status": "ok"})

    @router.get("/readyz", response_model=m.HealthOut, responses={503: {"model": m.HealthOut}})
    async def readyz() -> Response:
        """The engine runs and the inventory is loaded."""
        ready = services.ready()
        return answer({"status": "ok" if ready else "not_ready"}, 200 if ready else 503)

    @router.get("/api/v1/health", response_model=m.Detail, responses=problems())
    async def health(who: ReadsHealth) -> Response:
        """What each part says of itself, and the troubles that last now."""
        parts = [
            {
                "name": h.name,
                "ok": h.ok,
                "text": h.text,
                "last_at": rfc3339(h.last_ns) if h.last_ns else None,
            }
            for h in services.health()
        ]
        troubles = [
            {**msgspec.structs.asdict(t), "since": rfc3339(t.since_ns)} for t in services.metrics.troubles.current()
        ]
        return answer({"parts": parts, "troubles": troubles})

    closed = [] if services.settings.metrics_open else [Depends(may("metrics"))]

    @router.get(
        "/metrics",
        dependencies=closed,
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **({} if not closed else problems())},
    )
    async def metrics() -> Response:
        """Prometheus text."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/openapi.json", response_class=JSONResponse, include_in_schema=False)
    async def openapi(request: Request, who: Documented) -> Response:
        return JSONResponse(app.openapi())

    return router
