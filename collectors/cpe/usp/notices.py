"""Messages that run commands, tell of events, and say what an agent supports. Source: TR-369 (USP 1.4.1), usp-msg."""

from collectors.cpe.usp.objects import Failure
from collectors.cpe.usp.wire import Field, Kind, Message

TEXT, UINT, BOOL, FIXED, SUB, MAP = Kind.TEXT, Kind.UINT, Kind.BOOL, Kind.FIXED, Kind.MESSAGE, Kind.MAP


class Operate(Message):
    command: str = ""
    command_key: str = ""
    send_resp: bool = False
    input_args: dict[str, str] = {}
    FIELDS = (
        Field(1, "command", TEXT),
        Field(2, "command_key", TEXT),
        Field(3, "send_resp", BOOL),
        Field(4, "input_args", MAP),
    )


class OutputArgs(Message):
    output_args: dict[str, str] = {}
    FIELDS = (Field(1, "output_args", MAP),)


class OperationResult(Message):
    """`req_obj_path`: an asynchronous command has begun; `req_output_args`: it is done; else it failed."""

    executed_command: str = ""
    req_obj_path: str | None = None
    req_output_args: OutputArgs | None = None
    cmd_failure: Failure | None = None
    FIELDS = (
        Field(1, "executed_command", TEXT),
        Field(2, "req_obj_path", TEXT, oneof="one"),
        Field(3, "req_output_args", SUB, OutputArgs, oneof="one"),
        Field(4, "cmd_failure", SUB, Failure, oneof="one"),
    )


class OperateResp(Message):
    operation_results: list[OperationResult] = []
    FIELDS = (Field(1, "operation_results", SUB, OperationResult, many=True),)


class EventNotice(Message):
    obj_path: str = ""
    event_name: str = ""
    params: dict[str, str] = {}
    FIELDS = (
        Field(1, "obj_path", TEXT),
        Field(2, "event_name", TEXT),
        Field(3, "params", MAP),
    )


class ValueChange(Message):
    param_path: str = ""
    param_value: str = ""
    FIELDS = (
        Field(1, "param_path", TEXT),
        Field(2, "param_value", TEXT),
    )


class ObjectCreation(Message):
    obj_path: str = ""
    unique_keys: dict[str, str] = {}
    FIELDS = (
        Field(1, "obj_path", TEXT),
        Field(2, "unique_keys", MAP),
    )


class ObjectDeletion(Message):
    obj_path: str = ""
    FIELDS = (Field(1, "obj_path", TEXT),)


class OperationComplete(Message):
    obj_path: str = ""
    command_name: str = ""
    command_key: str = ""
    req_output_args: OutputArgs | None = None
    cmd_failure: Failure | None = None
    FIELDS = (
        Field(1, "obj_path", TEXT),
        Field(2, "command_name", TEXT),
        Field(3, "command_key", TEXT),
        Field(4, "req_output_args", SUB, OutputArgs, oneof="one"),
        Field(5, "cmd_failure", SUB, Failure, oneof="one"),
    )


class OnBoardRequest(Message):
    oui: str = ""
    product_class: str = ""
    serial_number: str = ""
    agent_supported_protocol_versions: str = ""
    FIELDS = (
        Field(1, "oui", TEXT),
        Field(2, "product_class", TEXT),
        Field(3, "serial_number", TEXT),
        Field(4, "agent_supported_protocol_versions", TEXT),
    )


class Notify(Message):
    """An answer is owed only when `send_resp` is true; it carries the Notify's own msg_id."""

    subscription_id: str = ""
    send_resp: bool = False
    event: EventNotice | None = None
    value_change: ValueChange | None = None
    obj_creation: ObjectCreation | None = None
    obj_deletion: ObjectDeletion | None = None
    oper_complete: OperationComplete | None = None
    on_board_req: OnBoardRequest | None = None
    FIELDS = (
        Field(1, "subscription_id", TEXT),
        Field(2, "send_resp", BOOL),
        Field(3, "event", SUB, EventNotice, oneof="one"),
        Field(4, "value_change", SUB, ValueChange, oneof="one"),
        Field(5, "obj_creation", SUB, ObjectCreation, oneof="one"),
        Field(6, "obj_deletion", SUB, ObjectDeletion, oneof="one"),
        Field(7, "oper_complete", SUB, OperationComplete, oneof="one"),
        Field(8, "on_board_req", SUB, OnBoardRequest, oneof="one"),
    )


class NotifyResp(Message):
    subscription_id: str = ""
    FIELDS = (Field(1, "subscription_id", TEXT),)


class GetInstances(Message):
    obj_paths: list[str] = []
    first_level_only: bool = False
    FIELDS = (
        Field(1, "obj_paths", TEXT, many=True),
        Field(2, "first_level_only", BOOL),
    )


