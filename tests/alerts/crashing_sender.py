"""A daemon's alert chain for the crash test: run as a process, it is killed by the test.

Arguments: folder of the store, base URL of the Slack server, token file, and whether to stop dead between "sent" and
"noted" (die) or not (live). Prints "told" when a message has been noted.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alerts.chain import build_chain
from alerts.settings import AlertSettings, SlackSettings
from monitor.clock import SystemClock
from monitor.metrics import Metrics
from monitor.store.outbox import Outbox
from monitor.store.posts import Posts
from monitor.store.state import StateStore


async def main() -> None:
    folder, url, token_file, mode = sys.argv[1:]
    clock = SystemClock()
    outbox = Outbox(StateStore(Path(folder) / "state.sqlite", clock))
    noted = outbox.sent

    def sent(*arguments: Any) -> None:
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        noted(*arguments)
        print("told", flush=True)

    outbox.sent = sent  # type: ignore[method-assign]
    summary_noted = Posts.sent

    def summary_sent(posts: Posts, *arguments: Any) -> None:
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        summary_noted(posts, *arguments)
        print("told", flush=True)

    Posts.sent = summary_sent  # type: ignore[method-assign]
    slack = SlackSettings(
        enabled=True, token_file=token_file, channel="#noc", base_url=url, interval_s=0.0, update_s=0.0
    )
    settings = AlertSettings(slack=slack, poll_s=0.05)
    await build_chain(settings, outbox, Metrics(), clock, ZoneInfo("UTC")).run()


asyncio.run(main())
