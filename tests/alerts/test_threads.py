"""Blocking calls beside the event loop: their result, their time, and their end."""

import asyncio
import threading

import pytest

from alerts.receivers.threads import BlockingCalls


async def test_being_cancelled_as_the_result_comes_is_not_lost() -> None:
    """The answer of a receiver and the daemon's end in the same turn of the loop: it ends."""
    go = threading.Event()
    calls = BlockingCalls("test")
    waiting = asyncio.create_task(calls.call(lambda: go.wait(10), 10.0))
    await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    settled = loop.call_soon_threadsafe
    told: list[object] = []

    def both(callback, *args, **more):  # type: ignore[no-untyped-def]
        def settle() -> None:
            callback(*args)
            told.append(waiting.cancel())

        return settled(settle, **more)

    loop.call_soon_threadsafe = both  # type: ignore[method-assign]
    try:
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    finally:
        loop.call_soon_threadsafe = settled  # type: ignore[method-assign]
    assert told == [True]


async def test_a_call_has_its_time_and_what_it_raises_is_raised() -> None:
    """A result, an exception, and TimeoutError for one that hangs: its thread ends by itself."""
    calls, go = BlockingCalls("test"), threading.Event()
    assert await calls.call(lambda: 7, 5.0) == 7
    with pytest.raises(ZeroDivisionError):
        await calls.call(lambda: 1 / 0, 5.0)
    with pytest.raises(TimeoutError):
        await calls.call(lambda: go.wait(10), 0.05)
    go.set()
