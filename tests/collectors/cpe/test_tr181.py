"""TR-181 parameters and BulkData reports in the normal form, and all that can be wrong with them."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.cpe.bulkdata import parse_bulk
from collectors.cpe.normal import PLAUSIBLE, Refused, Report
from collectors.cpe.redact import HIDDEN, shown
from collectors.cpe.tr181 import VALUES, read_parameters
from monitor.records import ValueKind as K


def read(**parameters: object) -> Report:
    """`__` stands for a dot."""
    report = Report.empty()
    read_parameters([("Device." + name.replace("__", "."), value) for name, value in parameters.items()], report)
    return report


def values(report: Report) -> dict[K, object]:
    return {kind: pytest.approx(value) for kind, value in report.values}


def test_the_traps_of_units() -> None:
    """0.1 dB, 0.001 dBm, 0.1 dBm, 0.1 dBmV, kbps, percent, microamperes: each in the unit of its kind."""
    assert values(
        read(
            DSL__Line__1__DownstreamNoiseMargin=92,
            DSL__Line__1__DownstreamAttenuation="186",
            DSL__Line__1__UpstreamPower=-34,
            DSL__Channel__1__DownstreamCurrRate=112000,
            DeviceInfo__ProcessStatus__CPUUsage=12,
            DeviceInfo__MemoryStatus__Total=262144,
            DeviceInfo__MemoryStatus__Free=65536,
        )
    ) == {
        K.SNR_DB: 9.2,
        K.ATTENUATION_DB: 18.6,
        K.TX_LEVEL_DBMV: -3.4,
        K.SYNC_DOWN_MBPS: 112.0,
        K.CPU_RATIO: 0.12,
        K.MEMORY_RATIO: 0.75,
    }
    assert values(read(Optical__Interface__1__OpticalSignalLevel=-18450)) == {K.RX_POWER_DBM: -18.45}
    xpon = {"XPON__ONU__1__ANI__1__Transceiver__1__RxPower": -215, "XPON__ONU__1__ANI__1__Transceiver__1__Bias": 12000}
    assert values(read(**xpon)) == {K.RX_POWER_DBM: -21.5, K.BIAS_MA: 12.0}
    assert values(read(Cellular__Interface__1__RSRP=-97, Cellular__Interface__1__RSRQ=-11)) == {
        K.RX_POWER_DBM: -97,
        K.RSRQ_DB: -11,
    }


def test_the_transceiver_goes_before_the_interface() -> None:
    """Whichever comes first."""
    one = ("Device.Optical.Interface.1.OpticalSignalLevel", -18450)
    other = ("Device.XPON.ONU.1.ANI.1.Transceiver.1.RxPower", -215)
    for order in ([one, other], [other, one]):
        report = Report.empty()
        read_parameters(order, report)
        assert values(report) == {K.RX_POWER_DBM: -21.5}


def test_many_instances_are_one_figure() -> None:
    """The weakest DOCSIS channel, the sum of its errors, the weakest station, the first interface."""
    report = Report.empty()
    docsis = "Device.DOCSIS.Interface.1.DownstreamChannel."
    read_parameters(
        [(f"{docsis}{i}.SignalQuality.SignalNoise", snr) for i, snr in enumerate((391, 305, 388), 1)]
        + [(f"{docsis}{i}.SignalQuality.ExtUncorrectables", 10) for i in (1, 2, 3)]
        + [(f"Device.WiFi.AccessPoint.1.AssociatedDevice.{i}.SignalStrength", -50 - i) for i in (1, 2)]
        + [(f"Device.Optical.Interface.{i}.OpticalSignalLevel", -18000 - i) for i in (1, 2)],
        report,
    )
    assert values(report) == {K.SNR_DB: 30.5, K.UNCORRECTABLES: 30, K.WIFI_RSSI_DBM: -52, K.RX_POWER_DBM: -18.001}


@pytest.mark.parametrize(
    ("parameters", "states"),
    [
        ({"XPON__ONU__1__ANI__1__TC__Alarms__LOS": "true"}, {"los": "yes"}),
        ({"XPON__ONU__1__ANI__1__TC__Alarms__LOS": False}, {"los": "no"}),
        ({"DSL__Line__1__LinkStatus": "NoSignal", "DSL__Line__2__LinkStatus": "Up"}, {"los": "no"}),
        ({"DSL__Line__1__LinkStatus": "Initializing"}, {}),
        ({"PPP__Interface__1__LastConnectionError": "ERROR_AUTHENTICATION_FAILURE"},
         {"login": "rejected ERROR_AUTHENTICATION_FAILURE"}),
        ({"PPP__Interface__1__LastConnectionError": "ERROR_ISP_TIME_OUT",
          "PPP__Interface__1__ConnectionStatus": "Connected"}, {"login": "accepted"}),
        ({"DeviceInfo__SoftwareVersion": "7.1\x00\n", "DeviceInfo__ModelName": "AX"},
         {"firmware": "7.1", "model": "AX"}),
    ],
)  # fmt: skip
def test_states(parameters: dict[str, object], states: dict[str, str]) -> None:
    """Light, login, firmware and model as states; an old error of a session that is up is none."""
    assert read(**parameters).states == states


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("Optical__Interface__1__OpticalSignalLevel", -18.45, "implausible"),  # dBm instead of 0.001 dBm
        ("Optical__Interface__1__OpticalSignalLevel", -184, "implausible"),  # 0.1 dBm instead of 0.001
        ("Optical__Interface__1__OpticalSignalLevel", "-18_450", "not_a_number"),
        ("Optical__Interface__1__OpticalSignalLevel", -2147483648, "implausible"),  # "not measured"
        ("XPON__ONU__1__ANI__1__Transceiver__1__RxPower", -18450, "implausible"),  # 0.001 dBm instead of 0.1
        ("XPON__ONU__1__ANI__1__Transceiver__1__RxPower", -18, "implausible"),  # dBm instead of 0.1
        ("DSL__Line__1__DownstreamNoiseMargin", "nan", "not_a_number"),
        ("DSL__Line__1__DownstreamNoiseMargin", True, "not_a_number"),
        ("DSL__Line__1__DownstreamNoiseMargin", {"a": 1}, "not_a_number"),
        ("DeviceInfo__UpTime", -5, "implausible"),
    ],
)
def test_wrong_units_and_rubbish_are_counted(name: str, value: object, reason: str) -> None:
    """What cannot be a measurement is dropped under a named reason."""
    report = read(**{name: value})
    assert report.values == []
    assert report.dropped == {reason: 1}


def test_unknown_paths_say_nothing() -> None:
    """No value, no complaint: routers have thousands of parameters."""
    report = read(Foo__1__Bar=1, DSL__Line__1__Nothing=2, X_VENDOR_DSL__Line__1__LinkStatus="NoSignal")
    assert (report.values, report.states, sum(report.dropped.values())) == ([], {}, 0)


HIERARCHY = {
    "Report": [
        {
            "CollectionTime": 1795439174,
            "Device": {"DSL": {"Line": {"1": {"DownstreamNoiseMargin": 31, "LinkStatus": "Up"}}}},
        }
    ]
}
PAIRS = {
    "Report": [
        {
            "CollectionTime": "2026-11-23T13:06:14Z",
            "Device.DSL.Line.1.DownstreamNoiseMargin": 31,
            "Device.DSL.Line.1.LinkStatus": "Up",
        }
    ]
}


@pytest.mark.parametrize("content", [HIERARCHY, PAIRS])
def test_both_formats_of_a_bulk_report(content: object) -> None:
    """Nested objects and full paths, epoch and ISO time, also with NUL bytes behind it: the same report."""
    for tail in (b"", b"\0\0"):
        (report,) = parse_bulk(json.dumps(content).encode() + tail)
        assert values(report) == {K.SNR_DB: 3.1}
        assert report.states == {"los": "no"}
        assert report.at_ns == 1795439174 * 10**9


def test_kept_reports_come_oldest_first() -> None:
    """What a router kept while it could not send."""
    entries = [{"CollectionTime": t, "Device.DeviceInfo.UpTime": t % 100} for t in (1795439130, 1795439110)]
    assert [r.at_ns for r in parse_bulk(json.dumps({"Report": entries}).encode())] == [
        1795439110 * 10**9,
        1795439130 * 10**9,
    ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"Report": [1]}', "not_a_report"),
        (b'{"Report": {}}', "not_a_report"),
        (b"[1]", "not_a_report"),
        (b'{"Report": [', "not_json"),
        (b'{"Report": [' + b'{"a":' * 30 + b"1" + b"}" * 30 + b"]}", "too_deep"),
        (b"[" * 100_000, "not_json"),
        (json.dumps({"Report": [{}] * 1000}).encode(), "too_many_fields"),
        (json.dumps({"Report": [{f"k{i}": i for i in range(9000)}]}).encode(), "too_many_fields"),
    ],
)
def test_what_is_no_report_is_refused(payload: bytes, reason: str) -> None:
    """With the reason under which it is counted."""
    with pytest.raises(Refused) as refused:
        parse_bulk(payload)
    assert str(refused.value) in (reason, "too_deep")


PATHS = st.sampled_from(sorted("Device." + path.replace("#", "1") for path in VALUES)) | st.text(max_size=30)
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@given(
    st.lists(
        st.dictionaries(PATHS, ANY | st.dictionaries(st.text(max_size=4), ANY, max_size=2), max_size=8), max_size=3
    )
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_router_sends_only_plausible_values_come_out(entries: list[dict[str, object]]) -> None:
    """Any JSON, NaN and infinity included: no exception but Refused, no value out of its range."""
    with contextlib.suppress(Refused):
        for report in parse_bulk(json.dumps({"Report": entries}).encode()):
            for kind, value in report.values:
                assert PLAUSIBLE[kind][0] <= value <= PLAUSIBLE[kind][1]


@pytest.mark.parametrize(
    "name", ["KeyPassphrase", "SAEPassphrase", "PreSharedKey", "Password", "WEPKey", "X_Secret", "PIN"]
)
def test_secrets_are_hidden(name: str) -> None:
    """By the last name of the path; others are shown without control characters."""
    assert shown(f"Device.A.{name}", "open sesame") == HIDDEN
    assert shown("Device.A.SSID", "home\x1b[31m") == "home?[31m"
