"""The audit trail of the API: who read or changed what, written in batches off the request's path.

A lookup must not wait for a disk, so entries stand in memory for at most `FLUSH_S` before they are one transaction; a
kill -9 may cost that much. When they cannot be written, nothing more is answered that would have to be noted.
"""

import asyncio
from collections import deque
from itertools import islice

from anyio import to_thread

from monitor.api.auth import Principal
from monitor.api.problems import Problem
from monitor.api.services import Services
from monitor.store.access import AuditEntry

FLUSH_S = 0.1
MAX_WAITING = 20_000
MAX_BATCH = 2_000


class AuditLog:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: deque[AuditEntry] = deque()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, who: Principal, action: str, subject: str = "", detail: str = "", address: str = "") -> None:
        """Raises Problem 503 when too many entries wait for the store."""
        if len(self._waiting) >= MAX_WAITING:
            raise Problem(503, "the audit trail cannot be written now: try again in a moment", retry_s=5)
        now_ns = self._services.clock.now_ns()
        self._waiting.append(AuditEntry(0, now_ns, who.name, action, subject, detail[:500], address))
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
            while self._waiting:
                batch = list(islice(self._waiting, MAX_BATCH))
                now_ns = self._services.clock.now_ns()
                try:
                    await to_thread.run_sync(self._services.state.audit_many, batch)
                except Exception as error:  # whatever the database says, the entries stay
                    text = f"the audit trail cannot be written ({error}): check the store's disk or server"
                    self._services.metrics.troubles.begin("audit", text, now_ns)
                    self._wake.set()
                    await asyncio.sleep(1.0)
                    return
                for _ in batch:
                    self._waiting.popleft()
                self._services.metrics.troubles.end("audit", now_ns)
