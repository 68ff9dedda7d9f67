"""The score of a line: how much it was flagged lately, 0 to 100. No call is needed for it, and none is used.

    score = 100 (1 - exp(-x / 4)),   x = sum over kinds of WEIGHT[kind] * burden[kind]

A burden is in days (see `history.burdens`): every flagged day counts, the newer and the worse the more, half as much
again while it goes on. An unstable line of middling size scores 35 after a day, 62 after three, 82 after a week. The
weights are judgement (people call sooner about drops than about slowness, and about falling light not yet), not
measurement: measuring is what `learned` is for.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.records import FlagKind

WEIGHT = {FlagKind.UNSTABLE: 1.0, FlagKind.SLOW: 0.6, FlagKind.DEGRADING: 0.5}
SCALE_D = 4.0


def score(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Of each row of `history.features`, 0 to 100; 0 for a line without a flag."""
    x = np.zeros(len(table))
    for kind, weight in WEIGHT.items():
        x += weight * table[f"burden_{kind.value}"].to_numpy()
    result: npt.NDArray[np.float64] = 100 * -np.expm1(-x / SCALE_D)
    return result
