"""The verdict for one line: what the agent is told, from what the engine knows now. Pure: same input, same answer."""

from correlation.verdict.facts import NOT_ASKED, AtHome
from correlation.verdict.judge import RULES, judge, unclear
from correlation.verdict.reach import covers

__all__ = ["NOT_ASKED", "RULES", "AtHome", "covers", "judge", "unclear"]
