"""From answers to a word about the resolver."""

import pytest

from collectors.dns.judge import judge
from collectors.dns.question import Answer, Outcome, Question
from collectors.dns.settings import NameSettings

UDP = Question(NameSettings("a.example.net"))
TCP = Question(NameSettings("a.example.net", transport="tcp"))
SIGNED = Question(NameSettings("s.example.net", signed=True))


def a(outcome: Outcome, tcp: bool = False) -> Answer:
    return Answer(outcome, 1.0, tcp)


@pytest.mark.parametrize(
    ("questions", "answers", "known", "reason"),
    [
        ([UDP, UDP], [a(Outcome.OK), a(Outcome.OK)], True, ""),
        ([UDP, UDP], [a(Outcome.OK), a(Outcome.TIMEOUT)], True, ""),
        ([UDP, UDP], [a(Outcome.OK), a(Outcome.SERVFAIL)], True, ""),
        ([UDP, UDP], [a(Outcome.TIMEOUT), a(Outcome.TIMEOUT)], True, "timeout"),
        ([UDP] * 3, [a(Outcome.SERVFAIL), a(Outcome.SERVFAIL), a(Outcome.TIMEOUT)], True, "servfail"),
        ([UDP, UDP], [a(Outcome.OK), a(Outcome.WRONG_ANSWER)], True, "wrong_answer"),
        ([UDP, UDP], [a(Outcome.OK), a(Outcome.NXDOMAIN_REWRITTEN)], True, "nxdomain_rewritten"),
        ([UDP, UDP], [a(Outcome.NOT_SENT), a(Outcome.NOT_SENT)], False, ""),
        ([UDP, UDP], [a(Outcome.NOT_SENT), a(Outcome.TIMEOUT)], True, "timeout"),
        ([UDP, TCP], [a(Outcome.OK), a(Outcome.TCP_FAILED, True)], True, "tcp_failed"),
        ([UDP, TCP], [a(Outcome.TIMEOUT), a(Outcome.OK, True)], True, "timeout"),
        ([UDP, UDP], [a(Outcome.OK), a(Outcome.TCP_FAILED, True)], True, "tcp_failed"),
        ([UDP, SIGNED], [a(Outcome.OK), a(Outcome.NOT_VALIDATED)], True, "not_validated"),
        ([SIGNED, SIGNED], [a(Outcome.OK), a(Outcome.NOT_VALIDATED)], True, ""),
    ],
)
def test_who_is_blamed_for_what(questions: list[Question], answers: list[Answer], known: bool, reason: str) -> None:
    """One name that fails is nobody's fault yet; all of them, or one wrong answer, is the resolver's."""
    finding = judge(questions, answers)
    assert (finding.known, finding.reason) == (known, reason)
