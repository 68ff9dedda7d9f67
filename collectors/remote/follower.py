"""Keeps a prober on another machine in step with its daemon: asks for orders, one after the other, and obeys.

Leases go into the bindings (an address that two lines claim is then known here as well), requests to the prober. What
was carried out is said with the next asking. `synced` is set once all leases are known: only then may probing begin.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx
import msgspec
import numpy as np

from collectors.remote.body import ELEMENT, REFERENCE
from collectors.remote.orders import Ask, Lease, Orders
from collectors.remote.settings import ProbersSettings
from monitor.clock import NS, Clock
from monitor.inventory import Bindings
from monitor.inventory.slices import Slices, digest
from monitor.metrics import Metrics
from monitor.records import Event, ProbeRequest, Reference, RequestReason, TargetKind

WAIT_S = 20.0
LATE_S = 10.0


class Follower:
    """`adopt`: these bindings are right from now on. `changed(lines)`: these have other
    addresses now. `request`: probe this now. `same(bool)`: whether row numbers
    mean the same here and at the daemon."""

    def __init__(
        self,
        settings: ProbersSettings,
        source: str,
        client: httpx.AsyncClient,
        bindings: Callable[[], Bindings],
        references: Sequence[Reference],
        clock: Clock,
        metrics: Metrics,
        adopt: Callable[[Bindings], None],
        changed: Callable[[Sequence[int]], None],
        request: Callable[[ProbeRequest], None],
        same: Callable[[bool], None],
    ) -> None:
        self._settings, self._source, self._client, self._bindings = settings, source, client, bindings
        self._references = {reference.name: i for i, reference in enumerate(references)}
        self._names = Slices(settings.names).names
        self._clock, self._troubles = clock, metrics.troubles
        self._adopt, self._changed, self._request, self._same = adopt, changed, request, same
        self._fresh: Bindings | None = None
        self.synced = asyncio.Event()
        self._daemon, self._after = "", 0
        self._digest, self._digest_of = "", -1

    async def run(self) -> None:
        pause_s = 1.0
        while True:
            began = time.monotonic()
            if await self._ask():
                pause_s = 1.0
                continue
            await asyncio.sleep(max(0.0, pause_s - (time.monotonic() - began)))
            pause_s = min(pause_s * 2, self._settings.retry_max_s)

    def reload(self) -> None:
        """The inventory was replaced: every lease is to be told again."""
        self._daemon, self._after = "", 0
        self._fresh = None

    async def _ask(self) -> bool:
        daemon, after = self._daemon, self._after
        try:
            answer = await self._client.get(
                f"/api/v1/probers/{self._source}/orders",
                params={"daemon": daemon, "after": after, "wait_s": WAIT_S},
                timeout=httpx.Timeout(self._settings.timeout_s, read=WAIT_S + LATE_S),
            )
        except httpx.HTTPError as error:
            return self._away(f"{self._settings.url} does not answer ({type(error).__name__} {error})")
        if answer.status_code != 200:
            text = answer.text[:300] if "json" not in answer.headers.get("content-type", "") else ""
            detail = text or str(answer.json().get("detail", ""))
            return self._away(f"{self._settings.url} gives no orders ({answer.status_code}: {detail})")
        try:
            orders = msgspec.json.decode(answer.content, type=Orders)
        except msgspec.MsgspecError as error:
            return self._away(f"{self._settings.url} answers what cannot be read ({error}): is that Faultline?")
        self._troubles.end("orders", self._clock.now_ns())
        if (daemon, after) == (self._daemon, self._after):  # else a reload has begun anew meanwhile
            await self._carry_out(orders)
        return True

    def _away(self, why: str) -> bool:
        waits = "" if self.synced.is_set() else "; nothing is probed before the daemon has told every lease"
        self._troubles.begin("orders", why + waits, self._clock.now_ns())
        return False

    async def _carry_out(self, orders: Orders) -> None:
        bindings = self._bindings()
        if self._digest_of != bindings.inventory.generation:
            self._digest = await asyncio.to_thread(digest, bindings.inventory)
            self._digest_of = bindings.inventory.generation
        self._compare(orders)
        if orders.daemon != self._daemon:
            # Another process speaks: what an earlier one said, and this one does not, no longer holds.
            self._fresh = Bindings(bindings.inventory)
        changed = _take_leases(self._fresh or bindings, orders.leases)
        self._daemon, self._after = orders.daemon, orders.seq
        if self._fresh is None:
            if changed:
                self._changed(changed)
        elif not orders.leases_left:
            self._adopt(self._fresh)
            bindings, self._fresh = self._fresh, None
            self.synced.set()
        for ask in orders.asks:
            if (request := self._understood(ask, bindings)) is not None:
                self._request(request)

    def _compare(self, orders: Orders) -> None:
        now_ns = self._clock.now_ns()
        self._same(orders.inventory == self._digest)
        if orders.inventory == self._digest:
            self._troubles.end("inventory", now_ns)
        else:
            text = "the daemon has another inventory: give both the same file, and SIGHUP to both"
            self._troubles.begin("inventory", text, now_ns)
        if tuple(orders.probers) == self._names:
            self._troubles.end("probers", now_ns)
        else:
            theirs = ", ".join(orders.probers)
            text = f"the daemon shares the lines among {theirs}, this file among {', '.join(self._names)}"
            self._troubles.begin("probers", f"{text}: set [probers] names alike", now_ns)

    def _understood(self, ask: Ask, bindings: Bindings) -> ProbeRequest | None:
        inventory = bindings.inventory
        try:
            kind, reason = TargetKind(ask.kind), RequestReason(ask.reason)
        except ValueError:
            return None  # of a newer daemon
        if kind is TargetKind.LINE:
            rows = inventory.indices_of(ask.targets)
        elif kind is TargetKind.ELEMENT:
            found = [inventory.elements.index_of(name.removeprefix(ELEMENT)) for name in ask.targets]
            rows = np.array([-1 if row is None else row for row in found], np.int32)
        else:
            rows = np.array([self._references.get(n.removeprefix(REFERENCE), -1) for n in ask.targets], np.int32)
        deadline_ns = self._clock.now_ns() + int(ask.within_s * NS)
        rows = rows[rows >= 0]
        return ProbeRequest(ask.request_id, rows, ask.count, deadline_ns, reason, kind, inventory.generation)


def _take_leases(bindings: Bindings, leases: Sequence[Lease]) -> list[int]:
    """The lines whose binding or observability changed, ascending."""
    changed: set[int] = set()
    rows = bindings.inventory.indices_of([lease.line_id for lease in leases]).tolist()
    for row, lease in zip(rows, leases, strict=True):
        if row < 0:
            continue
        for had, has in zip(bindings.addresses_of(row), (lease.address, lease.address6), strict=True):
            if had and not has:
                changed.update(bindings.apply(Event(0, lease.line_id, "address_released", had)))
            elif had != has:
                changed.update(bindings.apply(Event(0, lease.line_id, "address_assigned", has)))
    return sorted(changed)
