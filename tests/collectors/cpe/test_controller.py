"""What the controller refuses and bounds, without a broker: routers that lie, strangers, storms, old messages."""

import asyncio
from pathlib import Path

import aiomqtt
import pytest

from collectors.cpe.asking import AgentError
from collectors.cpe.connection import AckingClient
from collectors.cpe.frames import HEAD, BrokenStream, Frames, Inbound
from collectors.cpe.settings import CpeSettings, UspSettings
from collectors.cpe.topics import agent_topic, parse_within, request_topics, subscriptions
from collectors.cpe.usp import calls
from collectors.cpe.usp.messages import Body, Error, Header, Msg
from collectors.cpe.usp.objects import PathError
from monitor.lab.mqtt import encode_length, publish_packet
from monitor.lab.usp import protobuf as pb
from monitor.lab.usp.agent import Agent
from tests.collectors.cpe.test_reader import Bench
from tests.collectors.rig import RecordingSink, until

PREFIX = "usp/controller/faultline"


class UspBench(Bench):
    """A reader with a controller; what it sends is kept."""

    def __init__(self, folder: Path, **more: object) -> None:
        settings = CpeSettings(**{"usp": UspSettings(enabled=True), **more})  # type: ignore[arg-type]
        super().__init__(folder, settings, RecordingSink())
        self.sent: list[tuple[str, bytes, str]] = []
        controller = self.reader.controller
        assert controller is not None
        self.controller = controller
        controller._send = lambda *message: self.sent.append(message)
        self.agents = {i: self.agent(f"os::02FA17-S{i}") for i in range(3)}

    def agent(self, endpoint: str, controller: str = "self::faultline") -> Agent:
        made = Agent(endpoint, controller, dict, self.records.append, lambda *_: None)
        made.model.add("Device.LocalAgent.Subscription.", row("Device.Boot!"))
        return made

    @property
    def records(self) -> list[bytes]:
        if not hasattr(self, "_records"):
            self._records: list[bytes] = []
        return self._records

    def say(self, topic: str, record: bytes, retain: bool = False, reply: str = "") -> None:
        self.mid += 1
        message = Inbound(f"{PREFIX}/{topic}", record, 1, retain, self.mid, len(record), reply)
        self.reader.arrived(message)

    def boot(self, agent: Agent, cause: str = "LocalReboot") -> bytes:
        agent.boot(cause, "")
        return self.records.pop()


def row(path: str) -> dict[str, str]:
    return {"ID": "boot", "NotifType": "Event", "ReferenceList": path, "Enable": "true", "NotifRetry": "true"}


@pytest.fixture
def bench(tmp_path: Path) -> UspBench:
    return UspBench(tmp_path)


async def test_a_router_speaks_for_itself_alone(bench: UspBench) -> None:
    """Another's from_id on its own topic, and records for another controller, are refused, counted and acknowledged."""
    bench.say("S1", bench.boot(bench.agents[2]))
    bench.say("S1", bench.boot(bench.agent("os::02FA17-S1", "self::other")))
    bench.say("NOBODY", bench.boot(bench.agents[1]))
    bench.say("S1", b"\xff\xfe")
    bench.say("S1/weather/x/y", bench.boot(bench.agents[1]))
    await bench.pass_s(0.1)
    assert bench.told() == []
    reasons = ("false_from_id", "other_controller", "unknown_serial", "not_usp", "bad_topic")
    assert [bench.dropped(reason) for reason in reasons] == [1, 1, 1, 1, 1]
    assert len(bench.acknowledged) == 5
    bench.say("S1", bench.boot(bench.agents[1]))
    await bench.pass_s(0.1)
    assert bench.told() == [("L1", "cpe_online", ""), ("L1", "cpe_boot", "LocalReboot")]
    await bench.controller.close()


async def test_answers_count_from_who_was_asked(bench: UspBench) -> None:
    """An answer that nobody asked for, and one with another router's request id, come to nothing."""
    bench.say("S1", bench.agents[1].connect_record("usp/agent/S1", True))
    bench.controller.connected()
    bench.controller.tick()
    await until(lambda: bench.sent, what="the first request")
    (asked,) = [(topic, record) for topic, record, _ in bench.sent if topic == "usp/agent/S1"]
    forged = bench.agents[2].received(asked[1].replace(b"-S1", b"-S2"))
    assert forged is not None
    bench.say("S2/r/faultline", forged)
    bench.say("S1/r/somebody", forged)
    await bench.pass_s(0.1)
    assert (bench.dropped("unasked_answer"), bench.dropped("bad_topic")) == (1, 1)
    assert len(bench.sent) == 1
    answer = bench.agents[1].received(asked[1])
    assert answer is not None
    bench.say("S1/r/faultline", answer)
    await until(lambda: len(bench.sent) == 2, what="the next request")
    await bench.controller.close()


