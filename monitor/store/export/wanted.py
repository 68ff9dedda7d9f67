"""What somebody wants exported, and the columns it has: names and SQL types."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.store.samples.rollup import FIELDS

_PROBES = {
    "at": "BIGINT",
    "line_id": "VARCHAR",
    "sent": "USMALLINT",
    "received": "USMALLINT",
    "rtt_ms": "DOUBLE",
    "rtt_min_ms": "DOUBLE",
    "rtt_max_ms": "DOUBLE",
    "jitter_ms": "DOUBLE",
    "source": "VARCHAR",
}
COLUMNS: dict[str, dict[str, str]] = {
    "samples": _PROBES,
    "targets": _PROBES,
    "values": {"at": "BIGINT", "line_id": "VARCHAR", "kind": "VARCHAR", "value": "FLOAT", "source": "VARCHAR"},
    "rollups": {"at": "BIGINT", "step_s": "INTEGER", "element": "VARCHAR", **dict.fromkeys(FIELDS, "DOUBLE")},
    "incidents": {
        "at": "BIGINT",
        **dict.fromkeys(("incident_id", "kind", "status", "severity", "scope_kind", "scope_name", "cause"), "VARCHAR"),
        "confidence": "DOUBLE",
        **dict.fromkeys(("detected_at", "resolved_at"), "TIMESTAMP"),
        **dict.fromkeys(("lines_affected", "lines_down", "lines_at_risk", "calls", "reopened"), "BIGINT"),
        **dict.fromkeys(("acked_by", "explanation"), "VARCHAR"),
    },
    "flags": {
        "at": "BIGINT",
        **dict.fromkeys(("subject", "kind", "reason"), "VARCHAR"),
        "value": "DOUBLE",
        "unit": "VARCHAR",
        **dict.fromkeys(("detected_at", "ended_at"), "TIMESTAMP"),
    },
}
KINDS = tuple(COLUMNS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """start <= at < end, UTC ns; `lines`: only these line_ids (none: all), for the kinds that are about lines."""

    kind: str
    start_ns: int
    end_ns: int
    lines: Sequence[str] = ()
