"""What CPE telemetry costs: routers publish at a steady rate over a real mosquitto, the collector takes it.

The publisher is a process of its own. The collector's sink copies every batch to a file with fsync every 200 ms (as
the daemon's core does), then the messages are acknowledged. Shown: messages a second, CPU of the collector's process
per 1,000 messages (as a share of one core at 1,000 a second), values and events that arrived, and what is missing.
`python benchmarks/collectors/cpe_rate.py [--rate M] [--seconds S] [--protocol 5|3.1.1]`
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from collectors.cpe.collector import CpeCollector
from collectors.cpe.settings import CpeSettings
from monitor.lab.servers import Mosquitto
from monitor.records import Event, LineValues, ProbeRound
from tests.collectors.rig import RecordingSink, Rig, small_inventory, until

ROUTERS = 5000


class DiskSink(RecordingSink):
    """Counts, and writes what came (raw columns, JSON events) with fsync when told."""

    def __init__(self, path: Path) -> None:
        super().__init__(written=False)
        self.rows = self.told = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._chunks: list[bytes] = []

    def put_round(self, item: ProbeRound | LineValues):  # type: ignore[no-untyped-def]
        assert isinstance(item, LineValues)
        self.rows += len(item)
        self._chunks += [item.line.tobytes(), item.kind.tobytes(), item.value.tobytes(), item.at_ns.tobytes()]
        return self._future()

    def put_event(self, event: Event):  # type: ignore[no-untyped-def]
        self.told += 1
        self._chunks.append(msgspec.json.encode(event))
        return self._future()

    async def journal(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            chunks, self._chunks = self._chunks, []
            os.write(self._file, b"".join(chunks))
            os.fdatasync(self._file)
            self.write()


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


async def measure(port: int, folder: Path, rate: int, seconds: float, protocol: str) -> None:
    sink = DiskSink(folder / "journal")
    rig = Rig(small_inventory(folder, ROUTERS), sink)
    rig.inventory.by_serial("S0")
    told = CpeSettings(host="127.0.0.1", port=port, protocol="5" if protocol == "5" else "3.1.1", max_messages=60000)
    collector = CpeCollector(told, rig.context)
    tasks = [asyncio.create_task(collector.run()), asyncio.create_task(sink.journal())]
    await until(lambda: collector.health().ok)
    cpu, begin = time.process_time(), time.perf_counter()
    command = [sys.executable, __file__, "--publish", str(port), str(rate), str(seconds)]
    publisher = await asyncio.create_subprocess_exec(*command)
    total = int(rate * seconds)
    acknowledged = lambda: rig.count("cpe_acknowledged_total")  # noqa: E731 - said once, used twice
    with contextlib.suppress(AssertionError):
        await until(lambda: acknowledged() >= total, timeout_s=seconds * 3 + 20)
    took, used = time.perf_counter() - begin, time.process_time() - cpu
    await publisher.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(
        f"| {protocol} | {total / took:.0f} | {used / total * 1000:.3f} | {used / took * 100:.0f} % | "
        f"{sink.rows} of {total * 8} | {sink.told - 1} of {total // 100} | {total - acknowledged():.0f} |"
    )


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
    print(f"{args.rate} messages a second offered for {args.seconds:g} s, QoS 1, eight values each")
    print("| MQTT | messages/s | CPU s per 1,000 | of one core | values | events | not acknowledged |")
    print("|---|---|---|---|---|---|---|")
    for protocol in [args.protocol] if args.protocol else ["5", "3.1.1"]:
        options = ("max_queued_messages 0", "max_inflight_messages 4000")
        with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder), settings=options) as broker:
            asyncio.run(measure(broker.port, Path(folder), args.rate, args.seconds, protocol))


if __name__ == "__main__":
    main()
