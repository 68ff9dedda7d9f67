"""Real servers on loopback: Debian's mosquitto, unbound and InfluxDB, each a context manager with a folder of its own.

They listen on 127.0.0.1 at a free port, keep everything in the folder given, run as whoever we are, and die with this
process. `stop()` and `start()` again keep the port, so that an outage of the server itself can be played.
"""

import errno
import os
import shutil
import signal
import socket
import struct
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.lab.process import Child, LabError, free_port, start, tcp_answers, wait_until

HOST = "127.0.0.1"
ATTEMPTS = 5  # a free port may be taken by somebody else before the server binds it
PROBE_RECORDS = (
    "probe.example. 60 IN A 192.0.2.53",
    "probe.example. 60 IN AAAA 2001:db8::53",
    "www.probe.example. 60 IN A 192.0.2.80",
    "mail.probe.example. 60 IN A 192.0.2.25",
    "probe.example. 60 IN MX 10 mail.probe.example.",
    "large.probe.example. 60 IN TXT " + " ".join(f'"{i:02d}{"x" * 198}"' for i in range(12)),  # asks for TCP
)


def require(program: str, package: str) -> str:
    """The program's path. Raises LabError that says which package to install."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise LabError(f"{program} is not installed: install it with apt-get install {package}")
    return found


class Server(ABC):
    """What the three have in common. `port` is fixed by the first start."""

    name = "server"

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.host = HOST
        self.port = port
        self._fixed = port != 0
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def running(self) -> bool:
        return self._child is not None and self._child.running()

    def start(self) -> None:
        """Returns once the server answers. Raises LabError when it does not."""
        if self.running():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            if not self._fixed:
                self.port = free_port()
            self._child = start(self.name, self._command(), log=self.log, cwd=self.folder)
            try:
                wait_until(self._answers, self._child, f"it answered on {HOST}:{self.port}")
            except LabError:
                taken = not self._child.running() and os.strerror(errno.EADDRINUSE).lower() in self._said()
                self._child.stop()
                if taken and not self._fixed and attempt < ATTEMPTS:
                    continue
                raise
            self._fixed = True
            return

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """As a crash: SIGKILL."""
        if self._child is not None:
            self._child.kill()

    def freeze(self) -> None:
        """It stops answering, but its sockets stay open (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _running(self) -> Child:
        if self._child is None or not self._child.running():
            raise LabError(f"{self.name} is not running")
        return self._child

    def _said(self) -> str:
        return self.log.read_text(errors="replace").lower() if self.log.exists() else ""

    @abstractmethod
    def _command(self) -> list[str]:
        """Write the configuration for `port`; returns the command that serves it in the foreground."""

    def _answers(self) -> bool:
        return tcp_answers(self.port)


class Mosquitto(Server):
    """An MQTT broker without passwords. `settings`: further lines of mosquitto.conf."""

    name = "mosquitto"

    def __init__(self, folder: Path, port: int = 0, settings: Sequence[str] = ()) -> None:
        super().__init__(folder, port)
        self.settings = tuple(settings)

    def _command(self) -> list[str]:
        program = require("mosquitto", "mosquitto")
        lines = [
            f"listener {self.port} {HOST}",
            "allow_anonymous true",
            "set_tcp_nodelay true",
            "max_inflight_messages 4000",
            "max_queued_messages 100000",
            "persistence false",
            "log_dest stdout",
            "log_type error",
            "log_type warning",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # changing the user would clear the signal on the parent's death
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*(line for line in lines if not self._overridden(line)), *self.settings]) + "\n")
        return [program, "-c", str(config)]

    def _overridden(self, line: str) -> bool:
        key = line.split()[0]
        return key not in ("listener", "log_type") and any(own.split()[:1] == [key] for own in self.settings)


class Unbound(Server):
    """A DNS resolver that knows `records` (lines of a zone file) and says NXDOMAIN to all else; it asks nobody."""

    name = "unbound"

    def __init__(self, folder: Path, port: int = 0, records: Sequence[str] = PROBE_RECORDS) -> None:
        super().__init__(folder, port)
        self.records = tuple(records)

    def _command(self) -> list[str]:
        program = require("unbound", "unbound")
        data = "\n".join(f"  local-data: '{record}'" for record in self.records)
        config = self.folder / "unbound.conf"
        config.write_text(
            f"""server:
  directory: "{self.folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 0
  num-threads: 1
  interface: {HOST}@{self.port}
  port: {self.port}
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  local-zone: "." static
{data}
remote-control:
  control-enable: no
"""
        )
        return [program, "-d", "-p", "-c", str(config)]

    def _answers(self) -> bool:
        # A root query in UDP: any answer will do.
        query = struct.pack(">HHHHHH", 0x4C4C, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.3)
            try:
                udp.connect((HOST, self.port))
                udp.send(query)
                return udp.recv(512)[:2] == query[:2] and tcp_answers(self.port)
            except OSError:
                return False


class InfluxDB(Server):
    """An InfluxDB 1.x server. `url` is for clients; `query` runs InfluxQL, as CREATE DATABASE."""

    name = "influxdb"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def query(self, statement: str) -> str:
        """The server's JSON answer to one InfluxQL statement (sent by POST). Raises LabError with its refusal."""
        data = urllib.parse.urlencode({"q": statement}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/query", data=data, timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            with error:
                raise LabError(f"influxdb refused {statement!r}: {error.read().decode()}") from None
        except OSError as error:
            raise LabError(f"influxdb does not answer at {self.url}: {error}") from None

    def _command(self) -> list[str]:
        program = require("influxd", "influxdb")
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""reporting-disabled = true
bind-address = "{HOST}:0"
[meta]
  dir = "{self.folder}/meta"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
  query-log-enabled = false
  index-version = "tsi1"
  max-series-per-database = 0
  max-values-per-tag = 0
[http]
  bind-address = "{HOST}:{self.port}"
  log-enabled = false
[monitor]
  store-enabled = false
[logging]
  level = "warn"
"""
        )
        return [program, "-config", str(config)]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=1) as answer:
                return bool(answer.status == 204)
        except OSError:
            return False
