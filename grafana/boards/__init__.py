"""The dashboards as code: one file each, and one line here. The names are those of the JSON files."""

from collections.abc import Callable
from typing import Any

from boards import incident, itself, line, noc, places, resolvers

BOARDS: dict[str, Callable[[], Any]] = {
    "noc": noc.build,
    "places": places.build,
    "line": line.build,
    "resolvers": resolvers.build,
    "incident": incident.build,
    "faultline": itself.build,
}
