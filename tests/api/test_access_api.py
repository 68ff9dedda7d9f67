"""Who gets in: keys, sessions, roles, CSRF, wrong keys, headers, and what every error looks like."""

import asyncio
import logging
import re

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from monitor.api import ApiSettings
from monitor.api.auth import COOKIE, OPEN, PERMISSIONS, ROLES, may
from monitor.records import EVENT_KINDS
from tests.api.conftest import Clients, Provider

ANY_OF_THEM = ["/api/v1/incidents", "/api/v1/lines/L000", "/metrics", "/openapi.json", "/api/v1/stream", "/nowhere"]


def routes(isp: Provider) -> list[APIRoute]:
    """Every route, also those inside included routers, however this version of FastAPI keeps them."""
    found: list[APIRoute] = []
    waiting = list(isp.app.routes)
    while waiting:
        route = waiting.pop()
        inner = getattr(route, "original_router", None)
        if inner is not None:
            waiting.extend(inner.routes)
        elif isinstance(route, APIRoute):
            found.append(route)
    documented = {(path, method.upper()) for path, ops in isp.app.openapi()["paths"].items() for method in ops}
    assert documented <= {(r.path_format, method) for r in found for method in r.methods or ()}
    assert len(documented) > 25
    return found


def permission_of(route: APIRoute) -> str | None:
    wanted = [d.call for d in route.dependant.dependencies if isinstance(d.call, may)]
    if (route.openapi_extra or {}).get("x-permission"):
        return str(route.openapi_extra["x-permission"])  # the route asks itself, to be quick
    return wanted[0].permission if wanted else None


async def test_without_a_key_only_health_answers(isp: Provider, http: Clients) -> None:
    """Everything but health, the empty page and its files asks for a key first, whatever is sent."""
    for path in ("/healthz", "/readyz", "/"):
        assert (await http[""].get(path)).status_code == 200
    for path in ANY_OF_THEM:
        response = await http[""].get(path)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"].startswith("Bearer")
    broken = await http[""].post("/api/v1/lookup", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 401


async def test_every_route_needs_a_permission(isp: Provider) -> None:
    """No route is reachable by forgetting to say who may: each names a permission or is one of the open ones."""
    open_routes = {"/healthz", "/readyz", "/", "/api/v1/session"}
    for route in routes(isp):
        if permission_of(route) is None:
            assert route.path in open_routes, route.path
            assert route.path in OPEN or route.methods == {"POST"}
    assert [r.path for r in isp.app.routes if isinstance(r, Mount)] == ["/static"]


@pytest.mark.parametrize("role", ROLES)
async def test_roles_get_what_is_theirs_and_nothing_else(isp: Provider, http: Clients, role: str) -> None:
    """For every route and role: allowed as the table says, else 403."""
    for route in routes(isp):
        permission = permission_of(route)
        if permission is None or route.path.endswith("/stream"):
            continue
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods or ():
            response = await http[role].request(method, path, json=None if method == "GET" else {})
            allowed = role in PERMISSIONS[permission]
            assert (response.status_code == 403) is not allowed, (role, method, path, response.text)
            assert response.status_code < 500


@pytest.mark.parametrize("key", ["", "x", "fl_", "fl_a_b", "fl_0000000000_" + "0" * 48, "ü", "Bearer", "\ud800"])
async def test_wrong_keys_are_refused(isp: Provider, http: Clients, key: str) -> None:
    """Malformed, unknown and strange keys are all the same 401."""
    headers = {"X-API-Key": key.encode("utf-8", "surrogatepass")} if key else {}
    assert (await http[""].get("/api/v1/incidents", headers=headers)).status_code == 401  # type: ignore[arg-type]


async def test_revoked_and_expired_keys_stop_working(isp: Provider, http: Clients) -> None:
    """A key revoked over the API ends at once with its sessions; an expired one when its time is up."""
    made = (await http["admin"].post("/api/v1/keys", json={"name": "anna", "role": "agent", "days": 1})).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await http[""].get("/api/v1/incidents", headers=headers)).status_code == 200
    await isp.clock.advance(86401)
    assert (await http[""].get("/api/v1/incidents", headers=headers)).status_code == 401
    other = (await http["admin"].post("/api/v1/keys", json={"name": "ben", "role": "agent"})).json()
    headers = {"Authorization": f"Bearer {other['key']}"}
    browser = isp.client()
    await browser.post("/api/v1/session", json={"key": other["key"]})
    assert (await browser.get("/api/v1/session")).status_code == 200
    assert (await http["admin"].delete(f"/api/v1/keys/{other['key_id']}")).status_code == 204
    assert (await http[""].get("/api/v1/incidents", headers=headers)).status_code == 401
    assert (await browser.get("/api/v1/session")).status_code == 401
    assert (await http["admin"].delete(f"/api/v1/keys/{other['key_id']}")).status_code == 404
    listed = (await http["admin"].get("/api/v1/keys")).json()["items"]
    assert other["key"].split("_")[2] not in str(listed)
    await browser.aclose()


