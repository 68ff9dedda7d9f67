"""The simulator: the same seed gives the same files, the truth is what was done, noise is as measured in the field."""

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from monitor.clock import parse_time
from monitor.inventory import Inventory, load_inventory
from monitor.lab.replay.events import read_events
from monitor.lab.simulation import NAMES, simulate
from monitor.lab.simulation.background import add_background
from monitor.lab.simulation.network import generate
from monitor.lab.simulation.observations import write_observations
from monitor.lab.simulation.plan import PLANS
from monitor.lab.simulation.run import START_NS
from monitor.lab.simulation.world import HOUR, Downtimes, World, settle_truth
from monitor.records import Event

NS = 1_000_000_000


class Run:
    """One simulated folder, read back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory: Inventory = load_inventory(folder / "inventory.csv")
        self.truths: list[dict[str, Any]] = [
            json.loads(text) for text in (folder / "truth.jsonl").read_text().splitlines()
        ]
        self.events: list[Event] = read_events(folder / "events.csv")
        with duckdb.connect() as database:
            database.execute("SET enable_progress_bar = false")
            got = database.execute(
                f"SELECT \"at\", line_id, sent, received, coalesce(rtt_ms, 'nan'::FLOAT) AS rtt "
                f"FROM '{folder / 'observations.parquet'}'"
            ).fetchnumpy()
        self.at, self.ids = np.asarray(got["at"]), np.asarray(got["line_id"])
        self.sent, self.received, self.rtt = (np.asarray(got[n]) for n in ("sent", "received", "rtt"))

    def answers(self, ids: list[str], start: str, end: str, margin_s: int = 0) -> float:
        """Share of answered probes of these targets between two times."""
        low, high = parse_time(start) + margin_s * NS, parse_time(end) - margin_s * NS
        rows = (self.at >= low) & (self.at < high) & np.isin(self.ids, ids) & (self.sent > 0)
        assert rows.any()
        return float(self.received[rows].mean())


def made(folder: Path, scenario: str, lines: int = 900, hours: float = 2.0, seed: int = 3, **more: Any) -> Run:
    simulate(scenario, lines, hours, seed, folder, **more)
    return Run(folder)


def test_same_arguments_same_files(tmp_path: Path) -> None:
    """Two runs with one seed write the same bytes; another seed does not."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate("node", 500, 1.0, seed, tmp_path / name)
    for name in ("inventory.csv", "events.csv", "truth.jsonl", "observations.parquet"):
        one, same, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert one == same
        assert one != other


@pytest.mark.parametrize("scenario", [n for n in NAMES if n not in ("all", "benign", "single")])
def test_each_scenario(tmp_path: Path, scenario: str) -> None:
    """Every scenario fits into a small run; its truths are within the run, and name lines and scopes that exist."""
    run = made(tmp_path, scenario, lines=3000, hours=3, interval_s=300)
    assert bool(run.truths) == (scenario != "renumbering")
    known = set(run.inventory.line_ids)
    for truth in run.truths:
        assert parse_time(truth["started_at"]) < parse_time(truth["ended_at"])
        assert set(truth["lines"]) <= known
        assert {interval[0] for interval in truth["line_intervals"]} <= set(truth["lines"])
        scope = truth["scope"]
        if scope["kind"] == "element":
            assert run.inventory.elements.index_of(scope["name"]) is not None
        elif scope["kind"] == "group":
            assert run.inventory.groups.index_of(scope["name"]) is not None
        elif scope["kind"] == "area":
            assert len([float(part) for part in scope["name"].split(",")]) == 3
        assert (len(truth["lines"]) >= 3) == (truth["kind"] not in ("source", "resolver"))


