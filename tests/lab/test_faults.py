"""What fails in the demonstration: targets that do not touch each other, and a plan that fits the time."""

import asyncio

import numpy as np
import pytest

from monitor.clock import NS, ManualClock, parse_time
from monitor.lab.faults import Fault
from monitor.lab.isp import make_isp
from monitor.lab.plan import MIN_MINUTES, TIMES_S, WARM_UP_S, DemoPlan, Step
from monitor.lab.targets import choose_targets


@pytest.mark.parametrize(
    ("lines", "seed"), [(300, s) for s in range(6)] + [(1000, 1), (5000, 1), (5000, 2), (40_000, 3)]
)
def test_targets_are_clear_cut_and_apart(lines: int, seed: int) -> None:
    """Splitter, OLT, quarter and single lines share no OLT or splitter; the quarter has no element of its own."""
    isp = make_isp(lines, seed)
    targets = choose_targets(isp, seed)
    leaf = isp.leaf_paths[targets.splitter]
    olt = isp.nodes[targets.olt]
    assert len(targets.splitter_lines) >= 8
    assert not leaf.startswith(olt.path + "/")
    assert olt.kind == "olt"
    quarter = targets.power.lines
    touched = set(isp.node[quarter].tolist())
    assert targets.olt not in touched
    assert isp.node[targets.splitter_lines[0]] not in touched
    assert len(touched) >= 2
    assert len(np.unique(isp.port[quarter])) >= 3
    # Nothing but the disc explains it: no port, OLT, feeder or duct has nearly all of its lines in there.
    for column in (isp.port, isp.node, isp.feeder, isp.duct):
        ids, hit = np.unique(column[quarter], return_counts=True)
        size = np.bincount(column[isp.active])[ids]
        assert (hit[hit >= len(quarter) / 3] < 0.8 * size[hit >= len(quarter) / 3]).all()
    singles = [targets.slow, targets.unstable, targets.dead]
    assert len(set(isp.leaf[singles].tolist())) == 3
    assert not set(isp.node[singles].tolist()) & {targets.olt, int(isp.node[targets.splitter_lines[0]])}
    assert not set(isp.leaf[singles].tolist()) & set(isp.leaf[quarter].tolist())
    everything = np.concatenate([targets.splitter_lines, targets.olt_lines, quarter, singles])
    assert len(np.unique(everything)) == len(everything)
    assert isp.active[everything].all()
    away = np.hypot(isp.lat - targets.power.lat, (isp.lon - targets.power.lon) * np.cos(np.radians(targets.power.lat)))
    inside = np.flatnonzero((away * 111.195 <= targets.power.radius_km * 1.001) & isp.active)
    assert set(quarter.tolist()) <= set(inside.tolist())
    assert len(inside) - len(quarter) <= 2  # on the rim


def test_targets_are_the_same_for_the_same_seed() -> None:
    """A demonstration can be repeated."""
    one, two = (choose_targets(make_isp(2000, 5), 5) for _ in range(2))
    assert (one.splitter, one.olt, one.dead) == (two.splitter, two.olt, two.dead)
    assert (one.power.lines == two.power.lines).all()


def recorded(clock: ManualClock) -> tuple[dict[str, Fault], list[tuple[float, str]]]:
    """Faults that write down when they begin (+) and end (-), in seconds."""
    begun = clock.now_ns()
    log: list[tuple[float, str]] = []

    def note(sign: str) -> None:
        log.append(((clock.now_ns() - begun) / NS, sign))

    def fault(key: str) -> Fault:
        scope = {"kind": "line", "name": key}
        return Fault(key, key, "outage", "x", scope, (key,), clock, lambda: note(f"+{key}"), lambda: note(f"-{key}"))

    return {key: fault(key) for key in TIMES_S}, log


@pytest.mark.parametrize("minutes", [3.0, 5.0, 12.0])
async def test_the_plan_runs_in_virtual_time(minutes: float) -> None:
    """Every fault begins after the warm-up and ends before the end; steps are told as they are done."""
    clock = ManualClock()
    faults, log = recorded(clock)
    plan = DemoPlan(faults, minutes)
    told: list[Step] = []
    task = asyncio.create_task(plan.run(told.append, clock))
    while not task.done():
        await asyncio.sleep(0.002)  # the injecting thread gets its turn
        await clock.advance(1.0)
    await task
    assert [f"{'+' if s.action == 'inject' else '-'}{s.fault.key}" for s in told] == [what for _, what in log]
    assert sorted(what for _, what in log) == sorted(sign + key for key in TIMES_S for sign in "+-")
    assert all(fault.healed_ns is not None for fault in faults.values())
    assert min(at for at, _ in log) >= WARM_UP_S
    assert max(at for at, _ in log) <= plan.length_s


@pytest.mark.parametrize("minutes", [3.0, 4.0, 5.0, 30.0])
def test_the_plan_leaves_time_to_find_everything(minutes: float) -> None:
    """Outages last 30 s at least; some overlap; the prober is blind when nothing begins and only lines are unwell."""
    plan = DemoPlan(recorded(ManualClock())[0], minutes)
    at = {(step.fault.key, step.action): step.at_s for step in plan.steps}
    assert all(at[key, "heal"] - at[key, "inject"] >= 30 for key in TIMES_S)
    assert all(at[key, "heal"] - at[key, "inject"] >= 90 for key in ("slow", "unstable"))
    assert at["olt", "inject"] < at["splitter", "heal"]
    begin, end = at["blind", "inject"], at["blind", "heal"]
    assert not [s for s in plan.steps if s.fault.key != "blind" and begin - 10 < s.at_s < end]
    assert {key for key in TIMES_S if at[key, "inject"] < end and at[key, "heal"] > begin} == {
        "blind",
        "slow",
        "unstable",
    }


def test_too_short_a_plan_is_refused() -> None:
    """Below three minutes nothing could be found in time."""
    faults, _ = recorded(ManualClock())
    for minutes in (MIN_MINUTES - 0.1, 0, -1, float("nan")):
        with pytest.raises(ValueError, match="at least 3 minutes"):
            DemoPlan(faults, minutes)


def test_a_fault_knows_the_truth() -> None:
    """A fault tells its scope, lines and times as in truth files; twice injected or healed is once."""
    clock = ManualClock()
    faults, log = recorded(clock)
    fault = faults["splitter"]
    fault.heal()
    assert fault.truth()["started_at"] is None
    fault.inject()
    fault.inject()
    assert fault.active
    assert parse_time(fault.truth()["started_at"]) == clock.now_ns()
    assert fault.truth()["ended_at"] is None
    fault.heal()
    fault.heal()
    assert not fault.active
    assert fault.truth() | {"started_at": 0, "ended_at": 0} == {
        "id": "splitter",
        "kind": "outage",
        "cause": "x",
        "scope": {"kind": "line", "name": "splitter"},
        "lines": ["splitter"],
        "started_at": 0,
        "ended_at": 0,
    }
    assert [what for _, what in log] == ["+splitter", "-splitter"]
    fault.inject()
    assert fault.healed_ns is None
