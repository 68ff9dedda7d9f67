"""Served inside the daemon's loop: free ports, taken ports, cancellation, signals left alone, TLS, many streams."""

import asyncio
import signal
import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from monitor.api import ApiSettings, ListenProblem, listen, serve
from tests.api.conftest import Provider


async def test_port_zero_is_reported_and_answers(isp: Provider) -> None:
    """The system's free port is in the URL that `started` gets."""
    assert int(isp.url.rpartition(":")[2]) > 0
    async with isp.client() as client:
        assert (await client.get("/healthz")).status_code == 200


def test_port_that_is_taken_says_so() -> None:
    """One message that names the setting, before anything runs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(ListenProblem, match=r"api\.port") as raised:
            listen(ApiSettings(port=other.getsockname()[1]))
        assert "in use" in str(raised.value)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_host_that_is_not_ours_says_so(host: str) -> None:
    """A name that does not resolve, or an address of another machine."""
    with pytest.raises(ListenProblem, match=r"api\.host"):
        listen(ApiSettings(host=host, port=0))


@pytest.mark.parametrize(
    "wrong", [{"port": 70000}, {"tls_cert_file": "x"}, {"session_hours": 0.0}, {"streams": 0}, {"probe_every_s": 0.0}]
)
def test_settings_refuse_what_cannot_be(wrong: dict[str, object]) -> None:
    """Each wrong value is named."""
    with pytest.raises(ValueError, match=str(next(iter(wrong))).split("_", maxsplit=1)[0]):
        ApiSettings(**wrong)  # type: ignore[arg-type]


async def test_signals_stay_the_daemons(isp: Provider) -> None:
    """Serving installs no handler of its own."""
    assert isp.url
    for one in (signal.SIGTERM, signal.SIGINT):
        assert "handle_exit" not in repr(signal.getsignal(one))


async def test_cancelling_ends_open_streams_and_frees_the_port(isp: Provider) -> None:
    """The daemon's end is not held up by readers, and the address is free at once."""
    app = isp.app
    up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, ApiSettings(port=0), started=up.set_result))
    url = await up
    headers = {"Authorization": f"Bearer {isp.keys['agent']}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        async with client.stream("GET", "/api/v1/stream") as response:
            assert response.status_code == 200
            task.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await asyncio.wait_for(task, 10)
        assert task.done()
    listen(ApiSettings(port=int(url.rpartition(":")[2]))).close()


async def test_tls(isp: Provider, tmp_path: Path) -> None:
    """With a certificate it is https, and the session's cookie is Secure."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    made = [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True)
    settings = ApiSettings(port=0, tls_cert_file=str(cert), tls_key_file=str(key))
    up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(isp.app, settings, started=up.set_result))
    url = await up
    assert url.startswith("https://")
    context = ssl.create_default_context(cafile=str(cert))
    async with httpx.AsyncClient(base_url=url, verify=context) as client:
        assert (await client.get("/healthz")).status_code == 200
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("settings", [ApiSettings(port=0, streams=150)])
async def test_many_readers_that_never_read(isp: Provider) -> None:
    """Readers who never read take a slot each and nothing more: the next gets 503, and look-ups go on."""
    host, port = isp.url.removeprefix("http://").split(":")
    request = f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {isp.keys['agent']}\r\n\r\n".encode()
    writers = []
    for _ in range(150):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        writers.append(writer)
    while isp.app.state.api.feed._streams < 150:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    async with isp.client("agent") as client:
        assert (await client.get("/api/v1/stream")).status_code == 503
        assert (await client.post("/api/v1/lookup", json={"key": "L000"})).status_code == 200
    for writer in writers:
        writer.close()
