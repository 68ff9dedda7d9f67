"""Is Faultline well? Probers, the engine's steps, what waits, what was dropped, alerts that could not be sent."""

from typing import Any

from boards.influxql import Target
from boards.parts import EVERY, GREEN, RED, TIME, YELLOW, board, incidents_marked, lines, linked, number

PROBER = f'{EVERY}, "source" fill(null)'
DAEMON = f'{EVERY}, "host" fill(null)'


def of_prober(what: str, name: str = "$tag_source", ref: str = "A") -> Target:
    return Target(f'SELECT {what} FROM "prober" WHERE {TIME} {PROBER}', alias=name, ref_id=ref)


def of_daemon(what: str, name: str = "$tag_host", ref: str = "A") -> Target:
    return Target(f'SELECT {what} FROM "daemon" WHERE {TIME} {DAEMON}', alias=name, ref_id=ref)


def grown(field: str, name: str, ref: str) -> Target:
    asked = f'SELECT non_negative_difference(max("{field}")) FROM "daemon" WHERE {TIME} {EVERY} fill(none)'
    return Target(asked, alias=name, ref_id=ref)


def newest(field: str) -> str:
    return f'SELECT last("{field}") FROM "daemon" WHERE {TIME} {EVERY} fill(none)'


def build() -> Any:
    made = board(
        "Faultline itself", "faultline-itself", "Whether the watching is well: probers, engine, store, alerts."
    )
    delay = f'SELECT median("detect_s") FROM "incident" WHERE "what" = \'opened\' AND {TIME}'
    figures = [
        number(
            "A step took",
            newest("step_s"),
            "The engine's longest step of a minute.",
            "s",
            (None, GREEN, 0.5, YELLOW, 2, RED),
        ),
        number("Memory", newest("memory_mb"), "Resident, of the daemon.", "decmbytes"),
        number(
            "Waiting",
            newest("spool_age_s"),
            "Age of the oldest sample not in the database.",
            "s",
            (None, GREEN, 60, YELLOW, 600, RED),
        ),
        number(
            "Alerts given up",
            newest("alerts_dead"),
            "Since the start: each lies with its reason under dead letters.",
            good=(None, GREEN, 1, RED),
        ),
        number(
            "Samples dropped",
            newest("samples_dropped"),
            "Since the start: the disk was full for too long.",
            good=(None, GREEN, 1, RED),
        ),
        number("Detection delay", delay, "Median over the chosen time.", "s", (None, GREEN, 60, YELLOW, 180, RED)),
    ]
    panels = [
        lines(
            "A round took", "Per prober; must stay under the interval.", "s", of_prober('max("duration_s")'), width=8
        ),
        lines(
            "Targets", "Lines, nodes and references asked in a round.", "short", of_prober('last("targets")'), width=8
        ),
        lines(
            "Not known",
            "Share of targets whose fate a round could not tell: never counted as lost.",
            "percentunit",
            of_prober('sum("uncertain") / sum("targets")'),
            width=8,
        ),
        lines("Replies", "Share of probes.", "percentunit", of_prober('sum("received") / sum("sent")'), width=8),
        lines(
            "Rounds that overran",
            "Rounds that did not fit in their interval.",
            "short",
            of_prober('sum("overran")'),
            width=8,
        ),
        lines("Steps", "The engine's longest step of each interval.", "s", of_daemon('max("step_s")'), width=8),
        lines("Resident memory", "Of the daemon.", "decmbytes", of_daemon('max("memory_mb")'), width=8),
        lines(
            "What waits",
            "Rows before the engine, samples in memory.",
            "short",
            of_daemon('max("intake_rows")', "before the engine", "A"),
            of_daemon('max("samples_waiting")', "samples", "B"),
            width=8,
        ),
        lines("Spool", "What the database has not acknowledged.", "bytes", of_daemon('max("spool_bytes")'), width=8),
        lines(
            "Lost or refused",
            "In each interval; all of these should be zero.",
            "short",
            grown("intake_dropped", "before the engine", "A"),
            grown("samples_dropped", "samples", "B"),
            grown("quarantined", "points refused by the database", "C"),
            width=12,
        ),
        lines(
            "Alerts",
            "Messages in each interval.",
            "short",
            grown("alerts_sent", "sent", "A"),
            grown("alerts_failed", "failed, tried again", "B"),
            grown("alerts_dead", "given up", "C"),
            width=12,
        ),
    ]
    for panel in [*[figure.time_from("15m") for figure in figures[:-1]], figures[-1], *panels]:
        made = made.with_panel(linked(panel, "Health", "${page}/readyz"))
    return incidents_marked(made, "\"kind\" = 'source'").build()
