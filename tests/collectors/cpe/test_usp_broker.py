"""The USP controller and simulated agents over a real mosquitto, on both MQTT versions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from collectors.cpe.asking import AgentError
from collectors.cpe.collector import CpeCollector
from collectors.cpe.controller import Controller
from collectors.cpe.settings import CpeSettings, UspSettings
from collectors.cpe.usp import calls
from monitor.lab.fleet import Fleet, Router
from monitor.lab.servers import Mosquitto
from monitor.records import ValueKind
from tests.collectors.rig import Rig, small_inventory, until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker"), settings=("max_queued_messages 0",)) as server:
        yield server


def settings(broker: Mosquitto, protocol: str, **usp: object) -> CpeSettings:
    told = UspSettings(enabled=True, **{"periodic_s": 1, "bulk_s": 1, "answer_s": 1.0, "missed": 5.0, **usp})  # type: ignore[arg-type]
    return CpeSettings(
        host="127.0.0.1", port=broker.port, client_id=f"usp-{protocol}", protocol=protocol, batch_s=0.1, usp=told
    )  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(collector: CpeCollector) -> AsyncIterator[Controller]:
    task = asyncio.create_task(collector.run())
    try:
        await until(lambda: collector.health().ok, what="the connection")
        controller = collector.controller
        assert controller is not None
        yield controller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def fleet(folder: Path, broker: Mosquitto, routers: list[Router]) -> AsyncIterator[Fleet]:
    made = Fleet(folder, broker.host, broker.port, routers, period_s=1.0, return_s=0.2)
    await asyncio.to_thread(made.start)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.stop)


def agents(count: int, *, v5: bool, technology: str = "gpon") -> list[Router]:
    return [Router(f"S{i}", technology, "usp", v5=v5) for i in range(count)]


def kinds(rig: Rig) -> set[int]:
    return {int(kind) for columns in rig.sink.values for kind in columns.kind.tolist()}


def told(rig: Rig, kind: str) -> list[tuple[str, str]]:
    return [(event.subject, event.value) for event in rig.sink.of_kind(kind)]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_agents_are_set_up_and_their_life_is_told(broker: Mosquitto, tmp_path: Path, protocol: str) -> None:
    """On first contact an agent is provisioned, its bulk reports become values; a lost light, a failed login, a boot, a
    factory reset (which wipes all) and silence become events, and it is set up again."""
    rig = Rig(small_inventory(tmp_path, 10))
    collector = CpeCollector(settings(broker, protocol), rig.context)
    async with running(collector) as controller, fleet(tmp_path, broker, agents(4, v5=protocol == "5")) as routers:
        done = lambda: rig.count("cpe_usp_provisioned_total")  # noqa: E731
        await until(lambda: done() >= 4, what="four agents set up")
        await until(lambda: ValueKind.RX_POWER_DBM in kinds(rig), what="optical power")
        power = [
            v for c in rig.sink.values for k, v in zip(c.kind, c.value, strict=True) if k == ValueKind.RX_POWER_DBM
        ]
        assert all(-40 < value < -8 for value in power)
        answer = await controller.ask(rig.inventory.by_serial("S1")[0], calls.get(["Device.LocalAgent.Subscription."]))
        assert answer.get_resp is not None
        assert len(answer.get_resp.req_path_results[0].resolved_path_results) == 6

        await until(lambda: rig.count("cpe_usp_records_total", kind="push") > 4, what="bulk reports")
        await asyncio.to_thread(routers.lose_light, ["S1"])
        await asyncio.to_thread(routers.fail_login, ["S2"])
        await until(lambda: told(rig, "los") and told(rig, "login_rejected"), what="LOS and a rejected login")
        assert ("L1", "") in told(rig, "los")
        assert ("L2", "ERROR_AUTHENTICATION_FAILURE") in told(rig, "login_rejected")
        await asyncio.to_thread(routers.lose_light, ["S1"], False)
        await until(lambda: ("L1", "") in told(rig, "los_cleared"), what="light again")

        before = done()
        await asyncio.to_thread(routers.update, ["S0"], "2.0.0", 0.2)
        await until(lambda: ("L0", "LocalReboot") in told(rig, "cpe_boot"), what="a boot with its cause")
        await until(lambda: ("L0", "2.0.0") in told(rig, "firmware_changed"), what="new firmware")
        await asyncio.to_thread(routers.factory_reset, ["S3"], 0.2)
        await until(lambda: done() >= before + 2, what="set up again")
        pushed = rig.count("cpe_usp_records_total", kind="push")
        await until(lambda: rig.count("cpe_usp_records_total", kind="push") > pushed + 8, what="reports of all four")

        await asyncio.to_thread(routers.hang, ["S1"])
        await until(lambda: ("L1", "missed") in told(rig, "cpe_offline"), what="silence")
        await asyncio.to_thread(routers.hang, ["S1"], False)
        await until(lambda: told(rig, "cpe_online").count(("L1", "")) >= 2, what="heard again")
        assert {subject for subject, _ in told(rig, "cpe_offline")} == {"L1"}


async def test_requests_are_answered_or_refused_in_words(broker: Mosquitto, tmp_path: Path) -> None:
    """Get, Set, Operate: what comes back, per-path errors, an Error message, and the boot that follows a reboot."""
    rig = Rig(small_inventory(tmp_path, 10))
    collector = CpeCollector(settings(broker, "5"), rig.context)
    async with running(collector) as controller, fleet(tmp_path, broker, agents(1, v5=True, technology="dsl")):
        await until(lambda: rig.count("cpe_usp_provisioned_total") >= 1, what="set up")
        line = rig.inventory.by_serial("S0")[0]
        answer = await controller.ask(line, calls.get(["Device.Nothing.", "Device.DSL.Line.1.LinkStatus"]))
        assert answer.get_resp is not None
        wrong, right = answer.get_resp.req_path_results
        assert (wrong.err_code, right.resolved_path_results[0].result_params) == (7026, {"LinkStatus": "Up"})
        with pytest.raises(AgentError) as refused:
            await controller.ask(
                line, calls.set_([("Device.WiFi.AccessPoint.1.Security.", {"KeyPassphrase": "short"})])
            )
        assert refused.value.code == 7012
        with pytest.raises(AgentError) as refused:
            await controller.ask(line, calls.operate("Device.SelfDestruct()", {}, "k"))
        assert refused.value.code == 7026
        answer = await controller.ask(
            line, calls.operate("Device.IP.Diagnostics.IPPing()", {"Host": "192.0.2.1"}, "p1")
        )
        assert answer.operate_resp is not None
        assert answer.operate_resp.operation_results[0].req_obj_path
        await until(lambda: rig.count("cpe_usp_records_total", kind="oper_complete") == 1, what="the result")
        await controller.ask(line, calls.operate("Device.Reboot()", {}, "rb"))
        await until(lambda: ("L0", "RemoteReboot") in told(rig, "cpe_boot"), what="the boot")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_several_collectors_share_the_routers(broker: Mosquitto, tmp_path: Path, protocol: str) -> None:
    """With a share each report comes to one of two collectors, and answers to the one that asked."""
    rigs, tasks, collectors = [], [], []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rig = Rig(small_inventory(tmp_path / name, 10))
        told = msgspec.structs.replace(settings(broker, protocol), client_id=f"{name}-{protocol}", share=f"g{protocol}")
        collectors.append(CpeCollector(told, rig.context))
        rigs.append(rig)
        tasks.append(asyncio.create_task(collectors[-1].run()))
    try:
        await until(lambda: all(collector.health().ok for collector in collectors), what="both connections")
        routers = [*agents(6, v5=protocol == "5"), Router("S8"), Router("S9", "dsl", "bulk")]
        async with fleet(tmp_path, broker, routers):
            heard = lambda rig: rig.count("cpe_messages_total", kind="usp")  # noqa: E731
            await until(lambda: all(heard(rig) >= 40 for rig in rigs), what="records at both")
            pushes = lambda: sum(rig.count("cpe_usp_records_total", kind="push") for rig in rigs)  # noqa: E731
            await until(lambda: pushes() >= 6, what="reports")
            await until(lambda: sum(rig.count("cpe_usp_provisioned_total") for rig in rigs) >= 6, what="all set up")
            ids = [e.event_id for rig in rigs for e in rig.sink.of_kind("cpe_boot") if e.event_id]
            assert len(ids) == len(set(ids))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
