"""The alerts' part of the configuration file: `[alerts]`, `[alerts.slack]`, `[alerts.email]`.

Secrets are `NAME_file` or `NAME_env`. A receiver that is not enabled is not built and needs no other setting.
"""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from alerts.text import is_mail_address
from monitor.records import IncidentKind, Severity
from monitor.words import LANGUAGES

# Worst first. "cleared" and "indeterminate" are not degrees, so they cannot be asked for.
SEVERITY_ORDER = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.WARNING)


class SlackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`channel`: name or id; the bot must be a member. The token needs the scope chat:write.

    `interval_s`: least time between two calls (Slack: about one message a second and channel). `update_s`: an
    incident's message is changed at most this often. `timeout_s`: of one call.
    """

    enabled: bool = False
    token_file: str = ""
    token_env: str = ""
    channel: str = ""
    base_url: str = "https://slack.com/api/"
    interval_s: float = 1.2
    update_s: float = 5.0
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.enabled:
            return
        if not self.channel:
            raise ValueError("channel is empty: name the Slack channel, as '#noc' or its id")
        if bool(self.token_file) == bool(self.token_env):
            raise ValueError("give the bot token by token_file or token_env (one of them)")
        require_url("base_url", self.base_url)
        require_range("interval_s", self.interval_s, 0, 60)
        require_range("update_s", self.update_s, 0, 3600)
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
        require_range("timeout_s", self.timeout_s, 0.1, 300)


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is told, and of what.

    `page_url`: where the web page is, for links (empty: no links). `kinds`: incidents that are told; `min_lines`: an
    outage of fewer affected lines is not; `min_severity`: the least severe that is told. `dead_after_s`: what could not
    be delivered for so long is given up, counted and named. `check_s`: how often a receiver that had nothing to tell is
    asked whether it still works.
    """

    language: str = "en"
    page_url: str = ""
    kinds: tuple[IncidentKind, ...] = (
        IncidentKind.OUTAGE,
        IncidentKind.DEGRADED,
        IncidentKind.RESOLVER,
        IncidentKind.SOURCE,
    )
    min_lines: int = 1
    min_severity: Severity = Severity.WARNING
    grew_factor: float = 2.0
    poll_s: float = 1.0
    retry_first_s: float = 5.0
    retry_most_s: float = 60.0
    check_s: float = 900.0
    dead_after_s: float = 86400.0
    slack: SlackSettings = SlackSettings()
    email: EmailSettings = EmailSettings()

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"language is {self.language!r}: give one of {', '.join(LANGUAGES)}")
        if self.page_url:
            require_url("page_url", self.page_url)
        if self.min_severity not in SEVERITY_ORDER:
            raise ValueError(f"min_severity is {self.min_severity!r}: give one of {words_of(SEVERITY_ORDER)}")
        if self.min_lines < 0:
            raise ValueError(f"min_lines is {self.min_lines}: give 0 or more")
        require_range("grew_factor", self.grew_factor, 1.1, 1000)
        require_range("poll_s", self.poll_s, 0.05, 60)
        require_range("retry_first_s", self.retry_first_s, 0.05, 3600)
        require_range("retry_most_s", self.retry_most_s, self.retry_first_s, 86400)
        require_range("check_s", self.check_s, 10, 86400)
        require_range("dead_after_s", self.dead_after_s, 1, 90 * 86400)


def words_of(names: Sequence[str]) -> str:
    return ", ".join(str(name) for name in names)


def require_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value:g}: give {low:g} to {high:g}")


def require_url(name: str, url: str) -> None:
    """Raises ValueError unless `url` is http(s) with a host, without a user, a space or a control character."""
    try:
        parts = urlsplit(url)
        ok = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:
        ok = False
    if not ok or any(ord(c) <= 32 or c in '<>"|`' for c in url):
        raise ValueError(f"{name} is {url!r}: give an http or https address")
