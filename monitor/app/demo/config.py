"""The daemon's configuration for a virtual provider, written as a user would write it."""

import contextlib
import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.app.demo.inbox import Inbox
from monitor.lab.provider import PROBE_ANSWER, PROBE_NAME, VirtualProvider

INTERVAL_S = 10.0


def local_zone() -> str:
    """The machine's time zone by name, so that demo and page show the same clock; "UTC" when it cannot be told."""
    link = os.environ.get("TZ", "").lstrip(":")
    with contextlib.suppress(OSError):
        link = link or str(Path("/etc/localtime").readlink()).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(link).key
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return "UTC"


def write_config(
    provider: VirtualProvider, folder: Path, port: int, interval_s: float = INTERVAL_S, inbox: Inbox | None = None
) -> Path:
    """faultline.toml in `folder`; `port` 0 lets the daemon take a free one. Alerts go to `inbox`. Returns the file."""
    text = f"""\
[daemon]
zone = "{local_zone()}"

[inventory]
file = "{provider.inventory_file}"
elements_file = "{provider.elements_file}"

[store]
folder = "data"

[icmp]
interval_s = {interval_s}
netns = "{provider.prober_netns}"
wire = "{provider.wire_socket}"

[dns]
enabled = true
interval_s = {min(interval_s, 5.0)}
timeout_s = 1.0

[[dns.names]]
name = "{PROBE_NAME}"
expect = ["{PROBE_ANSWER}"]

[cpe]
enabled = true
host = "{provider.broker.host}"
port = {provider.broker.port}

[cpe.usp]
enabled = true
periodic_s = 20
bulk_s = 10
answer_s = 5.0
invite_per_s = 200

[api]
port = {port}
"""
    for reference in provider.references:
        text += f"""
[[icmp.references]]
name = "{reference.name}"
address = "{reference.address}"
element = "{reference.element}"
"""
    for resolver in provider.resolvers:
        text += f"""
[[dns.resolvers]]
name = "{resolver.name}"
address = "{resolver.host}"
port = {resolver.port}
"""
    if inbox is not None:
        text += f"""
[alerts]
page_url = "http://127.0.0.1:{port}"

[[alerts.webhooks]]
name = "demo"
url = "{inbox.url}"
secret_file = "{inbox.secret_file}"
allow_networks = ["127.0.0.1/32"]
update_s = 5.0
"""
    file = folder / "faultline.toml"
    file.write_text(text)
    return file
