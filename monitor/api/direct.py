"""The short way to the few answers that must cost little: inside the gate, past what FastAPI does for every request.

A direct endpoint is given who asks and the whole body and returns the JSON of its answer; it must not wait. The same
path stands as an ordinary route too, which documents it and answers other methods.
"""

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.api.problems import response_of

Endpoint = Callable[[Scope, bytes], bytes]
HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class Shortcut:
    """ASGI: `direct` holds the endpoints by method and path; everything else goes on to `app`."""

    def __init__(self, app: ASGIApp, direct: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        try:
            if (asked := await _body(receive)) is None:
                return  # nobody waits for an answer any more
            made = endpoint(scope, asked)
        except Exception as error:
            if (answer := response_of(error)) is None:
                raise
            await answer(scope, receive, send)
            return
        headers = [*HEADERS, (b"content-length", str(len(made)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": made})


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the client has gone."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        whole: bytes = message.get("body", b"")
        return whole
    parts = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    return None
