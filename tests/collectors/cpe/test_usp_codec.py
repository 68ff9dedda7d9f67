"""The USP codec: recorded records, round trips of everything it knows, and bytes that are no message."""

import binascii
import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.cpe.usp import calls
from collectors.cpe.usp.messages import Msg, MsgType, Record
from collectors.cpe.usp.wire import Kind, Malformed, Message, decode, encode
from monitor.lab.usp import protobuf as pb
from monitor.lab.usp.agent import Agent

RECORDED = Path(__file__).with_name("recorded_usp.txt")
WORDS = {Kind.TEXT: st.text(st.characters(codec="utf-8"), max_size=12), Kind.BYTES: st.binary(max_size=12)}
NUMBERS = {Kind.UINT: st.integers(0, 2**64 - 1), Kind.FIXED: st.integers(0, 2**32 - 1), Kind.BOOL: st.booleans()}


def values(cls: type[Message], depth: int = 0) -> st.SearchStrategy[Message]:
    """Any message of a class; at most one member of each oneof."""

    @st.composite
    def made(draw: st.DrawFn) -> Message:
        message = cls()
        chosen = {name: draw(st.integers(0, 20)) for name in {f.oneof for f in cls.FIELDS if f.oneof}}
        position = dict.fromkeys(chosen, 0)
        for field in cls.FIELDS:
            if field.oneof:
                position[field.oneof] += 1
                if position[field.oneof] != chosen[field.oneof]:
                    continue
            if field.kind is Kind.MAP:
                value: object = draw(st.dictionaries(WORDS[Kind.TEXT], WORDS[Kind.TEXT], max_size=3))
            elif field.kind is Kind.MESSAGE:
                assert field.of is not None
                if depth > 6:
                    continue
                inner = values(field.of, depth + 1)
                value = draw(st.lists(inner, max_size=2) if field.many else inner)
            else:
                one = (WORDS | NUMBERS)[field.kind]
                value = draw(st.lists(one, max_size=3) if field.many else one)
            setattr(message, field.name, value)
        return message

    return made()


@given(values(Record))
@settings(max_examples=25, deadline=None)
def test_any_record_survives_the_wire(record: Message) -> None:
    """What is written is read back equal."""
    assert decode(Record, encode(record)) == record


@given(values(Msg))
@settings(max_examples=25, deadline=None)
def test_any_message_survives_the_wire(msg: Message) -> None:
    """The same for messages, which nest deeper."""
    assert decode(Msg, encode(msg)) == msg


def opened(data: bytes) -> None:
    """Open whatever comes; nothing but Malformed may come out."""
    with contextlib.suppress(Malformed):
        calls.open_record(data)
    with contextlib.suppress(Malformed):
        again = decode(Msg, data)
        assert decode(Msg, encode(again)) == again


