"""From messages to records, without a broker and with a clock that the test moves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.cpe.frames import Inbound
from collectors.cpe.reader import HOLD_S, RETAINED, CpeReader
from collectors.cpe.settings import CpeSettings
from monitor.clock import NS, ManualClock
from monitor.records import ValueKind
from tests.collectors.rig import RecordingSink, Rig, small_inventory

START_NS = 1_700_000_000 * NS


def Message(topic: str, payload: bytes, qos: int = 1, retain: bool = False, mid: int = 0) -> Inbound:  # noqa: N802
    return Inbound(topic, payload, qos, retain, mid, len(payload))


class Bench:
    """A reader, its rig, a steady clock in `s`, and what was acknowledged."""

    def __init__(self, folder: Path, settings: CpeSettings, sink: RecordingSink, extra: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.sink = sink
        self.clock = ManualClock(START_NS)
        self.rig = Rig(small_inventory(folder, 10, extra=extra), sink, self.clock)
        self.s = 1000.0
        self.mid = 0
        self.acknowledged: list[int] = []
        self.reader = CpeReader(settings, self.rig.context, lambda: self.s)
        self.reader.connected(False)

    def send(self, topic: str, payload: object, qos: int = 1, retain: bool = False) -> int:
        """Deliver a message; its id."""
        self.mid += 1
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.reader.arrived(Message(f"cpe/{topic}", raw, qos, retain, self.mid))
        return self.mid

    def state(self, serial: str, word: bytes, retain: bool = False) -> int:
        return self.send(f"{serial}/availability", word, retain=retain)

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        end = self.s + seconds
        while self.s < end:
            self.s = min(end, self.s + 0.02)
            await self.clock.advance(0.02)
            self.reader.tick(lambda mid, qos: self.acknowledged.append(mid))

    def told(self) -> list[tuple[str, str, str]]:
        return [(e.subject, e.kind, e.value) for e in self.sink.events]

    def dropped(self, reason: str) -> float:
        return self.rig.count("cpe_dropped_total", reason=reason)


MakeBench = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> MakeBench:
    def made(written: bool = True, extra: tuple[str, ...] = (), **settings: object) -> Bench:
        return Bench(tmp_path, CpeSettings(**settings), RecordingSink(written), extra)  # type: ignore[arg-type]

    return made


async def test_who_speaks_is_told_by_the_topic(make: MakeBench) -> None:
    """A serial is a line; an unknown one, one of two lines, and a wrong topic are counted and acknowledged."""
    bench = make(extra=("T1,north/ex-1/olt-1/pon-0,,TWIN", "T2,north/ex-1/olt-1/pon-0,,TWIN"))
    for serial in ("S3", "NOBODY", "TWIN", ""):
        bench.state(serial, b"online")
    bench.send("S3/weather", {})
    bench.reader.arrived(Message("other/S3/availability", b"online", 1, False, 99))
    await bench.pass_s(0.1)
    assert bench.told() == [("L3", "cpe_online", "")]
    assert [bench.dropped(r) for r in ("unknown_serial", "ambiguous_serial", "bad_topic")] == [1, 1, 3]
    assert len(bench.acknowledged) == 6


async def test_values_come_in_columns_once_a_second(make: MakeBench) -> None:
    """A thousand messages of ten routers are a few LineValues, each with its line, kind, value and time."""
    bench = make(max_messages=1000)
    for round_ in range(100):
        for line in range(10):
            bench.send(f"S{line}/telemetry/state", {"rx_power_dbm": -20 - line, "crc_errors": round_})
        await bench.pass_s(0.02)
    await bench.pass_s(1.2)
    assert sum(len(v) for v in bench.sink.values) == 2000
    assert len(bench.sink.values) <= 4
    columns = bench.sink.values[0]
    assert columns.generation == 1
    assert columns.source == "mqtt"
    rx = columns.kind == ValueKind.RX_POWER_DBM
    lines = [bench.rig.inventory.line_id(int(i)) for i in columns.line[rx][:10]]
    assert lines == [f"L{i}" for i in range(10)]
    assert columns.value[rx][:10].tolist() == [-20.0 - i for i in range(10)]
    assert START_NS <= columns.at_ns.min() <= columns.at_ns.max() < START_NS + 4 * NS
    assert len(bench.acknowledged) == 1000


async def test_nothing_is_acknowledged_before_it_is_on_disk(make: MakeBench) -> None:
    """Events and values: acknowledged only when written, and in the order in which they came."""
    bench = make(written=False)
    first = bench.send("S1/telemetry/state", {"snr_db": 30})
    second = bench.send("S1/telemetry/event", {"event": "los"})
    third = bench.send("S2/telemetry/state", {"nothing": 1})
    await bench.pass_s(3)
    assert bench.acknowledged == []
    bench.sink.write()
    await bench.pass_s(0.1)
    assert bench.acknowledged == [first, second, third]


async def test_a_full_engine_delays_and_loses_nothing(make: MakeBench) -> None:
    """While the intake refuses, events wait in order and are not acknowledged."""
    bench = make()
    bench.sink.full = True
    for line in range(5):
        bench.send(f"S{line}/telemetry/event", {"event": "dying_gasp"})
    await bench.pass_s(1)
    assert (bench.told(), bench.acknowledged) == ([], [])
    bench.sink.full = False
    await bench.pass_s(0.1)
    assert bench.told() == [(f"L{i}", "dying_gasp", "") for i in range(5)]
    assert bench.acknowledged == [1, 2, 3, 4, 5]


async def test_an_offline_is_told_after_a_moment(make: MakeBench) -> None:
    """A last will becomes cpe_offline with the time at which it came, not that at which it was told."""
    bench = make()
    bench.state("S1", b"offline")
    await bench.pass_s(HOLD_S - 0.1)
    assert bench.told() == []
    await bench.pass_s(0.2)
    assert bench.told() == [("L1", "cpe_offline", "")]
    assert bench.sink.events[0].at_ns == START_NS


async def test_a_router_that_takes_its_own_place_was_never_away(make: MakeBench) -> None:
    """The will of a router's old connection just before its new connection's online is no outage."""
    bench = make()
    bench.state("S1", b"offline")
    await bench.pass_s(0.2)
    bench.state("S1", b"online")
    await bench.pass_s(1)
    assert bench.told() == [("L1", "cpe_online", "")]
    assert bench.dropped("takeover") == 1
    assert bench.acknowledged == [1, 2]


async def test_a_broker_that_goes_down_takes_no_router_with_it(make: MakeBench) -> None:
    """Wills in the instant before the connection is lost are states of unknown time, not onsets."""
    bench = make()
    for line in range(10):
        bench.state(f"S{line}", b"offline")
    await bench.pass_s(0.1)
    bench.reader.disconnected()
    await bench.pass_s(1)
    assert bench.told() == [(f"L{i}", "cpe_offline", RETAINED) for i in range(10)]
    assert bench.acknowledged == []  # their connection is gone: the broker will send them again


async def test_what_the_broker_kept_is_a_state_without_a_time(make: MakeBench) -> None:
    """Retained messages, and those queued while we were away, say "retained"; what comes after does not."""
    bench = make()
    bench.reader.disconnected()
    bench.reader.connected(True)
    bench.state("S1", b"offline")  # queued
    bench.send("S2/telemetry/event", {"event": "los"})
    bench.state("S3", b"offline", retain=True)
    bench.state("S4", b"offline")  # the broker sends retained ones last: this one is fresh
    await bench.pass_s(1)
    assert bench.told() == [
        ("L1", "cpe_offline", RETAINED),
        ("L2", "los", RETAINED),
        ("L3", "cpe_offline", RETAINED),
        ("L4", "cpe_offline", ""),
    ]
    bench.reader.connected(True)
    await bench.pass_s(1)  # nothing was queued: the pause tells
    bench.state("S5", b"offline")
    await bench.pass_s(1)
    assert bench.told()[-1] == ("L5", "cpe_offline", "")


async def test_a_retained_state_is_news_every_time(make: MakeBench) -> None:
    """A broker that was started afresh counts its messages from one again: that a router is online now is not a
    repetition of what was said then."""
    bench = make()
    for _ in range(2):
        bench.reader.arrived(Message("cpe/S1/availability", b"online", 1, True, 7))
    bench.reader.arrived(Message("cpe/S1/availability", b"online", 1, False, 7))
    await bench.pass_s(0.1)
    assert [bool(event.event_id) for event in bench.sink.events] == [False, False, True]


async def test_retained_reports_count_only_with_their_own_time(make: MakeBench) -> None:
    """A retained report or boot without a time is not one of now; with a time it is one of then."""
    bench = make()
    bench.send("S1/telemetry/state", {"snr_db": 30, "event": "boot"}, retain=True)
    bench.send("S2/telemetry/state", {"snr_db": 31, "ts": 1_700_000_000 - 7200}, retain=True)
    await bench.pass_s(2)
    assert [v.at_ns.tolist() for v in bench.sink.values] == [[START_NS - 7200 * NS]]
    assert bench.dropped("undated") == 2
    assert bench.told() == []


async def test_queued_reports_are_all_taken(make: MakeBench) -> None:
    """What a router said while we were away counts whole, however much it is: values at their arrival, and events
    with a reason keep it."""
    bench = make(max_messages=3)
    bench.reader.disconnected()
    bench.reader.connected(True)
    for number in range(20):
        bench.send("S1/telemetry/state", {"snr_db": number, "event": "login_rejected", "reason": f"n{number}"})
    await bench.pass_s(2)
    assert [v for c in bench.sink.values for v in c.value.tolist()] == [float(n) for n in range(20)]
    assert bench.told() == [("L1", "login_rejected", f"n{n}") for n in range(20)]


@pytest.mark.parametrize(("offset_s", "believed"), [(-300, True), (-700, False), (1, True), (300, None), (700, False)])
async def test_the_router_s_clock_is_believed_within_reason(
    make: MakeBench, offset_s: int, believed: bool | None
) -> None:
    """Within ten minutes the router's time counts, a time in the future is now, and all else is the arrival."""
    bench = make()
    bench.send("S1/telemetry/event", {"event": "los", "ts": 1_700_000_000 + offset_s})
    await bench.pass_s(0.1)
    assert bench.sink.events[0].at_ns == (START_NS + offset_s * NS if believed else START_NS)
    assert bench.dropped("clock") == (1 if believed is False else 0)


