"""`faultline cpe` against a real broker and simulated routers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from monitor.app.cli import run
from monitor.lab.fleet import Fleet, Router
from monitor.lab.servers import Mosquitto

pytestmark = pytest.mark.server


class World(NamedTuple):
    config: str
    broker: Mosquitto


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three agents (MQTT 5, MQTT 3.1.1, one that is away) and a router that speaks JSON."""
    folder = tmp_path_factory.mktemp("cpe")
    rows = [f"L{i},north/ex-1/olt-1/pon-1,S{i},os::02FA17-S{i}" for i in range(3)] + ["L3,north/ex-1/olt-1/pon-1,S3,"]
    (folder / "inventory.csv").write_text("\n".join(["line_id,path,cpe_serial,cpe_endpoint", *rows]) + "\n")
    routers = [Router("S0", "gpon", "usp"), Router("S1", "dsl", "usp", v5=False), Router("S3")]
    with Mosquitto(folder / "broker") as broker, Fleet(folder, broker.host, broker.port, routers, period_s=0.5):
        config = folder / "faultline.toml"
        config.write_text(
            '[inventory]\nfile = "inventory.csv"\n[store]\nfolder = "data"\n'
            f'[cpe]\nenabled = true\nhost = "127.0.0.1"\nport = {broker.port}\n[cpe.usp]\nenabled = true\n'
        )
        yield World(str(config), broker)


def cpe(world: World, command: str, *rest: str) -> int:
    return run(["cpe", command, "--config", world.config, *rest])


def test_list_shows_who_is_there(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Agents that answer with model and firmware, routers the broker knows; the silent ones on demand."""
    assert cpe(world, "list", "--json", "--all", "--timeout", "1.5") == 0
    rows = {row["serial"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {serial: row["state"] for serial, row in rows.items()} == {
        "S0": "answers",
        "S1": "answers",
        "S2": "silent",
        "S3": "online",
    }
    assert (rows["S1"]["model"], rows["S1"]["firmware"]) == ("SimRouter", "1.2.3")


@pytest.mark.parametrize("key", ["os::02FA17-S0", "S1", "L1"])
def test_get_reads_and_hides_secrets(world: World, capsys: pytest.CaptureFixture[str], key: str) -> None:
    """By endpoint, serial or line; on both MQTT versions; a passphrase never reaches the terminal."""
    assert cpe(world, "get", key, "Device.DeviceInfo.SoftwareVersion", "Device.WiFi.") == 0
    out = capsys.readouterr().out
    assert "Device.DeviceInfo.SoftwareVersion 1.2.3\n" in out
    assert "Device.WiFi.AccessPoint.1.Security.KeyPassphrase ********\n" in out
    assert "battery" not in out


def test_set_and_operate(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed passphrase is not echoed and stands in the audit trail without its value; a refused one exits 1 with
    its code."""
    path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
    assert cpe(world, "set", "S0", f"{path}=another long secret") == 0
    assert capsys.readouterr().out == f"{path} ********\n"
    assert cpe(world, "set", "S0", f"{path}=short") == 1
    assert "7012" in capsys.readouterr().err
    assert cpe(world, "operate", "S1", "Device.SelfDestruct()") == 1
    assert "7026" in capsys.readouterr().err
    assert cpe(world, "operate", "S0", "Device.IP.Diagnostics.IPPing", "Host=192.0.2.1", "--wait", "0") == 0
    assert "accepted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["get", "S2", "Device.DeviceInfo.", "--timeout", "0.3"], 1, "does not answer"),
        (["get", "NOBODY", "Device.DeviceInfo."], 2, "no line of the inventory"),
        (["get", "S3", "Device.DeviceInfo.", "--timeout", "0.3"], 1, "cpe_endpoint"),
        (["get", "S0", "Device.Nothing."], 1, "7026"),
        (["set", "S0", "nonsense"], 2, "NAME=VALUE"),
        (["set", "S0", "nonsense=1"], 2, "no parameter"),
    ],
)
def test_what_goes_wrong_is_one_line(
    world: World, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    """Exit code and one line on standard error for each mistake."""
    assert cpe(world, *arguments) == code
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_watch_ends_with_its_reader(world: World) -> None:
    """In a pipe whose reader has seen enough it ends at once, without a word about the broker."""
    command = [sys.executable, "-m", "monitor.app", "cpe", "watch", "--config", world.config, "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert watching.stdout.readline()
        watching.stdout.close()
        assert watching.stderr.read() == b""
        assert watching.wait(20) in (0, 141)


def test_watch_shows_reports(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages of one router are shown as they come, and it ends when told."""
    assert cpe(world, "watch", "S3", "--seconds", "2") == 0
    assert "rx_power_dbm=" in capsys.readouterr().out
