"""Rows of one line put into bins of time, by numpy: what the embedded engine answers with."""

from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.clock import NS
from monitor.records import ValueKind
from monitor.records.rounds import I64
from monitor.store.samples.base import F64, MS, LineHistory, ValuesHistory

Rows = dict[str, npt.NDArray[Any]]


def starts(at_ms: I64, width_s: int) -> tuple[I64, npt.NDArray[np.intp]]:
    """Bins of ascending times: the start of each bin (ns) and the row where each begins."""
    number = at_ms // (width_s * 1000)
    first = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    begin: I64 = number[first] * (width_s * NS)
    return begin, first


def medians(values: F64, first: npt.NDArray[np.intp]) -> F64:
    """Median of each run values[first[i]:first[i + 1]] without its NaN; NaN where there is nothing else."""
    run = np.repeat(np.arange(len(first)), np.diff(first, append=len(values)))
    known = ~np.isnan(values)
    ordered, run = values[known], run[known]
    ordered = ordered[np.lexsort((ordered, run))]
    count = np.bincount(run, minlength=len(first))
    begin = np.cumsum(count) - count
    out = np.full(len(first), np.nan)
    some = count > 0
    low = (begin + (count - 1) // 2)[some]
    high = (begin + count // 2)[some]
    out[some] = (ordered[low] + ordered[high]) / 2
    return out


def line_history(rows: Rows, width_s: int) -> LineHistory:
    """`rows`: at_ms, sent, received int; rtt_ms, rtt_min_ms, rtt_max_ms float, NaN without a reply. Any order."""
    order = np.argsort(rows["at_ms"], kind="stable")
    at = rows["at_ms"][order].astype(np.int64)
    begin, first = starts(at, width_s)
    if not len(at):
        none = np.zeros(0, np.int64)
        return LineHistory(width_s, none, none, none, *[np.zeros(0)] * 3)
    rtt = rows["rtt_ms"][order].astype(np.float64)
    low, high = (np.where(np.isnan(v), rtt, v) for v in (rows[n][order] for n in ("rtt_min_ms", "rtt_max_ms")))
    return LineHistory(
        bin_s=width_s,
        at_ns=begin,
        sent=np.add.reduceat(rows["sent"][order].astype(np.int64), first),
        received=np.add.reduceat(rows["received"][order].astype(np.int64), first),
        rtt_ms=medians(rtt, first),
        rtt_min_ms=np.fmin.reduceat(low, first),
        rtt_max_ms=np.fmax.reduceat(high, first),
    )


def values_history(kind: ValueKind, rows: Rows, width_s: int) -> ValuesHistory:
    """`rows`: at_ms int, value float. Any order; NaN and infinite values are left out."""
    good = np.isfinite(rows["value"])
    at, value = rows["at_ms"][good].astype(np.int64), rows["value"][good].astype(np.float64)
    order = np.argsort(at, kind="stable")
    at, value = at[order], value[order]
    begin, first = starts(at, width_s)
    if not len(at):
        return ValuesHistory(kind, width_s, np.zeros(0, np.int64), *[np.zeros(0)] * 3)
    count = np.diff(first, append=len(at))
    return ValuesHistory(
        kind,
        width_s,
        begin,
        np.add.reduceat(value, first) / count,
        np.minimum.reduceat(value, first),
        np.maximum.reduceat(value, first),
    )


def span_ms(start_ns: int, end_ns: int) -> tuple[int, int]:
    """The half-open span in whole milliseconds that holds exactly the stored times start <= at < end."""
    return -(-start_ns // MS), -(-end_ns // MS)