async def test_a_storm_of_one_router_is_bounded_and_its_last_state_told(make: MakeBench) -> None:
    """Of a router that floods us, the window's share counts; its last state is told when the window ends. Others are
    heard as before."""
    bench = make(max_messages=10, window_s=5.0)
    for number in range(200):
        bench.state("S1", b"offline" if number % 2 else b"online")
        bench.send("S1/telemetry/state", {"snr_db": 30})
    bench.send("S2/telemetry/event", {"event": "los"})
    await bench.pass_s(2)
    told = bench.told()
    assert len(told) <= 12
    assert ("L2", "los", "") in told
    await bench.pass_s(4)
    assert bench.told()[-1] == ("L1", "cpe_offline", "")
    assert len(bench.acknowledged) == 401
    bench.send("S1/telemetry/event", {"event": "los"})
    await bench.pass_s(0.1)
    assert bench.told()[-1] == ("L1", "los", "")


async def test_an_uptime_that_starts_again_is_a_boot(make: MakeBench) -> None:
    """A smaller uptime that began after the last report is a boot, with the time it began; a late report is not, and
    a boot the router told itself is not told twice."""
    bench = make()
    bench.send("S1/telemetry/state", {"uptime_s": 5000})
    await bench.pass_s(60)
    bench.send("S1/telemetry/state", {"uptime_s": 5060})
    bench.send("S1/telemetry/state", {"uptime_s": 5010})  # delivered again, late
    await bench.pass_s(60)
    assert bench.told() == []
    bench.send("S1/telemetry/state", {"uptime_s": 20})
    assert bench.told() == [("L1", "cpe_boot", "uptime")]
    assert bench.sink.events[0].at_ns == bench.clock.now_ns() - 20 * NS
    await bench.pass_s(30)
    bench.send("S1/telemetry/event", {"event": "boot", "cause": "power"})
    await bench.pass_s(10)
    bench.send("S1/telemetry/state", {"uptime_s": 12})
    assert bench.told()[1:] == [("L1", "cpe_boot", "power")]


