"""The whole virtual provider: everything starts, every fault does what it says, and nothing is left behind."""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from collectors.icmp.wire import decode, encode
from monitor.inventory import load_inventory
from monitor.lab.process import LabError, tcp_answers
from monitor.lab.provider import PROBE_ANSWER, PROBE_NAME, VirtualProvider
from monitor.lab.responder import packed
from monitor.lab.servers import Mosquitto
from tests.lab.helpers import gone, kill, run_parent
from tests.lab.pings import ping_from, request
from tests.lab.test_servers import ask

ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
netns = [
    pytest.mark.netns,
    pytest.mark.skipif(not ROOT, reason="network namespaces need root on Linux"),
]
pytestmark = pytest.mark.server
MODES = [pytest.param(True, id="simulated"), pytest.param(False, id="namespaces", marks=netns)]


@pytest.fixture(scope="module", params=MODES)
def provider(request: pytest.FixtureRequest) -> Iterator[VirtualProvider]:
    # A short folder: the path of a Unix socket is limited.
    with (
        tempfile.TemporaryDirectory(prefix="lab") as folder,
        VirtualProvider(
            Path(folder), lines=600, seed=2, simulated=request.param, sessions=60, telemetry_s=1
        ) as provider,
    ):
        yield provider


def rtts(
    provider: VirtualProvider, *addresses: str, count: int = 2, wait_s: float = 0.3
) -> dict[str, list[float | None]]:
    """Ping as the prober would, in either kind of network."""
    if not provider.simulated:
        return ping_from(provider._network, *addresses, count=count, wait_s=wait_s)
    found: dict[str, list[float | None]] = {address: [None] * count for address in addresses}
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
    ):
        sock.bind(f"{folder}/p")
        sock.connect(provider.wire_socket)
        sock.settimeout(wait_s)
        for number in range(count):
            begun = time.monotonic()
            for address in addresses:
                sock.send(encode(4, packed(address), request(4, 5, number)))
            try:
                for _ in addresses:
                    frame = decode(sock.recv(4096))
                    address = socket.inet_ntoa(frame.address)
                    found[address][frame.packet[7]] = (time.monotonic() - begun) * 1000
            except TimeoutError:
                continue
    return found


def answering(provider: VirtualProvider, *addresses: str) -> set[str]:
    return {a for a, times in rtts(provider, *addresses).items() if any(t is not None for t in times)}


