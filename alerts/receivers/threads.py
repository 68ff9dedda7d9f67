"""Run a blocking call beside the event loop so that it can hang without holding anything up.

Each call has a daemon thread of its own: the shared pool would be exhausted by a server that trickles bytes, and a
process could not exit. How many may hang at once is bounded; beyond that the receiver counts as unreachable.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from alerts.receivers.base import Unreachable

T = TypeVar("T")


class BlockingCalls:
    def __init__(self, name: str, most: int = 4) -> None:
        self._name = name
        self._most = most
        self._hanging = 0
        self._lock = threading.Lock()

    async def call(self, work: Callable[[], T], timeout_s: float) -> T:
        """The result of `work()`. Raises what it raises, TimeoutError after `timeout_s` (the thread is left to end by
        itself), Unreachable when too many earlier calls still hang."""
        with self._lock:
            if self._hanging >= self._most:
                raise Unreachable(f"{self._hanging} earlier calls to {self._name} still hang")
            self._hanging += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:
                self._over()
                _tell(loop, future, None, error)
            else:
                self._over()
                _tell(loop, future, result, None)

        threading.Thread(target=run, name=f"{self._name}-call", daemon=True).start()
        # Not wait_for: Python 3.11's returns the result when it is cancelled in the very turn in which that comes, and
        # who was to end would go on.
        async with asyncio.timeout(timeout_s):
            return await future

    def _over(self) -> None:
        with self._lock:
            self._hanging -= 1


def _tell(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[T]", result: T | None, error: BaseException | None
) -> None:
    def settle() -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    with contextlib.suppress(RuntimeError):  # the loop may have ended before the call did: nobody waits for it
        loop.call_soon_threadsafe(settle)
