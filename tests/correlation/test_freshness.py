"""Lines that nobody hears of become unknown exactly when every line is looked at, though hardly any is."""

import numpy as np
import pytest

from correlation.belief import Rows, apply_life, apply_probes, apply_sign, settle
from correlation.freshness import NS, Freshness
from correlation.lines import LineTable
from correlation.settings import EvidenceSettings
from monitor.records import LineState
from monitor.records.rounds import I32, I64

LINES = 60
START_NS = 1_774_630_800 * NS


def stale(table: LineTable, now_ns: int, interval_ns: I64, settings: EvidenceSettings) -> I32:
    """The rule as it reads, line by line."""
    found = []
    for line in range(len(table)):
        probed, alive, beat_s = int(table.probed_ns[line]), int(table.alive_ns[line]), table.beat_s[line]
        wait_ns = int(np.float32(1200.0 if np.isnan(beat_s) else max(beat_s * 3, 30.0)) * np.float32(NS))
        limit = int(interval_ns[table.source[line]] * settings.stale_intervals)
        heard = probed + limit >= now_ns or (alive > 0 and (probed == 0 or alive + wait_ns >= now_ns))
        if table.state[line] != LineState.UNKNOWN and not heard:
            found.append(line)
    return np.array(found, np.int32)


@pytest.mark.parametrize("seed", range(4))
def test_the_lines_that_grow_stale_are_those_of_the_rule_at_every_step(seed: int) -> None:
    """Two sources with intervals that change, lines that fall silent, late rows, telemetry and last wills: every step
    forgets the very lines that the rule names."""
    rng = np.random.default_rng(seed)
    settings = EvidenceSettings()
    table = LineTable(LINES)
    fresh = Freshness(table, settings)
    interval = np.full(256, 60 * NS, np.int64)
    now, silent, forgotten, looks = START_NS, np.zeros(LINES, np.bool_), 0, 0
    for _ in range(200):
        now += int(rng.integers(5, 31)) * NS
        silent ^= rng.random(LINES) < 0.02
        touched: list[I32] = []
        asked = np.flatnonzero((rng.random(LINES) < 0.5) & ~silent & (np.arange(LINES) >= 10)).astype(np.int32)
        if asked.size:
            late = int(rng.integers(0, 240)) * NS if rng.random() < 0.2 else 0
            at = np.sort(now - late - rng.integers(0, 20 * NS, asked.size))
            got = (rng.random(asked.size) < 0.95).astype(np.uint16)
            rtt = np.where(got > 0, 5, np.nan).astype(np.float32)
            rows = Rows(asked, at, np.ones(asked.size, np.uint16), got, rtt)
            apply_probes(table, rows, int(rng.integers(0, 2)), settings)
            fresh.probed(rows.at_ns)
            touched.append(asked)
        for line in np.flatnonzero(rng.random(LINES) < 0.03).tolist():
            one = np.array([line], np.int32)
            if rng.random() < 0.7:
                apply_life(table, one, np.array([now]), settings)
            else:
                apply_sign(table, line, now, 20.0, settings)
            fresh.told(one)
            touched.append(one)
        settle(table, touched, now, settings)
        if rng.random() < 0.1:
            interval[int(rng.integers(0, 2))] = int(rng.integers(10, 90)) * NS
        expected, before = stale(table, now, interval, settings), fresh.due_ns
        gone = fresh.review(now, interval)
        assert gone.tolist() == expected.tolist()
        assert (table.state[gone] == LineState.UNKNOWN).all()
        forgotten += gone.size
        looks += fresh.due_ns != before
    assert forgotten > 20  # else nothing was tested
    assert looks < 200


def test_nobody_is_looked_at_before_somebody_can_be_stale() -> None:
    """After a full round the next look is due three intervals later, not at the next step."""
    settings = EvidenceSettings()
    table = LineTable(LINES)
    fresh = Freshness(table, settings)
    interval = np.full(256, 60 * NS, np.int64)
    every = np.arange(LINES, dtype=np.int32)
    ones = np.ones(LINES, np.uint16)
    rows = Rows(every, np.full(LINES, START_NS), ones, ones, np.full(LINES, 5, np.float32))
    apply_probes(table, rows, 0, settings)
    settle(table, [every], START_NS, settings)
    assert fresh.review(START_NS, interval).size == 0
    assert fresh.due_ns == START_NS + 180 * NS
    assert fresh.review(START_NS + 180 * NS, interval).size == 0
    assert fresh.review(START_NS + 180 * NS + 1, interval).size == LINES