async def test_notifications_are_answered_where_they_came_from(bench: UspBench) -> None:
    """A Notify that wants an answer gets one, on the router's own topic, never on another's."""
    for reply in ("", "usp/agent/S2", "usp/agent/S1/mine", "usp/agent/#"):
        bench.say("S1", bench.boot(bench.agents[1]), reply=reply)
    await bench.pass_s(0.1)
    assert [topic for topic, _, _ in bench.sent] == ["usp/agent/S1"] * 2 + ["usp/agent/S1/mine"] * 2
    assert bench.dropped("false_reply_topic") == 2
    bench.say("S2/reply-to=usp%2Fagent%2FS2", bench.boot(bench.agents[2]))
    assert bench.sent[-1][0] == "usp/agent/S2/reply-to=usp%2Fcontroller%2Ffaultline%2FS2%2Fr%2Ffaultline"
    await bench.controller.close()


async def test_a_storm_of_notifications_is_bounded(tmp_path: Path) -> None:
    """Of a router in a boot loop that floods us, the window's share counts; others are heard."""
    bench = UspBench(tmp_path, max_messages=10)
    for _ in range(500):
        bench.say("S1", bench.boot(bench.agents[1]))
    bench.say("S2", bench.boot(bench.agents[2]))
    await bench.pass_s(0.1)
    assert len([1 for subject, kind, _ in bench.told() if (subject, kind) == ("L1", "cpe_boot")]) == 10
    assert ("L2", "cpe_boot", "LocalReboot") in bench.told()
    assert len(bench.acknowledged) == 501
    await bench.controller.close()


async def test_a_storm_of_answers_is_bounded(tmp_path: Path) -> None:
    """Answers to nothing count as well; one that was asked for is heard however much its router has said."""
    bench = UspBench(tmp_path, max_messages=10)
    bench.say("S1", bench.agents[1].connect_record("usp/agent/S1", True))
    bench.controller.connected()
    bench.controller.tick()
    await until(lambda: bench.sent, what="the first request")
    request = next(record for topic, record, _ in bench.sent if topic == "usp/agent/S1")
    answer, stray = bench.agents[1].received(request), bench.agents[2].received(request.replace(b"-S1", b"-S2"))
    assert answer is not None
    assert stray is not None
    for _ in range(500):
        bench.say("S2/r/faultline", stray)
    assert (bench.dropped("unasked_answer"), bench.dropped("too_many")) == (10, 490)
    for _ in range(20):
        bench.say("S1", bench.boot(bench.agents[1]))
    bench.say("S1/r/faultline", answer)
    await until(lambda: len([t for t, _, _ in bench.sent if t == "usp/agent/S1"]) > 1, what="the next request")
    await bench.controller.close()
    assert not bench.controller.asking.awaits("S1")


async def test_a_retained_record_says_nothing(bench: UspBench) -> None:
    """A boot that the broker kept for us is not one of now, and no sign of life of a router that is gone."""
    bench.say("S1", bench.boot(bench.agents[1]))
    line = bench.rig.inventory.by_serial("S1")[0]
    bench.controller._presence.gone(line)
    await bench.pass_s(0.1)
    before = bench.told()
    bench.say("S1", bench.boot(bench.agents[1]), retain=True)
    bench.say("S1", bench.agents[1].connect_record("usp/agent/S1", True), retain=True)
    await bench.pass_s(0.1)
    assert bench.told() == before
    assert bench.controller._presence.offline[line]
    assert bench.dropped("undated") == 2
    assert len(bench.acknowledged) == 3
    await bench.controller.close()


