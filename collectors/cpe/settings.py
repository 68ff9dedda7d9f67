"""The configuration of CPE telemetry over MQTT: `[cpe]`."""

from typing import Literal

import msgspec


class CpeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker, how we are known to it, and how much one router may say.

    `client_id` names the persistent session: two daemons with the same one throw each other out. `prefix`: first
    level of the topics (`PREFIX/SERIAL/availability`, `PREFIX/SERIAL/telemetry/...`). `receive_maximum`: so many
    messages at most wait for the disk; MQTT 5 tells the broker, and beyond it nothing more is read.
    `session_expiry_s`: how long the broker keeps messages for us while we are away. `tls` uses the system's CAs
    unless `ca_file` is given. `batch_s`: values are handed over at least this often. `max_messages`: of one router in
    `window_s`; more are counted and dropped, its last availability never is. `clock_skew_s`: a router's own time is
    believed when it is at most so far from ours.
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
    keepalive_s: int = 30
    timeout_s: float = 5.0
    session_expiry_s: int = 86400
    receive_maximum: int = 4000
    batch_s: float = 1.0
    max_payload_bytes: int = 65536
    max_messages: int = 60
    window_s: float = 60.0
    clock_skew_s: float = 600.0

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("cpe.host is empty: give the broker's name or address")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"cpe.port is {self.port}: give 1 to 65535")
        if not self.client_id:
            raise ValueError("cpe.client_id is empty: a persistent session needs a name that stays the same")
        if not self.prefix or any(c in self.prefix for c in "+#\0") or self.prefix.strip("/") != self.prefix:
            raise ValueError(f"cpe.prefix is {self.prefix!r}: give topic levels without '+', '#' and outer '/'")
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
        if self.password_file and self.password_env:
            raise ValueError("cpe.password_file and cpe.password_env are both set: keep one")
