"""What all routes share: the services, and the few things the API keeps itself. Made once by `create_app`."""

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec
from anyio import to_thread
from fastapi import Request
from starlette.responses import Response

from monitor.api.audit import AuditLog
from monitor.api.auth import Authenticator, Principal
from monitor.api.direct import Endpoint
from monitor.api.feed import Feed
from monitor.api.live import LiveChecks
from monitor.api.models import ProblemBody
from monitor.api.present import Shown
from monitor.api.problems import MEDIA_TYPE, TITLES, Problem
from monitor.api.reach import Reach
from monitor.api.services import Services
from monitor.clock import NS, parse_time
from monitor.desk import Reports
from monitor.records import Event

log = logging.getLogger("faultline.api")
encoded = msgspec.json.Encoder().encode


class Api:
    def __init__(self, services: Services) -> None:
        self.services = services
        self.auth = Authenticator(services)
        self.audit = AuditLog(services)
        self.feed = Feed(services)
        self.live = LiveChecks(services)
        self.reports = Reports(services.state)
        self.direct: dict[tuple[str, str], Endpoint] = {}  # (method, path): what is answered past FastAPI
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, request: Request, who: Principal, action: str, subject: str = "", detail: str = "") -> None:
        self.audit.note(who, action, subject, detail, client(request))

    def background(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Run something whose outcome the caller need not wait for; a failure is logged."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                log.warning("%s failed: %s", what, error)

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for what runs in the background."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def reach(self, who: Principal) -> Reach:
        """What this principal sees of the inventory of now."""
        return Reach.of(who, self.services.inventory())

    async def expire_reports(self) -> None:
        """Every hour, let go of reports that are older than they are kept."""
        services, days = self.services, self.services.settings.report_days
        while days:
            try:
                before_ns = services.clock.now_ns() - days * 86400 * NS
                if gone := await to_thread.run_sync(self.reports.expire, before_ns):
                    log.info("%d reports were older than %d days and are gone", gone, days)
            except Exception as error:  # the store's own trouble says more; the next hour tries again
                log.warning("old reports could not be removed: %s", error)
            await services.clock.sleep(3600)

    def row_of(self, line_id: str, who: Principal) -> int:
        """Raises Problem 404, also for a line outside the principal's regions."""
        row = self.services.inventory().index_of(line_id)
        if row is None or not self.reach(who).row(row):
            raise Problem(404, "there is no such line")
        return row

    def tell_engine(self, event: Event) -> None:
        """Hand over an event whose outcome the caller need not wait for: a customer's call is evidence."""

        async def submit() -> None:
            await self.services.submit(event)

        self.background(submit(), f"telling the engine of a {event.kind}")


def client(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client else ""


def answer(body: Shown, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON of the form that the route's `response_model` documents; made by us, so not validated again here."""
    made = {"Cache-Control": "no-store", **(headers or {})}
    return Response(encoded(body), status, made, "application/json")


def polled(request: Request, body: Shown) -> Response:
    """The same with an ETag; 304 without a body for a client that has this very answer already."""
    made = encoded(body)
    tag = f'"{hashlib.blake2b(made, digest_size=12).hexdigest()}"'
    headers = {"Cache-Control": "private, no-cache", "ETag": tag}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(made, 200, headers, "application/json")


POLLED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "give it as If-None-Match", "schema": {"type": "string"}}}},
    304: {"description": "not changed since the ETag given as If-None-Match"},
}


def given_time(text: str, field: str) -> int:
    """ns UTC. Raises Problem 422 that names the field."""
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise Problem(422, f"{field}: {error}", errors=[{"field": field, "message": str(error)}]) from None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How errors are documented: 400 (no JSON at all), 401, 403, 413, 422, 429 and 503 can come from any route."""
    return {
        status: {
            "description": TITLES[status],
            "model": ProblemBody,
            "content": {MEDIA_TYPE: {}},
        }
        for status in sorted({400, 401, 403, 413, 422, 429, 503, *statuses})
    }
