"""A prober's rounds on their way to the daemon: in order, once, bounded, and through every kind of refusal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from collectors.remote.body import Body, decode
from collectors.remote.orders import Taken
from collectors.remote.sender import ROW_BYTES, RoundSender
from collectors.remote.settings import ProbersSettings
from monitor.bus import IntakeFull
from monitor.clock import SystemClock
from monitor.inventory import Inventory
from monitor.metrics import Metrics
from monitor.records import Event, ProbeRound
from tests.collectors.rig import small_inventory, until

Answer = Callable[[Body], httpx.Response]


def taken(body: Body) -> httpx.Response:
    return httpx.Response(202, content=msgspec.json.encode(Taken(len(body))))


class Daemon:
    """Answers as `answers` say, one after the other, the last one again and again; `got` is what it took."""

    def __init__(self, folder: Path, *answers: Answer, **more: float) -> None:
        self.answers = list(answers) or [taken]
        self.tried: list[Body] = []
        self.got: list[Body] = []
        self.inventory: Inventory = small_inventory(folder, 20)
        self.metrics = Metrics()
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer), base_url="http://daemon")
        settings = ProbersSettings(names=("a", "b"), url="http://daemon", retry_max_s=1.0, **more)  # type: ignore[arg-type]
        self.sender = RoundSender(settings, "a", self.client, lambda: self.inventory, (), SystemClock(), self.metrics)

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = decode(request.content)
        self.tried.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = answer(body)
        if response.status_code == 202:
            self.got.append(body)
        return response

    def put(self, *lines: int, generation: int = 1) -> None:
        n = len(lines)
        self.sender.put_round(
            ProbeRound(
                "a",
                generation,
                np.array(lines, np.int32),
                np.arange(1, n + 1, dtype=np.int64),
                np.ones(n, np.uint16),
                np.zeros(n, np.uint16),
                np.full(n, np.nan, np.float32),
            )
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.sender.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.client.aclose()

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"faultline_{name}") or 0.0

    def troubles(self) -> list[str]:
        return [trouble.name for trouble in self.metrics.troubles.current()]


def away(_: Body) -> httpx.Response:
    raise httpx.ConnectError("nobody listens")


def status(code: int, **headers: str) -> Answer:
    return lambda _: httpx.Response(
        code, json={"detail": "says why"}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_what_one_moment_brings_goes_together_and_in_order(tmp_path: Path) -> None:
    """Rounds put one after the other arrive in that order, together, by line id."""
    daemon = Daemon(tmp_path)
    daemon.put(3, 1)
    daemon.put(2)
    async with daemon.running():
        await until(lambda: daemon.got)
        ids = [daemon.inventory.line_id(i) for i in (3, 1, 2)]
        assert [body.names for body in daemon.got] == [ids]
        daemon.sender.same_inventory = True
        daemon.put(5)
        await until(lambda: len(daemon.got) == 2)
    assert daemon.got[1].row.tolist() == [5]
    assert daemon.got[1].batch != daemon.got[0].batch
    with pytest.raises(IntakeFull):
        daemon.sender.put_event(Event(1, "L1", "cpe_online"))


async def test_every_refusal_is_lived_through(tmp_path: Path) -> None:
    """Nobody there, an error, no room: the same batch is sent again until it is taken; that is said once."""
    daemon = Daemon(tmp_path, away, status(500), status(429, Retry_After="1"), taken)
    daemon.put(1, 2)
    async with daemon.running():
        await until(lambda: daemon.troubles() == ["daemon"])
        await until(lambda: daemon.got)
    assert len(daemon.tried) == 4
    assert len({body.batch for body in daemon.tried}) == 1
    assert daemon.troubles() == []
    assert (daemon.count("sent_rows_total"), daemon.count("unsent_rows_dropped_total")) == (2, 0)


async def test_other_row_numbers_are_given_up_for_names(tmp_path: Path) -> None:
    """Told that its row numbers are another inventory's, it sends the same rows by line id at once."""
    daemon = Daemon(tmp_path, status(409), taken)
    daemon.sender.same_inventory = True
    daemon.put(4)
    async with daemon.running():
        await until(lambda: daemon.got)
    assert daemon.tried[0].row.tolist() == [4]
    assert daemon.got[0].names == [daemon.inventory.line_id(4)]


async def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """Beyond its memory the oldest rows go, counted; rows of an inventory that was replaced are not sent."""
    daemon = Daemon(tmp_path, buffer_mb=1.0)
    most = 2**20 // ROW_BYTES
    for line in range(10):
        daemon.put(*[line] * (most // 5))
    assert daemon.count("unsent_rows") <= most
    assert daemon.count("unsent_rows_dropped_total") == 10 * (most // 5) - daemon.count("unsent_rows")
    daemon.put(7, generation=2)
    async with daemon.running():
        await until(lambda: daemon.count("unsent_rows") == 0 and daemon.got)
        await until(lambda: sum(len(body) for body in daemon.got) >= 4 * (most // 5))
    assert daemon.inventory.line_id(9) == daemon.got[-1].names[-1]
    assert daemon.inventory.line_id(0) not in daemon.got[0].names
