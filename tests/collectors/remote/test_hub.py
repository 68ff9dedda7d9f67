"""The daemon's side of other probers: what it takes, what it refuses and why, and what it tells them."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import CollectorContext
from collectors.remote.body import BodyProblem, decode, encode
from collectors.remote.hub import OtherInventory, RemoteProbers, Stopped, UnknownProber
from collectors.remote.orders import Orders
from collectors.remote.peer import TooMuch
from collectors.remote.settings import ProbersSettings
from monitor.clock import NS
from monitor.inventory import Bindings, Inventory, load_inventory
from monitor.inventory.slices import digest
from monitor.metrics import Metrics
from monitor.records import Event, ProbeRequest, ProbeRound, Reference, RequestReason, TargetKind
from tests.collectors.rig import RecordingSink

REFERENCES = (Reference("out-1", "192.0.2.1"), Reference("out-2", "192.0.2.2"))
NOW = 1_766_000_000 * NS


class StandingClock:
    def __init__(self, world: "World") -> None:
        self.world = world

    def now_ns(self) -> int:
        return self.world.now_ns


class World:
    """A hub of the probers "here", "east" and "west" over 60 lines, and a clock that stands."""

    def __init__(self, folder: Path, **more: Any) -> None:
        rows = [f"L{i},10.0.0.{i + 1},n/e/o/p{i % 3}" for i in range(60)]
        (folder / "inventory.csv").write_text("\n".join(["line_id,address,path", *rows]) + "\n")
        (folder / "elements.csv").write_text("path,address\nn/e/o,10.9.0.1\n")
        self.inventory: Inventory = load_inventory(folder / "inventory.csv", elements_path=folder / "elements.csv")
        self.bindings = Bindings(self.inventory)
        self.sink = RecordingSink()
        self.now_ns = NOW
        self.metrics = Metrics()
        context = CollectorContext(
            inventory=lambda: self.inventory,
            bindings=lambda: self.bindings,
            sink=self.sink,
            clock=StandingClock(self),  # type: ignore[arg-type]
            metrics=self.metrics,
            source="here",
            interval_s=1.0,
            references=REFERENCES,
        )

        self.hub = RemoteProbers(ProbersSettings(names=("here", "east", "west"), **more), context)
        slices = self.hub._slices
        owner = slices.lines(self.inventory)
        self.east = np.flatnonzero(owner == slices.index_of("east")).astype(np.int32)
        self.west = np.flatnonzero(owner == slices.index_of("west")).astype(np.int32)

    def round(self, target: Any, at_ns: int | None = None, **more: Any) -> ProbeRound:
        n = len(target)
        return ProbeRound(
            source="east",
            generation=1,
            target=np.asarray(target, np.int32),
            at_ns=np.full(n, at_ns or self.now_ns, np.int64),
            sent=np.ones(n, np.uint16),
            received=np.ones(n, np.uint16),
            rtt_ms=np.full(n, 3.5, np.float32),
            **more,
        )

    def body(self, *rounds: ProbeRound, by_row: bool = True, **metadata: str) -> bytes:
        said = {"source": "east", "sent_at": str(self.now_ns), "inventory": digest(self.inventory)} | metadata
        return encode(rounds, self.inventory, REFERENCES, said, by_row)

    def take(self, *rounds: ProbeRound, **metadata: str) -> Any:
        taken, _, body = self.hub.take(self.body(*rounds, **metadata), self.now_ns)
        self.hub.written(body)
        return taken

    async def orders(self, daemon: str = "", after: int = 0, wait_s: float = 0.0) -> Orders:
        return await self.hub.orders("east", daemon, after, wait_s)

    def troubles(self) -> list[str]:
        return [trouble.name for trouble in self.metrics.troubles.current()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("by_row", [True, False])
def test_rounds_come_through_as_they_were(world: World, by_row: bool) -> None:
    """Lines, nodes and references, with their numbers, by row or by name: the intake gets what the prober measured."""
    node = world.inventory.elements.index_of("n/e/o")
    lines = world.round(world.east, round_id=7, rtt_min_ms=np.full(len(world.east), 3.0, np.float32))
    second = world.round(world.east[:3], family=6, round_id=7)
    asked = world.round(world.east[:2], request_id=99)
    nodes = world.round([node], kind=TargetKind.ELEMENT)
    references = world.round([1, 0], kind=TargetKind.REFERENCE)
    taken, _, _ = world.hub.take(world.body(lines, second, asked, nodes, references, by_row=by_row), world.now_ns)
    assert (taken.accepted, taken.refused) == (len(world.east) + 8, {})
    found = {(r.kind, r.round_id, r.request_id, r.family): r for r in world.sink.rounds}
    assert len(found) == len(world.sink.rounds) == 5
    got = found[TargetKind.LINE, 7, 0, 0]
    assert got.target.tolist() == world.east.tolist()
    assert (got.source, got.generation) == ("east", 1)
    assert got.at_ns.tolist() == lines.at_ns.tolist()
    assert got.rtt_min_ms is not None
    assert found[TargetKind.LINE, 7, 0, 6].target.tolist() == world.east[:3].tolist()
    assert found[TargetKind.LINE, 0, 99, 0].target.tolist() == world.east[:2].tolist()
    assert found[TargetKind.ELEMENT, 0, 0, 0].target.tolist() == [node]
    assert found[TargetKind.REFERENCE, 0, 0, 0].target.tolist() == [1, 0]


def test_the_same_batch_counts_once(world: World) -> None:
    """A batch that is sent again after it was written is answered, and not taken; one that was not written is."""
    data = world.body(world.round(world.east), batch="a-1")
    taken, _, body = world.hub.take(data, world.now_ns)
    assert taken.accepted == len(world.east)
    assert world.hub.take(data, world.now_ns)[0].accepted == len(world.east)
    world.hub.written(body)
    again, futures, _ = world.hub.take(data, world.now_ns)
    assert (again.accepted, again.repeated, futures) == (0, True, [])


def test_what_cannot_be_used_is_counted_by_reason(world: World) -> None:
    """Unknown lines, nodes and references, more replies than probes: refused by row, the rest is taken."""
    good = world.round(world.east[:2])
    names = replace(world.round([0, 1, 2]), kind=TargetKind.REFERENCE)
    data = encode([good, names], world.inventory, (*REFERENCES, Reference("x", "192.0.2.9")), {"source": "east"}, False)
    taken, _, _ = world.hub.take(data, world.now_ns)
    assert (taken.accepted, taken.refused) == (4, {"unknown_target": 1})
    assert world.troubles() == ["prober_inventory:east"]
    absurd = replace(good, received=np.array([1, 9], np.uint16))
    assert world.take(absurd).refused == {"absurd": 1}
    assert world.troubles() == []


def test_who_may_not_speak_is_refused(world: World) -> None:
    """An unknown prober, the daemon's own name, and row numbers of another inventory."""
    for name in ("nobody", "here", ""):
        with pytest.raises(UnknownProber, match="east, west"):
            world.take(world.round([0]), source=name)
    with pytest.raises(OtherInventory):
        world.take(world.round([0]), inventory="another")
    assert world.sink.rounds == []


