"""Slow, unstable and degrading lines in the engine: the right reason, since when, for how long, and nobody else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from correlation.baselines.regimes import Regimes
from correlation.baselines.seasons import Seasons
from correlation.baselines.telemetry import RESTARTS, RETRAINS, RX, Telemetry
from correlation.engine import Engine
from monitor.records import Flag, FlagKind, LineValues, ValueKind
from tests.correlation.net import NS, START, Net, inventory, rows

HOUR = 3600


def net(tmp_path: Path, **options: float) -> Net:
    return Net(inventory(tmp_path, rows(exchanges=1, olts=2, pons=2, splitters=2, lines=8)), interval_s=30, **options)  # type: ignore[arg-type]


def raised(n: Net) -> list[Flag]:
    return [c.flag for c in n.changes if c.flag is not None and c.what == "flag_raised"]


def report(n: Net, line: int, kind: ValueKind, value: float) -> None:
    one = np.array([line], np.int32)
    values = LineValues(
        "cpe",
        n.inventory.generation,
        one,
        np.array([kind], np.uint8),
        np.array([value], np.float32),
        np.array([n.now], np.int64),
    )
    n.changes += n.engine.step(n.now, [values], []).changes


def test_a_slow_line_is_dated_back_to_when_it_began(tmp_path: Path) -> None:
    """The flag's start lies within two rounds of the truth, though it is decided later."""
    n = net(tmp_path).run(1500)
    began = n.now
    n.slow_ms[10] = 60
    n.run(600)
    (flag,) = raised(n)
    assert (flag.subject, flag.kind, flag.reason, flag.unit) == ("L00010", "slow", "rtt_above_baseline", "ms")
    assert abs(flag.started_ns - began) <= 60 * NS
    assert began < flag.detected_ns <= began + 300 * NS
    assert flag.value == pytest.approx(60, rel=0.3)


def test_jitter_alone_is_unstable(tmp_path: Path) -> None:
    """Round trips that jump by 60 ms and back are unstable by jitter, and well again when they stop."""
    n = net(tmp_path).run(1500)
    for i in range(60):
        n.slow_ms[20] = 60 * (i % 2)
        n.run(30)
    assert {(f.subject, f.reason) for f in raised(n)} >= {("L00020", "jitter")}
    assert {f.subject for f in raised(n)} == {"L00020"}
    n.slow_ms[20] = 0
    n.run(2 * HOUR)
    assert n.engine.view().flags == {}


def test_falling_often_is_unstable_by_flaps(tmp_path: Path) -> None:
    """Six falls within hours flag the line once, with how many."""
    n = net(tmp_path).run(600)
    for _ in range(6):
        n.down[5] = True
        n.run(180)
        n.down[5] = False
        n.run(1200)
    found = [f for f in raised(n) if f.reason == "flaps"]
    assert [f.subject for f in found] == ["L00005"]
    assert found[0].value >= 6


def test_the_segment_not_its_lines(tmp_path: Path) -> None:
    """A congested OLT is one flag on the element; during it and after it no line of it is flagged."""
    n = net(tmp_path).run(1800)
    span = n.under("north/ex-1/olt-2")
    for _ in range(20):
        n.slow_ms[span] = n.rng.uniform(30, 90, span.stop - span.start)
        n.run(30)
    n.slow_ms[span] = 0
    n.run(1500)
    assert [(f.subject, f.kind) for f in raised(n)] == [("element:north/ex-1/olt-2", "segment_slow")]
    assert n.engine.view().flags == {}


def test_a_segment_resolved_by_hand_stays_so_until_it_is_well(tmp_path: Path) -> None:
    """Resolved while it is still slow: no second incident, no flags of its lines; the flag ends when it is well."""
    n = net(tmp_path).run(1800)
    span = n.under("north/ex-1/olt-2")
    for i in range(40):
        n.slow_ms[span] = n.rng.uniform(30, 90, span.stop - span.start)
        if i == 20:
            (case,) = n.engine.book.living()
            n.say("resolve", f"incident:{case.state.incident_id}", by="noc")
        n.run(30)
    assert [c.what for c in n.changes if c.incident is not None] == ["opened", "resolved"]
    assert [f.subject for f in raised(n)] == ["element:north/ex-1/olt-2"]
    well = n.now
    n.slow_ms[span] = 0
    n.run(1500)
    (flag,) = [c.flag for c in n.changes if c.flag is not None and c.what == "flag_ended"]
    assert flag.ended_ns is not None
    assert well < flag.ended_ns < well + 900 * NS
    assert n.engine.view().flags == {}
    assert len(raised(n)) == 1


def test_a_flag_ends_with_its_line(tmp_path: Path) -> None:
    """A line that the next inventory lacks is not flagged for ever: the step after the reload ends its flag."""
    n = net(tmp_path).run(1500)
    n.slow_ms[10] = 60
    n.run(600)
    (flag,) = raised(n)
    everybody = rows(exchanges=1, olts=2, pons=2, splitters=2, lines=8)
    left = [row for row in everybody if row["line_id"] != flag.subject]
    n.engine.reload(replace(inventory(tmp_path, left), generation=1))
    told = n.engine.step(n.now + NS).changes
    assert [(c.what, c.flag and c.flag.flag_id) for c in told] == [("flag_ended", flag.flag_id)]
    assert n.engine.view().flags == {}


