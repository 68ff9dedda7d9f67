"""How fast USP agents are set up and asked: 50 agents provisioned, subscribed and read; Gets over loopback.

A real mosquitto, the simulated fleet in a process of its own, both MQTT versions. Shown: seconds from the first
agent's connection until all are set up and read (the fleet connects meanwhile); CPU of each process until then and what
ours has grown by; milliseconds of a Get, one at a time, while the others report.
With --storm: the broker is killed and comes back (all connect and are looked through again), then half of the agents
lose their power (they have no last will), then they come back.
`python -m benchmarks.cpe.agents [--agents N] [--gets N] [--protocol 5|3.1.1] [--storm]`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings, UspSettings
from collectors.cpe.usp import calls
from monitor.lab.fleet import Fleet, Router
from monitor.lab.servers import Mosquitto
from tests.collectors.rig import Rig, small_inventory, until

PATH = "Device.DeviceInfo.UpTime"


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def resident() -> float:
    """Our memory in kB."""
    return float(psutil.Process().memory_info().rss) / 1000


async def measure(folder: Path, broker: Mosquitto, protocol: str, args: argparse.Namespace) -> None:
    agents, gets = args.agents, args.gets
    rig = Rig(small_inventory(folder, agents))
    told = UspSettings(enabled=True, periodic_s=30, bulk_s=30)
    settings = CpeSettings(host="127.0.0.1", port=broker.port, protocol=protocol, client_id="bench", usp=told)
    collector = CpeCollector(settings, rig.context)
    task = asyncio.create_task(collector.run())
    await until(lambda: collector.health().ok)
    routers = [Router(f"S{i}", "gpon", "usp", v5=protocol == "5") for i in range(agents)]
    fleet = Fleet(folder, broker.host, broker.port, routers, return_s=0.1)
    starting = asyncio.create_task(asyncio.to_thread(fleet.start))
    seen = lambda: rig.count("cpe_usp_records_total", kind="connect")  # noqa: E731
    await until(lambda: seen() > 0, 60)
    begin, used, kilobytes = time.perf_counter(), time.process_time(), resident()
    others = [psutil.Process(pid) for pid in (fleet.pid, broker.pid)]
    theirs = [cpu_s(one) for one in others]
    await until(lambda: rig.count("cpe_usp_provisioned_total") >= agents, max(120, agents / 20), "all set up")
    took, used, kilobytes = time.perf_counter() - begin, time.process_time() - used, resident() - kilobytes
    theirs = [cpu_s(one) - before for one, before in zip(others, theirs, strict=True)]
    await starting
    controller = collector.controller
    assert controller is not None
    lines = [rig.inventory.by_serial(f"S{i}")[0] for i in range(agents)]
    times = []
    for number in range(gets):
        at = time.perf_counter()
        await controller.ask(lines[number % agents], calls.get([PATH]))
        times.append((time.perf_counter() - at) * 1000)
    wrong = rig.count("cpe_usp_failed_total", reason="wanting") + rig.count("cpe_usp_failed_total", reason="silent")
    print(
        f"| {protocol} | {agents} | {took:.2f} s | {statistics.median(times):.1f} ms | "
        f"{statistics.quantiles(times, n=100)[98]:.1f} ms | {wrong:.0f} | {used / agents * 1000:.1f} ms | "
        f"{theirs[0] / agents * 1000:.1f} ms | {theirs[1] / agents * 1000:.1f} ms | {kilobytes / agents:.1f} kB |",
        flush=True,
    )
    if args.storm:
        await storm(rig, broker, fleet, routers, told)
    await asyncio.to_thread(fleet.stop)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def storm(rig: Rig, broker: Mosquitto, fleet: Fleet, routers: list[Router], told: UspSettings) -> None:
    count, half = len(routers), [router.serial for router in routers[::2]]
    longest_s = max(120, count / 20)
    done = lambda: rig.count("cpe_usp_provisioned_total")  # noqa: E731
    said = lambda kind: len({e.subject for e in rig.sink.of_kind(kind)})  # noqa: E731
    before, used, begin = done(), time.process_time(), time.perf_counter()
    broker.kill()
    await asyncio.sleep(0.5)
    broker.start()
    await until(lambda: done() - before >= count, longest_s, "all looked through again")
    again, used = time.perf_counter() - begin, time.process_time() - used
    false = said("cpe_offline")
    begin = time.perf_counter()
    await asyncio.to_thread(fleet.power_off, half)
    await until(lambda: said("cpe_offline") >= len(half), longest_s + told.periodic_s * told.missed, "all are missed")
    missed = time.perf_counter() - begin
    before, begin = done(), time.perf_counter()
    rig.sink.events.clear()
    await asyncio.to_thread(fleet.restore, half)
    await until(lambda: said("cpe_boot") >= len(half) and done() - before >= len(half), longest_s, "all are back")
    print(
        f"\nthe broker killed: all {count} set up again after {again:.1f} s, {used / count * 1000:.1f} ms of our CPU "
        f"each, {false} said to be offline\n{len(half)} without power: all missed after {missed:.1f} s, of which "
        f"{told.periodic_s * told.missed + told.answer_s:g} s are patience; all heard to boot and set up again in "
        f"{time.perf_counter() - begin:.1f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--gets", type=int, default=500)
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--protocol", choices=("5", "3.1.1"))
    args = parser.parse_args()
    head = "| MQTT | agents | set up and read | Get, median | Get, 99th percentile | refused or silent | "
    print(head + "our CPU an agent | the fleet's | the broker's | our memory an agent |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for protocol in [args.protocol] if args.protocol else ["5", "3.1.1"]:
        with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder) / "broker") as broker:
            asyncio.run(measure(Path(folder), broker, protocol, args))


if __name__ == "__main__":
    main()
