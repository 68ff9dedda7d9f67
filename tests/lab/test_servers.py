"""The real servers: each starts on loopback, serves, stops answering when told, and is gone afterwards."""

import json
import socket
import struct
from pathlib import Path

import pytest

from monitor.lab import servers
from monitor.lab.process import LabError, tcp_answers
from monitor.lab.servers import InfluxDB, Mosquitto, Unbound, require
from tests.lab.helpers import gone, kill, run_parent

pytestmark = pytest.mark.server


def ask(port: int, name: str, kind: int = 1) -> bytes | None:
    """A DNS answer over UDP, or None when none comes in a second."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    query = struct.pack(">HHHHHH", 77, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(1.0)
        udp.connect(("127.0.0.1", port))
        udp.send(query)
        try:
            return udp.recv(4096)
        except OSError:
            return None


def test_mosquitto_serves_and_comes_back_on_its_port(tmp_path: Path) -> None:
    """A broker answers, is gone after stop, and a second start listens on the same port."""
    with Mosquitto(tmp_path, settings=["max_queued_messages 7", "persistence true"]) as broker:
        port, pid = broker.port, broker.pid
        assert tcp_answers(port)
        config = (tmp_path / "mosquitto.conf").read_text()
        assert "persistence false" not in config
        assert "max_queued_messages 7" in config
        broker.stop()
        assert not tcp_answers(port)
        broker.start()
        assert broker.port == port
        assert broker.pid != pid
        broker.kill()
        assert not broker.running()


def test_unbound_answers_its_records_and_nothing_else(tmp_path: Path) -> None:
    """A known name has its address, an unknown one is NXDOMAIN, a big answer is cut so that TCP is asked."""
    with Unbound(tmp_path) as resolver:
        answer = ask(resolver.port, "probe.example")
        assert answer is not None
        assert answer[-4:] == bytes([192, 0, 2, 53])
        unknown = ask(resolver.port, "www.somewhere-else.net")
        assert unknown is not None
        assert unknown[3] & 0x0F == 3
        large = ask(resolver.port, "large.probe.example", kind=16)
        assert large is not None
        assert large[2] & 0x02


def test_unbound_stops_answering_when_frozen(tmp_path: Path) -> None:
    """freeze() makes it silent, thaw() makes it answer again, and a frozen one still stops."""
    with Unbound(tmp_path) as resolver:
        resolver.freeze()
        assert ask(resolver.port, "probe.example") is None
        resolver.thaw()
        assert ask(resolver.port, "probe.example") is not None
        resolver.freeze()
        pid = resolver.pid
    assert gone([pid])
    with pytest.raises(LabError, match="unbound is not running"):
        resolver.thaw()


def test_influxdb_stores_and_says_why_it_refuses(tmp_path: Path) -> None:
    """A database can be made and listed; a wrong statement is a LabError with the server's words."""
    with InfluxDB(tmp_path) as influx:
        influx.query("CREATE DATABASE faultline")
        names = json.loads(influx.query("SHOW DATABASES"))["results"][0]["series"][0]["values"]
        assert ["faultline"] in names
        with pytest.raises(LabError, match="error parsing query"):
            influx.query("MAKE TEA")
    with pytest.raises(LabError, match="does not answer"):
        influx.query("SHOW DATABASES")


def test_servers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent ends all three, although two of them would like to change their user."""
    parent = run_parent(f"""
import pathlib, time
from monitor.lab.servers import InfluxDB, Mosquitto, Unbound
folder = pathlib.Path({str(tmp_path)!r})
all = [Mosquitto(folder / "m"), Unbound(folder / "u"), InfluxDB(folder / "i")]
for one in all:
    one.start()
all[1].freeze()
print(*(one.pid for one in all), flush=True)
time.sleep(60)
""")
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 3
    kill(parent)
    assert gone(pids)


def test_a_missing_server_names_its_package() -> None:
    """The error says which package to install."""
    with pytest.raises(LabError, match="apt-get install mosquitto"):
        require("no-such-mosquitto", "mosquitto")


def test_a_taken_port_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody else has taken the free port meanwhile, the next start uses another one; a fixed port fails."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # bound but not listening: nothing answers there
        taken = other.getsockname()[1]
        ports = iter([taken, servers.free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        with Mosquitto(tmp_path / "a") as broker:
            assert broker.port != taken
        with pytest.raises(LabError, match="mosquitto ended with"):
            Mosquitto(tmp_path / "b", port=taken).start()
