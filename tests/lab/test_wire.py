"""The wire: an access network in a Unix socket that answers, fails, heals, and dies with its parent."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.icmp.wire import decode, encode
from monitor.lab.process import LabError
from monitor.lab.responder import Shape, packed
from monitor.lab.wire import Wire
from tests.lab.helpers import gone, kill, run_parent
from tests.lab.pings import checksum, request

A, B, C = "10.0.0.1", "10.0.0.2", "fd10::3"


@contextmanager
def prober(wire: Wire, folder: Path) -> Iterator[socket.socket]:
    """A bound socket that is connected to the wire."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "prober.sock"))
        sock.connect(str(wire.socket_path))
        yield sock
    (folder / "prober.sock").unlink()


def send(sock: socket.socket, address: str, number: int = 0) -> None:
    version = 6 if ":" in address else 4
    sock.send(encode(version, packed(address), request(version, 9, number)))


def answers(sock: socket.socket, wait_s: float = 0.4, most: int = 10_000) -> list[bytes]:
    """What comes until nothing has come for `wait_s`, or `most` have."""
    found: list[bytes] = []
    while len(found) < most and select.select([sock], [], [], wait_s)[0]:
        found.append(sock.recv(4096))
    return found


def who(sock: socket.socket, *addresses: str) -> set[str]:
    """Which of these answer."""
    for address in addresses:
        send(sock, address)
    got = {decode(frame).address for frame in answers(sock, most=len(addresses))}
    return {a for a in addresses if packed(a) in got}


def test_lines_answer_fail_and_heal(tmp_path: Path) -> None:
    """Both families answer with a right reply; dead ones do not until mended or their time is over."""
    with Wire(tmp_path) as wire, prober(wire, tmp_path) as sock:
        send(sock, A, 77)
        (reply,) = answers(sock)
        icmp = decode(reply).packet
        assert decode(reply).address == packed(A)
        assert (icmp[0], icmp[4:]) == (0, request(4, 9, 77)[4:])
        assert checksum(icmp) == 0
        assert who(sock, A, B, C) == {A, B, C}
        wire.fail([A, C])
        wire.fail([B], for_s=0.9)
        assert who(sock, A, B, C) == set()
        time.sleep(0.6)
        assert who(sock, A, B, C) == {B}
        wire.mend([A, B])
        assert who(sock, A, B, C) == {A, B}
        wire.fail_networks(["10.0.0.0/8"])
        assert who(sock, A, B) == set()
        wire.mend_all()
        assert who(sock, A, B, C) == {A, B, C}


def test_a_blind_prober_gets_nothing(tmp_path: Path) -> None:
    """The prober's uplink is cut for every address, and comes back."""
    with Wire(tmp_path) as wire, prober(wire, tmp_path) as sock:
        wire.blind()
        assert who(sock, A, C, "203.0.113.1") == set()
        wire.see()
        assert who(sock, A, C, "203.0.113.1") == {A, C, "203.0.113.1"}


def test_slow_and_lossy_lines(tmp_path: Path) -> None:
    """A slow line answers later than the others, a lossy one only now and then."""
    with Wire(tmp_path) as wire, prober(wire, tmp_path) as sock:
        wire.shape([A], Shape(delay_ms=150))
        send(sock, A)
        send(sock, B)
        assert [decode(frame).address for frame in answers(sock)] == [packed(B), packed(A)]
        wire.shape([A], Shape(loss_ratio=0.5))
        for number in range(200):
            send(sock, A, number)
        assert 60 < len(answers(sock)) < 140
        wire.unshape([A])
        for number in range(50):
            send(sock, A, number)
        assert len(answers(sock)) == 50


def test_nothing_is_lost_when_the_prober_reads_late(tmp_path: Path) -> None:
    """The queue of a Unix socket is short: replies that find it full wait, and none is lost."""
    with Wire(tmp_path) as wire, prober(wire, tmp_path) as sock:
        sock.settimeout(5)
        for number in range(2000):
            send(sock, f"10.0.{number // 250}.{number % 250}", number)
        time.sleep(0.2)
        assert len({decode(frame).address for frame in answers(sock, 1.0)}) == 2000
        assert wire.counts() == {"requests": 2000, "replies": 2000, "malformed": 0, "dropped": 0}


def test_malformed_frames_and_departed_probers_do_no_harm(tmp_path: Path) -> None:
    """Rubbish is counted; a prober that has gone is no trouble for the next one."""
    with Wire(tmp_path) as wire:
        with prober(wire, tmp_path) as sock:
            for rubbish in (b"", b"\x04", b"\x05" * 40, b"\x04" + bytes(16), encode(4, packed(A), b"\x00" * 12)):
                sock.send(rubbish)
            wire.shape([A], Shape(delay_ms=100))
            send(sock, A)
        time.sleep(0.2)
        wire.mend_all()
        with prober(wire, tmp_path) as sock:
            assert who(sock, A) == {A}
        counts = wire.counts()
        assert (counts["malformed"], counts["dropped"]) == (5, 1)


def test_wrong_commands_are_said(tmp_path: Path) -> None:
    """A wrong address is a LabError in words, and the wire goes on; after stop it says that it is not running."""
    with Wire(tmp_path) as wire, prober(wire, tmp_path) as sock:
        with pytest.raises(LabError, match=r"wire: fail: ValueError: 'nonsense' does not appear to be"):
            wire.fail(["nonsense"])
        assert who(sock, A) == {A}
        wire._running().child.kill()
        with pytest.raises(LabError, match="wire has ended"):
            wire.fail([A])
    assert not wire.socket_path.exists()
    with pytest.raises(LabError, match="not running"):
        wire.see()
    with pytest.raises(LabError, match="use a shorter folder"):
        Wire(tmp_path / ("x" * 100)).start()


def test_the_wire_dies_with_its_parent(tmp_path: Path) -> None:
    """SIGKILL of the parent ends the wire's process."""
    parent = run_parent(f"""
import pathlib, time
from monitor.lab.wire import Wire
wire = Wire(pathlib.Path({str(tmp_path)!r}))
wire.start()
print(wire.pid, flush=True)
time.sleep(60)
""")
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    kill(parent)
    assert gone([pid])
