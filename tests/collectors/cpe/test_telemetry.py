"""JSON of routers: values with units, events, and all the rubbish there is."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.cpe.telemetry import (
    EVENTS,
    KEYS,
    PLAUSIBLE,
    Refused,
    clean,
    parse_availability,
    parse_report,
)
from monitor.records import ValueKind

K = ValueKind


def values(payload: object, within: str = "") -> dict[ValueKind, float]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {kind: pytest.approx(value) for kind, value in parse_report(raw, within).values}


def test_values_arrive_in_the_unit_of_their_kind() -> None:
    """Keys with other units are converted: kilobits, percent, microseconds."""
    told = {
        "rx_power_dbm": -21.5,
        "sync_down_kbps": 109_000,
        "sync_up_mbps": 38.5,
        "cpu_percent": 37,
        "memory_ratio": 0.25,
        "rtt_us": 1500,
        "uptime_h": 2,
        "crc_errors": 12,
    }
    assert values(told) == {
        K.RX_POWER_DBM: -21.5,
        K.SYNC_DOWN_MBPS: 109.0,
        K.SYNC_UP_MBPS: 38.5,
        K.CPU_RATIO: 0.37,
        K.MEMORY_RATIO: 0.25,
        K.CPE_RTT_MS: 1.5,
        K.UPTIME_S: 7200.0,
        K.CRC_ERRORS: 12.0,
    }


def test_every_kind_can_be_said() -> None:
    """No ValueKind is without a key and a plausible range."""
    assert {kind for kind, _ in KEYS.values()} == set(ValueKind) == set(PLAUSIBLE)


@pytest.mark.parametrize(
    ("told", "within"),
    [
        ({"wifi_rssi_dbm": -61}, ""),
        ({"wifi": {"rssi_dbm": -61}}, ""),
        ({"wifi": {"rssi_dbm": -61}}, "state"),
        ({"radio": {"wifi": {"wifi_rssi_dbm": -61}}}, "state/full"),
        ({"rssi_dbm": -61}, "wifi"),
        ({"WiFi": {"RSSI_dBm": "-61"}}, ""),
        ({"rssi_dbm": " -61.0 "}, "WIFI"),
    ],
)
def test_nesting_topic_and_case_name_the_same_value(told: object, within: str) -> None:
    """An object around a value, or the topic, is part of its name; text that is a number is a number."""
    assert values(told, within) == {K.WIFI_RSSI_DBM: -61.0}


def test_a_longer_key_is_another_one() -> None:
    """Only whole levels are taken off a name: another thing's uptime is not the router's."""
    assert values({"process_uptime_s": 5, "rssi_dbm": -61, "uptime_s": 9}, "state") == {K.UPTIME_S: 9.0}


@pytest.mark.parametrize("word", [b"NaN", b"nan", b"Infinity", b"-inf", b" -Infinity "])
def test_not_a_number_costs_one_field(word: bytes) -> None:
    """NaN and infinity, which JSON does not know, drop their field and leave the others."""
    report = parse_report(b'{"snr_db":' + word + b',"rx_power_dbm":-20}')
    assert report.values == [(K.RX_POWER_DBM, -20.0)]
    assert report.dropped == {"not_a_number": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (3000, "implausible"),
        (-1e300, "implausible"),
        (True, "not_a_number"),
        (None, "not_a_number"),
        ("inf", "not_a_number"),
        ("nan", "not_a_number"),
        ("-20 dBm", "not_a_number"),
        ("-20\x00", "not_a_number"),
        ("9" * 50, "not_a_number"),
        ([-20], "not_a_number"),
        (10**400, "not_a_number"),
    ],
)
def test_what_is_no_plausible_number_is_dropped_under_its_reason(value: object, reason: str) -> None:
    """Absurd values, truth values, lists and decorated numbers are dropped and counted, and nothing else is."""
    raw = json.dumps({"rx_power_dbm": value, "snr_db": 30}).encode()
    report = parse_report(raw)
    assert report.values == [(K.SNR_DB, 30.0)]
    assert report.dropped == {reason: 1}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"\x00", "not_json"),
        (b'{"rx_power_dbm":\x00-20}', "not_json"),
        (b'{"rx_power_dbm":-2', "not_json"),
        (b"\xff\xfe{}", "not_json"),
        (b"-20", "not_an_object"),
        (b"[1,2]", "not_an_object"),
        (b'{"a":' * 100_000, "too_deep|not_json"),
        (b"[" * 1_000_000, "too_deep|not_json"),
        (b'{"a":' * 12 + b"1" + b"}" * 12, "too_deep"),
        (json.dumps({f"k{i}": i for i in range(600)}).encode(), "too_many_fields"),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_by_name(payload: bytes, reason: str) -> None:
    """Truncated, binary, deep and giant payloads are refused with a named reason."""
    with pytest.raises(Refused, match=reason):
        parse_report(payload)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_events_are_named_in_the_message(name: str) -> None:
    """Each event a router may tell is understood, with its reason."""
    report = parse_report(json.dumps({"event": name.upper(), "reason": "watchdog"}).encode())
    assert report.events == [(EVENTS[name], "watchdog")]


@pytest.mark.parametrize("name", ["address_assigned", "session_start", "resolve", "", 7, None, {}, "x" * 999])
def test_a_router_may_not_tell_everything(name: object) -> None:
    """Events that would rebind addresses or speak for others are no events of a router."""
    report = parse_report(json.dumps({"event": name, "value": "10.0.0.1"}).encode())
    assert report.events == []
    assert report.dropped == {"unknown_event": 1}


def test_text_of_a_router_is_cleaned() -> None:
    """Control characters and NUL go, and long text is cut."""
    assert clean("a\x00b\nc\x1b[31md\u2028") == "abc[31md"
    assert len(clean("x" * 10_000)) == 200


@pytest.mark.parametrize(
    ("told", "at_ns"),
    [
        ({"ts": 1_700_000_000}, 1_700_000_000 * 10**9),
        ({"timestamp": 1_700_000_000_500}, 1_700_000_000_500 * 10**6),
        ({"time": "2023-11-14T22:13:20Z"}, 1_700_000_000 * 10**9),
        ({"ts": "yesterday"}, None),
        ({"ts": -5}, None),
        ({"ts": 1e300}, None),
        ({"ts": True}, None),
        ({}, None),
    ],
)
def test_the_router_s_time_is_read(told: dict[str, object], at_ns: int | None) -> None:
    """Seconds, milliseconds and RFC 3339 are times; all else is none."""
    assert parse_report(json.dumps(told).encode()).at_ns == at_ns


def test_availability() -> None:
    """The two words, bare or quoted, and nothing else."""
    assert parse_availability(b"online")
    assert parse_availability(b' "ONLINE"\n')
    assert not parse_availability(b"offline")
    for other in (b"", b"on", b"\x00offline", b"1", b"online offline"):
        with pytest.raises(Refused, match="not_a_state"):
            parse_availability(other)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_report_or_refused(payload: bytes) -> None:
    """Nothing but Refused comes out."""
    for read in (parse_report, parse_availability):
        with contextlib.suppress(Refused):
            read(payload)  # type: ignore[operator]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*KEYS, "wifi", "event", "ts"]), inner),
    max_leaves=20,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*KEYS, "event", "ts", "value", "wifi"]), json_values))
def test_any_object_gives_only_plausible_values(told: dict[str, object]) -> None:
    """Whatever an object holds, the values that come out are within the range of their kind."""
    try:
        report = parse_report(json.dumps(told).encode())
    except Refused:
        return
    for kind, value in report.values:
        low, high = PLAUSIBLE[kind]
        assert low <= value <= high
