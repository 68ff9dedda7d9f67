"""Each minute's figures about Faultline itself and what it has open, for dashboards (names in docs/schema.md)."""

import platform
import sys
from collections import Counter

from correlation.view import EngineView
from monitor.metrics import Metrics
from monitor.records import FlagKind, IncidentStatus, RoundNote
from monitor.store.samples import SampleStore


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
    flags = Counter(flag.kind for flags in view.flags.values() for flag in flags)
    for kind in FlagKind:
        samples.status(now_ns, "flags", {"kind": kind.value}, {"open": flags[kind]})
    daemon: dict[str, float | int | str] = {"step_s": step_s, "memory_mb": memory_mb()}
    for name, gauge in (
        ("intake_rows", "intake_rows"),
        ("spool_bytes", "spool_bytes"),
        ("spool_age_s", "spool_age_seconds"),
    ):
        if (value := metrics.registry.get_sample_value(f"faultline_{gauge}")) is not None:
            daemon[name] = value if name.endswith("_s") else int(value)
    samples.status(now_ns, "daemon", {"host": platform.node()}, daemon)


def memory_mb() -> float:
    """Resident memory of this process in MiB; 0.0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # a kernel file, read each minute
            pages = int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    import resource

    return pages * resource.getpagesize() / 2**20 if sys.platform == "linux" else 0.0