async def test_what_an_agent_words_is_one_short_line(bench: UspBench) -> None:
    """Its errors stand in our log: no line breaks, no control characters, no pages of text."""
    msg_id, _, future = bench.controller.asking.begin("S1", "os::02FA17-S1", calls.supported_protocol())
    wrong = [PathError("Device.\x1b[2J", 7026, "y\n")] * 1000
    error = Error(7003, "x\nfaultline: all is well\x1b[2J" + "z" * 9000, wrong)
    assert bench.controller.asking.answered("S1", Msg(Header(msg_id), Body(error=error)))
    with pytest.raises(AgentError) as caught:
        await bench.controller.asking.wait(msg_id, future, 1.0)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    assert caught.value.wrong[0] == ("Device.[2J", 7026, "y")
    assert len(caught.value.wrong) <= 64


async def test_a_router_that_refuses_is_a_trouble_until_it_agrees(tmp_path: Path) -> None:
    """One that has no row for us cannot be set up: that is said, and ends when it is set up, or gone."""
    bench = UspBench(tmp_path, usp=UspSettings(enabled=True, answer_s=0.3))
    bench.controller.connected()

    def troubles() -> list[str]:
        return [trouble.name for trouble in bench.rig.context.metrics.troubles.current()]

    async def talk(agent: Agent, line: int) -> None:
        bench.s += 60
        bench.sent.clear()
        bench.say(f"S{line}", bench.boot(agent))
        bench.say(f"S{line}", agent.connect_record(f"usp/agent/S{line}", True))
        bench.controller.tick()
        for _ in range(40):
            await asyncio.sleep(0)
            while bench.sent:
                _, record, reply = bench.sent.pop(0)
                if (answer := agent.received(record)) is not None:
                    bench.say(reply.removeprefix(f"{PREFIX}/"), answer)

    strange = bench.agent("os::02FA17-S1")
    strange.model.rows["Device.LocalAgent.Controller.1."]["EndpointID"] = "self::other"
    await talk(strange, 1)
    assert troubles() == ["cpe_usp"]
    await talk(bench.agents[2], 2)
    assert troubles() == ["cpe_usp"]
    await talk(bench.agents[1], 1)
    assert troubles() == []
    await bench.controller.close()


async def test_all_who_are_silent_are_asked_at_once(tmp_path: Path) -> None:
    """A power cut takes ten agents: each is asked whether it is there, however few are set up at a time, and is offline
    when no answer comes; one that was just to be set up is no exception."""
    bench = UspBench(tmp_path, usp=UspSettings(enabled=True, at_once=1, periodic_s=1, missed=1, answer_s=0.2))
    bench.controller.connected()
    for i in range(10):
        agent = bench.agent(f"os::02FA17-S{i}")
        bench.say(f"S{i}", bench.boot(agent))
        bench.controller._presence.provisioned[i] = i > 0
    bench.controller._due = {0: "provision"}
    await bench.pass_s(0.1)
    bench.sink.events.clear()
    bench.sent.clear()
    bench.controller.tick()
    await until(lambda: len(bench.sent) == 1, what="the one to be set up is asked")
    bench.s += 5
    bench.controller.tick()
    await until(lambda: len(bench.sent) == 10, what="all the others are asked")
    for _ in range(3):
        await asyncio.sleep(0.3)
        bench.s += 2
        bench.controller.tick()
    await bench.pass_s(0.1)
    gone = [(e.subject, e.value) for e in bench.sink.of_kind("cpe_offline")]
    assert sorted(gone) == [(f"L{i}", "missed") for i in range(10)]
    await bench.controller.close()


async def test_one_that_lives_and_does_not_report_is_looked_through(tmp_path: Path) -> None:
    """No Periodic! came, but it answers when it is asked: its subscriptions may be gone, so it is set up again."""
    bench = UspBench(tmp_path, usp=UspSettings(enabled=True, periodic_s=1, missed=1, answer_s=5))
    bench.controller.connected()
    bench.say("S1", bench.boot(bench.agents[1]))
    line = bench.rig.inventory.by_serial("S1")[0]
    bench.controller._presence.provisioned[line] = True
    bench.controller._due.clear()
    await bench.pass_s(0.1)
    bench.sent.clear()
    bench.s += 5
    bench.controller.tick()
    await until(lambda: bench.sent, what="the question whether it is there")
    answer = bench.agents[1].received(bench.sent[0][1])
    assert answer is not None
    bench.say("S1/r/faultline", answer)
    await until(lambda: bench.controller._due == {line: "provision"}, what="that it is due")
    assert bench.sink.of_kind("cpe_offline") == []
    await bench.controller.close()


