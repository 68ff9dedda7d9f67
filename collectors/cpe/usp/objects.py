"""Messages that read and change objects: Get, Set, Add, Delete. Source: TR-369 (USP 1.4.1), usp-msg.

Names are those of the specification. Error codes and `max_depth` are fixed32 on the wire, not varints.
"""

from collectors.cpe.usp.wire import Field, Kind, Message

TEXT, BOOL, FIXED, SUB, MAP = Kind.TEXT, Kind.BOOL, Kind.FIXED, Kind.MESSAGE, Kind.MAP


class ParamError(Message):
    """One parameter that was refused."""

    param: str = ""
    err_code: int = 0
    err_msg: str = ""
    FIELDS = (
        Field(1, "param", TEXT),
        Field(2, "err_code", FIXED),
        Field(3, "err_msg", TEXT),
    )


class PathError(Message):
    """The same, as an Error message tells it."""

    param_path: str = ""
    err_code: int = 0
    err_msg: str = ""
    FIELDS = (
        Field(1, "param_path", TEXT),
        Field(2, "err_code", FIXED),
        Field(3, "err_msg", TEXT),
    )


class Failure(Message):
    """Why an object as a whole was refused."""

    err_code: int = 0
    err_msg: str = ""
    FIELDS = (
        Field(1, "err_code", FIXED),
        Field(2, "err_msg", TEXT),
    )


class ParamSetting(Message):
    param: str = ""
    value: str = ""
    required: bool = False
    FIELDS = (
        Field(1, "param", TEXT),
        Field(2, "value", TEXT),
        Field(3, "required", BOOL),
    )


class Get(Message):
    param_paths: list[str] = []
    max_depth: int = 0
    FIELDS = (
        Field(1, "param_paths", TEXT, many=True),
        Field(2, "max_depth", FIXED),
    )


class ResolvedPath(Message):
    """Full names are `resolved_path` + key."""

    resolved_path: str = ""
    result_params: dict[str, str] = {}
    FIELDS = (
        Field(1, "resolved_path", TEXT),
        Field(2, "result_params", MAP),
    )


class RequestedPath(Message):
    requested_path: str = ""
    err_code: int = 0
    err_msg: str = ""
    resolved_path_results: list[ResolvedPath] = []
    FIELDS = (
        Field(1, "requested_path", TEXT),
        Field(2, "err_code", FIXED),
        Field(3, "err_msg", TEXT),
        Field(4, "resolved_path_results", SUB, ResolvedPath, many=True),
    )


class GetResp(Message):
    """Per-path errors stand in here: an unknown path is 7026 and no Error message."""

    req_path_results: list[RequestedPath] = []
    FIELDS = (Field(1, "req_path_results", SUB, RequestedPath, many=True),)


class UpdateObject(Message):
    obj_path: str = ""
    param_settings: list[ParamSetting] = []
    FIELDS = (
        Field(1, "obj_path", TEXT),
        Field(2, "param_settings", SUB, ParamSetting, many=True),
    )


class Set(Message):
    allow_partial: bool = False
    update_objs: list[UpdateObject] = []
    FIELDS = (
        Field(1, "allow_partial", BOOL),
        Field(2, "update_objs", SUB, UpdateObject, many=True),
    )


class InstanceFailure(Message):
    affected_path: str = ""
    param_errs: list[ParamError] = []
    FIELDS = (
        Field(1, "affected_path", TEXT),
        Field(2, "param_errs", SUB, ParamError, many=True),
    )


class InstanceResult(Message):
    affected_path: str = ""
    param_errs: list[ParamError] = []
    updated_params: dict[str, str] = {}
    FIELDS = (
        Field(1, "affected_path", TEXT),
        Field(2, "param_errs", SUB, ParamError, many=True),
        Field(3, "updated_params", MAP),
    )


class SetFailure(Message):
    err_code: int = 0
    err_msg: str = ""
    updated_inst_failures: list[InstanceFailure] = []
    FIELDS = (
        Field(1, "err_code", FIXED),
        Field(2, "err_msg", TEXT),
        Field(3, "updated_inst_failures", SUB, InstanceFailure, many=True),
    )


