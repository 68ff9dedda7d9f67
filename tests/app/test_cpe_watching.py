"""What `faultline cpe watch` shows of a message: no secret, wherever it stands, and one line whatever came."""

import json

import pytest

from collectors.cpe.frames import Inbound
from collectors.cpe.settings import CpeSettings, UspSettings
from collectors.cpe.topics import REPLY_TO
from monitor.app.cpe_watching import MAX_SHOWN, describe
from monitor.lab.usp import protobuf as pb
from monitor.lab.usp.agent import Agent

SETTINGS = CpeSettings(usp=UspSettings(enabled=True), collectd_prefix="collectd")
PATH = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
STATE, USP = "cpe/S1/telemetry/state", "usp/controller/faultline/S1"
SECRET = "correct horse battery"


def notify(field: int, body: bytes) -> bytes:
    agent = Agent("os::02FA17-S1", "self::faultline", dict, lambda _: None, lambda *_: None)
    return agent._message("m", 3, pb.block(1, pb.block(8, pb.text(1, "s") + pb.block(field, body))))


def event(name: str, **params: str) -> bytes:
    return notify(3, pb.text(1, "Device.") + pb.text(2, name) + pb.mapping(3, params))


def told(topic: str, payload: bytes) -> str:
    return describe(Inbound(topic, payload, 1, False, 1, len(payload)), SETTINGS, REPLY_TO)


@pytest.mark.parametrize(
    ("topic", "payload", "says"),
    [
        (STATE, json.dumps({"wifi": {"passphrase": SECRET}, "cpu_percent": 7}).encode(), "cpu_percent=7"),
        ("cpe/S1/telemetry/bulk", json.dumps({"Report": [{PATH: SECRET, "Device.X": "1"}]}).encode(), "Device.X=1"),
        (STATE, json.dumps([{"password": SECRET}]).encode(), "telemetry/state"),
        (STATE, json.dumps({"wifi": {"keys": 1, "psk": [SECRET], "pin": {"a": SECRET}}}).encode(), '"keys": 1'),
        (STATE, b'{"password": "' + SECRET.encode() + b'", "uptime_s": 1e999', "not JSON"),
        (USP, event("Boot!", Cause="LocalReboot", ParameterMap=json.dumps({PATH: SECRET})), "LocalReboot"),
        (USP, event("Push!", Data=json.dumps({"Report": [{PATH: SECRET}]})), "Push!"),
        (USP, notify(4, pb.text(1, PATH) + pb.text(2, SECRET)), "changed " + PATH),
    ],
)  # fmt: skip
def test_secrets_are_hidden_wherever_they_stand(topic: str, payload: bytes, says: str) -> None:
    """In plain and nested JSON, bulk reports, parameters of an event and changed values."""
    line = told(topic, payload)
    assert SECRET not in line
    assert "********" in line
    assert line.startswith("S1 ")
    assert says in line


@pytest.mark.parametrize(
    ("topic", "payload", "says"),
    [
        ("collectd/S1/uptime/uptime", b"1700000000.000:86400\0", "uptime/uptime  1700000000.000:86400"),
        ("cpe/S1/availability", b"online", "availability  online"),
        ("usp/controller/faultline/S1", b"\xff\xfe", "not USP"),
        ("cpe/S1/telemetry/x", b"\0\x1b[2J" + b"x" * 9000, "telemetry/x"),
        ("cpe/S1/telemetry/x", b"[" * 600 + b"]" * 600, "..."),
        (USP, event("X\x1b[2J!", Cause="x"), "X?[2J!"),
        (USP, notify(4, pb.text(1, "Device.\x1b[2J") + pb.text(2, "1")), "changed Device.?[2J 1"),
        (USP, notify(7, pb.text(1, "Device.") + pb.text(2, "\x07") + pb.text(3, "\n")), "completed Device.? ?"),
    ],
)
def test_whatever_comes_is_one_clean_line(topic: str, payload: bytes, says: str) -> None:
    """Cut to a length, without control characters."""
    line = told(topic, payload)
    assert says in line
    assert line.isprintable()
    assert len(line) <= MAX_SHOWN


@pytest.mark.parametrize("secret", [12345678, [12345678], {"a": 12345678}])
def test_a_secret_need_not_be_a_text(secret: object) -> None:
    """A number, a list or an object under a secret's name is hidden as well, at any depth."""
    line = told(STATE, json.dumps({"wifi": [{"network_key": secret, "channel": 11}]}).encode())
    assert "12345678" not in line
    assert '"channel": 11' in line