def test_a_prober_may_send_so_much_and_no_more(tmp_path: Path) -> None:
    """Ten seconds' rows may come at once; then it is told when there is room again."""
    world = World(tmp_path, rows_max_per_s=10)
    many = world.round(np.zeros(90, np.int32))
    assert world.take(many).accepted == 90
    with pytest.raises(TooMuch) as caught:
        world.take(many)
    assert 5 < caught.value.retry_s <= 10


def test_another_clock_is_corrected(world: World) -> None:
    """A prober whose clock is an hour off is taken at the right time, which is said once; a good one is left alone."""
    world.take(world.round([int(world.east[0])], at_ns=NOW - 200_000_000), sent_at=str(NOW - 100_000_000))
    assert world.sink.rounds[-1].at_ns.tolist() == [NOW - 200_000_000]
    hour = 3600 * NS
    west = world.round(world.west[:1], at_ns=NOW - hour - NS // 2)
    for late in (0, 3 * NS, 0):  # one was held up on its way: that is no clock
        world.now_ns = NOW + late
        world.take(west, source="west", sent_at=str(NOW - hour))
    assert [int(r.at_ns[0]) for r in world.sink.rounds[1:]] == [NOW - NS // 2] * 3
    assert world.troubles() == ["prober_clock:west"]


async def test_a_line_that_moved_is_not_judged_until_its_prober_knows(world: World) -> None:
    """From the change of an address on, rows of that line are refused; once the prober has said that it knows, those
    probed since are taken, and none from before."""
    first = await world.orders()
    line = int(world.east[0])
    changed = world.bindings.apply(Event(NOW, world.inventory.line_id(line), "address_assigned", "10.1.1.1"))
    world.hub.rebound(changed)
    world.now_ns += NS
    assert world.take(world.round([line])).refused == {"address_moved": 1}
    told = await world.orders(first.daemon, first.seq)
    assert [(lease.line_id, lease.address) for lease in told.leases] == [(world.inventory.line_id(line), "10.1.1.1")]
    assert world.take(world.round([line])).refused == {"address_moved": 1}
    # The answer was lost on its way: it is told again.
    again = await world.orders(told.daemon, first.seq)
    assert again.leases == told.leases
    await world.orders(again.daemon, again.seq)
    assert world.take(world.round([line], at_ns=world.now_ns - 1)).refused == {"address_moved": 1}
    world.now_ns += NS
    assert world.take(world.round([line])).accepted == 1
    # Another line's prober need not know for this one; a restarted prober is told everything.
    assert [lease.address for lease in (await world.orders("other", 0)).leases] == ["10.1.1.1"]


async def test_requests_reach_the_prober_of_the_line(world: World) -> None:
    """Each prober is asked for its own share, without delay; references are asked by all; what is too late is not."""
    first = await world.orders()
    waiting = asyncio.create_task(world.orders(first.daemon, first.seq, 20.0))
    await asyncio.sleep(0)
    both = np.array([world.east[0], world.west[0]], np.int32)
    ask = ProbeRequest(5, both, 3, world.now_ns + 3 * NS, RequestReason.CONFIRM, generation=1)
    world.hub.request(ask)
    world.hub.request(replace(ask, request_id=6, deadline_ns=world.now_ns - 1))
    world.hub.request(replace(ask, request_id=7, kind=TargetKind.REFERENCE, target=np.array([0, 1], np.int32)))
    orders = await asyncio.wait_for(waiting, 5)
    assert [(a.request_id, a.targets, a.count) for a in orders.asks] == [
        (5, [world.inventory.line_id(int(world.east[0]))], 3),
        (7, ["reference:out-1", "reference:out-2"], 3),
    ]
    assert orders.asks[0].within_s == pytest.approx(3.0)
    with pytest.raises(UnknownProber):
        await world.hub.orders("nobody", "", 0, 0.0)


async def test_only_the_newest_asking_is_answered(world: World) -> None:
    """A prober that lost its connection and asks anew gets the orders; its old request gets none of them."""
    first = await world.orders()
    old = asyncio.create_task(world.orders(first.daemon, first.seq, 20.0))
    await asyncio.sleep(0)
    new = asyncio.create_task(world.orders(first.daemon, first.seq, 20.0))
    await asyncio.sleep(0)
    world.hub.request(ProbeRequest(5, world.east[:1], 3, world.now_ns + 3 * NS, RequestReason.CONFIRM))
    assert (await asyncio.wait_for(old, 5)).asks == []
    assert [a.request_id for a in (await asyncio.wait_for(new, 5)).asks] == [5]


async def test_the_end_of_the_daemon_lets_everybody_go(world: World) -> None:
    """Who waits for orders when the daemon ends is told so at once, and so is who comes after."""
    first = await world.orders()
    waiting = asyncio.create_task(world.orders(first.daemon, first.seq, 20.0))
    await asyncio.sleep(0)
    world.hub.stop()
    with pytest.raises(Stopped):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(Stopped):
        await asyncio.wait_for(world.orders(first.daemon, first.seq, 20.0), 5)


def test_silence_is_said_once_and_so_is_the_return(world: World) -> None:
    """Three rounds without rows are a trouble; the next rows end it."""
    peer = world.hub._peers["east"]
    world.take(world.round(world.east))
    later = peer._last_s + 3.5
    peer.review(later - 1.0, 3.0, world.now_ns)
    assert (world.troubles(), world.hub.health().ok) == ([], True)
    peer.review(later, 3.0, world.now_ns)
    peer.review(later + 5, 3.0, world.now_ns)
    assert (world.troubles(), world.hub.health().ok) == (["prober:east"], False)
    world.take(world.round(world.east))
    assert (world.troubles(), world.hub.health().ok) == ([], True)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 4000), st.integers(0, 255))
