"""What every sample engine promises: the same questions, the same answers, on files and on the real InfluxDB."""

import re
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import LineState, TargetKind, ValueKind
from monitor.store.samples import open_sample_store
from monitor.store.samples.base import BINS_S, bin_s, level_of, step_for
from monitor.store.samples.influx import InfluxStore
from monitor.store.settings import StoreSettings
from tests.store import world

T0 = world.T0
HOUR = 3600 * NS


def opened(store_settings, clock=None):
    return open_sample_store(
        store_settings, Metrics(), clock or ManualClock(T0), resolvers=("r1", "r2"), references=("core",)
    )


def settle(store):
    """Everything appended can be asked for."""
    assert store.flush()
    if isinstance(store, InfluxStore):
        deadline = time.monotonic() + 30
        while store._spool.pending()[0]:
            assert time.monotonic() < deadline, "the spool is not drained"
            time.sleep(0.01)


@pytest.fixture(params=["embedded", pytest.param("influxdb", marks=pytest.mark.server)])
def store_settings(request, tmp_path):
    base = StoreSettings(folder=str(tmp_path / "data"), engine=request.param)
    if request.param == "embedded":
        return base
    influx = request.getfixturevalue("influx_settings")
    return StoreSettings(folder=base.folder, engine="influxdb", influxdb=influx)


@pytest.fixture
def samples(store_settings):
    made = opened(store_settings)
    yield made
    made.close()


@pytest.fixture
def inventory(tmp_path):
    return world.inventory(tmp_path)


def test_a_lines_history_is_what_was_measured(samples, inventory):
    """Sums of probes, median and extremes of the round-trip times per bin; a bin without data is left out."""
    for i in range(6):
        rtt = np.arange(len(inventory)) + 10.0 * i
        answered = np.ones(len(inventory)) * (i != 4) * 3
        samples.append(i + 1, [world.probes(inventory, T0 + i * 20 * NS, rtt, answered, sent=3)], inventory)
    samples.append(9, [world.probes(inventory, T0 + 300 * NS, 7.0)], inventory)
    settle(samples)
    for line in (0, 5, len(inventory) - 1):
        got = samples.line_history(inventory.line_id(line), T0, T0 + 600 * NS, max_points=10)
        assert got.bin_s == 60
        assert got.at_ns.tolist() == [T0, T0 + 60 * NS, T0 + 300 * NS]
        assert got.sent.tolist() == [9, 9, 1]
        assert got.received.tolist() == [9, 6, 1]
        np.testing.assert_allclose(got.rtt_ms, [line + 10, line + 40, 7], atol=0.001)
        np.testing.assert_allclose(got.rtt_min_ms, [line, line + 30, 7], atol=0.001)
        np.testing.assert_allclose(got.rtt_max_ms, [line + 20, line + 50, 7], atol=0.001)


def test_the_extremes_of_single_probes_are_kept(samples, inventory):
    """Where a round has minimum and maximum, the history has them."""
    n = len(inventory)
    low, high = np.full(n, 4.0, np.float32), np.full(n, 44.0, np.float32)
    high[0] = np.nan
    samples.append(1, [world.probes(inventory, T0, 10.0, rtt_min_ms=low, rtt_max_ms=high, jitter_ms=low)], inventory)
    settle(samples)
    got = samples.line_history(inventory.line_id(1), T0, T0 + 60 * NS)
    assert (got.rtt_min_ms[0], got.rtt_ms[0], got.rtt_max_ms[0]) == (4, 10, 44)
    got = samples.line_history(inventory.line_id(0), T0, T0 + 60 * NS)
    assert (got.rtt_min_ms[0], got.rtt_max_ms[0]) == (4, 10)


def test_no_answer_is_no_time_and_nothing_known_is_nothing(samples, inventory):
    """A line that did not answer has probes without a time; one whose probes' fate is unknown has no entry."""
    sent = np.where(np.arange(len(inventory)) == 1, 0, 2)
    samples.append(1, [world.probes(inventory, T0, 5.0, received=0, sent=sent)], inventory)
    settle(samples)
    got = samples.line_history(inventory.line_id(0), T0, T0 + 60 * NS)
    assert (got.sent.tolist(), got.received.tolist()) == ([2], [0])
    assert np.isnan([got.rtt_ms[0], got.rtt_min_ms[0], got.rtt_max_ms[0]]).all()
    assert len(samples.line_history(inventory.line_id(1), T0, T0 + 60 * NS)) == 0
    assert len(samples.line_history("no such line", T0, T0 + 60 * NS)) == 0


