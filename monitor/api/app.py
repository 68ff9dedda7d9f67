"""Puts the API together: routes, gate, headers, errors, page; and what runs beside it while it is up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from monitor.api import models as m
from monitor.api import page, problems
from monitor.api.auth import Gate
from monitor.api.context import Api
from monitor.api.direct import Shortcut
from monitor.api.middleware import Wrapper
from monitor.api.rate import Rate
from monitor.api.routes import (
    access,
    admin,
    calls,
    events,
    incidents,
    lines,
    lookup,
    ranking,
    rounds,
    session,
    silences,
    slack,
    system,
    telemetry,
)
from monitor.api.services import Services

DESCRIPTION = """What is wrong with a line, which element failed, and who was told.

Send an API key as `Authorization: Bearer fl_...`; the page uses a session cookie and `X-CSRF-Token`.
Times are RFC 3339 UTC. Errors are `application/problem+json` (RFC 9457)."""


def create_app(services: Services) -> FastAPI:
    """The ASGI application; `app.state.api` is its Api. It never runs the engine."""
    api = Api(services)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        api.feed.start()
        beside = [asyncio.create_task(api.audit.run()), asyncio.create_task(api.expire_reports())]
        try:
            yield
        finally:
            api.feed.stop()
            await api.settle()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await api.audit.flush()
            api.audit.close()

    app = FastAPI(
        title="Faultline",
        version=services.version or "0",
        description=DESCRIPTION,
        lifespan=running,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.api = api
    problems.install(app)
    for module in (
        lookup,
        lines,
        telemetry,
        incidents,
        calls,
        events,
        rounds,
        silences,
        admin,
        ranking,
        access,
        session,
    ):
        app.include_router(module.routes(api))
    app.include_router(system.routes(api, app))
    if services.slack is not None:
        app.include_router(slack.routes(api, services.slack))
    page.install(app, services)
    settings = services.settings
    app.add_middleware(Shortcut, direct=api.direct)
    app.add_middleware(
        Gate,
        authenticator=api.auth,
        rate=Rate(settings.requests_per_minute),
        clock=services.clock,
        metrics_open=settings.metrics_open,
    )
    app.add_middleware(Wrapper, https=bool(settings.tls_cert_file) or settings.secure_cookie)
    _document_security(app)
    return app


def add_lookup_in(schema: dict[str, Any]) -> None:
    """The body of a look-up, which its route decodes itself."""
    made = m.LookupIn.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["components"]["schemas"]["LookupIn"] = made


def _document_security(app: FastAPI) -> None:
    """Say in the OpenAPI document how one is known, and which paths are open to everybody."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            add_lookup_in(schema)
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer", "description": "an API key, fl_..."}
            schemes["session"] = {"type": "apiKey", "in": "cookie", "name": "faultline_session"}
            schema["security"] = [{"key": []}, {"session": []}]
            for path, method in (("/healthz", "get"), ("/readyz", "get"), ("/api/v1/session", "post")):
                schema["paths"][path][method]["security"] = []
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
