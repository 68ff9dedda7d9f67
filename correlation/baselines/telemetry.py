"""What routers say about their lines: received power and SNR drifting down, errors, retrains, restarts.

Levels (dBm, dB) are compared with the line's own over weeks: a fall must last over several reports (clipped sum).
Counters since boot become rates per hour or counts in about a day; a counter that went back is a restart, not an error.
Columns are zeros until a line reports, so lines without telemetry cost no memory. 72 bytes a line that reports.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.records import ValueKind
from monitor.records.rounds import F32, I32, I64, U8

NS = 1_000_000_000
DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
FEW = 6  # reports before a level is judged
DECIDE, STEP_MAX = 8.0, 2.0
RESTART_S = 60.0  # an uptime smaller by so much
RX, SNR, CRC, RETRAINS, RESTARTS = 1, 2, 4, 8, 16  # bits of `signs`
FALLING = RX | SNR
UNSTEADY = CRC | RETRAINS | RESTARTS
MANY, FEW_AGAIN = 6.0, 2.0  # retrains or restarts in about a day: begins, ends
CRC_TIMES, CRC_LEAST_H = 10.0, 360.0  # errors per hour: times the usual, and at least one in ten seconds

U32 = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Level:
    kind: ValueKind
    bit: int
    bound: float  # dB below the usual that count fully


LEVELS = (Level(ValueKind.RX_POWER_DBM, RX, 2.0), Level(ValueKind.SNR_DB, SNR, 3.0))
JUDGED = [int(k) for k in (*(x.kind for x in LEVELS), ValueKind.CRC_ERRORS, ValueKind.RETRAINS, ValueKind.UPTIME_S)]
WORDS: dict[int, tuple[str, str]] = {
    RX: ("rx_power_falling", "db"),
    SNR: ("snr_falling", "db"),
    CRC: ("line_errors", "per_hour"),
    RETRAINS: ("retrains", "per_day"),
    RESTARTS: ("restarts", "per_day"),
}
FLOATS = ("rx_usual", "rx_now", "rx_sum", "snr_usual", "snr_now", "snr_sum", "crc", "crc_usual", "crc_now", "crc_sum")
MORE_FLOATS = ("retrains", "retrains_day", "uptime_s", "restarts_day")
TIMES_S = ("rx_s", "snr_s", "crc_s", "since_s", "day_s")
COUNTS = ("rx_n", "snr_n", "signs")


class Telemetry:
    """Float32 columns, uint32 seconds, uint8 counts; `signs` uint8 bits of what is wrong now."""

    rx_usual: F32
    rx_now: F32
    rx_sum: F32
    snr_usual: F32
    snr_now: F32
    snr_sum: F32
    crc: F32
    crc_usual: F32
    crc_now: F32
    crc_sum: F32
    retrains: F32
    retrains_day: F32
    uptime_s: F32
    restarts_day: F32
    rx_s: U32
    snr_s: U32
    crc_s: U32
    since_s: U32
    day_s: U32
    rx_n: U8
    snr_n: U8
    signs: U8

    def __init__(self, lines: int) -> None:
        for names, kind in ((FLOATS + MORE_FLOATS, np.float32), (TIMES_S, np.uint32), (COUNTS, np.uint8)):
            for name in names:
                setattr(self, name, np.zeros(lines, kind))
        self.lines = lines

    def take(self, line: I32, kind: U8, value: F32, at_ns: I64) -> I32:
        """Reports in any order; absurd ones are left out. Returns the lines whose signs may have moved, ascending."""
        good = np.flatnonzero(np.isfinite(value) & (line >= 0) & (line < self.lines) & (at_ns > 0))
        good = good[np.isin(kind[good], JUDGED)]
        if not good.size:
            return np.zeros(0, np.int32)
        order = good[np.lexsort((at_ns[good], line[good], kind[good]))]
        line, kind, value, at_s = line[order], kind[order], value[order], at_ns[order] // NS
        same = np.concatenate([[False], (line[1:] == line[:-1]) & (kind[1:] == kind[:-1])])
        first = np.flatnonzero(~same)
        turn = np.arange(line.size) - np.repeat(first, np.diff(np.append(first, line.size)))
        for n in range(int(turn.max()) + 1):
            for each in JUDGED:
                pick = np.flatnonzero((turn == n) & (kind == each))
                if pick.size:
                    self._take(ValueKind(each), line[pick], value[pick], at_s[pick])
        result: I32 = np.unique(line).astype(np.int32)
        return result

    def _take(self, kind: ValueKind, line: I32, value: F32, at_s: I64) -> None:
        for level in LEVELS:
            if kind is level.kind:
                self._level(level, line, value, at_s)
                return
        credible = value >= 0
        line, value, at_s = line[credible], value[credible], at_s[credible]
        if kind is ValueKind.CRC_ERRORS:
            self._errors(line, value, at_s)
        elif kind is ValueKind.RETRAINS:
            self._retrains(line, value, at_s)
        else:
            self._uptime(line, value, at_s)

    def _level(self, level: Level, line: I32, value: F32, at_s: I64) -> None:
        name = "rx" if level.bit == RX else "snr"
        usual, now, total, count, seen = (getattr(self, f"{name}_{c}") for c in ("usual", "now", "sum", "n", "s"))
        n = count[line]
        fresh = n == 0
        known = np.where(fresh, value, usual[line])
        now[line] = np.where(fresh, value, now[line] + 0.3 * (value - now[line]))
        fall = known - value
        step = np.clip(2 * fall / level.bound - 1, -1, STEP_MAX)
        before = total[line]
        after = np.where(n >= FEW, np.clip(before + step, 0, 2 * DECIDE), 0)
        total[line] = after
        began = (before <= 0) & (after > 0)
        self.since_s[line[began]] = at_s[began]
        elapsed = np.clip(at_s - seen[line], 0, DAY_S)
        weight = np.where(n < FEW, 1 / (n + 1.0), elapsed / MONTH_S)
        weight = np.where((n >= FEW) & (value > known), np.minimum(10 * weight, 0.3), weight)  # mended: soon believed
        calm = after < 0.3 * DECIDE
        usual[line] = np.where(calm, known + weight * (value - known), known)
        count[line] = np.minimum(n, 250) + 1
        seen[line] = at_s
        self._sign(line, level.bit, after >= DECIDE, (after <= 0) & (known - now[line] < level.bound / 2))

    def _errors(self, line: I32, value: F32, at_s: I64) -> None:
        """CRC errors since boot."""
        elapsed = at_s - self.crc_s[line].astype(np.int64)
        known = (self.crc_s[line] > 0) & (elapsed > 0)
        grown = np.where(value >= self.crc[line], value - self.crc[line], value)
        rate = np.where(known, grown * 3600 / np.maximum(elapsed, 1), 0)
        bound = np.maximum(CRC_TIMES * self.crc_usual[line], CRC_LEAST_H)
        before = self.crc_sum[line]
        step = np.clip(2 * rate / bound - 1, -1, STEP_MAX)
        after = np.where(known, np.clip(before + step, 0, 2 * DECIDE), before)
        began = (before <= 0) & (after > 0) & (self.signs[line] == 0)
        self.since_s[line[began]] = at_s[began]
        self.crc_sum[line] = after
        self.crc_now[line] = np.where(known, self.crc_now[line] + 0.3 * (rate - self.crc_now[line]), 0)
        calm = known & (after < 0.3 * DECIDE)
        usual = self.crc_usual[line]
        self.crc_usual[line] = np.where(calm, usual + 0.05 * (np.minimum(rate, bound) - usual), usual)
        self.crc[line], self.crc_s[line] = value, at_s
        self._sign(line, CRC, after >= DECIDE, after <= 0)

    def _retrains(self, line: I32, value: F32, at_s: I64) -> None:
        self._fade(line, at_s)
        last = self.retrains[line] - 1  # kept one higher: 0 is unknown
        grown = np.where(value >= last, value - last, value)
        self.retrains_day[line] += np.where(last < 0, 0, grown)
        self.retrains[line] = value + 1
        day = self.retrains_day[line]
        self._date(line, day, at_s)
        self._sign(line, RETRAINS, day >= MANY, day < FEW_AGAIN)

    def _uptime(self, line: I32, value: F32, at_s: I64) -> None:
        self._fade(line, at_s)
        self.restarts_day[line] += value < self.uptime_s[line] - RESTART_S
        self.uptime_s[line] = value
        day = self.restarts_day[line]
        self._date(line, day, at_s)
        self._sign(line, RESTARTS, day >= MANY, day < FEW_AGAIN)

    def _fade(self, line: I32, at_s: I64) -> None:
        elapsed = np.where(self.day_s[line] > 0, np.maximum(at_s - self.day_s[line].astype(np.int64), 0), 0)
        kept = np.exp(-elapsed / DAY_S).astype(np.float32)
        self.retrains_day[line] *= kept
        self.restarts_day[line] *= kept
        self.day_s[line] = np.maximum(self.day_s[line], at_s)

    def _date(self, line: I32, day: F32, at_s: I64) -> None:
        began = (day >= 0.9) & (day < 1.9) & (self.signs[line] == 0)
        self.since_s[line[began]] = at_s[began]

    def _sign(self, line: I32, bit: int, begins: npt.NDArray[np.bool_], ends: npt.NDArray[np.bool_]) -> None:
        signs = self.signs[line]
        signs = np.where(begins, signs | np.uint8(bit), np.where(ends, signs & np.uint8(255 - bit), signs))
        self.signs[line] = signs.astype(np.uint8)

    def figure(self, line: int, bit: int) -> float:
        """The number that goes with a sign: dB against the usual (negative: below), or a rate."""
        if bit == RX:
            return float(self.rx_now[line] - self.rx_usual[line])
        if bit == SNR:
            return float(self.snr_now[line] - self.snr_usual[line])
        column = {CRC: self.crc_now, RETRAINS: self.retrains_day, RESTARTS: self.restarts_day}[bit]
        return float(column[line])

    # --- keeping --------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, npt.NDArray[np.generic]]:
        names = FLOATS + MORE_FLOATS + TIMES_S + COUNTS
        return {f"telemetry_{name}": getattr(self, name).copy() for name in names}

    def load(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        for name in FLOATS + MORE_FLOATS + TIMES_S + COUNTS:
            saved = arrays.get(f"telemetry_{name}")
            if saved is not None and saved.shape == (self.lines,):
                getattr(self, name)[:] = saved

    def remap(self, to: I32, lines: int) -> "Telemetry":
        fresh = Telemetry(lines)
        kept = np.flatnonzero(to >= 0)
        for name in FLOATS + MORE_FLOATS + TIMES_S + COUNTS:
            getattr(fresh, name)[to[kept]] = getattr(self, name)[kept]
        return fresh
