"""The audit trail of the API: who read or changed what, written in batches off the request's path.

A look-up must not wait for a disk's sync. An entry is appended to a file before its answer is given (WaitingFile), and
stands in the store's table within `FLUSH_S` and one commit. What a killed process had appended and not committed is
written at the next start, each entry once. When entries cannot be kept, nothing is answered that would have to be
noted.
"""

import asyncio
import logging
from collections import deque
from itertools import islice

from anyio import to_thread

from monitor.api.auth import Principal
from monitor.api.problems import Problem
from monitor.api.services import Services
from monitor.api.waiting import WaitingFile
from monitor.store.access import AuditEntry

log = logging.getLogger("faultline.api")
FLUSH_S = 0.1
MAX_WAITING = 20_000
MAX_BATCH = 2_000


class AuditLog:
    """Without `services.audit_file` entries wait in memory only, as in a process that ends with its store."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: deque[AuditEntry] = deque()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        path = services.audit_file
        self._file = WaitingFile(path) if path is not None else None
        self._turned = 0  # how many of the first that wait stand in the old file
        self._left: list[AuditEntry] = []
        if self._file and self._file.left:
            self._left = self._file.left
            log.info("%d entries of the audit trail were on their way when the last process ended", len(self._left))
            self._wake.set()

    def note(self, who: Principal, action: str, subject: str = "", detail: str = "", address: str = "") -> None:
        """Raises Problem 503 when too many entries wait for the store, or the file takes none."""
        if len(self._waiting) >= MAX_WAITING:
            raise Problem(503, "the audit trail cannot be written now: try again in a moment", retry_s=5)
        now_ns = self._services.clock.now_ns()
        entry = AuditEntry(0, now_ns, who.name, action, subject, detail[:500], address)
        if self._file:
            try:
                self._file.add(entry)
            except OSError as error:
                log.warning("%s: %s", self._services.audit_file, error)
                raise Problem(503, "the audit trail cannot be written now: try again in a moment", retry_s=5) from None
        self._waiting.append(entry)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; what waits then is written by `flush`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()
            await asyncio.sleep(FLUSH_S)

    async def flush(self) -> None:
        """Write what waits now; returns with a trouble when the store does not take it."""
        async with self._writing:
            try:
                await self._write()
            except Exception as error:  # whatever the database or the disk says, the entries stay
                text = f"the audit trail cannot be written ({error}): check the store's disk or server"
                self._services.metrics.troubles.begin("audit", text, self._services.clock.now_ns())
                self._wake.set()
                await asyncio.sleep(1.0)

    async def _write(self) -> None:
        state, file = self._services.state, self._file
        if self._left:
            await to_thread.run_sync(state.audit_missing, self._left)
            self._left = []
        while self._waiting:
            if file and not self._turned:
                if file.turned:
                    file.drop()  # of the process before this one, and in the store by now
                file.turn()
                self._turned = len(self._waiting)
            batch = list(islice(self._waiting, min(MAX_BATCH, self._turned or MAX_BATCH)))
            await to_thread.run_sync(state.audit_many, batch)
            for _ in batch:
                self._waiting.popleft()
            if file:
                self._turned -= len(batch)
                if not self._turned:
                    file.drop()
            self._services.metrics.troubles.end("audit", self._services.clock.now_ns())
        if file and not self._turned and file.turned:
            file.drop()

    def close(self) -> None:
        if self._file:
            self._file.close()
