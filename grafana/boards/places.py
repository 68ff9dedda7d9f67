"""Regions, exchanges and access nodes: where lines are down, slow or unknown; each level offers the next finer one."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard as sdk

from boards.influxql import Target
from boards.parts import (
    EVERY,
    EXCHANGE,
    GREEN,
    NODE,
    ORANGE,
    PLACES,
    RED,
    REGION,
    TIME,
    YELLOW,
    board,
    hide_columns,
    incidents_marked,
    lines,
    link_column,
    linked,
    number,
    places,
    rows,
)

LEVELS = (
    ("Regions", "region_1m", "region", REGION),
    ("Exchanges", "exchange_1m", "exchange", EXCHANGE),
    ("Access nodes", "access_node_1m", "access_node", NODE),
)
FIGURES = (
    'last("down") AS "down", last("degraded") AS "degraded", last("unknown") AS "unknown", last("lines") AS "lines"'
)


def build_now(made: sdk.Dashboard) -> sdk.Dashboard:
    """Of the chosen access nodes; lines whose path is shorter are in the coarser levels only."""

    def total(field: str) -> str:
        inner = f'SELECT mean("{field}") AS "{field}" FROM "access_node_1m" WHERE {NODE} AND {TIME}'
        return f'SELECT sum("{field}") FROM ({inner} {EVERY}, "access_node" fill(none)) WHERE {TIME} {EVERY} fill(none)'

    known = 'sum("down") / (sum("lines") - sum("unknown"))'
    share = f'SELECT {known} FROM "access_node_1m" WHERE {NODE} AND {TIME} {EVERY} fill(none)'
    rtt = f'SELECT median("rtt_ms") FROM "access_node_1m" WHERE {NODE} AND {TIME} {EVERY} fill(none)'
    figures = [
        number(
            "Lines down",
            total("down"),
            "Down now on the chosen access nodes.",
            good=(None, GREEN, 1, YELLOW, 100, ORANGE, 1000, RED),
        ),
        number("Degraded", total("degraded"), "Answer, but slow or with losses.", good=(None, GREEN, 1, YELLOW)),
        number("Not observable", total("unknown"), "Nothing is known of them. Never counted as fine."),
        number("Lines", total("lines"), "In the inventory, on the chosen access nodes."),
        number(
            "Share down",
            share,
            "Of the lines whose state is known.",
            "percentunit",
            good=(None, GREEN, 0.001, YELLOW, 0.01, ORANGE, 0.05, RED),
        ),
        number("Round-trip time", rtt, "Median over the chosen access nodes of their lines' median.", "ms"),
    ]
    for panel in figures:
        made = made.with_panel(linked(panel.time_from("15m"), "Faultline's NOC page", "${page}/noc"))
    return made


def build_level(made: sdk.Dashboard, title: str, measurement: str, tag: str, where: str) -> sdk.Dashboard:
    share = 'mean("down") / (mean("lines") - mean("unknown"))'
    by = f'{EVERY}, "{tag}" fill(null)'
    alias = f"$tag_{tag}"
    now = f'SELECT {FIGURES} FROM "{measurement}" WHERE {where} AND {TIME} GROUP BY "{tag}"'
    level = title.lower()
    made = made.with_row(sdk.Row(title))
    curves = [
        lines(
            f"{title}: share of lines down",
            "Of the lines whose state is known.",
            "percentunit",
            Target(f'SELECT {share} FROM "{measurement}" WHERE {where} AND {TIME} {by}', alias=alias),
            width=8,
        ),
        lines(
            f"{title}: round-trip time",
            "Median over the lines: when it rises for one element and not for its neighbours, the segment is slow.",
            "ms",
            Target(f'SELECT mean("rtt_ms") FROM "{measurement}" WHERE {where} AND {TIME} {by}', alias=alias),
            width=8,
        ),
    ]
    for panel in curves:
        made = made.with_panel(linked(panel, "Incidents of this time", "${page}/noc"))
    table = rows(f"{title} now", f"The {level} with most lines down first.", now, width=8, most=100, by="down")
    table = hide_columns(table.time_from("15m"), "Time")
    url = f"/d/faultline-places?{PLACES}&var-{tag}=${{__value.raw:percentencode}}&${{__url_time_range}}"
    return made.with_panel(linked(link_column(table, tag, "Only this one", url), "NOC page", "${page}/noc"))


def build() -> Any:
    text = "Drill down from regions to access nodes; choose at the top, or click a name in a table."
    made = board("Regions, exchanges, access nodes", "faultline-places", text)
    for place in places():
        made = made.with_variable(place)
    made = build_now(incidents_marked(made))
    for level in LEVELS:
        made = build_level(made, *level)
    return made.build()
