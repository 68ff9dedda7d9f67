"""Which lines are most likely to call within a week: the list a field team starts the day with.

`history` turns flags and calls into tables and into what was known of each line at a moment; `score` is the documented
score from the flags alone; `learned` learns from recorded calls and is tested on later days; `ranked` decides which of
the two ranks, and says how good each was. Nothing here reads a clock or a store.
"""

from correlation.ranking.history import call_table, flag_table
from correlation.ranking.learned import CALLS_NEEDED, Basis
from correlation.ranking.ranked import Ranked, rank

__all__ = ["CALLS_NEEDED", "Basis", "Ranked", "call_table", "flag_table", "rank"]
