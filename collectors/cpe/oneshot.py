"""A connection to the broker for the command line: asks routers, waits for what follows, and listens.

It has a client id and a reply topic of its own, so that the daemon goes on undisturbed. A router is first asked for its
protocol in both ways (MQTT 5, and 3.1.1 with the reply topic in the topic); what is to be done once goes the way that
was answered.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiomqtt
import msgspec

from collectors.cpe.asking import AgentSilent, Asking
from collectors.cpe.connection import AckingClient, tls_context
from collectors.cpe.frames import Inbound
from collectors.cpe.settings import CpeSettings
from collectors.cpe.topics import answers, parse_within, request_topics
from collectors.cpe.usp import calls
from collectors.cpe.usp.messages import Msg, Request, Response
from collectors.cpe.usp.notices import Notify
from collectors.cpe.usp.wire import Malformed
from collectors.dns.lookup import resolve_host
from monitor.secret import read_secret


class Agent(NamedTuple):
    """A router as the inventory knows it; `endpoint` "" when it does not name one."""

    line_id: str
    serial: str
    endpoint: str


class Unreachable(Exception):
    """The broker does not take us; the text says which and why."""


class OneShot:
    def __init__(self, settings: CpeSettings) -> None:
        """Raises ValueError, naming the setting, when one is wrong."""
        name = f"faultline-cli-{secrets.token_hex(4)}"
        changed: dict[str, object] = {"client_id": name, "session_expiry_s": 0, "share": ""}
        if settings.command_cert_file:
            changed |= {"cert_file": settings.command_cert_file, "key_file": settings.command_key_file}
        self.settings: CpeSettings = msgspec.structs.replace(settings, **changed)
        self._password = read_secret(settings, "password", "cpe")
        self._tls = tls_context(self.settings)
        self._asking = Asking(settings.usp.endpoint_id)
        self._client: AckingClient | None = None
        self._legacy: dict[str, bool] = {}
        self._endpoints: dict[str, str] = {}
        self.expected: dict[str, str] = {}  # serial -> endpoint, of those that were asked
        self.listeners: list[Callable[[Inbound], None]] = []
        self.notified: list[Callable[[str, Notify], None]] = []

    @asynccontextmanager
    async def connected(self, topics: list[str]) -> "AsyncIterator[OneShot]":
        """`topics`: what to read beside the answers to our own questions. Raises Unreachable."""
        settings = self.settings
        where = f"{settings.host}:{settings.port}"
        try:
            addresses = [settings.host] if self._tls else await resolve_host(settings.host, settings.timeout_s)
            self._client = AckingClient(
                settings, addresses[0], self._password, self._tls, lambda _: None, self._arrived, clean=True
            )
            await self._client.open([answers(settings, settings.client_id), *topics])
        except (aiomqtt.MqttError, OSError, IndexError) as error:
            raise Unreachable(f"the broker {where}: {str(error).strip() or type(error).__name__}") from None
        try:
            yield self
        finally:
            await self._client.leave()

    async def find(self, agent: Agent, patience_s: float) -> str:
        """How the router speaks, and its endpoint id. Raises AgentSilent."""
        await self._send(agent, calls.supported_protocol(), patience_s, both=True)
        return self._endpoints.get(agent.serial, agent.endpoint)

    async def ask(self, agent: Agent, request: Request, patience_s: float) -> Response:
        """Raises AgentSilent, AgentError, Malformed."""
        if agent.serial not in self._legacy:
            await self.find(agent, patience_s)
        return await self._send(agent, request, patience_s)

    async def look(self, agent: Agent, request: Request, patience_s: float) -> Response:
        """As `ask`, in one go: for what may reach the router twice."""
        return await self._send(agent, request, patience_s, both=True)

    async def _send(self, agent: Agent, request: Request, patience_s: float, *, both: bool = False) -> Response:
        assert self._client is not None
        endpoint = self._endpoints.get(agent.serial) or agent.endpoint
        if not endpoint:
            raise AgentSilent("its endpoint id is not known: put it into cpe_endpoint of the inventory")
        self.expected[agent.serial] = agent.endpoint
        msg_id, record, future = self._asking.begin(agent.serial, endpoint, request)
        for legacy in (False, True) if both else (self._legacy.get(agent.serial, False),):
            topic, reply = request_topics(self.settings, self.settings.client_id, agent.serial, legacy=legacy)
            self._client.send(topic, record, reply)
        return await self._asking.wait(msg_id, future, patience_s)

    def _arrived(self, message: Inbound) -> None:
        assert self._client is not None
        self._client.acknowledge(message.mid, message.qos)
        for listener in self.listeners:
            listener(message)
        prefix = self.settings.usp.controller_topic + "/"
        if not message.topic.startswith(prefix):
            return
        serial, _, rest = message.topic[len(prefix) :].partition("/")
        within = parse_within(rest)
        if within is None:
            return
        try:
            record, msg = calls.open_record(message.payload)
        except Malformed:
            return
        if msg is None or msg.body is None or record.to_id != self.settings.usp.endpoint_id:
            return
        if msg.body.request is not None:
            if msg.body.request.notify is not None:
                for notified in self.notified:
                    notified(serial, msg.body.request.notify)
            return
        if calls.belongs(record.from_id, serial, self.expected.get(serial, "")):
            self._answered(serial, record.from_id, within.legacy, msg)

    def _answered(self, serial: str, endpoint: str, legacy: bool, msg: Msg) -> None:
        self._legacy.setdefault(serial, legacy)
        self._endpoints.setdefault(serial, endpoint)
        self._asking.answered(serial, msg)

    async def lost(self) -> None:
        """Returns, by raising Unreachable, when the connection is gone."""
        assert self._client is not None
        try:
            await self._client.lost()
        except (aiomqtt.MqttError, OSError) as error:
            raise Unreachable(f"the connection to the broker was lost: {error}") from None
