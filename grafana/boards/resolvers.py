"""The DNS resolvers as customers meet them, and the reference targets beside them: is it DNS, or do we see nothing?"""

from typing import Any

from boards.influxql import Target
from boards.parts import EVERY, TIME, board, choice, incidents_marked, lines, linked, rows

RESOLVER = '"resolver" =~ /^${resolver:regex}$/'
BY = f'{EVERY}, "resolver" fill(null)'


def build() -> Any:
    made = board("Resolvers", "faultline-resolvers", "Answers and latency of each DNS resolver, from each prober.")
    made = made.with_variable(choice("resolver", "Resolver", 'SHOW TAG VALUES FROM "resolver" WITH KEY = "resolver"'))
    share = 'sum("received") / sum("sent")'
    answered = f'SELECT {share} FROM "resolver" WHERE {RESOLVER} AND {TIME} {BY}'
    median = f'SELECT median("rtt_ms") FROM "resolver" WHERE {RESOLVER} AND {TIME} {BY}'
    worst = f'SELECT percentile("rtt_ms", 99) FROM "resolver" WHERE {RESOLVER} AND {TIME} {BY}'
    asked = f'SELECT sum("sent") FROM "resolver" WHERE {RESOLVER} AND {TIME} {BY}'
    sides = f'{EVERY}, "resolver", "source" fill(null)'
    by_source = f'SELECT {share} FROM "resolver" WHERE {RESOLVER} AND {TIME} {sides}'
    now = 'SELECT last("received") AS "answered", last("sent") AS "asked", last("rtt_ms") AS "rtt_ms" FROM "resolver" '
    now += f'WHERE {RESOLVER} AND {TIME} GROUP BY "resolver", "source"'
    reached = f'SELECT {share} FROM "reference" WHERE {TIME} {EVERY}, "reference" fill(null)'
    panels = [
        lines("Answered rightly", "Share of questions.", "percentunit", Target(answered, alias="$tag_resolver")),
        lines("Latency", "Median of the answers.", "ms", Target(median, alias="$tag_resolver")),
        lines("Slowest answers", "99th percentile.", "ms", Target(worst, alias="$tag_resolver")),
        lines(
            "By prober",
            "A resolver that only one prober misses is not down: the way to it is.",
            "percentunit",
            Target(by_source, alias="$tag_resolver from $tag_source"),
        ),
        rows("Newest round", "What each prober got.", now, width=8).time_from("15m"),
        lines("Questions asked", "In each interval.", "short", Target(asked, alias="$tag_resolver"), width=8),
        lines(
            "Reference targets reached",
            "When these are gone as well, the prober is blind and says nothing about resolvers.",
            "percentunit",
            Target(reached, alias="$tag_reference"),
            width=8,
        ),
    ]
    for panel in panels:
        made = made.with_panel(linked(panel, "Incidents of resolvers", "${page}/noc"))
    return incidents_marked(made, "\"kind\" = 'resolver'").build()
