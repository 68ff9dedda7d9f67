"""A question and its answers: what counts as an answer to it, and what it is worth."""

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.dns.question import Outcome, Question
from collectors.dns.settings import NameSettings
from tests.collectors.dns.liar import reply

WEB = NameSettings("www.example.net", expect=("192.0.2.80",))


def asked(question: Question) -> tuple[dns.message.Message, object]:
    query = question.query()
    return dns.message.from_wire(query.wire), query


@pytest.mark.parametrize("mixed_case", [False, True])
def test_a_rendered_query_is_what_dnspython_reads(mixed_case: bool) -> None:
    """The bytes that are patched with id and case are a valid query for the name, also with mixed case."""
    question = Question(WEB, mixed_case=mixed_case)
    seen = set()
    for _ in range(20):
        message, query = asked(question)
        assert message.question[0].name.to_text().lower() == "www.example.net."
        assert message.flags & dns.flags.RD
        assert message.id == query.query_id
        seen.add((query.query_id, query.question))
    assert len(seen) == 20
    assert len({name for _, name in seen}) == (1 if not mixed_case else len({name for _, name in seen}))
    assert not mixed_case or len({name for _, name in seen}) > 10


def test_a_signed_name_asks_for_validation() -> None:
    """For a signed name the query carries DO and AD, else neither."""
    signed, _ = asked(Question(NameSettings("example.net", signed=True)))
    assert signed.ednsflags & dns.flags.DO
    assert signed.flags & dns.flags.AD
    plain, _ = asked(Question(WEB))
    assert not plain.ednsflags & dns.flags.DO
    assert not plain.flags & dns.flags.AD


def test_only_the_own_id_and_question_is_an_answer() -> None:
    """Another id, another question, and a query sent back are not taken for the answer."""
    question = Question(WEB)
    message, query = asked(question)
    good = reply(message, "60 A 192.0.2.80")
    assert question.answers(query, good)
    assert not question.answers(query, bytes([good[0] ^ 1]) + good[1:])
    other = dns.message.make_query("evil.example.net", "A", id=message.id)
    assert not question.answers(query, reply(other, "60 A 192.0.2.80"))
    assert not question.answers(query, query.wire)
    assert not question.answers(query, good[:7])


def test_mixed_case_must_come_back_as_it_was_sent() -> None:
    """With 0x20 an answer in other case is a stranger's; without it, it is ours."""
    for mixed_case in (True, False):
        question = Question(WEB, mixed_case=mixed_case)
        message, query = asked(question)
        good = reply(message, "60 A 192.0.2.80")
        swapped = good[:12] + query.question[:-4].swapcase() + query.question[-4:] + good[12 + len(query.question) :]
        assert question.answers(query, good)
        assert question.answers(query, swapped) is not mixed_case


@pytest.mark.parametrize(
    ("records", "rcode", "outcome"),
    [
        (("60 A 192.0.2.80",), dns.rcode.NOERROR, Outcome.OK),
        (("60 A 203.0.113.1",), dns.rcode.NOERROR, Outcome.WRONG_ANSWER),
        (("60 A 192.0.2.80", "60 A 203.0.113.1"), dns.rcode.NOERROR, Outcome.WRONG_ANSWER),
        ((), dns.rcode.NOERROR, Outcome.NO_DATA),
        ((), dns.rcode.NXDOMAIN, Outcome.NXDOMAIN),
        ((), dns.rcode.SERVFAIL, Outcome.SERVFAIL),
        ((), dns.rcode.REFUSED, Outcome.REFUSED),
        ((), dns.rcode.NOTIMP, Outcome.RCODE),
    ],
)
def test_answers_are_told_apart(records: tuple[str, ...], rcode: dns.rcode.Rcode, outcome: Outcome) -> None:
    """Each kind of answer gets its own named outcome."""
    question = Question(WEB)
    message, _ = asked(question)
    assert question.classify(reply(message, *records, rcode=rcode))[0] is outcome


def test_expected_values_are_compared_as_values() -> None:
    """An expected IPv6 address matches however it is written."""
    question = Question(NameSettings("example.net", type="AAAA", expect=("2001:DB8:0::53",)))
    message, _ = asked(question)
    assert question.classify(reply(message, "60 AAAA 2001:db8::53"))[0] is Outcome.OK


def test_a_name_that_must_not_exist() -> None:
    """NXDOMAIN is right for the random name, an address is a rewritten NXDOMAIN, and no two names are the same."""
    question = Question(NameSettings("invalid"), absent=True)
    message, query = asked(question)
    assert message.question[0].name.to_text().endswith(".invalid.")
    assert question.query().question != query.question
    assert question.classify(reply(message, rcode=dns.rcode.NXDOMAIN))[0] is Outcome.OK
    assert question.classify(reply(message, "60 A 203.0.113.9"))[0] is Outcome.NXDOMAIN_REWRITTEN
    assert question.classify(reply(message, rcode=dns.rcode.SERVFAIL))[0] is Outcome.SERVFAIL


def test_a_signed_name_without_ad_is_not_validated() -> None:
    """The AD flag decides for a signed name."""
    question = Question(NameSettings("example.net", signed=True))
    message, _ = asked(question)
    assert question.classify(reply(message, "60 A 192.0.2.1"))[0] is Outcome.NOT_VALIDATED
    assert question.classify(reply(message, "60 A 192.0.2.1", flags=dns.flags.AD))[0] is Outcome.OK


def test_an_expected_value_of_the_wrong_type_is_refused() -> None:
    """A configuration that expects a word as an address is refused with the field's name."""
    with pytest.raises(ValueError, match=r"dns\.names: expect 'web'"):
        Question(NameSettings("example.net", expect=("web",)))


@given(st.binary(max_size=600))
def test_garbage_is_malformed_and_never_an_exception(tail: bytes) -> None:
    """Whatever bytes follow a right header and question, the answer is classified."""
    question = Question(WEB)
    query = question.query()
    wire = query.wire[:2] + b"\x81\x80" + query.wire[4:12] + query.question + tail
    assert question.answers(query, wire)
    assert isinstance(question.classify(wire)[0], Outcome)


@given(st.binary(max_size=100))
def test_any_bytes_can_be_looked_at(wire: bytes) -> None:
    """Random datagrams never raise, and are not taken for an answer by chance of their length."""
    question = Question(WEB)
    assert question.answers(question.query(), wire) in (True, False)
