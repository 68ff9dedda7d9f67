"""Builds what a controller sends and opens what it gets: records around messages, and whose endpoint it is.

In: paths and values as text. Out: bytes for the broker; from the broker's bytes a record and, unless it only says
connect or disconnect, its message. Raises wire.Malformed for bytes that are none, or a record that we cannot take.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from collectors.cpe.usp.messages import Body, Header, Msg, MsgType, NoSessionContext, Record, Request, Response
from collectors.cpe.usp.notices import GetSupportedDM, GetSupportedProtocol, NotifyResp, Operate
from collectors.cpe.usp.objects import Add, CreateObject, Delete, Get, ParamSetting, Set, UpdateObject
from collectors.cpe.usp.wire import Malformed, decode, encode

VERSION = "1.3"
SUPPORTED = "1.0,1.1,1.2,1.3,1.4"
SCHEMES = frozenset(["oui", "cid", "pen", "self", "user", "os", "ops", "uuid", "imei", "proto", "doc", "fqdn"])
CONTENTS = tuple(field.name for field in Record.FIELDS if field.oneof)
Settings = Mapping[str, str]


class Opened(NamedTuple):
    record: Record
    msg: Msg | None


def get(paths: Iterable[str], max_depth: int = 0) -> Request:
    return Request(get=Get(list(paths), max_depth))


def set_(objects: Iterable[tuple[str, Settings]], *, allow_partial: bool = False) -> Request:
    rows = [UpdateObject(path, _settings(values, required=not allow_partial)) for path, values in objects]
    return Request(set=Set(allow_partial, rows))


def add(objects: Iterable[tuple[str, Settings]], *, allow_partial: bool = False) -> Request:
    """Parameters are required, unless partial success is allowed: then a row is made without what is refused."""
    rows = [CreateObject(path, _settings(values, required=not allow_partial)) for path, values in objects]
    return Request(add=Add(allow_partial, rows))


def delete(paths: Iterable[str]) -> Request:
    return Request(delete=Delete(True, list(paths)))


def operate(command: str, arguments: Settings, command_key: str) -> Request:
    return Request(operate=Operate(command, command_key, True, dict(arguments)))


def supported_protocol() -> Request:
    return Request(get_supported_protocol=GetSupportedProtocol(SUPPORTED))


def supported_dm(paths: Iterable[str]) -> Request:
    """Which objects there are; not what is in them, which of a large model is too long an answer."""
    return Request(get_supported_dm=GetSupportedDM(list(paths)))


def _settings(values: Settings, *, required: bool) -> list[ParamSetting]:
    return [ParamSetting(name, value, required) for name, value in values.items()]


_TYPES = {
    "get": MsgType.GET,
    "set": MsgType.SET,
    "add": MsgType.ADD,
    "delete": MsgType.DELETE,
    "operate": MsgType.OPERATE,
    "get_supported_dm": MsgType.GET_SUPPORTED_DM,
    "get_supported_protocol": MsgType.GET_SUPPORTED_PROTO,
}


def pack_request(request: Request, msg_id: str, to_id: str, from_id: str) -> bytes:
    """Raises Malformed when a text is no UTF-8."""
    kind = next(kind for name, kind in _TYPES.items() if getattr(request, name) is not None)
    return _pack(Msg(Header(msg_id, kind), Body(request=request)), to_id, from_id)


def pack_notify_resp(msg_id: str, subscription_id: str, to_id: str, from_id: str) -> bytes:
    """The answer to a Notify with `send_resp`, under the Notify's own msg_id."""
    answer = Response(notify_resp=NotifyResp(subscription_id))
    return _pack(Msg(Header(msg_id, MsgType.NOTIFY_RESP), Body(response=answer)), to_id, from_id)


def _pack(msg: Msg, to_id: str, from_id: str) -> bytes:
    record = Record(version=VERSION, to_id=to_id, from_id=from_id)
    record.no_session_context = NoSessionContext(encode(msg))
    return encode(record)


def open_record(data: bytes) -> Opened:
    """Raises Malformed: also for what is protobuf but no record, is encrypted, or comes in segments."""
    record = decode(Record, data)
    if not record.version or not record.from_id:
        raise Malformed("a record without version or from_id")
    if record.payload_security:
        raise Malformed("the record's payload is encrypted end to end, which is not agreed with anybody")
    if all(getattr(record, name) is None for name in CONTENTS):
        raise Malformed("a record that says nothing")
    payload: Sequence[bytes] = ()
    if record.no_session_context is not None:
        payload = [record.no_session_context.payload]
    elif (session := record.session_context) is not None:
        if session.payload_sar_state or session.payloadrec_sar_state or len(session.payload) > 1:
            raise Malformed("a segmented record")
        payload = session.payload
    if not payload:
        return Opened(record, None)
    msg = decode(Msg, payload[0])
    if msg.header is None or msg.body is None:
        raise Malformed("a message without header or body")
    return Opened(record, msg)


def is_endpoint(text: str) -> bool:
    """scheme:authority:instance, e.g. os::012345-SIM00001."""
    parts = text.split(":")
    return len(parts) >= 3 and parts[0] in SCHEMES and bool(parts[-1]) and text.isprintable() and len(text) <= 255


def belongs(endpoint: str, serial: str, inventory_endpoint: str) -> bool:
    """Whether an endpoint may speak on the topic of `serial`: it is the one the inventory names for the line or, where
    it names none, its instance is the serial, alone or as the last part behind a "-"."""
    if inventory_endpoint:
        return endpoint == inventory_endpoint
    if not is_endpoint(endpoint):
        return False
    instance = unquote(endpoint.rpartition(":")[2])
    return instance == serial or instance.endswith(f"-{serial}")