def test_the_span_is_half_open(samples, inventory):
    """A sample at the start belongs to the span, one at its end does not."""
    samples.append(1, [world.probes(inventory, at, 5.0) for at in (T0 - 1000 * NS, T0, T0 + 100 * NS)], inventory)
    settle(samples)
    assert samples.line_history(inventory.line_id(0), T0, T0 + 100 * NS).at_ns.tolist() == [T0]
    assert len(samples.line_history(inventory.line_id(0), T0 + 1, T0 + 100 * NS)) == 0
    assert len(samples.line_history(inventory.line_id(0), T0 + 50 * NS, T0)) == 0


def test_sources_are_kept_apart_and_read_together(samples, inventory):
    """Two probers that measure at the same instant both count."""
    samples.append(1, [world.probes(inventory, T0, 5.0, source=s) for s in ("p1", "a b,c=d%")], inventory)
    settle(samples)
    assert samples.line_history(inventory.line_id(0), T0, T0 + 60 * NS).sent.tolist() == [2]


def test_values_come_back_by_kind(samples, inventory):
    """Mean and extremes of one kind of value; infinite and missing ones are left out."""
    for i, value in enumerate([-20.5, -21.25, np.nan, np.inf, -30.0]):
        snr = world.values(inventory, T0 + i * NS, ValueKind.SNR_DB, 99.0)
        samples.append(i + 1, [world.values(inventory, T0 + i * NS, ValueKind.RX_POWER_DBM, value), snr], inventory)
    settle(samples)
    got = samples.values_history(inventory.line_id(3), ValueKind.RX_POWER_DBM, T0, T0 + 3600 * NS, max_points=1)
    assert len(got) == 1
    np.testing.assert_allclose([got.mean[0], got.low[0], got.high[0]], [-71.75 / 3, -30, -20.5], rtol=1e-6)
    assert len(samples.values_history(inventory.line_id(3), ValueKind.CPU_RATIO, T0, T0 + HOUR)) == 0


def test_resolvers_references_and_elements_have_histories(samples, inventory):
    """Probes of other targets are kept under their names."""
    path = inventory.elements.paths[2]
    samples.append(
        1,
        [
            world.resolvers(inventory, T0, 12.0),
            world.probes(inventory, T0, 3.0, rows=np.array([0]), kind=TargetKind.REFERENCE),
            world.probes(inventory, T0, 4.0, rows=np.array([2]), kind=TargetKind.ELEMENT),
        ],
        inventory,
    )
    settle(samples)
    for kind, name, rtt in (
        (TargetKind.RESOLVER, "r2", 12),
        (TargetKind.REFERENCE, "core", 3),
        (TargetKind.ELEMENT, path, 4),
    ):
        assert samples.target_history(kind, name, T0, T0 + 60 * NS).rtt_ms.tolist() == [rtt]
    assert len(samples.target_history(TargetKind.RESOLVER, "core", T0, T0 + 60 * NS)) == 0


def test_rounds_of_another_generation_are_left_out(samples, inventory):
    """A round whose rows mean other lines is not written under the wrong names."""
    stale = world.probes(inventory, T0, 5.0)
    stale = type(stale)(**{**{n: getattr(stale, n) for n in stale.__slots__}, "generation": 99})
    samples.append(1, [stale, world.values(inventory, T0, ValueKind.SNR_DB, 1.0)], inventory)
    settle(samples)
    assert len(samples.line_history(inventory.line_id(0), T0, T0 + 60 * NS)) == 0
    assert len(samples.values_history(inventory.line_id(0), ValueKind.SNR_DB, T0, T0 + 60 * NS)) == 1


def test_a_repetition_doubles_nothing(store_settings, inventory):
    """Journal entries that were written before a restart are known after it; those after `last_seq` are added."""
    store = opened(store_settings)
    batches = {seq: [world.probes(inventory, T0 + seq * 10 * NS, 5.0)] for seq in range(1, 8)}
    for seq in range(1, 6):
        store.append(seq, batches[seq], inventory)
    settle(store)
    assert store.last_seq() == 5
    store.close()
    store = opened(store_settings)
    assert store.last_seq() == 5
    for seq in range(3, 8):
        store.append(seq, batches[seq], inventory)
    settle(store)
    assert store.last_seq() == 7
    assert store.line_history(inventory.line_id(0), T0, T0 + 600 * NS, max_points=2).sent.sum() == 7
    store.close()


def test_closing_writes_what_waits(store_settings, inventory):
    """Nothing appended before `close` is lost."""
    store = opened(store_settings)
    store.append(1, [world.probes(inventory, T0, 5.0)], inventory)
    store.close()
    store = opened(store_settings)
    assert store.last_seq() == 1
    settle(store)
    assert len(store.line_history(inventory.line_id(0), T0, T0 + 60 * NS)) == 1
    store.close()


