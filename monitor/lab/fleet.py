"""A fleet of simulated routers, as its owner sees it: one process (monitor.lab.fleet_side), a real MQTT session each.

A router speaks plain JSON (with last will), TR-181 BulkData (with last will, and no words for events: its values and
states tell) or USP (an agent without last will). One whose line is cut stays powered and comes back with its uptime;
one without power comes back with a boot.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from monitor.lab.control import Controlled
from monitor.lab.process import LabError

Dialect = Literal["json", "bulk", "usp"]


class Router(msgspec.Struct, frozen=True):
    """`technology`: gpon has optical power, dsl has noise margin and error counters. `endpoint`: of a USP agent; `v5`:
    it speaks MQTT 5, else 3.1.1 (the other dialects always do). `model`, `firmware`: what it says it is."""

    serial: str
    technology: str = "gpon"
    dialect: Dialect = "json"
    endpoint: str = ""
    v5: bool = True
    model: str = "SimRouter"
    firmware: str = "1.2.3"


class Fleet:
    """The parent's side. `period_s`: each router's time between two reports (spread by a fifth); `return_s`: after a
    restore the routers come back spread over this time."""

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        routers: Sequence[Router],
        period_s: float = 20.0,
        seed: int = 1,
        prefix: str = "cpe",
        return_s: float = 3.0,
        controller: str = "self::faultline",
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.routers = tuple(routers)
        self.period_s = period_s
        self.seed = seed
        self.prefix = prefix
        self.return_s = return_s
        self.controller = controller
        self._known = frozenset(router.serial for router in routers)
        self._side: Controlled | None = None

    @property
    def pid(self) -> int:
        return self._running().child.pid

    def start(self, timeout_s: float = 30.0) -> None:
        """Returns when every router is connected. Raises LabError when the broker is not there in time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        args = [self.host, str(self.port), "--period-s", str(self.period_s), "--seed", str(self.seed)]
        args += ["--prefix", self.prefix, "--return-s", str(self.return_s)]
        args += ["--controller", self.controller]
        self._side = Controlled("fleet", "monitor.lab.fleet_side", args, self.folder / "fleet.log")
        self._side.call("add", routers=[msgspec.to_builtins(router) for router in self.routers])
        self.wait_connected(len(self._known), timeout_s)

    def stop(self) -> None:
        if self._side is not None:
            self._side.stop()
            self._side = None

    def wait_connected(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until at least so many sessions are up."""
        deadline = time.monotonic() + timeout_s
        while (up := self.status()["connected"]) < count:
            if time.monotonic() > deadline:
                raise LabError(
                    f"fleet: {up} of {count} routers are connected to {self.host}:{self.port} after {timeout_s:.0f} s"
                )
            time.sleep(0.05)

    def having(self, serials: Iterable[str]) -> list[str]:
        """Those of these that are in the fleet."""
        return [serial for serial in serials if serial in self._known]

    def cut(self, serials: Iterable[str]) -> None:
        """The lines are gone, the routers keep their power. Serials that are not in the fleet are no concern."""
        self._running().call("cut", serials=self.having(serials))

    def power_off(self, serials: Iterable[str], gasp_ratio: float = 0.0) -> None:
        """The routers are gone; this share of them says so with its last breath."""
        self._running().call("power_off", serials=self.having(serials), gasp_ratio=gasp_ratio)

    def restore(self, serials: Iterable[str]) -> None:
        """Line and power are back; the routers return within `return_s`."""
        self._running().call("restore", serials=self.having(serials))

    def reboot(self, serials: Iterable[str], off_s: float = 2.0) -> None:
        self._running().call("reboot", serials=self.having(serials), off_s=off_s)

    def disturb(self, serials: Iterable[str], on: bool = True) -> None:
        """A bad line: weaker signal and growing error counters in its reports."""
        self._running().call("disturb", serials=self.having(serials), on=on)

    def fade(self, serials: Iterable[str], db_per_min: float) -> None:
        """The light (or noise margin) gets weaker from now on, at this rate; 0 stops it and mends it."""
        self._running().call("fade", serials=self.having(serials), db_per_min=db_per_min)

    def lose_light(self, serials: Iterable[str], on: bool = True) -> None:
        """No signal on the line, while the router still speaks (over another way)."""
        self._running().call("lose_light", serials=self.having(serials), on=on)

    def fail_login(self, serials: Iterable[str], on: bool = True) -> None:
        """The PPP login is rejected, or accepted again."""
        self._running().call("fail_login", serials=self.having(serials), on=on)

    def factory_reset(self, serials: Iterable[str], off_s: float = 1.0) -> None:
        """A finger on the button: all that a controller had set up is gone."""
        self._running().call("factory_reset", serials=self.having(serials), off_s=off_s)

    def update(self, serials: Iterable[str], firmware: str, off_s: float = 1.0) -> None:
        """New firmware, and the boot that goes with it."""
        self._running().call("update", serials=self.having(serials), firmware=firmware, off_s=off_s)

    def hang(self, serials: Iterable[str], on: bool = True) -> None:
        """Connected, but silent: nothing is answered and nothing reported."""
        self._running().call("hang", serials=self.having(serials), on=on)

    def status(self) -> dict[str, int]:
        """Counts: routers, connected, away (cut or without power), published."""
        status: dict[str, int] = self._running().call("status")
        return status

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _running(self) -> Controlled:
        if self._side is None:
            raise LabError("the fleet is not running: start() it first")
        return self._side
