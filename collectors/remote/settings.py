"""Settings of several probers that share one inventory: section [probers] of the configuration."""

from urllib.parse import urlsplit

import msgspec

from monitor.inventory.slices import NAMES_MAX


class ProbersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same file serves the daemon and every prober; the first two settings must be the same everywhere.

    `names`: all probers that share the lines (and nodes) among them; empty: the daemon probes everything itself. The
    daemon takes a share too if its own name (`daemon.source`) is one of them. `rows_max_per_s`: the daemon takes at
    most so many rows a second from one prober (it may save up ten seconds of them).
    For `faultline run --prober NAME`, on the other machine: `url` of the daemon, and the API key (role probe) by
    `key_file` or `key_env`; `ca_file`: the certificate authority to trust instead of the system's. While the daemon
    is away rounds wait in memory, `buffer_mb` of them and none older than `keep_s`: the oldest go, counted.
    `retry_max_s`: the longest pause between attempts.
    """

    names: tuple[str, ...] = ()
    rows_max_per_s: float = 100_000.0
    url: str = ""
    key_file: str = ""
    key_env: str = ""
    ca_file: str = ""
    buffer_mb: float = 64.0
    keep_s: float = 300.0
    timeout_s: float = 10.0
    retry_max_s: float = 30.0

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise ValueError("names: a prober is there twice")
        if len(self.names) > NAMES_MAX:
            raise ValueError(f"names has {len(self.names)} probers: at most {NAMES_MAX} share an inventory")
        for name in self.names:
            if not name or len(name) > 100 or any(c.isspace() or c in "/:;?#%" for c in name):
                raise ValueError(
                    f"names has {name!r}: give names of 1 to 100 characters without spaces and / : ; ? # %"
                )
        if self.url:
            try:
                parts = urlsplit(self.url)
                good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.username
            except ValueError:
                good = False
            if not good:
                raise ValueError(f"url is {self.url!r}: give the daemon's address, as https://faultline.example.net")
        if self.key_file and self.key_env:
            raise ValueError("key_file and key_env are both set: keep one")
        for name, low, high in (
            ("rows_max_per_s", 10, 10_000_000),
            ("buffer_mb", 1, 4096),
            ("keep_s", 5, 86_400),
            ("timeout_s", 0.5, 120),
            ("retry_max_s", 1, 3600),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name):g}: give {low:g} to {high:g}")
