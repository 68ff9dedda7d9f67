"""3,000 reports a second from 5,000 routers into the daemon's own core: journal, correlation and sample store.

Eight values a message, every hundredth with an event, QoS 1, a real mosquitto, the publisher in a process of its own.
Shown: CPU of collector and core together, by message and of one core; and whether every value and event arrived.
`python -m benchmarks.cpe.rate [--rate N] [--seconds S] [--protocol 5|3.1.1]`.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

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

ROUTERS = 5000
CONNECT_S = 20.0


def publish(port: int, rate: int, seconds: float) -> None:
    """In the child: `rate` reports a second from ROUTERS routers, every hundredth with an event."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(2000)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    begin = time.perf_counter()
    info = None
    for number in range(int(rate * seconds)):
        if (wait := begin + number / rate - time.perf_counter()) > 0.002:
            time.sleep(wait)
        report: dict[str, object] = {
            "uptime_s": 86400 + number / rate,
            "rx_power_dbm": -21.4,
            "snr_db": 31.5,
            "crc_errors": number,
            "cpu_percent": 12,
            "memory_percent": 43,
            "wifi": {"rssi_dbm": -61, "clients": 7},
            "model": "AX200",
            "pad": "x" * 300,
        }
        if number % 100 == 0:
            report |= {"event": "login_rejected", "reason": str(number)}
        info = client.publish(f"cpe/S{number % ROUTERS}/telemetry/state", msgspec.json.encode(report), 1)
    if info is not None:
        info.wait_for_publish(60)
    print(f"published at {rate * seconds / (time.perf_counter() - begin):.0f}/s", file=sys.stderr)
    client.disconnect()
    client.loop_stop()


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


async def measure(parts: Parts, port: int, rate: int, seconds: float, protocol: str) -> None:
    sink, core = Counting(parts), parts.core
    context = CollectorContext(lambda: core.inventory, lambda: core.bindings, sink, parts.clock, parts.metrics)
    collector = CpeCollector(parts.settings.cpe, context)
    task = asyncio.create_task(collector.run())
    await until(lambda: collector.health().ok, CONNECT_S)
    cpu, begin = time.process_time(), time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.cpe.rate", "--publish", str(port), str(rate), str(seconds)]
    publisher = await asyncio.create_subprocess_exec(*command)
    total = int(rate * seconds)

    def acknowledged() -> float:
        return parts.metrics.registry.get_sample_value("faultline_cpe_acknowledged_total") or 0.0

    with contextlib.suppress(AssertionError):
        await until(lambda: acknowledged() >= total, seconds * 3 + 20)
    took = time.perf_counter() - begin
    core.samples.flush()
    used = time.process_time() - cpu
    await publisher.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    share = used / total * rate
    print(
        f"| {protocol} | {total / took:.0f} | {used / total * 1e6:.0f} | {share * 100:.0f} % | "
        f"{sink.rows} of {total * 8} | {sink.events} of {total // 100} | {total - acknowledged():.0f} |"
    )


def run(folder: Path, broker: Mosquitto, args: argparse.Namespace, protocol: str) -> None:
    rows = "\n".join(f"L{i},north/ex-1/olt-{i % 20}/pon-{i % 200},S{i}" for i in range(ROUTERS))
    (folder / "inventory.csv").write_text(f"line_id,path,cpe_serial\n{rows}\n")
    settings = Settings(
        inventory=InventorySettings(file=str(folder / "inventory.csv")),
        store=StoreSettings(folder=str(folder / f"data-{protocol}")),
        icmp=IcmpSettings(enabled=False),
        cpe=CpeSettings(enabled=True, host="127.0.0.1", port=broker.port, protocol=protocol, max_messages=60_000),
    )
    parts = start(settings, SystemClock(), Metrics())
    thread = threading.Thread(target=parts.core.run)
    thread.start()
    try:
        asyncio.run(measure(parts, broker.port, args.rate, args.seconds, protocol))
    finally:
        parts.core.stop()
        thread.join()
        parts.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--protocol", choices=("5", "3.1.1"))
    parser.add_argument("--publish", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.publish:
        port, rate, seconds = args.publish
        publish(int(port), int(rate), float(seconds))
        return
    print(f"{args.rate} messages a second offered for {args.seconds:g} s, QoS 1, eight values each, into the core")
    print("| MQTT | messages/s | CPU us/message | of one core at this rate | values | events | not acknowledged |")
    print("|---|---|---|---|---|---|---|")
    for protocol in [args.protocol] if args.protocol else ["5", "3.1.1"]:
        options = ("max_queued_messages 0", "max_inflight_messages 4000")
        with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder), settings=options) as broker:
            run(Path(folder), broker, args, protocol)


if __name__ == "__main__":
    main()
