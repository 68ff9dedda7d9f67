"""One line: what it answered, what its router says, and which incidents and flags it was in.

The only dashboard that reads samples: those of one line, which the database finds by its tag.
"""

from typing import Any

from grafana_foundation_sdk.builders import dashboard as sdk

from boards.influxql import Target, annotation
from boards.parts import BLUE, EVERY, GREEN, ORANGE, RED, TIME, YELLOW, board, lines, linked, number, rows, text_box

LINE = "\"line_id\" = '${line}'"
PAGE = "${page}/#line=${line:percentencode}"
CPE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("Optical power", "Of fibre: falling slowly means a dirty or bent fibre.", "dBm", ("rx_power_dbm", "tx_power_dbm")),
    ("Signal to noise", "Of copper and cable: below 6 dB a DSL line drops.", "dB", ("snr_db", "attenuation_db")),
    ("Rates", "What router and network agreed on.", "Mbits", ("sync_down_mbps", "sync_up_mbps")),
    ("Wi-Fi", "Signal of the weakest client: below -75 dBm it is the Wi-Fi.", "dBm", ("wifi_rssi_dbm",)),
    ("The router's own ping", "From the router into the network.", "ms", ("cpe_rtt_ms",)),
    (
        "The router's load",
        "A router at its limit is slow, whatever the line does.",
        "percentunit",
        ("cpu_ratio", "memory_ratio"),
    ),
    ("Up since", "A saw-tooth is a router that reboots, or a session that is lost.", "s", ("uptime_s", "wan_uptime_s")),
)


def cpe(field: str) -> Target:
    return Target(
        f'SELECT mean("{field}") FROM "cpe" WHERE {LINE} AND {TIME} {EVERY} fill(null)', alias=field, ref_id=field
    )


def build_now(made: sdk.Dashboard) -> sdk.Dashboard:
    answered = f'SELECT sum("received") / sum("sent") FROM "probe" WHERE {LINE} AND {TIME} {EVERY} fill(none)'
    rtt = f'SELECT median("rtt_ms") FROM "probe" WHERE {LINE} AND {TIME} {EVERY} fill(none)'
    jitter = f'SELECT max("rtt_max_ms") - min("rtt_min_ms") FROM "probe" WHERE {LINE} AND {TIME} {EVERY} fill(none)'
    usual = f'SELECT median("rtt_ms") FROM "probe" WHERE {LINE} AND {TIME}'
    figures = [
        number(
            "Answered",
            answered,
            "Share of probes, newest minute.",
            "percentunit",
            good=(None, RED, 0.5, ORANGE, 0.99, GREEN),
        ).time_from("15m"),
        number("Round-trip time", rtt, "Median of the newest minute.", "ms").time_from("15m"),
        number("Usually", usual, "Median over the chosen time.", "ms", good=(None, BLUE)),
        number("Spread", jitter, "Slowest less fastest reply of a minute.", "ms").time_from("15m"),
    ]
    for panel in figures:
        made = made.with_panel(linked(panel.span(6), "This line in Faultline", PAGE))
    return made


def build_curves(made: sdk.Dashboard) -> sdk.Dashboard:
    def of(what: str, name: str, ref: str) -> Target:
        return Target(f'SELECT {what} FROM "probe" WHERE {LINE} AND {TIME} {EVERY} fill(null)', alias=name, ref_id=ref)

    rtt = [
        of('median("rtt_ms")', "median", "A"),
        of('min("rtt_ms")', "lowest", "B"),
        of('max("rtt_ms")', "highest", "C"),
    ]
    loss = of('1 - sum("received") / sum("sent")', "lost", "A")
    errors = [
        Target(
            f'SELECT non_negative_difference(max("{field}")) FROM "cpe" WHERE {LINE} AND {TIME} {EVERY} fill(none)',
            alias=field,
            ref_id=field,
        )
        for field in ("crc_errors", "fec_errors", "retrains")
    ]
    clients = Target(
        f'SELECT max("wifi_clients") FROM "cpe" WHERE {LINE} AND {TIME} {EVERY} fill(null)', alias="clients"
    )
    panels = [
        lines("Round trips", "Of the rounds in each interval; a gap is no reply.", "ms", *rtt, width=16),
        lines("Lost", "Share of probes without a reply.", "percentunit", loss, width=8),
        *[lines(title, text, unit, *map(cpe, fields), width=8) for title, text, unit, fields in CPE],
        lines("Errors and retrains", "New ones in each interval.", "short", *errors, width=8),
        lines("Wi-Fi clients", "Devices on the router's Wi-Fi.", "short", clients, width=8),
    ]
    for panel in panels:
        made = made.with_panel(linked(panel, "This line in Faultline", PAGE))
    return made


def build_history(made: sdk.Dashboard) -> sdk.Dashboard:
    found = (
        f'SELECT "incident_id", "scope_name", "what" FROM "line_incident" WHERE {LINE} AND {TIME} ORDER BY time DESC'
    )
    flags = f'SELECT "kind", "what", "reason", "value", "unit" FROM "flag" WHERE "subject" = \'${{line}}\' AND {TIME}'
    panels = [
        rows("Incidents it was in", "The newest first.", found, width=12),
        rows("Flags", "When it was flagged as slow, unstable or degrading, and when that ended.", flags, width=12),
    ]
    for panel in panels:
        made = made.with_panel(linked(panel, "This line in Faultline", PAGE))
    return made


def build() -> Any:
    text = "One line: probes, the router's values, incidents and flags. Write the line_id at the top."
    made = board("Line", "faultline-line", text, since="now-24h").with_variable(text_box("line", "Line"))
    joined = f'SELECT "scope_name", "incident_id" FROM "line_incident" WHERE {LINE} AND {TIME}'
    flagged = (
        f'SELECT "reason", "kind" FROM "flag" WHERE "subject" = \'${{line}}\' AND "what" = \'flag_raised\' AND {TIME}'
    )
    made = made.annotation(annotation("In an incident", RED, joined, "scope_name", "incident_id"))
    made = made.annotation(annotation("Flagged", YELLOW, flagged, "reason", "kind"))
    return build_history(build_curves(build_now(made))).build()
