"""One ping library over one list, in a process of its own: `peers.py icmplib|aioping TASKS FILE` prints who is up.

The libraries are installed by slow.py into an environment that it throws away: aioping is under the GPL.
"""

import asyncio
import sys
from pathlib import Path

TIMEOUT_S = 1.0


def icmplib(targets: list[str], tasks: int) -> list[str]:
    from icmplib import async_multiping  # type: ignore[import-not-found]

    hosts = asyncio.run(async_multiping(targets, count=1, timeout=TIMEOUT_S, concurrent_tasks=tasks, privileged=False))
    return [host.address for host in hosts if host.is_alive]


def aioping(targets: list[str], tasks: int) -> list[str]:
    import aioping as engine  # type: ignore[import-not-found]

    alive: list[str] = []

    async def probe(queue: "asyncio.Queue[str]") -> None:
        while not queue.empty():
            target = queue.get_nowait()
            try:
                await engine.ping(target, timeout=TIMEOUT_S)
            except TimeoutError:
                continue
            alive.append(target)

    async def every() -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        for target in targets:
            queue.put_nowait(target)
        await asyncio.gather(*(probe(queue) for _ in range(tasks)))

    asyncio.run(every())
    return alive


def main() -> None:
    name, tasks, file = sys.argv[1:]
    targets = Path(file).read_text(encoding="utf-8").split()
    alive = icmplib(targets, int(tasks)) if name == "icmplib" else aioping(targets, int(tasks))
    print("\n".join(alive))


if __name__ == "__main__":
    main()
