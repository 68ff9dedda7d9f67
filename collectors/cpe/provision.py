"""What a router is asked to tell us by itself: its subscriptions, its bulk profile, its periodic notification.

Done on first contact, on every new connection (a factory reset wipes it all), and only as far as it is missing: what is
there and right is left alone. Out: the parameters that were read on the way. The steps are the same for every agent;
what an agent does not have (GetSupportedDM says) is not asked for.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from collectors.cpe.normal import clean
from collectors.cpe.settings import UspSettings
from collectors.cpe.usp import calls
from collectors.cpe.usp.messages import Request, Response

SUBSCRIPTIONS, PROFILES = "Device.LocalAgent.Subscription.", "Device.BulkData.Profile."
CONTROLLERS, INFO = "Device.LocalAgent.Controller.", "Device.DeviceInfo."
NAME = "faultline"

# What is worth being told at once, and what is reported in bulk, with the object that must be there for it.
WATCHED = (
    ("Device.DSL.Line.", "Device.DSL.Line.*.LinkStatus"),
    ("Device.XPON.ONU.", "Device.XPON.ONU.*.ANI.*.TC.Alarms.LOS"),
    ("Device.PPP.Interface.", "Device.PPP.Interface.*.ConnectionStatus"),
    ("Device.PPP.Interface.", "Device.PPP.Interface.*.LastConnectionError"),
    ("Device.DeviceInfo.", "Device.DeviceInfo.SoftwareVersion"),
)
REPORTED = (
    ("Device.DeviceInfo.", "Device.DeviceInfo.UpTime"),
    ("Device.DeviceInfo.", "Device.DeviceInfo.SoftwareVersion"),
    ("Device.DeviceInfo.", "Device.DeviceInfo.MemoryStatus."),
    ("Device.DeviceInfo.", "Device.DeviceInfo.ProcessStatus."),
    ("Device.DSL.Line.", "Device.DSL.Line."),
    ("Device.DSL.Channel.", "Device.DSL.Channel."),
    ("Device.Optical.Interface.", "Device.Optical.Interface."),
    ("Device.XPON.ONU.", "Device.XPON.ONU."),
    ("Device.DOCSIS.Interface.", "Device.DOCSIS.Interface."),
    ("Device.Cellular.Interface.", "Device.Cellular.Interface."),
    ("Device.PPP.Interface.", "Device.PPP.Interface."),
    ("Device.WiFi.Radio.", "Device.WiFi.Radio.*.Stats.Noise"),
    ("Device.WiFi.AccessPoint.", "Device.WiFi.AccessPoint.*.AssociatedDeviceNumberOfEntries"),
    ("Device.WiFi.AccessPoint.", "Device.WiFi.AccessPoint.*.AssociatedDevice.*.SignalStrength"),
)
OBJECTS = (*dict.fromkeys(path for path, _ in (*WATCHED, *REPORTED) if path != INFO), "Device.BulkData.")
Rows = dict[str, dict[str, str]]
Ask = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """The agent does not do what provisioning needs; the text says what and with which error code."""


class Provisioned(msgspec.Struct):
    """`parameters`: (full path, value) that were read; `added`: how many rows had to be made; `wanting`: what the agent
    refused, in words."""

    parameters: list[tuple[str, str]]
    added: int = 0
    wanting: list[str] = []


async def provision(ask: Ask, settings: UspSettings, bulk_topic: str) -> Provisioned:
    """Raises Refusal, and whatever `ask` raises when the agent does not answer."""
    await ask(calls.supported_protocol())
    supported = _supported(await ask(calls.supported_dm(OBJECTS)))
    there = {path for path, _ in (*WATCHED, *REPORTED) if path == INFO or path in supported}
    bulk = settings.bulk_s > 0 and "Device.BulkData." in supported
    answer = await ask(calls.get([CONTROLLERS, SUBSCRIPTIONS, *([PROFILES] if bulk else [])]))
    rows = read_rows(answer)
    done = Provisioned([])
    await _periodic(ask, settings, rows)
    await _subscribe(ask, rows, there, done, bulk=bulk)
    if bulk:
        await _profile(ask, settings, rows, there, done, bulk_topic)
    answer = await ask(calls.get([INFO, *sorted({path for path in there if path != INFO and "WiFi" not in path})]))
    done.parameters = [
        (path + name, value) for path, values in read_rows(answer).items() for name, value in values.items()
    ]
    return done


def read_rows(answer: Response) -> Rows:
    """resolved path -> its parameters. Paths that the agent does not know are left out."""
    rows: Rows = {}
    for requested in answer.get_resp.req_path_results if answer.get_resp else ():
        for resolved in requested.resolved_path_results:
            rows.setdefault(resolved.resolved_path, {}).update(resolved.result_params)
    return rows


def _supported(answer: Response) -> set[str]:
    results = answer.get_supported_dm_resp.req_obj_results if answer.get_supported_dm_resp else []
    return {one.req_obj_path for one in results if not one.err_code and one.supported_objs}


async def _periodic(ask: Ask, settings: UspSettings, rows: Rows) -> None:
    """Our own row among the agent's controllers says how often it reports."""
    for path, values in rows.items():
        if path.startswith(CONTROLLERS) and values.get("EndpointID") == settings.endpoint_id:
            if values.get("PeriodicNotifInterval") != str(settings.periodic_s):
                answer = await ask(calls.set_([(path, {"PeriodicNotifInterval": str(settings.periodic_s)})]))
                for result in answer.set_resp.updated_obj_results if answer.set_resp else ():
                    failure = result.oper_status.oper_failure if result.oper_status else None
                    if failure is not None:
                        raise Refusal(f"PeriodicNotifInterval: {failure.err_code} {clean(failure.err_msg)}")
            return
    raise Refusal(f"the agent has no controller {settings.endpoint_id}: enter it in its {CONTROLLERS}")


