"""Accounts of people: log in by password, changes that take effect at once, and ten thousand guesses."""

import asyncio
import json
import time

import httpx
import pytest

from monitor.api import ApiSettings
from tests.api.conftest import Clients, Provider

PASSWORD = "correct horse battery"


async def login(isp: Provider, name: str, password: str, browser: httpx.AsyncClient | None = None) -> httpx.Response:
    async with isp.client() as client:
        return await (browser or client).post("/api/v1/session", json={"name": name, "password": password})


async def make(http: Clients, name: str = "anna", role: str = "agent", **more: object) -> httpx.Response:
    return await http["admin"].post("/api/v1/users", json={"name": name, "role": role, "password": PASSWORD, **more})


async def test_life_of_an_account(isp: Provider, http: Clients) -> None:
    """Made by an administrator, it logs in, loses its role and its sessions as soon as that is decided, and goes."""
    made = await make(http)
    assert made.status_code == 201
    assert PASSWORD not in made.text
    assert (await make(http)).status_code == 409
    async with isp.client() as browser:
        shown = (await login(isp, "anna", PASSWORD, browser)).json()
        assert (shown["name"], shown["role"], shown["account"]) == ("anna", "agent", True)
        assert (await browser.get("/api/v1/incidents")).status_code == 200
        changed = await http["admin"].patch("/api/v1/users/anna", json={"role": "noc"})
        assert changed.json()["role"] == "noc"
        assert (await browser.get("/api/v1/session")).json()["role"] == "noc"
        await http["admin"].patch("/api/v1/users/anna", json={"disabled": True})
        assert (await browser.get("/api/v1/session")).status_code == 401
        assert (await login(isp, "anna", PASSWORD)).status_code == 401
        await http["admin"].patch("/api/v1/users/anna", json={"disabled": False})
        assert (await login(isp, "anna", PASSWORD, browser)).status_code == 201
        assert (await http["admin"].delete("/api/v1/users/anna")).status_code == 204
        assert (await browser.get("/api/v1/session")).status_code == 401
    assert (await http["admin"].delete("/api/v1/users/anna")).status_code == 404
    actions = {e["action"] for e in (await http["admin"].get("/api/v1/audit")).json()["items"]}
    assert {"user_create", "user_change", "user_delete", "login"} <= actions


async def test_own_password(isp: Provider, http: Clients) -> None:
    """Changed with the old one only; every session of the account ends; a key has none."""
    await make(http)
    async with isp.client() as browser:
        csrf = (await login(isp, "anna", PASSWORD, browser)).json()["csrf"]
        headers, url = {"X-CSRF-Token": csrf}, "/api/v1/session/password"
        new = "another long password"
        assert (await browser.post(url, json={"old": PASSWORD, "new": new})).status_code == 403
        wrong = await browser.post(url, json={"old": "wrong", "new": new}, headers=headers)
        assert wrong.status_code == 401
        short = await browser.post(url, json={"old": PASSWORD, "new": "short"}, headers=headers)
        assert short.status_code == 422
        assert (await browser.post(url, json={"old": PASSWORD, "new": new}, headers=headers)).status_code == 204
        assert (await browser.get("/api/v1/session")).status_code == 401
        assert (await login(isp, "anna", PASSWORD)).status_code == 401
        assert (await login(isp, "anna", new)).status_code == 201
    assert (await http["agent"].post(url, json={"old": "x", "new": new})).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "anna"},
        {"password": PASSWORD},
        {"key": "fl_x_y", "name": "anna", "password": PASSWORD},
        {},
        {"name": "", "password": ""},
        {"name": "a" * 101, "password": PASSWORD},
    ],
)
async def test_half_a_login_is_no_login(isp: Provider, http: Clients, body: dict[str, str]) -> None:
    """A key, or a name and a password: nothing else, and nothing is told about who exists."""
    assert (await http[""].post("/api/v1/session", json=body)).status_code == 422


async def test_unknown_name_and_wrong_password_are_the_same(isp: Provider, http: Clients) -> None:
    """The answer does not tell which names exist."""
    await make(http)
    answers = [(await login(isp, name, "wrong password")).json() for name in ("anna", "nobody", "' OR 1=1 --")]
    assert answers[0] == answers[1] == answers[2]
    trail = (await http["admin"].get("/api/v1/audit", params={"action": "login_failed"})).json()["items"]
    # A name that is no account may be a password typed in the wrong field.
    assert [(e["who"], e["subject"]) for e in trail] == [("", ""), ("", ""), ("", "anna")]
    assert {e["address"] for e in trail} == {"127.0.0.1"}


async def test_weak_passwords_and_rights_that_do_not_fit(isp: Provider, http: Clients) -> None:
    """Short, repeated or the name itself: refused; so is an administrator with regions, or one without rights."""
    for password in ("short", "aaaaaaaaaaaa", "annaannaanna"):
        name = "annaannaanna"
        body = {"name": name, "role": "agent", "password": password}
        assert (await http["admin"].post("/api/v1/users", json=body)).status_code == 422
    assert (await make(http, role="admin", regions=["north"])).status_code == 422
    assert (await make(http, role="probe")).status_code == 422
    await make(http, "root", "admin")
    async with isp.client() as browser:
        csrf = (await login(isp, "root", PASSWORD, browser)).json()["csrf"]
        headers = {"X-CSRF-Token": csrf}
        for body in ({"disabled": True}, {"role": "agent"}):
            response = await browser.patch("/api/v1/users/root", json=body, headers=headers)
            assert response.status_code == 409
        assert (await browser.delete("/api/v1/users/root", headers=headers)).status_code == 409


@pytest.mark.parametrize("settings", [ApiSettings(port=0, failures_per_minute=5)])
async def test_ten_thousand_wrong_passwords(isp: Provider, http: Clients) -> None:
    """They cost a handful of hashes, the server goes on answering, and a key from the same place still works."""
    await make(http)
    hashed = 0
    check = isp.state.check_password

    def counting(name: str, password: str) -> object:
        nonlocal hashed
        hashed += 1
        return check(name, password)

    isp.state.check_password = counting  # type: ignore[assignment]
    seen: dict[int, int] = {}
    begin = time.monotonic()
    host, port = isp.url.removeprefix("http://").split(":")

    async def guess(worker: int) -> None:
        """Over one connection, as fast as the answers come."""
        reader, writer = await asyncio.open_connection(host, int(port))
        for n in range(500):
            body = json.dumps({"name": "anna" if n % 2 else f"name{n}", "password": f"guess {worker} {n}"})
            head = "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
            writer.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            status = int(answer.split(b" ")[1])
            seen[status] = seen.get(status, 0) + 1
        writer.close()
        await writer.wait_closed()

    guessing = asyncio.gather(*(guess(worker) for worker in range(20)))
    assert (await http["agent"].post("/api/v1/lookup", json={"key": "L000"})).status_code == 200
    await guessing
    assert sum(seen.values()) == 10_000
    assert set(seen) == {401, 429}
    # Twenty may have been under way when the fifth one failed; a minute later there are five more.
    assert hashed <= 30 + 5 * int((time.monotonic() - begin) / 60)
    fresh = isp.state.create_key("a colleague", "agent").text
    assert (await http[""].get("/api/v1/incidents", headers={"X-API-Key": fresh})).status_code == 200


async def test_an_account_is_not_locked_by_a_handful(isp: Provider, http: Clients) -> None:
    """Ten wrong passwords do not keep its owner out."""
    await make(http)
    for n in range(10):
        assert (await login(isp, "anna", f"wrong {n}")).status_code == 401
    assert (await login(isp, "anna", PASSWORD)).status_code == 201
