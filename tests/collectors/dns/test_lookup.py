"""The daemon's own look-ups."""

import pytest

from collectors.dns import lookup
from collectors.dns.lookup import LookupFailed, resolve_host


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
async def test_an_address_is_its_own_answer(address: str) -> None:
    """Nobody is asked about an IP address."""
    assert await resolve_host(address, 0.001) == [address]


async def test_localhost_is_known_without_a_server() -> None:
    """/etc/hosts is read, by aiodns as by everybody."""
    assert "127.0.0.1" in await resolve_host("localhost", 10)


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a..b", "x" * 70])
async def test_a_name_that_cannot_be_resolved_is_said(name: str) -> None:
    """The error names the host and comes within the time given."""
    with pytest.raises(LookupFailed, match=name[:20]):
        await resolve_host(name, 10)


async def test_without_aiodns_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where c-ares cannot start, the system's own resolver answers."""

    async def unusable(name: str, timeout_s: float) -> None:
        return None

    monkeypatch.setattr(lookup, "_by_aiodns", unusable)
    assert "127.0.0.1" in await resolve_host("localhost", 10)


async def test_silence_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that never ends is given up after the time, and says how long that was."""
    import asyncio

    async def forever(name: str, timeout_s: float) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(lookup, "_by_aiodns", forever)
    with pytest.raises(LookupFailed, match=r"within 0\.1 s"):
        await resolve_host("broker.example.net", 0.1)