def test_falling_power_is_degrading_and_a_repair_ends_it(tmp_path: Path) -> None:
    """Power 4 dB below the line's own over several reports is told with the fall; cleaning the plug ends it."""
    n = net(tmp_path).run(300)
    for i in range(60):
        report(n, 7, ValueKind.RX_POWER_DBM, -19.0 + 0.1 * (i % 3))
        n.now += 300 * NS
    assert raised(n) == []
    fell = n.now
    for _ in range(12):
        report(n, 7, ValueKind.RX_POWER_DBM, -23.0)
        n.now += 300 * NS
    (flag,) = raised(n)
    assert (flag.subject, flag.kind, flag.reason, flag.unit) == ("L00007", "degrading", "rx_power_falling", "db")
    assert -4.5 < flag.value < -2
    assert abs(flag.started_ns - fell) <= 300 * NS
    for _ in range(30):
        report(n, 7, ValueKind.RX_POWER_DBM, -19.0)
        n.now += 300 * NS
    assert [c.what for c in n.changes if c.flag is not None] == ["flag_raised", "flag_ended"]


def test_levels_told_as_events_count_too(tmp_path: Path) -> None:
    """snr_db events of another system lead to the same flag; text that is no number is refused by name."""
    n = net(tmp_path).run(300)
    for i in range(40):
        n.say("snr_db", "L00003", "11.5" if i < 20 else "6.0")
        n.now += 600 * NS
        n.step()
    assert [(f.subject, f.reason) for f in raised(n)] == [("L00003", "snr_falling")]
    n.say("snr_db", "L00003", "good")
    events, n.events = n.events, []
    assert n.engine.step(n.now, [], events).stats.refused == {"unreadable_value": 1}


def test_counters_since_boot_survive_restarts_and_rubbish() -> None:
    """Retrains count by growth; a reboot starts them from zero; NaN and unknown lines change nothing."""
    t = Telemetry(3)

    def say(kind: ValueKind, value: float, minute: int, line: int = 1) -> None:
        at = np.array([START + minute * 60 * NS], np.int64)
        t.take(np.array([line], np.int32), np.array([kind], np.uint8), np.array([value], np.float32), at)

    say(ValueKind.RETRAINS, 400, 0)
    say(ValueKind.RETRAINS, 402, 10)
    say(ValueKind.RETRAINS, 1, 20)
    assert t.retrains_day[1] == pytest.approx(3, abs=0.1)
    for i in range(8):
        say(ValueKind.UPTIME_S, 30.0, 30 + 2 * i)
        say(ValueKind.UPTIME_S, 500.0, 31 + 2 * i)
    assert t.signs[1] == RESTARTS
    say(ValueKind.RETRAINS, float("nan"), 60)
    say(ValueKind.RETRAINS, 5, 60, line=7)
    say(ValueKind.RX_POWER_DBM, float("inf"), 60)
    assert t.signs.tolist() == [0, RESTARTS, 0]
    assert not t.signs[0] & (RETRAINS | RX)


def test_an_elements_rhythm_is_learned_by_hour_and_clipped(tmp_path: Path) -> None:
    """Lines 20 % slower every evening become their element's rhythm of that hour and of no other element."""
    known = inventory(tmp_path, rows(exchanges=1, olts=1, pons=1, splitters=2, lines=8))
    seasons = Seasons(len(known.elements))
    evening = START - START % (HOUR * NS)
    first, other = int(known.leaf[0]), int(known.leaf[-1])
    above = np.where(known.leaf == first, 0.2, 0.0).astype(np.float32)
    for week in range(6):
        for minute in range(0, 60, 5):
            at = evening + (week * 168 * HOUR + minute * 60) * NS
            seasons.learn(at, known, above, np.ones(len(known), np.bool_))
    assert 0.15 < seasons.now(evening)[first] < 0.21
    assert seasons.now(evening)[other] == 0
    assert seasons.now(evening + 5 * HOUR * NS)[first] == 0
    wild = np.full(len(known), 1e6, np.float32)
    seasons.learn(evening + 7 * HOUR * NS, known, wild, np.ones(len(known), np.bool_))
    assert seasons.ratio.max() <= 0.5


def test_baselines_survive_a_restart_and_a_reload(tmp_path: Path) -> None:
    """Saved and restored in the middle, the engine flags the slow line at the same time with the same words."""
    n = net(tmp_path).run(1500)
    m = net(tmp_path).run(1500)
    m.engine = Engine.restore(m.inventory, m.engine.settings, m.engine.snapshot(), m.references)
    m.engine.reload(m.inventory)
    for each in (n, m):
        each.slow_ms[10] = 60
        each.run(600)
    assert raised(m) == raised(n) != []


def test_many_doubtful_lines_take_turns() -> None:
    """When everything moves at once, each line is still judged within its fifteen rows."""
    rng = np.random.default_rng(1)
    regimes, lines = Regimes(400), np.arange(400, dtype=np.int32)
    said: set[int] = set()
    for row in range(120):
        x = (20 + rng.gamma(1, 0.2, 400) + (5 if row >= 100 else 0)).astype(np.float32)
        found = regimes.step(lines, x, most=100)
        if row >= 100:
            said.update(found.line.tolist())
    assert len(said) >= 390


def test_unstable_by_loss_spares_what_always_loses(tmp_path: Path) -> None:
    """A line that always loses one probe in twenty is no news; one that begins to lose a third is."""
    n = net(tmp_path)
    n.loss[:8] = 0.05
    n.run(3 * HOUR)
    n.loss[30] = 0.35
    n.run(HOUR)
    assert [(f.subject, f.kind, f.reason) for f in raised(n)] == [("L00030", FlagKind.UNSTABLE, "loss")]
