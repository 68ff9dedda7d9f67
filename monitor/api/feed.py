"""Server-sent events: incidents as they change, to a bounded number of readers who may be slow.

Changes come from the store in the engine's thread and are encoded once. A reader who does not keep up loses its
queue and is told to fetch the list again (`resync`); the next reader beyond the limit is refused.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from monitor.api import present
from monitor.api.problems import Problem
from monitor.api.reach import Reach
from monitor.api.services import Services
from monitor.records import Change, Incident

log = logging.getLogger("faultline.api")
QUEUE = 200  # events that may wait for one reader
HEARTBEAT_S = 15.0
STUCK_S = 60.0  # a reader whose connection takes nothing for so long is gone
STREAM_S = 900.0  # then the browser connects again, and is asked again who it is


def encode(name: str, data: str, event_id: str = "") -> bytes:
    """One event. `data` is JSON and so holds no line break."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


class Reader:
    """`regions`: only incidents that touch one of them; empty: all."""

    def __init__(self, regions: tuple[str, ...] = ()) -> None:
        self.regions = regions
        self.told: set[str] = set()
        self.queue: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.closed = False

    def put(self, event: bytes) -> None:
        if len(self.queue) >= QUEUE:
            self.queue.clear()
            event = encode("resync", "{}")
        self.queue.append(event)
        self.wake.set()


class Feed:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._readers: set[Reader] = set()
        self._streams = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gauge = services.metrics.gauge("api_streams", "event streams that are open")

    def start(self) -> None:
        """Listen to the store; call in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._services.state.subscribe(self._changed)

    def stop(self) -> None:
        """End every stream, so that the server can."""
        self._loop = None
        for reader in self._readers:
            reader.closed = True
            reader.wake.set()

    def _changed(self, changes: Sequence[Change]) -> None:
        """In the engine's thread: hand over and return."""
        loop = self._loop
        if loop is not None and not loop.is_closed() and any(c.incident for c in changes):
            try:
                loop.call_soon_threadsafe(self._publish, changes)
            except RuntimeError:
                return  # the loop ended between the check and the call

    def _publish(self, changes: Sequence[Change]) -> None:
        if not self._readers:
            return
        inventory = self._services.inventory()
        by_regions: dict[tuple[str, ...], list[Reader]] = {}
        for reader in self._readers:
            by_regions.setdefault(reader.regions, []).append(reader)
        for change in changes:
            if (incident := change.incident) is None:
                continue
            event = self._encoded(incident, None)
            for regions, readers in by_regions.items():
                reach = Reach.over(regions, inventory)
                if regions and not reach.incident(incident):
                    # It may have moved out of sight: who was told of it fetches the list again.
                    for reader in readers:
                        if incident.incident_id in reader.told:
                            reader.told.discard(incident.incident_id)
                            reader.put(encode("resync", "{}"))
                    continue
                mine = self._encoded(incident, reach) if regions else event
                for reader in readers:
                    if regions:
                        reader.told.add(incident.incident_id)
                    reader.put(mine)

    def _encoded(self, incident: Incident, reach: Reach | None) -> bytes:
        shown = present.incident(incident, self._services.zone, reach)
        text = msgspec.json.encode(shown).decode()
        return encode("incident", text, f"{incident.incident_id}#{incident.revision}")

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Raises Problem 503 when as many streams are open as are allowed."""
        if self._streams >= self._services.settings.streams:
            raise Problem(503, "too many event streams are open: try again later", retry_s=30)
        self._streams += 1
        self._gauge.set(self._streams)
        try:
            yield
        finally:
            self._streams -= 1
            self._gauge.set(self._streams)

    async def incidents(self, regions: tuple[str, ...] = ()) -> AsyncIterator[bytes]:
        """`hello`, then every change, until the reader goes, the time is up or the server stops."""
        reader = Reader(regions)
        loop = asyncio.get_running_loop()
        self._readers.add(reader)
        try:
            end = loop.time() + STREAM_S
            yield b"retry: 2000\n" + encode("hello", "{}")
            while not reader.closed and loop.time() < end:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await reader.wake.wait()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                reader.wake.clear()
                while reader.queue:
                    yield reader.queue.popleft()
        finally:
            self._readers.discard(reader)


class EventStream(StreamingResponse):
    """A response that holds one of the feed's slots as long as it lasts, and gives up on who does not read."""

    def __init__(self, feed: Feed, events: AsyncIterator[bytes]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(STUCK_S):
                await send(message)

        with self._feed.slot():
            try:
                await super().__call__(scope, receive, patient)
            except TimeoutError:
                log.info("an event stream was closed because its reader did not read")


EVENT_STREAM: dict[str, Any] = {"description": "server-sent events", "content": {"text/event-stream": {}}}
