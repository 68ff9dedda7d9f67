"""Ping many addresses once: the engine behind `faultline probe`, for whoever has a list and no inventory.

In: one address a line (blank lines and what follows a `#` are left out), from a file or a pipe, a million if need be.
Out: a line per address in the order of the input, written as soon as its fate is known. Names are never resolved; an
address that may not be probed refuses the whole list before anything is sent.
"""

import io
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from collectors.icmp.engine import Engine, Table
from collectors.icmp.job import Job, Results
from collectors.icmp.listing import BadList, Rows, read_targets, write_rows
from collectors.icmp.opening import open_lanes
from monitor.records.rounds import F32, U16

DEFAULT_RATE_PPS = 1000.0
DEFAULT_TIMEOUT_S = 1.0
SPACING_S = 1.0  # between two probes of one address
COUNT_MAX = 1000
OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


@dataclass(slots=True)
class Total:
    targets: int
    sent: int = 0
    received: int = 0
    unknown: int = 0  # probes whose fate is not known
    answered: int = 0  # targets


class Report:
    """Collects results as they come and writes them in the order of the list."""

    def __init__(self, table: Table, count: int, out: TextIO, as_json: bool) -> None:
        n = len(table)
        self._table = table
        self._count = count
        self._out = out
        self._json = as_json
        self._known = np.zeros(n, np.bool_)
        self._sent: U16 = np.zeros(n, np.uint16)
        self._received: U16 = np.zeros(n, np.uint16)
        self._rtt: F32 = np.full((n, 3), np.nan, np.float32)
        self._written = 0
        self.total = Total(n)

    def take(self, results: Results) -> None:
        at = results.position
        self._known[at] = True
        self._sent[at] = results.sent
        self._received[at] = results.received
        self._rtt[at, 1] = results.rtt_ms
        self._rtt[at, 0] = results.rtt_ms if results.rtt_min_ms is None else results.rtt_min_ms
        self._rtt[at, 2] = results.rtt_ms if results.rtt_max_ms is None else results.rtt_max_ms
        total = self.total
        total.sent += int(results.sent.sum())
        total.received += int(results.received.sum())
        total.unknown += self._count * len(at) - int(results.sent.sum())
        total.answered += int((results.received > 0).sum())
        self._write()

    def _write(self) -> None:
        open_rows = np.flatnonzero(~self._known[self._written :])
        end = self._written + int(open_rows[0]) if len(open_rows) else len(self._known)
        rows = slice(self._written, end)
        self._written = end
        table = Table(self._table.family[rows], self._table.high[rows], self._table.low[rows])
        for text in write_rows(Rows(table, self._sent[rows], self._received[rows], self._rtt[rows]), self._json):
            self._out.write(text)


def probe(
    engine: Engine, report: Report, count: int, rate_pps: float, err: TextIO, spacing_s: float = SPACING_S
) -> float:
    """Probe the engine's whole table, `count` times each; returns the seconds it took."""
    positions = np.arange(len(engine.table), dtype=np.int32)
    began = time.monotonic()
    job = engine.add(positions, probes=count, rate_pps=rate_pps, spacing_ns=int(spacing_s * 1e9))
    while engine.jobs:
        engine.tick()
        for _, results in engine.results():
            if results is not None:
                report.take(results)
                _progress(job, err)
        wake = engine.wake_ns() if engine.jobs else None  # what is late then interests nobody
        pause_s = (wake - time.monotonic_ns()) / 1e9 if wake is not None else 0.0
        if pause_s > 0:
            if any(lane.transport.wakes for lane in engine.lanes.values()):
                pause_s = min(pause_s, 0.001)
            time.sleep(pause_s)
    if err.isatty():
        err.write("\r\x1b[K")
    return time.monotonic() - began


def _progress(job: Job, err: TextIO) -> None:
    if err.isatty():
        err.write(f"\r{job.begun:,} of {len(job):,} targets begun")
        err.flush()


def run_probe(
    file: str,
    *,
    count: int = 1,
    rate_pps: float = DEFAULT_RATE_PPS,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    only6: bool = False,
    as_json: bool = False,
    out: TextIO | None = None,
    err: TextIO | None = None,
    mode: str = "auto",
    netns: str = "",
    wire: str = "",
) -> int:
    """All of `faultline probe`: read FILE ("-": standard input), probe, write. Returns the exit status.

    Status 2: a wrong option or list, nothing was sent. Status 1: no socket, or the output was closed.
    """
    out, err = out or sys.stdout, err or sys.stderr
    if wrong := _wrong_option(count, rate_pps, timeout_s):
        err.write(wrong + "\n")
        return BAD_INPUT
    try:
        table = _read(file, only6)
    except BadList as error:
        err.write(f"{error}\n")
        return BAD_INPUT
    try:
        lanes, _ = open_lanes(mode, netns, wire, int(timeout_s * 1e9))
    except OSError as error:
        err.write(f"{error.strerror or error}\n")
        return FAILED
    engine = Engine(lanes)
    engine.use_table(table)
    report = Report(table, count, out, as_json)
    try:
        seconds = probe(engine, report, count, rate_pps, err)
        out.flush()
    except KeyboardInterrupt:
        err.write(f"interrupted: {report.total.sent} probes of {len(table)} targets are known\n")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read has seen enough
        return FAILED
    finally:
        engine.close()
    err.write(_summary(report.total, seconds, engine) + "\n")
    return OK


def _wrong_option(count: int, rate_pps: float, timeout_s: float) -> str:
    if not 1 <= count <= COUNT_MAX:
        return f"--count must be from 1 to {COUNT_MAX}, not {count}"
    if not 0 < rate_pps < math.inf:
        return f"--rate must be a number above 0 (probes a second), not {rate_pps:g}"
    if not 0 < timeout_s <= 60:
        return f"--timeout must be above 0 and at most 60 s, not {timeout_s:g}"
    return ""


def _read(file: str, only6: bool) -> Table:
    if file == "-":
        raw = getattr(sys.stdin, "buffer", None)  # none where a test or a caller has put something else there
        return read_targets("-", raw or io.BytesIO(sys.stdin.read().encode()), only6)
    try:
        with Path(file).open("rb") as lines:
            return read_targets(file, lines, only6)
    except OSError as error:
        raise BadList(f"{file}: cannot be read ({error.strerror})") from None


def _summary(total: Total, seconds: float, engine: Engine) -> str:
    lost = total.sent - total.received
    ratio = f" ({lost / total.sent:.2%})" if total.sent else ""
    text = (
        f"{total.targets} targets, {total.answered} answered; {total.sent} probes known, {total.received} replies, "
        f"{lost} lost{ratio}, {total.unknown} unknown; {seconds:.1f} s"
    )
    faults = ", ".join(f"{name} {count}" for name, count in sorted(engine.faults.items()))
    return f"{text}; {faults}" if faults else text
