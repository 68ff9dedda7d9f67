"""collectd's dialect: NUL bytes, nan, types of no use, and what is no collectd at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.cpe import collectd
from collectors.cpe.frames import Inbound
from collectors.cpe.normal import Refused
from collectors.cpe.settings import CpeSettings
from collectors.cpe.topics import subscriptions
from monitor.records import ValueKind
from tests.collectors.cpe.test_reader import START_NS, Bench
from tests.collectors.rig import RecordingSink

START = START_NS // 1_000_000_000


async def test_values_of_an_openwrt_router(tmp_path: Path) -> None:
    """Each known type becomes a value at the router's own time; `nan` is counted, the rest is passed over."""
    settings = CpeSettings(collectd_prefix="collectd")
    bench = Bench(tmp_path, settings, RecordingSink())
    assert "collectd/+/+/+" in subscriptions(settings)
    told = {
        "uptime/uptime": "86400.000",
        "iwinfo-wlan0/signal_power": "-61",
        "memory/percent-used": "43.5",
        "ping/ping-192.0.2.1": "7.25",
        "thermal-thermal_zone0/temperature": "51.5",
        "ping/ping_droprate-192.0.2.1": "0.5",
        "interface-eth0/if_octets": "12.5:99.1",
        "iwinfo-wlan0/stations": "nan",
    }
    for number, (what, value) in enumerate(told.items()):
        payload = f"{START - 3}.250:{value}\0".encode()
        bench.reader.arrived(Inbound(f"collectd/S3/{what}", payload, 0, False, number, len(payload)))
    await bench.pass_s(1.5)
    (columns,) = bench.sink.values
    assert {ValueKind(int(k)): round(float(v), 3) for k, v in zip(columns.kind, columns.value, strict=True)} == {
        ValueKind.UPTIME_S: 86400.0,
        ValueKind.WIFI_RSSI_DBM: -61.0,
        ValueKind.MEMORY_RATIO: 0.435,
        ValueKind.CPE_RTT_MS: 7.25,
        ValueKind.TEMPERATURE_C: 51.5,
    }
    assert abs(columns.at_ns - (START_NS - 2_750_000_000)).max() < 1_000_000  # it writes milliseconds
    assert bench.dropped("not_a_number") == 1
    assert bench.rig.count("cpe_messages_total", kind="collectd") == 8


async def test_without_the_setting_it_is_no_topic_of_ours(tmp_path: Path) -> None:
    """What nobody configured is counted as a wrong topic."""
    bench = Bench(tmp_path, CpeSettings(), RecordingSink())
    bench.reader.arrived(Inbound("collectd/S3/uptime/uptime", b"1:2", 1, False, 1, 3))
    await bench.pass_s(0.1)
    assert bench.dropped("bad_topic") == 1


@pytest.mark.parametrize("payload", [b"", b"\0", b"nonsense", b"1700000000", b"1:x", b"1:" + b"9" * 300])
def test_what_is_no_collectd_is_refused(payload: bytes) -> None:
    """By its own reason."""
    with pytest.raises(Refused, match="not_collectd"):
        collectd.read_values(collectd.TYPES["uptime", "uptime"], payload)


@given(st.text(max_size=30), st.binary(max_size=60))
def test_anything_is_read_or_refused(within: str, payload: bytes) -> None:
    """Any topic and any bytes: a report or a refusal, and never a value outside of what is plausible."""
    what = collectd.known(within) or collectd.TYPES["memory", "percent-used"]
    try:
        report = collectd.read_values(what, payload)
    except Refused:
        return
    assert all(0 <= value <= 1 for _, value in report.values if what.kind is ValueKind.MEMORY_RATIO)


def test_a_prefix_of_its_own() -> None:
    """One that is taken, or holds wildcards, stops the start."""
    for wrong in ("cpe", "a/+", "/a"):
        with pytest.raises(ValueError, match="collectd_prefix"):
            CpeSettings(collectd_prefix=wrong)
