"""What a fleet can suffer, told in each dialect through a real broker: one story, six kinds of routers."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings, UspSettings
from monitor.lab.fleet import Dialect, Fleet, Router
from monitor.lab.servers import Mosquitto
from monitor.records import ValueKind
from tests.collectors.rig import Rig, small_inventory, until

pytestmark = pytest.mark.server

LOGIN = "ERROR_AUTHENTICATION_FAILURE"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """One for each: what the routers of another left behind is retained."""
    with Mosquitto(tmp_path / "broker") as server:
        yield server


class Story:
    """A collector, and a fleet of two routers that are told to suffer. `v5`: of a USP router's own MQTT, and of the
    collector's; the others always speak 3.1.1 themselves."""

    def __init__(self, folder: Path, broker: Mosquitto, router: Router) -> None:
        usp = UspSettings(enabled=True, periodic_s=1, bulk_s=1, answer_s=2.0, missed=4)
        name = f"{router.dialect}-{router.technology}-{router.v5}"
        protocol = "5" if router.v5 else "3.1.1"
        settings = CpeSettings(host=broker.host, port=broker.port, client_id=name, protocol=protocol, usp=usp)  # type: ignore[arg-type]
        self.rig = Rig(small_inventory(folder, 3))
        self.collector = CpeCollector(settings, self.rig.context)
        others = Router("S2", router.technology, router.dialect, v5=router.v5)
        self.fleet = Fleet(folder, broker.host, broker.port, [router, others], period_s=0.5, return_s=0.1)

    def told(self, kind: str, subject: str = "L1") -> list[str]:
        return [event.value for event in self.rig.sink.of_kind(kind) if event.subject == subject]

    def values(self, kind: ValueKind, line: int) -> list[float]:
        return [
            float(value)
            for columns in self.rig.sink.values
            for row, k, value in zip(columns.line, columns.kind, columns.value, strict=True)
            if (row, k) == (line, kind)
        ]

    async def do(self, act: Callable[..., None], *more: object) -> None:
        await asyncio.to_thread(act, ["S1"], *more)

    async def after(self, kind: str, act: Callable[..., None], *more: object, value: str | None = None) -> None:
        """Let it happen, and wait until one more event of this kind (with this value) is told of it."""
        count = lambda: len([v for v in self.told(kind) if value is None or v == value])  # noqa: E731
        before = count()
        await self.do(act, *more)
        await until(lambda: count() > before, what=f"{kind} {value or ''}")


@pytest.mark.parametrize("technology", ["gpon", "dsl"])
@pytest.mark.parametrize(("dialect", "v5"), [("json", True), ("bulk", False), ("usp", True), ("usp", False)])
async def test_what_happens_to_a_router_is_told(
    broker: Mosquitto, tmp_path: Path, dialect: Dialect, technology: str, v5: bool
) -> None:
    """Drift, lost light, a failed login, a boot with its cause, a factory reset, new firmware, a cut line, silence and
    return: each is told of the router that it happened to, and nothing of its neighbour."""
    story = Story(tmp_path, broker, Router("S1", technology, dialect, v5=v5))
    fleet, line = story.fleet, story.rig.inventory.by_serial("S1")[0]
    level = ValueKind.RX_POWER_DBM if technology == "gpon" else ValueKind.SNR_DB
    task = asyncio.create_task(story.collector.run())
    try:
        await until(lambda: story.collector.health().ok, what="the connection")
        await asyncio.to_thread(fleet.start)
        await until(lambda: len(story.values(level, line)) >= 2, what="two reports")
        await until(lambda: story.told("group_assigned") == ["cpe:SimRouter", "firmware:SimRouter-1.2.3"])
        first = story.values(level, line)[0]
        await story.do(fleet.fade, 200.0)  # dB a minute
        await until(lambda: story.values(level, line)[-1] < first - 3, what="a fading signal")
        await story.do(fleet.fade, 0.0)
        await until(lambda: story.values(level, line)[-1] > first - 1.5, what="its end")
        await story.after("los", fleet.lose_light)
        await story.after("los_cleared", fleet.lose_light, False)
        await story.after("login_rejected", fleet.fail_login, value=LOGIN)
        await story.after("login_accepted", fleet.fail_login, False)
        # A bulk report has no word for a boot: its uptime tells of it.
        await story.after("cpe_boot", fleet.reboot, 0.2, value="uptime" if dialect == "bulk" else "LocalReboot")
        if dialect == "usp":
            # Its subscription to Boot! is gone too; it is set up again because it connects anew.
            done = story.rig.count("cpe_usp_provisioned_total")
            await story.do(fleet.factory_reset, 0.2)
            await until(lambda: story.rig.count("cpe_usp_provisioned_total") > done, what="set up again")
        elif dialect == "json":
            await story.after("cpe_boot", fleet.factory_reset, 0.2, value="FactoryReset")
        await story.after("firmware_changed", fleet.update, "2.0", 0.2, value="2.0")
        await until(lambda: story.told("group_assigned")[-1] == "firmware:SimRouter-2.0", what="its group")
        offline = "missed" if dialect == "usp" else ""
        await story.after("cpe_offline", fleet.cut, value=offline)
        await story.after("cpe_online", fleet.restore)
        if dialect == "usp":
            await story.after("cpe_offline", fleet.hang, value="missed")
            await story.after("cpe_online", fleet.hang, False)
        neighbour = {event.kind for event in story.rig.sink.events if event.subject == "L2"}
        assert neighbour == {"cpe_online", "group_assigned"}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(Exception):
            await asyncio.to_thread(fleet.stop)
