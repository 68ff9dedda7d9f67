"""What Grafana does to an InfluxQL query before it is sent: macros and variables.

From Grafana's documentation and sources: $timeFilter is a range in ms, $__interval the panel's step, `${name:regex}`
escapes each value and joins several as (a|b); a custom "All" value goes in as it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Values = Mapping[str, Sequence[str]]  # variable -> chosen values; none chosen: All


def escape(value: str) -> str:
    return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value)


def interpolate(query: str, chosen: Values, from_ms: int, to_ms: int, interval: str = "1m") -> str:
    """The query as it reaches the database. Raises ValueError for what Grafana would not replace."""
    made = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    made = made.replace("$__interval", interval)

    def variable(match: "re.Match[str]") -> str:
        name, form = match[1], match[2]
        if name not in chosen:
            raise ValueError(f"{query}: the dashboard has no variable {name}")
        values = chosen[name]
        if not values:
            return ".*"
        if form != "regex":
            return values[0]
        made = [escape(value) for value in values]
        return made[0] if len(made) == 1 else f"({'|'.join(made)})"

    made = re.sub(r"\$\{(\w+)(?::(\w+))?\}", variable, made)
    if "$" in re.sub(r"\$/", "/", made):  # the $ that ends a regular expression is meant
        raise ValueError(f"{made}: something is left to replace")
    return made


def panels(board: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every panel with queries, also those in collapsed rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def seconds(text: str) -> int:
    """Of a span as Grafana writes it: 15m, 6h, now-6h."""
    number, unit = re.fullmatch(r"(?:now-)?(\d+)([smhd])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
