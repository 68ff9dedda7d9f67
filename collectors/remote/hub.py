"""The daemon's side of probers on other machines: takes their rounds, and tells each what to probe besides.

A Prober (collectors.base): requests for lines of another's slice wait here until that prober asks for its orders, and
so do leases. Rows of a line whose address has just changed are refused until its prober has said that it knows. Times
are put on this machine's clock when a prober's is more than a second off. A prober that is silent for three rounds is a
trouble, said once; its lines become unknown in the engine by themselves.

`take` may be called from any thread; everything else belongs on the daemon's loop.
"""

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from collectors.base import CollectorContext, Health
from collectors.remote.body import ELEMENT, REFERENCE, Body, BodyProblem, decode
from collectors.remote.orders import Ask, Lease, Orders, Taken
from collectors.remote.peer import FOREVER, Peer
from collectors.remote.settings import ProbersSettings
from monitor.clock import NS
from monitor.inventory import Inventory
from monitor.inventory.slices import Slices, digest
from monitor.records import ProbeRequest, ProbeRound, TargetKind
from monitor.records.rounds import I32, U8

SILENT_ROUNDS = 3
WAIT_MAX_S = 30.0
GATHER_S = 0.02  # requests of one moment go together
LEASES_MAX = 20_000  # in one answer


class UnknownProber(ValueError):
    """Not one of [probers] names, or the daemon itself."""


class Stopped(Exception):
    """The daemon ends."""


class OtherInventory(ValueError):
    """Rows were given by number, but those are numbers of another inventory."""


