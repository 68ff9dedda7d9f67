"""Reading plain replies ourselves: never more than dnspython would say, whatever the bytes."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.dns import plain
from collectors.dns.question import Outcome, Question
from collectors.dns.settings import NameSettings

NAME = "www.probe.example"


def reply(*records: str, rcode: int = 0, edns: bool = True, rtype: str = "A") -> bytes:
    query = dns.message.make_query(NAME, rtype, use_edns=0 if edns else -1)
    made = dns.message.make_response(query)
    made.flags |= dns.flags.RA
    made.set_rcode(dns.rcode.Rcode(rcode))
    for record in records:
        made.answer.append(dns.rrset.from_text(*record.split(" ", 4)))
    return made.to_wire()


END = 12 + len(NAME) + 2 + 4


@pytest.mark.parametrize("edns", [True, False])
def test_plain_addresses_are_read(edns: bool) -> None:
    """A and AAAA answers for the name itself, with and without EDNS, are read as dnspython reads them."""
    two = reply(f"{NAME}. 60 IN A 192.0.2.1", f"{NAME}. 60 IN A 192.0.2.2", edns=edns)
    assert plain.addresses(two, END, 1) == {bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])}
    six = reply(f"{NAME}. 60 IN AAAA 2001:db8::1", rtype="AAAA", edns=edns)
    assert plain.addresses(six, END, 28) == {bytes.fromhex("20010db8" + "0" * 23 + "1")}


def test_all_else_is_left_to_dnspython() -> None:
    """Aliases, errors, other types, empty answers, trailing bytes and cut replies are not ours to read."""
    good = reply(f"{NAME}. 60 IN A 192.0.2.1")
    alias = reply(f"{NAME}. 60 IN CNAME other.example.", "other.example. 60 IN A 192.0.2.1")
    others = [alias, reply(rcode=2), reply(rcode=3), reply(), good + b"\0", good[:-1], b"", good[:12]]
    assert [plain.addresses(wire, END, 1) for wire in others] == [None] * len(others)
    assert plain.addresses(good, END, 16) is None


@settings(max_examples=400, deadline=None)
@given(st.integers(2, 90), st.integers(0, 255), st.integers(0, 120))
def test_what_we_call_right_dnspython_calls_right(at: int, byte: int, cut: int) -> None:
    """A good reply with a byte changed or its end cut off: what the quick way calls right, the slow one does too."""
    wire = bytearray(reply(f"{NAME}. 60 IN A 192.0.2.1", f"{NAME}. 60 IN A 192.0.2.2"))
    wire[at % len(wire)] = byte
    damaged = bytes(wire[: len(wire) - cut] if cut < 3 else wire)
    question = Question(NameSettings(NAME, expect=("192.0.2.1", "192.0.2.2")))
    if plain.addresses(damaged, END, 1) is None or question.classify(damaged)[0] is not Outcome.OK:
        return
    if damaged[12:END].lower() != reply()[12:END].lower():
        return  # another question: `answers` has refused it before
    question._plain = False
    assert question.classify(damaged)[0] is Outcome.OK
