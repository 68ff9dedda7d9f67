"""Entries of the audit trail on their way to the store: none is lost by a kill, none stands there twice."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.api.audit import AuditLog
from monitor.api.auth import Principal
from monitor.api.problems import Problem
from monitor.api.services import Services
from monitor.store.state import StateStore
from tests.api.conftest import Provider

WHO = Principal("anna", "agent", user="anna")
CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from monitor.api.audit import AuditLog
from monitor.api.auth import Principal
from monitor.clock import SystemClock
services = SimpleNamespace(clock=SystemClock(), audit_file=Path(sys.argv[1]))
log = AuditLog(services)
for n in range(100):
    log.note(Principal("anna", "agent", user="anna"), "lookup", f"L{n}")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def services(isp: Provider, tmp_path: Path) -> Services:
    isp.services.audit_file = tmp_path / "audit.waiting"
    return isp.services


def subjects(state: StateStore) -> list[str]:
    return [e.subject for e in reversed(state.audit_trail(who="anna", limit=1000))]


async def test_what_a_killed_process_had_noted_is_written_once(services: Services) -> None:
    """A process notes a hundred look-ups and is killed before the store was told of any; the next one writes them,
    and a third, killed after its commit and before the file was gone, none twice."""
    assert services.audit_file is not None
    command = [sys.executable, "-c", CHILD, str(services.audit_file)]
    ended = await asyncio.to_thread(subprocess.run, command, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    left = await asyncio.to_thread(services.audit_file.read_bytes)
    for _ in range(2):
        log = AuditLog(services)
        await log.flush()
        log.close()
        assert subjects(services.state) == [f"L{n}" for n in range(100)]
        await asyncio.to_thread(services.audit_file.write_bytes, left)


async def test_a_torn_entry_costs_no_other(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    """The last line may be half written: it is said and left out, the rest is kept, and new ones follow it."""
    assert services.audit_file is not None
    log = AuditLog(services)
    log.note(WHO, "lookup", "L1")
    log.note(WHO, "lookup", "L2")
    log.close()
    whole = await asyncio.to_thread(services.audit_file.read_bytes)
    await asyncio.to_thread(services.audit_file.write_bytes, whole[:-9])
    log = AuditLog(services)
    assert "torn entry" in caplog.text
    log.note(WHO, "lookup", "L3")
    await log.flush()
    assert subjects(services.state) == ["L1", "L3"]
    log.close()


async def test_files_do_not_grow(services: Services) -> None:
    """While entries keep coming the files take turns; with all of them in the store both hold nothing. They are for
    nobody else to read."""
    path = services.audit_file
    assert path is not None
    log = AuditLog(services)
    for n in range(50):
        log.note(WHO, "lookup", f"L{n}")
        if n % 7 == 0:
            writing = asyncio.create_task(log.flush())
            await asyncio.sleep(0)
            log.note(WHO, "check", f"L{n}")
            await writing
    await log.flush()
    assert len(subjects(services.state)) == 58
    assert path.stat().st_size == 0
    assert not path.with_name(path.name + ".old").exists()
    assert path.stat().st_mode & 0o077 == 0
    log.close()


async def test_a_store_that_takes_nothing_loses_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries wait in both files through failed writes and a kill, and are written by the next process, each once."""

    def fails(entries: object) -> None:
        raise OSError("disk full")

    log = AuditLog(services)
    with monkeypatch.context() as broken:
        broken.setattr(services.state, "audit_many", fails)
        log.note(WHO, "lookup", "L1")
        await log.flush()
        log.note(WHO, "lookup", "L2")
        await log.flush()
    log.close()  # as if killed: nothing more is written by this one
    again = AuditLog(services)
    again.note(WHO, "lookup", "L3")
    await again.flush()
    assert subjects(services.state) == ["L1", "L2", "L3"]
    again.close()


async def test_without_room_nothing_is_answered(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes no entry: 503, and nothing that would have to be noted is told."""
    log = AuditLog(services)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        with pytest.raises(Problem) as caught:
            log.note(WHO, "lookup", "L1")
    assert caught.value.status == 503
    await log.flush()
    assert subjects(services.state) == []
    log.close()
