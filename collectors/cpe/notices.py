"""What a USP notification means: events, reports, and whether something has to be read or set up again.

In: a Notify. Out: a `Notice`. Nothing here knows lines or brokers.
"""

import msgspec

from collectors.cpe.bulkdata import parse_bulk
from collectors.cpe.normal import Refused, Report, clean, decode_json
from collectors.cpe.tr181 import TRUE, read_parameters
from collectors.cpe.usp.notices import Notify
from monitor.records import EventKind


class Notice(msgspec.Struct):
    """`kind` is what it is called in metrics; `provision`: all that was set up may be gone; `read`: identity may have
    changed (firmware)."""

    kind: str
    events: list[tuple[EventKind, str]] = []
    reports: list[Report] = []
    provision: bool = False
    read: bool = False


def read_notify(notify: Notify) -> Notice:
    """Raises Refused: a bulk report that cannot be used, or a notification that says nothing."""
    if (event := notify.event) is not None:
        return _event(event.event_name.removesuffix("!"), event.params)
    if (change := notify.value_change) is not None:
        report = Report.empty()
        read_parameters([(change.param_path, change.param_value)], report)
        return Notice("value_change", reports=[report])
    if notify.oper_complete is not None:
        return Notice("oper_complete")
    if notify.on_board_req is not None:
        return Notice("on_board_req", provision=True)
    if notify.obj_creation is not None or notify.obj_deletion is not None:
        return Notice("object")
    raise Refused("empty_notify")


def _event(name: str, params: dict[str, str]) -> Notice:
    lower = name.lower()
    if lower == "boot":
        cause = clean(params.get("Cause", ""))
        updated = params.get("FirmwareUpdated", "").lower() in TRUE
        return Notice("boot", [("cpe_boot", cause)], _boot_parameters(params), cause == "FactoryReset", updated)
    if lower == "push":
        return Notice("push", reports=parse_bulk(params.get("Data", "").encode()))
    if lower == "periodic":
        return Notice("periodic")
    if lower == "transfercomplete":
        return Notice("transfer_complete", read=params.get("FaultCode", "0") in ("0", ""))
    if "dyinggasp" in lower.replace("_", ""):  # vendors' own names: X_EXAMPLE-COM_DyingGasp!
        return Notice("dying_gasp", [("dying_gasp", "")])
    return Notice("other")


def _boot_parameters(params: dict[str, str]) -> list[Report]:
    """What the agent tells along with its boot: a JSON object of full paths, if it has been told to."""
    report = Report.empty()
    try:
        told = decode_json(params.get("ParameterMap", "").encode() or b"{}")
    except Refused:
        told = None
    if not isinstance(told, dict):
        report.dropped["not_json"] += 1
        return [report]
    read_parameters(told.items(), report)
    return [report]
