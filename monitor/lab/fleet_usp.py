"""The USP side of the fleet: one agent behind each router's session, its topics, and when it speaks by itself.

An agent publishes to `usp/controller/faultline/SERIAL` and listens at `usp/agent/SERIAL/#`; on MQTT 3.1.1 the topic for
answers stands in the topic (`/reply-to=`). It has no last will: one that dies says nothing.
"""

import asyncio
import random
import time
from collections.abc import Callable
from urllib.parse import unquote

from monitor.lab.fleet_router import Simulated
from monitor.lab.mqtt import Session
from monitor.lab.usp.agent import Agent

CONTROLLER_TOPIC, AGENT_TOPIC = "usp/controller/faultline", "usp/agent"
TICK_S = 1.0
POLL_S = 15.0  # as the reference agent looks for changed values


class UspSide:
    """`act(router, command, key)`: what a command does to the router. `published` counts messages."""

    def __init__(
        self, controller: str, chance: random.Random, act: Callable[[Simulated, str, str], None], keepalive_s: int
    ) -> None:
        self._controller = controller
        self._random = chance
        self._act = act
        self._keepalive_s = keepalive_s
        self.published = 0

    def session(
        self, router: Simulated, on_up: Callable[[Session], None], on_lost: Callable[[Session], None]
    ) -> Session:
        if router.agent is None:
            router.agent = Agent(
                router.endpoint,
                self._controller,
                lambda: router.parameters(self._random),
                lambda record: self._publish(router, record),
                lambda command, key: self._act(router, command, key),
            )
        topic = f"{AGENT_TOPIC}/{router.serial}"
        return Session(
            f"usp-{router.serial}",
            self._keepalive_s,
            None,
            on_up,
            on_lost,
            v5=router.v5,
            endpoint=router.endpoint,
            subscribe=f"{topic}/#",
            on_message=lambda to, payload, reply: self._received(router, to, payload, reply),
        )

    def up(self, router: Simulated, session: Session, boot: tuple[str, str, bool] | None) -> None:
        """Say that it is connected, that it has booted, and go on reporting while this session lives."""
        agent = router.agent
        assert agent is not None
        self._publish(router, agent.connect_record(f"{AGENT_TOPIC}/{router.serial}", router.v5))
        if boot is not None:
            agent.boot(*boot)
        now = time.monotonic()
        self._tick(router, session, {"periodic": now, "bulk": now, "poll": now})

    def poll(self, router: Simulated) -> None:
        if router.agent is not None and not router.hanging:
            router.agent.poll()

    def _tick(self, router: Simulated, session: Session, last: dict[str, float]) -> None:
        agent = router.agent
        if router.session is not session or not session.up or agent is None:
            return
        now = time.monotonic()
        if not router.hanging:
            if now - last["periodic"] >= agent.interval_s():
                last["periodic"] = now
                agent.periodic()
            interval_s = agent.bulk_interval_s()
            if interval_s is not None and now - last["bulk"] >= interval_s:
                last["bulk"] = now
                router.count_errors(self._random)
                for topic, payload in agent.bulk(time.time()):
                    session.publish(topic, payload, sure=True)
                    self.published += 1
            if now - last["poll"] >= POLL_S:
                last["poll"] = now
                agent.poll()
        if now - last.get("ping", 0.0) >= self._keepalive_s / 2:
            last["ping"] = now
            session.ping()
        asyncio.get_running_loop().call_later(
            TICK_S * self._random.uniform(0.9, 1.1), self._tick, router, session, last
        )

    def _received(self, router: Simulated, topic: str, payload: bytes, reply: str) -> None:
        agent = router.agent
        if agent is None or router.hanging:
            return
        last = topic.rpartition("/")[2]
        if last.startswith("reply-to="):
            reply = unquote(last.removeprefix("reply-to="))
        try:
            answer = agent.received(payload)
        except ValueError:
            return  # no record: an agent passes over it
        if answer is not None:
            self._publish(router, answer, reply)
            agent.answered()

    def _publish(self, router: Simulated, record: bytes, to: str = "") -> None:
        if router.session is None:
            return
        topic, own = to or f"{CONTROLLER_TOPIC}/{router.serial}", f"{AGENT_TOPIC}/{router.serial}"
        if not router.v5:
            topic += "/reply-to=" + own.replace("/", "%2F")
        router.session.publish(topic, record, sure=True, reply_topic=own if router.v5 else "")
        self.published += 1
