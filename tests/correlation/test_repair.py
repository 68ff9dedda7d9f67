"""How long an incident takes by the network's own history or the NOC's word, and what calls add."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.calls import call_bonus
from correlation.engine import Engine
from correlation.repair import CODES, RepairTimes
from correlation.settings import CauseSettings, CorrelationSettings
from monitor.records import Incident
from tests.correlation.net import NS, Net, inventory, rows

PON = "north/ex-1/olt-1/pon-1"
LASTED = st.lists(st.floats(0, 1e6), max_size=40)


def net_of(tmp_path: Path) -> Net:
    return Net(inventory(tmp_path, rows()))


def said(incident: Incident) -> list[str]:
    return [c.code for c in incident.explanation if c.code in CODES]


@given(LASTED, LASTED, st.lists(st.floats(0, 1.1e6), min_size=2, max_size=2))
def test_the_longer_it_has_lasted_the_later_it_ends(
    same: list[float], other: list[float], elapsed: list[float]
) -> None:
    """The estimate never moves back as time goes on, is never in the past, and is the same when kept and read again."""
    times = RepairTimes(200, 5)
    for lasted in same:
        times.add("outage", "element:pon", "element_down", lasted)
    for lasted in other:
        times.add("outage", "element:olt", "power_cut", lasted)
    again = RepairTimes(200, 5)
    again.load({key: list(lasted) for key, lasted in times.history.items()})
    found = [times.usual("outage", "element:pon", "element_down", e)[0] for e in sorted(elapsed)]
    assert found == [again.usual("outage", "element:pon", "element_down", e)[0] for e in sorted(elapsed)]
    early, late = found
    if late is not None:
        assert early is not None
        assert early.most_s <= late.most_s * (1 + 1e-12)
        assert early.half_s <= late.half_s * (1 + 1e-12)
        assert early.based_on >= late.based_on
    for e, usual in zip(sorted(elapsed), found, strict=True):
        assert usual is None or usual.most_s >= usual.half_s >= e


def test_kin_are_taken_from_further_away_while_there_are_few() -> None:
    """Cause, then level, then kind; never another kind; and fewer than five of a kind say nothing."""
    times = RepairTimes(200, 5)
    kin: list[tuple[str, int]] = []
    for kind, level, cause in [
        ("degraded", "element:pon", "element_down"),
        ("outage", "element:olt", "element_down"),
        ("outage", "element:pon", "power_cut"),
        ("outage", "element:pon", "element_down"),
    ]:
        for _ in range(5):
            times.add(kind, level, cause, 600.0)
        usual, _said = times.usual("outage", "element:pon", "element_down", 0.0)
        kin.append(("", 0) if usual is None else (usual.alike, usual.based_on))
    assert kin == [("", 0), ("kind", 5), ("level", 5), ("cause", 5)]


def test_only_the_newest_are_kept() -> None:
    """A history of thousands stays as long as it was set."""
    times = RepairTimes(10, 5)
    for i in range(1000):
        times.add("outage", "element:pon", "element_down", float(i))
    assert times.history == {"outage|element:pon|element_down": [float(i) for i in range(990, 1000)]}


def test_a_history_kept_by_level_alone_is_still_read() -> None:
    """Durations saved by level, without kind and cause, count as outages of that level."""
    times = RepairTimes(200, 5)
    times.load({"element:pon": [600.0] * 5})
    usual, _said = times.usual("outage", "element:pon", "element_down", 0.0)
    assert usual is not None
    assert (usual.alike, usual.half_s) == ("level", 600.0)


def test_without_a_history_no_time_is_said(tmp_path: Path) -> None:
    """The first outage of a network has no time of repair, and says why."""
    net = net_of(tmp_path).run(60)
    net.cut(PON)
    net.run(60)
    [incident] = net.living()
    assert incident.etr is None
    assert said(incident) == ["lasted_unknown"]


def test_an_outage_learns_how_long_it_took(tmp_path: Path) -> None:
    """After five outages of about 15 minutes the sixth has an estimate with what it rests on, restore keeps it, it is
    looked at again while it lasts, and one that outlasts them all has none."""
    net = net_of(tmp_path).run(60)
    net.engine.book.repairs.load({"outage|element:pon|element_down": [800.0, 850.0, 900.0, 950.0]})
    net.cut(PON)
    net.run(900)
    net.mend(PON)
    net.run(2000)
    assert net.living() == []
    net.cut(PON)
    net.run(60)
    [incident] = net.living()
    assert incident.etr is not None
    assert (incident.etr.source, incident.etr.based_on) == ("history", 5)
    assert 850 * NS < incident.etr.at_ns - incident.started_ns < 1000 * NS
    assert incident.etr.next_update_ns is not None
    assert net.now < incident.etr.next_update_ns <= incident.etr.at_ns
    assert len(said(incident)) == 1
    restored = Engine.restore(net.inventory, CorrelationSettings(), net.engine.snapshot(), net.references)
    assert restored.book.repairs.history == net.engine.book.repairs.history
    assert [i.etr for i in restored.view().incidents] == [i.etr for i in net.engine.view().incidents]
    net.run(830)
    [incident] = net.living()
    assert incident.etr is not None
    assert incident.etr.based_on < 5
    net.run(900)
    [incident] = net.living()
    assert incident.etr is None


def test_what_the_noc_promises_stands(tmp_path: Path) -> None:
    """A time set by the NOC replaces the estimate and stays through growth; taken back, the estimate returns."""
    net = net_of(tmp_path).run(60)
    net.engine.book.repairs.load({"outage|element:pon|element_down": [7200.0] * 6})
    net.cut(PON)
    net.run(60)
    [incident] = net.living()
    assert incident.etr is not None
    assert incident.etr.source == "history"
    until = datetime.fromtimestamp(net.now // NS + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    net.say("etr", f"incident:{incident.incident_id}", until)
    net.run(10)
    net.cut("north/ex-1/olt-1")
    net.run(4000)
    promised = next(i for i in net.living() if i.incident_id == incident.incident_id)
    assert promised.etr is not None
    assert promised.etr.source == "noc"
    assert said(promised) == []
    net.say("etr", f"incident:{incident.incident_id}", "")
    net.run(10)
    again = next(i for i in net.living() if i.incident_id == incident.incident_id)
    assert again.etr is not None
    assert again.etr.source == "history"


def test_an_end_that_was_none_is_not_learned(tmp_path: Path) -> None:
    """An outage that comes back within a quarter of an hour is one duration, not two."""
    net = net_of(tmp_path).run(60)
    for _ in range(2):
        net.cut(PON)
        net.run(300)
        net.mend(PON)
        net.run(400)
    [lasted] = net.engine.book.repairs.history.values()
    assert len(lasted) == 1
    assert lasted[0] > 900


@pytest.mark.parametrize("rounds", [1, 40])
def test_calls_about_lines_nobody_asks_open_nothing(tmp_path: Path, rounds: int) -> None:
    """However often all customers of an OLT call, lines that miss no probe are not down for it."""
    net = net_of(tmp_path).run(80)
    span = net.under("north/ex-1/olt-1")
    for _ in range(rounds):
        for i in range(span.start, span.stop):
            net.say("call", net.inventory.line_id(i))
        net.now += 20 * NS // rounds
        net.step()
    assert net.engine.down == 0
    assert net.ever() == {}


def test_calls_add_up_to_a_bound_and_count_less_once_published(tmp_path: Path) -> None:
    """One caller is weak, many are strong and bounded, the same again is no more, of lines that did not fall nothing;
    after the incident was opened a call counts a quarter."""
    net = net_of(tmp_path)
    settings = CauseSettings()
    span = net.under(PON)
    pon = net.inventory.elements.index_of(PON)
    assert pon is not None
    fell = net.order[(net.order >= span.start) & (net.order < span.stop)]
    fell.sort()

    def bonus(calls: list[tuple[int, int]], published: dict[int, int] | None = None) -> float:
        return call_bonus(net.inventory, fell, calls, 0, published or {}, settings).get(pon, 0.0)

    line = span.start
    assert bonus([(5, line)]) == settings.call < settings.open_nats
    assert bonus([(5, line), (6, line), (7, line)]) == bonus([(5, line)])
    assert bonus([(5, line + i) for i in range(3)]) == 3 * settings.call
    assert bonus([(5, line + i) for i in range(20)]) == settings.calls_max
    assert bonus([(5, span.stop + 40)]) == 0.0
    assert bonus([(5, line)], {line: 4}) == settings.call * settings.call_published
    assert bonus([(5, line)], {line: 6}) == settings.call


@pytest.mark.parametrize(("calls", "forming"), [(0, 0), (3, 1)])
def test_calls_tip_the_scales(tmp_path: Path, calls: int, forming: int) -> None:
    """Three dead lines of a splitter of 16 are left to chance; when their customers call, an outage is forming."""
    net = net_of(tmp_path).run(60)
    span = net.under(f"{PON}/split-1")
    net.down[span.start : span.start + 3] = True
    net.run(20)
    for i in range(calls):
        net.say("call", net.inventory.line_id(span.start + i))
    net.run(60)
    assert len(net.living(status=("suspected",))) == forming
    assert net.ever() == {}
