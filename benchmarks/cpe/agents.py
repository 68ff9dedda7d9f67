"""How fast USP agents are set up and asked: 50 agents provisioned, subscribed and read; Gets over loopback.

A real mosquitto, the simulated fleet in a process of its own, both MQTT versions. Shown: seconds from the first agent's
connection until all are set up and read (the fleet connects meanwhile); milliseconds of a Get, one at a time.
`python -m benchmarks.cpe.agents [--agents N] [--gets N]`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings, UspSettings
from collectors.cpe.usp import calls
from monitor.lab.fleet import Fleet, Router
from monitor.lab.servers import Mosquitto
from tests.collectors.rig import Rig, small_inventory, until

PATH = "Device.DeviceInfo.UpTime"


async def measure(folder: Path, broker: Mosquitto, protocol: str, agents: int, gets: int) -> None:
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
    begin = time.perf_counter()
    await until(lambda: rig.count("cpe_usp_provisioned_total") >= agents, 120)
    took = time.perf_counter() - begin
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
        f"{statistics.quantiles(times, n=100)[98]:.1f} ms | {wrong:.0f} |"
    )
    await asyncio.to_thread(fleet.stop)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--gets", type=int, default=500)
    args = parser.parse_args()
    print("| MQTT | agents | set up and read | Get, median | Get, 99th percentile | refused or silent |")
    print("|---|---|---|---|---|---|")
    for protocol in ("5", "3.1.1"):
        with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder) / "broker") as broker:
            asyncio.run(measure(Path(folder), broker, protocol, args.agents, args.gets))


if __name__ == "__main__":
    main()
