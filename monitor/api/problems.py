"""Every error as RFC 9457 `application/problem+json`: what happened, and what to do, never what was typed."""

import logging
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from monitor.bus import IntakeFull
from monitor.store.problems import StoreProblem

log = logging.getLogger("faultline.api")
MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}


class Problem(Exception):
    """Raised anywhere below a route; becomes the answer. `detail` is for people. `retry_s` sets Retry-After."""

    def __init__(
        self,
        status: int,
        detail: str,
        retry_s: float | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        if retry_s is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_s)))
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Bearer realm="faultline"')

    def response(self) -> Response:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return Response(msgspec.json.encode(body), self.status, self.headers, MEDIA_TYPE)


def store_fails(error: Exception) -> Problem:
    """The database does not answer: not the caller's fault, and not for ever."""
    log.warning("the store does not answer: %s", error)
    return Problem(503, "the store does not answer now: try again in a moment", retry_s=5)


def response_of(error: Exception) -> Response | None:
    """The answer to an error of a kind that is foreseen; None for a defect."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, RequestValidationError):
        errors = [
            {"field": ".".join(str(part) for part in one["loc"]), "message": str(one["msg"])} for one in error.errors()
        ]
        first = errors[0] if errors else {"field": "", "message": "not valid"}
        return Problem(422, f"{first['field']}: {first['message']}", errors=errors[:20]).response()
    if isinstance(error, HTTPException):
        detail = str(error.detail)
        if error.status_code == 404 and detail == "Not Found":
            detail = "there is nothing at this address"
        return Problem(error.status_code, detail, headers=dict(error.headers or {})).response()
    if isinstance(error, IntakeFull):
        return Problem(503, str(error), retry_s=2).response()
    if isinstance(error, StoreProblem | SQLAlchemyError):
        return store_fails(error).response()
    return None


def install(app: FastAPI) -> None:
    """Hand every kind of error to one form."""

    async def handled(_: Request, error: Exception) -> Response:
        answer = response_of(error)
        return answer or Problem(500, "something unexpected happened; the log of the daemon says what").response()

    for kind in (Problem, HTTPException, RequestValidationError, IntakeFull, StoreProblem, SQLAlchemyError, Exception):
        app.add_exception_handler(kind, handled)
