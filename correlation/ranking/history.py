"""Flags and calls as tables, and what was known of each line at a moment.

A flag is known from `detected_ns` on (not from `started_ns`, which is dated back), and its end only from `ended_ns` on;
so features of a past moment hold nothing that came later. Tables are brought into one order first: sums of floats are
then the same bytes whatever order the rows came in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.records import Flag, FlagKind

DAY_NS = 86_400 * 1_000_000_000
WINDOW_D = 28  # how far back a list looks
MEMORY_D = 7.0  # a flagged day counts e^-1 of its weight a week later
BEGIN_D = 0.25  # what each flag's beginning counts besides its length, in days: coming and going annoys
OPEN = 1.5  # a flag that goes on counts so much more
KINDS = (FlagKind.UNSTABLE, FlagKind.SLOW, FlagKind.DEGRADING)
# A figure of this size is middling for its reason: it weighs 1; nothing weighs 0.5, very large ones nearly 1.5.
MIDDLING = {
    "rtt_above_baseline": 30.0,  # ms
    "jitter": 30.0,  # ms
    "loss": 0.05,  # ratio
    "flaps": 6.0,  # per day
    "line_errors": 1000.0,  # per hour
    "retrains": 6.0,  # per day
    "restarts": 6.0,
    "rx_power_falling": 3.0,  # dB
    "snr_falling": 3.0,
}
FLAG_COLUMNS = ("line_id", "kind", "reason", "value", "unit", "started_ns", "detected_ns", "ended_ns")
STILL_NS = np.iinfo(np.int64).max  # `ended_ns` of a flag that goes on

F64 = npt.NDArray[np.float64]


def flag_table(flags: Iterable[Flag]) -> pd.DataFrame:
    """FLAG_COLUMNS, a row for each flag of a line. Flags of elements are left out: no line of theirs stands out."""
    rows = [
        (
            f.subject,
            f.kind.value,
            f.reason,
            f.value,
            f.unit,
            f.started_ns,
            f.detected_ns,
            STILL_NS if f.ended_ns is None else f.ended_ns,
        )
        for f in flags
        if f.kind in KINDS and not f.subject.startswith("element:")
    ]
    table = pd.DataFrame(rows, columns=list(FLAG_COLUMNS))
    table = table.astype({"value": float, "started_ns": np.int64, "detected_ns": np.int64, "ended_ns": np.int64})
    table = table.sort_values(list(FLAG_COLUMNS), kind="stable")
    return table.drop_duplicates(["line_id", "kind", "started_ns", "detected_ns"], ignore_index=True)


def call_table(calls: Iterable[tuple[str, int]]) -> pd.DataFrame:
    """`line_id`, `at_ns` of each call; the same line again on the same (UTC) day is the same call."""
    table = pd.DataFrame(list(calls), columns=["line_id", "at_ns"]).astype({"at_ns": np.int64})
    table = table.sort_values(["line_id", "at_ns"], ignore_index=True, kind="stable")
    return table[~table.assign(day=table["at_ns"] // DAY_NS).duplicated(["line_id", "day"])].reset_index(drop=True)


@dataclass(frozen=True)
class History:
    """Both tables with lines as numbers: `names` ascending; `flags` and `calls` have `line`, the index into them, and
    each flag its `weight` by size."""

    names: npt.NDArray[np.object_]
    flags: pd.DataFrame
    calls: pd.DataFrame

    @classmethod
    def of(cls, flags: pd.DataFrame, calls: pd.DataFrame, until_ns: int) -> "History":
        """Of `flag_table` and `call_table`, what was known at `until_ns`."""
        flags = flags[flags["detected_ns"] <= until_ns].reset_index(drop=True)
        calls = calls[calls["at_ns"] <= until_ns].reset_index(drop=True)
        codes, names = pd.factorize(pd.concat([flags["line_id"], calls["line_id"]]), sort=True)
        flags = flags.assign(line=codes[: len(flags)], weight=_weights(flags))
        return cls(np.asarray(names, dtype=object), flags, calls.assign(line=codes[len(flags) :]))


def known_flags(history: History, at_ns: int) -> pd.DataFrame:
    """The flags of the last WINDOW_D days as they were known then: `open` bool; `from_d`, `to_d` days before `at_ns`
    between which each lasted (0: it went on)."""
    flags = history.flags
    ended = flags["ended_ns"].to_numpy()
    known = (flags["detected_ns"].to_numpy() <= at_ns) & (ended > at_ns - WINDOW_D * DAY_NS)
    ended = ended[known]
    started = np.minimum(flags["started_ns"].to_numpy()[known], at_ns)
    to_d = np.where(ended > at_ns, 0.0, (at_ns - np.minimum(ended, at_ns)) / DAY_NS)
    from_d = np.maximum((at_ns - started) / DAY_NS, to_d)
    return flags[known].assign(open=ended > at_ns, from_d=from_d, to_d=to_d)


def _weights(table: pd.DataFrame) -> F64:
    middling = table["reason"].map(MIDDLING).to_numpy(dtype=float)
    size = np.abs(np.nan_to_num(table["value"].to_numpy(dtype=float), posinf=0, neginf=0))
    with np.errstate(invalid="ignore"):
        share = size / (size + middling)
    result: F64 = 0.5 + np.where(np.isfinite(share), share, 0.5)  # an unknown reason is middling
    return result


def burdens(table: pd.DataFrame) -> F64:
    """How much each of `known_flags` weighs, in days: the integral of exp(-age / MEMORY_D) over its time, and its
    beginning, times its size, times OPEN when it goes on."""
    start = np.minimum(table["from_d"].to_numpy(), WINDOW_D)
    lasted = MEMORY_D * (np.exp(-table["to_d"].to_numpy() / MEMORY_D) - np.exp(-start / MEMORY_D))
    began = np.where(table["from_d"].to_numpy() <= WINDOW_D, BEGIN_D * np.exp(-start / MEMORY_D), 0.0)
    result: F64 = (lasted + began) * table["weight"].to_numpy() * np.where(table["open"].to_numpy(), OPEN, 1.0)
    return result


def features(history: History, at_ns: int) -> pd.DataFrame:
    """What was known at `at_ns` of every line that was flagged or called in the WINDOW_D days before: index `line`
    (ascending), columns FEATURES. All are at least 0 and finite. `flagged_day`, `flagged_week` in days."""
    known = known_flags(history, at_ns)
    called_ns = history.calls["at_ns"].to_numpy()
    recent = (called_ns <= at_ns) & (called_ns > at_ns - WINDOW_D * DAY_NS)
    flagged, caller = known["line"].to_numpy(), history.calls["line"].to_numpy()[recent]
    lines = np.unique(np.concatenate([flagged, caller]))
    count = len(lines)
    table = pd.DataFrame(0.0, index=pd.Index(lines, name="line"), columns=list(FEATURES))
    if not count:
        return table
    row, kind = np.searchsorted(lines, flagged), known["kind"].to_numpy()
    of_kind = [np.flatnonzero(kind == k.value) for k in KINDS]
    burden, opened = burdens(known), known["open"].to_numpy().astype(np.float64)
    for name, mine in zip((k.value for k in KINDS), of_kind, strict=True):
        table[f"burden_{name}"] = _sums(row[mine], burden[mine], count)
        table[f"open_{name}"] = np.minimum(_sums(row[mine], opened[mine], count), 1)
    from_d, to_d = known["from_d"].to_numpy(), known["to_d"].to_numpy()
    table["flags_month"] = _sums(row, (from_d <= WINDOW_D).astype(np.float64), count)
    for name, days in (("flagged_day", 1.0), ("flagged_week", 7.0)):
        spent = np.minimum(from_d, days) - np.minimum(to_d, days)
        by_kind = [_sums(row[mine], spent[mine], count) for mine in of_kind]
        table[name] = np.minimum(np.max(by_kind, axis=0), days)  # two kinds at once are no longer than one
    place = np.searchsorted(lines, caller)
    age_d = (at_ns - called_ns[recent]) / DAY_NS
    table["calls_month"] = _sums(place, np.ones(place.size), count)
    table["called_lately"] = _sums(place, np.exp(-age_d / MEMORY_D), count)
    return table


FEATURES = (
    *(f"burden_{kind.value}" for kind in KINDS),
    *(f"open_{kind.value}" for kind in KINDS),
    "flags_month",
    "flagged_day",
    "flagged_week",
    "calls_month",
    "called_lately",
)


def _sums(row: npt.NDArray[np.intp], value: F64, count: int) -> F64:
    return np.bincount(row, weights=value, minlength=count).astype(np.float64)


def callers(history: History, after_ns: int, until_ns: int) -> npt.NDArray[np.intp]:
    """Lines that called in (after, until], ascending."""
    at = history.calls["at_ns"].to_numpy()
    result: npt.NDArray[np.intp] = np.unique(history.calls["line"].to_numpy()[(at > after_ns) & (at <= until_ns)])
    return result
