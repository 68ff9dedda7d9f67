"""The list: lines in order, most likely to call first, with what speaks for each, and what the order rests on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlation.ranking.history import History, burdens, features, known_flags
from correlation.ranking.learned import Basis, chance, learn
from correlation.ranking.score import score


@dataclass(frozen=True)
class Ranked:
    """`lines`: a row a line, best first, columns LIST. `basis`: how it was made and how good that was."""

    at_ns: int
    lines: pd.DataFrame
    basis: Basis


# `chance`: of calling within a week, NaN by the score alone. The flag that weighs most: `kind` ("" where only calls
# speak), `reason`, `value`, `unit`, `started_ns`, `open`. Hours flagged and calls in the time before.
LIST = (
    "line_id",
    "score",
    "chance",
    "kind",
    "reason",
    "value",
    "unit",
    "started_ns",
    "open",
    "flags_month",
    "flagged_week_h",
    "calls_month",
)
NO_FLAG: dict[str, str | float | int | bool] = {
    "kind": "",
    "reason": "",
    "value": 0.0,
    "unit": "",
    "started_ns": 0,
    "open": False,
}


def rank(flags: pd.DataFrame, calls: pd.DataFrame, now_ns: int) -> Ranked:
    """`flags`, `calls` as `flag_table` and `call_table` make them. What lies after `now_ns` is not looked at. By the
    score only lines with flags are listed; by the model also those that called lately."""
    history = History.of(flags, calls, now_ns)
    basis, model = learn(history, now_ns)
    table = features(history, now_ns)
    made = pd.DataFrame({"line_id": history.names[table.index]})
    # Rounded before they are compared: the last bits of a float are the machine's, not the line's.
    made["score"] = np.round(score(table), 2)
    made["chance"] = np.nan if model is None else np.round(chance(model, table), 4)
    made["flags_month"] = table["flags_month"].to_numpy().astype(np.int64)
    made["flagged_week_h"] = np.round(24 * table["flagged_week"].to_numpy(), 1)
    made["calls_month"] = table["calls_month"].to_numpy().astype(np.int64)
    heaviest = _heaviest(history, now_ns)
    for column, without in NO_FLAG.items():
        made[column] = heaviest[column].reindex(table.index, fill_value=without).to_numpy()
    if model is None:
        made = made[made["score"] > 0]
        made = made.sort_values(["score", "line_id"], ascending=[False, True], ignore_index=True)
    else:
        order = ["chance", "score", "line_id"]
        made = made.sort_values(order, ascending=[False, False, True], ignore_index=True)
    return Ranked(now_ns, made[list(LIST)], basis)


def _heaviest(history: History, now_ns: int) -> pd.DataFrame:
    """Of each flagged line the flag that weighs most now; index `line`."""
    known = known_flags(history, now_ns)
    known["burden"] = np.round(burdens(known), 6)
    known = known.sort_values(
        ["line", "burden", "kind", "started_ns"], ascending=[True, False, True, False], kind="stable"
    ).drop_duplicates("line")
    return known.set_index("line")[list(NO_FLAG)]