def test_everything_without_accidental_overlap(tmp_path: Path) -> None:
    """`all` places every scenario, and no two truths share lines at one time except where that is meant."""
    result = simulate("all", 10_000, 12, 5, tmp_path, interval_s=1800)
    assert result.missing == ()
    truths = [json.loads(text) for text in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert {"outage", "degraded", "resolver", "source", "planned"} == {t["kind"] for t in truths}
    assert {t["scope"]["kind"] for t in truths} == {"element", "group", "area", "source"}
    spans = [(parse_time(t["started_at"]), parse_time(t["ended_at"]), set(t["lines"]), t) for t in truths]
    for i, (low, high, lines, one) in enumerate(spans):
        for begin, end, others, other in spans[i + 1 :]:
            if low < end and begin < high and lines & others:
                assert "nested" in (one["cause"], other["cause"])


def test_an_outage_is_seen(tmp_path: Path) -> None:
    """Lines of a dead node do not answer while it lasts and answer before and after; neighbours go on; the node's own
    address is silent too; telemetry says so within a minute and a half, session counts within minutes."""
    run = made(tmp_path, "node", lines=1500)
    truth = run.truths[0]
    element = truth["scope"]["name"]
    start, end = truth["started_at"], truth["ended_at"]
    assert run.answers(truth["lines"], start, end, 5) == 0
    assert run.answers([f"element:{element}"], start, end, 5) == 0
    others = sorted(set(run.inventory.line_ids) - set(truth["lines"]))
    assert run.answers(others, start, end) > 0.85
    assert run.answers(truth["lines"], "2026-03-27T17:00:00Z", start) > 0.85
    wills = [e for e in run.events if e.kind == "cpe_offline" and 0 <= e.at_ns - parse_time(start) <= 97 * NS]
    assert len({e.subject for e in wills} & set(truth["lines"])) > 0.4 * len(truth["lines"])
    online = {e.subject for e in run.events if e.kind == "cpe_online" and e.at_ns > parse_time(end)}
    assert len(online & set(truth["lines"])) > 0.4 * len(truth["lines"])


def test_blind_prober(tmp_path: Path) -> None:
    """While the prober is blind nothing answers, references neither; telemetry is not touched."""
    run = made(tmp_path, "blind")
    truth = run.truths[0]
    assert truth["scope"] == {"kind": "source", "name": "default"}
    everything = sorted(set(run.ids))
    assert run.answers(everything, truth["started_at"], truth["ended_at"]) == 0
    low, high = parse_time(truth["started_at"]), parse_time(truth["ended_at"])
    wills = [e for e in run.events if e.kind == "cpe_offline" and low <= e.at_ns <= high + 100 * NS]
    assert len(wills) < 0.01 * len(run.inventory)


def test_resolver_and_renumbering_take_no_line_down(tmp_path: Path) -> None:
    """A dead resolver is told by events alone; a BNG failover gives new addresses and leaves no truth."""
    run = made(tmp_path / "r", "resolver")
    truth = run.truths[0]
    assert truth["lines"] == []
    assert run.answers(list(run.inventory.line_ids), truth["started_at"], truth["ended_at"]) > 0.85
    kinds = [e.kind for e in run.events if e.subject == f"group:{truth['scope']['name']}"]
    assert kinds == ["resolver_down", "resolver_up"]
    run = made(tmp_path / "n", "renumbering")
    assert run.truths == []
    new = [e for e in run.events if e.kind == "session_start" and e.value.startswith("10.")]
    assert len(new) > 50
    assert len({e.value for e in new}) == len(new)


def test_congestion_is_slow_not_down(tmp_path: Path) -> None:
    """Congested lines answer late and lose some probes."""
    run = made(tmp_path, "congestion")
    truth = run.truths[0]
    assert truth["kind"] == "degraded"
    low, high = parse_time(truth["started_at"]) + 300 * NS, parse_time(truth["ended_at"])
    mine = np.isin(run.ids, truth["lines"]) & (run.received > 0)
    during = mine & (run.at >= low) & (run.at < high)
    before = mine & (run.at < parse_time(truth["started_at"]))
    assert np.median(run.rtt[during]) > np.median(run.rtt[before]) + 25
    assert 0.75 < run.answers(truth["lines"], truth["started_at"], truth["ended_at"]) < 0.97


def test_restart_leaves_a_gap(tmp_path: Path) -> None:
    """In the middle of the outage some minutes of rows are missing altogether."""
    run = made(tmp_path, "restart")
    gaps = np.flatnonzero(np.diff(run.at) > 120 * NS)
    assert len(gaps) == 1
    truth = run.truths[0]
    assert parse_time(truth["started_at"]) < run.at[gaps[0]] < parse_time(truth["ended_at"])


def test_two_gaps_longer_than_a_round(tmp_path: Path) -> None:
    """Gaps that swallow whole rounds leave the other rounds as they are."""
    network = generate(200, PLANS["standard"], np.random.default_rng(1))
    world = World(network, 1, START_NS, START_NS + HOUR, 60 * NS)
    world.gaps = [
        (START_NS + 10 * 60 * NS, START_NS + 15 * 60 * NS),
        (START_NS + 40 * 60 * NS, START_NS + 50 * 60 * NS),
    ]
    assert write_observations(world, Downtimes.of([]), tmp_path / "o.parquet") == 200 * 45


def test_rows_are_in_order(tmp_path: Path) -> None:
    """One row per target and round, by time, with an occasional probe that was not sent."""
    run = made(tmp_path, "single", hours=1.0)
    assert (np.diff(run.at) >= 0).all()
    assert set(np.unique(run.ids, return_counts=True)[1].tolist()) == {60}
    assert 0 < np.count_nonzero(run.sent == 0) < 0.003 * len(run.sent)
    assert (run.received <= run.sent).all()
    assert np.isnan(run.rtt[run.received == 0]).all()
    assert (run.rtt[run.received > 0] > 0).all()


def test_noise_as_in_the_field(tmp_path: Path) -> None:
    """Round-trip times spread as measured (MAD over median 0.02, 90th percentile 0.10); some lines never answer."""
    run = made(tmp_path, "single", hours=1.5)
    ratios, silent = [], 0
    order = np.argsort(run.ids, kind="stable")
    for rows in np.split(order, np.flatnonzero(run.ids[order][1:] != run.ids[order][:-1]) + 1):
        if ":" in run.ids[rows[0]]:
            continue
        rtt = run.rtt[rows][run.received[rows] > 0]
        silent += len(rtt) == 0
        if len(rtt) > 60:
            ratios.append(np.median(np.abs(rtt - np.median(rtt))) / np.median(rtt))
    assert np.median(ratios) == pytest.approx(0.02, rel=0.3)
    assert np.percentile(ratios, 90) == pytest.approx(0.10, rel=0.35)
    assert 0.02 < silent / len(run.inventory) < 0.08


def test_single_failures_and_nights() -> None:
    """About 1.8 down-starts per 1,000 line-hours by day, and 8-10 % of modems off at night, back in the morning."""
    network = generate(20_000, PLANS["standard"], np.random.default_rng(1))
    world = World(network, 1, START_NS, START_NS + 24 * HOUR, 60 * NS)
    add_background(world)
    # Two cuts an hour (with and without power), then one a night, then the suspended lines.
    single, nights = world.cuts[:48], world.cuts[48:-1]
    assert sum(len(cut.lines) for cut in single) / (20_000 * 24) == pytest.approx(0.0018, rel=0.15)

    def off(hours: int) -> float:
        at = START_NS + hours * HOUR
        return sum(int(((cut.start_ns <= at) & (cut.end_ns > at)).sum()) for cut in nights) / 20_000

    assert 0.08 < off(9) < 0.10
    assert off(1) < 0.005
    assert off(18) < 0.012  # Saturday noon: offices only


def test_truth_is_what_the_fault_did_alone() -> None:
    """Times in which a line was off anyway are not the fault's; a line that was off all the while leaves its lines."""
    network = generate(300, PLANS["standard"], np.random.default_rng(1))
    world = World(network, 1, START_NS, START_NS + 10 * HOUR, 60 * NS)
    lines = np.array([1, 2, 3], np.int32)
    first = world.fault("outage", "x", ("element", "a"), START_NS + HOUR, START_NS + 3 * HOUR, lines)
    world.cut(lines, START_NS + HOUR, START_NS + 3 * HOUR, fault=first)
    second = world.fault("outage", "y", ("element", "b"), START_NS + 2 * HOUR, START_NS + 5 * HOUR, lines[1:])
    world.cut(lines[1:], START_NS + 2 * HOUR, START_NS + 5 * HOUR, fault=second)
    world.cut(lines[:1], START_NS, START_NS + 4 * HOUR)  # switched off
    middle = START_NS + HOUR * 5 // 2
    world.cut(lines[2:], middle - HOUR // 4, middle + HOUR // 4)
    settle_truth(world, Downtimes.of(world.cuts))

    def hours(fault: int) -> list[tuple[int, float, float]]:
        return [(i, (a - START_NS) / HOUR, (b - START_NS) / HOUR) for i, a, b in world.faults[fault].intervals]

    assert hours(first) == [(2, 1, 3), (3, 1, 2.25), (3, 2.75, 3)]
    assert hours(second) == [(2, 3, 5), (3, 3, 5)]
    assert world.faults[first].lines.tolist() == [2, 3]


@pytest.mark.parametrize("plan", sorted(PLANS))
@pytest.mark.parametrize("lines", [200, 3000, 20_000])
def test_networks(plan: str, lines: int) -> None:
    """Any size gives exactly that many lines, on a tree whose ancestors agree with its paths, with groups of lines."""
    network = generate(lines, PLANS[plan], np.random.default_rng(lines))
    assert len(network) == lines == len(set(network.line_ids))
    assert len(set(network.paths)) == len(network.paths)
    for line in range(0, lines, max(1, lines // 50)):
        chain = [network.paths[int(codes[line])] for codes in network.at_depth if codes[line] >= 0]
        path = network.paths[network.leaf[line]]
        assert chain == ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 2)]
    assert int(network.sizes()[network.parent == -1].sum()) == lines
    for name, members in network.groups.items():
        assert (np.diff(members) > 0).all(), name
    wrong = float((network.leaf != network.recorded_leaf).mean())
    assert wrong < (0.05 if plan == "standard" else 0.13)
    sizes = network.sizes()[network.is_leaf()]
    assert sizes.max() > 3 * np.percentile(sizes, 10)


def test_misfiled_lines_are_in_the_truth(tmp_path: Path) -> None:
    """The truth holds the lines that really hang on the port, not those that the records put there."""
    run = made(tmp_path, "misfiled", lines=3000)
    truth = run.truths[0]
    at = run.inventory.elements.index_of(truth["scope"]["name"])
    assert at is not None
    elements = run.inventory.elements
    recorded = {run.inventory.line_id(i) for i in range(elements.lo[at], elements.hi[at])}
    assert set(truth["lines"]) - recorded


def test_inventory_as_promised(tmp_path: Path) -> None:
    """The inventory has the standard columns and loads without a complaint."""
    run = made(tmp_path, "single", lines=300, hours=0.5)
    with (tmp_path / "inventory.csv").open() as file:
        header = next(csv.reader(file))
    assert {"line_id", "path", "groups", "cpe_model", "cpe_firmware", "cpe_endpoint"} <= set(header)
    assert len(run.inventory) == 300
    assert not run.inventory.attributes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", 1000, 1, 1), "'nonsense' is not known"),
        (("node", 50, 1, 1), "too few"),
        (("node", 1000, 0.001, 1), "shorter than one round"),
        (("node", 1000, 1, -1), "must not be negative"),
        (("node", 1000, 0.1, 1), "more lines or hours are needed"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: tuple[str, int, float, int], words: str) -> None:
    """What cannot be simulated is refused with words, before anything is written."""
    with pytest.raises(ValueError, match=words):
        simulate(*arguments, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="plan 'x' is not known"):
        simulate("single", 300, 1, 1, tmp_path, plan="x")
    with pytest.raises(ValueError, match="must be above 0"):
        simulate("single", 300, 1, 1, tmp_path, interval_s=0)