def test_a_reloaded_inventory_keeps_each_lines_history(samples, tmp_path):
    """A line that moved to another row, with others added and gone, is still the same line."""
    one = world.inventory(tmp_path, ids=["a", "b", "c", "d"])
    two = world.inventory(tmp_path, ids=["z", "c", "b", "new"])
    for seq, each in ((1, one), (2, two)):
        rtt = np.array([ord(each.line_id(i)[0]) for i in range(4)], float)
        samples.append(seq, [world.probes(each, T0 + seq * 60 * NS, rtt)], each)
    settle(samples)
    for name, count in (("a", 1), ("b", 2), ("c", 2), ("new", 1)):
        got = samples.line_history(name, T0, T0 + 600 * NS)
        assert got.rtt_ms.tolist() == [ord(name[0])] * count


def test_strange_names_stay_distinct(samples, tmp_path):
    """Spaces, commas, equals signs, quotes, backslashes, line breaks, umlauts and emoji in line ids and values."""
    each = world.inventory(tmp_path, ids=world.STRANGE)
    rtt = np.arange(1, len(each) + 1) * 1.0
    samples.append(1, [world.probes(each, T0, rtt, source="pröber 1,x=y"), world.values(each, T0, 3, 1.5)], each)
    settle(samples)
    for i in range(len(each)):
        name = each.line_id(i)
        assert samples.line_history(name, T0, T0 + 60 * NS).rtt_ms.tolist() == [i + 1], name
        assert samples.values_history(name, ValueKind.SNR_DB, T0, T0 + 60 * NS).mean.tolist() == [1.5], name


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), min_size=1, max_size=12).filter(
            lambda s: s.strip() == s and not s.endswith("\\") and ":" not in s
        ),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    st.data(),
)
def test_any_name_and_any_time_come_back(samples, tmp_path, names, data):
    """Whatever a line is called and however fast it answers, its own samples come back, to the microsecond."""
    try:
        each = world.inventory(tmp_path, ids=names)
    except Exception:  # the inventory refuses some names; that is tested there
        return
    rtt = np.array(data.draw(st.lists(st.floats(0.001, 60_000), min_size=len(each), max_size=len(each))))
    number = max(samples.last_seq(), 0) + 1
    at = T0 + number * 3600 * NS
    samples.append(number, [world.probes(each, at, rtt)], each)
    settle(samples)
    for i in range(len(each)):
        got = samples.line_history(each.line_id(i), at, at + NS)
        np.testing.assert_allclose(got.rtt_ms, [rtt[i]], atol=0.0006, rtol=1e-6)


