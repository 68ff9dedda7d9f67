"""Unstable by loss: who is flagged, who always loses, and what everybody loses; on lines alone, without an engine."""

import numpy as np
import pytest

from correlation.baselines.habits import RATES, Habits
from correlation.baselines.losses import Losses
from correlation.baselines.steadiness import Steadiness
from correlation.belief import Rows
from correlation.lines import LineTable
from correlation.settings import SlowSettings

NS = 1_000_000_000
DECIDE = SlowSettings().unstable_decide


class World:
    """`loss` [n]: chance of losing a probe, for a test to change; one probe a minute; who was flagged when."""

    def __init__(self, lines: int, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.table, self.steadiness = LineTable(lines), Steadiness(lines)
        self.losses = Losses(self.table, self.steadiness, SlowSettings())
        self.loss = np.full(lines, 0.005)
        self.flagged = np.full(lines, -1)
        self.row = 0

    def run(self, rows: int, slices: int = 4) -> None:
        order = self.rng.permutation(self.loss.size).astype(np.int32)
        for _ in range(rows):
            self.row += 1
            for part in range(slices):
                who = np.sort(order[part::slices])
                dead = self.rng.random(who.size) < self.loss[who]
                self.table.samples[who[~dead]] += 1
                at = np.full(who.size, self.row * 60 * NS, np.int64)
                one = np.ones(who.size, np.uint16)
                rows_of = Rows(who, at, one, np.where(dead, 0, 1).astype(np.uint16), np.where(dead, np.nan, 5.0))
                self.losses.take(rows_of, self.flagged[who] < 0)
            self.losses.habits.learn(self.row * 60 * NS)
            fresh = (self.flagged < 0) & (self.table.loss_sum >= DECIDE)
            self.flagged[fresh] = self.row

    def count(self) -> int:
        return int(np.count_nonzero(self.flagged >= 0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lines_that_begin_to_lose_are_found_within_half_an_hour(seed: int) -> None:
    """A fifth to a half lost: nine in ten within thirty probes; of four thousand that lose 0.5 % hardly one."""
    world = World(4000, seed)
    world.run(240)
    assert world.count() <= 3
    ill = np.arange(80)
    world.loss[ill] = world.rng.uniform(0.2, 0.5, 80)
    world.run(30)
    assert np.count_nonzero(world.flagged[ill] >= 0) >= 72
    assert np.count_nonzero(world.flagged[80:] >= 0) <= 4


def test_a_line_that_always_loses_is_known_by_it() -> None:
    """Lines with 5 % loss: what they usually lose is learned, and in the second half day none is flagged."""
    world = World(2000)
    world.loss[:60] = 0.05
    world.run(360)
    early = world.count()
    world.run(360)
    assert world.count() - early <= 1
    usual = world.table.usual_loss
    assert 0.03 < float(np.median(usual[:60])) < 0.08
    assert float(np.median(usual[60:])) < 0.01


@pytest.mark.parametrize("lines", [150, 2000])
def test_what_everybody_loses_is_nobodys_line(lines: int) -> None:
    """From one round to the next everybody loses 5 % more: hardly anybody is flagged for it."""
    world = World(lines)
    world.run(200)
    before = world.count()
    world.loss[:] += 0.05
    world.run(120)
    assert world.count() - before <= max(1, lines // 500)


def test_being_down_is_not_loss() -> None:
    """A router that is off for an hour, three times in a day, is not unstable by loss."""
    world = World(200)
    world.run(240)
    for _ in range(3):
        world.loss[7] = 1.0
        world.run(60)
        world.loss[7] = 0.0
        world.run(120)
    assert world.flagged[7] == -1


def test_a_network_teaches_what_is_common() -> None:
    """After some hours the weights tell what lines there are: most at half a percent, one in ten at 5 %."""
    world = World(1000)
    world.loss[:100] = 0.05
    world.run(600)
    weights = world.losses.habits.weights
    assert abs(weights.sum() - 1) < 1e-9
    assert weights[(RATES > 0.002) & (RATES < 0.012)].sum() > 0.75
    assert 0.05 < weights[RATES > 0.025].sum() < 0.2


def test_weights_are_kept() -> None:
    """A restart goes on with what was learned; an older snapshot without them begins anew."""
    world = World(500)
    world.run(200)
    known = world.losses.habits
    again = Habits(world.steadiness)
    again.load(known.clock())
    assert np.allclose(again.weights, known.weights)
    assert again.learned_ns == known.learned_ns
    fresh = Habits(world.steadiness)
    fresh.load({})
    assert np.allclose(fresh.weights.sum(), 1)