class SetSuccess(Message):
    updated_inst_results: list[InstanceResult] = []
    FIELDS = (Field(1, "updated_inst_results", SUB, InstanceResult, many=True),)


class SetStatus(Message):
    oper_failure: SetFailure | None = None
    oper_success: SetSuccess | None = None
    FIELDS = (
        Field(1, "oper_failure", SUB, SetFailure, oneof="one"),
        Field(2, "oper_success", SUB, SetSuccess, oneof="one"),
    )


class UpdatedObject(Message):
    requested_path: str = ""
    oper_status: SetStatus | None = None
    FIELDS = (
        Field(1, "requested_path", TEXT),
        Field(2, "oper_status", SUB, SetStatus),
    )


class SetResp(Message):
    updated_obj_results: list[UpdatedObject] = []
    FIELDS = (Field(1, "updated_obj_results", SUB, UpdatedObject, many=True),)


class CreateObject(Message):
    obj_path: str = ""
    param_settings: list[ParamSetting] = []
    FIELDS = (
        Field(1, "obj_path", TEXT),
        Field(2, "param_settings", SUB, ParamSetting, many=True),
    )


class Add(Message):
    allow_partial: bool = False
    create_objs: list[CreateObject] = []
    FIELDS = (
        Field(1, "allow_partial", BOOL),
        Field(2, "create_objs", SUB, CreateObject, many=True),
    )


class AddSuccess(Message):
    instantiated_path: str = ""
    param_errs: list[ParamError] = []
    unique_keys: dict[str, str] = {}
    FIELDS = (
        Field(1, "instantiated_path", TEXT),
        Field(2, "param_errs", SUB, ParamError, many=True),
        Field(3, "unique_keys", MAP),
    )


class AddStatus(Message):
    oper_failure: Failure | None = None
    oper_success: AddSuccess | None = None
    FIELDS = (
        Field(1, "oper_failure", SUB, Failure, oneof="one"),
        Field(2, "oper_success", SUB, AddSuccess, oneof="one"),
    )


class CreatedObject(Message):
    requested_path: str = ""
    oper_status: AddStatus | None = None
    FIELDS = (
        Field(1, "requested_path", TEXT),
        Field(2, "oper_status", SUB, AddStatus),
    )


class AddResp(Message):
    created_obj_results: list[CreatedObject] = []
    FIELDS = (Field(1, "created_obj_results", SUB, CreatedObject, many=True),)


class Delete(Message):
    allow_partial: bool = False
    obj_paths: list[str] = []
    FIELDS = (
        Field(1, "allow_partial", BOOL),
        Field(2, "obj_paths", TEXT, many=True),
    )


class Unaffected(Message):
    unaffected_path: str = ""
    err_code: int = 0
    err_msg: str = ""
    FIELDS = (
        Field(1, "unaffected_path", TEXT),
        Field(2, "err_code", FIXED),
        Field(3, "err_msg", TEXT),
    )


class DeleteSuccess(Message):
    affected_paths: list[str] = []
    unaffected_path_errs: list[Unaffected] = []
    FIELDS = (
        Field(1, "affected_paths", TEXT, many=True),
        Field(2, "unaffected_path_errs", SUB, Unaffected, many=True),
    )


class DeleteStatus(Message):
    oper_failure: Failure | None = None
    oper_success: DeleteSuccess | None = None
    FIELDS = (
        Field(1, "oper_failure", SUB, Failure, oneof="one"),
        Field(2, "oper_success", SUB, DeleteSuccess, oneof="one"),
    )


class DeletedObject(Message):
    requested_path: str = ""
    oper_status: DeleteStatus | None = None
    FIELDS = (
        Field(1, "requested_path", TEXT),
        Field(2, "oper_status", SUB, DeleteStatus),
    )


class DeleteResp(Message):
    deleted_obj_results: list[DeletedObject] = []
    FIELDS = (Field(1, "deleted_obj_results", SUB, DeletedObject, many=True),)
