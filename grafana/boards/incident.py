"""One incident: how it came, how it goes, what it takes with it. Opened by a click from the NOC wall, at its time."""

from typing import Any

from boards.influxql import Target
from boards.parts import (
    EVERY,
    PLACES,
    TIME,
    board,
    hide_columns,
    incidents_marked,
    lines,
    link_column,
    linked,
    number,
    rows,
    text_box,
)

INCIDENT = "\"incident_id\" = '${incident}'"
PAGE = "${page}/#incident=${incident:percentencode}"


def build() -> Any:
    text = "Onset and recovery, every change, the elements with lines down then. Write the incident_id at the top."
    made = board("Incident", "faultline-incident", text).with_variable(text_box("incident", "Incident"))

    def curve(field: str, name: str, ref: str) -> Target:
        asked = f'SELECT max("{field}") FROM "incident_minute" WHERE {INCIDENT} AND {TIME} {EVERY} fill(null)'
        return Target(asked, alias=name, ref_id=ref)

    last = f'FROM "incident" WHERE {INCIDENT} AND {TIME}'
    state = '"what", "status", "severity", "scope_name", "cause", "lines_down", "lines_affected", "confidence"'
    downs = (
        f'SELECT max("down") AS "most_down", last("lines") AS "lines" FROM "access_node_1m" WHERE "down" > 0 AND {TIME}'
    )
    exchanges = (
        f'SELECT max("down") AS "most_down", last("lines") AS "lines" FROM "exchange_1m" WHERE "down" > 0 AND {TIME}'
    )
    places = f"/d/faultline-places?{PLACES}&${{__url_time_range}}"
    nodes = rows(
        "Access nodes with lines down",
        "In the chosen time, most first. Lines that are down for another reason are in it too.",
        f'{downs} GROUP BY "access_node"',
        width=12,
        most=50,
        by="most_down",
    )
    nodes = link_column(
        nodes, "access_node", "This access node", f"{places}&var-access_node=${{__value.raw:percentencode}}"
    )
    larger = rows(
        "Exchanges with lines down",
        "The same by exchange.",
        f'{exchanges} GROUP BY "exchange"',
        width=12,
        most=50,
        by="most_down",
    )
    larger = link_column(larger, "exchange", "This exchange", f"{places}&var-exchange=${{__value.raw:percentencode}}")
    panels = [
        number("Lines affected", f'SELECT last("lines_affected") {last}', "Over its life."),
        number("Lines down", f'SELECT last("lines_down") {last}', "As of the last change."),
        number("Lines at risk", f'SELECT last("lines_at_risk") {last}', "All lines under its scope."),
        number("Detected after", f'SELECT last("detect_s") {last}', "From the begin of the outage.", "s"),
        number("Confidence", f'SELECT last("confidence") {last}', "Probability that this is the cause.", "percentunit"),
        number(
            "Calls",
            f'SELECT last("calls") FROM "incident_minute" WHERE {INCIDENT} AND {TIME}',
            "Customers who called about its lines.",
        ),
        lines(
            "Onset and recovery",
            "Lines down now, and lines ever affected.",
            "short",
            curve("lines_down", "down", "A"),
            curve("lines_affected", "ever affected", "B"),
            width=16,
        ),
        lines(
            "Calls over time",
            "Customers who called about its lines, so far.",
            "short",
            curve("calls", "calls", "A"),
            width=8,
        ),
        rows("What happened", "Every change, the newest first.", f"SELECT {state} {last} ORDER BY time DESC", width=24),
        hide_columns(nodes, "Time"),
        hide_columns(larger, "Time"),
    ]
    for panel in panels:
        made = made.with_panel(linked(panel, "This incident in Faultline", PAGE))
    return incidents_marked(made, INCIDENT).build()
