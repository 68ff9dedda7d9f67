"""IPv4 and IPv6 of a line are two witnesses: one lost is degraded, both lost is down, and a third way there is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlation.engine import Engine
from monitor.records import LineState, ProbeRequest, ProbeRound, RequestReason
from tests.correlation.net import NS, Net, inventory, rows

BOTH = 48  # the first lines have two addresses


class Dual(Net):
    """`down` is IPv4's, `down6` IPv6's. Lines from BOTH on have IPv4 alone. IPv6 is asked half a round later."""

    def __init__(self, folder: Path) -> None:
        super().__init__(inventory(folder, rows(exchanges=1, olts=1, pons=2)))
        self.down6 = np.zeros(len(self.inventory), np.bool_)

    def family6(self, target: np.ndarray, count: int, request_id: int = 0) -> ProbeRound:
        here = target[target < BOTH]
        down, self.down = self.down, self.down6
        made = replace(self.probe(here, count, request_id), family=6)
        self.down = down
        return made

    def step(self, given: "list[ProbeRound] | tuple[ProbeRound, ...]" = ()) -> None:  # type: ignore[override]
        half = (self.phase + self.slices // 2) % self.slices
        more = [self.family6(self.order[half :: self.slices], 1)]
        asked = [one for one in given if one.request_id and one.kind == "line"]
        more += [self.family6(one.target, 3, one.request_id) for one in asked]
        super().step([*given, *more])

    def states(self) -> list[int]:
        return self.engine.view().state.tolist()


@pytest.fixture
def net(tmp_path: Path) -> Dual:
    made = Dual(tmp_path)
    made.run(60)
    assert set(made.states()) == {LineState.UP}
    return made


@pytest.mark.parametrize("family", [4, 6])
def test_one_lost_is_degraded(net: Dual, family: int) -> None:
    """The line that lost one address is degraded and flagged with which, never down; mended, it is well again."""
    (net.down if family == 4 else net.down6)[3] = True
    net.run(60)
    assert net.states()[3] == LineState.DEGRADED
    assert set(net.states()[:3]) == {LineState.UP}
    raised = [c.flag for c in net.changes if c.what == "flag_raised" and c.flag]
    assert [(f.subject, f.reason) for f in raised] == [(net.inventory.line_id(3), f"ipv{family}_lost")]
    (net.down if family == 4 else net.down6)[3] = False
    net.run(60)
    assert net.states()[3] == LineState.UP
    assert [c.flag.reason for c in net.changes if c.what == "flag_ended" and c.flag] == [f"ipv{family}_lost"]


def test_both_lost_is_down_within_seconds(net: Dual) -> None:
    """Lines that lose both fall as fast as others, back to the first miss of the two; so does one that had lost one
    of them long before."""
    net.down6[5] = True
    net.run(120)
    assert net.states()[5] == LineState.DEGRADED
    cut = net.now
    net.down[:8] = net.down6[:8] = True
    net.run(13)
    assert net.states()[:8] == [LineState.DOWN] * 8
    since = net.engine.view().since_ns[:8]
    assert (since >= cut).all()
    assert (since <= cut + 11 * NS).all()
    net.down[:8] = False  # IPv4 alone comes back: alive, but degraded
    net.run(40)
    assert net.states()[:8] == [LineState.DEGRADED] * 8


def test_a_network_that_loses_ipv6_is_no_outage(net: Dual) -> None:
    """All IPv6 gone at once: every line with two addresses is degraded, none is down, no incident calls it so."""
    net.down6[:] = True
    net.run(120)
    assert set(net.states()[:BOTH]) == {LineState.DEGRADED}
    assert set(net.states()[BOTH:]) == {LineState.UP}
    assert [c for c in net.changes if c.incident is not None and c.incident.kind == "outage"] == []


def test_a_witness_that_is_no_longer_asked_is_none(net: Dual) -> None:
    """A line that gives its IPv6 address back falls by its IPv4 misses alone."""
    net.family6 = lambda target, count, request_id=0: replace(net.probe(target[:0], count), family=6)  # type: ignore[method-assign]
    net.run(60)
    net.down[2] = True
    net.run(40)
    assert net.states()[2] == LineState.DOWN


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_what_answers_is_never_down(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[bool, bool, bool]]
) -> None:
    """Whatever the two addresses do, and whichever is asked first: after a reply of either, the line is not down."""
    engine = Engine(inventory(tmp_path_factory.mktemp("one"), rows(1, 1, 1, 1, 2)))
    now = 1_766_000_000 * NS
    for got4, got6, first6 in story:
        parts = [(0, got4), (6, got6)]
        for family, got in reversed(parts) if first6 else parts:
            now += 5 * NS
            engine.step(
                now,
                [
                    ProbeRound(
                        "default",
                        1,
                        np.zeros(1, np.int32),
                        np.array([now], np.int64),
                        np.array([3], np.uint16),
                        np.array([3 if got else 0], np.uint16),
                        np.array([5.0 if got else np.nan], np.float32),
                        family=family,
                    )
                ],
            )
            if got:
                assert engine.view().state[0] != LineState.DOWN


def test_a_first_miss_of_one_address_is_confirmed(net: Dual) -> None:
    """The engine asks again at once when one of two addresses misses, and once for its streak."""
    asked: list[ProbeRequest] = []
    net.down6[7] = True
    for _ in range(30):
        net.now += NS
        result = net.engine.step(net.now, [net.family6(np.array([7], np.int32), 1)], [])
        asked += [r for r in result.requests if r.reason is RequestReason.CONFIRM and 7 in r.target.tolist()]
    assert len(asked) == 1
