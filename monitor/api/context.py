"""What all routes share: the services, and the few things the API keeps itself. Made once by `create_app`."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from monitor.api.audit import AuditLog
from monitor.api.auth import Authenticator, Principal
from monitor.api.feed import Feed
from monitor.api.live import LiveChecks
from monitor.api.models import ProblemBody
from monitor.api.problems import MEDIA_TYPE, TITLES, Problem
from monitor.api.services import Services
from monitor.clock import parse_time
from monitor.desk import Reports

log = logging.getLogger("faultline.api")


class Api:
    def __init__(self, services: Services) -> None:
        self.services = services
        self.auth = Authenticator(services)
        self.audit = AuditLog(services)
        self.feed = Feed(services)
        self.live = LiveChecks(services)
        self.reports = Reports(services.state)
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, request: Request, who: Principal, action: str, subject: str = "", detail: str = "") -> None:
        self.audit.note(who, action, subject, detail, request.client.host if request.client else "")

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

    def row_of(self, line_id: str) -> int:
        """Raises Problem 404."""
        row = self.services.inventory().index_of(line_id)
        if row is None:
            raise Problem(404, "there is no such line")
        return row


def answer(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A model as JSON, without a second validation of what we made ourselves."""
    made = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body.__pydantic_serializer__.to_json(body), status, made, "application/json")


def given_time(text: str, field: str) -> int:
    """ns UTC. Raises Problem 422 that names the field."""
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise Problem(422, f"{field}: {error}", errors=[{"field": field, "message": str(error)}]) from None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How errors are documented: 401, 403, 422, 429 and 503 can come from any route."""
    return {
        status: {
            "description": TITLES[status],
            "model": ProblemBody,
            "content": {MEDIA_TYPE: {}},
        }
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }
