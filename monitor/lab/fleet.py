"""A fleet of simulated routers: one process, a real MQTT session each, with last will and telemetry.

Topics and keys are the plain JSON dialect: `cpe/SERIAL/availability` (`online`/`offline`, retained) and
`cpe/SERIAL/telemetry/status`; events (`boot`, `dying_gasp`) go to `cpe/SERIAL/telemetry/event`. A router whose line is
cut stays powered and comes back with its uptime; one without power comes back with a boot. The process is told what
happens to its lines by `Fleet`.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from monitor.lab.control import Controlled, serve
from monitor.lab.mqtt import Session, open_session
from monitor.lab.process import LabError

KEEPALIVE_S = 30
GASP_S = 0.1  # what the capacitors last for
RETRY_S = (0.5, 8.0)  # first and longest wait for a broker that is away
OPENING = 50  # connections being opened at once


class Router(msgspec.Struct, frozen=True):
    """`technology`: gpon has optical power, dsl has noise margin and error counters."""

    serial: str
    technology: str = "gpon"


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
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.routers = tuple(routers)
        self.period_s = period_s
        self.seed = seed
        self.prefix = prefix
        self.return_s = return_s
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
        self._side = Controlled("fleet", "monitor.lab.fleet", args, self.folder / "fleet.log")
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


class _Simulated:
    """One router's state. Times are of the steady clock, in seconds."""

    def __init__(self, router: Router, chance: random.Random) -> None:
        self.serial = router.serial
        self.fibre = router.technology != "dsl"
        self.session: Session | None = None
        self.away = False  # line cut or power off
        self.powered = True
        self.rebooting = False
        self.disturbed = False
        self.boot_to_tell = False
        self.booted = time.monotonic() - chance.uniform(3600, 40 * 86400)
        self.connected = 0.0
        self.signal = chance.gauss(-19.5, 1.8) if self.fibre else chance.gauss(9.0, 1.5)
        self.rssi = chance.gauss(-58, 7)
        self.crc = chance.randrange(0, 2000)
        self.fec = self.crc * 7

    def report(self, chance: random.Random) -> dict[str, float | int]:
        """What it measures now; keys carry their units."""
        now = time.monotonic()
        worse = 6.0 if self.disturbed else 0.0
        self.crc += chance.randrange(200, 900) if self.disturbed else int(chance.random() < 0.2)
        self.fec += chance.randrange(900, 4000) if self.disturbed else chance.randrange(0, 5)
        signal = round(self.signal - worse + chance.gauss(0, 0.1), 2)
        optical = {"rx_power_dbm": signal, "tx_power_dbm": round(2.2 + chance.gauss(0, 0.05), 2)}
        copper = {"snr_db": signal, "fec_errors": self.fec}
        return {
            **(optical if self.fibre else copper),
            "crc_errors": self.crc,
            "uptime_s": int(now - self.booted),
            "wan_uptime_s": int(now - self.connected),
            "wifi_rssi_dbm": round(self.rssi + chance.gauss(0, 2), 1),
            "wifi_clients": chance.randrange(1, 9),
            "cpu_ratio": round(chance.uniform(0.05, 0.4), 3),
            "memory_ratio": round(chance.uniform(0.4, 0.7), 3),
        }


