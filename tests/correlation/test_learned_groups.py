"""Groups that routers and sessions tell while running: named as causes, kept over restart and reload, bounded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from correlation.engine import Engine
from monitor.inventory import groups as module
from tests.correlation.net import Net, inventory, rows


def taught(tmp_path: Path, name: str = "firmware:AX200-9.9", lines: int = 60, **more: object) -> tuple[Net, np.ndarray]:
    """A quiet network; `lines` of it, from all over, have told of a group that the file does not know."""
    net = Net(inventory(tmp_path, rows()), **more)  # type: ignore[arg-type]
    some = np.sort(net.rng.choice(len(net.inventory), lines, replace=False))
    net.run(60)
    for line in some.tolist():
        net.say("group_assigned", net.inventory.line_id(line), name)
    net.run(20)
    return net, some


def members(engine: Engine, name: str) -> list[str]:
    groups = engine.inventory.groups
    group = groups.index_of(name)
    return [] if group is None else sorted(engine.inventory.line_id(line) for line in groups.lines_of(group).tolist())


def test_a_firmware_that_the_file_does_not_know_is_named(tmp_path: Path) -> None:
    """Routers have upgraded themselves; the new version kills them all over the network: it is named, not their ports,
    and with the lines that have it, not with those that had it by the file."""
    net, some = taught(tmp_path, slices=2)
    net.down[some] = True
    net.run(600)
    assert net.scopes() == ["firmware:AX200-9.9"]
    assert net.living()[0].lines_affected == some.size
    assert net.living()[0].lines_at_risk == some.size
    assert net.inventory.groups.index_of("firmware:AX200-9.9") is None  # the engine's own is learned, not the file's


def test_a_cell_that_took_over_is_named(tmp_path: Path) -> None:
    """Sessions moved to another cell fail with that one."""
    net, some = taught(tmp_path, "cell:c-77")
    net.down[some] = True
    net.run(120)
    assert net.scopes() == ["cell:c-77"]


def test_lines_that_come_back_with_another_firmware_are_back(tmp_path: Path) -> None:
    """An upgrade takes all lines of a version down and has brought a third of them back with a new one: nothing opens
    for the old one while they return, though its group then holds only those that are still dead."""
    net = Net(inventory(tmp_path, rows()), slices=2)
    net.run(80)
    group = net.inventory.groups.index_of("firmware:AX200-7.1")
    assert group is not None
    lines = net.inventory.groups.lines_of(group)
    net.down[lines] = True
    net.run(150)
    for line in lines[::3].tolist():
        net.down[line] = False
        net.say("group_assigned", net.inventory.line_id(line), "firmware:AX200-7.2")
    net.run(130)
    assert len(members(net.engine, "firmware:AX200-7.1")) == np.count_nonzero(net.down)
    assert net.ever() == {}


def test_it_survives_restart_and_reload(tmp_path: Path) -> None:
    """Restored from a snapshot it knows the same and goes on the same; with another inventory each line keeps what its
    router said, unless the file has given the line another router; a line that is gone is left out."""
    table = [row | {"cpe_serial": f"S{i}"} for i, row in enumerate(rows())]
    known = inventory(tmp_path, table)
    net = Net(known)
    net.run(40)
    some = [known.line_id(line) for line in range(0, 512, 9)]
    for line_id in some:
        net.say("group_assigned", line_id, "firmware:AX200-9.9")
        net.say("group_assigned", line_id, "bng:b-2")
    net.run(20)
    assert members(net.engine, "firmware:AX200-9.9") == members(net.engine, "bng:b-2") == sorted(some)

    again = Engine.restore(known, net.engine.settings, net.engine.snapshot(), net.references)
    assert members(again, "firmware:AX200-9.9") == sorted(some)
    first, second = net.engine.snapshot(), again.snapshot()
    learned = [name for name in first if name.startswith("groups_")]
    assert len(learned) == 5
    assert all(np.array_equal(first[name], second[name]) for name in learned)

    swapped, gone = some[3], some[5]
    newer = [
        row | ({"cpe_serial": "another"} if row["line_id"] == swapped else {})
        for row in reversed(table)
        if row["line_id"] != gone
    ]
    (tmp_path / "newer").mkdir()
    again.reload(replace(inventory(tmp_path / "newer", newer), generation=2))
    assert members(again, "firmware:AX200-9.9") == sorted(set(some) - {swapped, gone})
    assert members(again, "bng:b-2") == sorted(set(some) - {gone})  # that was its session, not its router
    own = table[int(swapped[1:])]
    assert swapped in members(again, f"firmware:{own['cpe_model']}-{own['cpe_firmware']}")


def test_versions_without_end_are_bounded_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 names from one line and one from each of many: no more than the bound are ever kept, what many have in
    common stays and is still named, and what cannot be used is counted."""
    monkeypatch.setattr(module, "MAX_LEARNED", 300)
    net, some = taught(tmp_path, slices=2)
    liar = net.inventory.line_id(next(i for i in range(512) if i not in some))
    for number in range(10_000):
        net.say("group_assigned", liar, f"firmware:AX200-{number}.{number}")
    net.step()
    groups = net.engine.inventory.groups
    assert len(groups) - groups.filed <= 300
    others = [i for i in range(512) if i not in some]
    for number in range(5):
        for line in others:
            net.say("group_assigned", net.inventory.line_id(line), f"firmware:X-{line}-{number}")
        net.step()
    groups = net.engine.inventory.groups
    assert len(groups) - groups.filed <= 300
    net.down[some] = True
    net.run(600)
    assert net.scopes() == ["firmware:AX200-9.9"]

    for value in ("duct:d-1", "firmware", "firmware:" + "9" * 500, "firmware:a\nb"):
        net.say("group_assigned", liar, value)
    events, net.events = net.events, []
    refused = net.engine.step(net.now, [], events).stats.refused
    assert refused == {"unknown_group_kind": 2, "unusable_group_name": 2}


def test_groups_of_many_that_fill_the_bound_refuse_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When every learned group has lines enough to be a cause, none of them makes room: the next is counted."""
    monkeypatch.setattr(module, "MAX_LEARNED", 4)
    net = Net(inventory(tmp_path, rows()))
    for line in range(12):
        net.say("group_assigned", net.inventory.line_id(line), f"firmware:V-{line // 3}")
    net.say("group_assigned", net.inventory.line_id(100), "firmware:V-next")
    events, net.events = net.events, []
    assert net.engine.step(net.now, [], events).stats.refused == {"too_many_groups": 1}
    assert len(members(net.engine, "firmware:V-0")) == 3


def test_a_line_that_is_down_stays_with_those_it_fell_with(tmp_path: Path) -> None:
    """What a dead line is said to have counts once it is up again, also when the engine was restored in between."""
    net = Net(inventory(tmp_path, rows()))
    net.run(60)
    net.down[7] = True
    net.run(60)
    line_id = net.inventory.line_id(7)
    before = net.engine.inventory.groups.named(7, "firmware")
    net.say("group_assigned", line_id, "firmware:AX200-9.9")
    net.run(20)
    assert net.engine.inventory.groups.named(7, "firmware") == before
    net.engine = Engine.restore(net.inventory, net.engine.settings, net.engine.snapshot(), net.references)
    net.down[7] = False
    net.run(60)
    assert members(net.engine, "firmware:AX200-9.9") == [line_id]