async def test_a_message_delivered_again_has_the_same_id(make: MakeBench) -> None:
    """The broker's second delivery of a message gives an event with the id of the first; another message does not."""
    bench = make()
    payload = json.dumps({"event": "los"}).encode()
    for mid in (7, 7, 8):
        bench.reader.arrived(Message("cpe/S1/telemetry/event", payload, 1, False, mid))
    dated = json.dumps({"event": "los", "ts": 1_700_000_000}).encode()
    for mid in (9, 10):
        bench.reader.arrived(Message("cpe/S1/telemetry/event", dated, 1, False, mid))
    bench.reader.arrived(Message("cpe/S1/telemetry/event", payload, 0, False, 0))
    ids = [e.event_id for e in bench.sink.events]
    assert ids[0] == ids[1] != ids[2]
    assert ids[3] == ids[4]
    assert ids[5] == ""
    assert len(set(ids)) == 4


async def test_a_reload_moves_the_rows_that_wait(make: MakeBench) -> None:
    """Values gathered before a reload are handed over for the new inventory, by line; those of gone lines are left
    out; all are acknowledged."""
    bench = make()
    bench.send("S5/telemetry/state", {"snr_db": 35})
    bench.send("S0/telemetry/state", {"snr_db": 30})
    path = bench.folder / "newer.csv"
    path.write_text(
        "line_id,path,address,cpe_serial\nA,aa/a/a,,SA\nL5,north/ex-1/olt-1/pon-1,,S5\nL1,north/ex-1/olt-1/pon-1,,S1\n"
    )
    from monitor.inventory import load_inventory

    bench.rig.inventory = load_inventory(path, generation=2)
    bench.send("SA/telemetry/state", {"snr_db": 20})
    await bench.pass_s(1.5)
    rows = [
        (v.generation, bench.rig.inventory.line_id(int(line)), float(value))
        for v in bench.sink.values
        for line, value in zip(v.line, v.value, strict=True)
    ]
    assert rows == [(2, "L5", 35.0), (2, "A", 20.0)]
    assert bench.acknowledged == [1, 2, 3]