def wanted_subscriptions(there: set[str], *, bulk: bool) -> dict[str, dict[str, str]]:
    """ID -> the row. One for each kind of notification; values are watched by a list of paths."""
    events = {
        "boot": "Device.Boot!",
        "periodic": "Device.LocalAgent.Periodic!",
        "transfer": "Device.LocalAgent.TransferComplete!",
    }
    if bulk:
        events["push"] = f"{PROFILES}*.Push!"
    rows = {f"{NAME}-{name}": {"NotifType": "Event", "ReferenceList": path} for name, path in events.items()}
    watched = ",".join(path for needed, path in WATCHED if needed in there)
    rows[f"{NAME}-values"] = {"NotifType": "ValueChange", "ReferenceList": watched}
    rows[f"{NAME}-done"] = {"NotifType": "OperationComplete", "ReferenceList": "Device."}
    for name, row in rows.items():
        retry = "true" if name == f"{NAME}-boot" else "false"
        row |= {"ID": name, "Enable": "true", "Persistent": "true", "NotifRetry": retry}
    return rows


async def _subscribe(ask: Ask, rows: Rows, there: set[str], done: Provisioned, *, bulk: bool) -> None:
    wanted = wanted_subscriptions(there, bulk=bulk)
    stale = []
    for path, values in rows.items():
        name = values.get("ID", "")
        if not path.startswith(SUBSCRIPTIONS) or name not in wanted:
            continue
        if _same(values, wanted[name]):
            del wanted[name]
        else:
            stale.append(path)
    if stale:
        await ask(calls.delete(stale))
    await _add(ask, [(SUBSCRIPTIONS, row) for row in wanted.values()], done)


def _same(values: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(
        values.get(key) in (value, "1" if value == "true" else "0" if value == "false" else value)
        for key, value in wanted.items()
        if key != "NotifRetry"
    )


async def _profile(
    ask: Ask, settings: UspSettings, rows: Rows, there: set[str], done: Provisioned, bulk_topic: str
) -> None:
    """One bulk profile, known by its alias, which says what it was made from: another setting makes another."""
    alias = f"{NAME}-{settings.bulk}-{settings.bulk_s}"
    ours = {p: v for p, v in rows.items() if p.startswith(PROFILES) and v.get("Alias", "").startswith(f"{NAME}-")}
    if any(v["Alias"] == alias and v.get("Enable") in ("true", "1") for v in ours.values()):
        return
    if ours:
        await ask(calls.delete(sorted(ours)))
    row = {
        "Alias": alias,
        "Protocol": "MQTT" if settings.bulk == "mqtt" else "USPEventNotif",
        "EncodingType": "JSON",
        "ReportingInterval": str(settings.bulk_s),
    }
    made = await _add(ask, [(PROFILES, row)], done)
    if not made:
        return
    path = made[0]
    reported = [(f"{path}Parameter.", {"Reference": ref}) for needed, ref in REPORTED if needed in there]
    await _add(ask, reported, done)
    encoding = {"ReportFormat": "NameValuePair", "ReportTimestamp": "Unix-Epoch"}
    objects: list[tuple[str, Mapping[str, str]]] = [(f"{path}JSONEncoding.", encoding)]
    if settings.bulk == "mqtt":
        objects.append(
            (f"{path}MQTT.", {"Reference": "Device.MQTT.Client.1", "PublishTopic": bulk_topic, "PublishQoS": "1"})
        )
    await ask(calls.set_(objects, allow_partial=True))
    await ask(calls.set_([(path, {"Enable": "true"})]))


async def _add(ask: Ask, objects: Sequence[tuple[str, Mapping[str, str]]], done: Provisioned) -> list[str]:
    """The paths of the rows that were made."""
    if not objects:
        return []
    answer = await ask(calls.add(objects, allow_partial=True))
    made = []
    for result in answer.add_resp.created_obj_results if answer.add_resp else ():
        status = result.oper_status
        if status is not None and status.oper_success is not None:
            made.append(status.oper_success.instantiated_path)
            wrong = [f"{e.param}: {e.err_code} {e.err_msg}" for e in status.oper_success.param_errs]
        elif status is not None and status.oper_failure is not None:
            wrong = [f"{status.oper_failure.err_code} {status.oper_failure.err_msg}"]
        else:
            wrong = ["an answer without a status"]
        done.wanting += [f"{result.requested_path} {text}" for text in wrong]
    done.added += len(made)
    return made
