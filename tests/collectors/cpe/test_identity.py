"""What a router says of its model and version becomes groups of its line, in every dialect, and within bounds."""

import json
from pathlib import Path

import pytest

from collectors.cpe.identity import MAX_NAME, PER_DAY
from collectors.cpe.settings import CpeSettings
from correlation.engine import Engine
from monitor.inventory import load_inventory
from monitor.lab.usp.agent import Agent
from tests.collectors.cpe.test_controller import UspBench, row
from tests.collectors.cpe.test_reader import START_NS, Bench
from tests.collectors.rig import RecordingSink

HEADER = "line_id,path,cpe_serial,cpe_model,cpe_firmware"
ROWS = ("L0,n/e,S0,AX 200,7.1", "L1,n/e,S1,,", "L2,n/e,S2,BX9,")


def bench(folder: Path, **settings: object) -> Bench:
    made = Bench(folder, CpeSettings(**{"max_messages": 1000, **settings}), RecordingSink())  # type: ignore[arg-type]
    path = folder / "models.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    made.rig.reload(load_inventory(path, generation=2))
    return made


def joined(made: Bench) -> list[tuple[str, str]]:
    return [(e.subject, e.value) for e in made.sink.of_kind("group_assigned")]


async def test_model_and_version_become_groups_once(tmp_path: Path) -> None:
    """Plain JSON and BulkData: the groups that are news are told, once; what the file says already is not, and its
    spelling of a model stays; where the router names no model the file's is taken."""
    made = bench(tmp_path)
    for _ in range(2):
        made.send("S0/telemetry/state", {"model": "ax200", "firmware": "7.1"})
        made.send("S1/telemetry/state", {"model": "CX1", "firmware": "3.0", "uptime_s": 9})
        bulk = {"Device.DeviceInfo.SoftwareVersion": "5.5", "Device.DeviceInfo.UpTime": 7}
        made.send("S2/telemetry/bulk", {"Report": [bulk]})
        await made.pass_s(0.1)
    assert joined(made) == [("L1", "cpe:CX1"), ("L1", "firmware:CX1-3.0"), ("L2", "firmware:BX9-5.5")]
    made.sink.events.clear()
    made.send("S0/telemetry/state", {"firmware": "7.2"})
    made.send("S2/telemetry/bulk", {"Report": [{"Device.DeviceInfo.ModelName": "Other"}]})
    await made.pass_s(0.1)
    assert joined(made) == [("L0", "firmware:AX 200-7.2"), ("L2", "cpe:Other"), ("L2", "firmware:Other-5.5")]
    assert [(e.subject, e.value) for e in made.sink.of_kind("firmware_changed")] == [("L0", "7.2")]
    assert len({e.event_id for e in made.sink.events}) == len(made.sink.events)


async def test_the_engine_learns_them_and_the_collector_knows(tmp_path: Path) -> None:
    """Given to an engine they are the line's groups; a collector that starts afresh on that engine's inventory has no
    news of them."""
    made = bench(tmp_path)
    engine = Engine(made.rig.inventory)
    for serial, model in (("S0", "AX200"), ("S1", "CX1")):
        made.send(f"{serial}/telemetry/state", {"model": model, "firmware": "9"})
    await made.pass_s(0.1)
    assert engine.step(START_NS, [], made.sink.events).stats.refused == {}
    assert engine.inventory.line(0).groups == ("cpe:AX 200", "firmware:AX 200-9")
    assert engine.inventory.line(1).groups == ("cpe:CX1", "firmware:CX1-9")
    made.rig.reload(engine.inventory)
    made.sink.events.clear()
    for serial, model in (("S0", "AX200"), ("S1", "CX1")):
        made.send(f"{serial}/telemetry/state", {"model": model, "firmware": "9"})
    await made.pass_s(0.1)
    assert joined(made) == []


async def test_a_boot_tells_the_version(tmp_path: Path) -> None:
    """The parameters that a USP agent sends with Boot! count; nonsense in their place does not hide the boot."""
    made = UspBench(tmp_path)

    def boot(told: str) -> bytes:
        sent: list[bytes] = []
        agent = Agent("os::02FA17-S1", "self::faultline", dict, sent.append, lambda *_: None)
        agent.model.add("Device.LocalAgent.Subscription.", row("Device.Boot!"))
        agent.event("Device.", "Boot!", {"Cause": "LocalReboot", "ParameterMap": told})
        return sent.pop()

    names = {"Device.DeviceInfo.ModelName": "AX1", "Device.DeviceInfo.SoftwareVersion": "2.0"}
    made.say("S1", boot(json.dumps(names)))
    made.say("S1", boot("[1"))
    await made.pass_s(0.1)
    assert joined(made) == [("L1", "cpe:AX1"), ("L1", "firmware:AX1-2.0")]
    assert len(made.sink.of_kind("cpe_boot")) == 2
    assert made.dropped("not_json") == 1
    await made.controller.close()


async def test_a_router_with_a_thousand_names_is_not_believed(tmp_path: Path) -> None:
    """After some changes a day the rest is counted and changes nothing; so are names without end. The next day the
    router may be called something else again."""
    made = bench(tmp_path)
    for number in range(500):
        made.send("S0/telemetry/state", {"firmware": f"0.{number}"})
    await made.pass_s(0.5)
    assert len(joined(made)) == PER_DAY
    assert made.dropped("too_many_names") == 500 - PER_DAY
    made.send("S1/telemetry/state", {"model": "M" * (MAX_NAME + 1), "firmware": "1"})
    await made.pass_s(0.1)
    assert made.dropped("implausible") == 1
    assert len(joined(made)) == PER_DAY
    await made.clock.advance(86400)
    made.send("S0/telemetry/state", {"firmware": "1.0"})
    await made.pass_s(0.1)
    assert joined(made)[-1] == ("L0", "firmware:AX 200-1.0")


async def test_what_had_to_be_dropped_is_told_with_the_next_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report of QoS 0 that the engine had no room for does not leave the line in the old group for ever."""
    monkeypatch.setattr("collectors.cpe.handover.MAX_WAITING", 0)
    made = bench(tmp_path)
    made.sink.full = True
    made.send("S0/telemetry/state", {"firmware": "7.2"}, qos=0)
    await made.pass_s(0.1)
    made.sink.full = False
    assert made.dropped("engine_behind") == 1
    made.send("S0/telemetry/state", {"firmware": "7.2"}, qos=0)
    await made.pass_s(0.1)
    assert joined(made) == [("L0", "firmware:AX 200-7.2")]
