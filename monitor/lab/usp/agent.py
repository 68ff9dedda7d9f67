"""A simulated USP agent: answers records, and notifies by its subscriptions. No broker, no time of its own.

In: the bytes of a record. Out: the bytes to send, through `send(payload)` for notifications and as the return value for
answers. The owner tells it of time (`periodic`, `bulk`, `poll`) and of what happens to the router (`boot`).
"""

import json
from collections.abc import Callable

from monitor.lab.usp import protobuf as pb
from monitor.lab.usp.model import BAD_PATH, Model, Wrong, matcher

VERSION = "1.3"
SUBSCRIPTION, PROFILE = "Device.LocalAgent.Subscription.", "Device.BulkData.Profile."
GET, SET, ADD, DELETE, OPERATE = 1, 4, 8, 10, 6
COMMANDS = ("Device.Reboot()", "Device.FactoryReset()", "Device.IP.Diagnostics.IPPing()")


class Agent:
    """`act(command, key)` is called for Device.Reboot() and Device.FactoryReset(), after their answer has been sent."""

    def __init__(
        self,
        endpoint: str,
        controller: str,
        device: Callable[[], dict[str, str]],
        send: Callable[[bytes], None],
        act: Callable[[str, str], None],
    ) -> None:
        self.endpoint = endpoint
        self.controller = controller
        self.model = Model(device, controller)
        self._send = send
        self._act = act
        self._count = 0
        self._watched: dict[str, str] = {}

    # -- records --------------------------------------------------------------------------------------------------

    def record(self, part: bytes) -> bytes:
        return pb.text(1, VERSION) + pb.text(2, self.controller) + pb.text(3, self.endpoint) + part

    def connect_record(self, topic: str, v5: bool) -> bytes:
        return self.record(pb.block(10, pb.number(1, int(v5)) + pb.text(2, topic)))

    def _message(self, msg_id: str, kind: int, body: bytes) -> bytes:
        message = pb.block(1, pb.text(1, msg_id) + pb.number(2, kind)) + pb.block(2, body)
        return self.record(pb.block(7, pb.block(2, message)))

    def received(self, data: bytes) -> bytes | None:
        """The answer to a record of the controller; None when there is none to give."""
        record = pb.fields(data)
        if pb.word(record, 2) != self.endpoint or pb.word(record, 3) != self.controller:
            return None
        message = pb.fields(pb.one(pb.fields(pb.one(record, 7)), 2))
        header, body = pb.fields(pb.one(message, 1)), pb.fields(pb.one(message, 2))
        msg_id, kind = pb.word(header, 1), pb.count(header, 2)
        if not pb.one(body, 1):
            return None  # an answer to one of our notifications
        request = pb.fields(pb.one(body, 1))
        handlers = {GET: self._get, SET: self._set, ADD: self._add, DELETE: self._delete, OPERATE: self._operate}
        handlers |= {12: self._supported_dm, 17: self._supported_protocol}
        if kind not in handlers:
            return self._error(msg_id, 7001, "not supported")
        number = {GET: 1, SET: 4, ADD: 5, DELETE: 6, OPERATE: 7, 12: 2, 17: 9}[kind]
        try:
            answer = handlers[kind](pb.fields(pb.one(request, number)))
        except Wrong as wrong:
            return self._error(msg_id, wrong.code, str(wrong))
        return self._message(msg_id, kind + 1, pb.block(2, pb.block(number, answer)))

    def _error(self, msg_id: str, code: int, text: str) -> bytes:
        return self._message(msg_id, 0, pb.block(3, pb.fixed(1, code) + pb.text(2, text)))

    # -- requests -------------------------------------------------------------------------------------------------

    def _get(self, request: dict[int, list[pb.Value]]) -> bytes:
        out = b""
        for raw in pb.many(request, 1):
            path = raw.decode()
            result = pb.text(1, path)
            try:
                for resolved, values in self.model.get(path).items():
                    result += pb.block(4, pb.text(1, resolved) + pb.mapping(2, values))
            except Wrong as wrong:
                result += pb.fixed(2, wrong.code) + pb.text(3, str(wrong))
            out += pb.block(1, result)
        return out

    def _set(self, request: dict[int, list[pb.Value]]) -> bytes:
        out, partial = b"", pb.count(request, 1)
        for raw in pb.many(request, 2):
            item = pb.fields(raw)
            path = pb.word(item, 1)
            values = {pb.word(s, 1): pb.word(s, 2) for s in map(pb.fields, pb.many(item, 2))}
            try:
                updated = self.model.set(path, values)
            except Wrong as wrong:
                if not partial:
                    raise
                status = pb.block(1, pb.fixed(1, wrong.code) + pb.text(2, str(wrong)))
            else:
                rows = [pb.text(1, p) + pb.mapping(3, v) for p, v in updated.items()]
                status = pb.block(2, b"".join(pb.block(1, row) for row in rows))
            out += pb.block(1, pb.text(1, path) + pb.block(2, status))
        return out

    def _add(self, request: dict[int, list[pb.Value]]) -> bytes:
        out, partial = b"", pb.count(request, 1)
        for raw in pb.many(request, 2):
            item = pb.fields(raw)
            path = pb.word(item, 1)
            values = {pb.word(s, 1): pb.word(s, 2) for s in map(pb.fields, pb.many(item, 2))}
            try:
                row, refused = self.model.add(path, values)
            except Wrong as wrong:
                if not partial:
                    raise
                status = pb.block(1, pb.fixed(1, wrong.code) + pb.text(2, str(wrong)))
            else:
                errors = [pb.text(1, n) + pb.fixed(2, c) + pb.text(3, t) for n, c, t in refused]
                status = pb.block(2, pb.text(1, row) + b"".join(pb.block(2, error) for error in errors))
            out += pb.block(1, pb.text(1, path) + pb.block(2, status))
        return out

    def _delete(self, request: dict[int, list[pb.Value]]) -> bytes:
        out = b""
        for raw in pb.many(request, 2):
            path = raw.decode()
            try:
                status = pb.block(2, pb.texts(1, self.model.delete(path)))
            except Wrong as wrong:
                if not pb.count(request, 1):
                    raise
                status = pb.block(1, pb.fixed(1, wrong.code) + pb.text(2, str(wrong)))
            out += pb.block(1, pb.text(1, path) + pb.block(2, status))
        return out

    def _operate(self, request: dict[int, list[pb.Value]]) -> bytes:
        command, key = pb.word(request, 1), pb.word(request, 2)
        if command not in COMMANDS:
            raise Wrong(BAD_PATH, f"{command} is not supported")
        if command.endswith("IPPing()"):
            arguments = pb.pairs(request, 4)
            shots = arguments.get("NumberOfRepetitions", "3")
            result = {"Status": "Complete", "IPAddressUsed": arguments.get("Host", ""), "SuccessCount": shots}
            done = pb.text(1, "Device.IP.Diagnostics.") + pb.text(2, "IPPing()") + pb.text(3, key)
            self._later = lambda: self._notify(
                "OperationComplete", command, 7, done + pb.block(4, pb.mapping(1, result))
            )
            return pb.block(1, pb.text(1, command) + pb.block(2, b"Device.LocalAgent.Request.1"))
        self._later = lambda: self._act(command, key)
        return pb.block(1, pb.text(1, command) + pb.block(3, b""))

    _later: Callable[[], None] | None = None

    def answered(self) -> None:
        """The answer has left: now what was asked for happens."""
        later, self._later = self._later, None
        if later is not None:
            later()

    def _supported_dm(self, request: dict[int, list[pb.Value]]) -> bytes:
        out = b""
        for raw in pb.many(request, 1):
            path = raw.decode()
            result = pb.text(1, path)
            try:
                for generic, names in self.model.supported(path).items():
                    shown = pb.text(1, generic) + pb.number(3, int(generic.endswith("{i}.")))
                    shown += b"".join(pb.block(6, pb.text(1, name) + pb.number(3, 8)) for name in names)
                    result += pb.block(5, shown)
            except Wrong as wrong:
                result += pb.fixed(2, wrong.code) + pb.text(3, str(wrong))
            out += pb.block(1, result)
        return out

    def _supported_protocol(self, request: dict[int, list[pb.Value]]) -> bytes:
        return pb.text(1, "1.0,1.1,1.2,1.3")

    # -- notifications --------------------------------------------------------------------------------------------

    def boot(self, cause: str, key: str, updated: bool = False) -> None:
        params = {"CommandKey": key, "Cause": cause, "FirmwareUpdated": str(updated).lower(), "ParameterMap": "{}"}
        self.event("Device.", "Boot!", params)

    def periodic(self) -> None:
        self.event("Device.LocalAgent.", "Periodic!", {})

    def event(self, path: str, name: str, params: dict[str, str]) -> None:
        body = pb.text(1, path) + pb.text(2, name) + pb.mapping(3, params)
        self._notify("Event", path + name, 3, body)

    def interval_s(self) -> float:
        return float(self.model.rows["Device.LocalAgent.Controller.1."]["PeriodicNotifInterval"])

    def bulk_interval_s(self) -> float | None:
        """The shortest of its enabled profiles, None without one."""
        enabled = [row for path, row in self.model.rows.items() if self._is_profile(path) and row["Enable"] == "true"]
        return min((float(row["ReportingInterval"]) for row in enabled), default=None)

    def bulk(self, now_s: float) -> list[tuple[str, bytes]]:
        """Push what the enabled profiles report; returns (topic, payload) of those that report over MQTT."""
        over_mqtt = []
        now = self.model.parameters()
        for path, row in list(self.model.rows.items()):
            if not self._is_profile(path) or row["Enable"] != "true":
                continue
            values: dict[str, object] = {"CollectionTime": int(now_s)}
            for own, parameter in self.model.rows.items():
                if own.startswith(path + "Parameter."):
                    wanted = matcher(parameter["Reference"])
                    values |= {p: _typed(v) for p, v in now.items() if wanted.match(p)}
            report = json.dumps({"Report": [values]})
            if row["Protocol"] == "MQTT":
                over_mqtt.append((row["MQTT.PublishTopic"], report.encode()))
            else:
                self.event(path, "Push!", {"Data": report})
        return over_mqtt

    def poll(self) -> None:
        """Look for values that have changed since the last time, as far as somebody has subscribed to them."""
        lists = [row["ReferenceList"].split(",") for row in self._subscriptions("ValueChange")]
        wanted = [matcher(path) for paths in lists for path in paths if path]
        if not wanted:
            return
        now = {p: v for p, v in self.model.parameters().items() if any(w.match(p) for w in wanted)}
        before, self._watched = self._watched, now
        for path, value in now.items():
            if path in before and before[path] != value:
                self._notify("ValueChange", path, 4, pb.text(1, path) + pb.text(2, value))

    def _notify(self, kind: str, what: str, field: int, body: bytes) -> None:
        for row in self._subscriptions(kind):
            paths = [path for path in row["ReferenceList"].split(",") if path]
            if not any(matcher(path).match(what) for path in paths):
                continue
            self._count += 1
            notify = pb.text(1, row["ID"]) + pb.number(2, int(row["NotifRetry"] == "true")) + pb.block(field, body)
            self._send(self._message(f"{kind}-{self._count}", 3, pb.block(1, pb.block(8, notify))))

    def _subscriptions(self, kind: str) -> list[dict[str, str]]:
        rows = [row for path, row in self.model.rows.items() if path.startswith(SUBSCRIPTION)]
        return [row for row in rows if row["NotifType"] == kind and row["Enable"] == "true"]

    @staticmethod
    def _is_profile(path: str) -> bool:
        return path.startswith(PROFILE) and path.count(".") == 4


def _typed(value: str) -> object:
    try:
        return int(value)
    except ValueError:
        return value
