"""What every collector promises (collectors.base), each shown on every one of the registry."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collectors.base import Collector
from collectors.registry import COLLECTORS, build
from monitor.app.settings import Settings
from monitor.inventory import Inventory
from monitor.records import LineValues, ProbeRound, TargetKind, ValueKind
from tests.collectors.rig import Rig, small_inventory, until
from tests.collectors.worlds import WORLDS, World

pytestmark = pytest.mark.server


@pytest.fixture(params=sorted(COLLECTORS))
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def world(name: str) -> World:
    return WORLDS[name]


async def ended(task: "asyncio.Task[None]") -> float:
    """Cancel, wait, and tell how long that took (s)."""
    begin = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - begin


def brought(rig: Rig) -> "list[ProbeRound | LineValues]":
    return [*rig.sink.rounds, *rig.sink.values]


def check(item: "ProbeRound | LineValues", inventory: Inventory, source: str) -> None:
    """One thing a collector gave is as monitor.records says."""
    count = len(item)
    assert item.generation == inventory.generation
    assert item.at_ns.dtype == np.int64
    assert item.at_ns.shape == (count,)
    assert (np.abs(item.at_ns - time.time_ns()) < 60_000_000_000).all()
    if isinstance(item, LineValues):
        assert (item.line.dtype, item.kind.dtype, item.value.dtype) == (np.int32, np.uint8, np.float32)
        assert item.line.shape == item.kind.shape == item.value.shape == (count,)
        assert ((item.line >= 0) & (item.line < len(inventory))).all()
        assert set(item.kind.tolist()) <= {int(kind) for kind in ValueKind}
        assert np.isfinite(item.value).all()
        return
    assert item.source == source
    assert (item.target.dtype, item.sent.dtype, item.received.dtype) == (np.int32, np.uint16, np.uint16)
    assert item.rtt_ms.dtype == np.float32
    assert item.target.shape == item.sent.shape == item.received.shape == item.rtt_ms.shape == (count,)
    if item.kind is TargetKind.LINE:
        assert ((item.target >= 0) & (item.target < len(inventory))).all()
    assert (item.received <= item.sent).all()
    assert (np.isnan(item.rtt_ms) == (item.received == 0)).all()
    for column in (item.rtt_min_ms, item.rtt_max_ms, item.jitter_ms):
        assert column is None or (column.dtype == np.float32 and column.shape == (count,))


def test_every_collector_is_configured_and_tested_here() -> None:
    """Each collector of the registry has a table of its name in the configuration and a world in this suite."""
    assert set(WORLDS) == set(COLLECTORS)
    for one in COLLECTORS:
        assert hasattr(Settings(), one)
        assert isinstance(getattr(Settings(), one).enabled, bool)


def test_a_wrong_setting_is_refused_by_name(name: str, world: World, rig: Rig) -> None:
    """The constructor raises a ValueError that names the setting, as the configuration file has it."""
    with pytest.raises(ValueError, match=rf"{name}\."):
        build(name, world.wrong(), rig.context)


def test_it_can_be_asked_at_any_time(name: str, world: World, rig: Rig, tmp_path: Path) -> None:
    """Before it runs: it has its name and a health, and takes a reload and a changed address without a word."""
    with world.works(tmp_path / "source") as settings:
        collector = build(name, settings, rig.context)
        assert collector.name == name
        assert collector.health().name == name
        collector.reload()
        collector.rebound([0, 1])
        assert brought(rig) == []


async def test_what_it_brings_is_well_formed(name: str, world: World, rig: Rig, tmp_path: Path) -> None:
    """Rounds and values have the columns, types and generation that the records promise, and its health is good."""
    with world.works(tmp_path / "source") as settings:
        collector = build(name, settings, rig.context)
        task = asyncio.create_task(collector.run())
        async with world.speaking(settings):
            await until(lambda: len(brought(rig)) >= 3, what="three rounds or values")
            health = collector.health()
            assert health.ok, health.text
            assert health.last_ns is not None
        await ended(task)
    for item in brought(rig):
        check(item, rig.inventory, rig.context.source)
    assert rig.troubles() == []


async def test_a_reload_is_followed(name: str, world: World, rig: Rig, tmp_path: Path) -> None:
    """After a reload everything new is of the new generation, and nothing is of rows it does not have."""
    with world.works(tmp_path / "source") as settings:
        collector = build(name, settings, rig.context)
        task = asyncio.create_task(collector.run())
        async with world.speaking(settings):
            await until(lambda: len(brought(rig)) >= 2, what="data before the reload")
            before = len(rig.sink.rounds), len(rig.sink.values)
            rig.reload(small_inventory(tmp_path, 3, generation=2))
            collector.reload()
            collector.rebound([0, 2])

            def newer() -> list[Any]:
                return [*rig.sink.rounds[before[0] :], *rig.sink.values[before[1] :]]

            await until(lambda: sum(item.generation == 2 for item in newer()) >= 2, what="data after the reload")
        await ended(task)
    for item in newer():
        if item.generation == 2:
            check(item, rig.inventory, rig.context.source)
    # What was under way at the reload may still be of the old one (the engine refuses it), but nothing after.
    generations = [item.generation for item in newer()]
    assert generations == sorted(generations)


async def test_it_ends_when_it_is_cancelled_and_leaves_nothing(
    name: str, world: World, rig: Rig, tmp_path: Path
) -> None:
    """Cancelled at any moment it ends within seconds, leaves no task and no open file, and can be run again."""
    with world.works(tmp_path / "source") as settings:
        # Once for what the first use of a library keeps for good.
        await run_for(build(name, settings, rig.context), 0.5)
        tasks, files = asyncio.all_tasks(), open_files()
        for moment_s in (0.0, 0.02, 0.3, 1.0):
            collector = build(name, settings, rig.context)
            assert await run_for(collector, moment_s) < 8
            collector.reload()
            collector.rebound([1])
            assert collector.health().name == name
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == tasks
        assert open_files() <= files
        seen = len(brought(rig))
        again = asyncio.create_task(collector.run())
        async with world.speaking(settings):
            await until(lambda: len(brought(rig)) > seen, what="data from the second run")
        await ended(again)


def open_files() -> int:
    """How many files and sockets this process has open; 0 where that cannot be told."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


async def run_for(collector: Collector, seconds: float) -> float:
    """Run, cancel after some time; how long the end took (s)."""
    task = asyncio.create_task(collector.run())
    await asyncio.sleep(seconds)
    return await ended(task)


async def test_a_source_that_cannot_be_reached_is_said_once(
    name: str, world: World, rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs on, its health says what is wrong, and the log has one line about it however often it tries."""
    collector = build(name, world.away(tmp_path), rig.context)
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(collector.run())
        await until(rig.troubles, what="the trouble")
        await asyncio.sleep(2.5)
        assert not task.done()
    health = collector.health()
    assert not health.ok
    assert health.text
    await ended(task)
    assert len(rig.troubles()) == 1
    assert len(caplog.records) == 1, [record.getMessage() for record in caplog.records]
    for item in rig.sink.rounds:
        check(item, rig.inventory, rig.context.source)
        assert (item.sent == 0).all()  # nothing is known, so nothing is said to have failed
