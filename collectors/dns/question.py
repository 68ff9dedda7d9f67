"""One question to a resolver, and what an answer to it is worth.

A question is rendered once by dnspython; each asking only gets a fresh random id (and, for 0x20, fresh case) in the
rendered bytes. An answer counts only if its id and its question are ours; what it says is then parsed by dnspython
(a plain right one by collectors.dns.plain) and classified. `Outcome` values are the named reasons that reach people.
"""

import ipaddress
import secrets
from enum import StrEnum

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import msgspec

from collectors.dns import plain
from collectors.dns.settings import NameSettings

HEADER = 12
# Fits one unfragmented datagram on any path (DNS flag day 2020); larger answers come by TCP.
EDNS_PAYLOAD = 1232


class Outcome(StrEnum):
    OK = "ok"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # the network says nobody listens there
    SERVFAIL = "servfail"
    REFUSED = "refused"
    NXDOMAIN = "nxdomain"  # says a name does not exist that should
    NO_DATA = "no_data"  # the name is there, the type is not
    RCODE = "rcode"  # another error code
    WRONG_ANSWER = "wrong_answer"  # something else than expected
    NXDOMAIN_REWRITTEN = "nxdomain_rewritten"  # a name that cannot exist was given an address
    NOT_VALIDATED = "not_validated"  # right, but without the AD flag
    MALFORMED = "malformed"
    TCP_FAILED = "tcp_failed"  # no answer over TCP where it was needed
    NOT_SENT = "not_sent"  # our own side: says nothing about the resolver


class Answer(msgspec.Struct, frozen=True):
    """What became of one question. `rtt_ms` from sending to receiving, NaN without an answer; `tcp`: it came so."""

    outcome: Outcome
    rtt_ms: float = float("nan")
    tcp: bool = False
    detail: str = ""


class Query(msgspec.Struct, frozen=True):
    """A question as sent: `wire` starts with `query_id`; `question` are the bytes that must come back."""

    query_id: int
    wire: bytes
    question: bytes


