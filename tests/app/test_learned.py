"""What routers say of themselves, in a whole daemon: from a real broker into the line's groups, and through a kill."""

from pathlib import Path

import httpx
import pytest

from monitor.lab.fleet import Fleet, Router
from monitor.lab.servers import Mosquitto
from tests.app.rig import Rig, inventory_text, line_id

pytestmark = pytest.mark.server


def groups(rig: Rig, line: int) -> list[str]:
    found: list[str] = rig.get(f"/api/v1/lines/{line_id(0, line)}")["groups"]
    return found


def metric(rig: Rig, name: str) -> float:
    headers = {"Authorization": f"Bearer {rig.key}"}
    text = httpx.get(f"http://127.0.0.1:{rig.port}/metrics", headers=headers, trust_env=False, timeout=5).text
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)


def test_firmware_told_by_routers_survives_a_kill_and_a_reload(tmp_path: Path) -> None:
    """Routers that upgrade themselves (JSON, BulkData, USP) move to the groups of the new version; kill -9 right after,
    a start with the journal's tail, and a reloaded inventory change nothing."""
    dialects = ("json", "bulk", "usp")
    routers = [Router(f"S00{i:02d}", dialect=dialects[i], model="AX7") for i in range(3)]  # type: ignore[arg-type]
    with Mosquitto(tmp_path / "broker") as broker:
        rig = Rig(
            tmp_path,
            f'[cpe]\nenabled = true\nhost = "127.0.0.1"\nport = {broker.port}\n[cpe.usp]\nenabled = true\nbulk_s = 1\n',
        )
        fleet = Fleet(tmp_path, broker.host, broker.port, routers, period_s=1.0)
        with rig.wire:
            try:
                rig.start()
                fleet.start()
                old, new = (["cpe:AX7", f"firmware:AX7-{version}"] for version in ("1.2.3", "2.0"))
                for line in range(3):
                    rig.until(lambda line=line: groups(rig, line) == old, f"the version of {dialects[line]}")  # type: ignore[misc]
                fleet.update([router.serial for router in routers], "2.0", off_s=0.2)
                for line in range(3):
                    rig.until(lambda line=line: groups(rig, line) == new, f"the new one of {dialects[line]}")  # type: ignore[misc]
                rig.kill()
                fleet.hang([router.serial for router in routers])  # what is known now is what was kept
                rig.start()
                assert [groups(rig, line) for line in range(3)] == [new] * 3
                (tmp_path / "inventory.csv").write_text(inventory_text().replace("C0003", "C9999"))
                assert rig.daemon is not None
                rig.daemon.send_signal(1)
                rig.until(lambda: "inventory reloaded" in rig.log(), "the reload")
                assert [groups(rig, line) for line in range(3)] == [new] * 3
                assert groups(rig, 4) == []
                rig.post("/api/v1/events", {"subject": line_id(0, 4), "kind": "cpe_online", "value": "retained"})
                undated = 'faultline_refused_total{reason="undated_state"}'
                rig.until(lambda: metric(rig, undated) >= 1, "what the engine cannot use is counted")
                rig.until(lambda: metric(rig, "faultline_learned_groups") == 2, "learned groups are counted")
            finally:
                fleet.stop()
                rig.stop()
