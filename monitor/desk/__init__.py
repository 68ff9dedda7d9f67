"""Floor 5: the agent's work: find the line a caller means, judge it, document the report."""

from monitor.desk.lookup import Answer, Candidate, find_lines, judge_line, look_up
from monitor.desk.ranking import CallList, CallRanking, LikelyCaller
from monitor.desk.reports import Report, ReportPage, Reports, as_csv
from monitor.desk.settings import DeskSettings

__all__ = [
    "Answer",
    "CallList",
    "CallRanking",
    "Candidate",
    "DeskSettings",
    "LikelyCaller",
    "Report",
    "ReportPage",
    "Reports",
    "as_csv",
    "find_lines",
    "judge_line",
    "look_up",
]
