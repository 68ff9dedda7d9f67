"""One struct per kind of receiver. One that is not enabled (or not listed) is not built and needs no other setting.

Secrets are `NAME_file` or `NAME_env`. `interval_s` is the least time between two calls, `update_s` between two
tellings of one incident, `most_per_hour` the most new messages (0: no limit; what is over waits).
"""

import json
from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from alerts.settings_base import require_name, require_range, require_secret, require_url
from alerts.text import is_mail_address


class SlackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`channel`: name or id; the bot must be a member. The token needs the scope chat:write.

    `webhook_*`: an incoming webhook's address, used while the Web API does not work, or alone without a token (then
    nothing can be updated). `signing_secret_*`: of the app, for its buttons (`POST /hooks/slack`); without it there are
    none. `ack_users`: Slack user ids that may acknowledge; empty: everybody in the workspace. `interval_s`: least time
    between two calls (Slack: about one message a second and channel). `update_s`: an incident's message is changed at
    most this often. `timeout_s`: of one call.
    """

    enabled: bool = False
    token_file: str = ""
    token_env: str = ""
    webhook_file: str = ""
    webhook_env: str = ""
    signing_secret_file: str = ""
    signing_secret_env: str = ""
    ack_users: tuple[str, ...] = ()
    channel: str = ""
    base_url: str = "https://slack.com/api/"
    interval_s: float = 1.2
    update_s: float = 5.0
    timeout_s: float = 10.0
    most_per_hour: int = 0

    def __post_init__(self) -> None:
        if not self.enabled:
            return
        webhook_alone = bool(self.webhook_file or self.webhook_env) and not (self.token_file or self.token_env)
        if not self.channel and not webhook_alone:
            raise ValueError("channel is empty: name the Slack channel, as '#noc' or its id")
        require_secret(self, "token", "the bot token", optional=webhook_alone)
        require_secret(self, "webhook", "the incoming webhook's address", optional=True)
        require_secret(self, "signing_secret", "the signing secret", optional=True)
        require_url("base_url", self.base_url)
        require_range("interval_s", self.interval_s, 0, 60)
        require_range("update_s", self.update_s, 0, 3600)
        require_range("most_per_hour", self.most_per_hour, 0, 100_000)
        require_range("timeout_s", self.timeout_s, 0.1, 120)


class EmailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tls`: "starttls" (required, never silently skipped), "implicit" (port 465) or "none".

    `ca_file`: the certificate authority to trust instead of the system's. `update_s`: after a mail, the next one about
    the same incident waits at least this long (what happens meanwhile is told together).
    """

    enabled: bool = False
    host: str = "localhost"
    port: int = 25
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    interval_s: float = 0.5
    update_s: float = 60.0
    timeout_s: float = 20.0
    most_per_hour: int = 120

    def __post_init__(self) -> None:
        if not self.enabled:
            return
        if not is_mail_address(self.sender):
            raise ValueError(f"sender is {self.sender!r}: give an address, as faultline@example.net")
        if not self.recipients:
            raise ValueError("recipients is empty: give at least one address")
        for address in self.recipients:
            if not is_mail_address(address):
                raise ValueError(f"recipients has {address!r}, which is not an address")
        if not self.host:
            raise ValueError("host is empty: give the name of the SMTP server")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}: give 1 to 65535")
        if self.password_file and self.password_env:
            raise ValueError("give the password by password_file or password_env, not by both")
        if bool(self.username) != bool(self.password_file or self.password_env):
            raise ValueError("username and password_file (or password_env) belong together: give both or neither")
        if self.username and self.tls == "none":
            raise ValueError("tls is 'none': a password is not sent unencrypted; set tls to 'starttls' or 'implicit'")
        require_range("interval_s", self.interval_s, 0, 60)
        require_range("update_s", self.update_s, 0, 86400)
        require_range("most_per_hour", self.most_per_hour, 0, 100_000)
        require_range("timeout_s", self.timeout_s, 0.1, 300)


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST` to `url`, signed with `secret_*` (docs/alerts.md: headers). The address may be a secret: `url_file`.

    `allow_networks`: private networks it may reach (all others are refused, also when a name resolves to them).
    `template`: a JSON object sent instead of the full document, for an SMS gateway: `{title}`, `{text}`, `{news}`,
    `{url}`, `{status}`, `{incident_id}` in its strings are filled in; then a signature is not required.
    `encoding` "form": the object's members as form fields. `authorization_*`: value of the Authorization header.
    `local_address`: send from this address of ours, as that of a modem beside the network that may be down.
    """

    name: str
    url: str = ""
    url_file: str = ""
    url_env: str = ""
    secret_file: str = ""
    secret_env: str = ""
    authorization_file: str = ""
    authorization_env: str = ""
    allow_networks: tuple[str, ...] = ()
    ca_file: str = ""
    template: str = ""
    encoding: Literal["json", "form"] = "json"
    local_address: str = ""
    interval_s: float = 0.2
    update_s: float = 60.0
    timeout_s: float = 10.0
    most_per_hour: int = 60

    def __post_init__(self) -> None:
        require_name("name", self.name)
        if bool(self.url) + bool(self.url_file) + bool(self.url_env) != 1:
            raise ValueError("give the address by url, url_file or url_env (one of them)")
        require_networks("allow_networks", self.allow_networks)
        if self.url:
            require_url("url", self.url)
            require_public("url", self.url, self.allow_networks)
        require_secret(self, "secret", "the signing secret", optional=bool(self.template))
        require_secret(self, "authorization", "the Authorization header", optional=True)
        if self.template:
            try:
                wrong = not isinstance(json.loads(self.template), dict)
            except ValueError:
                wrong = True
            if wrong:
                raise ValueError('template is not a JSON object, as \'{"to": "+49...", "message": "{title}"}\'')
        elif self.encoding == "form":
            raise ValueError("encoding is 'form': that needs a template")
        if self.local_address:
            require_address("local_address", self.local_address)
        require_range("interval_s", self.interval_s, 0, 60)
        require_range("update_s", self.update_s, 0, 86400)
        require_range("timeout_s", self.timeout_s, 0.1, 120)
        require_range("most_per_hour", self.most_per_hour, 0, 100_000)


class AppriseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any service Apprise knows (Teams, Matrix, Telegram, PagerDuty, ...): `url_*` holds its address, a secret."""

    name: str
    url_file: str = ""
    url_env: str = ""
    interval_s: float = 1.0
    update_s: float = 60.0
    timeout_s: float = 20.0
    most_per_hour: int = 30

    def __post_init__(self) -> None:
        require_name("name", self.name)
        require_secret(self, "url", "the Apprise address")
        require_range("interval_s", self.interval_s, 0, 60)
        require_range("update_s", self.update_s, 0, 86400)
        require_range("timeout_s", self.timeout_s, 0.1, 120)
        require_range("most_per_hour", self.most_per_hour, 0, 100_000)


class AlertmanagerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Alertmanager's v2 API at `urls` (the members of one cluster: each is told).

    `repeat_s`: an alert is sent again so often, or Alertmanager takes it for over; it holds for five times as long.
    `labels`: added to every alert, for its routing.
    """

    enabled: bool = False
    urls: tuple[str, ...] = ("http://127.0.0.1:9093",)
    authorization_file: str = ""
    authorization_env: str = ""
    ca_file: str = ""
    labels: dict[str, str] = {}
    repeat_s: float = 60.0
    interval_s: float = 0.05
    update_s: float = 5.0
    timeout_s: float = 10.0
    most_per_hour: int = 0

    def __post_init__(self) -> None:
        if not self.enabled:
            return
        if not self.urls:
            raise ValueError("urls is empty: give Alertmanager's address, as http://127.0.0.1:9093")
        for url in self.urls:
            require_url("urls", url)
        for label in self.labels:
            if not (label.isascii() and label.replace("_", "a").isalnum() and not label[0].isdigit()):
                raise ValueError(f"labels has {label!r}: give letters, digits and '_'")
        require_secret(self, "authorization", "the Authorization header", optional=True)
        require_range("repeat_s", self.repeat_s, 1, 3600)
        require_range("interval_s", self.interval_s, 0, 60)
        require_range("update_s", self.update_s, 0, 3600)
        require_range("timeout_s", self.timeout_s, 0.1, 120)
        require_range("most_per_hour", self.most_per_hour, 0, 100_000)


class HeartbeatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dead man's switch: `url_*` is asked every `every_s` while the engine runs; the watchdog there alerts when that
    stops. The address is usually a secret."""

    enabled: bool = False
    url: str = ""
    url_file: str = ""
    url_env: str = ""
    every_s: float = 60.0
    timeout_s: float = 10.0
    ca_file: str = ""
    local_address: str = ""

    def __post_init__(self) -> None:
        if not self.enabled:
            return
        if bool(self.url) + bool(self.url_file) + bool(self.url_env) != 1:
            raise ValueError("give the watchdog's address by url, url_file or url_env (one of them)")
        if self.url:
            require_url("url", self.url)
        if self.local_address:
            require_address("local_address", self.local_address)
        require_range("every_s", self.every_s, 1, 86400)
        require_range("timeout_s", self.timeout_s, 0.1, 120)


def require_networks(name: str, networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise ValueError(f"{name} has {network!r}: give a network, as 10.20.0.0/16") from None


def require_address(name: str, address: str) -> None:
    try:
        ip_address(address)
    except ValueError:
        raise ValueError(f"{name} is {address!r}: give an IP address") from None


def require_public(name: str, url: str, allowed: tuple[str, ...]) -> None:
    """An address written out is judged at load; what a name resolves to, at each connection."""
    from alerts.guard import why_refused

    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            address = ip_address("127.0.0.1")
        else:
            return
    if why := why_refused(address, [ip_network(network) for network in allowed]):
        raise ValueError(f"{name} is {url!r}: {why}; name its network in allow_networks if that is meant")
