"""One simulated router: what it measures, in plain JSON and in TR-181's parameters."""

import random
import time
from typing import TYPE_CHECKING

from monitor.lab.fleet import Router
from monitor.lab.mqtt import Session

if TYPE_CHECKING:
    from monitor.lab.usp.agent import Agent


DARK_DBM = -40.0  # what a receiver shows without light


class Simulated:
    """Times are of the steady clock, in seconds."""

    def __init__(self, router: Router, chance: random.Random) -> None:
        self.serial = router.serial
        self.dialect = router.dialect
        self.endpoint = router.endpoint or f"os::02FA17-{router.serial}"
        self.v5 = router.v5
        self.fibre = router.technology != "dsl"
        self.session: Session | None = None
        self.agent: Agent | None = None  # of a router that speaks USP
        self.away = False  # line cut or power off
        self.powered = True
        self.rebooting = False
        self.disturbed = False
        self.hanging = False
        self.light = True
        self.login = True
        self.fading = 0.0  # dB a minute
        self.faded_since = 0.0
        self.model = router.model
        self.firmware = router.firmware
        self.boot_to_tell = False
        self.boot = ("LocalReboot", "", False)  # cause, command key, firmware updated
        self.booted = time.monotonic() - chance.uniform(3600, 40 * 86400)
        self.connected = 0.0
        self.signal = chance.gauss(-19.5, 1.8) if self.fibre else chance.gauss(9.0, 1.5)
        self.rssi = chance.gauss(-58, 7)
        self.crc = chance.randrange(0, 2000)
        self.fec = self.crc * 7
        self.clients = chance.randrange(1, 9)

    def level(self, chance: random.Random) -> float:
        """Received power in dBm (fibre) or noise margin in dB (copper)."""
        worse = 6.0 if self.disturbed else 0.0
        if self.fading:
            worse += self.fading * (time.monotonic() - self.faded_since) / 60
        return round(self.signal - worse + chance.gauss(0, 0.1), 2)

    def count_errors(self, chance: random.Random) -> None:
        self.crc += chance.randrange(200, 900) if self.disturbed else int(chance.random() < 0.2)
        self.fec += chance.randrange(900, 4000) if self.disturbed else chance.randrange(0, 5)

    def report(self, chance: random.Random) -> dict[str, float | int | str]:
        """What it measures now; keys carry their units."""
        now = time.monotonic()
        self.count_errors(chance)
        signal = self.level(chance)
        optical = {
            "rx_power_dbm": signal if self.light else DARK_DBM,
            "tx_power_dbm": round(2.2 + chance.gauss(0, 0.05), 2),
        }
        copper = {"snr_db": signal if self.light else 0.0, "fec_errors": self.fec}
        return {
            "model": self.model,
            "firmware": self.firmware,
            **(optical if self.fibre else copper),
            "crc_errors": self.crc,
            "uptime_s": int(now - self.booted),
            "wan_uptime_s": int(now - self.connected),
            "wifi_rssi_dbm": round(self.rssi + chance.gauss(0, 2), 1),
            "wifi_clients": chance.randrange(1, 9),
            "cpu_ratio": round(chance.uniform(0.05, 0.4), 3),
            "memory_ratio": round(chance.uniform(0.4, 0.7), 3),
        }

    def parameters(self, chance: random.Random) -> dict[str, str]:
        """The same in TR-181's words and units (0.001 dBm, 0.1 dB, kbps), as text."""
        signal = self.level(chance)
        info = "Device.DeviceInfo."
        found = {
            info + "Manufacturer": "Example",
            info + "ManufacturerOUI": "02FA17",
            info + "ModelName": self.model,
            info + "SerialNumber": self.serial,
            info + "SoftwareVersion": self.firmware,
            info + "UpTime": str(int(time.monotonic() - self.booted)),
            info + "MemoryStatus.Total": "262144",
            info + "MemoryStatus.Free": str(chance.randrange(80_000, 150_000)),
            info + "ProcessStatus.CPUUsage": str(chance.randrange(5, 40)),
            "Device.PPP.Interface.1.ConnectionStatus": "Connected" if self.login else "Disconnected",
            "Device.PPP.Interface.1.LastConnectionError": "ERROR_NONE"
            if self.login
            else "ERROR_AUTHENTICATION_FAILURE",
            "Device.WiFi.Radio.1.Stats.Noise": "-92",
            "Device.WiFi.AccessPoint.1.AssociatedDeviceNumberOfEntries": str(self.clients),
            "Device.WiFi.AccessPoint.1.AssociatedDevice.1.SignalStrength": str(round(self.rssi)),
        }
        if self.fibre:
            ani = "Device.XPON.ONU.1.ANI.1."
            found |= {
                "Device.Optical.Interface.1.Status": "Up" if self.light else "Down",
                "Device.Optical.Interface.1.OpticalSignalLevel": str(
                    round(1000 * (signal if self.light else DARK_DBM))
                ),
                "Device.Optical.Interface.1.TransmitOpticalLevel": str(round(2200 + chance.gauss(0, 50))),
                ani + "TC.Alarms.LOS": str(not self.light).lower(),
                ani + "Transceiver.1.Temperature": "46",
            }
            return found
        line = "Device.DSL.Line.1."
        return found | {
            line + "LinkStatus": "Up" if self.light else "NoSignal",
            line + "DownstreamNoiseMargin": str(round(signal * 10) if self.light else 0),
            line + "DownstreamAttenuation": "186",
            "Device.DSL.Channel.1.DownstreamCurrRate": "98000",
            "Device.DSL.Channel.1.UpstreamCurrRate": "36000",
            "Device.DSL.Channel.1.Stats.Showtime.XTURCRCErrors": str(self.crc),
        }