async def test_session_cookie_is_out_of_reach_for_scripts(isp: Provider) -> None:
    """Logging in sets an HttpOnly, SameSite=Strict cookie that ends with the session."""
    async with isp.client() as browser:
        response = await browser.post("/api/v1/session", json={"key": isp.keys["noc"]})
        assert response.status_code == 201
        cookie = response.headers["set-cookie"]
        for part in (COOKIE, "HttpOnly", "SameSite=strict", "Path=/", "Max-Age=36000"):
            assert part in cookie
        assert "Secure" not in cookie
        assert isp.keys["noc"] not in response.text
        assert (await browser.get("/api/v1/incidents")).status_code == 200
        await isp.clock.advance(36001)
        assert (await browser.get("/api/v1/incidents")).status_code == 401


@pytest.mark.parametrize("settings", [ApiSettings(port=0, secure_cookie=True)])
async def test_behind_https_the_cookie_is_secure(isp: Provider, http: Clients) -> None:
    """With TLS in front the cookie never travels in the clear, and browsers are told to stay with https."""
    response = await http[""].post("/api/v1/session", json={"key": isp.keys["noc"]})
    assert "Secure" in response.headers["set-cookie"]
    assert "max-age" in response.headers["strict-transport-security"]


async def test_machines_do_not_log_in(isp: Provider, http: Clients) -> None:
    """The key of a prober opens no session of a person."""
    assert (await http[""].post("/api/v1/session", json={"key": isp.keys["probe"]})).status_code == 403


async def test_writes_by_cookie_need_the_token(isp: Provider) -> None:
    """A write with the cookie alone, with a wrong token, or from another site is refused; with the token it passes."""
    async with isp.client() as browser:
        csrf = (await browser.post("/api/v1/session", json={"key": isp.keys["agent"]})).json()["csrf"]
        url, body = "/api/v1/lookup", {"key": "L000"}
        assert (await browser.post(url, json=body)).status_code == 403
        assert (await browser.post(url, json=body, headers={"X-CSRF-Token": "0" * 64})).status_code == 403
        good = {"X-CSRF-Token": csrf}
        assert (await browser.post(url, json=body, headers=good)).status_code == 200
        foreign = {**good, "Origin": "https://evil.example"}
        assert (await browser.post(url, json=body, headers=foreign)).status_code == 403
        assert (await browser.post(url, json=body, headers={**good, "Sec-Fetch-Site": "cross-site"})).status_code == 403
        assert (await browser.post(url, json=body, headers={**good, "Origin": isp.url})).status_code == 200
        login = await browser.post(
            "/api/v1/session", json={"key": isp.keys["agent"]}, headers={"Origin": "https://evil.example"}
        )
        assert login.status_code == 403


async def test_logout_ends_the_session_on_the_server(isp: Provider) -> None:
    """A copied cookie is worth nothing after logging out."""
    async with isp.client() as browser:
        csrf = (await browser.post("/api/v1/session", json={"key": isp.keys["agent"]})).json()["csrf"]
        copied = browser.cookies[COOKIE]
        assert (await browser.delete("/api/v1/session", headers={"X-CSRF-Token": csrf})).status_code == 204
        again = await browser.get("/api/v1/session", headers={"Cookie": f"{COOKIE}={copied}"})
        assert again.status_code == 401


async def test_guessing_is_held_up_and_valid_keys_are_not(isp: Provider, http: Clients) -> None:
    """After some wrong keys a client waits a minute with further ones; a valid key from the same place, also one that
    was never used before, goes on working."""
    limit = isp.services.settings.failures_per_minute
    statuses = [
        (await http[""].get("/api/v1/incidents", headers={"X-API-Key": f"fl_{n}_x"})).status_code for n in range(50)
    ]
    assert statuses[:limit] == [401] * limit
    assert set(statuses[limit:]) == {429}
    waits = await http[""].get("/api/v1/incidents", headers={"X-API-Key": "fl_1_x"})
    assert int(waits.headers["retry-after"]) > 0
    fresh = isp.state.create_key("a colleague", "agent").text
    assert (await http[""].get("/api/v1/incidents", headers={"X-API-Key": fresh})).status_code == 200
    assert (await http["agent"].get("/api/v1/incidents")).status_code == 200


