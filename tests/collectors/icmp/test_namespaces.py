"""Real ICMP through a network that loses packets: the laboratory's namespaces."""

import asyncio
import errno
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from collectors.icmp.engine import Engine
from collectors.icmp.opening import open_lanes
from collectors.icmp.settings import IcmpSettings
from monitor.lab.network import Network, unavailable
from monitor.records import Reference, TargetKind
from tests.collectors.icmp.driving import outcome, table_of
from tests.collectors.icmp.helpers import inventory_of, simple_rows
from tests.collectors.icmp.test_collector import rows, running
from tests.collectors.rig import Rig, until

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(bool(why := unavailable()), reason=why or "available"),
]
TIMEOUT_NS = 300_000_000
T = TypeVar("T")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("network"), references=("192.0.2.53",)) as made:
        yield made


@pytest.fixture(autouse=True)
def _mended(network: Network) -> Iterator[None]:
    yield
    network.mend_all()


def inside(network: Network, work: Callable[[Engine], T], mode: str = "auto") -> T:
    """Run with an engine in the prober's namespace: in a thread of its own, as entering is for good."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            lanes, _ = open_lanes(mode, network.prober_netns, "", TIMEOUT_NS)
            engine = Engine(lanes)
            try:
                results.append(work(engine))
            finally:
                engine.close()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def probe(network: Network, addresses: list[str], mode: str = "auto", probes: int = 1) -> dict[str, tuple[int, int]]:
    def work(engine: Engine) -> dict[str, tuple[int, int]]:
        engine.use_table(table_of(addresses))
        return {addresses[k]: row[:2] for k, row in outcome(engine, probes=probes, rate_pps=20_000).items()}

    return inside(network, work, mode)


@pytest.mark.parametrize("mode", ["raw", "datagram"])
def test_exactly_the_dead_lines_are_lost(network: Network, mode: str) -> None:
    """Of a thousand lines in both families those that the network drops are asked and did not answer, and all
    others answer: with a raw socket and with an unprivileged one."""
    lines = [f"10.0.{i >> 8}.{i & 255}" for i in range(1, 900)] + [f"fd10::{i:x}" for i in range(1, 101)]
    dead = {*lines[7:300:9], *lines[900:990:7]}
    network.fail(sorted(dead))
    assert probe(network, lines, mode) == {line: (1, 0 if line in dead else 1) for line in lines}


def test_a_target_without_a_route_is_unknown(network: Network) -> None:
    """Routes that the prober's own kernel refuses (blackhole, unreachable, prohibited) make their targets unknown,
    with counted reasons, and stop nobody else."""
    kinds = {"10.9.0.1": "blackhole", "10.9.0.2": "unreachable", "10.9.0.3": "prohibit"}
    for address, kind in kinds.items():
        network.run_as_prober(["ip", "route", "add", kind, f"{address}/32"])
    lines = [line for i in range(1, 4) for line in (f"10.0.0.{i}", f"10.9.0.{i}")]

    def work(engine: Engine) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
        engine.use_table(table_of(lines))
        found = {lines[k]: row[:2] for k, row in outcome(engine, probes=2).items()}
        return found, dict(engine.faults)

    found, faults = inside(network, work)
    for address, kind in kinds.items():
        network.run_as_prober(["ip", "route", "del", kind, f"{address}/32"])
    assert found == {line: (0, 0) if line in kinds else (2, 2) for line in lines}
    assert faults == {"send_EINVAL": 2, "send_EHOSTUNREACH": 2, "send_EACCES": 2}


def test_a_firewall_that_refuses_is_unknown(network: Network) -> None:
    """A rule of the prober's own machine that rejects what it sends gives EPERM: unknown, not lost."""
    table = "table inet own {\n chain out {\n type filter hook output priority 0\n ip daddr 10.0.0.2 drop\n }\n}\n"
    subprocess.run(
        ["nsenter", f"--net={network.prober_netns}", "nft", "-f", "-"], input=table, text=True, check=True, timeout=20
    )
    try:
        assert probe(network, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) == {
            "10.0.0.1": (1, 1),
            "10.0.0.2": (0, 0),
            "10.0.0.3": (1, 1),
        }
    finally:
        network.run_as_prober(["nft", "delete", "table", "inet", "own"])


