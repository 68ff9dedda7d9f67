"""What holds whatever happens: random faults on a small network, in any order, with the engine saved in between."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from correlation.engine import Engine
from correlation.settings import CorrelationSettings
from monitor.inventory import Inventory
from monitor.records import IncidentKind, ProbeRound
from tests.correlation.net import NS, START, inventory, rows

PATHS = ["north/ex-1/olt-1", "north/ex-1/olt-1/pon-2", "north/ex-2/olt-1/pon-1/split-2", "north/ex-2", "north"]
Script = list[tuple[str, bool]]
SCRIPT = st.lists(st.tuples(st.sampled_from(PATHS), st.booleans()), min_size=1, max_size=6)
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return inventory(tmp_path_factory.mktemp("net"), rows(olts=1, pons=2, lines=8))


def rounds(known: Inventory, script: Script, shuffle: int | None = None) -> list[tuple[int, ProbeRound]]:
    """Four rounds of 30 s after each step of the script; `shuffle` changes the order of rows within a round."""
    rng, down, now, found = np.random.default_rng(7), np.zeros(len(known), np.bool_), START, []
    order = np.arange(len(known), dtype=np.int32)
    for path, fails in [(PATHS[0], False), *script, (PATHS[-1], False)]:
        element = known.elements.index_of(path)
        assert element is not None
        down[known.elements.lo[element] : known.elements.hi[element]] = fails
        for _ in range(4):
            now += 30 * NS
            got = (~down & (rng.random(len(known)) > 0.01)).astype(np.uint16)
            if shuffle is not None:
                order = np.random.default_rng(shuffle).permutation(len(known)).astype(np.int32)
            rtt = np.where(got > 0, np.float32(8), np.float32(np.nan)).astype(np.float32)
            at, sent = np.full(len(known), now, np.int64), np.ones(len(known), np.uint16)
            found.append((now, ProbeRound("default", known.generation, order, at, sent, got[order], rtt[order])))
    return found


def story(engine: Engine, script: list[tuple[int, ProbeRound]]) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    for now, one in script:
        for change in engine.step(now, [one]).changes:
            i = change.incident
            assert change.at_ns == now
            if i is not None:
                assert i.started_ns <= i.updated_ns == now
                assert (i.resolved_ns or now) <= now
                told.append((change.what, i.incident_id, i.scope.name, i.started_ns, i.lines_affected, i.revision))
        held = engine.table.slot[engine.table.slot >= 0]
        living = {c.state.slot for c in engine.book.living()}
        assert set(np.unique(held).tolist()) <= living  # nobody is held by an incident that is over
        for case in engine.book.living(IncidentKind.OUTAGE):
            assert np.all(np.diff(case.lines) > 0)
    return told


@FEW
@given(SCRIPT)
def test_time_moves_forward_and_lines_belong_to_living_incidents(known: Inventory, script: Script) -> None:
    """Whatever fails and mends: times are in order, each line is in at most one incident, which lives; the same rounds
    tell the same story."""
    first = story(Engine(known, CorrelationSettings()), rounds(known, script))
    assert story(Engine(known, CorrelationSettings()), rounds(known, script)) == first


@FEW
@given(SCRIPT, st.integers(1, 1000))
def test_the_order_of_rows_does_not_matter(known: Inventory, script: Script, shuffle: int) -> None:
    """Rows of one moment in any order are the same incidents."""
    first = story(Engine(known, CorrelationSettings()), rounds(known, script))
    assert story(Engine(known, CorrelationSettings()), rounds(known, script, shuffle)) == first


@FEW
@given(SCRIPT, st.integers(0, 100))
def test_cut_in_two_and_restored_it_tells_the_same(known: Inventory, script: Script, where: int) -> None:
    """Saved and restored at any moment, also in the middle of an outage: the same incidents, ids and revisions."""
    whole = rounds(known, script)
    cut = where % len(whole)
    first, second = Engine(known, CorrelationSettings()), Engine(known, CorrelationSettings())
    expected = story(first, whole)
    told = story(second, whole[:cut])
    again = Engine.restore(known, CorrelationSettings(), second.snapshot())
    assert told + story(again, whole[cut:]) == expected
