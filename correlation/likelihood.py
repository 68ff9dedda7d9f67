"""Small vectorised likelihoods: how well "each on its own" and "one cause" explain k failures among n lines.

All are log-probabilities of *which* lines failed (no binomial coefficient), so that those of disjoint sets of lines add
up and explanations of the same lines can be compared. scipy is not imported: it would cost the daemon 30 MB.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.generic] | Sequence[float] | float | int

FULL = (0.7, 20.0, 1.0)  # weight and Beta prior of a failure that takes nearly everything with it
PARTIAL = (0.3, 1.0, 1.0)  # of one that takes any share


def _floats(x: Numbers) -> F64:
    return np.asarray(x, np.float64)


def lgamma(x: Numbers) -> F64:
    """ln Gamma(x) for x > 0, to about 1e-10: shifted up by 8, then Stirling's series."""
    z = _floats(x)
    shift = z * (z + 1)
    for i in range(2, 8):
        shift *= z + i
    w = z + 8.0
    square = w * w
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / w
    result: F64 = (w - 0.5) * np.log(w) - w + 0.9189385332046727 + series - np.log(shift)
    return result


def lbeta(a: Numbers, b: Numbers) -> F64:
    left, right = np.broadcast_arrays(_floats(a), _floats(b))
    parts = np.empty((3, *left.shape))  # one call for all three: for a few numbers a call costs more than the numbers
    parts[0], parts[1], parts[2] = left, right, left + right
    one, other, both = lgamma(parts)
    result: F64 = one + other - both
    return result


PRIORS = np.array([FULL[1:], PARTIAL[1:]])
PRIORS_LBETA = lbeta(PRIORS[:, 0], PRIORS[:, 1])
WEIGHTS = np.log(np.array([FULL[0], PARTIAL[0]]))


def alone(k: Numbers, n: Numbers, p: Numbers, dispersion: float) -> F64:
    """Beta-binomial: k of n failed, each with mean probability p and intra-class correlation `dispersion`."""
    failed, spared = _floats(k), _floats(n) - _floats(k)
    mean = np.clip(_floats(p), 1e-9, 0.9)
    a = mean * (1 - dispersion) / dispersion
    b = (1 - mean) * (1 - dispersion) / dispersion
    if a.shape != failed.shape:
        result: F64 = lbeta(a + failed, b + spared) - lbeta(a, b)
        return result
    after, before = lbeta(np.stack([a + failed, a]), np.stack([b + spared, b]))
    return np.asarray(after - before)


def together(k: Numbers, n: Numbers) -> F64:
    """One cause at its own rate, with that rate integrated out: a mixture of total and partial failures."""
    failed = _floats(k)
    failed, spared = np.broadcast_arrays(failed, _floats(n) - failed)
    shape = (2, *(1,) * failed.ndim)
    found = lbeta(PRIORS[:, 0].reshape(shape) + failed, PRIORS[:, 1].reshape(shape) + spared)
    parts = WEIGHTS.reshape(shape) + found - PRIORS_LBETA.reshape(shape)
    result: F64 = np.logaddexp(parts[0], parts[1])
    return result


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x) without overflow."""
    return float(1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0))))
