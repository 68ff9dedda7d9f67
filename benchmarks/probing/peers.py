"""One ping engine over one list, in a process of its own: `peers.py ENGINE FILE` prints a JSON object.

`alive`: the addresses reported up; `seconds`, `cpu_s`: without the start of the process, but with reading the list and
writing the results.
aioping and icmplib are installed by compare.py into an environment that it throws away: aioping is under the GPL.
"""

import asyncio
import io
import json
import sys
import time
from pathlib import Path

TIMEOUT_S = 1.0
own_cpu_s: float | None = None  # measured by the engine itself


def ours(targets: list[str]) -> list[str]:
    from collectors.icmp.oneshot import run_probe

    out = io.StringIO()
    sys.stdin = io.StringIO("\n".join(targets))
    status = run_probe("-", rate_pps=1e6, timeout_s=TIMEOUT_S, out=out)
    if status:
        raise SystemExit(status)
    return [line.split()[0] for line in out.getvalue().splitlines() if line.split()[2] == "1"]


def columns(targets: list[str]) -> list[str]:
    """What the daemon does: addresses are columns already, and results stay columns."""
    import numpy as np

    from collectors.icmp.engine import Engine
    from collectors.icmp.listing import read_targets
    from collectors.icmp.opening import open_lanes

    global own_cpu_s
    engine = Engine(open_lanes("auto", "", "", int(TIMEOUT_S * 1e9))[0])
    engine.use_table(read_targets("-", io.BytesIO("\n".join(targets).encode())))
    before = time.process_time()
    engine.add(np.arange(len(targets), dtype=np.int32), probes=1, rate_pps=1e6, spacing_ns=0)
    found = []
    while engine.jobs:
        engine.tick()
        found += [r.position[r.received > 0] for _, r in engine.results() if r is not None]
        wake = engine.wake_ns()
        if wake is not None:
            time.sleep(max(0.0, (wake - time.monotonic_ns()) / 1e9))
    own_cpu_s = time.process_time() - before
    engine.close()
    return [targets[i] for i in np.concatenate(found).tolist()] if found else []


def icmplib(targets: list[str], tasks: int = 100) -> list[str]:
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


ENGINES = {
    "ours": ours,
    "ours, columns": columns,
    "icmplib-100": icmplib,
    "aioping-50": lambda targets: aioping(targets, 50),
    "aioping-500": lambda targets: aioping(targets, 500),
}


def main() -> None:
    targets = Path(sys.argv[2]).read_text(encoding="utf-8").split()
    ENGINES[sys.argv[1]](targets[:1])  # imports what it needs
    began, cpu = time.monotonic(), time.process_time()
    alive = ENGINES[sys.argv[1]](targets)
    cpu_s = time.process_time() - cpu if own_cpu_s is None else own_cpu_s
    status = Path("/proc/self/status").read_text(encoding="ascii")
    rss_mb = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"seconds": time.monotonic() - began, "cpu_s": cpu_s, "rss_mb": rss_mb, "alive": alive}))


if __name__ == "__main__":
    main()
