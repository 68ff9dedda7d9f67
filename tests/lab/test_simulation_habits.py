"""Habits by the clock on the wall, and the second generator, which has other laws."""

from datetime import date
from pathlib import Path

import numpy as np

from monitor.lab.simulation import simulate
from monitor.lab.simulation.background import add_background, is_free
from monitor.lab.simulation.network import generate
from monitor.lab.simulation.observations import _Targets, _Weather
from monitor.lab.simulation.plan import OTHER, STANDARD, Nature
from monitor.lab.simulation.run import START_NS
from monitor.lab.simulation.world import HOUR, MINUTE, Downtimes, World


def test_days_off() -> None:
    """Weekends and public holidays."""
    assert [is_free(date(2026, 4, day)) for day in range(1, 8)] == [False, False, True, True, True, True, False]


def test_offices_are_dark_over_the_weekend_and_people_sleep_in() -> None:
    """On Saturday at noon offices are still off that are on again on Monday; on Sunday more modems are off at eight."""
    network = generate(8000, STANDARD, np.random.default_rng(1))
    world = World(network, 1, START_NS, START_NS + 8 * 24 * HOUR, MINUTE)
    add_background(world)
    down = Downtimes.of([cut for cut in world.cuts if cut.power])

    def off(hour: float) -> int:
        at = START_NS + int(hour * HOUR)  # from Friday, 18:00 by the clock on the wall
        return len(np.unique(down.line[(down.start_ns <= at) & (down.end_ns > at)]))

    saturday_noon, monday_noon = off(18), off(18 + 47)
    assert saturday_noon > monday_noon + 20
    # The clocks went forward on Sunday: eight o'clock is an hour less away.
    sunday_at_eight, monday_at_eight = off(37), off(61)
    assert sunday_at_eight > 2 * monday_at_eight


def _targets(count: int, loss: float) -> _Targets:
    names = np.array([f"L{i}" for i in range(count)], dtype=object)
    figure = np.full(count, loss, np.float32)
    rows = np.arange(count)
    return _Targets(names, rows, figure, figure, figure, rows, rows[:0], {})


def test_loss_in_bursts_is_as_much_but_comes_together() -> None:
    """Gilbert's two states: the same loss on the whole, but a miss is followed by another far more often."""
    rng = np.random.default_rng(3)
    seen = {}
    for bursts in (False, True):
        weather = _Weather(_targets(4000, 0.02), Nature(bursts=bursts))
        none = np.zeros(4000, np.float32)
        lost = np.stack([weather.lost(none, rng) for _ in range(400)])[50:]
        seen[bursts] = (lost.mean(), lost[1:][lost[:-1]].mean())
    assert abs(seen[True][0] - seen[False][0]) < 0.004
    assert seen[True][1] > 8 * seen[False][1]


def test_the_second_generator_has_other_laws(tmp_path: Path) -> None:
    """Another tree, and none of its laws is that of the first; the same seed still gives the same files."""
    assert all(getattr(OTHER.nature, n) != getattr(STANDARD.nature, n) for n in Nature.__slots__)
    for name in "ab":
        simulate("all", 800, 6, 5, tmp_path / name, plan="other")
    for file in ("inventory.csv", "events.csv", "truth.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
