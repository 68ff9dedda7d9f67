"""Which MQTT client: drains a pre-filled persistent session (QoS 1, 600-byte JSON) with each candidate.

Each candidate runs in a process of its own and decodes every message. Shown: messages a second, CPU microseconds a
message, relative to mosquitto_sub (which decodes nothing); and how many messages are lost when the consumer is killed
(SIGKILL) after it has processed 50 of 2,000. `python -m benchmarks.cpe.clients [--messages N]`.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiomqtt
import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collectors.cpe.connection import AckingClient
from collectors.cpe.frames import Inbound
from collectors.cpe.settings import CpeSettings
from monitor.lab.servers import Mosquitto

TOPIC = "cpe/+/telemetry/#"
PAYLOAD = msgspec.json.encode(
    {"ts": 1.7e9, "rx_power_dbm": -21.4, "snr_db": 31.5, "uptime_s": 86400, "pad": "x" * 500, "n": 0}
)
BROKER = ("persistence false", "max_queued_messages 0", "max_inflight_messages 1000", "log_type none")
CANDIDATES = ("aiomqtt iterator", "aiomqtt manual ack", "paho thread manual ack", "aiomqtt, own PUBLISH path")
CONSUME = (sys.executable, "-m", "benchmarks.cpe.clients", "--consume")
work = msgspec.json.decode


def properties(receive_maximum: int = 1000) -> Properties:
    made = Properties(PacketTypes.CONNECT)
    made.SessionExpiryInterval = 3600
    made.ReceiveMaximum = receive_maximum
    return made


def prefill(port: int, client_id: str, count: int) -> None:
    """Make the persistent session, leave, and queue `count` messages for it."""
    with contextlib.suppress(Exception):
        asyncio.run(_subscribe_only(port, client_id))
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    info = None
    for number in range(count):
        payload = PAYLOAD.replace(b'"n":0', b'"n":%d' % number)
        info = client.publish(f"cpe/S{number % 500}/telemetry/state", payload, 1)
        if number % 500 == 0:
            info.wait_for_publish(30)
    if info is not None:
        info.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


async def _subscribe_only(port: int, client_id: str) -> None:
    client = aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties(),
    )
    async with client:
        await client.subscribe(TOPIC, 1)


class Counter:
    """Counts processed messages, writes their numbers if asked, and kills its own process at `kill_at`."""

    def __init__(self, want: int, kill_at: int, log: str) -> None:
        self.seen, self.want, self.kill_at = 0, want, kill_at
        # Who is to be killed takes time to store what came, as everybody does.
        self.dwell_s = 0.002 if kill_at else 0.0
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if log else -1

    def process(self, payload: bytes) -> bool:
        message = work(payload)
        if self.log >= 0:
            os.write(self.log, b"%d\n" % message["n"])
        self.seen += 1
        if self.seen == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.seen >= self.want


async def _aiomqtt(port: int, client_id: str, counter: Counter, manual: bool) -> None:
    client = aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties(),
    )
    done = asyncio.Event()
    if manual:
        inner = client._client
        inner.manual_ack_set(True)
        todo: list[paho.MQTTMessage] = []

        def later(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
            # Processed after the callback, as a journal would; acknowledged only then.
            if not todo:
                asyncio.get_running_loop().call_later(counter.dwell_s, drain)
            todo.append(message)

        def drain() -> None:
            for message in todo:
                if counter.process(message.payload):
                    done.set()
                inner.ack(message.mid, message.qos)
            todo.clear()

        inner.on_message = later
    async with client:
        if manual:
            await done.wait()
        else:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                if counter.dwell_s:
                    await asyncio.sleep(counter.dwell_s)
                if counter.process(message.payload):
                    break
        await asyncio.sleep(0.2)


async def _own(port: int, client_id: str, counter: Counter) -> None:
    """The collector's own connection: aiomqtt for everything but PUBLISH and its acknowledgement."""
    done = asyncio.Event()
    todo: list[Inbound] = []

    def later(message: Inbound) -> None:
        if not todo:
            asyncio.get_running_loop().call_later(counter.dwell_s, drain)
        todo.append(message)

    def drain() -> None:
        for message in todo:
            if counter.process(message.payload):
                done.set()
            client.acknowledge(message.mid, message.qos)
        todo.clear()

    settings = CpeSettings(host="127.0.0.1", port=port, client_id=client_id, receive_maximum=1000)
    client = AckingClient(settings, "127.0.0.1", None, None, lambda _: None, later)
    await client.open([TOPIC])
    await done.wait()
    await asyncio.sleep(0.2)
    await client.leave()


