"""The wall of the NOC: what is broken now, where it is worst, and whether the watching itself is well.

Reads roll-ups and the small status measurements only, never a line's samples: a mean over all lines takes longer than
the refresh. Figures "now" look at the last quarter of an hour, so that a part that has stopped writing shows as "-".
"""

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
    bars,
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

INCIDENT_URL = f"/d/faultline-incident?{PLACES}&var-incident=${{__value.raw:percentencode}}&${{__url_time_range}}"
PLACE_URL = f"/d/faultline-places?{PLACES}&${{__url_time_range}}"
DRILL = f"{PLACE_URL}&${{region:queryparam}}&${{exchange:queryparam}}&${{access_node:queryparam}}"
ITSELF_URL = f"/d/faultline-itself?{PLACES}&${{__url_time_range}}"
RESOLVERS_URL = f"/d/faultline-resolvers?{PLACES}&${{__url_time_range}}"


def build_now(made: sdk.Dashboard) -> sdk.Dashboard:
    down = f'SELECT sum("down") FROM (SELECT mean("down") AS "down" FROM "region_1m" WHERE {REGION} AND {TIME} '
    down += f'{EVERY}, "region" fill(none)) WHERE {TIME} {EVERY} fill(none)'
    share = f'SELECT sum("down") / (sum("lines") - sum("unknown")) FROM "region_1m" WHERE {REGION} AND {TIME} '
    unknown = f'SELECT sum("unknown") / sum("lines") FROM "region_1m" WHERE {REGION} AND {TIME} '
    delay = f'SELECT median("detect_s") FROM "incident" WHERE "what" = \'opened\' AND {TIME}'
    figures = [
        number(
            "Open incidents",
            f'SELECT last("open") FROM "incidents" WHERE {TIME} {EVERY} fill(none)',
            "Incidents that are open now.",
            good=(None, GREEN, 1, ORANGE, 5, RED),
        ).time_from("15m"),
        number(
            "Recovering",
            f'SELECT last("recovering") FROM "incidents" WHERE {TIME} {EVERY} fill(none)',
            "Incidents whose lines are coming back.",
            good=(None, GREEN, 1, YELLOW),
        ).time_from("15m"),
        number(
            "Lines down",
            down,
            "Lines that are down in the chosen regions.",
            good=(None, GREEN, 1, YELLOW, 100, ORANGE, 1000, RED),
        ).time_from("15m"),
        number(
            "Share down",
            f"{share}{EVERY} fill(none)",
            "Of the lines whose state is known.",
            "percentunit",
            good=(None, GREEN, 0.001, YELLOW, 0.01, ORANGE, 0.05, RED),
        ).time_from("15m"),
        number(
            "Not observable",
            f"{unknown}{EVERY} fill(none)",
            "Lines whose state is not known: no address, no answer ever, or a blind prober. Never counted as fine.",
            "percentunit",
            good=(None, GREEN, 0.05, YELLOW, 0.2, ORANGE),
        ).time_from("15m"),
        number(
            "Detection delay",
            delay,
            "Median time from the begin of an outage to its detection, over the chosen time.",
            "s",
            good=(None, GREEN, 60, YELLOW, 180, RED),
        ),
    ]
    for panel in figures:
        made = made.with_panel(linked(panel, "Regions, exchanges, access nodes", DRILL))
    return made


def build_where(made: sdk.Dashboard) -> sdk.Dashboard:
    by_region = f'SELECT mean("down") FROM "region_1m" WHERE {REGION} AND {TIME} {EVERY}, "region" fill(null)'
    rtt = f'SELECT mean("rtt_ms") FROM "region_1m" WHERE {REGION} AND {TIME} {EVERY}, "region" fill(null)'
    state = '"incident_id", "status", "severity", "kind", "scope_name", "lines_down", "lines_affected", "detect_s"'
    latest = f'SELECT "what", {state} FROM "incident" WHERE {TIME} ORDER BY time DESC LIMIT 50'
    figures = (
        'last("down") AS "down", last("lines") AS "lines", last("unknown") AS "unknown", last("rtt_ms") AS "rtt_ms"'
    )
    exchanges = f'SELECT {figures} FROM "exchange_1m" WHERE {EXCHANGE} AND {TIME} GROUP BY "exchange"'
    nodes = f'SELECT {figures} FROM "access_node_1m" WHERE {NODE} AND {TIME} GROUP BY "access_node"'
    made = made.with_row(sdk.Row("What and where"))
    down = lines(
        "Lines down by region", "Mean of each minute.", "short", Target(by_region, alias="$tag_region"), width=12
    )
    made = made.with_panel(linked(down, "Regions, exchanges, access nodes", DRILL))
    changes = rows("Latest changes of incidents", "The newest first; a click opens the incident.", latest, width=12)
    changes = link_column(changes, "incident_id", "Open the incident", INCIDENT_URL)
    made = made.with_panel(linked(changes, "Incidents in Faultline", "${page}/noc"))
    help_text = "By lines down now. Times come from the roll-ups of the last quarter of an hour."
    for title, query, tag in (("Worst exchanges", exchanges, "exchange"), ("Worst access nodes", nodes, "access_node")):
        worst = rows(title, help_text, query, width=8, most=15, by="down").time_from("15m")
        worst = link_column(worst, tag, "Drill down", f"{PLACE_URL}&var-{tag}=${{__value.raw:percentencode}}")
        made = made.with_panel(linked(hide_columns(worst, "Time"), "Regions, exchanges, access nodes", DRILL))
    slow = lines("Round-trip time by region", "Median over the lines.", "ms", Target(rtt, alias="$tag_region"), width=8)
    return made.with_panel(linked(slow, "Regions, exchanges, access nodes", DRILL))