class CurrentInstance(Message):
    instantiated_obj_path: str = ""
    unique_keys: dict[str, str] = {}
    FIELDS = (
        Field(1, "instantiated_obj_path", TEXT),
        Field(2, "unique_keys", MAP),
    )


class InstancesOfPath(Message):
    requested_path: str = ""
    err_code: int = 0
    err_msg: str = ""
    curr_insts: list[CurrentInstance] = []
    FIELDS = (
        Field(1, "requested_path", TEXT),
        Field(2, "err_code", FIXED),
        Field(3, "err_msg", TEXT),
        Field(4, "curr_insts", SUB, CurrentInstance, many=True),
    )


class GetInstancesResp(Message):
    req_path_results: list[InstancesOfPath] = []
    FIELDS = (Field(1, "req_path_results", SUB, InstancesOfPath, many=True),)


class GetSupportedDM(Message):
    obj_paths: list[str] = []
    first_level_only: bool = False
    return_commands: bool = False
    return_events: bool = False
    return_params: bool = False
    return_unique_key_sets: bool = False
    FIELDS = (
        Field(1, "obj_paths", TEXT, many=True),
        Field(2, "first_level_only", BOOL),
        Field(3, "return_commands", BOOL),
        Field(4, "return_events", BOOL),
        Field(5, "return_params", BOOL),
        Field(6, "return_unique_key_sets", BOOL),
    )


class SupportedCommand(Message):
    """`command_type`: 1 synchronous, 2 asynchronous."""

    command_name: str = ""
    input_arg_names: list[str] = []
    output_arg_names: list[str] = []
    command_type: int = 0
    FIELDS = (
        Field(1, "command_name", TEXT),
        Field(2, "input_arg_names", TEXT, many=True),
        Field(3, "output_arg_names", TEXT, many=True),
        Field(4, "command_type", UINT),
    )


class SupportedEvent(Message):
    event_name: str = ""
    arg_names: list[str] = []
    FIELDS = (
        Field(1, "event_name", TEXT),
        Field(2, "arg_names", TEXT, many=True),
    )


class SupportedParam(Message):
    """`access`: 0 read-only, 1 read-write, 2 write-only."""

    param_name: str = ""
    access: int = 0
    value_type: int = 0
    value_change: int = 0
    FIELDS = (
        Field(1, "param_name", TEXT),
        Field(2, "access", UINT),
        Field(3, "value_type", UINT),
        Field(4, "value_change", UINT),
    )


class UniqueKeySet(Message):
    key_names: list[str] = []
    FIELDS = (Field(1, "key_names", TEXT, many=True),)


class SupportedObject(Message):
    """`access`: 0 read-only, 1 add and delete, 2 add, 3 delete."""

    supported_obj_path: str = ""
    access: int = 0
    is_multi_instance: bool = False
    supported_commands: list[SupportedCommand] = []
    supported_events: list[SupportedEvent] = []
    supported_params: list[SupportedParam] = []
    divergent_paths: list[str] = []
    unique_key_sets: list[UniqueKeySet] = []
    FIELDS = (
        Field(1, "supported_obj_path", TEXT),
        Field(2, "access", UINT),
        Field(3, "is_multi_instance", BOOL),
        Field(4, "supported_commands", SUB, SupportedCommand, many=True),
        Field(5, "supported_events", SUB, SupportedEvent, many=True),
        Field(6, "supported_params", SUB, SupportedParam, many=True),
        Field(7, "divergent_paths", TEXT, many=True),
        Field(8, "unique_key_sets", SUB, UniqueKeySet, many=True),
    )


class SupportedPath(Message):
    req_obj_path: str = ""
    err_code: int = 0
    err_msg: str = ""
    data_model_inst_uri: str = ""
    supported_objs: list[SupportedObject] = []
    FIELDS = (
        Field(1, "req_obj_path", TEXT),
        Field(2, "err_code", FIXED),
        Field(3, "err_msg", TEXT),
        Field(4, "data_model_inst_uri", TEXT),
        Field(5, "supported_objs", SUB, SupportedObject, many=True),
    )


class GetSupportedDMResp(Message):
    req_obj_results: list[SupportedPath] = []
    FIELDS = (Field(1, "req_obj_results", SUB, SupportedPath, many=True),)


class GetSupportedProtocol(Message):
    """Versions are joined by commas."""

    controller_supported_protocol_versions: str = ""
    FIELDS = (Field(1, "controller_supported_protocol_versions", TEXT),)


class GetSupportedProtocolResp(Message):
    agent_supported_protocol_versions: str = ""
    FIELDS = (Field(1, "agent_supported_protocol_versions", TEXT),)
