"""The usual detectors, on the same series: each gives (index, decided_index) pairs. PELT looks ahead; the rest do not.

Lost probes are left out (each row keeps its number). Neighbouring reports within three rows count as one.
"""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Found = list[tuple[int, int]]
WINDOW = 60


def rolling_z(rtt_ms: F64, limit: float) -> Found:
    """More than `limit` standard deviations from the mean of the 60 rows before."""
    rows, x = _known(rtt_ms)
    hits = []
    for i in range(10, x.size):
        past = x[max(0, i - WINDOW) : i]
        if abs(x[i] - past.mean()) > limit * max(float(past.std()), 0.1):
            hits.append(i)
    return _merged((rows[i], rows[i]) for i in hits)


def cusum(rtt_ms: F64, limit: float) -> Found:
    """Two-sided sums of deviations (drift half a standard deviation), from the first 20 rows after each change."""
    rows, x = _known(rtt_ms)
    found: Found = []
    start = 0
    while start + 20 < x.size:
        mean, deviation = float(x[start : start + 20].mean()), max(float(x[start : start + 20].std()), 0.1)
        up = down = 0.0
        up_from = down_from = start + 20
        for i in range(start + 20, x.size):
            z = (x[i] - mean) / deviation
            up, down = max(0.0, up + z - 0.5), max(0.0, down - z - 0.5)
            up_from = i + 1 if up == 0 else up_from
            down_from = i + 1 if down == 0 else down_from
            if max(up, down) > limit:
                begun = up_from if up > down else down_from
                found.append((int(rows[begun]), int(rows[i])))
                start = begun
                break
        else:
            break
    return _merged(found)


def pelt(rtt_ms: F64, penalty: float) -> Found:
    """ruptures' PELT, squared error on scaled values; sees the whole series, counted as decided at once."""
    import ruptures

    rows, x = _known(rtt_ms)
    if x.size < 10:
        return []
    scale = max(float(np.median(np.abs(np.diff(x)))), 0.05)
    y = np.clip((x - np.median(x)) / scale, -200, 200)
    ends = ruptures.KernelCPD(kernel="linear", min_size=3).fit(y.reshape(-1, 1)).predict(pen=penalty)
    return [(int(rows[i]), int(rows[i])) for i in ends[:-1]]


def isolation_forest(rtt_ms: F64, share: float) -> Found:
    """scikit-learn's IsolationForest on value, change, and median and spread of the rows before; first row of a run."""
    from sklearn.ensemble import IsolationForest

    rows, x = _known(rtt_ms)
    if x.size < 50:
        return []
    past = np.lib.stride_tricks.sliding_window_view(x, 10)[:-1]
    y = x[10:]
    features = np.column_stack([y, np.diff(x)[9:], y - np.median(past, axis=1), past.std(axis=1)])
    forest = IsolationForest(n_estimators=50, contamination=share, random_state=1).fit(features)
    hits = np.flatnonzero(forest.predict(features) < 0) + 10
    return _merged((rows[i], rows[i]) for i in hits.tolist())


def _known(rtt_ms: F64) -> tuple[npt.NDArray[np.int64], F64]:
    rows = np.flatnonzero(~np.isnan(rtt_ms))
    return rows, rtt_ms[rows]


def _merged(found: Iterable[tuple[int, int]]) -> Found:
    kept: Found = []
    last = -10
    for index, decided in found:
        if index - last > 3:
            kept.append((int(index), int(decided)))
        last = index
    return kept


PEERS: dict[str, tuple[Callable[[F64, float], Found], tuple[float, ...]]] = {
    "rolling z-score": (rolling_z, (3.0, 5.0, 8.0)),
    "CUSUM": (cusum, (8.0, 20.0, 50.0)),
    "PELT (ruptures; looks ahead)": (pelt, (100.0, 1000.0, 5000.0)),
    "IsolationForest": (isolation_forest, (0.01, 0.03)),
}
