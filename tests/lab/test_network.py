"""The namespaces: real kernels answer real ICMP, lines fail and heal, and nothing is left behind."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.lab.network import Network, unavailable
from monitor.lab.process import LabError, run
from monitor.lab.responder import Shape
from tests.lab.helpers import gone, kill, run_parent
from tests.lab.pings import ping_from

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0, reason="network namespaces need root on Linux"
    ),
]
A, B, C = "10.1.2.3", "10.200.0.1", "fd10::7"
REFERENCES = ("203.0.113.1", "2001:db8::1")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("net"), REFERENCES) as network:
        yield network


@pytest.fixture(autouse=True)
def well(network: Network) -> None:
    network.mend_all()


def who(network: Network, *addresses: str) -> set[str]:
    """Which of these answer."""
    return {a for a, rtts in ping_from(network, *addresses).items() if any(r is not None for r in rtts)}


def test_everything_answers(network: Network) -> None:
    """Any address of 10.0.0.0/8 and fd10::/16 and the references answer from the prober's namespace."""
    everybody = {A, B, C, "10.255.255.254", "fd10:ffff::1", *REFERENCES}
    assert who(network, *everybody) == everybody
    with pytest.raises(LabError, match="failed"):
        network.run_as_prober(["false"])


def test_lines_fail_and_heal(network: Network) -> None:
    """Dead lines do not answer until mended, or until their time is over; the others do not notice."""
    network.fail([A, C])
    assert who(network, A, B, C) == {B}
    network.fail([A], for_s=0.1)
    assert who(network, B, C, A) == {B, A}
    network.mend([C, B])
    assert who(network, A, B, C) == {A, B, C}


def test_thousands_fail_at_once(network: Network) -> None:
    """Five thousand lines fail in one call and are exact."""
    many = [f"10.7.{i // 250}.{i % 250}" for i in range(5000)]
    network.fail(many)
    assert who(network, many[0], many[2500], many[-1], "10.7.20.0", B) == {"10.7.20.0", B}
    network.mend(many)
    assert len(who(network, many[0], many[2500], many[-1])) == 3


def test_whole_networks_fail(network: Network) -> None:
    """A prefix fails as one."""
    network.fail_networks(["10.0.0.0/9", "fd10::/32"])
    assert who(network, A, B, C, REFERENCES[0]) == {B, REFERENCES[0]}
    network.mend_all()
    assert who(network, A, B, C) == {A, B, C}


def test_a_slow_line_is_slow_and_the_others_are_not(network: Network) -> None:
    """The TUN device delays the shaped lines of both families; unshaped they are fast again."""
    network.shape([A, C], Shape(delay_ms=80, jitter_ms=5))
    times = ping_from(network, A, B, C)
    assert all(rtt is not None and 80 <= rtt < 300 for a in (A, C) for rtt in times[a])
    assert all(rtt is not None and rtt < 80 for rtt in times[B])
    network.fail([A])
    assert who(network, A, C) == {C}
    network.mend([A])
    network.unshape([A, B])
    assert all(rtt is not None and rtt < 80 for rtt in ping_from(network, A)[A])


def test_lossy_lines_lose(network: Network) -> None:
    """Loss by the TUN device and by nftables: some of the probes come back, some do not."""
    network.shape([A], Shape(loss_ratio=0.5))
    network.lose([B, C], 50)
    for address, rtts in ping_from(network, A, B, C, count=60, wait_s=0.02).items():
        answered = sum(rtt is not None for rtt in rtts)
        assert 12 <= answered <= 48, address
    network.lose([B], 95)
    network.lose([B, C], 0)
    times = ping_from(network, B, C, count=20)
    assert all(rtt is not None for a in (B, C) for rtt in times[a])
    with pytest.raises(LabError, match="multiple of 5"):
        network.lose([B], 33)


def test_a_blind_prober_sees_nothing(network: Network) -> None:
    """The cut uplink takes lines and references, and comes back at once."""
    network.blind()
    assert who(network, A, C, *REFERENCES) == set()
    network.see()
    assert who(network, A, C, *REFERENCES) == {A, C, *REFERENCES}


def test_a_wrong_address_is_said(network: Network) -> None:
    """A refused command is a LabError with the reason, and leaves the network working."""
    with pytest.raises(LabError, match="not appear to be"):
        network.fail(["10.0.0.256"])
    network.fail([])
    assert who(network, A) == {A}


def test_the_machine_itself_is_not_touched(network: Network) -> None:
    """The lab's links and tables are in its own namespaces only, and these have no name."""
    assert "pv0" not in run("links", ["ip", "link"])
    assert "lab" not in run("rules", ["nft", "list", "tables"])
    assert "pv0" in network.run_as_prober(["ip", "link"])
    assert run("names", ["ip", "netns", "list"]) == ""
    assert Path(network.prober_netns).readlink() != Path("/proc/self/ns/net").readlink()


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent ends both holders, and with them the namespaces they stood in."""
    parent = run_parent(f"""
import os, pathlib, time
from monitor.lab.network import Network
network = Network(pathlib.Path({str(tmp_path)!r}))
network.start()
print(*network.pids, *(os.stat(p).st_ino for p in (network.prober_netns, network.provider_netns)), flush=True)
time.sleep(60)
""")
    assert parent.stdout is not None
    *pids, one, two = [int(word) for word in parent.stdout.readline().split()]
    assert {one, two} <= namespaces()
    kill(parent)
    assert gone(pids)
    assert not {one, two} & namespaces()


def namespaces() -> set[int]:
    """Inode numbers of the network namespaces that some process stands in."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(link.stat().st_ino)
        except OSError:
            continue
    return found


def test_two_networks_stand_side_by_side(network: Network, tmp_path: Path) -> None:
    """A second network has addresses of its own; stopping it leaves the first alone."""
    with Network(tmp_path) as other:
        other.fail([A])
        assert who(other, A, B) == {B}
        assert who(network, A, B) == {A, B}
    assert who(network, A) == {A}
    with pytest.raises(LabError, match="not running"):
        other.fail([A])


def test_why_there_can_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root or Linux the reason is said."""
    assert unavailable() == ""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in unavailable()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Linux" in unavailable()
