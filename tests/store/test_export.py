"""Exported files hold what was stored, from both engines alike."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from monitor.clock import NS, ManualClock
from monitor.metrics import Metrics
from monitor.records import Change, LineState, TargetKind, ValueKind
from monitor.store.export import Wanted, export
from monitor.store.problems import StoreProblem
from monitor.store.samples import open_sample_store
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore
from tests.store import world
from tests.store.incidents import change, flag, incident
from tests.store.test_influx_faults import drained

T0 = world.T0
MINUTES = 7


@pytest.fixture(params=["embedded", pytest.param("influxdb", marks=pytest.mark.server)])
def filled(request, tmp_path):
    """A store with some minutes of 24 lines with strange names, a resolver, telemetry and roll-ups."""
    inventory = world.inventory(tmp_path, ids=[*world.STRANGE, *[f"line-{i}" for i in range(14)]])
    more = {}
    if request.param == "influxdb":
        more = {"influxdb": request.getfixturevalue("influx_settings")}
    own = StoreSettings(folder=str(tmp_path / "data"), engine=request.param, **more)
    metrics = Metrics()
    store = open_sample_store(own, metrics, ManualClock(T0), resolvers=("r1", "r2"))
    n = len(inventory)
    got = np.ones(n, np.int64)
    got[3] = 0
    for minute in range(MINUTES):
        at_ns = T0 + minute * 60 * NS
        rounds = [
            world.probes(inventory, at_ns, np.arange(n) + 0.25, got, 2),
            world.values(inventory, at_ns, ValueKind.RX_POWER_DBM, -21.5),
            world.resolvers(inventory, at_ns, 4.0),
        ]
        store.append(minute + 1, rounds, inventory)
        store.rollup(at_ns, inventory, np.full(n, LineState.UP, np.uint8), np.full(n, 9.0, np.float32))
    assert store.flush()
    if request.param == "influxdb":
        assert drained(store)
    yield own, inventory
    store.close()


def everything(kind, **more):
    return Wanted(kind, T0, T0 + 3600 * NS, **more)


def parquet(path):
    return duckdb.sql(f"SELECT * FROM read_parquet('{path}')").df()


def read(path):
    return parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, keep_default_na=False)


def test_samples(filled, tmp_path):
    """Every round of every line, by time, with the line_id as in the inventory, and no round-trip time where there was
    no reply."""
    own, inventory = filled
    assert export(own, everything("samples"), tmp_path / "out.parquet") == MINUTES * len(inventory)
    table = parquet(tmp_path / "out.parquet")
    assert list(table.columns) == [
        *("at", "line_id", "sent", "received", "rtt_ms", "rtt_min_ms", "rtt_max_ms", "jitter_ms", "source")
    ]
    assert table["at"].is_monotonic_increasing
    assert table["at"].iloc[0] == pd.Timestamp(T0)
    one = table[table["line_id"] == inventory.line_id(5)]
    number = 5 + 0.25
    assert one["rtt_ms"].tolist() == [number] * MINUTES
    assert (one["sent"] == 2).all()
    dead = table[table["line_id"] == inventory.line_id(3)]
    assert dead["rtt_ms"].isna().all()
    assert (dead["received"] == 0).all()
    assert set(table["source"]) == {"p1"}


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_a_csv_of_some_lines_and_minutes(filled, tmp_path, name):
    """A time span and chosen lines, as CSV: times in RFC 3339, exactly these rows."""
    own, inventory = filled
    chosen = (inventory.line_id(0), inventory.line_id(7))
    wanted = Wanted("samples", T0 + 60 * NS, T0 + 180 * NS, chosen)
    assert export(own, wanted, tmp_path / name) == 4
    table = read(tmp_path / name)
    assert sorted(set(table["at"])) == ["2023-11-14T22:21:00.000Z", "2023-11-14T22:22:00.000Z"]
    assert sorted(table["line_id"]) == sorted(chosen * 2)


def test_telemetry_targets_and_roll_ups(filled, tmp_path):
    """Values carry their kind, resolvers their name, roll-ups element and step."""
    own, inventory = filled
    export(own, everything("values"), tmp_path / "v.parquet")
    values = parquet(tmp_path / "v.parquet")
    assert len(values) == MINUTES * len(inventory)
    assert set(values["kind"]) == {"rx_power_dbm"}
    assert (values["value"] == -21.5).all()
    export(own, everything("targets"), tmp_path / "t.csv")
    targets = read(tmp_path / "t.csv")
    assert set(targets["line_id"]) == {"resolver:r1", "resolver:r2"}
    assert (targets["rtt_ms"].astype(float) == 4.0).all()
    export(own, everything("rollups"), tmp_path / "r.parquet")
    rollups = parquet(tmp_path / "r.parquet")
    minute = rollups[rollups["step_s"] == 60]
    assert minute.groupby("element")["up"].mean().to_dict()[""] == len(inventory)
    assert {"north", "south", "north/ex-0"} <= set(minute["element"])


def test_nothing_in_the_span_is_an_empty_table(filled, tmp_path):
    """A span without data gives a file with the columns and no rows."""
    own, _ = filled
    for kind in ("samples", "targets", "values", "rollups"):
        out = tmp_path / f"{kind}.parquet"
        assert export(own, Wanted(kind, 0, NS), out) == 0
        assert "at" in parquet(out).columns


def test_incidents_and_flags(tmp_path):
    """A row per incident and flag that touches the span, oldest first, with the sentence in English; of one line only
    its own."""
    own = StoreSettings(folder=str(tmp_path / "data"))
    state = StateStore.open(own)
    state.apply(
        1, [change("opened", 1, name="i1", lines=("line-1",)), change("opened", 1, name="i2", started_ns=2 * NS)]
    )
    state.apply(2, [Change(5 * NS, "flag", flag=flag(ended_s=9))])
    state.close()
    assert export(own, Wanted("incidents", 0, 10 * NS), tmp_path / "i.csv") == 2
    table = read(tmp_path / "i.csv")
    assert table["incident_id"].tolist() == ["i1", "i2"]
    assert table["at"].tolist() == ["1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z"]
    assert table["resolved_at"].tolist() == ["", ""]
    assert export(own, Wanted("incidents", 0, 10 * NS, ("line-1",)), tmp_path / "one.parquet") == 1
    assert export(own, Wanted("flags", 0, 10 * NS), tmp_path / "f.parquet") == 1
    assert parquet(tmp_path / "f.parquet")["ended_at"].tolist() == [pd.Timestamp(9 * NS)]
    assert incident(1).cause == table["cause"][0]


def test_what_cannot_be_is_said(tmp_path):
    """Another ending, a line never heard of, a folder without samples: each is an error that says so, and no file."""
    own = StoreSettings(folder=str(tmp_path / "data"))
    with pytest.raises(ValueError, match=r"\.parquet, \.csv"):
        export(own, everything("samples"), tmp_path / "out.xlsx")
    with pytest.raises(StoreProblem, match="holds no samples"):
        export(own, everything("samples"), tmp_path / "out.csv")
    inventory = world.inventory(tmp_path, 8)
    store = open_sample_store(own, Metrics(), ManualClock(T0))
    store.append(1, [world.probes(inventory, T0, kind=TargetKind.LINE)], inventory)
    store.close()
    with pytest.raises(StoreProblem, match="no-such-line"):
        export(own, everything("samples", lines=("no-such-line",)), tmp_path / "out.csv")
    assert [p.name for p in Path(tmp_path).iterdir() if p.name.startswith(("out", ".out"))] == []