@given(st.binary(max_size=300))
@settings(max_examples=250, deadline=None)
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    """No other exception than the codec's own, and what is read can be written and read again."""
    opened(data)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_cut_and_changed_records_are_refused_or_read(data: st.DataObject) -> None:
    """A good record, cut anywhere or with bytes changed."""
    good = bytearray(calls.pack_request(calls.add([("Device.A.", {"B": "c", "D": "é"})]), "1", "os::0-a", "self::f"))
    for _ in range(data.draw(st.integers(0, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    opened(bytes(good[: data.draw(st.integers(0, len(good)))]))


def test_recorded_records_keep_their_meaning() -> None:
    """Twenty records between a reference agent and another controller decode, and encode to the same meaning."""
    raw = [binascii.unhexlify(line.strip()) for line in RECORDED.read_text().splitlines() if line[:1].isalnum()]
    assert len(raw) == 20
    kinds = set()
    for data in raw:
        record = decode(Record, data)
        assert encode(record) == data
        if record.no_session_context is None:
            assert record.mqtt_connect is not None
            continue
        msg = decode(Msg, record.no_session_context.payload)
        assert decode(Msg, encode(msg)) == msg
        assert msg.header is not None
        kinds.add(MsgType(msg.header.msg_type).name)
    assert kinds >= {"GET_RESP", "GET_SUPPORTED_DM_RESP", "ADD_RESP", "SET_RESP", "OPERATE_RESP", "NOTIFY", "ERROR"}


def test_an_error_message_by_hand() -> None:
    """Bytes written out by the tables of the specification: err_code is fixed32, not a varint."""
    data = bytes.fromhex("0a050a0137100012161a140d5c1b000012067265667573651a070d5c1b000012")
    with pytest.raises(Malformed):
        decode(Msg, data)
    good = bytes.fromhex("0a030a0137" + "12131a11" + "0d5c1b0000" + "1203626164" + "1a05" + "1d00000000")
    with pytest.raises(Malformed):
        decode(Msg, good[:-1])
    error = decode(Msg, good)
    assert error.body is not None
    assert error.body.error is not None
    assert (error.body.error.err_code, error.body.error.err_msg) == (7004, "bad")


def test_two_implementations_understand_each_other() -> None:
    """The simulated agent's codec, written apart, answers what ours asks, and ours reads the answer."""
    agent = Agent("os::0-S1", "self::f", lambda: {"Device.DeviceInfo.UpTime": "7"}, lambda _: None, lambda *_: None)
    record = calls.pack_request(calls.get(["Device.DeviceInfo.", "Device.X."]), "m1", "os::0-S1", "self::f")
    answer = agent.received(record)
    assert answer is not None
    got, msg = calls.open_record(answer)
    assert (got.from_id, got.to_id, got.version) == ("os::0-S1", "self::f", "1.3")
    assert msg is not None
    assert msg.body is not None
    assert msg.body.response is not None
    assert msg.body.response.get_resp is not None
    first, second = msg.body.response.get_resp.req_path_results
    assert first.resolved_path_results[0].result_params == {"UpTime": "7"}
    assert second.err_code == 7026
    assert agent.received(calls.pack_request(calls.get(["Device."]), "m1", "os::0-OTHER", "self::f")) is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "without version"),
        (pb.text(1, "1.3") + pb.text(2, "self::f") + pb.text(3, "os::0-a"), "says nothing"),
        (pb.text(1, "1.3") + pb.text(3, "os::0-a") + pb.number(4, 1), "encrypted"),
        (pb.text(1, "1.3") + pb.text(3, "os::0-a") + pb.block(8, pb.number(5, 1) + pb.block(7, b"x")), "segmented"),
        (pb.text(1, "1.3") + pb.text(3, "os::0-a") + pb.block(7, pb.block(2, pb.block(1, b""))), "header or body"),
        (b"\x0a\xff\xff\xff\xff\x0f", "cut off"),
        (b"\x0b", "proto3"),
        (b"\x00", "number 0"),
        (b"\x0a\x01\xff", "UTF-8"),
        (b"\x20" + b"\xff" * 11, "ten bytes"),
    ],
)
def test_what_cannot_be_taken_is_said(data: bytes, why: str) -> None:
    """Each refusal names its reason."""
    with pytest.raises(Malformed, match=why):
        calls.open_record(data)


def test_the_last_of_a_oneof_counts_and_messages_merge() -> None:
    """As proto3 asks of a reader."""
    record = decode(Record, pb.block(10, pb.text(2, "a")) + pb.block(12, pb.text(1, "bye")) + pb.number(99, 5))
    assert record.mqtt_connect is None
    assert record.disconnect is not None
    merged = decode(Record, pb.block(10, pb.number(1, 1)) + pb.block(10, pb.text(2, "t")))
    assert merged.mqtt_connect is not None
    assert (merged.mqtt_connect.version, merged.mqtt_connect.subscribed_topic) == (1, "t")


@pytest.mark.parametrize(
    ("endpoint", "inventory", "fits"),
    [
        ("os::012345-S1", "", True),
        ("self::S1", "", True),
        ("ops::012345-Router-S1", "", True),
        ("os::012345-S2", "", False),
        ("os::012345-XS1", "", False),
        ("nonsense-S1", "", False),
        ("uuid:f81d4fae", "uuid:f81d4fae", True),
        ("os::012345-S1", "os::999999-S1", False),
    ],
)
def test_who_may_speak_on_a_topic(endpoint: str, inventory: str, fits: bool) -> None:
    """The endpoint that the inventory names, or one that carries the topic's serial."""
    assert calls.belongs(endpoint, "S1", inventory) is fits
