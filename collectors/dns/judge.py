"""From the answers of one round to a word about the resolver: fine, not fine and why, or not known.

A single name that fails can be the fault of whoever serves that name; a resolver is blamed for no answer only if
every name fails, but for one wrong answer at once (after confirmation), because a wrong answer has no innocent cause.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from collectors.dns.question import Answer, Outcome, Question

WRONG = (Outcome.WRONG_ANSWER, Outcome.NXDOMAIN_REWRITTEN)
# These mean that the name was answered as it should be, over UDP at least.
ANSWERED = frozenset({Outcome.OK, Outcome.NOT_VALIDATED, Outcome.TCP_FAILED})


class Finding(msgspec.Struct, frozen=True):
    """`reason` "" means fine. `known` False: nothing was sent, so nothing is known and `reason` says nothing."""

    known: bool
    reason: str = ""
    detail: str = ""


def judge(questions: Sequence[Question], answers: Sequence[Answer]) -> Finding:
    asked = [(q, a) for q, a in zip(questions, answers, strict=True) if a.outcome is not Outcome.NOT_SENT]
    if not asked:
        return Finding(False, detail=next((a.detail for a in answers if a.detail), ""))
    for _, answer in asked:
        if answer.outcome in WRONG:
            return Finding(True, answer.outcome.value, answer.detail)
    datagrams = [(q, a) for q, a in asked if not q.tcp_only]
    if datagrams and not any(a.outcome in ANSWERED for _, a in datagrams):
        return _commonest([a for _, a in datagrams])
    over_tcp = [a for _, a in asked if a.tcp]
    if over_tcp and all(a.outcome is not Outcome.OK for a in over_tcp):
        return _commonest(over_tcp)
    signed = [a for q, a in asked if q.settings.signed]
    if signed and all(a.outcome is Outcome.NOT_VALIDATED for a in signed):
        return Finding(True, Outcome.NOT_VALIDATED.value, signed[0].detail)
    return Finding(True)


def _commonest(answers: list[Answer]) -> Finding:
    outcome = Counter(a.outcome for a in answers).most_common(1)[0][0]
    return Finding(True, outcome.value, next((a.detail for a in answers if a.outcome is outcome and a.detail), ""))
