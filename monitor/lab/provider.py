"""The virtual provider, put together: lines, files, access network, broker, two resolvers, fleet and faults.

    with VirtualProvider(folder, lines=5000) as provider:
        ...  # run the daemon on provider.inventory_file, .prober_netns or .wire_socket, .broker, .resolvers
        await DemoPlan(provider.faults, minutes=5).run(on_step)

As root on Linux the lines are in a network namespace and answer real ICMP; else a wire answers for them. All
processes die with this one.
"""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from monitor.clock import Clock, SystemClock
from monitor.lab import network
from monitor.lab.access import AccessNetwork
from monitor.lab.faults import Fault, FaultMaker
from monitor.lab.fleet import Fleet, Router
from monitor.lab.isp import MODELS, Isp, make_isp
from monitor.lab.isp_files import RESOLVERS, write_elements, write_inventory
from monitor.lab.network import Network
from monitor.lab.process import LabError
from monitor.lab.servers import Mosquitto, Unbound
from monitor.lab.targets import Targets, choose_targets
from monitor.lab.wire import Wire
from monitor.records import Reference

OUTSIDE = (("outside-1", "203.0.113.1"), ("outside-2", "198.51.100.1"))
EXCHANGE_REFERENCES = 8
WIRE_BASE_MS = (3.0, 11.0)
PROBE_NAME, PROBE_ANSWER = "www.probe.example", "192.0.2.80"
SILENT_RESOLVER = 1  # of RESOLVERS, the one that stops answering


class Endpoint(NamedTuple):
    name: str
    host: str
    port: int


