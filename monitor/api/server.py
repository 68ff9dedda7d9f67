"""Serves the API inside the daemon's own event loop, without touching its signal handlers."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from monitor.api.settings import ApiSettings

log = logging.getLogger("faultline.api")
SHUTDOWN_S = 3


class ListenProblem(OSError):
    """The API cannot listen. The text names the setting and what to do."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the daemon decides what a signal means


def listen(settings: ApiSettings) -> socket.socket:
    """A bound socket; with port 0 the system has chosen one (`getsockname`). Raises ListenProblem."""
    place = f"api.host {settings.host!r}, api.port {settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named: asyncio turns Nagle's delay off only then, which would cost 40 ms an answer.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(1024)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ListenProblem(f"{place}: cannot listen there ({error.strerror or error}): choose another") from None
    return made


async def serve(
    app: FastAPI,
    settings: ApiSettings,
    listening: socket.socket | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled; open requests then have a few seconds, event streams are ended at once.

    `started` is called with the URL once requests are answered. Raises ListenProblem, before anything runs.
    """
    own = listening or listen(settings)
    host, port = own.getsockname()[:2]
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=SHUTDOWN_S,
        h11_max_incomplete_event_size=32 * 1024,
        ssl_certfile=settings.tls_cert_file or None,
        ssl_keyfile=settings.tls_key_file or None,
    )
    # Its lines would hold query strings; ours (faultline.access) do not.
    logging.getLogger("uvicorn.access").disabled = True
    server = _Server(config)
    task = asyncio.create_task(server.serve([own]), name="api")
    try:
        up = asyncio.create_task(server.up.wait())
        await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if server.started:
            scheme = "https" if settings.tls_cert_file else "http"
            shown = f"[{host}]" if ":" in host else host
            url = f"{scheme}://{shown}:{port}"
            log.info("API and page at %s", url)
            if started:
                started(url)
        await asyncio.shield(task)
    finally:
        app.state.api.feed.stop()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=SHUTDOWN_S + 2)
        own.close()
