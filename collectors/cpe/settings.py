"""The configuration of CPE telemetry over MQTT: `[cpe]`."""

from typing import Literal

import msgspec


class UspSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[cpe.usp]`: we are the controller of the routers that speak USP.

    A router publishes to `CONTROLLER_TOPIC/SERIAL` and listens at `AGENT_TOPIC/SERIAL`. `periodic_s`: what it is asked
    to send a Periodic! at; after `missed` of them without a word it is asked, and offline when it does not answer in
    `answer_s`. `bulk_s`: interval of bulk reports (0: none), as "push" (Push! events) or over "mqtt". `at_once`: so
    many routers are provisioned at the same time. `invite_per_s`: after a start, routers whose endpoint the inventory
    names and that were never heard are asked for their protocol at this rate (0: never).
    """

    enabled: bool = False
    endpoint_id: str = "self::faultline"
    controller_topic: str = "usp/controller/faultline"
    agent_topic: str = "usp/agent"
    periodic_s: int = 300
    missed: float = 2.5
    answer_s: float = 10.0
    bulk_s: int = 300
    bulk: Literal["push", "mqtt"] = "push"
    at_once: int = 100
    invite_per_s: int = 100

    def __post_init__(self) -> None:
        if self.endpoint_id.count(":") < 2 or not self.endpoint_id.isprintable() or len(self.endpoint_id) > 255:
            raise ValueError(f"cpe.usp.endpoint_id is {self.endpoint_id!r}: give scheme:authority:instance")
        for name in ("controller_topic", "agent_topic"):
            topic = getattr(self, name)
            if not topic or any(c in topic for c in "+#\0") or topic.strip("/") != topic:
                raise ValueError(f"cpe.usp.{name} is {topic!r}: give topic levels without '+', '#' and outer '/'")
        if not 1 <= self.periodic_s <= 86400:
            raise ValueError(f"cpe.usp.periodic_s is {self.periodic_s}: give 1 to 86400 seconds")
        if not 1 <= self.missed <= 100:
            raise ValueError(f"cpe.usp.missed is {self.missed}: give 1 to 100")
        if not 0.1 <= self.answer_s <= 300:
            raise ValueError(f"cpe.usp.answer_s is {self.answer_s}: give 0.1 to 300 seconds")
        if not 0 <= self.bulk_s <= 86400:
            raise ValueError(f"cpe.usp.bulk_s is {self.bulk_s}: give 0 to 86400 seconds")
        if not 0 <= self.invite_per_s <= 10_000:
            raise ValueError(f"cpe.usp.invite_per_s is {self.invite_per_s}: give 0 to 10000")
        if not 1 <= self.at_once <= 10_000:
            raise ValueError(f"cpe.usp.at_once is {self.at_once}: give 1 to 10000")


class CpeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker, how we are known to it, and how much one router may say.

    `client_id` names the persistent session: two daemons with the same one throw each other out. `prefix`: first
    level of the topics (`PREFIX/SERIAL/availability`, `PREFIX/SERIAL/telemetry/...`). `receive_maximum`: so many
    messages at most wait for the disk; MQTT 5 tells the broker, and beyond it nothing more is read.
    `session_expiry_s`: how long the broker keeps messages for us while we are away. `tls` uses the system's CAs
    unless `ca_file` is given. `batch_s`: values are handed over at least this often. `max_messages`: of one router in
    `window_s`; more are counted and dropped, its last availability never is. `clock_skew_s`: a router's own time is
    believed when it is at most so far from ours. `share`: several collectors with the same name share the routers
    (`$share`); each needs a client_id of its own. `command_cert_file`, `command_key_file`: what `faultline cpe` shows
    the broker, where that names clients by certificate and would throw the daemon out. `collectd_prefix`: first level
    of the topics of routers whose collectd publishes (`PREFIX/SERIAL/PLUGIN/TYPE`); "": there are none.
    """

    enabled: bool = False
    host: str = "localhost"
    port: int = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    client_id: str = "faultline"
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    prefix: str = "cpe"
    collectd_prefix: str = ""
    keepalive_s: int = 30
    timeout_s: float = 5.0
    session_expiry_s: int = 86400
    receive_maximum: int = 4000
    batch_s: float = 1.0
    max_payload_bytes: int = 65536
    max_messages: int = 60
    window_s: float = 60.0
    clock_skew_s: float = 600.0
    share: str = ""
    command_cert_file: str = ""
    command_key_file: str = ""
    usp: UspSettings = UspSettings()

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("cpe.host is empty: give the broker's name or address")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"cpe.port is {self.port}: give 1 to 65535")
        if not self.client_id:
            raise ValueError("cpe.client_id is empty: a persistent session needs a name that stays the same")
        if not self.prefix or any(c in self.prefix for c in "+#\0") or self.prefix.strip("/") != self.prefix:
            raise ValueError(f"cpe.prefix is {self.prefix!r}: give topic levels without '+', '#' and outer '/'")
        collectd = self.collectd_prefix
        if any(c in collectd for c in "+#\0") or collectd.strip("/") != collectd or collectd == self.prefix:
            raise ValueError(f"cpe.collectd_prefix is {collectd!r}: give topic levels of its own, without '+', '#'")
        if not 5 <= self.keepalive_s <= 65535:
            raise ValueError(f"cpe.keepalive_s is {self.keepalive_s}: give 5 to 65535 seconds")
        if not 0.1 <= self.timeout_s <= 60:
            raise ValueError(f"cpe.timeout_s is {self.timeout_s}: give 0.1 to 60 seconds")
        if not 0 <= self.session_expiry_s <= 0xFFFFFFFE:
            raise ValueError(f"cpe.session_expiry_s is {self.session_expiry_s}: give 0 to 4294967294 seconds")
        if not 1 <= self.receive_maximum <= 65535:
            raise ValueError(f"cpe.receive_maximum is {self.receive_maximum}: give 1 to 65535")
        if not 0.05 <= self.batch_s <= 60:
            raise ValueError(f"cpe.batch_s is {self.batch_s}: give 0.05 to 60 seconds")
        if not 64 <= self.max_payload_bytes <= 1 << 24:
            raise ValueError(f"cpe.max_payload_bytes is {self.max_payload_bytes}: give 64 to 16777216")
        if not 1 <= self.max_messages <= 60000:
            raise ValueError(f"cpe.max_messages is {self.max_messages}: give 1 to 60000")
        if not 1 <= self.window_s <= 3600:
            raise ValueError(f"cpe.window_s is {self.window_s}: give 1 to 3600 seconds")
        if not 0 <= self.clock_skew_s <= 86400:
            raise ValueError(f"cpe.clock_skew_s is {self.clock_skew_s}: give 0 to 86400 seconds")
        if self.key_file and not self.cert_file:
            raise ValueError("cpe.key_file is set without cpe.cert_file: give the certificate that belongs to the key")
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise ValueError("cpe.ca_file, cert_file and key_file mean nothing without tls: set cpe.tls = true")
        if any(c in self.share for c in "+#/\0"):
            raise ValueError(f"cpe.share is {self.share!r}: give a name without '+', '#' and '/'")
        if bool(self.command_cert_file) != bool(self.command_key_file):
            raise ValueError("cpe.command_cert_file and cpe.command_key_file: give both or none")
        if self.password_file and self.password_env:
            raise ValueError("cpe.password_file and cpe.password_env are both set: keep one")