class FleetSide:
    """The child's side: keeps every router that is not away connected, and lets it report."""

    def __init__(self, host: str, port: int, period_s: float, seed: int, prefix: str, return_s: float) -> None:
        self._host, self._port, self._prefix = host, port, prefix
        self._period_s, self._return_s = period_s, return_s
        self._random = random.Random(seed)
        self._routers: dict[str, _Simulated] = {}
        self._opening = asyncio.Semaphore(OPENING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._published = 0

    def add(self, routers: list[dict[str, Any]]) -> None:
        for one in routers:
            router = _Simulated(msgspec.convert(one, Router), self._random)
            self._routers[router.serial] = router
            self._connect(router, 0.0)

    def cut(self, serials: list[str]) -> None:
        for router in self._some(serials):
            router.away, router.rebooting = True, False
            if router.session is not None:
                router.session.vanish()

    async def power_off(self, serials: list[str], gasp_ratio: float) -> None:
        some = self._some(serials)
        for router in some:
            router.powered, router.rebooting = False, False
            router.away = True
            if router.session is not None and self._random.random() < gasp_ratio:
                self._event(router, "dying_gasp")
        await asyncio.sleep(GASP_S)
        for router in some:
            if router.session is not None:
                router.session.vanish()

    def restore(self, serials: list[str]) -> None:
        for router in self._some(serials):
            if not router.away:
                continue
            router.away = False
            if not router.powered:
                self._boot(router)
            self._connect(router, self._random.uniform(0, self._return_s))

    async def reboot(self, serials: list[str], off_s: float) -> None:
        for router in self._some(serials):
            if router.away:
                continue
            self._boot(router)
            router.booted += off_s
            router.away = router.rebooting = True  # so that the lost session is not opened again at once
            if router.session is not None:
                router.session.vanish()
            asyncio.get_running_loop().call_later(off_s, self._rebooted, router)

    def _rebooted(self, router: _Simulated) -> None:
        if router.rebooting:  # not cut meanwhile
            router.rebooting = False
            self.restore([router.serial])

    def disturb(self, serials: list[str], on: bool) -> None:
        for router in self._some(serials):
            router.disturbed = on
            self._report(router)

    def status(self) -> dict[str, int]:
        routers = self._routers.values()
        return {
            "routers": len(routers),
            "connected": sum(r.session is not None and r.session.up for r in routers),
            "away": sum(r.away for r in routers),
            "published": self._published,
        }

    def _some(self, serials: list[str]) -> list[_Simulated]:
        return [self._routers[serial] for serial in serials]

    def _boot(self, router: _Simulated) -> None:
        router.powered = True
        router.booted = time.monotonic()
        router.boot_to_tell = True

    def _connect(self, router: _Simulated, after_s: float) -> None:
        task = asyncio.create_task(self._open(router, after_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, router: _Simulated, after_s: float) -> None:
        wait_s, longest_s = RETRY_S
        await asyncio.sleep(after_s)
        while not router.away and router.session is None:
            session = Session(
                router.serial,
                KEEPALIVE_S,
                (f"{self._prefix}/{router.serial}/availability", b"offline"),
                on_up=lambda s: self._up(router, s),
                on_lost=lambda s: self._lost(router, s),
            )
            router.session = session
            try:
                async with self._opening:
                    await open_session(session, self._host, self._port)
                return
            except LabError:
                router.session = None
            await asyncio.sleep(wait_s * self._random.uniform(0.8, 1.2))
            wait_s = min(wait_s * 2, longest_s)

    def _up(self, router: _Simulated, session: Session) -> None:
        if router.away:
            session.vanish()
            return
        router.connected = time.monotonic()
        session.publish(f"{self._prefix}/{router.serial}/availability", b"online", retain=True, sure=True)
        if router.boot_to_tell:
            router.boot_to_tell = False
            self._event(router, "boot")
        # The first report soon, all further ones spread over the period.
        self._later(router, session, self._random.uniform(0, min(self._period_s, 5.0)))

    def _lost(self, router: _Simulated, session: Session) -> None:
        if router.session is session:
            router.session = None
            if not router.away:
                self._connect(router, self._random.uniform(0.2, 1.0))

    def _later(self, router: _Simulated, session: Session, after_s: float) -> None:
        asyncio.get_running_loop().call_later(after_s, self._tick, router, session)

    def _tick(self, router: _Simulated, session: Session) -> None:
        if router.session is not session or not session.up:
            return
        self._report(router)
        if self._period_s > KEEPALIVE_S / 2:
            session.ping()
        self._later(router, session, min(self._period_s, KEEPALIVE_S * 0.6) * self._random.uniform(0.8, 1.2))

    def _report(self, router: _Simulated) -> None:
        if router.session is not None and router.session.up:
            self._publish(router, "status", router.report(self._random))

    def _event(self, router: _Simulated, event: str) -> None:
        self._publish(router, "event", {"event": event}, sure=True)

    def _publish(self, router: _Simulated, what: str, content: dict[str, Any], sure: bool = False) -> None:
        if router.session is not None:
            topic = f"{self._prefix}/{router.serial}/telemetry/{what}"
            router.session.publish(topic, json.dumps(content).encode(), sure=sure)
            self._published += 1


async def run(args: argparse.Namespace) -> None:
    side = FleetSide(args.host, args.port, args.period_s, args.seed, args.prefix, args.return_s)
    names = ("add", "cut", "power_off", "restore", "reboot", "disturb", "status")
    await serve({name: getattr(side, name) for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description="A fleet of simulated routers on an MQTT broker.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--period-s", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prefix", default="cpe")
    parser.add_argument("--return-s", type=float, default=3.0)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
