"""A small provider for the daemon's tests: 144 lines behind a simulated network, and the daemon as a process."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from monitor.lab.process import Child, free_port, start
from monitor.lab.wire import Wire
from monitor.store.settings import StoreSettings
from monitor.store.state import StateStore

PER_SPLITTER = 12
SPLITTERS = tuple(
    f"north/ex-{exchange}/olt-{olt}/pon-1/split-{splitter}"
    for exchange in (1, 2)
    for olt in (1, 2)
    for splitter in (1, 2, 3)
)


def address(splitter: int, line: int) -> str:
    return f"10.0.{splitter}.{line + 1}"


def line_id(splitter: int, line: int) -> str:
    return f"L{splitter:02d}{line:02d}"


def inventory_text(splitters: tuple[str, ...] = SPLITTERS) -> str:
    rows = ["line_id,address,path,customer_id,cpe_serial,technology"]
    for s, path in enumerate(splitters):
        rows += [
            f"{line_id(s, i)},{address(s, i)},{path},C{s:02d}{i:02d},S{s:02d}{i:02d},gpon" for i in range(PER_SPLITTER)
        ]
    return "\n".join(rows) + "\n"


class Rig:
    """`extra`: more of the configuration file. The daemon probes every second, so seconds are enough."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.wire = Wire(folder, (2.0, 4.0))
        self.config = folder / "faultline.toml"
        (folder / "inventory.csv").write_text(inventory_text())
        self.config.write_text(f"""\
[inventory]
file = "inventory.csv"
[store]
folder = "data"
flush_s = 1.0
[icmp]
interval_s = 1.5
timeout_s = 0.4
confirm_spacing_s = 0.1
wire = "{self.wire.socket_path}"
references = [{{name = "out-1", address = "203.0.113.1"}}, {{name = "out-2", address = "198.51.100.1"}}]
[correlation.life]
resolve_after_s = 4.0
[api]
port = {self.port}
{extra}""")
        state = StateStore.open(StoreSettings(folder=str(folder / "data")))
        self.key = state.create_key("test", "admin").text
        state.close()
        self.daemon: Child | None = None

    def start(self, ready: bool = True) -> Child:
        command = [sys.executable, "-m", "monitor.app", "run", "--config", str(self.config)]
        self.daemon = start("faultline", command, log=self.folder / "daemon.log")
        if ready:
            self.until(lambda: self.answers("/readyz") == 200, "the daemon is ready", 40)
        return self.daemon

    def stop(self) -> None:
        if self.daemon is not None:
            self.daemon.stop(20)
            self.daemon = None

    def kill(self) -> None:
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon = None

    def log(self) -> str:
        """What the daemon said, without the access log."""
        lines = (self.folder / "daemon.log").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if " faultline.access: " not in line)

    def answers(self, path: str) -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def get(self, path: str, **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        answer = httpx.get(url, params=query, headers=headers, trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.post(
            f"http://127.0.0.1:{self.port}{path}", json=body, headers=headers, trust_env=False, timeout=10
        )

    def incidents(self) -> list[dict[str, Any]]:
        """All that were ever open, whatever they are now."""
        found = self.get("/api/v1/incidents", status="all", limit=100)["items"]
        return [incident for incident in found if incident["status"] != "suspected"]

    def state_of(self, splitter: int, line: int = 0) -> str:
        state: str = self.get(f"/api/v1/lines/{line_id(splitter, line)}")["state"]
        return state

    def cut(self, splitter: int) -> None:
        self.wire.fail([address(splitter, i) for i in range(PER_SPLITTER)])

    def mend(self, splitter: int) -> None:
        self.wire.mend([address(splitter, i) for i in range(PER_SPLITTER)])

    def learned(self) -> None:
        """Wait until every line has answered some rounds."""
        up = len(SPLITTERS) * PER_SPLITTER
        self.until(lambda: self.get("/api/v1/elements")["items"][0]["up"] == up, "all lines are up", 30)
        time.sleep(8)

    def until(self, true: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
        """The first true value. Fails with the daemon's log when it takes longer."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if value := true():
                return value
            if self.daemon is not None and not self.daemon.running():
                raise AssertionError(f"the daemon ended before {what}:\n{self.log()[-3000:]}")
            time.sleep(0.1)
        raise AssertionError(f"not within {timeout_s} s: {what}\n{self.log()[-3000:]}")
