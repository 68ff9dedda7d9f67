"""Stored figures as one Parquet or CSV file, for pandas and the like; the daemon may run meanwhile.

    samples   at, line_id, sent, received, rtt_ms, rtt_min_ms, rtt_max_ms, jitter_ms, source
              (as `faultline replay` reads them)
    targets   the same of what is not a line: line_id is element:PATH, reference:NAME or resolver:NAME
    values    at, line_id, kind, value, source   telemetry; the unit is in the kind
    rollups   at, step_s, element, and the roll-up fields of docs/schema.md
    incidents, flags   one row each; texts in English

Times are UTC: a timestamp without zone in Parquet, RFC 3339 in CSV. What the daemon still holds in memory (at most
`store.flush_s`) is not in it.
"""

from pathlib import Path

from monitor.store.export.sheet import Sheet
from monitor.store.export.wanted import COLUMNS, KINDS, Wanted
from monitor.store.settings import StoreSettings

__all__ = ["KINDS", "Wanted", "export"]


def export(settings: StoreSettings, wanted: Wanted, out: Path) -> int:
    """Write `out` (.parquet, .csv or .csv.gz by its name), whole or not at all; returns the number of rows.

    Raises StoreProblem, SecretProblem, and ValueError for another ending.
    """
    with Sheet(out) as sheet:
        sheet.begin(COLUMNS[wanted.kind])
        if wanted.kind in ("incidents", "flags"):
            from monitor.store.export import state

            state.fill(settings, wanted, sheet)
        elif settings.engine == "influxdb":
            from monitor.store.export import influx

            influx.fill(settings, wanted, sheet)
        else:
            from monitor.store.export import embedded

            embedded.fill(settings, wanted, sheet)
        return sheet.finish()
