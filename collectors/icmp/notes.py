"""What the prober's state looks like from outside: metrics, troubles that are said once, and health."""

from collections.abc import Mapping

from collectors.base import CollectorContext, Health
from collectors.icmp.settings import IcmpSettings
from monitor.records import RoundNote

BLIND_SHARE = 0.5  # more of a round than this unknown is worth a word


class Notes:
    def __init__(self, settings: IcmpSettings, context: CollectorContext) -> None:
        self._settings = settings
        self._clock = context.clock
        self._tell = context.note
        metrics, source = context.metrics, context.source
        self._troubles = metrics.troubles
        self._gauges = {
            name: metrics.gauge(f"icmp_round_{name}", text, ["source"]).labels(source)
            for name, text in {
                "targets": "targets of the last round",
                "sent": "probes of the last round whose fate is known",
                "received": "replies in the last round",
                "uncertain": "targets of the last round with a probe whose fate is not known",
                "seconds": "how long the last round took",
            }.items()
        }
        self._overruns = metrics.counter("icmp_overruns_total", "rounds longer than the interval", ["source"]).labels(
            source
        )
        self._faults = metrics.counter("icmp_faults_total", "what was not a plain reply, by name", ["source", "reason"])
        self._refused = metrics.counter(
            "icmp_requests_refused_total", "targets of requests that were not asked, by reason", ["source", "reason"]
        )
        self._rows = metrics.counter("icmp_rows_total", "rows handed to the engine", ["source"]).labels(source)
        self._stale = metrics.counter("icmp_rebound_rows_total", "rows probed at an old address", ["source"]).labels(
            source
        )
        self._starts = metrics.counter("icmp_prober_starts_total", "starts of the prober", ["source"]).labels(source)
        self._source = source
        self._last_ns: int | None = None
        self._ready_ns: int | None = None
        self._wrong = "the prober has not started yet"

    def prober_ready(self, sockets: str) -> None:
        self._starts.inc()
        self._wrong = ""
        self._ready_ns = self._clock.now_ns()
        self._sockets = sockets
        self._troubles.end("icmp", self._ready_ns)

    def prober_ended(self, why: str, pause_s: float) -> None:
        self._wrong = f"the prober does not run: {why}"
        text = f"the prober does not run: {why}. No line is probed meanwhile; it is started again in {pause_s:.0f} s"
        self._troubles.begin("icmp", text, self._clock.now_ns())

    def rows(self, now_ns: int, taken: int, stale: int) -> None:
        if taken:
            self._last_ns = now_ns
        self._rows.inc(taken)
        self._stale.inc(stale)

    def refused(self, reasons: Mapping[str, int]) -> None:
        for reason, count in reasons.items():
            if count:
                self._refused.labels(self._source, reason).inc(count)

    def round_ended(self, note: RoundNote, lost_slices: int) -> None:
        now, troubles = self._clock.now_ns(), self._troubles
        self._tell(note)
        for name in ("targets", "sent", "received", "uncertain"):
            self._gauges[name].set(getattr(note, name))
        self._gauges["seconds"].set(note.duration_s)
        faults = dict(note.faults) | ({"lost_slices": lost_slices} if lost_slices else {})
        for reason, count in faults.items():
            self._faults.labels(self._source, reason).inc(count)
        if note.overran:
            self._overruns.inc()
            s = self._settings
            text = (
                f"a round of {note.targets} targets took {note.duration_s:.1f} s, longer than icmp.interval_s "
                f"({s.interval_s:g}). No line is called lost for it; raise interval_s, rate_max_pps "
                f"({s.rate_max_pps:g}) or node_max_pps ({s.node_max_pps:g})"
            )
            troubles.begin("icmp_overrun", text, now)
        else:
            troubles.end("icmp_overrun", now)
        if note.faults.get("overflow"):
            text = "replies came faster than they could be read: lines without a reply are unknown, not lost"
            troubles.begin("icmp_overflow", text, now)
        else:
            troubles.end("icmp_overflow", now)
        if note.targets and note.uncertain > BLIND_SHARE * note.targets:
            reasons = ", ".join(f"{name} {count}" for name, count in sorted(note.faults.items())) or "no reason given"
            text = f"{note.uncertain} of {note.targets} targets could not be probed ({reasons}): is a route missing?"
            troubles.begin("icmp_send", text, now)
        else:
            troubles.end("icmp_send", now)

    def health(self) -> Health:
        if self._wrong:
            return Health("icmp", False, self._wrong, self._last_ns)
        since = max(self._last_ns or 0, self._ready_ns or 0)
        silent_s = (self._clock.now_ns() - since) / 1e9
        if silent_s > 3 * self._settings.interval_s:
            return Health("icmp", False, f"no probe has been answered for or lost in {silent_s:.0f} s", self._last_ns)
        return Health("icmp", True, self._sockets, self._last_ns)
