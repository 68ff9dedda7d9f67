"""Probers on other machines: their rounds come in, and what they are to do goes out (docs/probers.md)."""

import asyncio

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from collectors.remote.body import BodyProblem
from collectors.remote.hub import OtherInventory, RemoteProbers, Stopped, UnknownProber
from collectors.remote.peer import TooMuch
from monitor.api import models as m
from monitor.api.context import Api, problems
from monitor.api.granted import SendsRounds
from monitor.api.problems import Problem

WRITTEN_S = 10.0
ARROW = "application/vnd.apache.arrow.stream"


def routes(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["probers"])
    services = api.services

    def hub() -> RemoteProbers:
        if services.probers is None:
            raise Problem(404, "this daemon shares its lines with no other prober: see [probers] names")
        return services.probers

    @router.post(
        "/rounds",
        response_model=m.RoundsOut,
        status_code=202,
        responses=problems(404, 409, 413, 415),
        openapi_extra={"requestBody": {"content": {ARROW: {}}, "required": True}},
    )
    async def rounds(request: Request, who: SendsRounds) -> Response:
        """Rows of probers on other machines, as an Arrow IPC stream of at most 4 MB; on disk when it is answered."""
        taking, arrived_ns = hub(), services.clock.now_ns()
        if request.headers.get("content-type", "").partition(";")[0].strip() != ARROW:
            raise Problem(415, f"send an Arrow IPC stream as {ARROW}")
        data = await request.body()
        try:
            taken, futures, body = await to_thread.run_sync(taking.take, data, arrived_ns)
        except BodyProblem as error:
            raise Problem(422, str(error)) from None
        except UnknownProber as error:
            raise Problem(422, str(error)) from None
        except OtherInventory as error:
            raise Problem(409, str(error)) from None
        except TooMuch as error:
            raise Problem(429, str(error), retry_s=error.retry_s) from None
        waiting = [asyncio.wrap_future(future) for future in futures]
        done, late = await asyncio.wait(waiting, timeout=WRITTEN_S) if waiting else (set(), set())
        if late or any(future.cancelled() for future in done):
            raise Problem(503, "the engine is behind: send these rounds again in a moment", retry_s=2)
        taking.written(body)
        return _json(taken, 202)

    @router.get("/probers/{name}/orders", response_model=m.OrdersOut, responses=problems(404))
    async def orders(
        name: str,
        who: SendsRounds,
        daemon: str = Query("", max_length=100),
        after: int = Query(0, ge=0, le=2**53),
        wait_s: float = Query(0.0, ge=0, le=30),
    ) -> Response:
        """What this prober is to probe besides its round, and leases that have changed; waits until there is some."""
        try:
            return _json(await hub().orders(name, daemon, after, wait_s))
        except UnknownProber as error:
            raise Problem(404, str(error)) from None
        except Stopped as error:
            raise Problem(503, str(error), retry_s=2) from None

    return router


def _json(answer: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, {"Cache-Control": "no-store"}, "application/json")
