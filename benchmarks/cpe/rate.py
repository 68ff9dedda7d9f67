"""3,000 reports a second from 5,000 routers into the daemon's own core: journal, correlation and sample store.

Eight values a message, every hundredth with an event, QoS 1, a real mosquitto, the publisher in a process of its own.
Shown: the rate that was really sent; CPU of collector and core together, by message and of one core; whether every
value and event arrived. Then the same from a queue that the broker has kept, against mosquitto_sub on its own queue.
`python -m benchmarks.cpe.rate [--rate N] [--seconds S] [--drain N] [--protocol 5|3.1.1] [--dialect json|bulk]`.
"""

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cpe.publisher import EVERY, ROUTERS, VALUES
from collectors.base import CollectorContext
from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings
from collectors.icmp.settings import IcmpSettings
from monitor.app.settings import Settings
from monitor.app.startup import Parts, start
from monitor.clock import SystemClock
from monitor.inventory import InventorySettings
from monitor.lab.servers import Mosquitto
from monitor.metrics import Metrics
from monitor.records import LineValues
from monitor.store.settings import StoreSettings
from tests.collectors.rig import until

CONNECT_S = 20.0
OPTIONS = ("max_queued_messages 0", "max_inflight_messages 4000")


def publisher(port: int, rate: float, count: int, dialect: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.cpe.publisher", str(port), str(rate), str(count), dialect]


class Counting:
    """The intake, and how much went through it."""

    def __init__(self, parts: Parts) -> None:
        self._intake = parts.intake
        self.rows = self.events = 0

    def put_round(self, item: Any) -> Any:
        assert isinstance(item, LineValues)
        self.rows += len(item)
        return self._intake.put_round(item)

    def put_event(self, event: Any) -> Any:
        self.events += event.subject != "source:mqtt"
        return self._intake.put_event(event)


class Measured:
    """A collector on a running core. `used_s`: CPU of this process, which is both, from `begin` to `done`."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.core, self.sink = parts, parts.core, Counting(parts)
        context = CollectorContext(
            lambda: self.core.inventory, lambda: self.core.bindings, self.sink, parts.clock, parts.metrics
        )
        self.collector = CpeCollector(parts.settings.cpe, context)
        self.used_s = self.took_s = 0.0

    def acknowledged(self) -> float:
        return self.parts.metrics.registry.get_sample_value("faultline_cpe_acknowledged_total") or 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> Any:
        task = asyncio.create_task(self.collector.run())
        await until(lambda: self.collector.health().ok, CONNECT_S)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def take(self, total: int, longest_s: float) -> None:
        with contextlib.suppress(AssertionError):
            await until(lambda: self.acknowledged() >= total, longest_s)

    def begin(self) -> None:
        self._cpu, self._at = time.process_time(), time.perf_counter()

    def done(self) -> None:
        self.took_s = time.perf_counter() - self._at
        self.core.samples.flush()
        self.used_s = time.process_time() - self._cpu

    def came(self, total: int, dialect: str) -> str:
        values = total * VALUES
        # In plain JSON each is told anew; in a bulk report it is a state, which is news once for each router.
        events = total // EVERY if dialect == "json" else min(total, ROUTERS) // EVERY
        return f"{self.sink.rows} of {values} | {self.sink.events} of {events} | {total - self.acknowledged():.0f}"


@contextlib.contextmanager
def core(folder: Path, broker: Mosquitto, protocol: str) -> Iterator[Measured]:
    rows = "\n".join(f"L{i},north/ex-1/olt-{i % 20}/pon-{i % 200},S{i},AX200,7.1" for i in range(ROUTERS))
    (folder / "inventory.csv").write_text(f"line_id,path,cpe_serial,cpe_model,cpe_firmware\n{rows}\n")
    cpe = CpeSettings(enabled=True, host="127.0.0.1", port=broker.port, protocol=protocol)  # type: ignore[arg-type]
    settings = Settings(
        inventory=InventorySettings(file=str(folder / "inventory.csv")),
        store=StoreSettings(folder=str(folder / "data")),
        icmp=IcmpSettings(enabled=False),
        cpe=cpe,
    )
    parts = start(settings, SystemClock(), Metrics())
    thread = threading.Thread(target=parts.core.run)
    thread.start()
    try:
        yield Measured(parts)
    finally:
        parts.core.stop()
        thread.join()
        parts.close()


async def steady(made: Measured, port: int, args: argparse.Namespace, protocol: str, dialect: str) -> None:
    total = int(args.rate * args.seconds)
    async with made.running():
        made.begin()
        command = publisher(port, args.rate, total, dialect)
        sender = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        await made.take(total, args.seconds * 3 + 20)
        made.done()
        sent = (await sender.communicate())[0].decode().split()
    per = made.used_s / total
    print(
        f"| {protocol} | {dialect} | {sent[0]} | {total / made.took_s:.0f} | {per * 1e6:.0f} | "
        f"{made.used_s / made.took_s * 100:.0f} % | {per * 3000 * 100:.0f} % | {made.came(total, dialect)} |",
        flush=True,
    )


def subscribe(port: int, client_id: str, count: int) -> tuple[float, float]:
    """mosquitto_sub as the same persistent session: makes it (count 0), or drains so many. Seconds and CPU seconds."""
    command = ["mosquitto_sub", "-p", str(port), "-i", client_id, "-c", "-q", "1", "-t", "cpe/+/telemetry/#", "-V", "5"]
    command += ["-D", "connect", "receive-maximum", "4000", "-x", "3600"]
    command += ["-C", str(count)] if count else ["-E"]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def drain(made: Measured, port: int, total: int, dialect: str) -> None:
    """What the broker has kept for us while we were away, and the same for mosquitto_sub."""
    async with made.running():
        pass
    subscribe(port, "peer", 0)
    filled = await asyncio.create_subprocess_exec(*publisher(port, 0, total, dialect), stdout=subprocess.DEVNULL)
    await filled.wait()
    took, cpu = await asyncio.to_thread(subscribe, port, "peer", total)
    made.begin()
    async with made.running():
        await made.take(total, 240)
        made.done()
    ratio, per = took / made.took_s, made.used_s / total * 1e6
    print(
        f"| {dialect} | {total / took:.0f} | {cpu / total * 1e6:.0f} | {total / made.took_s:.0f} | {per:.0f} | "
        f"{ratio:.2f} | {made.came(total, dialect)} |",
        flush=True,
    )


@contextlib.contextmanager
def bench(protocol: str) -> Iterator[tuple[Measured, int]]:
    """A broker and a core of their own, and the broker's port."""
    with (
        tempfile.TemporaryDirectory() as name,
        Mosquitto(Path(name) / "broker", settings=OPTIONS) as broker,
        core(Path(name), broker, protocol) as made,
    ):
        yield made, broker.port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--drain", type=int, default=40_000, help="0: do not")
    parser.add_argument("--protocol", choices=("5", "3.1.1"))
    parser.add_argument("--dialect", choices=("json", "bulk"))
    args = parser.parse_args()
    dialects = [args.dialect] if args.dialect else ["json", "bulk"]
    print(f"{args.rate} messages a second for {args.seconds:g} s, QoS 1, eight values each, into the core")
    print(
        "| MQTT | dialect | sent/s | taken/s | CPU us each | of one core | at 3,000/s | values | events | not acked |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for protocol in [args.protocol] if args.protocol else ["5", "3.1.1"]:
        for dialect in dialects if protocol == "5" else dialects[:1]:
            with bench(protocol) as (made, port):
                asyncio.run(steady(made, port, args, protocol, dialect))
    if not args.drain:
        return
    print(f"\n{args.drain} messages from the broker's queue, MQTT 5")
    print("| dialect | mosquitto_sub/s | its CPU us | ours/s | our CPU us | ratio | values | events | not acked |")
    print("|---|---|---|---|---|---|---|---|---|")
    for dialect in dialects:
        with bench("5") as (made, port):
            asyncio.run(drain(made, port, args.drain, dialect))


if __name__ == "__main__":
    main()
