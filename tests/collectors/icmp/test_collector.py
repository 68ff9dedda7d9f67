"""The prober process and the daemon's side of it, over a simulated network in a Unix socket."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from collectors.base import Prober
from collectors.icmp.collector import IcmpCollector
from collectors.icmp.messages import Slice
from collectors.icmp.settings import IcmpSettings
from collectors.registry import build
from monitor.inventory import Bindings
from monitor.records import Event, ProbeRequest, ProbeRound, Reference, RequestReason, TargetKind
from tests.collectors.icmp.helpers import NS, Responder, inventory_of, simple_rows
from tests.collectors.rig import Rig, until
from tests.lab.helpers import gone, kill, run_parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the prober process needs Linux")
LINES = 100
NODES = "north/ex-1/olt-0,10.0.0.1\n"
DEAD = bytes([127, 9, 0, 8])  # line 7


@pytest.fixture
def responder(tmp_path: Path) -> Iterator[Responder]:
    made = Responder(tmp_path / "wire")
    yield made
    made.close()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(inventory_of(tmp_path, simple_rows(LINES), NODES))


def settings(responder: Responder, **changes: object) -> IcmpSettings:
    values: dict[str, object] = {
        "wire": str(responder.path),
        "interval_s": 1.5,
        "timeout_s": 0.5,  # the responder is a thread of this process, on a machine that may be busy
        "references": (Reference("near", "192.0.2.1"),),
        "reference_interval_s": 0.5,
        "confirm_spacing_s": 0.05,
        "restart_max_s": 1.0,
    }
    return IcmpSettings(**(values | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def running(rig: Rig, chosen: IcmpSettings) -> AsyncIterator[IcmpCollector]:
    collector = IcmpCollector(chosen, rig.context)
    task = asyncio.create_task(collector.run())
    try:
        yield collector
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def of(rig: Rig, kind: TargetKind, request_id: int = 0) -> list[ProbeRound]:
    return [r for r in rig.sink.rounds if r.kind is kind and r.request_id == request_id]


def rows(rig: Rig, kind: TargetKind = TargetKind.LINE, request_id: int = 0) -> dict[int, list[tuple[int, int]]]:
    """target -> (sent, received) of each of its rows, in the order of arrival."""
    found: dict[int, list[tuple[int, int]]] = {}
    for part in of(rig, kind, request_id):
        for target, sent, received in zip(
            part.target.tolist(), part.sent.tolist(), part.received.tolist(), strict=True
        ):
            found.setdefault(target, []).append((sent, received))
    return found


def ask(rig: Rig, number: int, targets: list[int], count: int = 3, seconds: float = 5.0) -> ProbeRequest:
    deadline = rig.clock.now_ns() + int(seconds * NS)
    generation = rig.inventory.generation
    reason = RequestReason.CONFIRM
    return ProbeRequest(number, np.array(targets, np.int32), count, deadline, reason, generation=generation)


async def test_rounds_come_home(rig: Rig, responder: Responder) -> None:
    """Lines, a node and a reference are probed round by round; a dead line is asked and did not answer; indexes,
    times, source and generation are right."""
    responder.dead.add(DEAD)
    began = rig.clock.now_ns()
    async with running(rig, settings(responder)) as collector:
        assert isinstance(collector, Prober)
        assert build("icmp", settings(responder), rig.context).name == collector.name == "icmp"
        await until(lambda: rig.count("icmp_round_targets", source="prober-1") == LINES + 1)
        await until(lambda: all(len(rows(rig).get(line, [])) >= 2 for line in range(LINES)))
        assert collector.health().ok
        assert "icmp" not in rig.troubles()
    found = rows(rig)
    dead = rig.inventory.index_of("L00007")
    for line in range(LINES):
        assert set(found[line]) == ({(1, 0)} if line == dead else {(1, 1)})
    olt = rig.inventory.elements.index_of("north/ex-1/olt-0")
    assert olt is not None
    assert set(rows(rig, TargetKind.ELEMENT)[olt]) == {(1, 1)}
    assert set(rows(rig, TargetKind.REFERENCE)[0]) == {(3, 3)}
    for part in rig.sink.rounds:
        assert (part.source, part.generation) == ("prober-1", 1)
        assert began <= part.at_ns.min()
        assert part.at_ns.max() <= rig.clock.now_ns()
        assert (np.isnan(part.rtt_ms) == (part.received == 0)).all()
    numbers = [part.round_id for part in of(rig, TargetKind.LINE)]
    assert numbers == sorted(numbers)
    assert numbers[-1] > numbers[0] >= 1


async def test_slices_come_during_the_round(rig: Rig, responder: Responder) -> None:
    """A long round is handed over about every second, not at its end."""
    async with running(rig, settings(responder, interval_s=30.0)):
        await until(lambda: len(of(rig, TargetKind.LINE)) >= 2)
        assert rig.count("icmp_round_targets", source="prober-1") == 0


async def test_several_probes_a_round(rig: Rig, responder: Responder) -> None:
    """With three probes a line the rows carry loss, least, greatest and jitter."""
    async with running(rig, settings(responder, interval_s=2.0, probes=3, spacing_s=0.1)):
        await until(lambda: of(rig, TargetKind.LINE))
    part = of(rig, TargetKind.LINE)[0]
    assert set(part.sent.tolist()) == {3}
    assert part.rtt_min_ms is not None
    assert part.rtt_max_ms is not None
    assert part.jitter_ms is not None
    assert (part.rtt_min_ms <= part.rtt_ms).all()
    assert (part.rtt_ms <= part.rtt_max_ms).all()
    assert (part.jitter_ms >= 0).all()


async def test_a_request_is_answered_at_once(rig: Rig, responder: Responder) -> None:
    """During a round of a minute, a confirmation of some lines comes back with its number in about a second; a line
    that may not be pinged is left out and counted."""
    responder.dead.add(DEAD)
    async with running(rig, settings(responder, interval_s=60.0, timeout_s=0.3)) as collector:
        await until(lambda: of(rig, TargetKind.REFERENCE))
        wanted = [rig.inventory.index_of(f"L0000{i}") or 0 for i in (5, 6, 7)]
        collector.request(ask(rig, 41, [*wanted, 10_000]))
        await until(lambda: len(rows(rig, request_id=41)) == 3, 5)
        assert rows(rig, request_id=41) == {wanted[0]: [(3, 3)], wanted[1]: [(3, 3)], wanted[2]: [(3, 0)]}
        assert rig.count("icmp_requests_refused_total", source="prober-1", reason="not_observable") == 1
        collector.request(ask(rig, 42, wanted, seconds=-1))
        await until(lambda: rig.count("icmp_requests_refused_total", source="prober-1", reason="deadline") == 3)
        assert rows(rig, request_id=42) == {}


async def test_an_address_that_moves(rig: Rig, responder: Responder) -> None:
    """From the moment a line is bound elsewhere no reply of its old address is counted for it; the new one is asked."""
    line = rig.inventory.index_of("L00003")
    assert line is not None
    new = bytes([127, 77, 0, 1])
    responder.dead.add(new)
    async with running(rig, settings(responder, rate_max_pps=1000)) as collector:
        await until(lambda: len(rows(rig).get(line, [])) >= 1)
        # Old replies are on their way while this happens: a request has just been sent.
        collector.request(ask(rig, 9, [line], count=20))
        await asyncio.sleep(0.15)
        changed = rig.bindings.apply(Event(1, "L00003", "address_assigned", "127.77.0.1"))
        collector.rebound(changed)
        before = len(rig.sink.rounds)
        await until(lambda: new in responder.asked)
        await until(lambda: any((part.target == line).any() for part in rig.sink.rounds[before:]))
        await asyncio.sleep(0.3)
        for part in rig.sink.rounds[before:]:
            if part.kind is TargetKind.LINE:
                assert not part.received[part.target == line].any()
        # A line whose address was given back is not asked any more.
        changed = rig.bindings.apply(Event(2, "L00003", "address_released", "127.77.0.1"))
        collector.rebound(changed)
        await asyncio.sleep(0.5)
        asked = responder.asked.count(new)
        await asyncio.sleep(1.6)
        assert responder.asked.count(new) == asked


async def test_rows_from_before_a_move_are_not_taken(rig: Rig, responder: Responder) -> None:
    """A slice that the prober made before it knew of the new address is on its way: the moved line's row is left out
    at once, the others are taken; one made after it counts again."""
    async with running(rig, settings(responder, interval_s=60.0)) as collector:
        await until(lambda: of(rig, TargetKind.REFERENCE))
        targets, before = collector._targets, collector._version
        assert targets is not None
        lines = np.array([3, 4], np.int32)
        columns = {"position": targets.positions(TargetKind.LINE, lines), "at_ns": np.ones(2, np.int64)}
        columns |= {"sent": np.ones(2, np.uint16), "received": np.ones(2, np.uint16), "rtt_ms": np.ones(2, np.float32)}
        collector.rebound([3])
        collector._take_slice(Slice(before, 900, 77), columns)
        collector._take_slice(Slice(before + 1, 900, 78), columns)
    assert rows(rig, request_id=77) == {4: [(1, 1)]}
    assert rows(rig, request_id=78) == {3: [(1, 1)], 4: [(1, 1)]}


async def test_a_reload(rig: Rig, responder: Responder, tmp_path: Path) -> None:
    """After a reload the new lines are probed, the gone ones are not, and rounds carry the new generation."""
    async with running(rig, settings(responder)) as collector:
        await until(lambda: len(rows(rig)) == LINES)
        rig.inventory = inventory_of(tmp_path, simple_rows(30, network="127.33"), generation=2)
        rig.bindings = Bindings(rig.inventory)
        collector.reload()
        await until(lambda: len({t for p in rig.sink.rounds if p.generation == 2 for t in p.target.tolist()}) == 30)
        first = next(i for i, part in enumerate(rig.sink.rounds) if part.generation == 2)
        assert {part.generation for part in rig.sink.rounds[first:]} == {2}
        await asyncio.sleep(0.5)
        responder.asked.clear()
        await asyncio.sleep(1.0)
        assert {address[1] for address in responder.asked if address[0] == 127} == {33}


async def test_a_killed_prober_is_started_again(rig: Rig, responder: Responder) -> None:
    """kill -9: said once, started again, said once; round numbers go on and no line is called lost for it."""
    async with running(rig, settings(responder)) as collector:
        await until(lambda: len(rows(rig)) == LINES)
        old = collector.pid
        assert old is not None
        os.kill(old, signal.SIGKILL)
        await until(lambda: "icmp" in rig.troubles())
        assert not collector.health().ok
        assert "signal 9" in collector.health().text
        before = len(rig.sink.rounds)
        await until(lambda: len(rig.sink.rounds) > before + 3)
        assert collector.pid not in (None, old)
        assert "icmp" not in rig.troubles()
        assert collector.health().ok
        assert rig.sink.rounds[-1].round_id >= rig.sink.rounds[before - 1].round_id
        assert rig.count("icmp_prober_starts_total", source="prober-1") == 2
    assert {outcome for each in rows(rig).values() for outcome in each} == {(1, 1)}


async def test_a_stopped_prober_calls_no_line_lost(rig: Rig, responder: Responder) -> None:
    """SIGSTOP for a second, SIGCONT: all replies that came meanwhile count, and nothing is down."""
    async with running(rig, settings(responder, interval_s=2.0, timeout_s=0.5)) as collector:
        await until(lambda: of(rig, TargetKind.LINE))
        assert collector.pid is not None
        os.kill(collector.pid, signal.SIGSTOP)
        await asyncio.sleep(1.0)
        os.kill(collector.pid, signal.SIGCONT)
        before = rig.count("icmp_round_seconds", source="prober-1")
        await until(lambda: rig.count("icmp_round_seconds", source="prober-1") != before)
    assert {outcome for each in rows(rig).values() for outcome in each} == {(1, 1)}


async def test_nothing_is_left_when_the_collector_ends(rig: Rig, responder: Responder) -> None:
    """A cancelled collector takes its process with it."""
    async with running(rig, settings(responder)) as collector:
        await until(lambda: rig.sink.rounds)
        pid = collector.pid
    assert pid is not None
    assert gone([pid])


async def test_a_network_that_is_not_there_is_said_and_waited_for(rig: Rig, tmp_path: Path) -> None:
    """A wrong path of the simulated network is a trouble with its setting, not an exception; once it is there, probing
    begins and the trouble ends."""
    path = tmp_path / "later"
    chosen = IcmpSettings(wire=str(path), interval_s=1.5, timeout_s=0.5, restart_max_s=0.5)
    async with running(rig, chosen) as collector:
        await until(lambda: "icmp" in rig.troubles())
        assert f"icmp.wire: no network answers at {path}" in collector.health().text
        responder = Responder(path)
        try:
            await until(lambda: len(rows(rig)) == LINES)
            assert "icmp" not in rig.troubles()
        finally:
            responder.close()


async def test_a_round_that_does_not_fit_is_said(rig: Rig, responder: Responder) -> None:
    """At forty probes a second a hundred lines take 2.5 s: a trouble, counted, and no line is lost."""
    async with running(rig, settings(responder, rate_max_pps=40.0)):
        await until(lambda: "icmp_overrun" in rig.troubles())
        assert rig.count("icmp_overruns_total", source="prober-1") >= 1
        assert rig.count("icmp_round_seconds", source="prober-1") > 2
    assert {outcome for each in rows(rig).values() for outcome in each} == {(1, 1)}


def test_the_prober_dies_with_its_daemon(tmp_path: Path, responder: Responder) -> None:
    """SIGKILL of the daemon: the prober is gone a moment later, even one that is stopped and reads nothing."""
    inventory_of(tmp_path, simple_rows(10))
    code = f"""
import asyncio
from pathlib import Path
from collectors.icmp.collector import IcmpCollector
from collectors.icmp.settings import IcmpSettings
from monitor.inventory import load_inventory
from tests.collectors.rig import Rig

async def main():
    rig = Rig(load_inventory(Path({str(tmp_path / "inventory-1.csv")!r})))
    collector = IcmpCollector(IcmpSettings(wire={str(responder.path)!r}, interval_s=1.5), rig.context)
    task = asyncio.create_task(collector.run())
    while not rig.sink.rounds:
        await asyncio.sleep(0.01)
    print(collector.pid, flush=True)
    await task
asyncio.run(main())
"""
    parent = run_parent(code)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    kill(parent)
    assert gone([pid])


async def test_the_prober_is_small(tmp_path: Path, responder: Responder) -> None:
    """Resident memory of the prober with 5,000 lines stays under 60 MB."""
    rig = Rig(inventory_of(tmp_path, simple_rows(5000)))
    async with running(rig, settings(responder, interval_s=5.0)) as collector:
        await until(lambda: len(rows(rig)) > 2000)
        assert collector.pid is not None
        resident = psutil.Process(collector.pid).memory_info().rss
    assert resident < 60_000_000
