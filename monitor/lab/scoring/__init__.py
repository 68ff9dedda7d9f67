"""Floor 4: how good incidents are, measured against the truth of a simulation or of people."""

from monitor.lab.scoring.cases import Case, read_incidents, read_truths
from monitor.lab.scoring.score import Score, score, score_cases

__all__ = ["Case", "Score", "read_incidents", "read_truths", "score", "score_cases"]