class Question:
    """What is asked, again and again. `absent`: asks for a name that must not exist, a new one each time."""

    def __init__(self, settings: NameSettings, *, absent: bool = False, mixed_case: bool = False) -> None:
        self.settings = settings
        self.absent = absent
        self._mixed_case = mixed_case
        self._name = dns.name.from_text(settings.name)
        self._type = dns.rdatatype.from_text(settings.type)
        self._wire = b"" if absent else self._render(self._name)
        self._question_end = _question_end(self._wire) if self._wire else 0
        self._expect = frozenset(_canonical(text, settings.type) for text in settings.expect)
        # The same values as bytes, where a plain reply can be read without dnspython.
        self._plain = not absent and not settings.signed and settings.type in ("A", "AAAA")
        self._expect_bytes = frozenset(ipaddress.ip_address(t).packed for t in self._expect) if self._plain else None

    @property
    def tcp_only(self) -> bool:
        return self.settings.transport == "tcp"

    def query(self) -> Query:
        """A fresh asking, with an id that nobody can guess."""
        query_id = secrets.randbits(16)
        if self.absent:
            label = secrets.token_hex(10)
            wire = self._render(dns.name.Name((label.encode(), *self._name.labels)))
        else:
            wire = self._wire
        end = self._question_end or _question_end(wire)
        question = wire[HEADER:end]
        if self._mixed_case:
            question = _mix_case(question[:-4]) + question[-4:]
        return Query(query_id, query_id.to_bytes(2, "big") + wire[2:HEADER] + question + wire[end:], question)

    def answers(self, query: Query, wire: bytes) -> bool:
        """Whether these bytes are a reply to this very asking: id, QR flag and question are ours.

        A reply with an error code may leave the question out (RFC 1035 does not say; several servers do).
        """
        if len(wire) < HEADER or wire[:2] != query.wire[:2] or not wire[2] & 0x80:
            return False
        if wire[4:6] == b"\0\0":
            return wire[3] & 0x0F != 0 or len(wire) == HEADER
        echoed = wire[HEADER : HEADER + len(query.question)]
        return echoed == query.question or (not self._mixed_case and echoed.lower() == query.question.lower())

    @staticmethod
    def truncated(wire: bytes) -> bool:
        return bool(wire[2] & 0x02)

    def classify(self, wire: bytes) -> tuple[Outcome, str]:
        """What a reply to this question (see `answers`) says, and the particulars in words."""
        if self._plain:
            given = plain.addresses(wire, self._question_end, self._type)
            if given is not None and (not self._expect_bytes or given <= self._expect_bytes):
                return Outcome.OK, ""
        try:
            reply = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError, IndexError) as error:
            return Outcome.MALFORMED, f"{type(error).__name__}: {error}"
        if not isinstance(reply, dns.message.QueryMessage) or not reply.question:
            code = reply.rcode()
            if code == dns.rcode.NOERROR:
                return Outcome.MALFORMED, "no question in the answer"
            return _of_rcode(code), dns.rcode.to_text(code)
        code = reply.rcode()
        if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return _of_rcode(code), dns.rcode.to_text(code)
        try:
            chain = reply.resolve_chaining()
        except dns.exception.DNSException as error:
            return Outcome.MALFORMED, f"{type(error).__name__}: {error}"
        texts = frozenset(record.to_text().lower() for record in chain.answer) if chain.answer else frozenset()
        if self.absent:
            if texts:
                return Outcome.NXDOMAIN_REWRITTEN, f"a name that does not exist got {_few(texts)}"
            return Outcome.OK, ""
        if code == dns.rcode.NXDOMAIN:
            return Outcome.NXDOMAIN, f"{self.settings.name} does not exist"
        if not texts:
            return Outcome.NO_DATA, f"no {self.settings.type} for {self.settings.name}"
        if self._expect and not texts <= self._expect:
            return Outcome.WRONG_ANSWER, f"{self.settings.name} is {_few(texts - self._expect)}"
        if self.settings.signed and not reply.flags & dns.flags.AD:
            return Outcome.NOT_VALIDATED, f"{self.settings.name} came without the AD flag"
        return Outcome.OK, ""

    def _render(self, name: dns.name.Name) -> bytes:
        query = dns.message.make_query(
            name, self._type, use_edns=0, payload=EDNS_PAYLOAD, want_dnssec=self.settings.signed, id=0
        )
        if self.settings.signed:
            query.flags |= dns.flags.AD  # RFC 6840: "tell me whether you validated it"
        return query.to_wire()


def _of_rcode(code: dns.rcode.Rcode) -> Outcome:
    if code == dns.rcode.SERVFAIL:
        return Outcome.SERVFAIL
    return Outcome.REFUSED if code == dns.rcode.REFUSED else Outcome.RCODE


def _question_end(wire: bytes) -> int:
    """Where the (one, uncompressed) question ends, type and class included."""
    at = HEADER
    while wire[at]:
        at += wire[at] + 1
    return at + 5


def _mix_case(name: bytes) -> bytes:
    """Random upper and lower case for the letters of a name; length octets (below 64) are no letters."""
    bits = secrets.randbits(8 * len(name))
    return bytes(
        byte ^ 0x20 if 0x41 <= byte & 0xDF <= 0x5A and bits >> index & 1 else byte for index, byte in enumerate(name)
    )


def _canonical(text: str, rtype: str) -> str:
    """An expected value as dnspython would print it."""
    import dns.rdata
    import dns.rdataclass

    try:
        return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rtype), text).to_text().lower()
    except dns.exception.DNSException as error:
        raise ValueError(f"dns.names: expect {text!r} is no value of type {rtype}: {error}") from None


def _few(values: frozenset[str]) -> str:
    shown = sorted(values)[:3]
    return ", ".join(shown) + (", ..." if len(values) > 3 else "")
