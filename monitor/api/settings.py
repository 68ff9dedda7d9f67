"""The API's part of the configuration file: `[api]`."""

import msgspec


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where API and page listen, and their limits.

    `port` 0 takes a free one, which the log names. `tls_cert_file` and `tls_key_file` (both or none) serve https; set
    `secure_cookie` also when a proxy in front of it does. `metrics_open`: `/metrics` answers without a key.
    `streams`: event streams at the same time. `failures_per_minute`: wrong keys per client before it has to wait.
    `requests_per_minute`: of one key or account, a minute's worth at once; 0: no limit.
    `probe_every_s`: a line is probed at most so often on request. `lookups_alarm_per_hour`: more look-ups than that
    by one person are written to the log. `report_days`: how long customers' reports are kept; 0: until erased.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8080
    session_hours: float = 10.0
    secure_cookie: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    metrics_open: bool = False
    streams: int = 1000
    failures_per_minute: int = 20
    requests_per_minute: int = 3000
    probe_every_s: float = 5.0
    lookups_alarm_per_hour: int = 300
    report_days: int = 730

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}: give 1 to 65535, or 0 for any free one")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("tls_cert_file and tls_key_file belong together: give both or none")
        if not 0.1 <= self.session_hours <= 168:
            raise ValueError(f"session_hours is {self.session_hours}: give 0.1 to 168")
        if self.streams < 1 or self.failures_per_minute < 1 or self.lookups_alarm_per_hour < 1:
            raise ValueError("streams, failures_per_minute and lookups_alarm_per_hour are at least 1")
        if not 0 <= self.requests_per_minute <= 100_000_000:
            raise ValueError(f"requests_per_minute is {self.requests_per_minute}: give requests, or 0 for no limit")
        if not 0 <= self.report_days <= 36500:
            raise ValueError(f"report_days is {self.report_days}: give days, or 0 to keep until erased")
        if not 1 <= self.probe_every_s <= 600:
            raise ValueError(f"probe_every_s is {self.probe_every_s}: give 1 to 600 seconds")