def eventually(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def some(addresses: list[str]) -> list[str]:
    """First, middle and last."""
    return sorted({addresses[0], addresses[len(addresses) // 2], addresses[-1]})


def test_everything_the_daemon_needs_is_there(provider: VirtualProvider) -> None:
    """Inventory, references, broker and both resolvers are as told, and the lines and references answer."""
    inventory = load_inventory(provider.inventory_file, elements_path=provider.elements_file)
    assert len(inventory) == 600
    assert tcp_answers(provider.broker.port)
    assert [r.name for r in provider.resolvers] == ["r1", "r2"]
    for resolver in provider.resolvers:
        answer = ask(resolver.port, PROBE_NAME)
        assert answer is not None
        assert answer[-4:] == socket.inet_aton(PROBE_ANSWER)
        assert inventory.groups.index_of(f"resolver:{resolver.name}") is not None
    assert bool(provider.prober_netns) != bool(provider.wire_socket)
    references = [r.address for r in provider.references]
    assert len(references) == 5
    assert all(inventory.elements.index_of(r.element) is not None for r in provider.references if r.element)
    assert answering(provider, *references) == set(references)
    lines = some(provider.isp.addresses(provider.targets.olt_lines))
    nodes = [node.address for node in provider.isp.nodes]
    assert answering(provider, *lines, *nodes) == {*lines, *nodes}


def test_outages_take_their_own_lines_and_give_them_back(provider: VirtualProvider) -> None:
    """All outages at once: their lines stop answering and their routers' sessions end, a neighbour goes on; healing one
    brings back its lines alone, healing all brings back everything."""
    isp, targets, fleet = provider.isp, provider.targets, provider.fleet
    lines = {
        "splitter": targets.splitter_lines,
        "olt": targets.olt_lines,
        "power": targets.power.lines,
        "dead": np.array([targets.dead]),
    }
    addresses = {key: some(isp.addresses(rows)) for key, rows in lines.items()}
    addresses["olt"].append(isp.nodes[targets.olt].address)
    in_fleet = {key: len(fleet.having(isp.serials(rows))) for key, rows in lines.items()}
    assert min(in_fleet.values()) > 0
    (well,) = isp.addresses([targets.slow])
    everyone = {a for some in addresses.values() for a in some}
    for key, rows in lines.items():
        fault = provider.faults[key]
        assert set(fault.lines) == set(isp.line_ids(rows))
        fault.inject()
    assert answering(provider, well, *everyone) == {well}
    assert fleet.status()["away"] == sum(in_fleet.values())
    eventually(lambda: fleet.status()["connected"] == 60 - sum(in_fleet.values()))
    provider.faults["power"].heal()
    assert answering(provider, *everyone) == set(addresses["power"])
    assert fleet.status()["away"] == sum(in_fleet.values()) - in_fleet["power"]
    for key in lines:
        provider.faults[key].heal()
    assert answering(provider, *everyone) == everyone
    eventually(lambda: fleet.status()["connected"] == 60)


def test_slow_and_unstable_lines(provider: VirtualProvider) -> None:
    """The slow line takes 80 ms more, the unstable one loses a part of its replies, and both get well."""
    isp, targets = provider.isp, provider.targets
    slow, unstable = isp.addresses([targets.slow, targets.unstable])
    provider.faults["slow"].inject()
    provider.faults["unstable"].inject()
    times = rtts(provider, slow)[slow]
    assert all(t is not None and t >= 80 for t in times)
    lost = sum(t is None for t in rtts(provider, unstable, count=40, wait_s=0.08)[unstable])
    assert 3 <= lost <= 30
    provider.faults["slow"].heal()
    provider.faults["unstable"].heal()
    assert all(t is not None for t in rtts(provider, unstable, count=10)[unstable])
    assert all(t is not None and t < 80 for t in rtts(provider, slow)[slow])
    assert provider.faults["slow"].scope == {"kind": "line", "name": isp.line_id(targets.slow)}


def test_the_silent_resolver(provider: VirtualProvider) -> None:
    """One resolver stops answering, the other goes on; thawed it answers again."""
    well, silent = provider.resolvers
    fault = provider.faults["resolver"]
    assert fault.scope == {"kind": "group", "name": f"resolver:{silent.name}"}
    fault.inject()
    assert ask(silent.port, PROBE_NAME) is None
    assert ask(well.port, PROBE_NAME) is not None
    fault.heal()
    assert ask(silent.port, PROBE_NAME) is not None


def test_the_blind_prober(provider: VirtualProvider) -> None:
    """Nothing answers the prober, while the routers' sessions stay up."""
    references = [r.address for r in provider.references]
    fault = provider.faults["blind"]
    assert fault.scope == {"kind": "source", "name": "default"}
    fault.inject()
    assert answering(provider, *references) == set()
    assert provider.fleet.status()["connected"] == 60
    fault.heal()
    assert answering(provider, *references) == set(references)


@pytest.mark.parametrize("simulated", MODES)
def test_nothing_is_left_when_the_parent_is_killed(simulated: bool) -> None:
    """SIGKILL of the parent in the middle of a fault ends every process that it and its children started."""
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        parent = run_parent(f"""
import pathlib, time
from monitor.lab.provider import VirtualProvider
provider = VirtualProvider(pathlib.Path({folder!r}), lines=300, simulated={simulated}, sessions=10)
provider.start()
provider.faults["resolver"].inject()
provider.faults["olt"].inject()
print("up", flush=True)
time.sleep(60)
""")
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        pids = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
        assert len(pids) == (5 if simulated else 6)
        kill(parent)
        assert gone(pids)


def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one part cannot start, the error says so, and the parts started before it are stopped."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        provider = VirtualProvider(Path(folder), lines=300, simulated=True, sessions=5)
        with pytest.raises(LabError, match="not running"):
            assert provider.faults
        monkeypatch.setattr(provider._wire, "socket_path", Path("/" + "x" * 200))
        with pytest.raises(LabError, match="shorter folder"):
            provider.start()
        after = {child.pid for child in psutil.Process().children(recursive=True)}
        assert after == before
        provider.stop()


def test_stopping_ends_everything() -> None:
    """After the with block no process of the provider is left, and stopping again is harmless."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        with VirtualProvider(Path(folder), lines=300, simulated=True, sessions=5) as provider:
            provider.faults["resolver"].inject()
            assert len({child.pid for child in psutil.Process().children(recursive=True)} - before) == 5
        assert {child.pid for child in psutil.Process().children(recursive=True)} == before
        provider.stop()
        provider.start()
        assert not provider.faults["resolver"].active
        provider.stop()


def test_without_root_the_lines_are_simulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the machine can do decides, and the reason is told."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    provider = VirtualProvider(tmp_path, lines=300)
    assert provider.simulated
    assert "root" in provider.why_simulated
    with pytest.raises(ValueError, match="at least 300 lines"):
        VirtualProvider(tmp_path, lines=20)


def test_a_missing_broker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mosquitto the error names the package."""
    monkeypatch.setattr(Mosquitto, "_command", lambda self: ["no-such-mosquitto"])
    with (
        tempfile.TemporaryDirectory(prefix="lab") as folder,
        pytest.raises(LabError, match="cannot run no-such-mosquitto"),
    ):
        VirtualProvider(Path(folder), lines=300, simulated=True).start()


@pytest.mark.parametrize("lines", [300, 5000])
@pytest.mark.parametrize("sessions", [0, 2, 120, 500])
def test_the_fleet_is_everywhere(lines: int, sessions: int, tmp_path: Path) -> None:
    """Failing lines have routers in the fleet, but most of the fleet is elsewhere; no line has two."""
    provider = VirtualProvider(tmp_path, lines=lines, simulated=True, sessions=sessions)
    serials = [router.serial for router in provider._routers]
    assert len(set(serials)) == len(serials) == min(sessions, int(provider.isp.active.sum()))
    targets = provider.targets
    if 120 <= sessions <= lines / 10:
        failing = set(provider.isp.serials(np.concatenate([targets.splitter_lines, targets.power.lines])))
        failing |= set(provider.isp.serials(targets.olt_lines))
        assert 0.1 < len(failing & set(serials)) / sessions < 0.45
        assert set(provider.isp.serials([targets.slow, targets.unstable, targets.dead])) <= set(serials)