async def test_giant_and_deep_payloads_are_refused(bench: UspBench) -> None:
    """A record above the limit, a Push! with a tower of brackets, and one with a thousand reports."""
    bench.say("S1", b"x" * 70_000)
    for data in ('{"Report":' + "[" * 5000, '{"Report":[' + ",".join(["{}"] * 1000) + "]}"):
        agent = bench.agents[1]
        body = pb.text(1, "Device.BulkData.Profile.1.") + pb.text(2, "Push!") + pb.mapping(3, {"Data": data})
        notify = pb.block(1, pb.block(8, pb.text(1, "push") + pb.block(3, body)))
        bench.say("S1", agent._message("m", 3, notify))
    await bench.pass_s(0.1)
    assert bench.dropped("too_long") == 1
    assert bench.dropped("too_deep") + bench.dropped("not_json") == 1
    assert bench.dropped("too_many_fields") == 1
    assert len(bench.acknowledged) == 3
    await bench.controller.close()


async def test_being_cancelled_as_the_answer_comes_is_not_lost() -> None:
    """The broker's answer and the daemon's end in the same turn of the loop: it ends."""
    client = AckingClient(CpeSettings(), "127.0.0.1", None, None, lambda _: None, lambda _: None)
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(client._wait_for(answer, 5.0))
    await asyncio.sleep(0)
    answer.set_result(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    late: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with pytest.raises(aiomqtt.MqttError, match="timed out"):
        await client._wait_for(late, 0.01)


def test_topics() -> None:
    """Reply topics there and back, and what several collectors share."""
    told = CpeSettings(usp=UspSettings(enabled=True), share="all", client_id="c/1")
    topic, reply = request_topics(told, "c1", "S1", legacy=True)
    assert topic == "usp/agent/S1/reply-to=usp%2Fcontroller%2Ffaultline%2FS1%2Fr%2Fc1"
    within = parse_within(reply.partition("S1/")[2] + "/reply-to=usp%2Fagent%2FS1")
    assert within == ("c1", "usp/agent/S1", True)
    assert parse_within("x/y/z") is None
    shared = subscriptions(told)
    assert [s for s in shared if not s.startswith("$share/all/")] == [shared[-1]]
    assert "/r/" in shared[-1]
    assert "c/1" not in shared[-1]
    assert agent_topic(told, "S1", "usp/agent/S10") is None


def test_packets_in_any_pieces() -> None:
    """The same messages however the stream is cut, with and without properties."""
    messages = [("a/b", b"x" * 300), ("c", b""), ("ü", b"\0" * 5)]
    for v5 in (False, True):
        packets = [publish_packet(t, p, i == 1, i, v5, "r/t" if v5 and i else "") for i, (t, p) in enumerate(messages)]
        stream = b"".join([*packets, b"\xd0\x00"])
        for step in (1, 3, 7, len(stream)):
            frames, got = Frames(1 << 20, v5=v5), []
            for at in range(0, len(stream), step):
                frames.feed(stream[at : at + step])
                got += list(frames.packets())
            assert got.pop() == b"\xd0\x00"
            assert [(m.topic, m.payload) for m in got if isinstance(m, Inbound)] == messages
            assert [(m.qos, m.retain, m.mid) for m in got if isinstance(m, Inbound)][1] == (1, True, 1)


def test_what_is_too_long_is_passed_over() -> None:
    """A packet of 2 MB costs no memory, keeps its message id, and what follows is read."""
    big = publish_packet("t", b"x" * 2_000_000, message_id=9)
    frames, got = Frames(1 << 20, v5=False), []
    stream = big + publish_packet("next", b"1")
    for at in range(0, len(stream), 50_000):
        frames.feed(stream[at : at + 50_000])
        got += list(frames.packets())
        assert len(frames._buffer) < HEAD + 60_000
    assert [(m.topic, m.mid, len(m.payload), m.size > 1 << 20) for m in got if isinstance(m, Inbound)] == [
        ("t", 9, 0, True),
        ("next", 0, 1, False),
    ]


@pytest.mark.parametrize(
    "data", [b"\x30\xff\xff\xff\xff\x01", b"\x30\x01\x00", b"\x36\x03\x00\x01a", b"\x30\x03\x00\x09a"]
)
def test_what_is_not_mqtt_is_said(data: bytes) -> None:
    """A stream that lost its way ends the connection instead of being misread."""
    frames = Frames(1 << 20, v5=False)
    frames.feed(data + encode_length(0))
    with pytest.raises(BrokenStream):
        list(frames.packets())
