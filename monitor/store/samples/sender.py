"""Sends the spool to InfluxDB: live batches first, what an outage left over at a limited rate, in order.

A server that does not answer is a trouble, said once; batches it refuses for good go into `quarantine/`, with the
reason, so that one bad point never stops the rest.
"""

import gzip
import logging
import threading
import time
from pathlib import Path

from monitor.clock import Clock
from monitor.metrics import Metrics
from monitor.store.samples.influx_client import Forbidden, InfluxClient, Refused, Unreachable
from monitor.store.samples.spool import Record, Spool
from monitor.store.settings import InfluxSettings

QUARANTINE_FILES = 200
log = logging.getLogger("faultline.influxdb")


class Sender:
    """A thread that sends until closed."""

    def __init__(
        self, settings: InfluxSettings, client: InfluxClient, spool: Spool, metrics: Metrics, clock: Clock
    ) -> None:
        self._settings, self._client, self._spool, self._clock = settings, client, spool, clock
        self._troubles = metrics.troubles
        self._sent = metrics.counter("influxdb_points_total", "points that InfluxDB acknowledged")
        self._quarantined = metrics.counter("influxdb_quarantined_points_total", "points in batches that it refused")
        self._dropped = metrics.gauge("spool_dropped_points", "points dropped because the spool was at its cap")
        self._bytes = metrics.gauge("spool_bytes", "bytes of line protocol not yet acknowledged by InfluxDB")
        self._age = metrics.gauge("spool_age_seconds", "age of the oldest batch not yet acknowledged")
        self._quarantine = spool.folder / "quarantine"
        self._failing = bool(spool.pending()[0])  # what an earlier run left is backlog
        self._made = settings.api != "v1" or not settings.create_database
        self._backlog_at = 0.0
        self._stop = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="influxdb-sender", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._news.set()

    def close(self) -> None:
        """What is not sent stays in the spool for the next run."""
        self._stop.set()
        self._news.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.clear()
            try:
                wait_s = self._step()
            except Exception:  # a defect must not end the thread: the spool would only grow
                log.exception("sending to InfluxDB failed unexpectedly; tried again")
                wait_s = self._settings.retry_s
            if wait_s and not self._stop.is_set():
                self._measure()
                if self._failing:
                    self._stop.wait(wait_s)
                else:
                    self._news.wait(wait_s)

    def _step(self) -> float:
        """Send one batch; returns how long to wait before the next."""
        record = self._spool.live()
        from_backlog = False
        if record is None:
            rest_s = self._backlog_at - time.monotonic()
            record = self._spool.backlog() if rest_s <= 0 else None
            from_backlog = True
            if record is None:
                return rest_s if rest_s > 0 else 1.0
        try:
            if not self._made:
                self._client.create_database()
                self._made = True
            self._client.write(record.payload)
            self._sent.inc(record.points)
        except Refused as error:
            self._set_aside(record, str(error))
        except (Unreachable, Forbidden) as error:
            # A database that was dropped meanwhile is made again.
            self._made = self._settings.api != "v1" or not self._settings.create_database
            self._failing = True
            text = f"{error}; samples wait in {self._spool.folder}, nothing is lost"
            self._troubles.begin("influxdb", text, self._clock.now_ns())
            return max(self._settings.retry_s, getattr(error, "after_s", 0.0))
        self._spool.acknowledge(record)
        if self._failing:
            self._failing = False
            self._troubles.end("influxdb", self._clock.now_ns())
            self._spool.set_back()
        if from_backlog and self._settings.drain_points_per_s:
            step_s = record.points / self._settings.drain_points_per_s
            self._backlog_at = max(self._backlog_at, time.monotonic() - 0.1) + step_s
        return 0.0

    def _set_aside(self, record: Record, reason: str) -> None:
        """Keep a refused batch for people to look at. The server may have stored its good points."""
        self._quarantined.inc(record.points)
        name = f"{record.at_ns:020d}-{record.start[0]}-{record.start[1]}.lp.gz"
        try:
            self._quarantine.mkdir(exist_ok=True)
            held = sorted(self._quarantine.glob("*.lp.gz"))
            for path in held[: max(0, len(held) + 1 - QUARANTINE_FILES)]:
                path.unlink(missing_ok=True)
                path.with_suffix(".txt").unlink(missing_ok=True)
            (self._quarantine / name).write_bytes(record.payload)
            (self._quarantine / name).with_suffix(".txt").write_text(reason + "\n", encoding="utf-8")
        except OSError as error:
            log.error("a batch of %d points that InfluxDB refused could not be kept: %s", record.points, error)
        first = gzip.decompress(record.payload)[:200].split(b"\n")[0].decode(errors="replace")
        log.error("%s; %d points set aside as %s, beginning %r", reason, record.points, name, first)

    def _measure(self) -> None:
        size, oldest_ns = self._spool.pending()
        self._bytes.set(size)
        self._age.set(max(self._clock.now_ns() - oldest_ns, 0) / 1e9 if oldest_ns else 0)
        self._dropped.set(self._spool.dropped_points)


def quarantined(folder: Path) -> list[tuple[str, str]]:
    """`(file, reason)` of every batch in quarantine, oldest first."""
    return [
        (path.name, path.with_suffix(".txt").read_text(encoding="utf-8").strip())
        for path in sorted((folder / "quarantine").glob("*.lp.gz"))
        if path.with_suffix(".txt").exists()
    ]