def _paho(port: int, client_id: str, counter: Counter) -> None:
    import threading

    done = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, manual_ack=True)

    def arrived(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if counter.dwell_s:
            time.sleep(counter.dwell_s)
        if counter.process(message.payload):
            done.set()
        client.ack(message.mid, message.qos)

    client.on_message = arrived
    client.connect("127.0.0.1", port, clean_start=False, properties=properties())
    client.loop_start()
    done.wait(300)
    time.sleep(0.2)
    client.disconnect()
    client.loop_stop()


def consume(name: str, port: int, client_id: str, want: int, kill_at: int, log: str) -> None:
    begin, cpu = time.perf_counter(), time.process_time()
    counter = Counter(want, kill_at, log)
    if name.endswith("own PUBLISH path"):
        asyncio.run(_own(port, client_id, counter))
    elif name.startswith("aiomqtt"):
        asyncio.run(_aiomqtt(port, client_id, counter, name.endswith("ack")))
    else:
        _paho(port, client_id, counter)
    print(counter.seen, time.perf_counter() - begin - 0.2, time.process_time() - cpu)


def run_child(name: str, port: int, client_id: str, want: int, kill_at: int = 0, log: str = "") -> list[float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.cpe.clients",
        "--consume",
        name,
        str(port),
        client_id,
        str(want),
        str(kill_at),
        log,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return [float(x) for x in done.stdout.split()]


def mosquitto_sub(port: int, client_id: str, want: int) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(
        [
            "mosquitto_sub",
            "-p",
            str(port),
            "-i",
            client_id,
            "-c",
            "-q",
            "1",
            "-t",
            TOPIC,
            "-C",
            str(want),
            "-V",
            "5",
            *["-D", "connect", "receive-maximum", "1000", "-x", "3600"],
        ],
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=300,
    )
    took = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--consume", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.consume:
        name, port, client_id, want, kill_at, log = args.consume
        consume(name, int(port), client_id, int(want), int(kill_at), log)
        return
    count = args.messages
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder), settings=BROKER) as broker:
        print(f"{count} messages, best of {args.rounds} interleaved rounds")
        rates: dict[str, list[tuple[float, float]]] = {}
        for number in range(args.rounds):
            prefill(broker.port, f"sub{number}", count)
            took, cpu = mosquitto_sub(broker.port, f"sub{number}", count)
            rates.setdefault("mosquitto_sub", []).append((count / took, cpu / count * 1e6))
            for name in CANDIDATES:
                client_id = f"{name.replace(', ', '-').replace(' ', '-')}-{number}"
                prefill(broker.port, client_id, count)
                seen, took, cpu = run_child(name, broker.port, client_id, count)
                rates.setdefault(name, []).append((seen / took, cpu / seen * 1e6))
        base = max(rate for rate, _ in rates["mosquitto_sub"])
        print("| client | messages/s | of mosquitto_sub | CPU us/message | lost of 2,000 when killed after 50 |")
        print("|---|---|---|---|---|")
        for name, runs in rates.items():
            rate, cpu = max(runs)[0], min(c for _, c in runs)
            lost = "" if name == "mosquitto_sub" else str(loss(name, broker.port, Path(folder)))
            print(f"| {name} | {rate:.0f} | {rate / base:.2f} | {cpu:.0f} | {lost} |")


def loss(name: str, port: int, folder: Path) -> int:
    client_id, log = f"loss-{name.replace(', ', '-').replace(' ', '-')}", folder / f"{name}.log"
    prefill(port, client_id, 2000)
    run_child(name, port, client_id, 10**9, 50, str(log))
    time.sleep(0.5)
    with contextlib.suppress(subprocess.TimeoutExpired):
        command = [
            sys.executable,
            "-m",
            "benchmarks.cpe.clients",
            "--consume",
            name,
            str(port),
            client_id,
            str(10**9),
            "0",
            str(log),
        ]
        subprocess.run(command, capture_output=True, timeout=6, check=False)
    return 2000 - len(set(log.read_text().split()))


if __name__ == "__main__":
    main()
