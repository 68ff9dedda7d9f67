"""Each minute's figures about Faultline itself and what it has open, for dashboards (names in docs/schema.md)."""

import platform
import sys
from collections import Counter

from correlation.view import EngineView
from monitor.metrics import Metrics
from monitor.records import FlagKind, IncidentStatus, RoundNote
from monitor.store.samples import SampleStore

COUNTS = {  # field of measurement daemon -> metric
    "intake_rows": "faultline_intake_rows",
    "intake_dropped": "faultline_intake_dropped_rows_total",
    "samples_waiting": "faultline_samples_waiting_rows",
    "samples_dropped": "faultline_samples_dropped_rows_total",
    "spool_bytes": "faultline_spool_bytes",
    "quarantined": "faultline_influxdb_quarantined_points_total",
    "alerts_sent": "faultline_alerts_sent_total",
    "alerts_failed": "faultline_alerts_failed_total",
    "alerts_dead": "faultline_alerts_dead_total",
}
WANTED = frozenset(COUNTS.values()) | {"faultline_spool_age_seconds"}


def write_round(samples: SampleStore, now_ns: int, note: RoundNote) -> None:
    """A point `prober` for a finished round."""
    fields = {
        "targets": note.targets,
        "sent": note.sent,
        "received": note.received,
        "uncertain": note.uncertain,
        "duration_s": note.duration_s,
        "overran": int(note.overran),
    }
    samples.status(now_ns, "prober", {"source": note.source}, fields)


def write_status(samples: SampleStore, metrics: Metrics, now_ns: int, view: EngineView, step_s: float) -> None:
    """Points `incidents`, `flags` and `daemon` as of now."""
    unresolved = [i for i in view.incidents if i.resolved_ns is None]
    status = Counter(incident.status for incident in unresolved)
    samples.status(
        now_ns,
        "incidents",
        {"scope": "all"},
        {
            "open": status[IncidentStatus.OPEN],
            "suspected": status[IncidentStatus.SUSPECTED],
            "recovering": status[IncidentStatus.RECOVERING],
            "lines_down": sum(i.lines_down for i in unresolved),
        },
    )
    for one in unresolved:
        if one.status is not IncidentStatus.SUSPECTED:
            tags = {"incident_id": one.incident_id, "kind": one.kind.value}
            counts = {"lines_down": one.lines_down, "lines_affected": one.lines_affected}
            more = {"lines_at_risk": one.lines_at_risk, "calls": one.calls}
            samples.status(now_ns, "incident_minute", tags, counts | more)
    flags = Counter(flag.kind for flags in view.flags.values() for flag in flags)
    for kind in FlagKind:
        samples.status(now_ns, "flags", {"kind": kind.value}, {"open": flags[kind]})
    daemon: dict[str, float | int | str] = {"step_s": step_s, "memory_mb": memory_mb()}
    totals = _totals(metrics)
    daemon |= {name: int(totals[metric]) for name, metric in COUNTS.items() if metric in totals}
    if "faultline_spool_age_seconds" in totals:
        daemon["spool_age_s"] = totals["faultline_spool_age_seconds"]
    samples.status(now_ns, "daemon", {"host": platform.node()}, daemon)


def _totals(metrics: Metrics) -> dict[str, float]:
    """Each counter and gauge, all its labels together."""
    totals: Counter[str] = Counter()
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name in WANTED:
                totals[sample.name] += sample.value  # type: ignore[assignment]  # a Counter counts floats as well
    return dict(totals)


def memory_mb() -> float:
    """Resident memory of this process in MiB; 0.0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # a kernel file, read each minute
            pages = int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    import resource

    return pages * resource.getpagesize() / 2**20 if sys.platform == "linux" else 0.0
