"""What TR-181 parameters mean: from a path and its value to kinds with units, states and identity.

Traps that the factors mend: DSL margins are 0.1 dB, OpticalSignalLevel is 0.001 dBm, XPON transceivers 0.1 dBm, DOCSIS
power 0.1 dBmV, rates kbps. Where an object has many instances (DOCSIS channels, Wi-Fi stations) one figure stands for
all: the worst, the sum or the first, as the rule says. Source: TR-181 2.19.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from collectors.cpe.normal import PLAUSIBLE, Report, clean, to_number
from monitor.records import ValueKind as K

MAX_TEXT = 64


class Rule(NamedTuple):
    """`factor` into the unit of `kind`; `of_many`: first, min, max or sum over the instances. `low`, `high`: narrower
    than what is plausible for the kind, where that tells a router with the wrong unit."""

    kind: K
    factor: float = 1.0
    of_many: str = "first"
    low: float = -math.inf
    high: float = math.inf


VALUES: dict[str, Rule] = {
    # DSL
    "DSL.Line.#.DownstreamNoiseMargin": Rule(K.SNR_DB, 0.1),
    "DSL.Line.#.UpstreamNoiseMargin": Rule(K.SNR_UP_DB, 0.1),
    "DSL.Line.#.DownstreamAttenuation": Rule(K.ATTENUATION_DB, 0.1),
    "DSL.Line.#.UpstreamAttenuation": Rule(K.ATTENUATION_UP_DB, 0.1),
    "DSL.Line.#.DownstreamPower": Rule(K.RX_LEVEL_DBMV, 0.1),
    "DSL.Line.#.UpstreamPower": Rule(K.TX_LEVEL_DBMV, 0.1),
    "DSL.Line.#.Stats.Showtime.ErroredSecs": Rule(K.ERRORED_S),
    "DSL.Line.#.Stats.Showtime.SeverelyErroredSecs": Rule(K.SEVERELY_ERRORED_S),
    "DSL.Channel.#.DownstreamCurrRate": Rule(K.SYNC_DOWN_MBPS, 1e-3, "sum"),
    "DSL.Channel.#.UpstreamCurrRate": Rule(K.SYNC_UP_MBPS, 1e-3, "sum"),
    "DSL.Channel.#.Stats.Showtime.XTURCRCErrors": Rule(K.CRC_ERRORS, 1, "sum"),
    "DSL.Channel.#.Stats.Showtime.XTURFECErrors": Rule(K.FEC_ERRORS, 1, "sum"),
    # PON
    "Optical.Interface.#.OpticalSignalLevel": Rule(K.RX_POWER_DBM, 1e-3, low=-60, high=-0.5),
    "Optical.Interface.#.TransmitOpticalLevel": Rule(K.TX_POWER_DBM, 1e-3),
    # A PON receiver is blind above -8 dBm.
    "XPON.ONU.#.ANI.#.Transceiver.#.RxPower": Rule(K.RX_POWER_DBM, 0.1, low=-60, high=-3),
    "XPON.ONU.#.ANI.#.Transceiver.#.TxPower": Rule(K.TX_POWER_DBM, 0.1),
    "XPON.ONU.#.ANI.#.Transceiver.#.Voltage": Rule(K.VOLTAGE_V, 1e-3),
    "XPON.ONU.#.ANI.#.Transceiver.#.Bias": Rule(K.BIAS_MA, 1e-3),
    "XPON.ONU.#.ANI.#.Transceiver.#.Temperature": Rule(K.TEMPERATURE_C),
    "XPON.ONU.#.ANI.#.TC.PM.PHY.CorrectedFECCodewords": Rule(K.FEC_ERRORS, 1, "sum"),
    "XPON.ONU.#.ANI.#.TC.PM.PHY.UncorrectableFECCodewords": Rule(K.UNCORRECTABLES, 1, "sum"),
    # DOCSIS
    "DOCSIS.Interface.#.DownstreamChannel.#.Power": Rule(K.RX_LEVEL_DBMV, 0.1, "min"),
    "DOCSIS.Interface.#.DownstreamChannel.#.SignalQuality.SignalNoise": Rule(K.SNR_DB, 0.1, "min"),
    "DOCSIS.Interface.#.DownstreamChannel.#.SignalQualityExt.RxMER": Rule(K.SNR_DB, 0.1, "min"),
    "DOCSIS.Interface.#.DownstreamChannel.#.SignalQuality.ExtCorrecteds": Rule(K.FEC_ERRORS, 1, "sum"),
    "DOCSIS.Interface.#.DownstreamChannel.#.SignalQuality.ExtUncorrectables": Rule(K.UNCORRECTABLES, 1, "sum"),
    "DOCSIS.Interface.#.UpstreamChannel.#.Status.TxPower": Rule(K.TX_LEVEL_DBMV, 0.1, "max"),
    "DOCSIS.Interface.#.UpstreamChannel.#.Status.T3Timeouts": Rule(K.T3_TIMEOUTS, 1, "sum"),
    "DOCSIS.Interface.#.UpstreamChannel.#.Status.T4Timeouts": Rule(K.T4_TIMEOUTS, 1, "sum"),
    "DOCSIS.Interface.#.ConnectivityStatus.LostSyncs": Rule(K.RETRAINS, 1, "sum"),
    # cellular: what a line receives is its RSRP
    "Cellular.Interface.#.RSRP": Rule(K.RX_POWER_DBM),
    "Cellular.Interface.#.RSRQ": Rule(K.RSRQ_DB),
    "Cellular.Interface.#.RSSI": Rule(K.CELL_RSSI_DBM),
    # Wi-Fi
    "WiFi.AccessPoint.#.AssociatedDevice.#.SignalStrength": Rule(K.WIFI_RSSI_DBM, 1, "min"),
    "WiFi.Radio.#.Stats.Noise": Rule(K.WIFI_NOISE_DBM, 1, "max"),
    "WiFi.AccessPoint.#.AssociatedDeviceNumberOfEntries": Rule(K.WIFI_CLIENTS, 1, "sum"),
    # device
    "DeviceInfo.UpTime": Rule(K.UPTIME_S),
    "DeviceInfo.ProcessStatus.CPUUsage": Rule(K.CPU_RATIO, 0.01),
    "DeviceInfo.TemperatureStatus.TemperatureSensor.#.Value": Rule(K.TEMPERATURE_C, 1, "max"),
}
MEMORY_TOTAL, MEMORY_FREE = "DeviceInfo.MemoryStatus.Total", "DeviceInfo.MemoryStatus.Free"
# States: parameter -> name in Report.states. `los` and `login` are judged below.
DSL_LINK, PON_LOS = "DSL.Line.#.LinkStatus", "XPON.ONU.#.ANI.#.TC.Alarms.LOS"
PPP_ERROR, PPP_STATUS = "PPP.Interface.#.LastConnectionError", "PPP.Interface.#.ConnectionStatus"
TEXTS = {"DeviceInfo.SoftwareVersion": "firmware", "DeviceInfo.ModelName": "model"}
STATES = frozenset({DSL_LINK, PON_LOS, PPP_ERROR, PPP_STATUS})
LOGIN_REJECTED = frozenset({"ERROR_AUTHENTICATION_FAILURE", "ERROR_ACCOUNT_DISABLED", "ERROR_RESTRICTED_LOGON_HOURS"})
LOGIN_TIMEOUT = frozenset({"ERROR_ISP_TIME_OUT", "ERROR_NO_ANSWER", "ERROR_NO_CARRIER"})
TRUE = frozenset({"true", "1"})
_NUMBER = re.compile(r"\.[0-9]+(?=\.|$)")


@lru_cache(16384)
def pattern(path: str) -> str:
    """`Device.DSL.Line.1.LinkStatus` -> `DSL.Line.#.LinkStatus`; "" when nothing is known of it."""
    if len(path) > 256 or not path.startswith("Device."):
        return ""
    found = _NUMBER.sub(".#", path[7:])
    known = found in VALUES or found in STATES or found in TEXTS or found in (MEMORY_TOTAL, MEMORY_FREE)
    return found if known else ""


def read_parameters(parameters: Iterable[tuple[str, Any]], report: Report) -> None:
    """Add what full paths and their values say to a report; what is not plausible is counted there."""
    gathered: dict[K, tuple[str, float]] = {}
    said: dict[str, str] = {}
    memory: dict[str, float] = {}
    for path, value in parameters:
        found = pattern(path)
        if not found:
            continue
        rule = VALUES.get(found)
        if rule is None and found not in (MEMORY_TOTAL, MEMORY_FREE):
            said[found] = _worse(found, said.get(found), clean(value)[:MAX_TEXT] if _is_scalar(value) else "")
            continue
        number = to_number(value)
        if number is None:
            report.dropped["not_a_number"] += 1
        elif rule is None:
            memory[found] = number
        else:
            _gather(gathered, found, rule, number * rule.factor, report)
    report.values += [(kind, value) for kind, (_, value) in gathered.items()]
    total, free = memory.get(MEMORY_TOTAL, 0.0), memory.get(MEMORY_FREE)
    if free is not None and 0 <= free <= total and total > 0:
        report.values.append((K.MEMORY_RATIO, 1 - free / total))
    _states(said, report.states)


def _gather(gathered: dict[K, tuple[str, float]], found: str, rule: Rule, value: float, report: Report) -> None:
    low, high = PLAUSIBLE[rule.kind]
    if not max(low, rule.low) <= value <= min(high, rule.high):
        report.dropped["implausible"] += 1
        return
    before = gathered.get(rule.kind)
    if before is None or before[0] != found:
        if before is None or found.startswith("XPON."):
            gathered[rule.kind] = found, value
        return
    if rule.of_many == "sum":
        value += before[1]
    elif rule.of_many != "first":
        value = min(before[1], value) if rule.of_many == "min" else max(before[1], value)
    else:
        value = before[1]
    gathered[rule.kind] = found, value


def _worse(found: str, before: str | None, value: str) -> str:
    """Of several instances: a LOS anywhere counts, a link that is up anywhere too; else the first is told."""
    if before is None:
        return value
    if found == PON_LOS:
        return value if value.lower() in TRUE else before
    if found in (DSL_LINK, PPP_STATUS):
        return value if value in ("Up", "Connected") else before
    return before


def _states(said: Mapping[str, str], states: dict[str, str]) -> None:
    if PON_LOS in said:
        states["los"] = "yes" if said[PON_LOS].lower() in TRUE else "no"
    elif said.get(DSL_LINK) in ("Up", "NoSignal"):
        states["los"] = "yes" if said[DSL_LINK] == "NoSignal" else "no"
    error = said.get(PPP_ERROR, "")
    if said.get(PPP_STATUS) == "Connected":
        states["login"] = "accepted"
    elif error in LOGIN_REJECTED or error in LOGIN_TIMEOUT:
        states["login"] = f"{'rejected' if error in LOGIN_REJECTED else 'timeout'} {error}"
    for found, name in TEXTS.items():
        if said.get(found):
            states[name] = said[found]


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)