async def test_headers_that_browsers_obey(isp: Provider, http: Clients) -> None:
    """Page, API and errors carry the policy: no foreign or inline script, no framing, no sniffing."""
    for path in ("/", "/healthz", "/static/app.css", "/api/v1/incidents"):
        headers = (await http[""].get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/api/v1/incidents", 405),
        ("GET", "/api/v1/lines/none", 404),
        ("GET", "/api/v1/incidents/none", 404),
        ("GET", "/api/v1/incidents?limit=0", 422),
        ("GET", "/api/v1/incidents?cursor=x", 422),
        ("GET", "/api/v1/incidents?since=x", 422),
        ("GET", "/static/../page.py", 404),
        ("GET", "/static/%2e%2e/page.py", 404),
        ("GET", "/api/v1/elements/none/at/all", 404),
        ("DELETE", "/api/v1/maintenance/none", 404),
    ],
)
async def test_errors_are_problem_documents(isp: Provider, http: Clients, method: str, path: str, status: int) -> None:
    """Whatever goes wrong has one form: type, title, status, and a detail for people."""
    response = await http["admin"].request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


async def test_too_large_a_request_is_refused(isp: Provider, http: Clients) -> None:
    """Five megabytes are refused by their announced length, and also when it was not announced."""
    note = {"text": "x" * 5_000_000}
    assert (await http["noc"].post("/api/v1/incidents/x/note", json=note)).status_code == 413

    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(80):
            yield b" " * 65536

    response = await http["noc"].post(
        "/api/v1/incidents/x/note", content=pieces(), headers={"content-type": "application/json"}
    )
    assert response.status_code == 413


async def test_an_unexpected_error_tells_nothing(
    isp: Provider, http: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect gives a problem document without inner details, and the log has them."""
    caplog.set_level(logging.ERROR)

    def broken() -> None:
        raise RuntimeError("secret inner thing")

    isp.services.view = broken  # type: ignore[assignment]
    response = await http["agent"].post("/api/v1/lookup", json={"key": "L000"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert "secret inner thing" in caplog.text


async def test_openapi_describes_every_answer(isp: Provider, http: Clients) -> None:
    """OpenAPI 3.1, with the problem form for errors and the ways to log in."""
    document = (await http["agent"].get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["components"]["securitySchemes"]) == {"key", "session"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), (method, path)
            if path not in ("/healthz", "/readyz"):
                assert "application/problem+json" in operation["responses"]["401"]["content"], path
    kinds = document["components"]["schemas"]["EventIn"]["properties"]["kind"]["enum"]
    assert set(kinds) == EVENT_KINDS


async def test_metrics_are_for_those_who_may(isp: Provider, http: Clients) -> None:
    """Prometheus text for machines and the NOC."""
    response = await http["probe"].get("/metrics")
    assert response.status_code == 200
    assert "faultline_lookup_seconds_bucket" in response.text
    assert (await http["agent"].get("/metrics")).status_code == 403


async def test_ready_only_when_the_engine_runs(isp: Provider, http: Clients) -> None:
    """Alive and ready are two things."""
    isp.ready = False
    assert (await http[""].get("/readyz")).status_code == 503
    assert (await http[""].get("/healthz")).json() == {"status": "ok"}


async def test_audit_that_cannot_be_written_stops_reading(isp: Provider, http: Clients) -> None:
    """A store that takes no entries is said once; entries wait and are written when it is back."""
    write = isp.state.audit_many

    def fails(entries: object) -> None:
        raise OSError("disk full")

    isp.state.audit_many = fails  # type: ignore[method-assign]
    assert (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).status_code == 200
    for _ in range(100):
        await asyncio.sleep(0.02)
        if isp.metrics.troubles.current():
            break
    assert [t.name for t in isp.metrics.troubles.current()] == ["audit"]
    isp.state.audit_many = write  # type: ignore[method-assign]
    items = (await http["admin"].get("/api/v1/audit")).json()["items"]
    assert "L000" in [i["subject"] for i in items]
    assert isp.metrics.troubles.current() == []


@pytest.mark.parametrize("settings", [ApiSettings(port=0, metrics_open=True)])
async def test_metrics_may_be_opened(isp: Provider, http: Clients) -> None:
    """Where the configuration says so, Prometheus needs no key."""
    assert (await http[""].get("/metrics")).status_code == 200