class RemoteProbers:
    name = "probers"

    def __init__(self, settings: ProbersSettings, context: CollectorContext) -> None:
        """Raises ValueError, naming the setting, when one is wrong."""
        self._settings = settings
        self._context = context
        self._slices = Slices(settings.names)
        self._references = {reference.name: i for i, reference in enumerate(context.references)}
        self._reference_names = [reference.name for reference in context.references]
        self._daemon = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        now_ns, now_s = context.clock.now_ns(), time.monotonic()
        others = [name for name in self._slices.names if name != context.source]
        self._peers = {name: Peer(name, settings, context.metrics, now_ns, now_s) for name in others}
        self._use(context.inventory())

    def _use(self, inventory: Inventory) -> None:
        """Slices, digest and barriers of this inventory; every prober is to be told all leases."""
        lines, elements, sum_ = self._slices.lines(inventory), self._slices.elements(inventory), digest(inventory)
        told = self._context.bindings().told()
        with self._lock:
            self._inventory, self._owner, self._element_owner, self._digest = inventory, lines, elements, sum_
            # Rows probed at or before this time (ns UTC) may have been answered by somebody else.
            self._barrier_ns: npt.NDArray[np.int64] = np.zeros(len(inventory), np.int64)
            self._barrier_ns[told] = FOREVER
            for peer in self._peers.values():
                peer.forget(len(inventory), told)

    # ---- Collector

    async def run(self) -> None:
        """Say once which prober is silent, and once that it is back."""
        self._loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self._context.interval_s / 2))
            silent_s = SILENT_ROUNDS * self._context.interval_s
            for peer in self._peers.values():
                peer.review(time.monotonic(), silent_s, self._context.clock.now_ns())

    def health(self) -> Health:
        silent = [peer.name for peer in self._peers.values() if peer.silent]
        last = max((peer.last_ns for peer in self._peers.values()), default=0) or None
        text = f"silent for three rounds: {', '.join(silent)}; their lines are unknown" if silent else ""
        return Health(self.name, not silent, text, last)

    def reload(self) -> None:
        self._use(self._context.inventory())
        self._wake()

    def rebound(self, lines: Sequence[int]) -> None:
        rows = np.array(list(lines), np.int32)
        with self._lock:
            rows = rows[(rows >= 0) & (rows < len(self._barrier_ns))]
            self._barrier_ns[rows] = FOREVER
            for peer in self._peers.values():
                peer.dirty[rows] = True
        self._wake()

    def request(self, request: ProbeRequest) -> None:
        """Hand each prober its own share; references are asked by all."""
        inventory = self._inventory
        if request.generation not in (0, inventory.generation):
            return
        target = np.asarray(request.target, np.int32)
        owner: U8 | None = None
        if request.kind is TargetKind.LINE:
            target = target[(target >= 0) & (target < len(self._owner))]
            owner = self._owner[target]
        elif request.kind is TargetKind.ELEMENT:
            target = target[(target >= 0) & (target < len(self._element_owner))]
            owner = self._element_owner[target]
        elif request.kind is not TargetKind.REFERENCE:
            return
        for peer in self._peers.values():
            mine = target if owner is None else target[owner == self._slices.index_of(peer.name)]
            if len(mine):
                peer.ask(replace(request, target=mine))
                peer.wake.set()

    def stop(self) -> None:
        """The daemon ends: whoever waits for orders is let go, and nobody waits any more."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        for peer in self._peers.values():
            peer.wake.set()

    # ---- what the probers send

    def take(self, data: bytes, arrived_ns: int) -> tuple[Taken, list["Future[None]"], Body]:
        """Rounds into the intake; the futures are done once they are on disk: then call `written`. `arrived_ns`: when
        the request came (UTC), before its body was read.

        Raises BodyProblem, UnknownProber, OtherInventory, or peer.TooMuch.
        """
        body = decode(data)
        peer = self._peer(body.source)
        now_ns = self._context.clock.now_ns()
        with self._lock:
            if body.batch and body.batch in peer.batches:
                return Taken(0, repeated=True), [], body
            if (body.row >= 0).any() and body.inventory != self._digest:
                raise OtherInventory("row numbers of another inventory: send line_id")
            peer.limit(len(body), time.monotonic())
            at_ns = body.at_ns + peer.shift_ns(body.sent_at_ns, arrived_ns)
            rounds, refused = self._rounds(body, at_ns, peer)
        futures = [self._context.sink.put_round(one) for one in rounds]
        accepted = sum(len(one) for one in rounds)
        peer.heard(accepted, refused, now_ns, time.monotonic())
        return Taken(accepted, refused=dict(refused)), futures, body

    def written(self, body: Body) -> None:
        """This batch is on disk: sent again, it is not taken twice."""
        with self._lock:
            self._peer(body.source).remember(body.batch)

    def _rounds(self, body: Body, at_ns: npt.NDArray[np.int64], peer: Peer) -> tuple[list[ProbeRound], Counter[str]]:
        """One ProbeRound per kind, number and family of what can be used, and what cannot, by reason."""
        refused: Counter[str] = Counter()
        kind, index = self._targets(body)
        good = index >= 0
        refused["unknown_target"] = int(np.count_nonzero(~good))
        absurd = (body.received > body.sent) | (at_ns <= 0)
        refused["absurd"] = int(np.count_nonzero(good & absurd))
        good &= ~absurd
        lines = np.flatnonzero(good & (kind == 0))
        moved = lines[at_ns[lines] <= self._barrier_ns[index[lines]]]
        good[moved] = False
        refused["address_moved"] = len(moved)
        rows = np.flatnonzero(good)
        keys = np.stack([kind[rows].astype(np.int64), body.round_id[rows], body.request_id[rows], body.family[rows]])
        made = []
        different, which = np.unique(keys, axis=1, return_inverse=True) if len(rows) else (keys, np.zeros(0, np.int64))
        for i in range(different.shape[1]):
            mine = rows[which.reshape(-1) == i]
            code, round_id, request_id, family = (int(n) for n in different[:, i])
            made.append(
                ProbeRound(
                    source=peer.name,
                    generation=self._inventory.generation,
                    target=index[mine],
                    at_ns=at_ns[mine],
                    sent=body.sent[mine],
                    received=body.received[mine],
                    rtt_ms=body.rtt_ms[mine],
                    kind=(TargetKind.LINE, TargetKind.ELEMENT, TargetKind.REFERENCE)[code],
                    round_id=round_id,
                    request_id=request_id,
                    family=6 if family == 6 else 0,
                    **{name: column[mine] for name, column in body.optional.items()},
                )
            )
        return made, +refused

    def _targets(self, body: Body) -> tuple[U8, I32]:
        """Kind (0 line, 1 element, 2 reference) and index of each row, -1 where there is no such thing."""
        kind = np.zeros(len(body), np.uint8)
        index = np.where(body.row < len(self._inventory), body.row, -1).astype(np.int32)
        if not body.names:
            return kind, index
        code = np.array([1 if n.startswith(ELEMENT) else 2 if n.startswith(REFERENCE) else 0 for n in body.names])
        kind[body.named] = code
        found = self._inventory.indices_of(body.names)
        for i in np.flatnonzero(code).tolist():
            name = body.names[i]
            at = (
                self._inventory.elements.index_of(name.removeprefix(ELEMENT))
                if code[i] == 1
                else self._references.get(name.removeprefix(REFERENCE))
            )
            found[i] = -1 if at is None else at
        index[body.named] = found
        return kind, index

    def _peer(self, name: str) -> Peer:
        peer = self._peers.get(name)
        if peer is None:
            raise UnknownProber(
                f"source is {name[:100]!r}: the probers on other machines are {', '.join(self._peers) or 'none'} "
                "([probers] names)"
            )
        return peer

    # ---- what the probers are told

    async def orders(self, name: str, daemon: str, after: int, wait_s: float) -> Orders:
        """What this prober is to know, at once or when there is something, at the latest after `wait_s`. Asking for it
        says that the orders up to `after` are carried out. Raises UnknownProber, or Stopped."""
        peer = self._peer(name)
        self._carried_out(peer, daemon == self._daemon, after)
        peer.wake.set()  # whoever still waits in its name has lost its connection
        peer.wake.clear()
        peer.polls += 1
        mine = peer.polls
        if not peer.asks and not peer.dirty.any() and daemon == self._daemon and wait_s > 0 and not self._stopped:
            try:
                async with asyncio.timeout(min(wait_s, WAIT_MAX_S)):
                    await peer.wake.wait()
                await asyncio.sleep(GATHER_S)
            except TimeoutError:
                pass
        if self._stopped:
            raise Stopped("the daemon ends")
        if peer.polls != mine:
            return Orders(self._daemon, after, self._digest, list(self._slices.names))
        with self._lock:
            rows = np.flatnonzero(peer.dirty)[:LEASES_MAX].astype(np.int32)
            peer.dirty[rows] = False
            peer.on_the_way = np.concatenate([peer.on_the_way, rows])
            peer.seq += 1
            peer.left = left = int(np.count_nonzero(peer.dirty))
        asks = [ask for request in peer.take_asks() if (ask := self._said(request)) is not None]
        return Orders(
            daemon=self._daemon,
            seq=peer.seq,
            inventory=self._digest,
            probers=list(self._slices.names),
            leases=self._leases(rows),
            leases_left=left,
            asks=asks,
        )

    def _carried_out(self, peer: Peer, ours: bool, after: int) -> None:
        """The leases of the last orders are known there, or else have to be told again. Of a long list, none is in
        force before the last is told."""
        with self._lock:
            if not ours:
                peer.forget(len(self._inventory), self._context.bindings().told())
                return
            if after == peer.seq and peer.left:
                return
            rows, peer.on_the_way = peer.on_the_way, np.zeros(0, np.int32)
            if after != peer.seq:
                peer.dirty[rows] = True
            else:
                known = rows[~peer.dirty[rows] & (self._owner[rows] == self._slices.index_of(peer.name))]
                self._barrier_ns[known] = self._context.clock.now_ns()

    def _leases(self, rows: I32) -> list[Lease]:
        bindings = self._context.bindings()
        if bindings.inventory is not self._inventory:
            return []  # a reload is on its way; everything is told again after it
        ids = self._inventory.line_ids.many(rows)
        return [Lease(i, *bindings.addresses_of(row)) for i, row in zip(ids, rows.tolist(), strict=True)]

    def _said(self, request: ProbeRequest) -> Ask | None:
        within_s = (request.deadline_ns - self._context.clock.now_ns()) / NS
        if within_s <= 0 or request.generation not in (0, self._inventory.generation):
            return None
        target = request.target
        if request.kind is TargetKind.LINE:
            names = self._inventory.line_ids.many(target)
        elif request.kind is TargetKind.ELEMENT:
            names = [ELEMENT + self._inventory.elements.paths[i] for i in target.tolist()]
        else:
            names = [REFERENCE + self._reference_names[i] for i in target.tolist() if i < len(self._reference_names)]
        return Ask(request.request_id, request.kind.value, names, request.count, within_s, request.reason.value)


__all__ = ["BodyProblem", "OtherInventory", "RemoteProbers", "Stopped", "UnknownProber"]
