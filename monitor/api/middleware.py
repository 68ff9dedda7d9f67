"""What wraps every request: a bound on its size, security headers, and a log line without the query string."""

import logging
import time

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api.problems import Problem

log = logging.getLogger("faultline.access")
TOO_LARGE = "the request is larger than 4 MB"
MAX_BODY = 4 * 1024 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Wrapper:
    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})
        # Encoded once; no route sets one of these itself.
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status, taken = time.perf_counter(), 0, 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > MAX_BODY:
                    raise HTTPException(413, TOO_LARGE)
            return message

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        try:
            length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
            if length.isdigit() and int(length) > MAX_BODY:
                await Problem(413, TOO_LARGE).response()(scope, bounded, marked)
                return
            await self._app(scope, bounded, marked)
        finally:
            # The raw path: percent-encoded, so that nothing in it can break a line of the log.
            path = scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "replace")
            who = scope.get("principal")
            spent_ms = (time.perf_counter() - begin) * 1000
            log.info("%s %s %d %.1f ms %s", scope["method"], path, status, spent_ms, who.name if who else "-")
