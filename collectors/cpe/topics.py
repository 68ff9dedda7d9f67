"""The topics of USP: one pair for each router, and how an answer finds the one who asked.

A router publishes to `CONTROLLER/SERIAL`. Who asks gives `CONTROLLER/SERIAL/r/NAME` as reply topic, so that an answer
comes to the collector (or command line) that asked, also where several share the rest. On MQTT 3.1.1 the reply topic
stands in the topic itself: `.../reply-to=` with "/" as %2F. Source: TR-369, MQTT binding (R-MQTT).
"""

import hashlib
import re
from typing import NamedTuple
from urllib.parse import unquote

from collectors.cpe.settings import CpeSettings

REPLY_TO = "reply-to="


class Within(NamedTuple):
    """What stands behind the serial. `name`: whose answer it is, "" for a notification; `reply_topic`: MQTT 3.1.1."""

    name: str
    reply_topic: str
    legacy: bool


def reply_name(client_id: str) -> str:
    """The client id where it can stand in a topic, else a digest of it."""
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", client_id):
        return client_id
    return hashlib.blake2b(client_id.encode(), digest_size=8).hexdigest()


def parse_within(rest: str) -> Within | None:
    """None when it is nothing that we asked for."""
    levels = rest.split("/") if rest else []
    reply, legacy = "", False
    if levels and levels[-1].startswith(REPLY_TO):
        reply, legacy = unquote(levels.pop()[len(REPLY_TO) :]), True
    if not levels:
        return Within("", reply, legacy)
    if len(levels) == 2 and levels[0] == "r":
        return Within(levels[1], reply, legacy)
    return None


def subscriptions(settings: CpeSettings) -> list[str]:
    """What a collector reads; with `share`, everything but the answers to its own questions is shared."""
    topics = [f"{settings.prefix}/+/availability", f"{settings.prefix}/+/telemetry/#"]
    if settings.collectd_prefix:
        topics.append(f"{settings.collectd_prefix}/+/+/+")
    if settings.usp.enabled:
        topics += [f"{settings.usp.controller_topic}/+", f"{settings.usp.controller_topic}/+/+"]
    if settings.share:
        topics = [f"$share/{settings.share}/{topic}" for topic in topics]
    if settings.usp.enabled:
        topics.append(answers(settings, settings.client_id))
    return topics


def answers(settings: CpeSettings, client_id: str) -> str:
    return f"{settings.usp.controller_topic}/+/r/{reply_name(client_id)}/#"


def request_topics(
    settings: CpeSettings, client_id: str, serial: str, *, legacy: bool, agent: str = ""
) -> tuple[str, str]:
    """(topic to publish a request to, reply topic). `agent`: the router's own topic when it is not the usual one."""
    reply = f"{settings.usp.controller_topic}/{serial}/r/{reply_name(client_id)}"
    topic = agent or f"{settings.usp.agent_topic}/{serial}"
    if legacy:
        topic += f"/{REPLY_TO}" + reply.replace("%", "%25").replace("/", "%2F")
    return topic, reply


def agent_topic(settings: CpeSettings, serial: str, told: str) -> str | None:
    """The topic a router wants to be reached at: "" for the usual one, None when it is not its own to name."""
    usual = f"{settings.usp.agent_topic}/{serial}"
    if told in ("", usual):
        return ""
    if not told.startswith(f"{usual}/") or any(c in told for c in "+#\0") or len(told) > 1024:
        return None
    return told
