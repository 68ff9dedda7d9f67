"""`faultline run --prober NAME`: only the probing side, on another machine, for a daemon elsewhere.

Inventory and settings are the daemon's own files. The prober learns the leases from the daemon before it probes its
slice of the lines and nodes (and every reference target), sends its rounds there, and carries out what the daemon asks.
"""

import asyncio
import logging
import signal
import ssl
from collections.abc import Sequence

import httpx

from collectors.base import CollectorContext
from collectors.icmp.collector import IcmpCollector
from collectors.remote.follower import Follower
from collectors.remote.sender import RoundSender
from monitor import __version__
from monitor.app import inventory_files
from monitor.app.notify import notify
from monitor.app.settings import Settings
from monitor.app.tasks import supervise
from monitor.clock import Clock, SystemClock
from monitor.inventory import Bindings, InputProblem, InputProblems, Inventory
from monitor.inventory.slices import Slices
from monitor.metrics import Metrics
from monitor.secret import SecretProblem, read_secret

log = logging.getLogger("faultline.prober")


async def run_prober(settings: Settings, name: str, clock: Clock | None = None) -> int:
    """Run until told to stop; returns the exit code. Raises InputProblems or SecretProblem at start."""
    return await ProberDaemon(settings, name, clock or SystemClock()).run()


class ProberDaemon:
    def __init__(self, settings: Settings, name: str, clock: Clock) -> None:
        probers = settings.probers
        _require(settings, name)
        key = read_secret(probers, "key", "probers")
        if key is None:
            raise SecretProblem("probers.key_file: give the daemon's API key (role probe) by key_file or key_env")
        self.settings, self.name, self.clock, self.metrics = settings, name, clock, Metrics()
        self._adopt(Bindings(inventory_files.load(settings.inventory, 1)))
        self._slices = Slices(probers.names)
        # The daemon's leases decide, so nothing is taken from the environment, proxies neither.
        self._client = httpx.AsyncClient(
            base_url=probers.url,
            headers={"Authorization": f"Bearer {key}", "User-Agent": f"faultline-prober/{__version__}"},
            timeout=probers.timeout_s,
            trust_env=False,
            verify=_trust(probers.ca_file),
        )
        self._sender = RoundSender(
            probers, name, self._client, lambda: self.bindings.inventory, settings.icmp.references, clock, self.metrics
        )
        self._icmp = IcmpCollector(
            settings.icmp,
            CollectorContext(
                inventory=lambda: self.bindings.inventory,
                bindings=lambda: self.bindings,
                sink=self._sender,
                clock=clock,
                metrics=self.metrics,
                source=name,
                slices=self._slices,
                interval_s=settings.icmp.interval_s,
                references=settings.icmp.references,
            ),
        )
        self._follower = Follower(
            probers,
            name,
            self._client,
            lambda: self.bindings,
            settings.icmp.references,
            clock,
            self.metrics,
            adopt=self._leases_known,
            changed=self._changed,
            request=self._icmp.request,
            same=lambda same: setattr(self._sender, "same_inventory", same),
        )
        self._stopping = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None

    def _adopt(self, bindings: Bindings) -> None:
        self.bindings = bindings

    def _leases_known(self, bindings: Bindings) -> None:
        self._adopt(bindings)
        self._icmp.reload()
        log.info("the daemon has told its leases: %d lines have addresses of their own", len(bindings.told()))

    def _changed(self, lines: Sequence[int]) -> None:
        self._icmp.rebound(lines)

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        inventory = self.bindings.inventory
        mine = int((self._slices.lines(inventory) == self._slices.index_of(self.name)).sum())
        log.info("prober %s: %d of %d lines; daemon at %s", self.name, mine, len(inventory), self.settings.probers.url)
        works = {"orders": self._follower.run, "sender": self._sender.run, "icmp": self._probe}
        tasks = [
            asyncio.create_task(supervise(task, work, self.metrics, self.clock), name=task)
            for task, work in works.items()
        ]
        notify("READY=1")
        try:
            await self._stopping.wait()
        finally:
            notify("STOPPING=1")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.aclose()
        log.info("ended")
        return 0

    async def _probe(self) -> None:
        await self._follower.synced.wait()
        await self._icmp.run()

    def _reload(self) -> None:
        """SIGHUP: read the inventory again; a file with a mistake is refused and the old one stays."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._read_inventory(), name="reload")

    async def _read_inventory(self) -> None:
        generation = self.bindings.inventory.generation + 1
        try:
            newer: Inventory = await asyncio.to_thread(inventory_files.load, self.settings.inventory, generation)
        except InputProblems as error:
            log.error("the inventory is not reloaded, the old one stays in force: %s", error)
            self.metrics.troubles.begin("inventory_file", f"not reloaded: {error}", self.clock.now_ns())
            return
        self.metrics.troubles.end("inventory_file", self.clock.now_ns())
        # What the daemon has told goes with the line ids; then it is asked for everything again.
        self._adopt(self.bindings.carried(newer))
        self._sender.reload()
        self._follower.reload()
        self._icmp.reload()
        log.info("inventory reloaded: %d lines, generation %d", len(newer), generation)


def _require(settings: Settings, name: str) -> None:
    """Raises InputProblems when this configuration has no such prober, or it could not work."""
    probers = settings.probers
    wrong = ""
    if name not in probers.names:
        wrong = f"has no prober {name!r}: its names are {', '.join(probers.names) or 'none'}"
    elif name == settings.daemon.source:
        wrong = f"{name!r} is the daemon itself (daemon.source): run it without --prober"
    elif not probers.url:
        wrong = "url is empty: give the daemon's address"
    elif not settings.icmp.enabled:
        wrong = "icmp.enabled is false: a prober without it has nothing to do"
    if wrong:
        raise InputProblems([InputProblem("configuration", 0, "probers", wrong)])


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SecretProblem(f"probers.ca_file: {ca_file} is no certificate that can be read ({error})") from None