def test_an_interface_that_goes_and_comes_back(network: Network) -> None:
    """While the prober's interface is down every target is unknown and none lost; then the same sockets go on."""
    lines = [f"10.0.0.{i}" for i in range(1, 50)]

    def work(engine: Engine) -> list[set[tuple[int, int]]]:
        engine.use_table(table_of(lines))
        found = [{row[:2] for row in outcome(engine).values()}]
        network.run_as_prober(["ip", "link", "set", "pv0", "down"])
        found.append({row[:2] for row in outcome(engine).values()})
        assert engine.faults[f"send_{errno.errorcode[errno.ENETUNREACH]}"] >= len(lines)
        network.run_as_prober(["ip", "link", "set", "pv0", "up"])
        network.run_as_prober(["ip", "route", "replace", "default", "via", "192.168.77.2"])
        for _ in range(20):
            found.append({row[:2] for row in outcome(engine).values()})
            if found[-1] == {(1, 1)}:
                break
        return found

    first, down, *after = inside(network, work)
    network.run_as_prober(["ip", "addr", "replace", "fd77::1/64", "dev", "pv0", "nodad"])
    network.run_as_prober(["ip", "-6", "route", "replace", "default", "via", "fd77::2"])
    assert (first, down) == ({(1, 1)}, {(0, 0)})
    assert after[-1] == {(1, 1)}


async def test_the_collector_probes_from_another_namespace(network: Network, tmp_path: Path) -> None:
    """The daemon's prober enters the namespace: lines, a node and a reference answer there; failed lines are seen as
    lost a round later and as answering again after that."""
    rig = Rig(inventory_of(tmp_path, simple_rows(200, network="10.3"), "north/ex-1/olt-0,10.7.0.1\n"))
    chosen = IcmpSettings(
        netns=network.prober_netns, interval_s=1.0, timeout_s=0.2, references=(Reference("resolver", "192.0.2.53"),)
    )
    failed = [f"10.3.0.{i}" for i in range(1, 11)]
    wanted = [rig.bindings.line_of(address) for address in failed]

    def latest() -> dict[int, tuple[int, int]]:
        return {line: outcomes[-1] for line, outcomes in rows(rig).items()}

    async with running(rig, chosen) as collector:
        await until(lambda: len(rows(rig)) == 200)
        assert set(latest().values()) == {(1, 1)}
        await until(lambda: rows(rig, TargetKind.ELEMENT) and rows(rig, TargetKind.REFERENCE))
        network.fail(failed)
        await until(lambda: all(latest()[line] == (1, 0) for line in wanted if line is not None))
        assert sum(outcome == (1, 0) for outcome in latest().values()) == 10
        network.mend(failed)
        await until(lambda: set(latest().values()) == {(1, 1)})
        assert collector.health().text == "IPv4 raw, IPv6 raw"
        await asyncio.sleep(0)


def test_without_root_an_unprivileged_socket_is_used(network: Network) -> None:
    """A process without any capability, in a group that may ping, is given the unprivileged socket and its replies."""
    code = (
        "import os\n"
        "from collectors.icmp.oneshot import run_probe\n"  # others than root may not be able to read it
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "raise SystemExit(run_probe('-', timeout_s=1.0))\n"
    )
    done = subprocess.run(
        ["nsenter", f"--net={network.prober_netns}", sys.executable, "-c", code],
        input="10.0.0.1\nfd10::1\n",
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [["10.0.0.1", "1", "1"], ["fd10::1", "1", "1"]]
