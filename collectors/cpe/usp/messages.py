"""Header and body of a message, and the record around it. Source: TR-369 (USP 1.4.1), usp-msg and usp-record."""

from enum import IntEnum

from collectors.cpe.usp.notices import (
    GetInstances,
    GetInstancesResp,
    GetSupportedDM,
    GetSupportedDMResp,
    GetSupportedProtocol,
    GetSupportedProtocolResp,
    Notify,
    NotifyResp,
    Operate,
    OperateResp,
)
from collectors.cpe.usp.objects import Add, AddResp, Delete, DeleteResp, Get, GetResp, PathError, Set, SetResp
from collectors.cpe.usp.wire import Field, Kind, Message

TEXT, BYTES, UINT, FIXED, SUB = Kind.TEXT, Kind.BYTES, Kind.UINT, Kind.FIXED, Kind.MESSAGE


class MsgType(IntEnum):
    ERROR = 0
    GET = 1
    GET_RESP = 2
    NOTIFY = 3
    SET = 4
    SET_RESP = 5
    OPERATE = 6
    OPERATE_RESP = 7
    ADD = 8
    ADD_RESP = 9
    DELETE = 10
    DELETE_RESP = 11
    GET_SUPPORTED_DM = 12
    GET_SUPPORTED_DM_RESP = 13
    GET_INSTANCES = 14
    GET_INSTANCES_RESP = 15
    NOTIFY_RESP = 16
    GET_SUPPORTED_PROTO = 17
    GET_SUPPORTED_PROTO_RESP = 18


class Request(Message):
    get: Get | None = None
    get_supported_dm: GetSupportedDM | None = None
    get_instances: GetInstances | None = None
    set: Set | None = None
    add: Add | None = None
    delete: Delete | None = None
    operate: Operate | None = None
    notify: Notify | None = None
    get_supported_protocol: GetSupportedProtocol | None = None
    FIELDS = (
        Field(1, "get", SUB, Get, oneof="one"),
        Field(2, "get_supported_dm", SUB, GetSupportedDM, oneof="one"),
        Field(3, "get_instances", SUB, GetInstances, oneof="one"),
        Field(4, "set", SUB, Set, oneof="one"),
        Field(5, "add", SUB, Add, oneof="one"),
        Field(6, "delete", SUB, Delete, oneof="one"),
        Field(7, "operate", SUB, Operate, oneof="one"),
        Field(8, "notify", SUB, Notify, oneof="one"),
        Field(9, "get_supported_protocol", SUB, GetSupportedProtocol, oneof="one"),
    )


class Response(Message):
    get_resp: GetResp | None = None
    get_supported_dm_resp: GetSupportedDMResp | None = None
    get_instances_resp: GetInstancesResp | None = None
    set_resp: SetResp | None = None
    add_resp: AddResp | None = None
    delete_resp: DeleteResp | None = None
    operate_resp: OperateResp | None = None
    notify_resp: NotifyResp | None = None
    get_supported_protocol_resp: GetSupportedProtocolResp | None = None
    FIELDS = (
        Field(1, "get_resp", SUB, GetResp, oneof="one"),
        Field(2, "get_supported_dm_resp", SUB, GetSupportedDMResp, oneof="one"),
        Field(3, "get_instances_resp", SUB, GetInstancesResp, oneof="one"),
        Field(4, "set_resp", SUB, SetResp, oneof="one"),
        Field(5, "add_resp", SUB, AddResp, oneof="one"),
        Field(6, "delete_resp", SUB, DeleteResp, oneof="one"),
        Field(7, "operate_resp", SUB, OperateResp, oneof="one"),
        Field(8, "notify_resp", SUB, NotifyResp, oneof="one"),
        Field(9, "get_supported_protocol_resp", SUB, GetSupportedProtocolResp, oneof="one"),
    )


