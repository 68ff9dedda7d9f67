"""The fleet's own process: keeps every router that is not away connected, and lets it report in its dialect.

Plain JSON and BulkData: `PREFIX/SERIAL/availability` (`online`/`offline`, retained, last will), reports below
`PREFIX/SERIAL/telemetry/`. USP: records on `usp/controller/faultline/SERIAL` and `usp/agent/SERIAL` (fleet_usp).
"""

import argparse
import asyncio
import json
import random
import time
from typing import Any

import msgspec

from monitor.lab.control import serve
from monitor.lab.fleet import Router
from monitor.lab.fleet_router import Simulated
from monitor.lab.fleet_usp import UspSide
from monitor.lab.mqtt import Session, open_session
from monitor.lab.process import LabError

KEEPALIVE_S = 30
GASP_S = 0.1  # what the capacitors last for
RETRY_S = (0.5, 8.0)  # first and longest wait for a broker that is away
OPENING = 50  # connections being opened at once


class FleetSide:
    """The child's side: keeps every router that is not away connected, and lets it report."""

    def __init__(
        self, host: str, port: int, period_s: float, seed: int, prefix: str, return_s: float, controller: str
    ) -> None:
        self._host, self._port, self._prefix = host, port, prefix
        self._period_s, self._return_s = period_s, return_s
        self._random = random.Random(seed)
        self._routers: dict[str, Simulated] = {}
        self._opening = asyncio.Semaphore(OPENING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._published = 0
        self._usp = UspSide(controller, self._random, self._command, KEEPALIVE_S)

    def add(self, routers: list[dict[str, Any]]) -> None:
        for one in routers:
            router = Simulated(msgspec.convert(one, Router), self._random)
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
                self._boot(router, ("LocalReboot", "", False))
            self._connect(router, self._random.uniform(0, self._return_s))

    def reboot(self, serials: list[str], off_s: float) -> None:
        for router in self._some(serials):
            self._restart(router, off_s, ("LocalReboot", "", False))

    def factory_reset(self, serials: list[str], off_s: float) -> None:
        for router in self._some(serials):
            if router.agent is not None:
                router.agent.model.reset()
            self._restart(router, off_s, ("FactoryReset", "", False))

    def update(self, serials: list[str], firmware: str, off_s: float) -> None:
        for router in self._some(serials):
            router.firmware = firmware
            self._restart(router, off_s, ("LocalReboot", "", True))

    def _command(self, router: Simulated, command: str, key: str) -> None:
        """What a USP controller has told it to do."""
        if command == "Device.FactoryReset()" and router.agent is not None:
            router.agent.model.reset()
        cause = "FactoryReset" if command == "Device.FactoryReset()" else "RemoteReboot"
        asyncio.get_running_loop().call_later(0.05, self._restart, router, 0.5, (cause, key, False))

    def _restart(self, router: Simulated, off_s: float, boot: tuple[str, str, bool]) -> None:
        if router.away:
            return
        self._boot(router, boot)
        router.booted += off_s
        router.away = router.rebooting = True  # so that the lost session is not opened again at once
        if router.session is not None:
            router.session.vanish()
        asyncio.get_running_loop().call_later(off_s, self._rebooted, router)

    def _rebooted(self, router: Simulated) -> None:
        if router.rebooting:  # not cut meanwhile
            router.rebooting = False
            self.restore([router.serial])

    def disturb(self, serials: list[str], on: bool) -> None:
        for router in self._some(serials):
            router.disturbed = on
            self._report(router)

    def fade(self, serials: list[str], db_per_min: float) -> None:
        for router in self._some(serials):
            router.fading, router.faded_since = db_per_min, time.monotonic()
            self._report(router)

    def lose_light(self, serials: list[str], on: bool) -> None:
        for router in self._some(serials):
            router.light = not on
            self._changed(router, "los" if on else "los_cleared", {})

    def fail_login(self, serials: list[str], on: bool) -> None:
        for router in self._some(serials):
            router.login = not on
            why = {"reason": "ERROR_AUTHENTICATION_FAILURE"} if on else {}
            self._changed(router, "login_rejected" if on else "login_accepted", why)

    def hang(self, serials: list[str], on: bool) -> None:
        for router in self._some(serials):
            router.hanging = on

    def _changed(self, router: Simulated, event: str, why: dict[str, str]) -> None:
        """Each dialect has its own way to say it: an event, the next report, a changed value."""
        if router.hanging:
            return
        if router.dialect == "usp":
            self._usp.poll(router)
        elif router.dialect == "bulk":
            self._report(router)
        else:
            self._publish(router, "event", {"event": event, **why}, sure=True)

    def status(self) -> dict[str, int]:
        routers = self._routers.values()
        return {
            "routers": len(routers),
            "connected": sum(r.session is not None and r.session.up for r in routers),
            "away": sum(r.away for r in routers),
            "published": self._published + self._usp.published,
        }

    def _some(self, serials: list[str]) -> list[Simulated]:
        return [self._routers[serial] for serial in serials]

    def _boot(self, router: Simulated, boot: tuple[str, str, bool]) -> None:
        router.boot = boot
        router.powered = True
        router.booted = time.monotonic()
        router.boot_to_tell = True

    def _connect(self, router: Simulated, after_s: float) -> None:
        task = asyncio.create_task(self._open(router, after_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, router: Simulated, after_s: float) -> None:
        wait_s, longest_s = RETRY_S
        await asyncio.sleep(after_s)
        while not router.away and router.session is None:
            session = self._session(router)
            router.session = session
            try:
                async with self._opening:
                    await open_session(session, self._host, self._port)
                return
            except LabError:
                router.session = None
            await asyncio.sleep(wait_s * self._random.uniform(0.8, 1.2))
            wait_s = min(wait_s * 2, longest_s)

    def _session(self, router: Simulated) -> Session:
        if router.dialect == "usp":
            return self._usp.session(router, lambda s: self._up(router, s), lambda s: self._lost(router, s))
        return Session(
            router.serial,
            KEEPALIVE_S,
            (f"{self._prefix}/{router.serial}/availability", b"offline"),
            on_up=lambda s: self._up(router, s),
            on_lost=lambda s: self._lost(router, s),
        )

    def _up(self, router: Simulated, session: Session) -> None:
        if router.away:
            session.vanish()
            return
        router.connected = time.monotonic()
        if router.dialect == "usp":
            boot = router.boot if router.boot_to_tell else None
            router.boot_to_tell = False
            self._usp.up(router, session, boot)
            return
        session.publish(f"{self._prefix}/{router.serial}/availability", b"online", retain=True, sure=True)
        if router.boot_to_tell:
            router.boot_to_tell = False
            self._event(router, "boot", cause=router.boot[0])
        # The first report soon, all further ones spread over the period.
        self._later(router, session, self._random.uniform(0, min(self._period_s, 5.0)))

    def _lost(self, router: Simulated, session: Session) -> None:
        if router.session is session:
            router.session = None
            if not router.away:
                self._connect(router, self._random.uniform(0.2, 1.0))

    def _later(self, router: Simulated, session: Session, after_s: float) -> None:
        asyncio.get_running_loop().call_later(after_s, self._tick, router, session)

    def _tick(self, router: Simulated, session: Session) -> None:
        if router.session is not session or not session.up:
            return
        self._report(router)
        if self._period_s > KEEPALIVE_S / 2:
            session.ping()
        self._later(router, session, min(self._period_s, KEEPALIVE_S * 0.6) * self._random.uniform(0.8, 1.2))

    def _report(self, router: Simulated) -> None:
        if router.session is None or not router.session.up or router.hanging or router.dialect == "usp":
            return  # a USP agent reports as its profile says
        if router.dialect == "bulk":
            router.count_errors(self._random)
            values = {name: int(v) if v.lstrip("-").isdigit() else v for name, v in self._parameters(router)}
            self._publish(router, "bulk", {"Report": [{"CollectionTime": int(time.time()), **values}]})
        else:
            self._publish(router, "status", router.report(self._random))

    def _parameters(self, router: Simulated) -> list[tuple[str, str]]:
        return list(router.parameters(self._random).items())

    def _event(self, router: Simulated, event: str, **more: str) -> None:
        if router.dialect != "json":
            return  # USP has other ways to tell of a boot, a bulk report shows the uptime; neither has a word to gasp
        self._publish(router, "event", {"event": event, **more}, sure=True)

    def _publish(self, router: Simulated, what: str, content: dict[str, Any], sure: bool = False) -> None:
        if router.session is not None:
            topic = f"{self._prefix}/{router.serial}/telemetry/{what}"
            router.session.publish(topic, json.dumps(content).encode(), sure=sure)
            self._published += 1


async def run(args: argparse.Namespace) -> None:
    side = FleetSide(args.host, args.port, args.period_s, args.seed, args.prefix, args.return_s, args.controller)
    names = ["add", "cut", "power_off", "restore", "reboot", "disturb", "status", "fade", "lose_light", "fail_login"]
    names += ["hang", "factory_reset", "update"]
    await serve({name: getattr(side, name) for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description="A fleet of simulated routers on an MQTT broker.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--period-s", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prefix", default="cpe")
    parser.add_argument("--return-s", type=float, default=3.0)
    parser.add_argument("--controller", default="self::faultline")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