def test_roll_ups_count_each_level(samples, inventory):
    """Lines by state and the median round-trip time of the network, a region, an exchange and an access node."""
    state = np.full(24, LineState.UP, np.uint8)
    rtt = np.arange(24, dtype=np.float32)
    state[0:3], rtt[0:3] = LineState.DOWN, np.nan
    state[3], state[4] = LineState.UNKNOWN, LineState.DEGRADED
    samples.rollup(T0 + 7 * NS, inventory, state, rtt)
    settle(samples)
    wanted = {  # lines, up, degraded, down, unknown, median rtt
        "": (24, 19, 1, 3, 1, 13.0),
        "north": (12, 7, 1, 3, 1, 7.0),
        "north/ex-0": (6, 1, 1, 3, 1, 4.0),
        "north/ex-0/olt-0": (3, 0, 0, 3, 0, np.nan),
        "south/ex-3/olt-7": (3, 3, 0, 0, 0, 22.0),
    }
    for path, figures in wanted.items():
        got = samples.element_history(path, T0, T0 + HOUR)
        assert (got.step_s, got.at_ns.tolist()) == (60, [T0 // (60 * NS) * 60 * NS])
        assert (got.lines[0], got.up[0], got.degraded[0], got.down[0], got.unknown[0]) == figures[:5], path
        np.testing.assert_equal(got.rtt_ms[0], figures[5])
    assert len(samples.element_history("nowhere", T0, T0 + HOUR)) == 0
    with pytest.raises(ValueError, match="not below"):
        samples.element_history("north/ex-0/olt-0/pon-1", T0, T0 + HOUR)


def test_minutes_become_five_minutes_and_hours(samples, inventory):
    """Means over the interval, stamped with its start; the worst minute is kept."""
    begin = T0 // HOUR * HOUR + HOUR
    for minute in range(61):
        down = minute % 5
        state = np.where(np.arange(24) < down, LineState.DOWN, LineState.UP).astype(np.uint8)
        rtt = np.full(24, np.nan if minute == 3 else minute, np.float32)
        samples.rollup(begin + minute * 60 * NS, inventory, state, rtt)
    settle(samples)
    five = samples.element_history("north", begin, begin + HOUR, max_points=12)
    assert (five.step_s, len(five)) == (300, 12)
    assert five.at_ns[0] == begin
    assert five.down.tolist() == [2.0] * 12
    assert five.down_max.tolist() == [4.0] * 12
    assert five.rtt_ms.tolist()[:2] == [(0 + 1 + 2 + 4) / 4, 7.0]
    hour = samples.element_history("north", begin, begin + 100 * HOUR, max_points=100)
    assert (hour.step_s, hour.at_ns.tolist(), hour.lines.tolist()) == (3600, [begin], [12.0])


def test_a_restart_does_not_shorten_the_hour(store_settings, inventory):
    """Stopped in the middle of an hour and started again: the means are over all its minutes, and a minute given twice
    counts once."""
    begin = T0 // HOUR * HOUR + HOUR
    for minutes in (range(40), range(39, 61)):
        store = opened(store_settings)
        for minute in minutes:
            state = np.where(np.arange(24) < minute, LineState.DOWN, LineState.UP).astype(np.uint8)
            store.rollup(begin + minute * 60 * NS, inventory, state, np.full(24, minute, np.float32))
        settle(store)
        if minutes.stop == 61:
            hour = store.element_history("", begin, begin + 100 * HOUR, max_points=100)
            assert hour.rtt_ms.tolist() == [29.5]
            assert hour.down.tolist() == [sum(min(m, 24) for m in range(60)) / 60]
        store.close()


def test_a_damaged_memory_of_the_hour_is_said(store_settings, inventory, caplog):
    """When the file of the running hour is rubbish, the store opens, says so, and begins anew."""
    opened(store_settings).close()
    for name in ("rollups.running", "samples/rollups.running"):
        path = Path(store_settings.folder) / name
        if path.parent.exists():
            path.write_bytes(b"rubbish")
    store = opened(store_settings)
    store.rollup(T0, inventory, np.full(24, LineState.UP, np.uint8), np.ones(24, np.float32))
    settle(store)
    assert "the running hour's roll-up begins anew" in caplog.text
    assert len(store.element_history("", T0 - HOUR, T0 + HOUR)) == 1
    store.close()


def test_appending_never_waits_for_a_database(store_settings, inventory, monkeypatch):
    """While the writer does not move at all, everything can be appended, and the order is kept."""
    store = opened(store_settings)
    real, gate, opened_in_time = store._write, threading.Event(), []

    def stuck(batch):
        opened_in_time.append(gate.wait(30))
        real(batch)

    monkeypatch.setattr(store._writer, "_write", stuck)
    for seq in range(1, 40):
        store.append(seq, [world.probes(inventory, T0 + seq * NS, 5.0)], inventory)
    gate.set()
    settle(store)
    assert all(opened_in_time)  # no append had to wait until the writer gave up waiting
    assert store.line_history(inventory.line_id(0), T0, T0 + HOUR, max_points=1).sent.sum() == 39
    store.close()


def test_importing_the_store_loads_no_database_library():
    """Only opening an engine loads DuckDB or the InfluxDB client; neither loads pandas."""
    import subprocess

    code = (
        "import sys, monitor.store.samples, monitor.store.state, monitor.store.outbox, monitor.store.journal\n"
        "print(sorted({'duckdb', 'influxdb_client', 'pandas', 'alembic', 'urllib3'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_example_in_the_documentation_reads_the_segments(tmp_path, inventory, monkeypatch):
    """What docs/schema.md shows to people who use pandas works as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "schema.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    store = opened(StoreSettings(folder=str(tmp_path / "data")))
    store.append(1, [world.probes(inventory, T0, 5.0), world.probes(inventory, T0 + NS, 7.5)], inventory)
    store.close()
    monkeypatch.chdir(tmp_path / "data")
    names = {}
    exec(example, names)
    names["catalog"].close()
    table = names["table"]
    assert table["line_id"].tolist() == sorted([inventory.line_id(i) for i in range(24)] * 2)
    assert table["rtt_ms"].tolist() == [5.0, 7.5] * 24
    assert str(table["sent_at"][0]) == "2023-11-14 22:20:00"


@given(st.integers(1, 10**17), st.integers(1, 5000))
def test_bins_are_as_fine_as_the_points_allow(span_ns, points):
    """At most `max_points` bins, and no narrower width of the ladder would do."""
    width = bin_s(0, span_ns, points)
    if width != BINS_S[-1]:
        assert span_ns / NS / width <= points
    assert all(span_ns / NS / narrower > points for narrower in BINS_S if narrower < width)


def test_levels_and_steps():
    """A path's depth names its level; the finest roll-up that fits the points answers."""
    assert [level_of(p) for p in ("", "a", "a/b", "a/b/c")] == ["network", "region", "exchange", "access_node"]
    assert [step_for(0, h * HOUR, 100) for h in (1, 8, 24 * 90)] == ["1m", "5m", "1h"]
