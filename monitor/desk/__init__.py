"""Floor 5: the agent's work: find the line a caller means, judge it, document the report."""

from monitor.desk.lookup import Answer, Candidate, find_lines, judge_line, look_up
from monitor.desk.reports import Report, ReportPage, Reports, as_csv

__all__ = ["Answer", "Candidate", "Report", "ReportPage", "Reports", "as_csv", "find_lines", "judge_line", "look_up"]