class Error(Message):
    err_code: int = 0
    err_msg: str = ""
    param_errs: list[PathError] = []
    FIELDS = (
        Field(1, "err_code", FIXED),
        Field(2, "err_msg", TEXT),
        Field(3, "param_errs", SUB, PathError, many=True),
    )


class Header(Message):
    msg_id: str = ""
    msg_type: int = 0
    FIELDS = (
        Field(1, "msg_id", TEXT),
        Field(2, "msg_type", UINT),
    )


class Body(Message):
    request: Request | None = None
    response: Response | None = None
    error: Error | None = None
    FIELDS = (
        Field(1, "request", SUB, Request, oneof="one"),
        Field(2, "response", SUB, Response, oneof="one"),
        Field(3, "error", SUB, Error, oneof="one"),
    )


class Msg(Message):
    header: Header | None = None
    body: Body | None = None
    FIELDS = (
        Field(1, "header", SUB, Header),
        Field(2, "body", SUB, Body),
    )


class NoSessionContext(Message):
    """The payload is field 2; there is no field 1."""

    payload: bytes = b""
    FIELDS = (Field(2, "payload", BYTES),)


class SessionContext(Message):
    """`payload_sar_state`: 0 not segmented."""

    session_id: int = 0
    sequence_id: int = 0
    expected_id: int = 0
    retransmit_id: int = 0
    payload_sar_state: int = 0
    payloadrec_sar_state: int = 0
    payload: list[bytes] = []
    FIELDS = (
        Field(1, "session_id", UINT),
        Field(2, "sequence_id", UINT),
        Field(3, "expected_id", UINT),
        Field(4, "retransmit_id", UINT),
        Field(5, "payload_sar_state", UINT),
        Field(6, "payloadrec_sar_state", UINT),
        Field(7, "payload", BYTES, many=True),
    )


class Empty(Message):
    pass


class MqttConnect(Message):
    """`version`: 0 is MQTT 3.1.1, 1 is MQTT 5."""

    version: int = 0
    subscribed_topic: str = ""
    FIELDS = (
        Field(1, "version", UINT),
        Field(2, "subscribed_topic", TEXT),
    )


class StompConnect(Message):
    version: int = 0
    subscribed_destination: str = ""
    FIELDS = (
        Field(1, "version", UINT),
        Field(2, "subscribed_destination", TEXT),
    )


class Disconnect(Message):
    reason: str = ""
    reason_code: int = 0
    FIELDS = (
        Field(1, "reason", TEXT),
        Field(2, "reason_code", FIXED),
    )


class Record(Message):
    """`payload_security`: 0 plain text, 1 TLS 1.2."""

    version: str = ""
    to_id: str = ""
    from_id: str = ""
    payload_security: int = 0
    mac_signature: bytes = b""
    sender_cert: bytes = b""
    no_session_context: NoSessionContext | None = None
    session_context: SessionContext | None = None
    websocket_connect: Empty | None = None
    mqtt_connect: MqttConnect | None = None
    stomp_connect: StompConnect | None = None
    disconnect: Disconnect | None = None
    uds_connect: Empty | None = None
    FIELDS = (
        Field(1, "version", TEXT),
        Field(2, "to_id", TEXT),
        Field(3, "from_id", TEXT),
        Field(4, "payload_security", UINT),
        Field(5, "mac_signature", BYTES),
        Field(6, "sender_cert", BYTES),
        Field(7, "no_session_context", SUB, NoSessionContext, oneof="one"),
        Field(8, "session_context", SUB, SessionContext, oneof="one"),
        Field(9, "websocket_connect", SUB, Empty, oneof="one"),
        Field(10, "mqtt_connect", SUB, MqttConnect, oneof="one"),
        Field(11, "stomp_connect", SUB, StompConnect, oneof="one"),
        Field(12, "disconnect", SUB, Disconnect, oneof="one"),
        Field(13, "uds_connect", SUB, Empty, oneof="one"),
    )