async def test_rubbish_is_counted_and_acknowledged(make: MakeBench) -> None:
    """What cannot be used never comes again: it is acknowledged, and counted under its reason."""
    bench = make(max_payload_bytes=100)
    for payload in (b"\xff", b"[]", b"x" * 101, b'{"event":"format_disk"}', b'{"snr_db":NaN}', b"{" * 90):
        bench.send("S1/telemetry/state", payload)
    bench.state("S1", b"maybe")
    bench.state("S1", b"", retain=True)
    await bench.pass_s(0.1)
    assert len(bench.acknowledged) == 8
    reasons = ("not_json", "not_an_object", "too_long", "unknown_event", "not_a_number", "not_a_state", "cleared")
    assert [bench.dropped(r) for r in reasons] == [2, 1, 1, 1, 1, 1, 1]
    assert bench.told() == []


async def test_an_error_of_our_own_does_not_stop_the_reading(make: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is counted and said once; the message is acknowledged and the next one read."""
    bench = make()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("as in a bug")

    monkeypatch.setattr("collectors.cpe.reader.read_report", broken)
    bench.send("S1/telemetry/state", {})
    bench.state("S1", b"online")
    await bench.pass_s(0.1)
    assert bench.told() == [("L1", "cpe_online", "")]
    assert bench.acknowledged == [1, 2]
    assert bench.rig.troubles() == ["cpe_message"]


async def test_parting_hands_over_what_is_held(make: MakeBench) -> None:
    """At the end nothing stays behind: held wills, deferred states and gathered values are handed over."""
    bench = make(max_messages=1)
    bench.state("S1", b"offline")
    bench.state("S2", b"online")
    bench.state("S2", b"offline")  # too many: deferred
    bench.send("S3/telemetry/state", {"snr_db": 30})
    bench.reader.finish()
    assert sorted(bench.told()) == [
        ("L1", "cpe_offline", ""),
        ("L2", "cpe_offline", ""),
        ("L2", "cpe_online", ""),
    ]
    assert [len(v) for v in bench.sink.values] == [1]
