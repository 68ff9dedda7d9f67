"""The USP controller in the daemon: hears agents, sets them up, and notices when one falls silent.

In: records on `CONTROLLER/SERIAL[/r/NAME]`, a topic for each router; one whose `from_id` is not that router's, or one
that is not for us, is refused and counted. Out: events and reports through the same way as all telemetry, and requests
to agents. Setting up happens on first contact, on each new connection and after a factory reset; at most `at_once` at a
time, the others wait in order.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

from collectors.base import CollectorContext
from collectors.cpe.asking import AgentError, AgentSilent, Asking
from collectors.cpe.handover import Handover
from collectors.cpe.normal import Refused, Report
from collectors.cpe.notices import read_notify
from collectors.cpe.presence import Presence
from collectors.cpe.provision import INFO, Provisioned, Refusal, provision, read_rows
from collectors.cpe.reports import Arrival, Reports, make_event
from collectors.cpe.settings import CpeSettings
from collectors.cpe.topics import agent_topic, parse_within, reply_name, request_topics
from collectors.cpe.tr181 import read_parameters
from collectors.cpe.usp import calls
from collectors.cpe.usp.messages import Msg, Request, Response
from collectors.cpe.usp.wire import Malformed
from monitor.records import EventKind

SWEEP_S = 1.0
MAX_DUE = 1_000_000
INVITATION = "invitation"
LOOKED_AT = 2000  # rows of the inventory in one go
RETRY_S = 30.0  # a router that could not be set up is tried again when it is heard after this time
# One who is silent costs one message and a wait. If few were asked at a time, a power cut would take hours to be seen.
CHECKS = 50  # times `at_once`, and
CHECKS_PER_SWEEP = 500


class Controller:
    """Runs on the event loop. `send(topic, payload, reply_topic)` publishes, or does nothing when not connected."""

    def __init__(
        self,
        settings: CpeSettings,
        context: CollectorContext,
        handover: Handover,
        reports: Reports,
        now_s: Callable[[], float],
        send: Callable[[str, bytes, str], None],
    ) -> None:
        self._settings, self._usp = settings, settings.usp
        self._context = context
        self._handover = handover
        self._reports = reports
        self._now_s = now_s
        self._send = send
        self._name = reply_name(settings.client_id)
        self.asking = Asking(settings.usp.endpoint_id)
        self._inventory = handover.inventory
        self._presence = self._fresh_presence()
        self._endpoints: dict[int, str] = {}  # of lines whose endpoint the inventory does not name
        self._topics: dict[int, str] = {}  # of routers that are reached elsewhere than usual
        self._due: dict[int, str] = {}  # line -> why: "provision" or "read"; in order
        self._retry: dict[int, float] = {}
        self._refusing: dict[int, str] = {}  # routers that are there and cannot be set up: their serials
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._checking: set[int] = set()  # those of them that ask who is silent
        self._swept_s = now_s()
        self._online = False
        self._invited = 0  # the inventory's rows before this one have been invited
        self._invited_s = now_s()
        metrics = context.metrics
        self._records = metrics.counter("cpe_usp_records_total", "USP records and notifications, by kind", ["kind"])
        self._failed = metrics.counter("cpe_usp_failed_total", "requests to routers that failed, by reason", ["reason"])
        self._done = metrics.counter("cpe_usp_provisioned_total", "routers that were set up, or found set up")
        self._waiting = metrics.gauge("cpe_usp_waiting", "routers that wait to be set up or asked")

    # -- the connection -------------------------------------------------------------------------------------------

    def connected(self, session_present: bool = False) -> None:
        self._online = True
        if not session_present:
            self._invited = 0  # what was said before was kept for nobody
        self._presence.excuse(self._now_s())

    def disconnected(self) -> None:
        self._online = False
        self.asking.give_up("the connection to the broker was lost")

    def new_inventory(self) -> None:
        """Lines have moved; what is under way is begun again when the router is heard next."""
        old, self._inventory = self._inventory, self._handover.inventory
        for task in self._tasks.values():
            task.cancel()
        rows = old.remap(self._inventory)
        self._invited = 0
        presence, self._presence = self._presence, self._fresh_presence()
        presence.moved(rows, self._presence)
        for line in self._tasks:
            if rows[line] >= 0:
                self._presence.provisioned[rows[line]] = False
        self._tasks, self._checking = {}, set()
        for line in [line for line in self._refusing if rows[line] < 0]:
            self._agrees(line)
        for name in ("_endpoints", "_topics", "_due", "_retry", "_refusing"):
            table: dict[int, Any] = getattr(self, name)
            setattr(self, name, {int(rows[line]): value for line, value in table.items() if rows[line] >= 0})

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what agents say ------------------------------------------------------------------------------------------

    def arrived(self, arrival: Arrival, rest: str, allow: Callable[[], bool]) -> None:
        """One message on a router's topic. Raises Refused."""
        within = parse_within(rest)
        if within is None or within.name not in ("", self._name):
            raise Refused("bad_topic")
        if arrival.retained:
            raise Refused("undated")  # records are not for keeping (R-MQTT): nobody knows when it was said
        # Whoever owes us an answer may give it, however much it has said.
        owes = self.asking.awaits(arrival.serial)
        if not owes and not allow():
            return
        try:
            record, msg = calls.open_record(arrival.message.payload)
        except Malformed:
            raise Refused("not_usp") from None
        if record.to_id != self._usp.endpoint_id:
            raise Refused("other_controller")
        if not calls.belongs(record.from_id, arrival.serial, self._inventory_endpoint(arrival.line)):
            raise Refused("false_from_id")
        if msg is not None and (msg.body is None or msg.body.request is None):
            self._heard(arrival, record.from_id, within.legacy, within.reply_topic or arrival.message.response_topic)
            if msg.header is not None and msg.header.msg_id == INVITATION:
                return
            if not self.asking.answered(arrival.serial, msg):
                raise Refused("unasked_answer")
            return
        if owes and not allow():
            return
        if record.disconnect is not None:
            self._records.labels("disconnect").inc()
            if self._presence.gone(arrival.line):
                self._tell(arrival, "cpe_offline", "disconnect")
            return
        told = record.mqtt_connect.subscribed_topic if record.mqtt_connect is not None else ""
        self._heard(
            arrival, record.from_id, within.legacy, told or within.reply_topic or arrival.message.response_topic
        )
        if msg is None:
            self._records.labels("connect").inc()
            if record.mqtt_connect is not None:
                self._presence.legacy[arrival.line] = record.mqtt_connect.version == 0
                # It may come from a factory reset, which tells nobody: the subscription to Boot! is gone with it.
                self._want(arrival.line, "provision")
            return
        self._notify(arrival, record.from_id, msg)

    def _heard(self, arrival: Arrival, endpoint: str, legacy: bool, told: str) -> None:
        line = arrival.line
        first = not self._presence.knows(line)
        was_offline = self._presence.heard(line, self._now_s())
        if first and not self._inventory_endpoint(line):
            self._endpoints[line] = endpoint
        if legacy:
            self._presence.legacy[line] = True
        topic = agent_topic(self._settings, arrival.serial, told)
        if topic is None:
            self._handover.drop("false_reply_topic")
        elif topic:
            self._topics[line] = topic
        if was_offline or (first and not arrival.old):
            self._tell(arrival, "cpe_online", "")
        waits = line in self._tasks or self._retry.get(line, 0.0) > self._now_s()
        if not self._presence.provisioned[line] and not waits:
            self._want(line, "provision")

    def _notify(self, arrival: Arrival, endpoint: str, msg: Msg) -> None:
        assert msg.body is not None
        assert msg.header is not None
        notify = msg.body.request.notify if msg.body.request is not None else None
        if notify is None:
            raise Refused("not_for_controllers")
        if notify.send_resp:
            self._publish(
                arrival.line,
                calls.pack_notify_resp(msg.header.msg_id, notify.subscription_id, endpoint, self._usp.endpoint_id),
            )
        notice = read_notify(notify)
        self._records.labels(notice.kind).inc()
        for kind, value in notice.events:
            self._reports.say(arrival, kind, value, arrival.now_ns, dated=False)
        for report in notice.reports:
            self._reports.take(arrival, report)
        if notice.provision:
            self._want(arrival.line, "provision")
        elif notice.read:
            self._want(arrival.line, "read")

    def _tell(self, arrival: Arrival, kind: EventKind, value: str) -> None:
        self._handover.event(make_event(arrival, kind, value, arrival.now_ns, dated=False), arrival.ticket)

    # -- what agents are asked ------------------------------------------------------------------------------------

    async def ask(self, line: int, request: Request) -> Response:
        """Raises AgentSilent, AgentError, Malformed (a text that cannot be sent)."""
        serial = self._inventory.texts["cpe_serial"][line]
        endpoint = self._inventory_endpoint(line) or self._endpoints.get(line, "")
        msg_id, record, future = self.asking.begin(serial, endpoint, request)
        self._publish(line, record)
        return await self.asking.wait(msg_id, future, self._usp.answer_s)

    def _publish(self, line: int, record: bytes) -> None:
        serial = self._inventory.texts["cpe_serial"][line]
        topic, reply = request_topics(
            self._settings,
            self._settings.client_id,
            serial,
            legacy=bool(self._presence.legacy[line]),
            agent=self._topics.get(line, ""),
        )
        self._send(topic, record, reply)

    def _want(self, line: int, why: str) -> None:
        if line in self._tasks and why != "provision":
            return
        if self._due.get(line) == "provision" or len(self._due) >= MAX_DUE:
            return
        if why == "provision":
            self._presence.provisioned[line] = False
        self._due[line] = why

    def tick(self) -> None:
        """Begin what is due; find who is silent. Call several times a second."""
        now_s = self._now_s()
        if not self._online:
            return
        if now_s - self._swept_s >= SWEEP_S:
            self._swept_s = now_s
            room = self._usp.at_once * CHECKS - len(self._checking)
            for line in self._presence.overdue(now_s, min(max(room, 0), CHECKS_PER_SWEEP)).tolist():
                if line in self._tasks or line in self._due:
                    self._presence.ask_again(line)  # it is asked for something else
                else:
                    self._checking.add(line)
                    self._begin(line, "silent")
        free = self._usp.at_once - (len(self._tasks) - len(self._checking))
        # Not a copy of all that are due: after a start that may be every router.
        ready = (line for line in self._due if line not in self._tasks)
        for line in list(islice(ready, free)) if free > 0 and self._due else ():
            self._begin(line, self._due.pop(line))
        self._waiting.set(len(self._due))
        if self._usp.invite_per_s:
            self._invite(now_s)

    def _begin(self, line: int, why: str) -> None:
        task = self._tasks[line] = asyncio.create_task(self._work(line, why))
        task.add_done_callback(lambda done: self._ended(line, done))

    def _invite(self, now_s: float) -> None:
        """Ask routers that were never heard for their protocol: one that was set up before we came has no reason to
        speak. How it speaks MQTT is not known, so it is asked in both ways; the answer counts as first contact."""
        most = int((now_s - self._invited_s) * self._usp.invite_per_s)
        if most < 1 or self._invited >= len(self._inventory):
            return
        self._invited_s = now_s
        end = min(self._invited + LOOKED_AT, len(self._inventory))
        for line in range(self._invited, end):
            self._invited = line + 1
            endpoint, serial = self._inventory_endpoint(line), self._inventory.texts["cpe_serial"][line]
            if not endpoint or not serial or self._presence.knows(line):
                continue
            record = calls.pack_request(calls.supported_protocol(), INVITATION, endpoint, self._usp.endpoint_id)
            for legacy in (False, True):
                topic, reply = request_topics(self._settings, self._settings.client_id, serial, legacy=legacy)
                self._send(topic, record, reply)
            most -= 1
            if most < 1:
                return

    @property
    def busy(self) -> bool:
        return bool(self._due or self._tasks)

    def _ended(self, line: int, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(line) is task:
            del self._tasks[line]
            self._checking.discard(line)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.labels("internal_error").inc()
            text = f"a router could not be asked: {type(error).__name__}: {error}; please report this"
            self._context.metrics.troubles.begin("cpe_usp_internal", text, self._context.clock.now_ns())

    async def _work(self, line: int, why: str) -> None:
        try:
            if why == "provision":
                await self._provision(line)
            else:
                answer = await self.ask(line, calls.get([INFO]))
                self._take(line, [(p + n, v) for p, row in read_rows(answer).items() for n, v in row.items()])
                if why == "silent":
                    # It lives and has not reported: a factory reset may have taken its subscriptions.
                    self._want(line, "provision")
        except AgentSilent:
            self._agrees(line)
            self._failed.labels("silent").inc()
            self._retry[line] = self._now_s() + RETRY_S
            if why == "silent" and self._online:
                self._offline(line)
        except (AgentError, Refusal, Malformed) as error:
            self._failed.labels("refused").inc()
            self._retry[line] = self._now_s() + RETRY_S
            serial = self._refusing[line] = self._inventory.texts["cpe_serial"][line]
            text = f"router {serial} cannot be set up: {error}"
            self._context.metrics.troubles.begin("cpe_usp", text, self._context.clock.now_ns())

    def _agrees(self, line: int) -> None:
        """The router refuses no more, or is gone; with the last of them the trouble ends."""
        if self._refusing.pop(line, None) is not None and not self._refusing:
            self._context.metrics.troubles.end("cpe_usp", self._context.clock.now_ns())

    async def _provision(self, line: int) -> None:
        serial = self._inventory.texts["cpe_serial"][line]
        topic = f"{self._settings.prefix}/{serial}/telemetry/bulk"
        done: Provisioned = await provision(lambda request: self.ask(line, request), self._usp, topic)
        self._presence.provisioned[line] = True
        self._retry.pop(line, None)
        self._agrees(line)
        self._done.inc()
        if done.wanting:
            self._failed.labels("wanting").inc(len(done.wanting))
        self._take(line, done.parameters)

    def _take(self, line: int, parameters: list[tuple[str, str]]) -> None:
        """Values that we asked for are as fresh as their answer."""
        report = Report.empty()
        read_parameters(parameters, report)
        self._reports.take(self._arrival(line), report)

    def _offline(self, line: int) -> None:
        if self._presence.gone(line):
            arrival = self._arrival(line)
            self._records.labels("missed").inc()
            self._handover.event(make_event(arrival, "cpe_offline", "missed", arrival.now_ns, dated=False), None)

    def _arrival(self, line: int) -> Arrival:
        """As if the router had said it now, by itself."""
        serial = self._inventory.texts["cpe_serial"][line]
        return Arrival.asked(line, self._inventory.line_id(line), serial, self._context.clock.now_ns())

    def _inventory_endpoint(self, line: int) -> str:
        return self._inventory.texts["cpe_endpoint"][line]

    def _fresh_presence(self) -> Presence:
        return Presence(len(self._inventory), self._usp.periodic_s * self._usp.missed)
