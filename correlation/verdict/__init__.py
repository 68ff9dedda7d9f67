"""The verdict for one line: what the agent is told, from what the engine knows now. Pure: same input, same answer."""

from correlation.verdict.home import AtHome
from correlation.verdict.judge import RULES, judge, unclear
from correlation.verdict.reach import covers

__all__ = ["RULES", "AtHome", "covers", "judge", "unclear"]