def test_rubbish_is_refused_with_words(rubbish: bytes, at: int, byte: int) -> None:
    """No bytes, and no damage to good ones, do more than raise BodyProblem."""
    good = bytearray(GOOD)
    good[at % len(good)] = byte
    for data in (rubbish, bytes(good), bytes(good[: at % len(good)])):
        try:
            body = decode(data)
        except BodyProblem:
            continue
        else:
            assert len(body.at_ns) == len(body.sent) == len(body)


def _good() -> bytes:
    import pyarrow as pa

    table = pa.table({"line_id": ["L1", "L2"], "at": [1, 2], "sent": [1, 1], "received": [1, 0], "rtt_ms": [2.5, None]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata({"source": "east", "sent_at": "5"})) as writer:
        writer.write_table(table.replace_schema_metadata({"source": "east", "sent_at": "5"}))
    made: bytes = sink.getvalue().to_pybytes()
    return made


GOOD = _good()


def test_a_plain_arrow_table_will_do() -> None:
    """Any client's table with the columns of an observations file is read, whatever integers it uses."""
    body = decode(GOOD)
    assert (body.source, body.names, body.sent.tolist(), body.sent.dtype) == ("east", ["L1", "L2"], [1, 1], np.uint16)
    assert np.isnan(body.rtt_ms[1])
    for missing, words in (("at", "column at is missing"), ("line_id", "neither line_id nor row")):
        import pyarrow as pa

        table = pa.ipc.open_stream(GOOD).read_all().drop_columns([missing])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(BodyProblem, match=words):
            decode(sink.getvalue().to_pybytes())