class VirtualProvider:
    """`simulated`: None decides by what this machine can do (`why_simulated` says why). `sessions`: routers with a
    real MQTT session, which report every `telemetry_s` and come back within `return_s`. `prober_name`: what the
    daemon's source is called."""

    def __init__(
        self,
        folder: Path,
        lines: int = 5000,
        seed: int = 1,
        simulated: bool | None = None,
        sessions: int = 500,
        telemetry_s: float = 20.0,
        return_s: float = 3.0,
        prober_name: str = "default",
        clock: Clock | None = None,
    ) -> None:
        """Raises ValueError for too few lines, LabError when no clear-cut faults can be found in them."""
        self.folder = folder
        self.isp: Isp = make_isp(lines, seed)
        self.targets: Targets = choose_targets(self.isp, seed)
        self.why_simulated = ""
        if simulated is None:
            self.why_simulated = network.unavailable()
            simulated = bool(self.why_simulated)
        self.simulated = simulated
        self.inventory_file = folder / "inventory.csv"
        self.elements_file = folder / "elements.csv"
        self.references = self._references()
        self._network = Network(folder / "network", [address for _, address in OUTSIDE], seed)
        self._wire = Wire(folder, WIRE_BASE_MS, seed)
        self._access: AccessNetwork = self._wire if simulated else self._network
        self._mosquitto = Mosquitto(folder / "mosquitto")
        self._unbounds = [Unbound(folder / f"unbound-{name}") for name in RESOLVERS]
        self._routers = self._choose_routers(sessions, seed)
        self._telemetry_s, self._return_s = telemetry_s, return_s
        self._seed = seed
        self._prober_name = prober_name
        self._clock = clock or SystemClock()
        self._faults: dict[str, Fault] | None = None
        self._fleet: Fleet | None = None
        self._stack = contextlib.ExitStack()

    def start(self) -> None:
        """Write the files and start everything; when something fails, all that was started is stopped again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_inventory(self.isp, self.inventory_file)
        write_elements(self.isp, self.elements_file)
        with contextlib.ExitStack() as stack:
            for server in (self._mosquitto, *self._unbounds):
                stack.callback(server.stop)
                server.start()
            stack.callback(self._access.stop)
            self._access.start()
            fleet = Fleet(
                self.folder / "fleet",
                self._mosquitto.host,
                self._mosquitto.port,
                self._routers,
                self._telemetry_s,
                self._seed,
                return_s=self._return_s,
            )
            stack.callback(fleet.stop)
            fleet.start()
            resolver = RESOLVERS[SILENT_RESOLVER], self._unbounds[SILENT_RESOLVER]
            maker = FaultMaker(self.isp, self.targets, self._access, fleet, resolver, self._prober_name, self._clock)
            self._faults, self._fleet = maker.all(), fleet
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Everything is gone when it returns; stopping again is harmless."""
        self._stack.close()

    @property
    def faults(self) -> dict[str, Fault]:
        """By key: splitter, olt, power, resolver, slow, unstable, dead, blind. Raises LabError before the start."""
        if self._faults is None:
            raise LabError("the virtual provider is not running: start() it first")
        return self._faults

    @property
    def fleet(self) -> Fleet:
        """Raises LabError before the start."""
        if self._fleet is None:
            raise LabError("the virtual provider is not running: start() it first")
        return self._fleet

    @property
    def fading_line(self) -> str:
        """The line_id of the line whose light fades once `fade` is called, while its pings are fine."""
        return self.isp.line_id(self.targets.fading)

    def fade(self, db_per_min: float) -> None:
        """The received power of one line's router falls at this rate from now on. Raises LabError before the start."""
        self.fleet.fade([self.isp.serial(self.targets.fading)], db_per_min)

    @property
    def broker(self) -> Endpoint:
        return Endpoint("broker", self._mosquitto.host, self._mosquitto.port)

    @property
    def resolvers(self) -> tuple[Endpoint, ...]:
        """They answer PROBE_NAME with PROBE_ANSWER (A)."""
        return tuple(Endpoint(name, u.host, u.port) for name, u in zip(RESOLVERS, self._unbounds, strict=True))

    @property
    def prober_netns(self) -> str:
        """The namespace to probe from, as a path; "" when the lines are simulated."""
        return "" if self.simulated else self._network.prober_netns

    @property
    def wire_socket(self) -> str:
        """The socket to probe through; "" when the lines are real."""
        return str(self._wire.socket_path) if self.simulated else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _references(self) -> tuple[Reference, ...]:
        """Two outside the network, and one in each of the first exchanges."""
        inside = [
            Reference(f"in-{path.rpartition('/')[2]}", self.isp.reference_address(e), path)
            for e, path in enumerate(self.isp.exchange_paths[:EXCHANGE_REFERENCES])
        ]
        return (*(Reference(name, address) for name, address in OUTSIDE), *inside)

    def _choose_routers(self, sessions: int, seed: int) -> list[Router]:
        """A quarter of them where something will fail, so that there is something to be told; the others anywhere."""
        isp, targets = self.isp, self.targets
        rng = np.random.default_rng([seed, 0xF1EE7])
        places = [targets.splitter_lines, targets.power.lines, targets.olt_lines]
        picked = [np.array([targets.fading, targets.slow, targets.unstable, targets.dead])]
        picked += [rng.permutation(lines)[: sessions // (4 * len(places))] for lines in places]
        failing = np.concatenate(picked)[: max(sessions, 0)]
        others = np.setdiff1d(np.flatnonzero(isp.active), failing)
        rest = rng.permutation(others)[: max(0, sessions - len(failing))]
        lines = np.sort(np.concatenate([failing, rest]))
        usp = set(rng.permutation(rest)[: len(rest) // 10].tolist()) | ({targets.fading} & set(lines.tolist()))
        bulk = set(rest.tolist()) - usp
        return [self._router(line, line in usp, line in bulk and line % 3 == 0) for line in lines.tolist()]

    def _router(self, line: int, usp: bool, bulk: bool) -> Router:
        """A tenth of those that are well speak USP, most of them over MQTT 5; a third of the others BulkData."""
        serial, technology = self.isp.serial(line), "gpon" if self.isp.gpon[line] else "dsl"
        model, _, versions, _ = MODELS[self.isp.model[line]]
        version = versions[self.isp.firmware[line]]
        if usp:
            endpoint = f"os::02FA17-{serial}"
            return Router(serial, technology, "usp", endpoint, line % 4 != 0, model, version)
        return Router(serial, technology, "bulk" if bulk else "json", model=model, firmware=version)
