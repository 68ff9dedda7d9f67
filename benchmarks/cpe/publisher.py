"""Reports of 5,000 routers to a broker over one raw socket, QoS 1: lean enough not to be what is measured.

Packets are built from ready pieces, sent many at a time, and at most WINDOW of them wait for their PUBACK.
`python -m benchmarks.cpe.publisher PORT RATE COUNT [json|bulk]`; RATE 0: as fast as the broker takes them.
Prints the rate that was reached and its own CPU microseconds a message.
"""

import select
import socket
import sys
import time

import msgspec

from monitor.lab.mqtt import CONNACK, DISCONNECT, connect_packet, packet, publish_packet

ROUTERS = 5000
WINDOW = 3000
CHUNK = 100
EVERY = 100  # reports to one that tells of an event
VALUES = 8
MARK = 1_000_000_000  # stands for the number of a report, with as many digits


def report(dialect: str, number: int, event: bool) -> bytes:
    """About 500 bytes with eight values, the model and the version."""
    if dialect == "bulk":
        login = ("ERROR_AUTHENTICATION_FAILURE", "Disconnected") if event else ("ERROR_NONE", "Connected")
        told = {
            "Device.DeviceInfo.UpTime": number,
            "Device.DeviceInfo.ModelName": "AX200",
            "Device.DeviceInfo.SoftwareVersion": "7.1",
            "Device.DeviceInfo.ProcessStatus.CPUUsage": 12,
            "Device.DeviceInfo.MemoryStatus.Total": 262144,
            "Device.DeviceInfo.MemoryStatus.Free": 98304,
            "Device.Optical.Interface.1.OpticalSignalLevel": -21400,
            "Device.Optical.Interface.1.TransmitOpticalLevel": 2200,
            "Device.WiFi.Radio.1.Stats.Noise": -92,
            "Device.WiFi.AccessPoint.1.AssociatedDeviceNumberOfEntries": 7,
            "Device.WiFi.AccessPoint.1.AssociatedDevice.1.SignalStrength": -61,
            "Device.PPP.Interface.1.LastConnectionError": login[0],
            "Device.PPP.Interface.1.ConnectionStatus": login[1],
        }
        return msgspec.json.encode({"Report": [told]})
    content: dict[str, object] = {
        "uptime_s": number,
        "rx_power_dbm": -21.4,
        "snr_db": 31.5,
        "crc_errors": 7,
        "cpu_percent": 12,
        "memory_percent": 43,
        "wifi": {"rssi_dbm": -61, "clients": 7},
        "model": "AX200",
        "firmware": "7.1",
        "pad": "x" * 300,
    }
    if event:
        content |= {"event": "login_rejected", "reason": str(number)}
    return msgspec.json.encode(content)


class Publisher:
    def __init__(self, port: int, dialect: str, name: str = "publisher") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(connect_packet(name, 0, None))
        answer = self._socket.recv(4)
        if answer[:1] != bytes((CONNACK,)) or answer[3:] != b"\0":
            raise SystemExit(f"the broker refused the publisher: {answer!r}")
        plain, event = (report(dialect, MARK, told) for told in (False, True))
        self._plain, self._event = plain.split(b"%d" % MARK), event.split(b"%d" % MARK)
        what = "bulk" if dialect == "bulk" else "state"
        self._topics = [f"cpe/S{i}/telemetry/{what}" for i in range(ROUTERS)]
        self.sent = self.acknowledged = 0
        self._rest = b""

    def send(self, count: int) -> None:
        """The next `count` reports, in one write."""
        out = []
        for number in range(self.sent, self.sent + count):
            pieces = self._event if number % EVERY == 0 else self._plain
            payload = (b"%d" % (MARK + number)).join(pieces)
            out.append(publish_packet(self._topics[number % ROUTERS], payload, message_id=number % 65535 + 1))
        self.sent += count
        self._socket.sendall(b"".join(out))

    def listen(self, wait_s: float) -> None:
        """Count what the broker acknowledges; PUBACKs of MQTT 3.1.1 have four bytes, and nothing else comes."""
        while select.select([self._socket], [], [], wait_s)[0]:
            data = self._socket.recv(1 << 16)
            if not data:
                raise SystemExit("the broker closed the publisher's connection")
            whole = len(self._rest) + len(data)
            self.acknowledged += whole // 4
            self._rest = b"x" * (whole % 4)
            wait_s = 0.0

    def run(self, rate: float, count: int) -> None:
        begin = time.perf_counter()
        while self.acknowledged < count:
            due = count if not rate else min(count, int((time.perf_counter() - begin) * rate))
            room = min(due - self.sent, WINDOW - (self.sent - self.acknowledged), CHUNK)
            if room > 0:
                self.send(room)
            self.listen(0.0 if room > 0 else 0.002)
        took = time.perf_counter() - begin
        self._socket.sendall(packet(DISCONNECT, b""))
        print(f"{count / took:.0f} {time.process_time() / count * 1e6:.1f}")


def main() -> None:
    port, rate, count = sys.argv[1:4]
    Publisher(int(port), sys.argv[4] if len(sys.argv) > 4 else "json").run(float(rate), int(count))


if __name__ == "__main__":
    main()
