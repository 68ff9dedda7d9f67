"""Lines with IPv4 and IPv6 through real namespaces: the prober asks both, and the engine judges the line by both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from collectors.icmp.collector import IcmpCollector
from collectors.icmp.settings import IcmpSettings
from collectors.icmp.targets import SECOND, build
from correlation.engine import Engine
from monitor.inventory import Bindings
from monitor.inventory.slices import Slices
from monitor.lab.network import Network, unavailable
from monitor.records import Event, LineState, Reference, TargetKind
from tests.collectors.icmp.helpers import inventory_of
from tests.collectors.icmp.test_collector import running
from tests.collectors.rig import Rig, until

why = unavailable()
LINES = 40
ROWS = [f"L{i:02d},10.3.0.{i + 1},fd10::{i + 1:x},north/ex-1/olt-{i % 2},,active" for i in range(LINES)]
ROWS += ["single,10.3.1.1,,north/ex-1/olt-0,,active"]


def test_a_line_with_two_addresses_stands_twice_in_the_table(tmp_path: Path) -> None:
    """Its IPv6 place is half a round away from its IPv4 one; a request for the line asks both; a slice has both."""
    inventory = inventory_of(tmp_path, ROWS)
    bindings = Bindings(inventory)
    targets = build(inventory, bindings, IcmpSettings())
    assert len(targets) == targets.round_rows == 2 * LINES + 1
    for line in [inventory.index_of(f"L{i:02d}") for i in range(LINES)]:
        first, second = targets.positions(TargetKind.LINE, np.array([line], np.int32)).tolist()
        assert (targets.family[first], targets.family[second]) == (4, 6)
        assert targets.kind[second] == SECOND
        assert 0.35 < abs(first - second) / len(targets) < 0.65
    sliced = [build(inventory, bindings, IcmpSettings(), Slices(["a", "b"]), name) for name in ("a", "b", "c")]
    assert [len(t) for t in sliced][2] == 0
    assert sum(len(t) for t in sliced) == len(targets)
    own = np.flatnonzero(sliced[0].line_at >= 0)
    assert ((sliced[0].second_at >= 0) == ((sliced[0].line_at >= 0) & (targets.second_at >= 0))).all()
    assert sliced[1].mine(TargetKind.LINE, own.astype(np.int32)).size == 0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("network"), references=("192.0.2.53",)) as made:
        yield made


class Judged:
    """The collector's rounds, given to an engine as the daemon does, and the engine's requests to the collector."""

    def __init__(self, rig: Rig, collector: IcmpCollector, settings: IcmpSettings) -> None:
        self.rig, self.collector = rig, collector
        self.engine = Engine(rig.inventory, references=settings.references)

    def state(self, line_id: str) -> LineState:
        row = self.rig.inventory.index_of(line_id)
        assert row is not None
        return LineState(int(self.engine.view().state[row]))

    async def run(self) -> None:
        while True:
            rounds = [r for r in self.rig.sink.rounds if r.generation == self.rig.inventory.generation]
            self.rig.sink.rounds.clear()
            for request in self.engine.step(self.rig.clock.now_ns(), rounds).requests:
                self.collector.request(request)
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def judging(network: Network, folder: Path) -> AsyncIterator[Judged]:
    rig = Rig(inventory_of(folder, ROWS))
    settings = IcmpSettings(
        netns=network.prober_netns,
        interval_s=1.5,
        timeout_s=0.3,
        confirm_spacing_s=0.1,
        references=(Reference("resolver", "192.0.2.53"),),
    )
    async with running(rig, settings) as collector:
        judged = Judged(rig, collector, settings)
        task = asyncio.create_task(judged.run())
        try:
            await until(lambda: (judged.engine.view().state == LineState.UP).all(), what="all lines are up")
            yield judged
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            network.mend_all()


@pytest.mark.netns
@pytest.mark.skipif(bool(why), reason=why or "available")
async def test_one_family_lost_is_degraded_and_both_are_down(network: Network, tmp_path: Path) -> None:
    """The network drops IPv6 of one line, IPv4 of another, both of a third, and the only address of a fourth."""
    async with judging(network, tmp_path) as judged:
        network.fail(["fd10::4", "10.3.0.6", "10.3.0.8", "fd10::8", "10.3.1.1"])
        wanted = {"L03": LineState.DEGRADED, "L05": LineState.DEGRADED, "L07": LineState.DOWN, "single": LineState.DOWN}
        await until(lambda: all(judged.state(line) is state for line, state in wanted.items()), what="as it is")
        others = [f"L{i:02d}" for i in range(LINES) if f"L{i:02d}" not in wanted]
        assert {judged.state(line) for line in others} == {LineState.UP}
        network.mend_all()
        mended = [line for line in wanted if line != "single"]  # which may be called unstable for a while
        await until(lambda: {judged.state(line) for line in mended} == {LineState.UP}, what="all are up again")
        await until(lambda: judged.state("single") is not LineState.DOWN, what="so is the other")


@pytest.mark.netns
@pytest.mark.skipif(bool(why), reason=why or "available")
async def test_a_lease_that_moves_takes_no_reply_along(network: Network, tmp_path: Path) -> None:
    """Addresses go over from dead lines to others and back while probing runs: no row ever says that a line answered
    which at that time had a dead address, and an address that two lines claim is asked for neither."""
    rig = Rig(inventory_of(tmp_path, [f"L{i},10.3.2.{i + 1},,north/ex-1/olt-0,,active" for i in range(20)]))
    settings = IcmpSettings(netns=network.prober_netns, interval_s=0.6, timeout_s=0.2)
    async with running(rig, settings) as collector:
        network.fail([f"10.3.3.{i + 1}" for i in range(20)])

        def give(line: int, address: str) -> int:
            """From this time on the line has it."""
            changed = rig.bindings.apply(Event(rig.clock.now_ns(), f"L{line}", "address_assigned", address))
            now_ns = rig.clock.now_ns()
            collector.rebound(changed)
            return now_ns

        def heard(line: int, since: int, received: int) -> int:
            rows = [r for r in rig.sink.rounds[since:] if (r.target == rig.inventory.index_of(f"L{line}")).any()]
            return sum(int(r.received[r.target == rig.inventory.index_of(f"L{line}")][0] == received) for r in rows)

        for turn in range(3):
            line = 3 * turn
            before = len(rig.sink.rounds)
            await until(lambda n=before, x=line: heard(x, n, 1) >= 1, what="it answers")
            since = len(rig.sink.rounds)
            give(line, f"10.3.3.{line + 1}")  # a dead address: whoever answers now is not this line
            await until(lambda n=since, x=line: heard(x, n, 0) >= 2, what="it is asked at its new address")
            assert heard(line, since, 1) == 0
        # Two claimants.
        since = len(rig.sink.rounds)
        give(11, "10.3.2.13")
        rounds = len(rig.sink.rounds)
        await until(lambda: heard(15, rounds, 1) >= 3, what="rounds go by")
        assert (heard(11, since, 1), heard(12, since, 1)) == (0, 0)
        assert rig.count("icmp_rebound_rows_total", source="prober-1") >= 0