def build_health(made: sdk.Dashboard) -> sdk.Dashboard:
    answered = f'SELECT sum("received") / sum("sent") FROM "resolver" WHERE {TIME} {EVERY}, "resolver" fill(null)'
    latency = f'SELECT mean("rtt_ms") FROM "resolver" WHERE {TIME} {EVERY}, "resolver" fill(null)'
    took = f'SELECT max("duration_s") FROM "prober" WHERE {TIME} {EVERY}, "source" fill(null)'
    missed = f'SELECT sum("uncertain") / sum("targets") FROM "prober" WHERE {TIME} {EVERY}, "source" fill(null)'
    overran = f'SELECT sum("overran") FROM "prober" WHERE {TIME} {EVERY}, "source" fill(null)'
    reached = f'SELECT sum("received") / sum("sent") FROM "reference" WHERE {TIME} {EVERY}, "reference" fill(null)'
    opened = f'SELECT max("detect_s") FROM "incident" WHERE "what" = \'opened\' AND {TIME} {EVERY} fill(none)'
    flags = f'SELECT last("open") FROM "flags" WHERE {TIME} GROUP BY "kind"'
    steps_taken = f'SELECT max("step_s") FROM "daemon" WHERE {TIME} {EVERY}, "host" fill(null)'
    memory = f'SELECT max("memory_mb") FROM "daemon" WHERE {TIME} {EVERY}, "host" fill(null)'
    waiting = f'SELECT max("spool_age_s") FROM "daemon" WHERE {TIME} {EVERY}, "host" fill(null)'
    panels = [
        lines(
            "Resolvers: answered", "Share of queries.", "percentunit", Target(answered, alias="$tag_resolver"), width=8
        ),
        lines("Resolvers: latency", "Mean of the answers.", "ms", Target(latency, alias="$tag_resolver"), width=8),
        lines("Detection delay over time", "The longest in the interval.", "s", Target(opened, alias="delay"), width=8),
        lines(
            "Reference targets reached",
            "Outside the network under watch. When all of a prober's are gone, the prober is blind.",
            "percentunit",
            Target(reached, alias="$tag_reference"),
            width=8,
        ),
        lines("Prober: a round took", "Time for all targets.", "s", Target(took, alias="$tag_source"), width=8),
        lines(
            "Prober: not known",
            "Share of targets whose fate a round could not tell, and rounds that took too long.",
            "percentunit",
            Target(missed, alias="$tag_source not known"),
            Target(overran, alias="$tag_source overran", ref_id="B"),
            width=8,
        ),
        bars("Flags", "Slow, unstable and degrading lines now.", "short", Target(flags, alias="$tag_kind"), width=8),
        lines(
            "Faultline: a step took",
            "The longest in the interval.",
            "s",
            Target(steps_taken, alias="$tag_host"),
            width=8,
        ),
        lines(
            "Faultline: memory and what waits",
            "Memory in MB; age of the oldest sample that is not in the database yet.",
            "short",
            Target(memory, alias="$tag_host MB"),
            Target(waiting, alias="$tag_host waits (s)", ref_id="B"),
            width=8,
        ),
    ]
    made = made.with_row(sdk.Row("Is the watching well"))
    for panel in panels[:2]:
        made = made.with_panel(linked(panel, "Resolvers", RESOLVERS_URL))
    for panel in panels[2:]:
        made = made.with_panel(linked(panel, "Faultline itself", ITSELF_URL))
    return made


def build() -> Any:
    made = board("NOC wall", "faultline-noc", "What is broken now, where, and whether Faultline itself is well.")
    for place in places():
        made = made.with_variable(place)
    made = incidents_marked(made)
    return build_health(build_where(build_now(made))).build()
