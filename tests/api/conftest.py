"""A real server on a free port with a painted engine view behind it, and clients for each role."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from collectors.base import Health
from correlation.view import EngineView
from monitor.api import ApiSettings, Services, create_app, serve
from monitor.bus import IntakeFull
from monitor.clock import NS, ManualClock
from monitor.desk import CallRanking
from monitor.inventory import Bindings, Inventory
from monitor.metrics import Metrics
from monitor.records import Change, Event, Incident, ValueKind
from monitor.store.samples import ElementHistory, LineHistory, ValuesHistory
from monitor.store.samples.base import level_of
from monitor.store.state import StateStore
from tests.desk.world import NOW, Scene, load

ROLES = ("agent", "lead", "noc", "admin", "probe")


class Samples:
    """A day of one line in five-minute bins, with an hour without a reply."""

    def line_history(self, line_id: str, start_ns: int, end_ns: int, max_points: int = 500) -> LineHistory:
        n = min(max_points, 288)
        at = start_ns + np.arange(n, dtype=np.int64) * 300 * NS
        sent = np.full(n, 30, np.int64)
        received = np.where((np.arange(n) > 200) & (np.arange(n) < 213), 0, 30).astype(np.int64)
        rtt = np.where(received > 0, 8.0 + np.sin(np.arange(n) / 20), np.nan)
        return LineHistory(300, at, sent, received, rtt, rtt - 1, rtt + 2)

    def values_history(
        self, line_id: str, kind: ValueKind, start_ns: int, end_ns: int, max_points: int = 500
    ) -> ValuesHistory:
        n = min(max_points, 24)
        at = start_ns + np.arange(n, dtype=np.int64) * 3600 * NS
        value = -21.0 - np.arange(n) / 10
        return ValuesHistory(kind, 3600, at, value, value - 0.5, value + 0.5)

    def element_history(self, path: str, start_ns: int, end_ns: int, max_points: int = 500) -> ElementHistory:
        """Lines that go down one by one, an hour long; of elements below an access node nothing is kept."""
        level_of(path)
        down = np.repeat(np.arange(6.0), 10)
        rest = {name: np.full(60, 20.0) for name in ("lines", "up", "degraded", "unknown", "rtt_ms")}
        at = end_ns // (60 * NS) * 60 * NS - np.arange(60, 0, -1, dtype=np.int64) * 60 * NS
        return ElementHistory(step_s=60, at_ns=at, down=down, down_max=down, **rest)


class Provider:
    """Everything the API is given, for a test to change while it runs."""

    def __init__(
        self, store: Path, keys: dict[str, str], inventory: Inventory, settings: ApiSettings, now_ns: int = NOW
    ) -> None:
        self.clock = ManualClock(now_ns)
        self.inventory = inventory
        self.bindings = Bindings(inventory)
        self.scene = Scene(inventory, now_ns)
        self.view: EngineView = self.scene.view()
        self.state = StateStore(store, self.clock)
        self.metrics = Metrics()
        self.said: list[Event] = []
        self.probed: list[list[int]] = []
        self.full = False
        self.ready = True
        self.on_probe: Callable[[Sequence[int]], None] = lambda rows: None
        self.ranking = CallRanking(self.state, self.clock, self.metrics, ZoneInfo("Europe/Berlin"))
        self.services = Services(
            view=lambda: self.view,
            inventory=lambda: self.inventory,
            bindings=lambda: self.bindings,
            state=self.state,
            submit=self.submit,
            clock=self.clock,
            metrics=self.metrics,
            settings=settings,
            samples=Samples(),  # type: ignore[arg-type]  # only what the API reads
            request_probe=self.probe,
            health=lambda: [Health("icmp", True, "", NOW), Health("broker", False, "cannot be reached")],
            ready=lambda: self.ready,
            zone=ZoneInfo("Europe/Berlin"),
            version="0.1.0",
            ranking=lambda: self.ranking.newest,
        )
        self.keys = keys
        self.url = ""
        self.app: FastAPI = create_app(self.services)

    async def submit(self, event: Event) -> None:
        if self.full:
            raise IntakeFull("200000 events wait for the engine: try again in a moment")
        self.said.append(event)

    def probe(self, rows: Sequence[int]) -> None:
        self.probed.append(list(rows))
        self.on_probe(rows)

    def publish(self) -> None:
        """Show what the scene has become."""
        self.view = self.scene.view()

    def decide(self, incident: Incident, what: str = "opened", lines: tuple[str, ...] = ()) -> None:
        """As the core does it: into the store, whose listeners hear of it."""
        self.state.apply(1, [Change(NOW, what, incident, lines_added=lines)])

    def client(self, role: str = "", **options: object) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.keys[role]}"} if role else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20)


@asynccontextmanager
async def running(provider: Provider) -> AsyncIterator[Provider]:
    up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(provider.app, provider.services.settings, started=up.set_result))
    await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    provider.url = up.result()
    try:
        yield provider
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        provider.state.close()


@pytest.fixture(scope="session")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return load(tmp_path_factory.mktemp("inventory"))


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with a key for each role, made once and copied for each test."""
    path = tmp_path_factory.mktemp("store") / "state.sqlite"
    store = StateStore(path, ManualClock(NOW))
    keys = {role: store.create_key(role, role).text for role in ROLES}
    store.close()
    return path, keys


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(port=0)


@pytest.fixture
async def isp(
    tmp_path: Path, new_store: tuple[Path, dict[str, str]], inventory: Inventory, settings: ApiSettings
) -> AsyncIterator[Provider]:
    path, keys = new_store
    async with running(Provider(Path(shutil.copy(path, tmp_path)), keys, inventory, settings)) as provider:
        yield provider


class Clients(AsyncExitStack):
    """Open clients by role, closed together."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider
        self._open: dict[str, httpx.AsyncClient] = {}

    def __getitem__(self, role: str) -> httpx.AsyncClient:
        if role not in self._open:
            self._open[role] = self._provider.client(role)
            self.push_async_callback(self._open[role].aclose)
        return self._open[role]


@pytest.fixture
async def http(isp: Provider) -> AsyncIterator[Clients]:
    async with Clients(isp) as clients:
        yield clients
